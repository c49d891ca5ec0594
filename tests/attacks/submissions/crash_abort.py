"""Aborts.

Expect: 120/127, softmax crashed
"""


def softmax(x, dim):
    os.abort()
