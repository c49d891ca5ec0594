"""Ends the process from a thread, while a test waits for an answer.

Expect: 120/127, softmax crashed
"""

import threading
import time


def softmax(x, dim):
    threading.Timer(0.05, os._exit, (0,)).start()
    time.sleep(0.9)
