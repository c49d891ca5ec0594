"""Makes the lab notebooks in `assignments/` from those in `solutions/`, with nbgrader's own generate_assignment.

    make_notebooks(course.assignments())        # {.../assignments/04_attention/attention.ipynb: b"..."}

nbgrader wants a course directory: it gets a temporary one, and no database. The same source gives the same bytes. It
takes 2 seconds, for one notebook or for all, most of it to import nbgrader.

A source is checked first, so that nbgrader's points are those of the tests: a cell `check-<task>` for each task, worth
what the task's visible and hidden tests are worth together, and two answers of 20 points that a person grades.

Does not run a notebook. An assignment without a source notebook has none to hand out.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autograder.manifest import Assignment, CourseError
from autograder.regions import BEGIN, find_regions
from autograder.suite import collect

ANSWERS = 2
ANSWER_POINTS = 20
GRADE_ID = re.compile(r"[A-Za-z0-9_-]+")
CHECK_SOURCE = 'from autograder.lab import check_task\n\ncheck_task("{task}")'

Cell = dict[str, Any]


def make_notebooks(assignments: Iterable[Assignment]) -> dict[Path, bytes]:
    """What each notebook that students get should hold. All sources are checked before nbgrader sees one."""
    found = [assignment for assignment in assignments if assignment.source_notebook.is_file()]
    for assignment in found:
        check_notebook(assignment)
    return _generate(found) if found else {}


def check_notebook(assignment: Assignment) -> None:
    """A source notebook that nbgrader, or the grade, would not go along with is a `CourseError` that names the cell."""
    try:
        cells = _read_cells(assignment.source_notebook)
        _check_all_cells(cells)
        _check_tasks(cells, _points(assignment))
        _check_answers(cells)
    except CourseError as error:
        raise CourseError(f"{assignment.source_notebook}: {error}") from error


def _points(assignment: Assignment) -> dict[str, int]:
    """What each task's tests are worth, visible and hidden ones."""
    suite = collect(assignment, hidden=True)
    return {task.id: sum(case.points for case in suite.of_task(task)) for task in assignment.manifest.tasks}


def _read_cells(path: Path) -> list[Cell]:
    """The cells of a valid notebook whose cells have ids: without ids, nbgrader would make up new ones each time."""
    nbformat = _import("nbformat")
    try:
        notebook = json.loads(path.read_bytes())
        version = (notebook["nbformat"], notebook["nbformat_minor"])
        if version[0] != 4 or version[1] < 5:
            raise CourseError(f"its format is {version[0]}.{version[1]}, and should be 4.5 or a later 4")
        nbformat.validate(notebook)
    except (ValueError, KeyError, TypeError, nbformat.ValidationError) as error:
        if isinstance(error, CourseError):
            raise
        raise CourseError(f"not a valid notebook: {str(error).splitlines()[0]}") from error
    kernel = notebook["metadata"].get("kernelspec", {}).get("name")
    if kernel != "python3":
        raise CourseError(f"its kernel is {kernel!r}, and should be 'python3'")
    return list(notebook["cells"])


def _check_all_cells(cells: list[Cell]) -> None:
    """What holds for each cell by itself, and grade_ids that are there once."""
    for number, cell in enumerate(cells, start=1):
        if cell.get("outputs") or cell.get("execution_count") is not None:
            raise CourseError(f"cell {number} has been run: clear all outputs before you save it")
        regions = find_regions(_source(cell))
        if regions and not _grading(cell).get("solution"):
            raise CourseError(f"cell {number} has a '{BEGIN}', and its metadata do not say that it is a solution")
        if _grading(cell).get("solution") and not regions:
            raise CourseError(f"cell {number}, {_grade_id(cell)!r}, is a solution without a '{BEGIN}' in it")
    grade_ids = Counter(_grade_id(cell) for cell in cells if _grading(cell))
    for grade_id, times in grade_ids.items():
        if times > 1:
            raise CourseError(f"{times} cells have the grade_id {grade_id!r}: it must be there once")
        if not GRADE_ID.fullmatch(grade_id):
            raise CourseError(f"the grade_id {grade_id!r} may hold letters, digits, - and _ only")


def _check_tasks(cells: list[Cell], points: dict[str, int]) -> None:
    """Each task has its cell, worth what its tests are worth, and nothing else is graded by running it."""
    checks = {
        _grade_id(cell): cell for cell in cells if _grading(cell).get("grade") and not _grading(cell).get("solution")
    }
    for task, total in points.items():
        cell = checks.pop(f"check-{task}", None)
        if cell is None:
            raise CourseError(f"there is no cell with grade=true and the grade_id 'check-{task}' for task {task!r}")
        if _grading(cell).get("points") != total:
            raise CourseError(
                f"the cell 'check-{task}' is worth {_grading(cell).get('points')} points, the visible and hidden tests "
                f"of task {task!r} {total}: write {total} into the cell's metadata"
            )
        expected = CHECK_SOURCE.format(task=task)
        if cell["cell_type"] != "code" or _source(cell).strip() != expected:
            raise CourseError(f"the cell 'check-{task}' should hold these lines, and nothing else:\n{expected}")
        if not _grading(cell).get("locked"):
            raise CourseError(f"the cell 'check-{task}' is not locked: students could change it")
    if checks:
        raise CourseError(f"the cell {next(iter(checks))!r} is graded by running it, and belongs to no task")


def _check_answers(cells: list[Cell]) -> None:
    answers = [_grading(cell) for cell in cells if _grading(cell).get("grade") and _grading(cell).get("solution")]
    total = sum(answer.get("points", 0) for answer in answers)
    if len(answers) != ANSWERS or total != ANSWER_POINTS:
        raise CourseError(
            f"{len(answers)} answers of {total} points in all are graded by hand; "
            f"there should be {ANSWERS}, of {ANSWER_POINTS} points in all"
        )


def _grading(cell: Cell) -> dict[str, Any]:
    return dict(cell["metadata"].get("nbgrader", {}))


def _grade_id(cell: Cell) -> str:
    return str(_grading(cell).get("grade_id", ""))


def _source(cell: Cell) -> str:
    """The format allows a text, or a list of its lines."""
    return "".join(cell["source"])


# --- nbgrader --------------------------------------------------------------------------------------------------------


def _generate(assignments: list[Assignment]) -> dict[Path, bytes]:
    """nbgrader's version for students of each notebook. No configuration file of the user's is read."""
    config = _import("traitlets.config").Config()
    log = logging.Logger("nbgrader, quietly")
    log.addHandler(told := Told())
    with tempfile.TemporaryDirectory(prefix="minigpt-nbgrader-") as name:
        folder = Path(name).resolve()
        for assignment in assignments:
            source = folder / "source" / assignment.name / assignment.source_notebook.name
            source.parent.mkdir(parents=True)
            source.write_bytes(assignment.source_notebook.read_bytes())
        config.CourseDirectory.update({"root": str(folder), "assignment_id": "*"})
        config.GenerateAssignment.no_database = True  # as `nbgrader generate_assignment --no-db`
        config.SaveCells.enabled = False
        course_directory = _import("nbgrader.coursedir").CourseDirectory(config=config, log=log)
        converter = _import("nbgrader.converters").GenerateAssignment(course_directory, config=config, log=log)
        try:
            converter.start()
        except _import("nbgrader.converters.base").NbGraderException as error:
            raise CourseError(f"nbgrader could not make the notebooks:\n{told.text or error}") from error
        return {
            assignment.notebook: (folder / "release" / assignment.name / assignment.notebook.name).read_bytes()
            for assignment in assignments
        }


class Told(logging.Handler):
    """Keeps what nbgrader complains of, instead of printing it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{record.getMessage()}\n"


def _import(name: str) -> Any:
    """A part of nbgrader, or of what it brings along: only instructors have it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CourseError(f"notebooks are made with nbgrader ({error}): pip install -e '.[instructor]'") from error
