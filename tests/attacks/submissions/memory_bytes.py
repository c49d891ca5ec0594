"""Asks for one piece of memory after the other, and holds on to all of them.

Expect: 120/127, softmax memory
"""


def softmax(x, dim):
    hoard = []
    while True:
        hoard.append(bytes(10**8))
