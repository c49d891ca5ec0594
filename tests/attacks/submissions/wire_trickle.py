"""Writes its reply a byte at a time, slowly enough to keep a careless reader waiting for ever.

Expect: 119/127, tally_adds timeout
"""

import time


class Tally(Tally):
    @property
    def total(self):
        os.write(3, wire.LENGTH.pack(10**6))
        while True:
            os.write(3, b"\xc0")
            time.sleep(0.01)
