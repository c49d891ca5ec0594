"""A traceback cut to what a student can do something about: the test's line, and the lines of their own file.

own_frames(error, "assignments/04_attention/attention.py")
# (Frame(41, "split_heads", "heads = x.view(n_heads, -1)"), Frame(88, "CausalSelfAttention.forward", "q = ..."))
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from autograder.outcome import ImportFailed

MAX_FRAMES = 3


@dataclass(frozen=True)
class Frame:
    """A line of the student's file, and the function that it is in; "" at the top of the module."""

    line: int
    function: str
    source: str


def own_frames(error: BaseException | None, own_file: str | None) -> tuple[Frame, ...]:
    """The student's own lines on the way to the exception, innermost first; of a failed import, those of its cause.

    For a syntax error it is the line that Python names.
    """
    while isinstance(error, ImportFailed) and error.__cause__ is not None:
        error = error.__cause__
    if error is None or own_file is None:
        return ()
    if isinstance(error, SyntaxError) and error.lineno and not _is_other_file(error.filename, own_file):
        return (Frame(error.lineno, "", _source_line(own_file, error.lineno)),)
    frames = [
        Frame(line, _function_of(frame.f_code.co_qualname), _source_line(own_file, line))
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == own_file
    ]
    return tuple(dict.fromkeys(reversed(frames)))[:MAX_FRAMES]


def cut(trace: TracebackType | None, files: Container[str]) -> TracebackType | None:
    """The traceback with the frames of these files alone."""
    kept = []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in files:
            kept.append(trace)
        trace = trace.tb_next
    shorter: TracebackType | None = None
    for each in reversed(kept):
        shorter = TracebackType(shorter, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return shorter


def cut_causes(error: BaseException, files: Container[str]) -> None:
    """Cuts the tracebacks of the exceptions from which this one came."""
    seen = {id(error)}
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        cause.with_traceback(cut(cause.__traceback__, files))
        cause = cause.__cause__ or cause.__context__


def _is_other_file(name: str | None, own_file: str) -> bool:
    return name is not None and name != own_file and Path(name).is_file()


def _function_of(qualified_name: str) -> str:
    """ "make.<locals>.inner" is told as "inner"."""
    name = qualified_name.rpartition("<locals>.")[2]
    return "" if name == "<module>" else name


def _source_line(path: str, line: int) -> str:
    linecache.checkcache(path)
    return linecache.getline(path, line).strip()
