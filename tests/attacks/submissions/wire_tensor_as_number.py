"""Gives the question's number back as a tensor, a float and a text.

Expect: 0/127, all crashed
"""

import time


def send(number):
    forge(reply(number, "value", {"red": 1}))
    time.sleep(0.9)


def softmax(x, dim):
    send(torch.tensor([nonce()]))


class Tally:
    def __init__(self):
        send(torch.zeros(3))


def count_words(text):
    send(str(nonce()) if "Red" in text else float(nonce()))
