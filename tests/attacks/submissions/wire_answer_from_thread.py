"""Answers from a thread with the question's own number, before the worker can.

Expect: 119/127, tally_adds crashed or failed
"""

import threading


class Tally(Tally):
    @property
    def total(self):
        data = reply(nonce(), "value", 1)
        thread = threading.Thread(target=forge, args=(data,))
        thread.start()
        thread.join()
        return super().total
