"""Sends 24 MB of empty lists, each of which takes seventy bytes where it is read.

Expect: 119/127, tally_adds crashed
"""

import time


class Tally(Tally):
    @property
    def total(self):
        size = 24 * 2**20
        data = b"\xdd" + size.to_bytes(4, "big") + b"\x90" * size
        sent = memoryview(wire.LENGTH.pack(len(data)) + data)
        while sent:
            sent = sent[os.write(3, sent) :]
        time.sleep(10**6)
