"""The hints of a task, one at a time: from a nudge to nearly the answer. Remembers how far each task has been read."""

from __future__ import annotations

import json

from autograder.files import write_atomically
from autograder.manifest import Course, CourseError

MEMORY = ".minigpt/hints.json"


def next_hint(course: Course, task_id: str) -> tuple[int, int, str]:
    """The hint after the last one shown, as (its number, how many there are, its text). The last one repeats."""
    tasks = {task.id: task for assignment in course.assignments() for task in assignment.manifest.tasks}
    if task_id not in tasks:
        raise CourseError(f"there is no task {task_id!r}; there are: {', '.join(tasks)}")
    hints = tasks[task_id].hints
    if not hints:
        raise CourseError(f"task {task_id!r} has no hints")
    path = course.root / MEMORY
    shown = _read(path.read_text(encoding="utf-8")) if path.is_file() else {}
    number = min(shown.get(task_id, 0) + 1, len(hints))
    write_atomically(path, json.dumps({**shown, task_id: number}, indent=1).encode() + b"\n")
    return number, len(hints), hints[number - 1]


def _read(text: str) -> dict[str, int]:
    """What was remembered. A damaged memory is an empty one: hints then start again."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {name: count for name, count in found.items() if type(count) is int} if isinstance(found, dict) else {}
