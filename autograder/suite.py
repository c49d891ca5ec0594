"""Collects an assignment's tests and runs them on a student's module, wherever that module lives.

    suite = collect(assignment, hidden=True)
    outcomes = run(suite, backend, seed=1234)        # {"test_rows_sum_to_one": Outcome("passed", ...), ...}

The instructor's files decide which tests there are: one that does not report an ordinary pass, for whatever reason, has
not passed. pytest runs here, in the trusted process, without the plugins, settings and conftest files that lie about.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autograder import __version__, plugin
from autograder.manifest import Assignment, CourseError, Task
from autograder.outcome import Fault, GraderFault, Status, printable
from autograder.plugin import CASE, FAULT, GRADING, Backend, Case, Grading
from autograder.trap import ForbiddenCall

PYTEST_ARGUMENTS = (
    "-c", os.devnull, "--noconftest", "--import-mode=importlib", "--strict-markers",
    "-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:logging",
    "-p", "no:faulthandler", "-p", "no:unraisableexception", "-p", "no:threadexception", "-p", "no:warnings",
)  # fmt: skip
MAX_MESSAGE = 800


@dataclass(frozen=True)
class Suite:
    """The tests of an assignment, as their authors wrote them."""

    assignment: Assignment
    files: tuple[Path, ...]
    cases: tuple[Case, ...]
    sha256: str

    def of_task(self, task: Task) -> list[Case]:
        return [case for case in self.cases if case.task == task.id]

    @property
    def max_score(self) -> int:
        return sum(case.points for case in self.cases)


@dataclass(frozen=True)
class Outcome:
    """What became of one test. `message` may hold text of the student's: for visible tests only."""

    status: Status
    hint: str | None = None
    message: str | None = None
    seconds: float = 0.0


def collect(assignment: Assignment, *, hidden: bool) -> Suite:
    """The tests, with nothing of a student's at hand. A fault in them is a `CourseError`."""
    files = (assignment.visible_tests, assignment.hidden_tests) if hidden else (assignment.visible_tests,)
    for file in files:
        if not file.is_file():
            raise CourseError(f"{file} is missing: hidden tests are in the instructor's repository only")
    recorder = Recorder()
    _pytest(["--collect-only", *map(str, files)], recorder)
    cases = tuple(recorder.cases)
    _check_cases(assignment, cases)
    return Suite(assignment, files, cases, _digest(assignment, files))


def run(
    suite: Suite, backend: Backend, seed: int, *, tasks: frozenset[str] | None = None, stop_early: bool = False
) -> dict[str, Outcome]:
    """Runs every test, or those of some tasks. A test that was collected and did not report is there too, as failed.

    stop_early: run none after the first that fails; good for no grade, only to learn whether there is one.
    """
    if suite.assignment.manifest.optimizers:
        importlib.import_module("torch._dynamo")  # seconds, which the first test of an optimizer would pay here
    recorder = Recorder(Grading(backend, seed), tasks)
    _pytest([*(["--exitfirst"] if stop_early else []), *map(str, suite.files)], recorder)
    wanted = [case for case in suite.cases if tasks is None or case.task in tasks]
    unexpected = recorder.outcomes.keys() - {case.id for case in wanted}
    if unexpected:
        raise GraderFault(f"tests ran that were not collected: {', '.join(sorted(unexpected))}")
    return {
        case.id: recorder.outcomes.get(case.id, Outcome("failed", case.hint, "this test did not run"))
        for case in wanted
    }


class Recorder:
    """A pytest plugin that notes what was collected and what became of it."""

    def __init__(self, grading: Grading | None = None, tasks: frozenset[str] | None = None) -> None:
        self.cases: list[Case] = []
        self.outcomes: dict[str, Outcome] = {}
        self.fault: GraderFault | None = None
        self.problems: list[str] = []
        self._grading = grading
        self._tasks = tasks
        self._started = 0.0

    def pytest_configure(self, config: pytest.Config) -> None:
        if self._grading is not None:
            config.stash[GRADING] = self._grading
            config.option.tbstyle = "no"  # nobody reads pytest's tracebacks here, and making them is slow

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problems.append(str(report.longrepr))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        unmarked = [item.nodeid for item in items if CASE not in item.stash]
        if unmarked:
            self.problems.append(f"without @task and @points: {', '.join(unmarked)}")
        self.cases = [item.stash[CASE] for item in items if CASE in item.stash]
        if self._tasks is not None:
            items[:] = [item for item in items if CASE in item.stash and item.stash[CASE].task in self._tasks]

    def pytest_internalerror(self, excrepr: object) -> None:
        self.problems.append(str(excrepr))

    def pytest_runtest_logstart(self) -> None:
        self._started = time.perf_counter()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        outcome: Any = yield
        report = outcome.get_result()
        case = item.stash[CASE]
        error = call.excinfo.value if call.excinfo is not None else None
        if isinstance(error, GraderFault):
            self.fault = error
        if error is not None or not report.passed or hasattr(report, "wasxfail"):
            self._note_line(error)
            self.outcomes.setdefault(case.id, failure(case, error))
        elif report.when == "call":
            self.outcomes.setdefault(case.id, Outcome("passed"))
        if report.when == "teardown":
            self._finish(case, item.stash.get(FAULT, None))

    def _note_line(self, error: BaseException | None) -> None:
        """In-process, the line is in the traceback; from a jail it comes with the exception."""
        own_file = self._grading.backend.own_file if self._grading is not None else None
        if error is None or own_file is None or isinstance(error, AssertionError | Fault):
            return
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == own_file]
        if lines:
            error.student_line = lines[-1]  # type: ignore[attr-defined]

    def _finish(self, case: Case, fault: Fault | None) -> None:
        """A fault counts even where the test itself passed, or swallowed it."""
        found = self.outcomes.get(case.id, Outcome("failed", case.hint, "this test did not run"))
        if fault is not None:
            found = failure(case, fault)
        seconds = time.perf_counter() - self._started
        self.outcomes[case.id] = Outcome(found.status, found.hint, found.message, seconds)


def failure(case: Case, error: BaseException | None) -> Outcome:
    """The outcome of a test that ended with this exception; None stands for a skip or the like."""
    if isinstance(error, Fault):
        status = error.status
    elif isinstance(error, ForbiddenCall):
        status = "forbidden"
    elif isinstance(error, NotImplementedError):
        status = "not_attempted"
    else:
        status = "failed"
    hint = getattr(error, "hint", None) or case.hint
    return Outcome(status, hint, _message(error))


def _message(error: BaseException | None) -> str:
    """What a person is told of an exception, in a few lines."""
    if error is None:
        return "this test was skipped, or expected to fail: that is worth nothing"
    if isinstance(error, NotImplementedError):
        return "not written yet"
    line = getattr(error, "student_line", None)
    place = f" (line {line} of your file)" if type(line) is int else ""
    text = str(error)
    if not isinstance(error, AssertionError | Fault):
        text = f"{type(error).__name__}: {text}"
    return _cut(printable(re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", text)) + place)


def _cut(text: str) -> str:
    lines = text.splitlines()[:12]
    short = "\n".join(lines)
    return short if len(short) <= MAX_MESSAGE else short[:MAX_MESSAGE] + " ..."


def _pytest(arguments: list[str], recorder: Recorder) -> None:
    """One pytest run in this process. Every way in which it can fail as a whole is a `GraderFault`.

    pytest knows a test file that it has imported by the path below `--rootdir`, so that is the root of all files: two
    courses may have files of the same name.
    """
    with _quiet_environment():
        code = pytest.main([*PYTEST_ARGUMENTS, "--rootdir", os.sep, *arguments], plugins=[plugin, recorder])
    if code == pytest.ExitCode.INTERRUPTED and not recorder.problems:
        raise KeyboardInterrupt
    if recorder.fault is not None:
        raise recorder.fault
    if recorder.problems or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise GraderFault(
            "the tests could not be run: " + ("\n".join(recorder.problems) or f"pytest ended with {code!r}")
        )


@contextmanager
def _quiet_environment() -> Iterator[None]:
    """pytest reads these; what they hold must not change a grade."""
    changed = {"PYTEST_ADDOPTS": None, "PYTEST_PLUGINS": None, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    before = {name: os.environ.get(name) for name in changed}
    _set_environment(changed)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _check_cases(assignment: Assignment, cases: tuple[Case, ...]) -> None:
    known = {task.id for task in assignment.manifest.tasks}
    names = [case.id for case in cases]
    for case in cases:
        if case.task not in known:
            raise CourseError(
                f"{assignment.name}: {case.id} belongs to task {case.task!r}, which the manifest does not have"
            )
        if names.count(case.id) > 1:
            raise CourseError(f"{assignment.name}: two tests are called {case.id}")
    if not cases:
        raise CourseError(f"{assignment.name}: there are no tests")


def _digest(assignment: Assignment, files: tuple[Path, ...]) -> str:
    digest = hashlib.sha256(__version__.encode())
    for path in (assignment.folder / "assignment.toml", *files):
        digest.update(path.read_bytes())
    return digest.hexdigest()
