"""`minigpt check --debug`: Python's own debugger, at the place where the first failing test fails.

It stops in the innermost line of the student's own file; or, where their code returned a wrong value, in the test's
line that found out, so that the values can be looked at. `u` goes up, towards the test. Frames of torch, pytest and the
grader are left out. A `breakpoint()` in the student's file works too: the test runs once more, with the terminal open.
"""

from __future__ import annotations

import pdb
from collections.abc import Iterable
from types import TracebackType

from rich.console import Console

from autograder.advice import shortened
from autograder.in_process import InProcess
from autograder.manifest import Course
from autograder.outcome import ImportFailed, printable
from autograder.plugin import DEFAULT_SEED
from autograder.replay import run_plainly, silence
from autograder.selection import select
from autograder.suite import Outcome, Suite, Test, collect, run_one
from autograder.tracebacks import cut

COMMANDS = "p x.shape shows a value, u and d go up and down, l shows the lines around, q leaves."


def debug_command(course: Course, names: Iterable[str], console: Console) -> int:
    """Debugs the first failing test of what is named. 0: nothing fails, 1: something does."""
    waiting: list[str] = []
    for assignment, tasks in select(course, names):
        suite = collect(assignment, hidden=False)
        backend = InProcess(assignment.manifest, assignment.stub)
        chosen = [test for test in suite.tests if tasks is None or test.case.task in tasks]
        for test in chosen:
            with silence():
                outcome = run_one(test, backend, DEFAULT_SEED)
            if outcome.status == "not_attempted":
                waiting.append(test.case.task)
            elif outcome.status != "passed":
                _debug(suite, test, outcome, backend, console)
                return 1
    if waiting:
        _say(console, f"Nothing to debug: {', '.join(dict.fromkeys(waiting))} not written yet.")
        return 1
    _say(console, "Nothing to debug: every test passes.")
    return 0


def _debug(suite: Suite, test: Test, outcome: Outcome, backend: InProcess, console: Console) -> None:
    """The test once more, seen from the terminal; then the debugger where it ended."""
    _say(console, f"{test.case.task}: {test.case.title}")
    error = run_plainly(test, backend, DEFAULT_SEED)
    if error is None:
        _say(console, "  It failed, and passed when it ran again: does it depend on what ran before?")
        return
    _say(console, f"  {shortened(outcome.message or '')}")
    place = _place(error, suite, backend.own_file)
    if place is None:
        return  # such as a syntax error, or an import that is not allowed: the message has the line
    innermost = place
    while innermost.tb_next is not None:
        innermost = innermost.tb_next
    code = innermost.tb_frame.f_code
    whose = suite.assignment.stub.name if code.co_filename == backend.own_file else "the test"
    _say(console, f"  You are in {whose}, line {innermost.tb_lineno}, in {printable(code.co_qualname)}.")
    _say(console, f"  {COMMANDS}")
    pdb.post_mortem(place)


def _place(error: BaseException, suite: Suite, own_file: str | None) -> TracebackType | None:
    """The frames of the student's file and of the tests on the way to the exception, or to what a failed import met."""
    if isinstance(error, ImportFailed) and error.__cause__ is not None:
        error = error.__cause__
    return cut(error.__traceback__, {own_file or "", *map(str, suite.files)})


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
