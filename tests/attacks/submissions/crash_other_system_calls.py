"""Uses the system calls of 32-bit programs and of x32, which a filter might forget.

Expect: 96/127, softmax crashed, tally crashed
"""

import mmap


def softmax(x, dim):
    if os.uname().machine == "x86_64" and libc.syscall(0x40000000 + 41, 2, 1, 0) != -1:  # socket, as x32 has it
        raise ValueError("reached: a socket")
    os.abort()


class Tally:
    def __init__(self):
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(
            b"\xb8\x02\x00\x00\x00\xcd\x80\xc3" if os.uname().machine == "x86_64" else bytes(4)
        )  # fork by int 0x80
        made = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
        if made == 0:
            os._exit(0)
        raise ValueError("reached: a fork" if made > 0 else "refused")
