"""Raises exceptions whose text is a str of its own that lies about length and slices.

Expect: 120/127, softmax crashed or failed
"""


class Text(str):
    __len__ = lambda self: 3
    __getitem__ = lambda self, key: "x" * 1_000_000


class Long(ValueError):
    def __str__(self):
        return Text("abc")


def softmax(x, dim):
    raise Long
