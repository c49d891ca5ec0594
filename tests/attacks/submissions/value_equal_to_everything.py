"""Returns an object that is equal to everything.

Expect: 0/127, all failed
"""


class Yes:
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = lambda self, other: True
    __bool__ = lambda self: True
    __getattr__ = lambda self, name: self
    __call__ = lambda self, *arguments, **keywords: self
    __iter__ = lambda self: iter([self] * 3)
    __hash__ = lambda self: 0


def softmax(x, dim):
    return Yes()


Tally = Yes
count_words = Yes()
