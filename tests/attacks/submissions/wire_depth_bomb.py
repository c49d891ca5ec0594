"""Sends lists in lists, a million deep.

Expect: 120/127, softmax crashed
"""

import time


def softmax(x, dim):
    forge(b"\x91" * 10**6 + b"\xc0")
    time.sleep(0.9)
