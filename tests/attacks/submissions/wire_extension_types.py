"""Sends MessagePack's own types: extensions, timestamps, maps, numbers as keys.

Expect: 0/127, all crashed
"""

import time


def send(data):
    forge(data)
    time.sleep(0.9)


def softmax(x, dim):
    send(b"\xd4\x05x")


class Tally:
    def __init__(self):
        send(b"\xd6\xff" + bytes(4))


def count_words(text):
    send(b"\x81\x01\x02")
