"""Runs out of memory, swallows the error and goes on.

Expect: 119/127, tally_adds memory or timeout
"""

hoard = []


class Tally(Tally):
    @property
    def total(self):
        while True:
            try:
                hoard.append(bytes(2**20))
            except MemoryError:
                pass
