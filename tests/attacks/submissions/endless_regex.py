"""Matches a pattern that needs exponential time, in C code that holds the interpreter.

Expect: 119/127, tally_adds timeout
"""

import re


class Tally(Tally):
    @property
    def total(self):
        return re.match(r"(a|a)*(a|a)*$", "a" * 60 + "b")
