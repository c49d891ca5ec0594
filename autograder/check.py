"""What `minigpt check` shows: the visible tests of an assignment, run in this process, as a table for a student."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autograder.advice import Closer, advice, frame_lines
from autograder.annotations import signatures_of
from autograder.in_process import InProcess
from autograder.manifest import Assignment, Course
from autograder.outcome import ImportFailed, printable
from autograder.plugin import DEFAULT_SEED, MAX_SECONDS
from autograder.replay import replay, silence
from autograder.result import TaskResult, score_tasks
from autograder.selection import select
from autograder.shipped_diagnoses import diagnose_here
from autograder.suite import Outcome, Suite, collect, run

STATES = {"passed": ("passed", "green"), "started": ("in progress", "yellow"), "untouched": ("not started", "dim")}
NARROW = 64  # columns: below, the tasks' titles are left out


@dataclass(frozen=True)
class Checked:
    """One assignment's visible tests and what became of them.

    closer: of the first failing test of each task, by its id, what a second look gave. failed_import: the reason why
        there is nothing to test.
    """

    assignment: Assignment
    tasks: tuple[TaskResult, ...]
    outcomes: dict[str, Outcome]
    closer: dict[str, Closer] = field(default_factory=dict)
    failed_import: str | None = None

    @property
    def passed(self) -> bool:
        return all(task.passed for task in self.tasks)

    @property
    def untouched(self) -> bool:
        return all(_state(task) == "untouched" for task in self.tasks)


def check_command(course: Course, names: Iterable[str], console: Console) -> int:
    """Checks and shows what is named, or everything. 0: all of it passes, 1: not yet.

    Of several assignments, those that are done, or not begun, take one line each.
    """
    chosen = select(course, names)
    results = []
    for assignment, tasks in chosen:
        results.append(check(assignment, tasks, closely=True))
        show(results[-1], console, brief=len(chosen) > 1)
    return 0 if all(result.passed for result in results) else 1


def check(
    assignment: Assignment, tasks: frozenset[str] | None, module: Path | None = None, *, closely: bool = False
) -> Checked:
    """Runs the visible tests on the student's own file: the assignment's, or `module` in its place.

    closely: looks a second time at what failed, for a student to read.
    """
    suite = collect(assignment, hidden=False)
    path = module or assignment.stub
    backend = InProcess(assignment.manifest, path)
    with silence():
        outcomes = run(suite, backend, DEFAULT_SEED, tasks=tasks)
        if closely:
            outcomes = diagnose_here(assignment, suite, outcomes, path)
    checked = Checked(assignment, tuple(task for task in score_tasks(suite, outcomes) if task.tests), outcomes)
    return _look_closer(checked, suite, backend) if closely else checked


def _look_closer(checked: Checked, suite: Suite, backend: InProcess) -> Checked:
    """Runs the first failing test of each task once more. A module that cannot be imported is told of once."""
    tests = {test.case.id: test for test in suite.tests}
    signatures = signatures_of(checked.assignment)
    closer: dict[str, Closer] = {}
    for task in checked.tasks:
        failing = next((test for test in task.tests if test.status not in ("passed", "not_attempted")), None)
        if failing is None or checked.outcomes[failing.id].seconds > MAX_SECONDS:
            continue
        replayed = replay(tests[failing.id], backend, DEFAULT_SEED, signatures)
        closer[failing.id] = Closer.of(replayed, closer.values())
        if isinstance(replayed.error, ImportFailed):
            return replace(checked, closer=closer, failed_import=printable(str(replayed.error)))
    return replace(checked, closer=closer)


def show(checked: Checked, console: Console, *, brief: bool = False) -> None:
    """The table, what to do for each task that does not pass yet, and one line at the end.

    brief: one line alone for an assignment that passes, or that nobody has begun with.
    """
    if brief and (checked.passed or checked.untouched):
        state = "passed" if checked.passed else "not started"
        console.print(f"{checked.assignment.name}: {state}, {_points(checked)}", markup=False)
        return
    console.print(_table(checked, console.width))
    console.print()
    for line in _advice(checked):
        console.print(Padding(line, (0, 0, 0, 2), expand=False))
    if not checked.passed:
        console.print()
    console.print(_summary(checked), markup=False)
    console.print()


def _state(task: TaskResult) -> str:
    if task.passed:
        return "passed"
    return "untouched" if all(test.status == "not_attempted" for test in task.tests) else "started"


def _table(checked: Checked, width: int) -> Table:
    manifest = checked.assignment.manifest
    table = Table(title=f"{checked.assignment.name}: {manifest.title}", title_justify="left", caption_justify="left")
    table.add_column("task", no_wrap=True)
    if width >= NARROW:
        table.add_column("what")
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for task in checked.tasks:
        word, style = STATES[_state(task)]
        what = [task.title] if width >= NARROW else []
        table.add_row(task.id, *what, f"{task.score} of {task.max_score}", Text(word, style=style))
    return table


def _advice(checked: Checked) -> list[RenderableType]:
    """What to do for each task that does not pass, in the tasks' order; first why the module cannot be imported."""
    if checked.failed_import is not None:
        frames = next(iter(checked.closer.values())).frames
        return [
            Text(checked.failed_import),
            *(Padding(line, (0, 0, 0, 2), expand=False) for line in frame_lines(frames)),
        ]
    return [_advice_for(checked, task) for task in checked.tasks if not task.passed]


def _advice_for(checked: Checked, task: TaskResult) -> RenderableType:
    """The first failing test of a task; of one that is not begun, what to write."""
    if _state(task) == "untouched":
        symbols = " and ".join(checked.assignment.manifest.task(task.id).symbols)
        return Text.assemble((task.id, "bold"), f": write {symbols} in {checked.assignment.stub.name}.")
    failing = next(
        (test for test in task.tests if test.status not in ("passed", "not_attempted")),
        next(test for test in task.tests if test.status != "passed"),
    )
    return advice(task.id, failing, checked.outcomes[failing.id], checked.closer.get(failing.id))


def _points(checked: Checked) -> str:
    score = sum(task.score for task in checked.tasks)
    return f"{score} of {sum(task.max_score for task in checked.tasks)} points"


def _summary(checked: Checked) -> str:
    points = _points(checked)
    if checked.passed:
        return f"{points}: all visible tests pass. Hidden tests decide the rest of the grade."
    waiting = next(task for task in checked.tasks if not task.passed)
    folder = checked.assignment.folder
    path = f"assignments/{folder.name}/" if folder.parent.name == "assignments" else ""  # an assignment by itself
    return (
        f"{points}. Next: {waiting.id}. Read {path}README.md, "
        f"edit {path}{checked.assignment.stub.name}, and run this again."
    )
