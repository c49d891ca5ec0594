"""Has the kernel send SIGKILL in its place: makes others the owners of a pipe that something is written to.

Expect: 127/127
"""

import fcntl

F_SETOWN, F_SETSIG, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP = 8, 10, 15, 0x8901, 0x8902


def own(process):
    read_end, write_end = os.pipe()
    fcntl.fcntl(read_end, F_SETOWN, process)
    fcntl.fcntl(read_end, F_SETSIG, 9)
    fcntl.fcntl(read_end, fcntl.F_SETFL, os.O_NONBLOCK | 0o20000)
    os.write(write_end, b"x")


reach("a bystander", own, BYSTANDER)
reach(
    "the parent by F_SETOWN_EX", lambda: fcntl.fcntl(3, F_SETOWN_EX, __import__("struct").pack("ii", 1, os.getppid()))
)
for request in (FIOSETOWN, SIOCSPGRP):
    reach("an owner by ioctl", lambda: fcntl.ioctl(3, request, os.getppid().to_bytes(4, "little")))
