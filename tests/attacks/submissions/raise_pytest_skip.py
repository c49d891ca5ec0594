"""Imports pytest to skip and xfail its own tests.

Expect: 0/127, all forbidden
"""

import pytest


def softmax(x, dim):
    pytest.skip("not today")


def count_words(text):
    pytest.xfail("never mind")
