"""Returns an object that says it is a tensor, a dict or a number.

Expect: 0/127, softmax crashed, tally failed, words failed
"""


class Liar:
    def __init__(self, claimed):
        self.claimed = claimed

    @property
    def __class__(self):
        return self.claimed

    __eq__ = lambda self, other: True
    __float__ = __int__ = __index__ = lambda self: 1
    items = lambda self: [("red", 1), ("green", 1)]


def softmax(x, dim):
    return Liar(torch.Tensor)


class Tally:
    total = Liar(int)

    def add(self, word, times=1):
        return Liar(int)

    def __iter__(self):
        return iter([Liar(tuple)] * 3)


def count_words(text):
    return Liar(dict)
