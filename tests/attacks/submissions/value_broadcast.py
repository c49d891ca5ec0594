"""Returns shapes that would be right if only they were broadcast: one number, no axes, a view.

Expect: 120/127, softmax failed
"""


def softmax(x, dim):
    if x.dim() == 0:
        raise ValueError
    return torch.tensor(0.25)
