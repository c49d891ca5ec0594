"""The hints of a task, one at a time: from a nudge to nearly the answer. Remembers how far each task has been read.

    hint(course, "softmax")                  # the first, then the second, then the third, which stays
    hint(course, "softmax", again=True)      # the one that was shown last
    hint(course, "softmax", start=1)         # back to the first; the next one then is the second
    hint(course, None)                       # of the first task that does not pass; None when all of them do

Where nothing can be written, nothing is remembered, and `Hint.remembered` is False. Hints are text of the manifest:
whether a task passes is looked at only where no task is named.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from autograder.check import check
from autograder.files import write_atomically
from autograder.manifest import Assignment, Course, CourseError, Task
from autograder.status import next_task

MEMORY = ".minigpt/hints.json"


@dataclass(frozen=True)
class Hint:
    """One hint of a task, `number` of `total`. `read`: how many of them were read before."""

    assignment: Assignment
    task: Task
    number: int
    read: int
    remembered: bool

    @property
    def total(self) -> int:
        return len(self.task.hints)

    @property
    def text(self) -> str:
        return self.task.hints[self.number - 1]


def hint(course: Course, name: str | None, *, again: bool = False, start: int | None = None) -> Hint | None:
    """The next hint of a task, or of an assignment's first task that does not pass; None where all pass."""
    if again and start is not None:
        raise CourseError("--again and --from do not go together: --again shows the hint that you saw last")
    found = _find(course, name)
    if found is None:
        return None
    assignment, task = found
    total = len(task.hints)
    if not total:
        raise CourseError(f"task {task.id!r} has no hints: read its docstrings and {_handout(course, assignment)}")
    if start is not None and not 1 <= start <= total:
        raise CourseError(f"task {task.id!r} has hints 1 to {total}, so there is no hint {start}")
    path = course.root / MEMORY
    memory = _read(path)
    read = max(0, min(memory.get(task.id, 0), total))
    number = start if start is not None else max(read, 1) if again else min(read + 1, total)
    remembered = number == read or _remember(path, {**memory, task.id: number})
    return Hint(assignment, task, number, read, remembered)


def show_hint(
    course: Course, name: str | None, console: Console, *, again: bool = False, start: int | None = None
) -> None:
    """What `minigpt hint` prints: which hint it is, what it says, and how to get another one."""
    shown = hint(course, name, again=again, start=start)
    if shown is None:
        console.print("every visible test passes, so there is nothing to hint at. Try: minigpt status", markup=False)
        return
    where = f"{' and '.join(shown.task.symbols)} in {shown.assignment.stub.name}"
    console.print(f"Hint {shown.number} of {shown.total} for {shown.task.id} ({where}):", markup=False)
    console.print(Padding(Text(shown.text), (0, 0, 0, 2)))
    console.print(_further(shown), style="dim", markup=False, soft_wrap=True)


def _further(shown: Hint) -> str:
    id_ = shown.task.id
    if shown.number == shown.total:
        more = f"This was the last hint for {id_}. All of them again: minigpt hint {id_} --from 1"
    elif shown.remembered:
        more = f"The next one: minigpt hint {id_}"
    else:
        more = f"The next one: minigpt hint {id_} --from {shown.number + 1}"
    if not shown.remembered:
        more += "\n(This folder cannot be written to, so it is not remembered how far you have read.)"
    return more


def _find(course: Course, name: str | None) -> tuple[Assignment, Task] | None:
    """The task that is meant: by its id, or the first that does not pass, of an assignment or of all."""
    assignments = course.assignments()
    for assignment in assignments:
        for task in assignment.manifest.tasks:
            if task.id == name:  # before the assignments: "attention" is both, and hints are a task's
                return assignment, task
    chosen = [each for each in assignments if name in (None, each.name, each.name.partition("_")[2])]
    if not chosen:
        known = ", ".join(task.id for assignment in assignments for task in assignment.manifest.tasks)
        raise CourseError(f"there is no task {name!r}; there are: {known}")
    waiting = next_task(check(assignment, None) for assignment in chosen)
    return None if waiting is None else (waiting[0].assignment, waiting[0].assignment.manifest.task(waiting[1].id))


def _handout(course: Course, assignment: Assignment) -> str:
    return "README.md" if course.alone else f"assignments/{assignment.name}/README.md"


def _read(path: Path) -> dict[str, int]:
    """What was remembered. A memory that is damaged or cannot be read is an empty one: hints then start again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: count for name, count in found.items() if type(count) is int} if isinstance(found, dict) else {}


def _remember(path: Path, memory: dict[str, int]) -> bool:
    try:
        write_atomically(path, json.dumps(memory, indent=1).encode() + b"\n")
    except OSError:
        return False
    return True
