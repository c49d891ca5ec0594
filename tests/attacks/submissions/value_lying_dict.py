"""Returns a dict whose keys, items and length all say something else.

Expect: 31/127, words failed
"""


class Liar(dict):
    __eq__ = lambda self, other: True
    __len__ = lambda self: 2
    __getitem__ = lambda self, key: 1
    __contains__ = lambda self, key: True
    keys = lambda self: ["red", "green"]
    items = lambda self: [("red", True), (("green",), 1), ("green", 1), ("red", 0)]


def count_words(text):
    return Liar()
