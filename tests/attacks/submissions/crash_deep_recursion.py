"""Recurses without end, with Python's own guard and without it.

Expect: 96/127, softmax failed, tally crashed
"""


def deeper(x):
    return deeper(x)


def softmax(x, dim):
    return deeper(x)


class Tally:
    def __init__(self):
        sys.setrecursionlimit(2**31 - 1)
        self.bottom = [self.nested(0)]

    def nested(self, n):
        return sorted([1, 2], key=lambda _: self.nested(n + 1))
