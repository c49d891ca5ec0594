"""Tries every file descriptor for something that the grader left open.

Expect: 127/127
"""

import socket


def reread(number):
    os.lseek(number, 0, os.SEEK_SET)
    return os.read(number, 1 << 16)


for number in range(4, 1024):
    reach(f"descriptor {number}", os.fstat, number)
    steal(reread, number)
reach("a descriptor sent along", socket.socket(fileno=os.dup(3)).recvmsg, 1, 64, socket.MSG_DONTWAIT)
