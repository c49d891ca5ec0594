"""Returns numbers that are too large: for a float, for a line of text, for the wire.

Expect: 103/127, tally crashed
"""


class Tally(Tally):
    def add(self, word, times=1):
        super().add(word, times)
        return 10**5000

    def __iter__(self):
        return iter([("b", 10**4000), ("a", float("inf")), ("c", -(2**63) - 1)])
