"""Returns handles of its own making: to the module, the library, to nothing.

Expect: 0/127, all failed
"""

worker = sys._getframe(1).f_locals["self"]


def softmax(x, dim):
    return wire.Handle(0)


class Tally:
    add = total = property(lambda self: wire.Handle(999))


def count_words(text):
    return {"red": count_words, "green": sys}


plain = worker._plain
worker._plain = lambda value, depth=9: value if type(value) is wire.Handle else plain(value, depth)
