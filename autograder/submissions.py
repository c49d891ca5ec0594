"""Finds a class's submissions and reads them, trusting nothing about the files.

    SUBMISSIONS/ada/04_attention/attention.py                  nbgrader's layout, looked at first
    SUBMISSIONS/ada/assignments/04_attention/attention.py      a clone of the student's repository
    SUBMISSIONS/ada/04_attention.zip                           as `minigpt submit` writes it

A submission is the module, and the files that the manifest lists. Everything else beside it is ignored, and said so.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autograder.manifest import Assignment, CourseError

STUDENT_NAME = re.compile(r"[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*")
TAKEN = frozenset({"index.html", "grades.csv"})  # the reports' own
MAX_SOURCE = 1 << 20
MAX_ZIP = 8 << 20
MAX_NAMED = 8
HARMLESS = frozenset({"README.md", "assignment.toml", "__pycache__", ".ipynb_checkpoints", ".pytest_cache"})


class Refused(Exception):
    """A submission that cannot be taken as it is; says what is wrong with which file."""


@dataclass(frozen=True)
class Submission:
    """What a student handed in for one assignment. Without `files` nothing was, or it was refused: see `problem`."""

    student: str
    assignment: str
    files: dict[str, bytes] | None
    notices: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def source_sha256(self) -> str | None:
        if not self.files:
            return None
        return hashlib.sha256(next(iter(self.files.values()))).hexdigest()


def find_students(root: Path) -> tuple[list[str], list[str]]:
    """The students' folder names in order, and those that are refused, each with the reason."""
    if not root.is_dir():
        raise CourseError(f"{root} is not a folder: it should hold a folder for each student")
    students, refused = [], []
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if not STUDENT_NAME.fullmatch(entry.name) or entry.name in TAKEN:
            refused.append(f"{entry.name!a}: a student's folder is named with letters, digits and ._@+- only")
        elif entry.is_symlink():
            refused.append(f"{entry.name}: a symbolic link, not a folder")
        elif entry.is_dir():
            students.append(entry.name)
        else:
            refused.append(f"{entry.name}: a file where a student's folder should be")
    if not students and not refused:
        raise CourseError(f"{root} is empty: it should hold a folder for each student")
    return students, refused


def read_submission(root: Path, student: str, assignment: Assignment) -> Submission:
    """One student's files for one assignment. What is wrong with them is told in `problem`, never raised."""
    home = root / student
    places = [home / assignment.name, home / "assignments" / assignment.name]
    found = [place for place in places if os.path.lexists(place)]
    archive = home / f"{assignment.name}.zip"
    notices = []
    if len(found) == 2:
        notices.append(f"{places[1].relative_to(root)} is ignored: {places[0].relative_to(root)} comes first")
    try:
        if found:
            files, ignored = _read_folder(found[0], assignment)
        elif os.path.lexists(archive):
            files, ignored = _read_zip(archive, assignment)
        else:
            return Submission(student, assignment.name, None)
    except Refused as refusal:
        return Submission(student, assignment.name, None, tuple(notices), str(refusal))
    except OSError as error:
        return Submission(student, assignment.name, None, tuple(notices), f"cannot be read: {error.strerror}")
    if not files:
        return Submission(student, assignment.name, None, tuple(notices + _ignored_notice(ignored)))
    return Submission(student, assignment.name, files, tuple(notices + _ignored_notice(ignored)))


def _read_folder(folder: Path, assignment: Assignment) -> tuple[dict[str, bytes], list[str]]:
    if folder.is_symlink():
        raise Refused(f"{folder.name} is a symbolic link: hand in the folder itself")
    if not folder.is_dir():
        raise Refused(f"{folder.name} is a file: it should be a folder with {assignment.manifest.module} in it")
    wanted = (assignment.manifest.module, *assignment.manifest.files)
    names = sorted(os.listdir(folder))
    files = {name: read_plain_file(folder / name) for name in wanted if name in names}
    if assignment.manifest.module not in files:
        return {}, names
    return files, [name for name in names if name not in (*wanted, assignment.notebook.name)]


def read_plain_file(path: Path) -> bytes:
    """The bytes of a regular file of reasonable size. Never follows a link, never waits for a pipe."""
    if path.is_symlink():
        raise Refused(f"{path.name} is a symbolic link: hand in the file itself")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor)
        if stat.S_ISDIR(mode.st_mode):
            raise Refused(f"{path.name} is a folder: it should be a file")
        if not stat.S_ISREG(mode.st_mode):
            raise Refused(f"{path.name} is not an ordinary file")
        content = file.read(MAX_SOURCE + 1)
    if len(content) > MAX_SOURCE:
        raise Refused(f"{path.name} is larger than {MAX_SOURCE // 1024} KB")
    return content


def _read_zip(path: Path, assignment: Assignment) -> tuple[dict[str, bytes], list[str]]:
    """Reads the wanted members into memory; nothing is unpacked, so no member's path can lead anywhere."""
    if path.is_symlink() or not path.is_file():
        raise Refused(f"{path.name} is not an ordinary file")
    if path.stat().st_size > MAX_ZIP:
        raise Refused(f"{path.name} is larger than {MAX_ZIP >> 20} MB")
    wanted = (assignment.manifest.module, *assignment.manifest.files)
    files: dict[str, bytes] = {}
    ignored: list[str] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = _wanted_member(member, assignment.name, wanted)
                if name is None or name in files:
                    ignored.append(member.filename)
                    continue
                with archive.open(member) as file:
                    files[name] = file.read(MAX_SOURCE + 1)
                if len(files[name]) > MAX_SOURCE:
                    raise Refused(f"{name} in {path.name} is larger than {MAX_SOURCE // 1024} KB")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise Refused(f"{path.name} is not a zip file that can be read: {error}") from error
    ordered = {name: files[name] for name in wanted if name in files}
    return (ordered, ignored) if assignment.manifest.module in ordered else ({}, ignored)


def _wanted_member(member: zipfile.ZipInfo, assignment: str, wanted: tuple[str, ...]) -> str | None:
    """`attention.py`, from "attention.py", "04_attention/attention.py" or "assignments/04_attention/attention.py"."""
    path = PurePosixPath(member.filename)
    folders = path.parts[:-1]
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if folders in ((), (assignment,), ("assignments", assignment)) and path.name in wanted and not is_link:
        return path.name
    return None


def _ignored_notice(names: list[str]) -> list[str]:
    told = [name for name in names if name not in HARMLESS and not name.endswith("/")]
    if not told:
        return []
    shown = ", ".join(ascii(name)[1:-1][:60] for name in told[:MAX_NAMED])
    more = f" and {len(told) - MAX_NAMED} more" if len(told) > MAX_NAMED else ""
    return [f"ignored, not part of the submission: {shown}{more}"]
