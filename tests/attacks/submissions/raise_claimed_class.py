"""Raises an exception that says it is a ValueError but derives from nothing of the kind.

Expect: 123/127, softmax_refuses failed
"""


class ValueError(Exception):
    @property
    def __class__(self):
        return __builtins__["ValueError"] if isinstance(__builtins__, dict) else __builtins__.ValueError


def softmax(x, dim):
    if x.dim() == 0:
        raise ValueError("only the name")
    return honest_softmax(x, dim)
