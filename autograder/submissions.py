"""Finds a class's submissions and reads them, trusting nothing about the files.

    SUBMISSIONS/ada/04_attention/attention.py                  nbgrader's layout, looked at first
    SUBMISSIONS/ada/assignments/04_attention/attention.py      a clone of the student's repository
    SUBMISSIONS/attention-ada/assignments/...                  as `gh` names it; whose it is, a roster says: `roster.py`
    SUBMISSIONS/ada/04_attention.zip                           as `minigpt submit` writes it: see `submission_zip.py`

A submission is the module, and the files that the manifest lists. Everything else beside it is ignored, and said so.
Below SUBMISSIONS every folder is opened from the one above it and never through a symbolic link, so that a link that is
put there between two looks leads nowhere either. Does not look into the source: not even whether it is text.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from autograder.manifest import Assignment, CourseError
from autograder.submission_zip import MAX_SOURCE, MAX_ZIP, Refused, read_zip, shown, similar

STUDENT_NAME = re.compile(r"[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*")
TAKEN = frozenset(
    {"index.html", "grades.csv", "tests.csv", "diagnoses.csv", "alike.csv", "grading.json"}  # the reports' own
)
CLONES = re.compile(r"-submissions$|_submissions_")  # `gh classroom clone`, `gh teacher download`
MAX_STUDENT_NAME = 100
MAX_ENTRIES = 10_000
MAX_NAMED = 8
HARMLESS = frozenset(
    {"README.md", "assignment.toml", "diagnosis.npz", "__pycache__", ".ipynb_checkpoints", ".pytest_cache"}
    | {"timestamp.txt", "submission_secret.txt"}  # nbgrader's own
)


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
    students, refused = list_folders(root)
    return students, [f"{shown(name)}: {reason}" for name, reason in refused.items()]


def list_folders(root: Path) -> tuple[list[str], dict[str, str]]:
    """The folders that may be students', in order, and every other entry with the reason why it is none."""
    if not root.is_dir():
        raise CourseError(f"{root} is not a folder: it should hold a folder for each student")
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError as error:
        raise CourseError(f"{root} cannot be listed: {error.strerror}") from error
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    if not entries:
        raise CourseError(f"{root} is empty: it should hold a folder for each student")
    of_clones = [entry.name for entry in entries if _holds_clones(entry)]
    if of_clones and of_clones == [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]:
        which = "that folder" if len(of_clones) == 1 else "one of those folders"
        raise CourseError(f"{root} only holds {', '.join(map(shown, of_clones))}, with clones in it: grade {which}")
    reasons = {entry.name: _why_not(entry) for entry in entries}
    folders = [name for name, reason in reasons.items() if reason is None]
    return folders, {name: reason for name, reason in reasons.items() if reason is not None}


def _holds_clones(entry: os.DirEntry[str]) -> bool:
    """Whether this is the folder that `gh` puts a class's clones into, not one of them."""
    if not CLONES.search(entry.name) or not entry.is_dir(follow_symlinks=False):
        return False
    try:
        with os.scandir(entry.path) as inside:
            return any(os.path.isdir(os.path.join(each.path, ".git")) for each in islice(inside, MAX_ENTRIES))
    except OSError:
        return False


def why_not_a_name(name: str) -> str | None:
    """Why this cannot name a student; None if it can."""
    if not STUDENT_NAME.fullmatch(name):
        return "a student's folder is named with letters, digits and ._@+- only"
    if name.casefold() in TAKEN:
        return "this name is taken by the reports"
    if len(name) > MAX_STUDENT_NAME:
        return f"a name of more than {MAX_STUDENT_NAME} characters"
    return None


def _why_not(entry: os.DirEntry[str]) -> str | None:
    """Why this is no student's folder; None if it is one."""
    if (reason := why_not_a_name(entry.name)) is not None:
        return f"{reason}: rename the folder"
    if entry.is_symlink():
        return "a symbolic link, not a folder"
    if not entry.is_dir(follow_symlinks=False):
        return "a file where a student's folder should be"
    if _holds_clones(entry):
        return "not a student's: it holds the clones of a class: grade it by itself"
    return None


def read_submission(root: Path, student: str, assignment: Assignment, folder: str | None = None) -> Submission:
    """One student's files for one assignment. What is wrong with them is told in `problem`, never raised.

    folder: the name of the student's folder in `root`, where it is not the student's own.
    """
    notices: list[str] = []
    files: dict[str, bytes] | None = None
    problem = None
    try:
        with ExitStack() as opened:
            files = _read(opened, root, folder or student, assignment, notices)
    except Refused as refusal:
        problem = str(refusal)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    return Submission(student, assignment.name, files, tuple(sorted(notices)), problem)


def _read(
    opened: ExitStack, root: Path, student_folder: str, assignment: Assignment, notices: list[str]
) -> dict[str, bytes] | None:
    """The files, from the first place that has any; None where nothing was handed in."""
    name, archive = assignment.name, f"{assignment.name}.zip"
    home = _open_folder(opened, os.fspath(root / student_folder), None)
    if home is None:
        return None
    folder = _open_folder(opened, name, home)
    repository = _open_folder(opened, "assignments", home) if folder is None else None
    first = name
    if repository is not None:
        folder, first = _open_folder(opened, name, repository), f"assignments/{name}"
    if folder is not None:
        for other in (f"assignments/{name}", archive):
            if other != first and _is_there(home, other):
                notices.append(f"{student_folder}/{other} is ignored: {student_folder}/{first} comes first")
        return _read_folder(folder, assignment, notices)
    if _is_there(home, archive):
        found, ignored = read_zip(read_plain_file(archive, home, MAX_ZIP), archive, assignment)
        _note_ignored(ignored, assignment, notices)
        return found
    _note_misplaced(home, assignment, notices)
    return None


def _open_folder(opened: ExitStack, name: str, parent: int | None) -> int | None:
    """A descriptor of the folder of that name in `parent`; None where there is nothing. Links are refused."""
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        return None
    except NotADirectoryError:  # what Linux says of a link, too
        if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise Refused(f"{Path(name).name} is a symbolic link: hand in the folder itself") from None
        raise Refused(f"{Path(name).name} is a file: it should be a folder") from None
    except OSError as error:
        raise Refused(f"the folder {Path(name).name} cannot be opened: {error.strerror}") from None
    opened.callback(os.close, descriptor)
    return descriptor


def _is_there(folder: int, path: str) -> bool:
    try:
        os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _names_in(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in islice(entries, MAX_ENTRIES + 1))
    if len(names) > MAX_ENTRIES:
        raise Refused(f"a folder with more than {MAX_ENTRIES} files: hand in the assignment's own files only")
    return names


def _read_folder(folder: int, assignment: Assignment, notices: list[str]) -> dict[str, bytes] | None:
    module = assignment.manifest.module
    wanted = (module, *assignment.manifest.files)
    names = _names_in(folder)
    _note_ignored([name for name in names if name not in wanted], assignment, notices)
    if module not in names:
        if alike := [name for name in names if similar(name, module)]:
            raise Refused(f"there is no {module}; there is {shown(alike[0])}: rename it to {module}")
        return None
    return {name: read_plain_file(name, folder) for name in wanted if name in names}


def read_plain_file(path: str | Path, folder: int | None = None, limit: int = MAX_SOURCE) -> bytes:
    """The bytes of a regular file of reasonable size. Never follows a link, never waits for a pipe.

    folder: the descriptor of an open folder that `path` is relative to.
    """
    name = Path(path).name
    kind = os.stat(path, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(kind):
        raise Refused(f"{name} is a symbolic link: hand in the file itself")
    if stat.S_ISDIR(kind):
        raise Refused(f"{name} is a folder: it should be a file")
    if not stat.S_ISREG(kind):
        raise Refused(f"{name} is not an ordinary file")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise Refused(f"{name} cannot be opened: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # it was replaced since the first look
            raise Refused(f"{name} is not an ordinary file")
        content = file.read(limit + 1)
    if len(content) > limit:
        size = f"{limit >> 20} MB" if limit >= 1 << 20 else f"{limit >> 10} KB"
        raise Refused(f"{name} is larger than {size}")
    return content


def _note_ignored(names: list[str], assignment: Assignment, notices: list[str]) -> None:
    harmless = {*HARMLESS, assignment.notebook.name, assignment.visible_tests.name}
    told = sorted(name for name in names if not name.endswith("/") and harmless.isdisjoint(name.split("/")))
    if told:
        more = f" and {len(told) - MAX_NAMED} more" if len(told) > MAX_NAMED else ""
        listed = ", ".join(shown(name) for name in told[:MAX_NAMED])
        notices.append(f"ignored, not part of the submission: {listed}{more}")


def _note_misplaced(home: int, assignment: Assignment, notices: list[str]) -> None:
    """Nothing is where it should be: names what looks as if it were meant."""
    name, module = assignment.name, assignment.manifest.module
    rights = (name, f"{name}.zip", module)
    meant = [each for each in _names_in(home) if each == module or any(similar(each, right) for right in rights)]
    if meant:
        listed = ", ".join(shown(each) for each in meant[:MAX_NAMED])
        notices.append(f"expected {name}/{module}, assignments/{name}/{module} or {name}.zip; not looked at: {listed}")
