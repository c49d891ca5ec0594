"""Knows the question's number, and replies with fields missing, added, or of other types.

Expect: 0/127, all crashed
"""

import time


def send(data):
    forge(data)
    time.sleep(0.9)


def softmax(x, dim):
    send(reply(nonce(), "value", 1, 127, True))


class Tally:
    def __init__(self):
        send(reply(nonce()))


def count_words(text):
    send(reply(nonce(), "raised", 1, 2, 3, "4"))
