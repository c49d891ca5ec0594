"""Has an attribute that never comes.

Expect: 119/127, tally_adds timeout
"""


class Tally(Tally):
    @property
    def total(self):
        while True:
            pass
