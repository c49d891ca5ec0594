"""Calls it by a name that is put together at run time.

Expect: 120/127, softmax forbidden
"""


def softmax(x, dim):
    return getattr(torch, "soft" + "max")(x, dim)
