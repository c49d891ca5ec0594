"""Takes the function away on import, by a made-up name, before any test has begun.

Expect: 120/127, softmax forbidden
"""

saved = getattr(torch, "soft" + "max")


def softmax(x, dim):
    return saved(x, dim)
