"""Calls it in a thread, where none of its own functions is on the stack.

Expect: 120/127, softmax forbidden
"""

from concurrent.futures import ThreadPoolExecutor


def softmax(x, dim):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(getattr(torch, "soft" + "max"), x, dim).result()
