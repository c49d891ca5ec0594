"""Looks through its own heap for what the process before it may have left there.

Expect: 127/127
"""

libc.sbrk.restype = ctypes.c_void_p
page, found = os.sysconf("SC_PAGE_SIZE"), b""
address = libc.sbrk(0) // page * page - page
flags = ctypes.create_string_buffer(1)
for _ in range(16384):
    if libc.mincore(ctypes.c_void_p(address), page, flags) != 0:
        break
    steal(lambda: ctypes.string_at(address, page).decode("latin-1"))
    address -= page
