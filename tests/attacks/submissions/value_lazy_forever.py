"""Hands out an iterator whose second item never comes.

Expect: 111/127, tally_iterates timeout
"""


class Tally(Tally):
    def __iter__(self):
        yield next(iter(self.counts.items()))
        while True:
            pass
