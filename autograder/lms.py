"""Grades in the form that Canvas and Moodle import, from a folder that `minigpt grade` wrote.

    told = lms_command(Path("graded"), "canvas", Path("to-canvas.csv"), Path("gradebook.csv"), None, [])
    told = lms_command(Path("graded"), "moodle", Path("to-moodle.csv"), Path("participants.csv"), "Email address", [])

The learning system's own export says who its students are, so that its ids, sections and spelling go back as they came;
whoever is on one side alone is named in what is told. `missing` is 0 points. A fault of the grader is no grade: an
empty cell for Canvas, "-" for Moodle, and both clear a grade that was there. A student without any result has no row,
which leaves that student's grades alone.

Points go over as they are: no scaling, no letters, no tasks. Written questions are nbgrader's to export.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from autograder.files import write_atomically
from autograder.lms_canvas import canvas_csv
from autograder.lms_moodle import moodle_csv
from autograder.lms_rows import Results, assignments_of, listed, refuse_shared
from autograder.manifest import CourseError
from autograder.report import score_of
from autograder.result import SCHEMA, Result, read_result
from autograder.submission_zip import shown


def lms_command(
    graded: Path,
    form: Literal["canvas", "moodle"],
    to: Path,
    roster: Path | None,
    match: str | None,
    columns: Sequence[str],
    titles: Mapping[str, str] | None = None,
) -> list[str]:
    """Writes the file and gives what there is to tell, a line each.

    roster: Canvas's exported gradebook, or Moodle's participants or exported grades. match: the column of it that names
    students as the results do. columns: such as "04_attention=Attention (1234)". titles: the manifests' own, by name.
    """
    results = read_graded(graded)
    named = parse_columns(columns, results)
    if form == "moodle":
        sheet = moodle_csv(results, roster, match, named)
    elif roster is None:
        raise CourseError("Canvas takes grades for its own ids only: export its gradebook, and name that file")
    else:
        sheet = canvas_csv(results, roster, named, match, titles)
    if roster is not None and to.exists() and to.samefile(roster):
        raise CourseError(f"{to} is the file that is read: name another one to write")
    write_atomically(to, sheet.text.encode())
    return sheet.notices


def read_graded(graded: Path) -> dict[str, dict[str, Result]]:
    """All results below a folder, each where it says that it belongs."""
    found: dict[str, dict[str, Result]] = {}
    for path in sorted(graded.glob("*/*/result.json")):
        result = _read_one(path)
        found.setdefault(result.student, {})[result.assignment] = result
    if not found:
        raise CourseError(f"{graded} holds no results: name the folder that `minigpt grade` wrote with --out")
    _refuse_mixed(found)
    return found


def _read_one(path: Path) -> Result:
    try:
        result = read_result(path)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CourseError(f"{path} cannot be read: {error}. Grade again to have it anew") from error
    if result.schema != SCHEMA:
        raise CourseError(f"{path} is of {shown(result.schema)}, not {SCHEMA}: grade again")
    if (result.student, result.assignment) != (path.parts[-3], path.parts[-2]):
        raise CourseError(
            f"{path} is of {shown(result.student)} for {shown(result.assignment)}: it lies in a wrong place"
        )
    score = score_of(result)
    if result.status != "grader_error" and (score is None or not 0 <= score <= result.max_score):
        raise CourseError(f"{path}: {score} of {result.max_score} points: grade again")
    return result


def _refuse_mixed(results: Results) -> None:
    """Scores of two versions of the tests are no scores of one class."""
    suites: dict[str, dict[str, list[str]]] = {}
    for student, own in results.items():
        for name, result in own.items():
            suites.setdefault(name, {}).setdefault(result.suite_sha256, []).append(student)
    for name, versions in suites.items():
        if len(versions) > 1:
            fewest = min(versions.values(), key=len)
            raise CourseError(
                f"{name} was graded with {len(versions)} versions of its tests: grade again, or remove what is old. "
                f"Other than most: {listed(fewest)}"
            )


def parse_columns(columns: Sequence[str], results: Results) -> dict[str, str]:
    """`--column "04_attention=Attention (1234)"`, as assignment -> column."""
    known = assignments_of(results)
    found: dict[str, str] = {}
    for each in columns:
        name, sign, column = (part.strip() for part in each.partition("="))
        if not sign or not column:
            raise CourseError(f'--column {each}: it should be such as "04_attention=Attention (1234)"')
        if name not in known:
            raise CourseError(f"--column {each}: there are results of {', '.join(known)}")
        if name in found:
            raise CourseError(f"--column {each}: {name} has a column already")
        found[name] = column
    refuse_shared(found)
    return found
