"""Raises classes that bear the names of the grader's own words: GraderFault, Fault, Forbidden.

Expect: 0/127, all failed
"""


class GraderFault(Exception):
    __module__ = "autograder.outcome"
    __qualname__ = "GraderFault"
    status = "passed"
    hint = "full marks"


def softmax(x, dim):
    raise GraderFault("the lights went out")


class Tally:
    def __getattr__(self, name):
        raise GraderFault


def count_words(text):
    error = GraderFault("passed")
    error.__class__ = type("Unmet", (GraderFault,), {})
    raise error
