"""Ends the process with exit code 0 in the middle of a test.

Expect: 120/127, softmax crashed
"""


def softmax(x, dim):
    os._exit(0)
