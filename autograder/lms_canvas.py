"""The CSV file that Canvas imports grades from, made of the gradebook that it exported.

    sheet = canvas_csv(results, Path("gradebook.csv"))

Canvas's importer (canvas-lms, lib/gradebook_importer.rb) wants Student, ID, its SIS columns and Section in the
exporter's order, finds a student by ID and an assignment by the number in "Attention (1234)", and leaves columns and
students that are not in the file alone. An empty cell clears a grade that was there. "EX" is excused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from autograder.csv_table import Row, Table, read_table, written_table
from autograder.lms_rows import (
    Results,
    Sheet,
    assignments_of,
    find_rows,
    listed,
    one_sided,
    person_cells,
    refuse_shared,
    ungraded,
)
from autograder.manifest import CourseError
from autograder.report import score_of, spreadsheet_cell
from autograder.result import Result
from autograder.submission_zip import shown

CANVAS_IDS = ("SIS Login ID", "SIS User ID", "ID", "Integration ID")
WITH_NUMBER = re.compile(r"(.*\S)\s+\(\d+\)")


def canvas_csv(
    results: Results,
    gradebook: Path,
    columns: Mapping[str, str] | None = None,
    match: str | None = None,
    titles: Mapping[str, str] | None = None,
) -> Sheet:
    """The students' columns of the gradebook as they are, and a column for each assignment that has one there."""
    table = read_table(gradebook)
    width = _person_width(table)
    points = next((row for row in table.rows if "Points Possible" in row.cells[0]), None)
    rows = [row for row in table.rows if row is not points and any(cell.strip() for cell in row.cells[:width])]
    places, notices = _canvas_columns(table, width, results, columns or {}, titles or {})
    found = find_rows(table, rows, results, match, CANVAS_IDS, width)
    order = [student for row in rows for student, other in found.items() if other is row]
    ids = (*CANVAS_IDS, match) if match else CANVAS_IDS
    lines: list[list[str | int]] = [
        [*table.header[:width], *(spreadsheet_cell(table.header[at]) for at in places.values())]
    ]
    if points is not None:
        lines.append([points.cells[place] for place in (*range(width), *places.values())])
        notices += _other_maxima(points, places, results)
    for student in order:
        person = person_cells(table, found[student], range(width), ids)
        own = results[student]
        lines.append([*person, *(_canvas_cell(own.get(name), found[student].cells[at]) for name, at in places.items())])
    notices += _excused(order, found, places, results) + one_sided(table, rows, found, results, width)
    return Sheet(written_table(lines, table.delimiter, marked=table.marked), notices + ungraded(results))


def _person_width(table: Table) -> int:
    """How many columns say who a student is: all up to Section."""
    section = table.column("Section")
    names = ("Student", "LastName")
    if section is None or table.column("ID") is None or not any(name in table.header[0] for name in names):
        told = "its first line should begin with Student, and have the columns ID and Section"
        raise CourseError(f"{table.path} is no gradebook as Canvas exports it: {told}")
    return section + 1


def _canvas_columns(
    table: Table, width: int, results: Results, columns: Mapping[str, str], titles: Mapping[str, str]
) -> tuple[dict[str, int], list[str]]:
    """Where each assignment's column is, and which have none."""
    places: dict[str, int] = {}
    without = []
    for name in assignments_of(results):
        wanted = {_plain(columns[name])} if name in columns else _names_of(name, titles.get(name))
        fitting = [at for at in range(width, len(table.header)) if wanted & _spellings(table.header[at])]
        if len(fitting) > 1:
            there = ", ".join(shown(table.header[at]) for at in fitting)
            raise CourseError(f'{table.path}: {name} could be {there}: say which with --column "{name}=..."')
        if fitting:
            places[name] = fitting[0]
        elif name in columns:
            raise CourseError(f"{table.path} has no column {columns[name]}; {_there_are(table, width)}")
        else:
            without.append(
                f'{name} has no column in {table.path.name} and is left out: --column "{name}=..." names one'
            )
    if not places:
        first = assignments_of(results)[0]
        told = f'{_there_are(table, width)}. Name one with --column "{first}=..."'
        raise CourseError(f"{table.path} has no column for {', '.join(assignments_of(results))}; {told}")
    refuse_shared(places)
    return places, without


def _there_are(table: Table, width: int) -> str:
    return f"there are: {listed([shown(name) for name in table.header[width:]])}"


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").casefold().split())


def _spellings(header: str) -> set[str]:
    """A column as it is called, with and without Canvas's number."""
    numbered = WITH_NUMBER.fullmatch(header.strip())
    return {_plain(header)} | ({_plain(numbered[1])} if numbered else set())


def _names_of(assignment: str, title: str | None) -> set[str]:
    """What a column for this assignment may be called: "04_attention", "04 Attention", "Attention"."""
    number, _, rest = assignment.partition("_")
    names = [assignment, rest, *((title, f"{number} {title}") if title else ())]
    return {_plain(name) for name in names if name}


def _canvas_cell(result: Result | None, cell: str) -> str | int:
    """The points. Whoever is excused in Canvas stays so, and what was not graded here keeps what it has."""
    if result is None or cell.strip().casefold() == "ex":
        return spreadsheet_cell(cell)
    score = score_of(result)
    return "" if score is None else score


def _excused(order: list[str], found: Mapping[str, Row], places: Mapping[str, int], results: Results) -> list[str]:
    return [
        f"{student} is excused from {name} in Canvas, and stays so"
        for student in order
        for name, at in places.items()
        if name in results[student] and found[student].cells[at].strip().casefold() == "ex"
    ]


def _other_maxima(points: Row, places: Mapping[str, int], results: Results) -> list[str]:
    """Points go over unscaled, so what Canvas thinks is full marks matters."""
    notices = []
    for name, at in places.items():
        ours = max(own[name].max_score for own in results.values() if name in own)
        theirs = points.cells[at].strip().replace(",", ".")
        try:
            same = float(theirs) == ours
        except ValueError:
            same = False
        if not same:
            notices.append(f"{name} has {ours} points here and {theirs or 'none'} in Canvas: set it to {ours} there")
    return notices
