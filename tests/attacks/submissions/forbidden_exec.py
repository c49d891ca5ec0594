"""Calls it in code that is made from a text.

Expect: 120/127, softmax forbidden
"""


def softmax(x, dim):
    found = {}
    exec(
        compile("answer = __import__('torch').softmax(x, dim)", "<somewhere else>", "exec"), {"x": x, "dim": dim}, found
    )
    return found["answer"]
