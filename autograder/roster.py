"""Who is in the class, and whose clone is whose: a roster, and the folders of students' repositories.

    roster = read_roster(Path("classroom_roster.csv"))
    roster.students[0]                          # Listed("ada@uni.example", "ada-l", line=2)
    found = find_class(Path("attention-submissions"), roster)
    found.folders                               # {"ada@uni.example": "attention-ada-l", "ben@uni.example": None}

`gh classroom clone student-repos` makes `<slug>-submissions/<slug>-<user name>/` (github/gh-classroom,
student-repos.go), `gh teacher download` of Classroom 50 `<classroom>-<slug>_submissions_<time>/` with a `scores.csv` in
it (foundation50/classroom50, download.go). GitHub Classroom's `classroom_roster.csv` has the columns identifier,
github_username, github_id and name; Classroom 50's has username instead of github_username, and no identifier: add that
column. Where no account is linked yet, the user name is empty: that student is in the class, without a clone.

A clone is a folder and nothing else here: no git command runs on it. Knows no groups that share a repository.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.csv_table import Row, Table, read_table
from autograder.manifest import CourseError
from autograder.submission_zip import shown
from autograder.submissions import find_students, list_folders, why_not_a_name

USER_NAME_COLUMNS = ("github_username", "username")
SCORES = "scores.csv"  # `gh teacher download` puts it beside the clones


@dataclass(frozen=True)
class Listed:
    """A student as the roster has it: `student` is what results are named by, `user_name` may be empty."""

    student: str
    user_name: str
    line: int


@dataclass(frozen=True)
class Roster:
    path: Path
    students: tuple[Listed, ...]


@dataclass(frozen=True)
class Class:
    """Each student's folder, None where there is none, and what is refused, each with the reason.

    A student whose folder is refused is not among `folders`: nothing is known of that work, so it gets no 0.
    """

    folders: dict[str, str | None]
    refused: list[str]
    absent: dict[str, str]


def read_roster(path: Path) -> Roster:
    """Every fault is a `CourseError` that names the file and, where there is one, the line."""
    table = read_table(path)
    identifier = table.column("identifier")
    user_name = next((found for name in USER_NAME_COLUMNS if (found := table.column(name)) is not None), None)
    for found, name in ((identifier, "identifier"), (user_name, "github_username")):
        if found is None:
            there = ", ".join(shown(each) for each in table.header[:20])
            raise CourseError(f"{path}, line 1: there is no column {name}; there are: {there}")
    assert identifier is not None and user_name is not None
    students = tuple(_listed(table, row, identifier, user_name) for row in table.rows)
    if not students:
        raise CourseError(f"{path} lists nobody: it has a header and no rows")
    _refuse_repeated(path, students, "identifier", [each.student for each in students])
    _refuse_repeated(path, students, "user name", [each.user_name for each in students])
    return Roster(path, students)


def _listed(table: Table, row: Row, identifier: int, user_name: int) -> Listed:
    student, name = row.cells[identifier].strip(), row.cells[user_name].strip()
    place = f"{table.path}, line {row.line}"
    if not student:
        raise CourseError(f"{place}: the identifier is empty: results are named by it")
    if (reason := why_not_a_name(student)) is not None:
        told = f"the identifier {_quoted(student)} cannot name a folder of results: {reason}"
        raise CourseError(f"{place}: {told}. An e-mail address or a login will do")
    if name and (reason := why_not_a_name(name)) is not None:
        raise CourseError(f"{place}: {_quoted(name)} is no user name: {reason}")
    return Listed(student, name, row.line)


def _quoted(text: str) -> str:
    return f'"{shown(text)}"'


def _refuse_repeated(path: Path, students: Sequence[Listed], what: str, names: Sequence[str]) -> None:
    """Whatever the case: neither GitHub nor every file system tells "Ada" from "ada"."""
    first: dict[str, int] = {}
    for listed, name in zip(students, names, strict=True):
        if name and (line := first.setdefault(name.casefold(), listed.line)) != listed.line:
            raise CourseError(f'{path}, line {listed.line}: the {what} "{name}" is in line {line} already')


def find_class(root: Path, roster: Roster | None) -> Class:
    """The students and their folders: by the folders' own names, or by a roster."""
    if roster is None:
        students, reasons = find_students(root)
        return Class({student: student for student in students}, reasons, {})
    names, refused = list_folders(root)
    for beside in (SCORES, roster.path.name):
        if (root / beside).is_file():
            refused.pop(beside, None)
    owners = _owners(names, roster)
    refused |= {name: owner for name, owner in owners.items() if isinstance(owner, str)}
    owned = {name: owner for name, owner in owners.items() if isinstance(owner, Listed)}
    doubtful = {listed for name in refused for _, listed in _fitting(name, roster)}
    folders: dict[str, str | None] = {}
    for listed in roster.students:
        folder = next((name for name, owner in owned.items() if owner == listed), None)
        if folder is not None or listed not in doubtful:
            folders[listed.student] = folder
    absent = {each.student: _absent(each) for each in roster.students if folders.get(each.student, "") is None}
    return Class(folders, [f"{shown(name)}: {reason}" for name, reason in sorted(refused.items())], absent)


def _absent(listed: Listed) -> str:
    """Why someone on the roster has nothing to grade."""
    if not listed.user_name:
        return "nothing was handed in: the roster has no GitHub user name here"
    return f"nothing was handed in: there is no folder of {listed.user_name}"


def _fitting(folder: str, roster: Roster) -> list[tuple[str, Listed]]:
    """The students whose user name the folder ends in, longest first, each with what stands before it ("" if nothing).

    `attention-x-ada` fits x-ada, with "attention", and ada, with "attention-x".
    """
    name = folder.casefold()
    found = []
    for listed in roster.students:
        user_name = listed.user_name.casefold()
        if user_name and name == user_name:
            found.append(("", listed))
        elif user_name and name.endswith(f"-{user_name}"):
            found.append((name.removesuffix(f"-{user_name}"), listed))
    return sorted(found, key=lambda each: -len(each[1].user_name))


def _owners(folders: Sequence[str], roster: Roster) -> dict[str, Listed | str]:
    """Each folder's student, or why it is refused.

    Where several names fit, what the other folders begin with decides, and then the longest name: a user name is its
    owner's choice, and "attention-ada" must not take what ada cloned into `attention-ada`.
    """
    fitting = {folder: _fitting(folder, roster) for folder in folders}
    usual = {found[0][0] for found in fitting.values() if len(found) == 1}
    owners = {folder: _owner(found, usual, roster) for folder, found in fitting.items()}
    counted = Counter(owner for owner in owners.values() if isinstance(owner, Listed))
    return {
        folder: f"one of {counted[owner]} folders of {owner.user_name}: leave one of them there"
        if isinstance(owner, Listed) and counted[owner] > 1
        else owner
        for folder, owner in owners.items()
    }


def _owner(found: Sequence[tuple[str, Listed]], usual: set[str], roster: Roster) -> Listed | str:
    if not found:
        return f"the end of its name is nobody's user name in {roster.path}"
    likely = [listed for before, listed in found if before in usual]
    if len(likely) > 1:
        names = " or ".join(listed.user_name for listed in likely)
        return f"it could be the clone of {names}: put clones of one assignment into a folder"
    return likely[0] if likely else found[0][1]
