"""Writes half a message and then nothing.

Expect: 119/127, tally_adds timeout
"""

import time


class Tally(Tally):
    @property
    def total(self):
        data = reply(nonce(), "value", super().total)
        os.write(3, wire.LENGTH.pack(len(data)) + data[:-1])
        time.sleep(10**6)
