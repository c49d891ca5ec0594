"""Raises an exception with a message and a class name of 10 MB, in 100,000 lines.

Expect: 120/127, softmax failed
"""


def softmax(x, dim):
    raise type("N" * 10_000_000, (ValueError,), {})("line\n" * 2_000_000)
