"""Starts threads with small stacks without end.

Expect: 120/127, softmax crashed or failed
"""

import threading
import time


def softmax(x, dim):
    threading.stack_size(65536)
    for _ in range(1000):
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    time.sleep(0.5)
    raise ValueError("reached: 1000 threads")
