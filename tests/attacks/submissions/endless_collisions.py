"""Fills a dict with keys that all have the same hash.

Expect: 119/127, tally_adds timeout
"""


class Tally(Tally):
    @property
    def total(self):
        return len({number * (2**61 - 1): 1 for number in range(1, 200_000)})
