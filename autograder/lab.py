"""What a lab notebook calls: the visible tests of one task, on the module beside the notebook.

    from autograder.lab import check_task

    check_task("softmax")                       # softmax: 4 of 4 points in the visible tests

It works in a course, and in an assignment's folder that stands alone, as nbgrader hands it out and grades it. In a
notebook a failure is a few lines of text, without a traceback. The notebook keeps the module that it imported, and
torch's random numbers go on as if nothing had run. What the tests print is not shown.

Does not run hidden tests, and gives no part of a task's points: it passes, or it raises.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch

from autograder.check import Checked, check
from autograder.manifest import Assignment, Course, CourseError
from autograder.result import TaskResult


class NotYet(AssertionError):
    """A task whose visible tests do not all pass. IPython shows its text alone."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


def check_task(task_id: str) -> None:
    """Runs the task's visible tests on the module as it is on disk now, and prints one line; raises where one fails.

    The module is the one in the current folder; if there is none, the one of the assignment that the task belongs to.
    Returns nothing on purpose: nbgrader would take a number for the points of the cell.

    Raises an AssertionError with the first failing test's property, what went wrong, and its hint. CourseError: there
    is no such task, or no course here.
    """
    assignment = _assignment_of(Course.find(), task_id)
    beside = Path.cwd() / assignment.manifest.module
    with _undisturbed(assignment.stem):
        checked = check(assignment, frozenset({task_id}), beside if beside.is_file() else None, closely=True)
    (task,) = checked.tasks
    summary = f"{task_id}: {task.score} of {task.max_score} points in the visible tests"
    if not task.passed:
        raise NotYet("\n".join([summary, *_advice(checked, task)]))
    print(summary)


def _assignment_of(course: Course, task_id: str) -> Assignment:
    """The assignment of this folder, or of this task where the folder is no assignment's."""
    assignments = course.assignments()
    here = [assignment for assignment in assignments if assignment.folder == Path.cwd()]
    for assignment in here or assignments:
        if any(task.id == task_id for task in assignment.manifest.tasks):
            return assignment
    known = ", ".join(task.id for assignment in here or assignments for task in assignment.manifest.tasks)
    raise CourseError(f"there is no task {task_id!r} in {here[0].name if here else 'this course'}; there are: {known}")


@contextmanager
def _undisturbed(module_name: str) -> Iterator[None]:
    """Leaves the kernel as it was: the imported module (or `importlib.reload` would refuse it), and randomness.

    nbgrader scores a cell that wrote to stderr as 0, so a student's warning must not come through.
    """
    before = sys.modules.get(module_name)
    try:
        with torch.random.fork_rng(devices=()), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        if before is None:
            sys.modules.pop(module_name, None)
        else:
            sys.modules[module_name] = before


def _advice(checked: Checked, task: TaskResult) -> list[str]:
    """What `minigpt check` says of the task, as plain text."""
    manifest = checked.assignment.manifest
    if all(test.status == "not_attempted" for test in task.tests):
        return [f"  not written yet: {' and '.join(manifest.task(task.id).symbols)} in {manifest.module}"]
    failing = next(test for test in task.tests if test.status != "passed")
    outcome = checked.outcomes[failing.id]
    said = [*(outcome.message or "").splitlines(), *([outcome.diagnosis.says] if outcome.diagnosis else [])]
    hint = [f"hint: {failing.hint}"] if failing.hint else []
    return [f"  {line}" for line in [failing.title, *said, *hint, f"more: minigpt hint {task.id}"]]
