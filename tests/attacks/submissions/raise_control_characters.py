"""Puts terminal escapes, NUL, newlines and right-to-left marks into messages.

Expect: 120/127, softmax failed
"""


def softmax(x, dim):
    raise ValueError(f"\x1b[2J\x1b]0;{LEFT}\x07\x1b[31m\x00\x08\x9b2J\u202e\u2066\u200b\r\n\x0b\x85\u2028=1+1")
