"""Tries an autograder zip without Gradescope: lays out `/autograder` in a folder and runs `run_autograder` there.

    run_harness(Path("gradescope/04_attention.zip"), Path("ada"))       # results.json, checked, as a dict

The scripts read two variables: MINIGPT_AUTOGRADER, where `/autograder` is, and MINIGPT_PYTHON, a Python in place of the
one that setup.sh would install. Here it is the one that runs this, so the zip must hold the very grader that runs it.

Does not run setup.sh, and has neither Gradescope's image nor its limits of memory and time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autograder.gradescope import SUBMISSION, Visibility
from autograder.manifest import CourseError
from autograder.outcome import GraderFault

Format = Literal["text", "html", "simple_format", "md", "ansi"]
DEFAULT_TIMEOUT = 600.0  # Gradescope's own
METADATA = {
    "id": 123456,
    "created_at": "2026-09-14T14:22:32.365935-07:00",
    "assignment": {
        "due_date": "2026-09-15T23:00:00.000000-07:00", "group_size": None, "group_submission": False, "id": 25828,
        "course_id": 1234, "late_due_date": None, "release_date": "2026-09-01T00:00:00.000000-07:00",
        "title": "MiniGPT", "total_points": "80.0", "submission_method": "upload",
    },
    "users": [{"email": "student@example.com", "id": 1234, "name": "Student User"}],
    "previous_submissions": [
        {"submission_time": "2026-09-13T14:24:48.087023-07:00", "score": 0.0, "results": {"score": 0.0, "tests": []}}
    ],
}  # fmt: skip


# --- the format ------------------------------------------------------------------------------------------------------


class TestEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One of the `tests` of results.json, as Gradescope documents it; every field is optional."""

    __test__ = False

    score: float | UnsetType = UNSET
    max_score: float | UnsetType = UNSET
    status: Literal["passed", "failed"] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    name_format: Format | UnsetType = UNSET
    number: str | UnsetType = UNSET
    output: str | UnsetType = UNSET
    output_format: Format | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    visibility: Visibility | UnsetType = UNSET
    extra_data: dict[str, Any] | UnsetType = UNSET


class ResultsFile(msgspec.Struct, forbid_unknown_fields=True):
    """The whole of results.json."""

    score: float | UnsetType = UNSET
    execution_time: float | UnsetType = UNSET
    output: str | UnsetType = UNSET
    output_format: Format | UnsetType = UNSET
    test_output_format: Format | UnsetType = UNSET
    test_name_format: Format | UnsetType = UNSET
    visibility: Visibility | UnsetType = UNSET
    stdout_visibility: Visibility | UnsetType = UNSET
    extra_data: dict[str, Any] | UnsetType = UNSET
    tests: list[TestEntry] | UnsetType = UNSET
    leaderboard: list[dict[str, Any]] | UnsetType = UNSET


def check_results(content: bytes) -> ResultsFile:
    """Reads a results.json as strictly as Gradescope's documentation says it; every fault is a `ValueError`."""
    results = msgspec.json.decode(content, type=ResultsFile)
    tests = results.tests or []
    if results.score is UNSET and (not tests or any(test.score is UNSET for test in tests)):
        raise ValueError("there is no score, neither for the whole nor for each test")
    return results


# --- a run -----------------------------------------------------------------------------------------------------------


def run_harness(
    zip_path: Path, submission: Path, workdir: Path | None = None, timeout: float = DEFAULT_TIMEOUT
) -> dict[str, Any]:
    """Grades a file, a folder or a zip as Gradescope would, and gives its results.json. No valid one: `GraderFault`.

    workdir: a new folder to keep as `/autograder`; without it there is none left afterwards.
    """
    with tempfile.TemporaryDirectory() as temporary:
        root = (workdir or Path(temporary) / "autograder").absolute()
        lay_out(zip_path, submission, root)
        refuse_other_grader(root / "source")
        run_once(root, timeout)
        return read_results(root)


def lay_out(zip_path: Path, submission: Path, root: Path) -> None:
    """Makes `/autograder` as Gradescope does before it runs anything; `root` must not be there yet, or be empty."""
    if not submission.exists():
        raise CourseError(f"{submission} is not there: name the file, the folder or the zip that a student uploads")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise CourseError(f"{root} is not empty: name a new folder")
    source = root / "source"
    try:
        with zipfile.ZipFile(zip_path) as archive:
            archive.extractall(source)
            for member in archive.infolist():
                (source / member.filename).chmod(member.external_attr >> 16 & 0o777)
        shutil.copy(source / "run_autograder", root / "run_autograder")  # with its mode
    except (OSError, zipfile.BadZipFile) as error:
        raise CourseError(f"{zip_path} is no autograder zip: {error}") from error
    _upload(submission, root / SUBMISSION)
    (root / "results").mkdir()
    (root / "submission_metadata.json").write_bytes(msgspec.json.encode(METADATA))


def _upload(submission: Path, target: Path) -> None:
    """What a student hands in, as it then lies there: Gradescope unpacks a zip, and takes what is in a folder."""
    if submission.is_dir():
        shutil.copytree(submission, target, symlinks=True)
        return
    target.mkdir()
    if zipfile.is_zipfile(submission):
        with zipfile.ZipFile(submission) as archive:
            archive.extractall(target)
    else:
        shutil.copy(submission, target / submission.name, follow_symlinks=False)


def refuse_other_grader(source: Path) -> None:
    """The jail always runs the grader that belongs to the Python in use: another one in the zip would not be tried."""
    ours = Path(__file__).parent
    for path in sorted((source / "autograder").rglob("*.py")):
        own = ours / path.relative_to(source / "autograder")
        if not own.is_file() or own.read_bytes() != path.read_bytes():
            raise CourseError(
                f"the zip holds another {own.relative_to(ours.parent)} than {ours}: release it again, and try that one"
            )


def run_once(root: Path, timeout: float = DEFAULT_TIMEOUT, python: str = sys.executable) -> None:
    """Runs `run_autograder` as a process, its output in results/stdout. A failed run is a `GraderFault`."""
    stdout = root / "results" / "stdout"
    environment = os.environ | {"MINIGPT_AUTOGRADER": str(root), "MINIGPT_PYTHON": python}
    with stdout.open("wb") as file:
        try:
            ended = subprocess.run(
                [root / "run_autograder"], cwd=root, env=environment, stdin=subprocess.DEVNULL,
                stdout=file, stderr=subprocess.STDOUT, timeout=timeout,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise GraderFault(f"run_autograder took more than {timeout:.0f} s") from error
    if ended.returncode != 0:
        told = stdout.read_text(errors="replace").strip()
        raise GraderFault(f"run_autograder ended with {ended.returncode}:\n{told}")


def read_results(root: Path) -> dict[str, Any]:
    """The results.json of a run, if Gradescope would take it."""
    path = root / "results" / "results.json"
    try:
        content = path.read_bytes()
        check_results(content)
    except FileNotFoundError as error:
        raise GraderFault("run_autograder wrote no results.json") from error
    except ValueError as error:
        raise GraderFault(f"Gradescope would not take this results.json: {error}") from error
    found: dict[str, Any] = msgspec.json.decode(content)
    return found


def harness_command(zip_path: Path, submission: Path, workdir: Path | None, console: Console) -> int:
    """Runs the harness and prints a table: 0 for a valid results.json, 1 for none."""
    try:
        found = run_harness(zip_path, submission, workdir)
    except GraderFault as fault:
        console.print(f"minigpt: no results.json: {fault}", markup=False, soft_wrap=True)
        return 1
    table = Table("number", "test", "points", "status", "students see it")
    for test in found["tests"]:
        points = f"{test['score']} of {test['max_score']}"
        row = (test["number"], test["name"], points, test["status"], test["visibility"].replace("_", " "))
        table.add_row(*map(Text, row))
    console.print(table)
    if "output" in found:
        console.print(found["output"], markup=False, soft_wrap=True)
    console.print(f"score: {found['score']} of {sum(test['max_score'] for test in found['tests'])}")
    return 0
