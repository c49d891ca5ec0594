"""Sends a byte out of band before each honest reply.

Expect: 127/127
"""

import socket

line = socket.socket(fileno=os.dup(3))


def softmax(x, dim):
    line.send(b"x", socket.MSG_OOB)
    return honest_softmax(x, dim)
