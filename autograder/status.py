"""What `minigpt status` shows: which parts of the MiniGPT are yours, and what to do next."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autograder.check import Checked, check
from autograder.manifest import Course
from autograder.minigpt.parts import SLOTS
from autograder.result import slots_that_pass

COLUMNS = 4


def show_status(course: Course, console: Console) -> None:
    """Checks every assignment, then shows the parts and the next task."""
    checked = [check(assignment, None) for assignment in course.assignments()]
    own = {slot for each in checked for slot in slots_that_pass(each.assignment.manifest, each.tasks)}
    rest = "the others are the library's" if len(own) < len(SLOTS) else "none is the library's"
    console.print(f"{len(own)} of {len(SLOTS)} parts of your MiniGPT are your own; {rest}.")
    console.print(Padding(_parts(own), (1, 0, 1, 2)))
    for each in checked:
        score, possible = sum(task.score for task in each.tasks), sum(task.max_score for task in each.tasks)
        console.print(f"{each.assignment.name}: {score} of {possible} points of visible tests", markup=False)
    console.print(_next(checked), markup=False)


def _parts(own: set[str]) -> Table:
    """All slots in their order, the student's own marked with a star: it must show without colours too."""
    table = Table.grid(padding=(0, 3))
    cells = [Text(f"* {slot}", style="bold green") if slot in own else Text(f"  {slot}", style="dim") for slot in SLOTS]
    for start in range(0, len(cells), COLUMNS):
        table.add_row(*cells[start : start + COLUMNS])
    return table


def _next(checked: list[Checked]) -> str:
    """The first task that does not pass, in the order of the course."""
    for each in checked:
        for task in each.tasks:
            if not task.passed:
                return f"next: {task.id} ({task.title}). Try: minigpt check {task.id}"
    return "every visible test passes. Try: minigpt assemble"
