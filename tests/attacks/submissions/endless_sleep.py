"""Sleeps in C code, where no exception reaches it.

Expect: 119/127, tally_adds timeout
"""

import select


class Tally(Tally):
    @property
    def total(self):
        select.select([], [], [], 10**6)
        libc.pause()
