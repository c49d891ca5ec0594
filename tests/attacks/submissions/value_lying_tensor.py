"""Returns a tensor subclass that answers every question of the encoder's with a lie.

Expect: 120/127, softmax crashed
"""


class Liar(torch.Tensor):
    dtype = property(lambda self: "torch.float32")
    shape = property(lambda self: (2**39, 2**39))
    layout = property(lambda self: torch.strided)

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), keywords=None):
        return arguments[0]


def softmax(x, dim):
    return torch.zeros(1).as_subclass(Liar)
