"""Sends a dict whose 20,000 keys all have the same hash.

Expect: 119/127, tally_adds crashed
"""


class Tally(Tally):
    @property
    def total(self):
        keys = [["i", hex(number * (2**61 - 1))] for number in range(8, 20_008)]
        pairs = [item for key in keys for item in (key, None)]
        forge(wire.msgspec.msgpack.encode(["t", nonce(), "value", ["d", *pairs]]))
        os._exit(0)
