"""Answers once and never reads again, so that the grader's next question is what has to end.

Expect: 119/127, tally_adds timeout
"""

import time


class Tally(Tally):
    @property
    def total(self):
        forge(reply(nonce(), "value", super().total))
        time.sleep(10**6)
