"""The command `minigpt`: reads arguments, calls one module for each command, prints what it gives.

Exit codes: 0 it is so, 1 not yet (tests fail, or something could not be graded), 2 the command was called wrongly.
"""

from __future__ import annotations

import contextlib
import io
import sys

from rich.console import Console

from autograder import cli_student, cli_teaching  # they add their commands to the app
from autograder.cli_common import app
from autograder.manifest import CourseError
from autograder.outcome import GraderFault
from autograder.unexpected import explain, raised_by_own_code, wants_traceback

__all__ = ["app", "cli_student", "cli_teaching", "main"]


def main() -> None:
    """The console script. What went wrong is told in sentences; a traceback is for those who ask for one."""
    _print_whatever_the_terminal_knows()
    try:
        app()
    except CourseError as error:
        _end(2, str(error), *raised_by_own_code(error.__cause__))
    except GraderFault as fault:
        _end(1, str(fault))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        if wants_traceback():
            raise
        _end(1, *explain(error))


def _end(code: int, first: str, *others: str) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(f"minigpt: {first}", markup=False, soft_wrap=True)
    for line in others:
        console.print(line, markup=False, soft_wrap=True)
    raise SystemExit(code)


def _print_whatever_the_terminal_knows() -> None:
    """A sign that the terminal's encoding lacks becomes a question mark, and is no reason to stop."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="replace")
