"""Which assignments, and which of their tasks, are meant by names such as "04_attention", "attention" and "sdpa".

A path into an assignment's folder means the assignment, as for pytest.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import PurePath

from autograder.manifest import Assignment, Course, CourseError

Selected = tuple[Assignment, frozenset[str] | None]


def select(course: Course, names: Iterable[str]) -> list[Selected]:
    """Assignments with the tasks that are meant, None for all: names may be of assignments and of tasks."""
    chosen: dict[str, Selected] = {}
    assignments = course.assignments()
    for name in names:
        for assignment in assignments:
            number, _, word = assignment.name.partition("_")
            if name in (number, word) or assignment.name in PurePath(name).parts:
                chosen[assignment.name] = (assignment, None)
                break
            if any(task.id == name for task in assignment.manifest.tasks):
                before = chosen.get(assignment.name, (assignment, frozenset[str]()))[1]
                chosen[assignment.name] = (assignment, None if before is None else before | {name})
                break
        else:
            tasks = [task.id for assignment in assignments for task in assignment.manifest.tasks]
            known = [assignment.name for assignment in assignments] + tasks
            if near := difflib.get_close_matches(name.casefold(), known, n=1):
                raise CourseError(f"there is no assignment or task {name!r}: did you mean {near[0]}?")
            raise CourseError(f"there is no assignment or task {name!r}; there are: {', '.join(known)}")
    return list(chosen.values()) or [(assignment, None) for assignment in assignments]
