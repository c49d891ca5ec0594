"""Brings a class's results and the rows of a learning system's own table together.

    found = find_rows(table, table.rows, results, None, ("Username", "ID number"), 4)      # {"ada": Row(...)}

A student is found by the one cell that is the student's name, whatever the case. What fits two rows, or two students,
is an error: a grade never goes to somebody who may be another. Knows neither Canvas nor Moodle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autograder.csv_table import Row, Table
from autograder.manifest import CourseError
from autograder.report import spreadsheet_cell
from autograder.result import Result
from autograder.submission_zip import shown

ID_SIGNS = re.compile(r"[A-Za-z0-9._@+-]*")  # no call, no quote, no bar: nothing that a spreadsheet could run
MOST_NAMED = 12

Results = Mapping[str, Mapping[str, Result]]  # student -> assignment -> result


@dataclass(frozen=True)
class Sheet:
    """The text of a CSV file, and what its reader should know."""

    text: str
    notices: list[str]


def find_rows(
    table: Table, rows: Sequence[Row], results: Results, match: str | None, usual: Sequence[str], width: int
) -> dict[str, Row]:
    """Each student's row, by what stands in the columns that name students."""
    places = {
        name: at for name in ([match] if match else usual) if (at := table.column(name)) is not None and at < width
    }
    if not places:
        there = listed([shown(name) for name in table.header[:width]])
        wanted = match or ", ".join(usual)
        raise CourseError(f"{table.path} has no column {wanted}; there are: {there}. Name one with --match")
    index: dict[str, dict[int, str]] = {}
    for number, row in enumerate(rows):
        for name, at in places.items():
            if cell := row.cells[at].strip().casefold():
                index.setdefault(cell, {}).setdefault(number, name)
    found = {student: hits for student in results if (hits := index.get(student.casefold()))}
    for student, hits in found.items():
        if len(hits) > 1:
            told = " and ".join(f"line {rows[number].line} ({name})" for number, name in hits.items())
            raise CourseError(f"{table.path}: {student} is in {told}: say with --match which column names students")
    _refuse_same_row(table, rows, found)
    return {student: rows[next(iter(hits))] for student, hits in found.items()}


def _refuse_same_row(table: Table, rows: Sequence[Row], found: Mapping[str, Mapping[int, str]]) -> None:
    first: dict[int, str] = {}
    for student, hits in found.items():
        number = next(iter(hits))
        if (other := first.setdefault(number, student)) != student:
            told = f"{other} and {student} are both in line {rows[number].line}"
            raise CourseError(f"{table.path}: {told}: say with --match which column names students")


def one_sided(table: Table, rows: Sequence[Row], found: Mapping[str, Row], results: Results, width: int) -> list[str]:
    """Who is in the results alone, and who is in the learning system's file alone."""
    notices = []
    if unknown := [student for student in results if student not in found]:
        if len(unknown) == len(results):
            raise CourseError(
                f"{table.path} has none of the students in it: {listed(unknown)}. Try --match, or a roster"
            )
        notices.append(f"graded, but not in {table.path.name}, so left out: {listed(unknown)}")
    taken = {row.line for row in found.values()}
    if others := [" ".join(filter(None, row.cells[: min(width, 2)])) for row in rows if row.line not in taken]:
        notices.append(
            f"in {table.path.name}, but without results, so left alone: {listed([shown(each) for each in others])}"
        )
    return notices


def person_cells(table: Table, row: Row, places: Sequence[int], ids: Sequence[str]) -> list[str | int]:
    """Ids as they are, whatever they begin with: the system needs them back. Names are kept from being formulas."""
    wanted = {name.casefold() for name in ids}
    cells = [(row.cells[at], table.header[at].strip().casefold() in wanted) for at in places]
    return [cell if is_id and ID_SIGNS.fullmatch(cell) else spreadsheet_cell(cell) for cell, is_id in cells]


def ungraded(results: Results) -> list[str]:
    faults = [
        f"{student} for {name}"
        for student, own in results.items()
        for name, result in own.items()
        if result.status == "grader_error"
    ]
    return [f"not graded, so no grade (the grader failed: grade again): {listed(faults)}"] if faults else []


def assignments_of(results: Results) -> list[str]:
    return sorted({name for own in results.values() for name in own})


def refuse_shared(columns: Mapping[str, object]) -> None:
    for name, column in columns.items():
        if other := [each for each in columns if each != name and columns[each] == column]:
            raise CourseError(
                f"{name} and {other[0]} would go into the same column: say with --column which goes where"
            )


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return "; ".join(names[:MOST_NAMED]) + more
