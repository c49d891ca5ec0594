"""What `minigpt check` shows: the visible tests of an assignment, run in this process, as a table for a student."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autograder.in_process import InProcess
from autograder.manifest import Assignment, Course, CourseError
from autograder.plugin import DEFAULT_SEED
from autograder.result import TaskResult, score_tasks
from autograder.suite import Outcome, collect, run

STATES = {"passed": ("passed", "green"), "started": ("in progress", "yellow"), "untouched": ("not started", "dim")}


@dataclass(frozen=True)
class Checked:
    """One assignment's visible tests and what became of them."""

    assignment: Assignment
    tasks: tuple[TaskResult, ...]
    outcomes: dict[str, Outcome]

    @property
    def passed(self) -> bool:
        return all(task.passed for task in self.tasks)


def select(course: Course, names: Iterable[str]) -> list[tuple[Assignment, frozenset[str] | None]]:
    """Assignments with the tasks that are meant, None for all: names may be of assignments and of tasks."""
    chosen: dict[str, tuple[Assignment, frozenset[str] | None]] = {}
    assignments = course.assignments()
    for name in names:
        for assignment in assignments:
            if name in (assignment.name, assignment.name.partition("_")[2]):
                chosen[assignment.name] = (assignment, None)
                break
            if any(task.id == name for task in assignment.manifest.tasks):
                before = chosen.get(assignment.name, (assignment, frozenset[str]()))[1]
                chosen[assignment.name] = (assignment, None if before is None else before | {name})
                break
        else:
            tasks = [task.id for assignment in assignments for task in assignment.manifest.tasks]
            known = ", ".join([assignment.name for assignment in assignments] + tasks)
            raise CourseError(f"there is no assignment or task {name!r}; there are: {known}")
    return list(chosen.values()) or [(assignment, None) for assignment in assignments]


def check(assignment: Assignment, tasks: frozenset[str] | None, module: Path | None = None) -> Checked:
    """Runs the visible tests on the student's own file: the assignment's, or `module` in its place."""
    suite = collect(assignment, hidden=False)
    outcomes = run(suite, InProcess(assignment.manifest, module or assignment.stub), DEFAULT_SEED, tasks=tasks)
    return Checked(assignment, tuple(task for task in score_tasks(suite, outcomes) if task.tests), outcomes)


def show(checked: Checked, console: Console) -> None:
    """The table, what to do for each task that does not pass yet, and one line at the end."""
    console.print(_table(checked))
    for task in checked.tasks:
        if not task.passed:
            console.print(Padding(_advice(checked, task), (1, 0, 0, 2)))
    console.print(Padding(_summary(checked), (1, 0, 1, 0)))


def _state(task: TaskResult) -> str:
    if task.passed:
        return "passed"
    return "untouched" if all(test.status == "not_attempted" for test in task.tests) else "started"


def _table(checked: Checked) -> Table:
    manifest = checked.assignment.manifest
    table = Table(title=f"{checked.assignment.name}: {manifest.title}", title_justify="left", caption_justify="left")
    table.add_column("task")
    table.add_column("what")
    table.add_column("points", justify="right")
    table.add_column("state")
    for task in checked.tasks:
        word, style = STATES[_state(task)]
        table.add_row(task.id, task.title, f"{task.score} of {task.max_score}", Text(word, style=style))
    return table


def _advice(checked: Checked, task: TaskResult) -> RenderableType:
    """The first failing test of a task: its property, what went wrong, its hint."""
    symbols = " and ".join(checked.assignment.manifest.task(task.id).symbols)
    if _state(task) == "untouched":
        return Text.assemble((task.id, "bold"), f": write {symbols} in {checked.assignment.stub.name}.")
    failing = next(test for test in task.tests if test.status != "passed")
    lines: list[RenderableType] = [Text.assemble((task.id, "bold"), f": {failing.title}")]
    message = checked.outcomes[failing.id].message
    if message:
        lines.append(Padding(Text(message), (0, 0, 0, 2)))
    if failing.hint:
        lines.append(Padding(Text.assemble(("hint: ", "bold"), failing.hint), (0, 0, 0, 2)))
    lines.append(Padding(Text(f"more: minigpt hint {task.id}", style="dim"), (0, 0, 0, 2)))
    return Group(*lines)


def _summary(checked: Checked) -> str:
    score = sum(task.score for task in checked.tasks)
    possible = sum(task.max_score for task in checked.tasks)
    if checked.passed:
        return f"{score} of {possible} points: all visible tests pass. Hidden tests decide the rest of the grade."
    waiting = next(task for task in checked.tasks if not task.passed)
    folder = checked.assignment.folder
    path = f"assignments/{folder.name}/" if folder.parent.name == "assignments" else ""  # an assignment by itself
    return (
        f"{score} of {possible} points. Next: {waiting.id}. Read {path}README.md, "
        f"edit {path}{checked.assignment.stub.name}, and run this again."
    )
