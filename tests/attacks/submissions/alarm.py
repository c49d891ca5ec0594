"""Has itself killed by a timer in the middle of a call.

Expect: 120/127, softmax crashed
"""

import signal
import time


def softmax(x, dim):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    time.sleep(0.9)
