"""Leaves 5,000 files, with names of every length and of any bytes.

Expect: 120/127, softmax crashed
"""

import time


def softmax(x, dim):
    for number in range(5000):
        open(os.fsencode(f"{number}") + bytes([number % 200 + 50]) * (number % 200), "w").close()
    time.sleep(0.9)
