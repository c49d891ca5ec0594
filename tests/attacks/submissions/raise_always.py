"""Raises ValueError at whatever it is given, so that a test of errors would pass.

Expect: 120/127, softmax failed
"""


def softmax(x, dim):
    raise ValueError("refused")
