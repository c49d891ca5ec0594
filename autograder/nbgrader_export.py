"""The points per task in nbgrader's gradebook, as a table: what `nbgrader export` itself does not give.

    nbgrader export --exporter autograder.nbgrader_export.TaskPoints --to points.csv

A row for each student and assignment. `score` is the sum of the tasks, as in the `grades.csv` of `minigpt grade`;
`written` has the answers that a person grades, and is empty until all of them are. What could not be graded has empty
cells: nbgrader's own export gives a 0 there. A student who handed nothing in has 0 points.

Does not apply late penalties, and says how late a submission was.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nbgrader.api import Assignment, Grade, Gradebook, MissingEntry, SubmittedAssignment
from nbgrader.plugins import ExportPlugin

from autograder.files import write_atomically
from autograder.report import spreadsheet_cell

CHECK = "check-"
COLUMNS = ("student", "assignment", "status", "late_seconds", "score", "max_score", "written", "max_written")
Status = Literal["graded", "missing", "ungraded"]


@dataclass(frozen=True)
class Row:
    """A student's points in an assignment. None is an empty cell."""

    student: str
    assignment: str
    status: Status
    late_seconds: float
    max_score: float
    written: float | None
    max_written: float
    tasks: dict[str, float]

    def cells(self, task_ids: Iterable[str]) -> list[str | float | None]:
        score = sum(self.tasks.values()) if self.status != "ungraded" else None
        points = [self.late_seconds, score, self.max_score, self.written, self.max_written]
        return [self.student, self.assignment, self.status, *points, *(self.tasks.get(task) for task in task_ids)]


class TaskPoints(ExportPlugin):  # type: ignore[misc]
    """Writes `task_points.csv`, or the file that --to names. Takes --student and --assignment, as nbgrader's own."""

    def export(self, gradebook: Gradebook) -> None:
        wanted, students = set(map(str, self.assignment)), set(map(str, self.student))
        found = sorted(gradebook.assignments, key=lambda each: str(each.name))
        assignments = [each for each in found if not wanted or each.name in wanted]
        rows = [
            self._row(gradebook, assignment, student.id)
            for student in sorted(gradebook.students, key=lambda student: (student.id.casefold(), student.id))
            if not students or student.id in students
            for assignment in assignments
        ]
        task_ids = [task for assignment in assignments for task in sorted(_maxima(assignment)[0])]
        target = Path(self.to or "task_points.csv").absolute()
        self.log.info("Exporting points per task to %s", target)
        write_atomically(target, as_csv(rows, task_ids).encode())

    def _row(self, gradebook: Gradebook, assignment: Assignment, student: str) -> Row:
        tasks, written = _maxima(assignment)
        maxima = {"max_score": sum(tasks.values()), "max_written": sum(written.values())}
        try:
            submission = gradebook.find_submission(assignment.name, student)
        except MissingEntry:
            if self._was_handed_in(assignment.name, student):
                return Row(student, assignment.name, "ungraded", 0, written=None, tasks={}, **maxima)
            return Row(student, assignment.name, "missing", 0, written=0, tasks=dict.fromkeys(tasks, 0), **maxima)
        found = _points(submission)
        answers = [found.get(name) for name in written]
        scores = {task: found.get(CHECK + task) for task in tasks}
        graded = {task: score for task, score in scores.items() if score is not None}
        whole = len(graded) == len(scores)
        return Row(
            student,
            assignment.name,
            "graded" if whole else "ungraded",
            submission.total_seconds_late,
            written=None if None in answers else sum(answer for answer in answers if answer is not None),
            tasks=graded if whole else {},
            **maxima,
        )

    def _was_handed_in(self, assignment: str, student: str) -> bool:
        """Whether there is a folder that `nbgrader autograde` has not come to yet, or passed over."""
        directory: Any = getattr(self.parent, "coursedir", None)
        if directory is None:
            return False
        return Path(directory.format_path(directory.submitted_directory, student, assignment)).exists()


def _maxima(assignment: Assignment) -> tuple[dict[str, float], dict[str, float]]:
    """What each task is worth, by its id, and each of the other graded cells, by its grade_id."""
    cells = {cell.name: cell.max_score for notebook in assignment.notebooks for cell in notebook.grade_cells}
    tasks = {name.removeprefix(CHECK): points for name, points in cells.items() if name.startswith(CHECK)}
    return tasks, {name: points for name, points in cells.items() if not name.startswith(CHECK)}


def _points(submission: SubmittedAssignment) -> dict[str, float | None]:
    """Points by grade_id: a person's, else the autograder's, else None."""
    grades: list[Grade] = [grade for notebook in submission.notebooks for grade in notebook.grades]
    return {
        grade.name: None if grade.auto_score is None and grade.manual_score is None else grade.score for grade in grades
    }


def as_csv(rows: Iterable[Row], task_ids: Iterable[str]) -> str:
    tasks = list(task_ids)
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([spreadsheet_cell(column) for column in (*COLUMNS, *(f"task:{task}" for task in tasks))])
    for row in rows:
        writer.writerow([_cell(value) for value in row.cells(tasks)])
    return file.getvalue()


def _cell(value: str | float | None) -> str | float:
    """Whole numbers without a point, as everywhere else; text so that no spreadsheet takes it for a formula."""
    if isinstance(value, float | int):
        return int(value) if value == int(value) else value
    return spreadsheet_cell(value)
