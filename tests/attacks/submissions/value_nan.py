"""Returns NaN, which is near to nothing but has the right shape.

Expect: 120/127, softmax failed
"""


def softmax(x, dim):
    return torch.full_like(x, float("nan"))
