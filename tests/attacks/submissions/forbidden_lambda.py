"""Hides it in a lambda, a partial and a default argument.

Expect: 120/127, softmax forbidden
"""

import functools

hidden = functools.partial(lambda function, x, dim: function(x, dim), torch.softmax)


def softmax(x, dim, function=hidden):
    return function(x, dim)
