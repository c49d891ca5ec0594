"""What `minigpt` says when something goes wrong that it did not foresee: what, where, and what to do, in a few lines.

    explain(error)
    # ["IndexError: index 9 is out of bounds",
    #  "in forward, line 41 of .../assignments/04_attention/attention.py: return self.table[ids]",
    #  "Your own code raised this. Try: minigpt check 04_attention", ...]

A traceback says more to those who made this program than to a student, so it is shown only where the environment has
MINIGPT_TRACEBACK=1. Does not decide an exit code.
"""

from __future__ import annotations

import linecache
import os
import traceback
from pathlib import Path

from autograder.keeping import reason
from autograder.outcome import printable

SHOW_ALL = "MINIGPT_TRACEBACK"
MAX_TEXT = 300


def wants_traceback() -> bool:
    """Whether somebody asked for it."""
    return os.environ.get(SHOW_ALL, "") not in ("", "0")


def explain(error: BaseException) -> list[str]:
    """The lines to print, the first of them about the error itself."""
    own = _own_frame(error)
    if own is not None:
        return _of_own_code(error, own)
    if isinstance(error, MemoryError):
        return ["there is not enough memory for this. Close other programs, or use a smaller model or text."]
    if isinstance(error, OSError) and error.errno is not None:
        return [f"the system refused: {reason(error)}.", _more()]
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return [
        f"something went wrong in the course's own tools: {_told(error)}{place}.",
        "It is not your fault, and your files are as they were. Show your instructor these lines and what you typed.",
        _more(),
    ]


def raised_by_own_code(error: BaseException | None) -> list[str]:
    """A line that says where in the student's module this error came from; none if it did not.

    For errors that are told in a sentence already, such as a character that a tokenizer does not know.
    """
    frame = _own_frame(error) if error is not None else None
    return [] if frame is None else [f"({_place(frame)})"]


def _own_frame(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost place in a student's own module, if the exception came through one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(Path(frame.filename))]
    return frames[-1] if frames else None


def _is_own(path: Path) -> bool:
    """Whether a file is a module of an assignment, and not its tests."""
    return (path.parent / "assignment.toml").is_file() and not path.name.startswith("test_")


def _of_own_code(error: BaseException, frame: traceback.FrameSummary) -> list[str]:
    return [
        _told(error),
        _place(frame),
        f"Your own code raised this. Try: minigpt check {Path(frame.filename).parent.name}",
        "Its visible tests may pass all the same: they do not try everything.",
        _more(),
    ]


def _place(frame: traceback.FrameSummary) -> str:
    """in forward, line 41 of .../attention.py: return x @ x"""
    source = linecache.getline(frame.filename, frame.lineno or 0).strip()
    told = f"in {frame.name}, line {frame.lineno} of {frame.filename}"
    return f"{told}: {printable(source)}" if source else told


def _told(error: BaseException) -> str:
    text = printable(str(error)).strip()
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return told if len(told) <= MAX_TEXT else f"{told[:MAX_TEXT]} ..."


def _more() -> str:
    return f"(With {SHOW_ALL}=1 in the environment, the same command shows where it happened in full.)"
