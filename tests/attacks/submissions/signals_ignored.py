"""Ignores, catches and blocks every signal, then never comes back.

Expect: 119/127, tally_adds timeout
"""

import signal


class Tally(Tally):
    @property
    def total(self):
        for number in range(1, 65):
            try:
                signal.signal(number, lambda *_: None)
            except (OSError, ValueError):
                pass
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        while True:
            pass
