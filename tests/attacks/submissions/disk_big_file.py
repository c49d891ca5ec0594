"""Writes a file of 100 GB.

Expect: 120/127, softmax failed
"""


def softmax(x, dim):
    with open("big", "wb") as file:
        for _ in range(100_000):
            file.write(bytes(2**20))
