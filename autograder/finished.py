"""What has been graded already: written as it comes, found again when a grading is started a second time.

    write_student(out, "ada", key, graded)    # out/ada/04_attention/result.json and its neighbours, out/ada/graded.json
    kept(out, "ada", key)                     # the same records again; None for another key, or a file that changed

The key stands for all that decides the results: submissions, suites, settings, the grader itself. `graded.json` holds
it, and the SHA-256 of every file of the student's. It is removed first and written last: where it is, all of it is.

`history.json` has what the model was when other code of the student's was last graded into the same folder, whole.
Nothing is graded by it: it is what a student's page compares with.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from autograder.files import write_atomically
from autograder.grader import Graded, Settings, Work, without_grade
from autograder.manifest import CourseError
from autograder.outcome import GraderFault
from autograder.result import Feedback, LastTime, MiniGPTRecord, Record, Result, to_json
from autograder.suite import Suite

BOOK = "graded.json"
GRADING = "grading.json"
HISTORY = "history.json"
LOCK = ".lock"
LEFT_OVER = re.compile(r"\.[a-z]+\.(?:json|html|csv)-[a-z0-9_]{8}")  # as write_atomically names a file on its way


class Book(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`graded.json`. `assignments` in the order of the grading; `files` below the student's folder."""

    key: str
    assignments: tuple[str, ...]
    files: dict[str, str]
    schema: Literal["minigpt/graded/v1"] = "minigpt/graded/v1"


class Grading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`grading.json`: what the whole class has in common."""

    seed: int
    schema: Literal["minigpt/grading/v1"] = "minigpt/grading/v1"


class Source(msgspec.Struct, frozen=True):
    """Of a `result.json`: which code was graded."""

    source_sha256: str | None


def key_of(settings: Settings, suites: Sequence[Suite], work: Work) -> str:
    """A number for everything that a student's results depend on."""
    told = {
        "grader": _grader_sha256(),
        "settings": [settings.seed, settings.tier, settings.hidden, settings.train_steps],
        "limits": msgspec.to_builtins(settings.limits),
        "suites": {suite.assignment.name: suite.sha256 for suite in suites},
        "submissions": [
            [each.assignment, _digests(each.files), each.notices, each.problem] for each in work.submissions
        ],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _digests(files: dict[str, bytes] | None) -> dict[str, str] | None:
    return None if files is None else {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _grader_sha256() -> str:
    """Of this package's own files: a grader that was mended grades anew."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def write_student(out: Path, student: str, key: str, graded: Sequence[Graded]) -> list[Record]:
    """Writes all of a student's files. Without `graded.json` where the grader failed: that is tried again next time.

    Gives the records, with what was last time.
    """
    folder = out / student
    graded = [_writable(each) for each in graded]
    records = [each.record for each in graded]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remember(folder, records)
        (folder / BOOK).unlink(missing_ok=True)
        files: dict[str, str] = {}
        for each in graded:
            files |= _write_record(folder, each)
        if all(each.record.result.status != "grader_error" for each in graded):
            assignments = tuple(each.record.result.assignment for each in graded)
            write_atomically(folder / BOOK, to_json(Book(key, assignments, files)))
        return _with_last_time(folder, records)
    except OSError as error:
        raise GraderFault(
            f"{error.filename or folder} cannot be written: {error.strerror}. Make room, or mend it, and start again "
            "with the same arguments: what is graded is kept"
        ) from error


def _writable(graded: Graded) -> Graded:
    """The same; where it holds something that no file can, a grader's error in its place: others are graded on."""
    try:
        for part in (graded.record.result, graded.record.feedback, graded.record.minigpt):
            to_json(part)
    except ValueError as error:
        return without_grade(graded.record, error)
    return graded


def _write_record(folder: Path, graded: Graded) -> dict[str, str]:
    """One submission's files, with the SHA-256 of each."""
    name = graded.record.result.assignment
    contents = {
        f"{name}/result.json": to_json(graded.record.result),
        f"{name}/feedback.json": to_json(graded.record.feedback),
        f"{name}/timings.json": _timings(graded),
    }
    if graded.record.minigpt is not None:
        contents[f"{name}/minigpt.json"] = to_json(graded.record.minigpt)
    else:
        (folder / name / "minigpt.json").unlink(missing_ok=True)
    for path, content in contents.items():
        write_atomically(folder / path, content)
    return {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}


def _timings(graded: Graded) -> bytes:
    timings = graded.timings
    rounded = {name: round(seconds, 6) for name, seconds in timings.tests.items()}
    parts = {"grading": timings.grading, "diagnosing": timings.diagnosing, "training": timings.training}
    told = {name: round(seconds, 6) for name, seconds in parts.items()} | {"tests": rounded}
    return json.dumps(told, indent=1).encode() + b"\n"


def _remember(folder: Path, new: Sequence[Record]) -> None:
    """Keeps what the model was, before the results of other code take its place.

    Only a whole grading is a last time: one that was stopped half-way has no book, and what was remembered stays.
    """
    found = _whole(folder)
    if found is None:
        return
    book, contents = found
    try:
        old = {name: msgspec.json.decode(contents[f"{name}/result.json"], type=Source) for name in book.assignments}
        fresh = {record.result.assignment: record.result.source_sha256 for record in new}
        if all(old[name].source_sha256 == fresh[name] for name in old.keys() & fresh.keys()):
            return  # the same code, perhaps of more assignments
        models = [contents[f"{name}/minigpt.json"] for name in book.assignments if f"{name}/minigpt.json" in contents]
        model = msgspec.json.decode(models[-1], type=LastTime) if models else None
    except (ValueError, KeyError):  # another version wrote this, or the model was never trained
        return
    if model is not None:
        write_atomically(folder / HISTORY, to_json(model))


def _with_last_time(folder: Path, records: list[Record]) -> list[Record]:
    """The record that has the model gets what was last time, if anything was."""
    try:
        last_time = msgspec.json.decode((folder / HISTORY).read_bytes(), type=LastTime)
    except (OSError, ValueError):
        return records
    return [
        record if record.minigpt is None else msgspec.structs.replace(record, last_time=last_time) for record in records
    ]


def kept(out: Path, student: str, key: str) -> list[Record] | None:
    """A student's records from an earlier run; None where there are none, or not for this key, or not whole."""
    folder = out / student
    found = _whole(folder)
    if found is None or found[0].key != key:
        return None
    book, contents = found
    try:
        return _with_last_time(folder, [_record(contents, name) for name in book.assignments])
    except (ValueError, KeyError):  # written by this grader, and yet no record: made anew
        return None


def _whole(folder: Path) -> tuple[Book, dict[str, bytes]] | None:
    """A student's book and files, if all of them are as they were written."""
    try:
        book = msgspec.json.decode((folder / BOOK).read_bytes(), type=Book)
        contents = {name: (folder / name).read_bytes() for name in book.files}
    except (OSError, ValueError):  # not there, or not what this version writes
        return None
    return (book, contents) if _digests(contents) == book.files else None


def _record(contents: dict[str, bytes], assignment: str) -> Record:
    model = contents.get(f"{assignment}/minigpt.json")
    return Record(
        result=msgspec.json.decode(contents[f"{assignment}/result.json"], type=Result),
        feedback=msgspec.json.decode(contents[f"{assignment}/feedback.json"], type=Feedback),
        minigpt=None if model is None else msgspec.json.decode(model, type=MiniGPTRecord),
    )


def seed_for(out: Path, given: int | None) -> int:
    """The seed to grade with: the one that is given, or that of the grading in `out`, or a new one."""
    path = out / GRADING
    if given is not None:
        return given
    if not path.exists():
        return secrets.randbits(32)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Grading).seed
    except (OSError, ValueError) as error:
        raise CourseError(f"{path} cannot be read ({error}): name the seed with --seed, or a new --out") from error


@contextmanager
def writing(out: Path, seed: int) -> Iterator[None]:
    """While it lasts, no other process grades into `out`. What a killed one left half-written is cleared away."""
    out.mkdir(mode=0o700, parents=True, exist_ok=True)  # grades, and the seed, are nobody else's business
    with (out / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = f"another minigpt grade is writing to {out}: wait for its end, or name another --out"
            raise CourseError(told) from None
        for path in out.rglob(".*"):
            if LEFT_OVER.fullmatch(path.name):
                path.unlink()
        write_atomically(out / GRADING, to_json(Grading(seed)))
        yield
