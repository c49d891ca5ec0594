"""A student's own parts, found in this repository: those whose visible tests all pass.

    own_slots(course)                   # {"attention"}
    load_symbols(course, {"attention"}) # {"CausalSelfAttention": <class ...>, "KVCache": <class ...>}

Runs the code in this process, as `minigpt check` does; the grader never comes here.
"""

from __future__ import annotations

from types import ModuleType

from autograder.check import check
from autograder.in_process import load_module
from autograder.manifest import Assignment, Course, CourseError
from autograder.minigpt.parts import SLOTS
from autograder.outcome import ImportFailed
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
            module = _module(assignment)
            for name in (name for slot in wanted if slot for name in SLOTS[slot]):
                if not hasattr(module, name):
                    raise CourseError(f"{assignment.stub} has no {name} any more: write it as the stub has it")
                symbols[name] = getattr(module, name)
    return symbols


def _module(assignment: Assignment) -> ModuleType:
    try:
        return load_module(assignment.stub)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit as well
        failed = ImportFailed.from_exception(error, assignment.stub)
        raise CourseError(f"{failed}. Mend that first: see minigpt check {assignment.name}") from error


def own_symbols() -> dict[str, object]:
    """Those that fill slots, of the course that this folder is in. Outside of one there are none: the library's do."""
    try:
        course = Course.find()
    except CourseError:
        return {}
    return load_symbols(course, own_slots(course))
