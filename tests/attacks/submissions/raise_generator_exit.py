"""Raises GeneratorExit in a call, to stop the tests rather than fail one.

Expect: 120/127, softmax failed
"""


def softmax(x, dim):
    raise GeneratorExit
