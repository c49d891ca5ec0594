"""Gives the module's name to a function of its own, once it has taken the forbidden operator from it.

Expect: 120/127, softmax forbidden
"""

import torch as light

saved = light.ops.aten._softmax


def light():
    pass


def softmax(x, dim):
    return saved(x, dim, False)
