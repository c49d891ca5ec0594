"""Hands out an iterator that never ends, where an object should have three items.

Expect: 111/127, tally_iterates failed
"""

import itertools


class Tally(Tally):
    def __iter__(self):
        return (("b", number) for number in itertools.count())
