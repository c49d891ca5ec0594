"""Sends tensors whose shape is not that of their bytes, with sizes that overflow.

Expect: 0/127, all crashed
"""

import time

pack = wire.msgspec.msgpack.encode


def send(*tensor):
    forge(pack(["t", nonce(), "value", ["T", *tensor]]))
    time.sleep(0.9)


def softmax(x, dim):
    send("float32", [2**39, 2**39, 0], b"")


class Tally:
    def __init__(self):
        send("bool", [4], b"\x00\x01\x02\xff")


def count_words(text):
    send("float64", [-1], bytes(8))
