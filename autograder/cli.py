"""The command `minigpt`: reads arguments, calls one module for each command, prints what it gives.

Exit codes: 0 it is so, 1 not yet (tests fail, or something could not be graded), 2 the command was called wrongly.
"""

from __future__ import annotations

from rich.console import Console

from autograder import cli_student, cli_teaching  # they add their commands to the app
from autograder.cli_common import app
from autograder.manifest import CourseError
from autograder.outcome import GraderFault

__all__ = ["app", "cli_student", "cli_teaching", "main"]


def main() -> None:
    """The console script. What a user did wrong is told in a sentence, never as a traceback."""
    try:
        app()
    except CourseError as error:
        Console(stderr=True, highlight=False).print(f"minigpt: {error}", markup=False, soft_wrap=True)
        raise SystemExit(2) from None
    except GraderFault as fault:
        Console(stderr=True, highlight=False).print(f"minigpt: {fault}", markup=False, soft_wrap=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
