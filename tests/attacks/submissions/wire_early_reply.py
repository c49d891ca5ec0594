"""Writes a reply before it gives its answer, without knowing the question's number.

Expect: 120/127, softmax crashed
"""


def softmax(x, dim):
    forge(reply(1, "value", honest_softmax(x, dim)))
    return honest_softmax(x, dim)
