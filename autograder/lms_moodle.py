"""The CSV file that Moodle imports grades from.

    sheet = moodle_csv(results, Path("participants.csv"), "Email address")

Moodle (grade/import/csv/classes/load_data.php) lets the teacher say which column is what, knows a student by user name,
ID number or e-mail address to the letter, and gives up the whole file at one whom it does not know. "-" is no grade; an
empty cell is that in old columns only. Takes no gradebook apart: columns of other grades are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from autograder.csv_table import read_table, written_table
from autograder.lms_rows import (
    ID_SIGNS,
    Results,
    Sheet,
    assignments_of,
    find_rows,
    listed,
    one_sided,
    person_cells,
    ungraded,
)
from autograder.report import assignment_title, score_of, spreadsheet_cell
from autograder.result import Result

MOODLE_IDS = ("Username", "ID number", "Email address")
MOODLE_NAMES = ("First name", "Last name", "Surname")


def moodle_csv(
    results: Results,
    participants: Path | None = None,
    match: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Sheet:
    """A column that says who, one for each assignment. Which is what, Moodle asks when the file is there."""
    names = assignments_of(results)
    headers = [(columns or {}).get(name) or assignment_title(name) for name in names]
    lines: list[list[str | int]]
    if participants is None:
        who = match or ("Email address" if all("@" in student for student in results) else "Username")
        lines = [[who, *headers]]
        lines += [
            [student if ID_SIGNS.fullmatch(student) else spreadsheet_cell(student), *_moodle_cells(own, names)]
            for student, own in results.items()
        ]
        notices = [
            f'nothing was compared: map "{who}" yourself, and Moodle stops at the first student it does not know'
        ]
        return Sheet(_moodle_text(lines), [*notices, *_told(results, names, headers)])
    table = read_table(participants)
    ids = (*MOODLE_IDS, match) if match else MOODLE_IDS
    wanted = {name.casefold() for name in (*MOODLE_NAMES, *ids)}
    person = [at for at, name in enumerate(table.header) if name.strip().casefold() in wanted]
    found = find_rows(table, table.rows, results, match, MOODLE_IDS, len(table.header))
    lines = [[*(table.header[at] for at in person), *headers]]
    for row in table.rows:
        for student in (student for student, other in found.items() if other is row):
            cells = person_cells(table, row, person, ids)
            lines.append([*cells, *_moodle_cells(results[student], names)])
    notices = one_sided(table, table.rows, found, results, min(2, len(table.header)))
    return Sheet(_moodle_text(lines), [*notices, *_told(results, names, headers)])


def _moodle_cells(own: Mapping[str, Result], names: Sequence[str]) -> list[str | int]:
    scores = [score_of(own[name]) if name in own else None for name in names]
    return ["-" if score is None else score for score in scores]


def _moodle_text(lines: list[list[str | int]]) -> str:
    header, *others = lines
    return written_table([[spreadsheet_cell(name) for name in header], *others])


def _told(results: Results, names: Sequence[str], headers: Sequence[str]) -> list[str]:
    """What Moodle's file cannot say. A new column is out of 100 there, whatever its points."""
    most = {name: max(own[name].max_score for own in results.values() if name in own) for name in names}
    maxima = listed([f"{header} {most[name]}" for name, header in zip(names, headers, strict=True)])
    return [*ungraded(results), *_without_result(results, names), f"set the maximum grades in Moodle: {maxima}"]


def _without_result(results: Results, names: Sequence[str]) -> list[str]:
    """Moodle has no cell that leaves a grade alone."""
    lacking = [f"{student} for {name}" for student, own in results.items() for name in names if name not in own]
    return [f'no result, so "-", which clears a grade that is there: {listed(lacking)}'] if lacking else []
