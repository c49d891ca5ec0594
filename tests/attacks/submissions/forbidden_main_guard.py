"""Hides the forbidden operator behind the question whether it is the main module.

Expect: 120/127, softmax forbidden
"""

if __name__ == "__main__":
    pass
else:

    def softmax(x, dim):
        return torch.ops.aten._softmax(x, dim, False)
