"""Raises a class of its own that derives from BaseException alone, and chains a million causes to it.

Expect: 120/127, softmax failed
"""


class Nothing(BaseException):
    pass


def softmax(x, dim):
    error = Nothing("nothing")
    for _ in range(100_000):
        cause = Nothing()
        cause.__context__ = cause.__cause__ = error
        error = cause
    raise error
