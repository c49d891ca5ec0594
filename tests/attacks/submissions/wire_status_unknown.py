"""Replies with statuses of its own: passed, graded, skipped.

Expect: 0/127, all crashed
"""

import time


def send(status):
    forge(reply(nonce(), status, True))
    time.sleep(0.9)


def softmax(x, dim):
    send("passed")


class Tally:
    def __init__(self):
        send("graded")


def count_words(text):
    send("skipped")
