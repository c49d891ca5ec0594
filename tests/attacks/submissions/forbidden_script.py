"""Has the forbidden function compiled from a text, by torch's own compiler.

Expect: 120/127, softmax forbidden
"""


def softmax(x, dim):
    unit = torch.jit.CompilationUnit("def f(x, dim: int):\n    return x.softmax(dim)\n")
    return unit.f(x, dim)
