"""Sends a hundred thousand values where one is due, nested nearly as deep as is allowed.

Expect: 119/127, tally_adds failed
"""


class Tally(Tally):
    @property
    def total(self):
        deep = 1
        for depth in range(25):
            deep = [deep, deep] if depth < 16 else [deep]
        return deep
