"""Has objects that never let go: their __del__ does not end.

Expect: 103/127, tally timeout
"""


class Tally(Tally):
    def __del__(self):
        while True:
            pass
