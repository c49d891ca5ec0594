"""Imports the library's parts and the grader's modules by other doors.

Expect: 127/127
"""

import importlib

for name in (
    "autograder.minigpt.library",
    "autograder.student_side",
    "autograder.suite",
    "autograder.testing",
    "autograder.jail.client",
    "datasets",
):
    reach(name, importlib.import_module, name)
    reach(name, __import__, name)
    reach(name, sys.modules.__getitem__, name)
