"""What can become of a test, and the exceptions that say so.

A student's own exceptions cross the boundary as built-in ones (`ValueError` and so on). Those below are the grader's
words for the rest. They derive from `Exception` alone, so no `pytest.raises(ValueError)` can take one for a student's.
"""

from __future__ import annotations

import traceback
import unicodedata
from pathlib import Path
from typing import Literal

import msgspec

Status = Literal["passed", "failed", "not_attempted", "forbidden", "timeout", "crashed", "memory"]
MAY_IMPORT = "torch, numpy, regex and jaxtyping"
STATUSES: tuple[Status, ...] = ("passed", "failed", "not_attempted", "forbidden", "timeout", "crashed", "memory")


class Diagnosis(msgspec.Struct, frozen=True):
    """The known mistake whose values a failed test got: its name in `mistakes.py`, and what its author says."""

    mistake: str
    says: str


def printable(text: str) -> str:
    """A student's text as a file and a terminal can take it.

    Half characters, control characters and marks that turn the direction of writing are spelled out, such as "\\x1b".
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in "\n\t"
        else character
        for character in text
    )


class Fault(Exception):
    """The student's side did not come to an ordinary end; `status` is what the test gets."""

    status: Status = "failed"


class ImportFailed(Fault):
    """The module cannot be imported."""

    @staticmethod
    def from_exception(error: BaseException, path: Path) -> ImportFailed:
        if isinstance(error, FileNotFoundError) and error.filename == str(path):
            return ImportFailed(f"there is no {path.name}: write it, or get the stub back with `minigpt reset NAME`")
        if isinstance(error, SyntaxError):
            line, text = error.lineno, error.msg
        else:
            frames = traceback.walk_tb(error.__traceback__)
            lines = [at for frame, at in frames if frame.f_code.co_filename == str(path)]
            line, text = lines[-1] if lines else None, str(error)
        place = f", line {line}" if line else ""
        return ImportFailed(f"{path.name} cannot be imported: {type(error).__name__}: {text}{place}")


class Forbidden(Fault):
    """A call, or an import, that the task does not allow."""

    status: Status = "forbidden"

    def __init__(self, what: str, line: int | None = None) -> None:
        self.what = what
        place = f" (line {line})" if line else ""
        if what.startswith("import "):
            super().__init__(f"{what}{place}: only the standard library, {MAY_IMPORT} may be imported")
        else:
            super().__init__(f"{what} may not be used in this task{place}: write it yourself")


class TimedOut(Fault):
    status: Status = "timeout"


class Crashed(Fault):
    """The process died, or broke the protocol."""

    status: Status = "crashed"


class OutOfMemory(Fault):
    status: Status = "memory"


class NotPlain(Fault):
    """What came back, or is asked with, cannot cross the boundary, such as a tensor of complex numbers."""


class GraderFault(Exception):
    """The grader's own failure: never a student's zero."""
