"""A course of one assignment and no torch in its answers, for the tests of stubs, variants and releases."""

import json
from pathlib import Path
from typing import Any

from autograder.manifest import Assignment, Course
from autograder.stubs import write_stubs

FILES = {
    "assignments/01_sums/assignment.toml": """\
title = "Sums"
module = "sums.py"

[[task]]
id = "total"
title = "The total"
symbols = ["total", "mean"]
hints = ["Go through the numbers once."]

[[task]]
id = "scaler"
title = "A scaler"
symbols = ["Scaler"]
""",
    "assignments/01_sums/README.md": "# Sums\n\nAdd numbers up: `total([1, 2])` is 3.\n",
    "assignments/01_sums/test_sums.py": '''\
"""Visible tests."""

from autograder.testing import points, require, task


def same(actual, expected, hint=None):
    require(actual is not None, "nothing came back", hint)
    require(type(actual) is type(expected), "another type than was expected", hint)
    require(actual == expected, "another value than was expected", hint)


@task("total")
@points(2)
def test_total_of_two(student):
    """The total of 1 and 2 is 3."""
    same(student.total([1, 2]), 3)


@task("scaler")
@points(3)
def test_scaler_doubles(student):
    """A scaler of 2 doubles."""
    same(student.Scaler(2).apply([1, 2]), [2, 4])
''',
    "solutions/01_sums/sums.py": '''\
"""Sums of numbers.

    total([1, 2])                  # 3
"""

import math


def total(numbers: list[float]) -> float:
    """Adds the numbers up."""
    ### BEGIN SOLUTION
    # the order does not matter: math.fsum(numbers) is exact
    running = math.fsum(number for number in numbers)  # one number
    checked = [float(number) for number in numbers]
    if not all(math.isfinite(number) for number in checked):
        raise ValueError(f"the numbers have no finite total: {running}")
    return int(running) if running.is_integer() else running
    ### END SOLUTION


def mean(numbers: list[float]) -> float:
    """The total divided by how many there are."""
    ### BEGIN SOLUTION
    return total(numbers) / max(len(numbers), 1)
    ### END SOLUTION


class Scaler:
    """Multiplies by a factor."""

    def __init__(self, factor: float) -> None:
        ### BEGIN SOLUTION
        self.factor = factor
        ### END SOLUTION

    def apply(self, numbers: list[float]) -> list[float]:
        checked = [float(number) for number in numbers]
        ### BEGIN SOLUTION
        scaled = [self.factor * number for number in checked]
        return [int(number) if number.is_integer() else number for number in scaled]
        ### END SOLUTION
''',
    "solutions/01_sums/test_sums_hidden.py": '''\
"""Hidden tests."""

from autograder.testing import points, require, task


def same(actual, expected, hint=None):
    require(actual is not None, "nothing came back", hint)
    require(type(actual) is type(expected), "another type than was expected", hint)
    require(actual == expected, "another value than was expected", hint)


def alternating(rng, length):
    drawn = [rng.integer(-5, 5) for _ in range(length)]
    signs = [(-1) ** index for index in range(length)]
    return [sign * number for sign, number in zip(signs, drawn)]


@task("total")
@points(4)
def test_total_of_alternating_signs(student, rng):
    """Numbers of alternating signs cancel where they should."""
    numbers = alternating(rng, 12)
    expected = sum(sorted(numbers))
    same(student.total(numbers), expected)
    same(student.total(numbers + [-expected]), 0)


@task("scaler")
@points(1)
def test_scaler_doubles_a_drawn_number(student, rng):
    """A scaler of 2 doubles."""
    same(student.Scaler(2).apply([rng.integer(1, 9)])[0] % 2, 0)
''',
    "solutions/01_sums/mistakes.py": '''\
"""Wrong variants."""

import operator
from functools import reduce

from sums import Scaler, total as reference_total

from autograder.variants import mistake

START = 1


def folded(numbers):
    """Everything but the start is right."""
    return reduce(operator.add, numbers, START)


@mistake("total", replaces="total", says="You begin to count at 1.")
def begins_at_one(numbers):
    # a comment that stays
    return folded(numbers)


@mistake("total", replaces="total", says="You forget the last number.")
def forgets_the_last(numbers):
    if len(numbers) == 1:
        return forgets_the_last([*numbers, 0])
    return reference_total(numbers[:-1])


@mistake("scaler", replaces="Scaler", says="You scale twice.")
class Scaler(Scaler):
    def apply(self, numbers):
        once = super().apply(numbers)
        twice = super().apply(once)
        return twice


@mistake("total", replaces="total", says="Empty is an error.", name="strict")
def strict_total(numbers):
    if not numbers:
        raise ValueError("nothing to add")
    return reference_total(numbers)


@mistake("total", replaces="mean", says="Empty is an error.", name="strict")
def strict_mean(numbers):
    return strict_total(numbers) / len(numbers)
''',
    "solutions/01_sums/alternatives.py": '''\
"""Right variants."""

from autograder.variants import alternative


@alternative(replaces="total", says="by recursion")
def total(numbers):
    middle = len(numbers) // 2
    if middle == 0:
        return numbers[0] if len(numbers) else 0
    return total(numbers[:middle]) + total(numbers[middle:])
''',
    "solutions/notes.md": "The key to the exam: begin with the smallest numbers.\n",
    "autograder/__init__.py": "",
    "autograder/minigpt/library/sums.py": '"""Library parts."""\n\ntotal = sum\n',
    "datasets/__init__.py": "",
    "datasets/numbers.txt": "1 2 3\n",
    "pyproject.toml": '[project]\nname = "small"\n',
    "constraints.txt": "torch==2.13.0\n",
    ".gitignore": "__pycache__/\n",
    "tests/test_nothing.py": "",
}


def make_course(root: Path) -> Course:
    """Writes the course, its stub included."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    course = Course(root)
    write_stubs(course)
    return course


def make_assignment(root: Path) -> Assignment:
    return make_course(root).assignment("sums")


MODEL_ANSWER = "**Model answer.** A sum of nothing is nothing, because nothing was added to it."
MARKING_SCHEME = "**Marking scheme.** Ten points for anything that is said about nothing."


def lab_cells() -> list[dict[str, Any]]:
    """The source of a lab notebook for the course above: a story, a check for each task, two questions."""

    def cell(kind: str, source: str, **grading: Any) -> dict[str, Any]:
        shown = {"outputs": [], "execution_count": None} if kind == "code" else {}
        metadata = {"nbgrader": {"schema_version": 3, "grade": True, "task": False, **grading}} if grading else {}
        return {"cell_type": kind, "id": f"cell-{len(cells)}", "metadata": metadata, "source": source, **shown}

    def check(task: str, points: int) -> dict[str, Any]:
        source = f'from autograder.lab import check_task\n\ncheck_task("{task}")'
        return cell("code", source, grade_id=f"check-{task}", solution=False, locked=True, points=points)

    def answer(number: int) -> dict[str, Any]:
        source = f"### BEGIN SOLUTION\n{MODEL_ANSWER}\n{MARKING_SCHEME}\n### END SOLUTION"
        return cell("markdown", source, grade_id=f"question-{number}", solution=True, locked=False, points=10)

    cells: list[dict[str, Any]] = []
    for each in (
        lambda: cell("markdown", "# Lab 01: sums\n\nWhat is the sum of nothing?"),
        lambda: cell("code", "import sums\n\nprint(sums.total([1, 2, 3]))"),
        lambda: check("total", 6),
        lambda: answer(1),
        lambda: check("scaler", 4),
        lambda: answer(2),
    ):
        cells.append(each())
    return cells


def write_lab(assignment: Assignment, cells: list[dict[str, Any]] | None = None, **notebook: Any) -> None:
    """Writes the source notebook, of these cells or of `lab_cells`."""
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    whole = {"cells": lab_cells() if cells is None else cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    assignment.source_notebook.write_text(json.dumps(whole | notebook, indent=1) + "\n", encoding="utf-8")
