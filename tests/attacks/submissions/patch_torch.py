"""Makes every comparison in torch true, and returns nonsense.

Expect: 120/127, softmax failed
"""

torch.allclose = torch.equal = torch.isclose = lambda *arguments, **keywords: True
torch.Tensor.__eq__ = torch.Tensor.allclose = lambda *arguments, **keywords: True


def softmax(x, dim):
    return x * 0
