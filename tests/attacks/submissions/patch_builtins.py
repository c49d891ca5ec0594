"""Changes builtins: nothing fails an assertion, everything is true, ValueError is everything.

Expect: 120/127, softmax failed
"""

import builtins


class Nothing(BaseException):
    pass


builtins.AssertionError = Nothing
builtins.ValueError = BaseException
builtins.all = lambda things: True


def softmax(x, dim):
    raise KeyError("no")
