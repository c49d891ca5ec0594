"""Puts halves of characters into a message, a class name and a returned text.

Expect: 24/127, softmax failed, words failed
"""


def softmax(x, dim):
    raise ValueError("\ud800 \udfff \udc80")


def count_words(text):
    return {"red\ud800": 1, "\udfff": text}
