"""Writes the right reply twice, with the question's own number.

Expect: 120/127, softmax crashed
"""


def softmax(x, dim):
    forge(reply(nonce(), "value", honest_softmax(x, dim)))
    return honest_softmax(x, dim)
