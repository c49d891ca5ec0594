"""Reads from address 0.

Expect: 120/127, softmax crashed
"""


def softmax(x, dim):
    ctypes.string_at(0)
