"""Asks for a tensor of 400 GB.

Expect: 120/127, softmax memory
"""


def softmax(x, dim):
    return torch.zeros(10**11)
