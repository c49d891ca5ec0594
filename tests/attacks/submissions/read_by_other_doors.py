"""Reads the hidden tests by other doors: /proc/self/root, .., name handles, mmap, sendfile, links.

Expect: 127/127
"""

hidden = f"{COURSE}/solutions/77_target/test_target_hidden.py"
for path in (
    f"/proc/self/root{hidden}",
    f"/proc/1/root{hidden}",
    f"../../../../../../..{hidden}",
    f"/dev/fd/../../..{hidden}",
):
    steal(read, path)
for flags in (os.O_RDONLY, os.O_PATH, os.O_RDONLY | os.O_NONBLOCK | os.O_NOATIME, os.O_RDWR):
    steal(lambda: os.read(os.open(hidden, flags), 1 << 16))
    steal(lambda: read(f"/proc/self/fd/{os.open(hidden, flags)}"))
reach("a link", os.symlink, hidden, "link")
reach("a hard link", os.link, hidden, "hard")
reach("a rename", os.rename, hidden, "renamed")
reach(
    "a name handle",
    lambda: libc.name_to_handle_at(
        -100, hidden.encode(), ctypes.create_string_buffer(256), ctypes.create_string_buffer(8), 0
    ),
)
