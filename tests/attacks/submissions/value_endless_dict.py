"""Returns a dict whose items never end.

Expect: 119/127, tally_adds timeout
"""

import itertools


class Endless(dict):
    def items(self):
        return (("red", 1) for _ in itertools.count())


class Tally(Tally):
    total = property(lambda self: Endless())
