"""Raises what test runners take for a skip: unittest.SkipTest, and classes called Skipped and XFailed.

Expect: 0/127, all failed
"""

import unittest


class Skipped(Exception):
    __module__ = "builtins"
    allow_module_level = True
    msg = "skipped"


class XFailed(Skipped):
    pass


def softmax(x, dim):
    raise unittest.SkipTest("not today")


class Tally:
    def __init__(self):
        raise Skipped("Skipped: not today")


def count_words(text):
    raise XFailed("xfail")
