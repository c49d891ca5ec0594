"""What `minigpt status` shows: the MiniGPT as a drawing, which parts are yours, what they reach, and what to do next.

The loss is that of a run that was made of exactly the parts that are yours now. Where there is none yet, the last run
of other parts is told of as such; `train=True` trains one. Runs the visible tests, and trains nothing unless asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import chdir
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autograder.check import Checked, check
from autograder.drawing import WIDTH, draw, legend
from autograder.manifest import Course
from autograder.minigpt.parts import SLOTS
from autograder.result import TaskResult, slots_that_pass
from autograder.runs import floor_of, runs_in

RUNS = Path("runs")
LIBRARY_TINY = 0.375  # what the library's parts reach with the preset tiny; docs/student-guide.md has the run
LIST_COLUMN = 18


def show_status(course: Course, console: Console, *, train: bool = False, steps: int | None = None) -> None:
    """Checks every assignment, then shows the parts, the loss and the next task. `steps`: fewer, for a quick look."""
    if train:
        _train(course, console, steps)
    checked = [check(assignment, None) for assignment in course.assignments()]
    own = {slot for each in checked for slot in slots_that_pass(each.assignment.manifest, each.tasks)}
    rest = "the others are the library's" if len(own) < len(SLOTS) else "none is the library's"
    console.print(f"{len(own)} of {len(SLOTS)} parts of your MiniGPT are your own; {rest}.")
    _show_parts(own, console)
    console.print(_points(checked, 1 if console.width < WIDTH else 2))
    console.print()
    for line in (*_reached(course, checked, own), *_next(checked)):
        console.print(line, markup=False)


def next_task(checked: Iterable[Checked]) -> tuple[Checked, TaskResult] | None:
    """The first task that does not pass, in the order given. Looks no further than that."""
    return next(((each, task) for each in checked for task in each.tasks if not task.passed), None)


def _show_parts(own: set[str], console: Console) -> None:
    """The drawing; where it does not fit, a list with a star at the student's own."""
    ascii_only = console.options.ascii_only
    if console.width >= WIDTH:
        console.print(Padding(draw(own, ascii_only=ascii_only), (1, 0, 0, 0)))
        console.print(Padding(Text(legend(ascii_only), style="dim"), (0, 0, 1, 0)))
        return
    table = Table.grid(padding=(0, 3))
    cells = [Text(f"* {slot}", style="bold green") if slot in own else Text(f"  {slot}", style="dim") for slot in SLOTS]
    columns = max(1, console.width // LIST_COLUMN)
    for start in range(0, len(cells), columns):
        table.add_row(*cells[start : start + columns])
    console.print(Padding(table, (1, 0, 1, 0)))


def _points(checked: list[Checked], columns: int) -> Table:
    """Each assignment's points of visible tests, in columns that are read downwards."""
    lines = []
    for each in checked:
        score, possible = sum(task.score for task in each.tasks), sum(task.max_score for task in each.tasks)
        lines.append(Text(f"{each.assignment.name}: {score} of {possible} points"))
    table = Table.grid(padding=(0, 4))
    height = -(-len(lines) // columns)
    for row in range(height):
        table.add_row(*lines[row::height])
    return table


def _next(checked: list[Checked]) -> list[str]:
    """The first task that does not pass, in the order of the course, and the part that it belongs to."""
    waiting = next_task(checked)
    if waiting is None:
        return ["every visible test passes.", "try: minigpt assemble"]
    each, task = waiting
    part = each.assignment.manifest.task(task.id).part
    belongs = f", for the part {part}" if part is not None else ""
    return [f"next: {task.id} ({task.title}) in {each.assignment.name}{belongs}.", f"try: minigpt check {task.id}"]


def _reached(course: Course, checked: list[Checked], own: set[str]) -> list[str]:
    """What the parts of now reach in validation loss, as far as a run tells; beside it what makes it mean something."""
    runs = runs_in(course.root / RUNS)
    wish = "to train the preset tiny with them and keep the run, about a minute: minigpt status --train"
    same = [run for run in runs if run.own == own]
    if not same:
        if not runs:
            return ["validation loss of these parts: not known, nothing is trained yet.", wish]
        last = runs[0]
        parts = f"{len(last.own)} own parts" if last.own else "library parts alone"
        told = f"the last run, {_name(course, last.folder)}, was of {parts} and reached {last.loss:.3f} nats per token"
        return [f"validation loss of these parts: not known; {told}.", wish]
    run = min(same, key=lambda run: (not run.finished, run.preset is None))  # of equals, the newest: it stands first
    of = f" of {run.planned}" if not run.finished else ""
    how = f"preset {run.preset}" if run.preset else "settings of its own"
    beside = []
    library = [other for other in runs if not other.own and other.kind == run.kind and other.finished]
    floor = floor_of(run)
    if own and run.finished and (library or (run.preset == "tiny" and floor is not None)):
        reached = library[0].loss if library else LIBRARY_TINY
        beside.append(f"the library's parts reach {reached:.3f}")
    if floor is not None:
        beside.append(f"no model of this text can go below {floor:.3f}")
    lines = [
        f"validation loss of these parts: {run.loss:.3f} nats per token "
        f"({_name(course, run.folder)}, {how}, {run.steps:,}{of} steps)."
    ]
    if beside:
        told = "; ".join(beside)
        lines.append(f"{told[0].upper()}{told[1:]}.")
    if changed := _changed_since(checked, own, run.began):
        lines += [f"{' and '.join(changed)} changed after that run began.", wish]
    return lines


def _changed_since(checked: list[Checked], own: set[str], began: float) -> list[str]:
    """The modules of own parts that were saved after a run began: its loss is that of an older version."""
    return [
        each.assignment.stub.name
        for each in checked
        if slots_that_pass(each.assignment.manifest, each.tasks) & own and each.assignment.stub.stat().st_mtime > began
    ]


def _name(course: Course, folder: Path) -> str:
    return folder.relative_to(course.root).as_posix()


def _train(course: Course, console: Console, steps: int | None) -> None:
    """A run of the preset tiny with the parts of now, in a new folder with the time in its name."""
    from autograder.training_command import train_command

    out = RUNS / f"status-{datetime.now():%Y-%m-%d-%H%M%S}"
    console.print("training the preset tiny with your parts: about a minute. Ctrl-C stops it.", markup=False)
    with chdir(course.root):
        try:
            train_command(out, "tiny", None, steps, resume=False, library=False, threads=1, console=console)
        except KeyboardInterrupt:
            console.print(f"that is: minigpt train --out {out.as_posix()} --resume", markup=False)
            raise
    console.print()
