"""Replies after the deadline, and waits for its next chance.

Expect: 119/127, tally_adds timeout
"""

import time


class Tally(Tally):
    @property
    def total(self):
        time.sleep(1.5)
        return super().total
