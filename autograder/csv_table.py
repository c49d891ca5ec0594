"""Reads a table that someone exported from somewhere else: a CSV file with a line of column names.

    table = read_table(Path("classroom_roster.csv"))
    table.header                    # ("identifier", "github_username", "github_id", "name")
    table.rows[0].line, table.rows[0].cells

Takes a byte order mark, any line ends, quoted cells, and commas, semicolons or tabs between cells (a spreadsheet writes
what the language of its owner asks for). A row with another number of cells than the header is an error, and so is all
that is not UTF-8. Does not know what any column means, and changes no cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.manifest import CourseError

MAX_TABLE = 4 << 20
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Row:
    """One row, and the line of the file that it begins in."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A file's header and rows; `delimiter` and `marked` (a byte order mark) are as they were found."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    delimiter: str = ","
    marked: bool = False

    def column(self, name: str) -> int | None:
        """Where a column is, whatever the case of its name. Two of that name are an error."""
        found = [index for index, each in enumerate(self.header) if each.strip().casefold() == name.casefold()]
        if len(found) > 1:
            raise CourseError(f"{self.path}: there are {len(found)} columns {name}: keep one of them")
        return found[0] if found else None


def read_table(path: Path) -> Table:
    """Every fault is a `CourseError` that names the file, and the line where there is one."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TABLE + 1)
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_TABLE:
        raise CourseError(f"{path} is larger than {MAX_TABLE >> 20} MB: is it the right file?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CourseError(f"{path}, line {line}: not UTF-8 text: save it as CSV UTF-8") from None
    delimiter = max(DELIMITERS, key=lambda each: _width_of_header(text, each))
    rows = _parse(path, text, delimiter)
    if not rows:
        raise CourseError(f"{path} is empty: its first line should name the columns")
    header, *others = rows
    for row in others:
        if len(row.cells) != len(header.cells):
            told = f"{len(row.cells)} cells, where the header has {len(header.cells)}"
            raise CourseError(f"{path}, line {row.line}: {told}")
    return Table(path, header.cells, tuple(others), delimiter, data.startswith(b"\xef\xbb\xbf"))


def _width_of_header(text: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), ()))
    except csv.Error:
        return 0


def _parse(path: Path, text: str, delimiter: str) -> list[Row]:
    """All rows but blank ones."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(Row(line, tuple(cells)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise CourseError(f"{path}, line {max(line, reader.line_num)}: not a row of a CSV file: {error}") from None
    return rows


def written_table(rows: Iterable[Sequence[str | int | float]], delimiter: str = ",", *, marked: bool = False) -> str:
    """The text of a CSV file. Of cells, only what a reader of CSV needs is quoted."""
    file = io.StringIO(newline="")
    if marked:
        file.write("\ufeff")
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue()
