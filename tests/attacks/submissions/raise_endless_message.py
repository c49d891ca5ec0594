"""Raises exceptions whose text and whose traceback never end.

Expect: 55/127, tally_adds timeout, words_split timeout
"""


class Endless(ValueError):
    def __str__(self):
        while True:
            pass

    __repr__ = __str__


class Round(ValueError):
    @property
    def __traceback__(self):
        return self

    tb_frame = property(lambda self: sys._getframe())
    tb_lineno = 1
    tb_next = property(lambda self: self)


class Tally(Tally):
    @property
    def total(self):
        raise Endless


honest_words = count_words


def count_words(text):
    if "one" in text:
        raise Round
    return honest_words(text)
