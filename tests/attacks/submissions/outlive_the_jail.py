"""Hangs up, forgets its parent, blocks every signal and goes on in threads.

Expect: 119/127, tally_adds crashed
"""

import signal
import threading
import time


class Tally(Tally):
    @property
    def total(self):
        libc.prctl(1, 0, 0, 0, 0)  # no signal when the parent goes
        libc.prctl(36, 1, 0, 0, 0)
        libc.prctl(15, LEFT.encode(), 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        for _ in range(3):
            threading.Thread(target=time.sleep, args=(3600,)).start()
        os.closerange(0, 64)
        while True:
            pass
