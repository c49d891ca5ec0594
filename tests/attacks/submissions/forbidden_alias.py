"""Calls the forbidden function by an alias of its module.

Expect: 120/127, softmax forbidden
"""

import torch.nn.functional as elsewhere


def softmax(x, dim):
    return elsewhere.softmax(x, dim)
