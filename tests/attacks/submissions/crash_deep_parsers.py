"""Feeds parsers of C code with text that is nested very deep.

Expect: 0/127, softmax failed, tally failed, words failed or crashed
"""

import ast
import json
import pickle
import re


def softmax(x, dim):
    return json.loads("[" * 10**6)


class Tally:
    def __init__(self):
        ast.literal_eval("(" * 10**5)


def count_words(text):
    re.compile("(" * 10**5)
    return pickle.loads(b"(" * 10**6 + b"l" * 10**6)
