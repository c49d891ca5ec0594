"""Names an exception class with half a character.

Expect: 120/127, softmax failed
"""


def softmax(x, dim):
    error = type("E", (ValueError,), {})
    error.__name__ = "\ud800"
    raise error("x")
