"""Fills the tensor that it was given with its own answer, in place.

Expect: 120/127, softmax failed
"""


def softmax(x, dim):
    x.fill_(0.25)
    return x
