"""Blames the grader: says that its walls could not be put up.

Expect: 120/127, softmax crashed
"""

import time


def softmax(x, dim):
    forge(reply(0, "unconfined", "not my fault"))
    time.sleep(0.9)
