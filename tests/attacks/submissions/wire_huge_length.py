"""Announces a message of eight exabytes.

Expect: 120/127, softmax crashed
"""

import time


def softmax(x, dim):
    os.write(3, wire.LENGTH.pack(2**63) + b"x" * 1000)
    time.sleep(0.9)
