"""Restores a stub, and never loses what a student wrote: their file is moved aside first, under a dated name.

    reset(Course.find(), "04_attention")
    # Reset(stub=.../assignments/04_attention/attention.py, backup=.../.minigpt/backups/attention-2026-11-21-093000.py)

A released repository has its stubs a second time, in `autograder/pristine/`; the instructor's makes them anew from the
references. Does not touch notebooks, and deletes no backup, however old.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from autograder.manifest import Assignment, Course, CourseError
from autograder.stubs import stub_of

PRISTINE = "pristine"  # a folder of this package in what is released
BACKUPS = Path(".minigpt") / "backups"


@dataclass(frozen=True)
class Reset:
    """What was done. `backup` None: there was nothing to keep, since the file was missing or the stub itself."""

    stub: Path
    backup: Path | None


def reset(course: Course, name: str) -> Reset:
    """Puts the stub back. A student's version of it is kept, and where that fails nothing is changed."""
    assignment = course.assignment(name)
    pristine = pristine_stub(assignment)
    stub = assignment.stub
    if stub.is_symlink() or (stub.exists() and not stub.is_file()):
        raise CourseError(f"{stub} is a link or a folder, so it was left alone: remove it, and run this again")
    if stub.is_file() and stub.read_bytes() == pristine:
        return Reset(stub, None)
    descriptor, fresh = tempfile.mkstemp(prefix=f".{stub.name}-", dir=stub.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pristine)
        os.chmod(fresh, 0o644)
        backup = keep_aside(stub, course.root / BACKUPS)  # after the stub is written: a full disk changes nothing
        os.replace(fresh, stub)
    finally:
        Path(fresh).unlink(missing_ok=True)
    return Reset(stub, backup)


def pristine_stub(assignment: Assignment) -> bytes:
    """The stub as it was handed out."""
    if assignment.reference.is_file():
        return stub_of(assignment).encode()
    path = Path(__file__).parent / PRISTINE / assignment.name / assignment.manifest.module
    try:
        return path.read_bytes()
    except OSError as error:
        raise CourseError(
            f"the stub of {assignment.name} is not in this copy of the course ({path}: {error.strerror}). "
            "Take it from the repository that you were given, or ask your instructor."
        ) from error


def keep_aside(path: Path, backups: Path) -> Path | None:
    """Moves a file into the folder of backups, under a name with the time in it; None if there is no such file.

    attention.py -> backups/attention-2026-11-21-093000.py; a second one in the same second ends with -2.py.
    """
    if not path.exists():
        return None
    backups.mkdir(parents=True, exist_ok=True)
    stem = f"{path.stem}-{datetime.now():%Y-%m-%d-%H%M%S}"
    for number in range(1, 1000):
        backup = backups / f"{stem}{'' if number == 1 else f'-{number}'}{path.suffix}"
        try:
            os.link(path, backup)  # fails where there is one already, in one step
        except FileExistsError:
            continue
        path.unlink()
        return backup
    raise CourseError(f"{backups} has a thousand backups of this second: wait for the next one")
