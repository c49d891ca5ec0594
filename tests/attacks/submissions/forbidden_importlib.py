"""Calls it from a module that is found by name, in a module object of its own.

Expect: 120/127, softmax forbidden
"""

import importlib


def softmax(x, dim):
    return vars(importlib.import_module("torch.nn." + "functional"))["softmax"](x, dim)
