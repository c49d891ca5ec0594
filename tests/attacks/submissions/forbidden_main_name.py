"""Says that it is the main module, and hides the forbidden operator where only that one comes.

Expect: 120/127, softmax forbidden
"""

__name__ = "__main__"
if __name__ == "__main__":

    def softmax(x, dim):
        return torch.ops.aten._softmax(x, dim, False)
