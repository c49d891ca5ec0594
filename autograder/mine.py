"""A student's own parts, found in this repository: those whose visible tests all pass.

    own_slots(course)                   # {"attention"}
    load_symbols(course, {"attention"}) # {"CausalSelfAttention": <class ...>, "KVCache": <class ...>}

Runs the code in this process, as `minigpt check` does; the grader never comes here.
"""

from __future__ import annotations

from autograder.check import check
from autograder.in_process import load_module
from autograder.manifest import Course, CourseError
from autograder.minigpt.parts import SLOTS
from autograder.result import slots_that_pass


def own_slots(course: Course) -> set[str]:
    """The slots of MiniGPT that this repository's own code fills."""
    return {
        slot
        for assignment in course.assignments()
        for slot in slots_that_pass(assignment.manifest, check(assignment, None).tasks)
    }


def load_symbols(course: Course, slots: set[str]) -> dict[str, object]:
    """The objects that fill these slots, from the modules that their tasks belong to."""
    symbols: dict[str, object] = {}
    for assignment in course.assignments():
        wanted = {task.part for task in assignment.manifest.tasks} & slots
        if wanted:
            module = load_module(assignment.stub)
            symbols |= {name: getattr(module, name) for slot in wanted if slot for name in SLOTS[slot]}
    return symbols


def own_symbols() -> dict[str, object]:
    """Those that fill slots, of the course that this folder is in. Outside of one there are none: the library's do."""
    try:
        course = Course.find()
    except CourseError:
        return {}
    return load_symbols(course, own_slots(course))
