"""What an instructor reads of a grading: a page for the class, and tables.

write_reports(Path("graded"), records)       # graded/ada/index.html, graded/index.html, graded/grades.csv
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from autograder.alike_pair import Alike, Pair
from autograder.class_figures import histogram
from autograder.class_statistics import (
    TestStatistics,
    all_tasks,
    diagnosis_statistics,
    distributions,
    statistics_of_tests,
    task_statistics,
)
from autograder.csv_table import written_table
from autograder.files import write_atomically
from autograder.report import (
    MiniGPTView,
    Points,
    by_student,
    environment,
    in_order,
    minigpt_view,
    score_of,
    spreadsheet_cell,
    student_page,
    total_points,
)
from autograder.result import MiniGPTRecord, Record, Result
from autograder.submissions import STUDENT_NAME, TAKEN

HARD = 0.5
MOST_ODD_TESTS = 12
MOST_PAIRS = 20

Cell = str | int | float | None


@dataclass(frozen=True)
class StudentRow:
    name: str
    results: dict[str, Result]
    points: Points
    minigpt: MiniGPTView | None


def class_page(records: Sequence[Record], alike: Alike | None = None) -> str:
    """The instructor's page: points, tasks, tests, mistakes, what is alike, and what could not be graded.

    alike: what was found when the submissions were compared; None if they were not.
    """
    ordered = in_order(records)
    results = [record.result for record in ordered]
    tests = statistics_of_tests(ordered)
    return environment.get_template("class.html.j2").render(
        students=[_student_row(name, own) for name, own in by_student(records).items()],
        assignments=sorted({result.assignment for result in results}),
        records=ordered,
        errors=[result for result in results if result.status == "grader_error"],
        missing=sum(result.status == "missing" for result in results),
        unconfined=sum(result.isolation == "none" for result in results if result.status == "graded"),
        histograms=[(one, histogram(one)) for one in distributions(ordered)],
        tasks=task_statistics(results),
        task_titles={task.id: task.title or task.id for task in all_tasks(results)},
        tests={name: list(same) for name, same in groupby(tests, key=lambda test: test.assignment)},
        odd_tests=odd_tests(tests),
        diagnoses=diagnosis_statistics(ordered),
        alike=alike,
        pairs=ranked_pairs(alike) if alike is not None else [],
        most_pairs=MOST_PAIRS,
        validation_loss=validation_loss,
    )


def odd_tests(tests: Sequence[TestStatistics]) -> list[TestStatistics]:
    """Tests to look at: first those that the better ones fail, then those that most fail; the worst first."""
    backwards = [test for test in tests if test.discrimination is not None and test.discrimination < 0]
    hard = [test for test in tests if test not in backwards and test.share < HARD]
    backwards.sort(key=lambda test: test.discrimination or 0.0)
    hard.sort(key=lambda test: test.share)
    return (backwards + hard)[:MOST_ODD_TESTS]


def ranked_pairs(alike: Alike) -> list[tuple[str, Pair]]:
    """Every pair with its assignment, those most alike first, whatever the assignment."""
    every = [(assignment, pair) for assignment, pairs in sorted(alike.pairs.items()) for pair in pairs]
    return sorted(every, key=lambda one: -max(one[1].first_share, one[1].second_share))


# --- tables ----------------------------------------------------------------------------------------------------------


def grades_csv(records: Sequence[Record]) -> str:
    """A row for each submission: student, assignment, status, score, max_score, then the points of each task.

    What a student has no result for is an empty cell, and so is the score of a submission that could not be graded.
    """
    results = [record.result for record in in_order(records)]
    task_ids = [task.id for task in all_tasks(results)]
    columns = ["student", "assignment", "status", "score", "max_score", *(f"task:{id}" for id in task_ids)]
    rows: list[list[Cell]] = []
    for result in results:
        graded = result.status != "grader_error"
        scores = {task.id: task.score for task in result.tasks} if graded else {}
        row: list[Cell] = [result.student, result.assignment, result.status, score_of(result), result.max_score]
        rows.append([*row, *(scores.get(id) for id in task_ids)])
    return _csv(columns, rows)


def per_test_csv(records: Sequence[Record]) -> str:
    """A row for each test. `discrimination` is empty where it is undefined: see `point_biserial`."""
    columns = ["assignment", "task", "test", "title", "visibility", "max_score", "graded", "passed", "share_passed"]
    rows: list[list[Cell]] = []
    for one in statistics_of_tests(in_order(records)):
        discrimination = None if one.discrimination is None else round(one.discrimination, 4)
        names: list[Cell] = [one.assignment, one.task, one.id, one.title, one.visibility]
        rows.append([*names, one.max_score, one.graded, one.passed, round(one.share, 4), discrimination])
    return _csv([*columns, "discrimination"], rows)


def diagnoses_csv(records: Sequence[Record]) -> str:
    """A row for each known mistake that somebody made."""
    rows: list[list[Cell]] = []
    for one in diagnosis_statistics(in_order(records)):
        names: list[Cell] = [one.assignment, " ".join(one.tasks), one.mistake, one.says]
        rows.append([*names, one.graded, one.submissions, round(one.share, 4)])
    return _csv(["assignment", "tasks", "mistake", "says", "graded", "submissions", "share"], rows)


def alike_csv(alike: Alike) -> str:
    """A row for each pair that is alike; lines are those of the longest passages."""
    columns = ["assignment", "first", "second", "first_share", "second_share", "shared_signs"]
    rows: list[list[Cell]] = []
    for assignment, pair in ranked_pairs(alike):
        lines = [
            " ".join(each.first_lines for each in pair.passages),
            " ".join(each.second_lines for each in pair.passages),
        ]
        rows.append([assignment, pair.first, pair.second, pair.first_share, pair.second_share, pair.shared, *lines])
    return _csv([*columns, "first_lines", "second_lines"], rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    return written_table([[_cell(value) for value in row] for row in (columns, *rows)])


def _cell(value: Cell) -> str | int | float:
    return value if isinstance(value, float) else spreadsheet_cell(value)


# --- files -----------------------------------------------------------------------------------------------------------


def write_reports(out: Path, records: Sequence[Record], alike: Alike | None = None) -> None:
    """Writes every page and every table, each whole or not at all."""
    grouped = by_student(records)
    for student in grouped:
        if not STUDENT_NAME.fullmatch(student) or student.casefold() in TAKEN:
            raise ValueError(f"{student!r} cannot be the name of a student's folder in {out}: rename the submission")
    for student, own in grouped.items():
        write_atomically(out / student / "index.html", student_page(student, own).encode())
    write_class_reports(out, records, alike)


def write_class_reports(out: Path, records: Sequence[Record], alike: Alike | None = None) -> None:
    """The class's page and tables alone: once more, when the submissions have been compared."""
    tables = {
        "grades.csv": grades_csv(records),
        "tests.csv": per_test_csv(records),
        "diagnoses.csv": diagnoses_csv(records),
    }
    if alike is not None:
        tables["alike.csv"] = alike_csv(alike)
    else:
        (out / "alike.csv").unlink(missing_ok=True)  # of an earlier grading
    for name, table in tables.items():
        write_atomically(out / name, table.encode())
    write_atomically(out / "index.html", class_page(records, alike).encode())


def _student_row(name: str, records: Sequence[Record]) -> StudentRow:
    results = {record.result.assignment: record.result for record in records}
    return StudentRow(name, results, total_points(results.values()), minigpt_view(records))


def validation_loss(record: MiniGPTRecord | None) -> str:
    """For a table of the class. A loss below the floor is marked: chance, or a model that knew the text."""
    loss = record.validation_loss if record is not None else None
    if record is None or loss is None or not math.isfinite(loss):
        return "no model"
    mark = "below the floor: " if record.floor is not None and loss < record.floor else ""
    return f"{mark}{loss:.3f}"
