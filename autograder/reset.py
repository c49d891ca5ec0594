"""Restores a stub, and never loses what a student wrote: their file is moved aside first, under a dated name.

    reset(Course.find(), "04_attention")
    # Reset(stub=.../assignments/04_attention/attention.py, backup=.../.minigpt/backups/attention-2026-11-21-093000.py)

A released repository has its stubs a second time, in `autograder/pristine/`; the instructor's makes them anew from the
references. Does not touch notebooks, and deletes no backup, however old. How a file is kept: `keeping.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autograder.keeping import reason, replace_keeping
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
    pristine, stub = pristine_stub(assignment), assignment.stub
    if stub.is_file() and not stub.is_symlink() and _is_pristine(stub, pristine):
        return Reset(stub, None)
    return Reset(stub, replace_keeping(stub, pristine, course.root / BACKUPS))


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


def same_text(one: bytes, other: bytes) -> bool:
    """Whether nobody changed a thing: editors and git on Windows turn the ends of lines into CRLF by themselves."""
    return one.replace(b"\r\n", b"\n") == other.replace(b"\r\n", b"\n")


def _is_pristine(stub: Path, pristine: bytes) -> bool:
    try:
        return same_text(stub.read_bytes(), pristine)
    except OSError as error:
        raise CourseError(f"{stub} cannot be read, so it was left alone: {reason(error)}") from error
