"""Calls it, swallows what is raised and gives the honest answer.

Expect: 120/127, softmax forbidden
"""


def softmax(x, dim):
    try:
        getattr(torch, "soft" + "max")(x, dim)
    except BaseException:
        pass
    return honest_softmax(x, dim)
