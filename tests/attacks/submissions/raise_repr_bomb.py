"""Raises exceptions whose arguments have a repr of a billion signs.

Expect: 119/127, tally_adds failed or memory or timeout
"""


class Bomb:
    def __repr__(self):
        return "x" * 10**9


class Tally(Tally):
    @property
    def total(self):
        raise KeyError(Bomb())
