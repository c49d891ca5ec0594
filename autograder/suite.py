"""Collects an assignment's tests and runs them on a student's module, wherever that module lives.

    suite = collect(assignment, hidden=True)
    outcomes = run(suite, backend, seed=1234)        # {"test_rows_sum_to_one": Outcome("passed", ...), ...}

The instructor's files decide which tests there are. pytest collects them once, in the trusted process, without the
plugins, settings and conftest files that lie about. `run` then calls each test function itself, which is all that
pytest would do for it: a test may ask for `student`, `rng` and what `pytest.mark.parametrize` gives, and for nothing
else. One that does not return in the ordinary way, for whatever reason, has not passed.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import re
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from autograder import __version__, plugin
from autograder.manifest import Assignment, CourseError, Task
from autograder.outcome import Diagnosis, Fault, GraderFault, Status, printable
from autograder.plugin import CASE, Backend, Case
from autograder.testing import Draws, derived_seed
from autograder.trap import ForbiddenCall

PYTEST_ARGUMENTS = (
    "-c", os.devnull, "--noconftest", "--import-mode=importlib", "--strict-markers",
    "-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:logging",
    "-p", "no:faulthandler", "-p", "no:unraisableexception", "-p", "no:threadexception", "-p", "no:warnings",
)  # fmt: skip
FIXTURES = frozenset({"student", "rng"})
EXCUSES = ("skip", "skipif", "xfail")
MAX_MESSAGE = 800
MAX_READ = 10 * MAX_MESSAGE


@dataclass(frozen=True)
class Test:
    """A test, ready to be called. `excused`: the mark that would have pytest pass it over, if it has one."""

    __test__: ClassVar[bool] = False  # pytest takes the name for a test's

    case: Case
    function: Callable[..., object]
    fixtures: frozenset[str]
    parameters: dict[str, Any]
    excused: str | None


@dataclass(frozen=True)
class Suite:
    """The tests of an assignment, as their authors wrote them."""

    assignment: Assignment
    files: tuple[Path, ...]
    tests: tuple[Test, ...]
    sha256: str

    @property
    def cases(self) -> tuple[Case, ...]:
        return tuple(test.case for test in self.tests)

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
    diagnosis: Diagnosis | None = None


def collect(assignment: Assignment, *, hidden: bool) -> Suite:
    """The tests, with nothing of a student's at hand. A fault in them is a `CourseError`."""
    files = (assignment.visible_tests, assignment.hidden_tests) if hidden else (assignment.visible_tests,)
    for file in files:
        if not file.is_file():
            raise CourseError(f"{file} is missing: hidden tests are in the instructor's repository only")
    collector = Collector()
    _pytest(["--collect-only", *map(str, files)], collector)
    tests = tuple(_as_test(assignment, item) for item in collector.items)
    _check_cases(assignment, [test.case for test in tests])
    return Suite(assignment, files, tests, _digest(assignment, files))


class Collector:
    """A pytest plugin that notes what is collected, and what goes wrong."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []
        self.problems: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problems.append(_in_short(report.nodeid, str(report.longrepr)))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        unmarked = [item.nodeid for item in items if CASE not in item.stash]
        if unmarked:
            self.problems.append(f"without @task and @points: {', '.join(unmarked)}")
        self.items = list(items)

    def pytest_internalerror(self, excrepr: object) -> None:
        self.problems.append(str(excrepr))


def _in_short(file: str, told: str) -> str:
    """Of pytest's account the lines that say what is wrong with the file, without the way through pytest itself."""
    lines = [line.removeprefix("E").strip() for line in told.splitlines() if line.startswith("E ")]
    return "\n".join([f"{file}:", *lines]) if lines else told


def _as_test(assignment: Assignment, item: pytest.Item) -> Test:
    if not isinstance(item, pytest.Function) or item.cls is not None:
        raise CourseError(f"{assignment.name}: {item.name} is no function: a test that is graded must be one")
    callspec = getattr(item, "callspec", None)
    parameters = dict(callspec.params) if callspec is not None else {}
    asked = frozenset(inspect.signature(item.obj).parameters) - parameters.keys()
    around = frozenset(item.fixturenames) - parameters.keys() - {"request"}  # `rng` itself asks for it
    if unknown := (asked | around) - FIXTURES:
        raise CourseError(
            f"{assignment.name}: {item.name} asks for {', '.join(sorted(unknown))}: a test that is graded may ask for "
            "student, rng and parametrized values"
        )
    excused = next((name for name in EXCUSES if item.get_closest_marker(name) is not None), None)
    return Test(item.stash[CASE], item.obj, asked, parameters, excused)


def run(
    suite: Suite,
    backend: Backend,
    seed: int,
    *,
    tasks: frozenset[str] | None = None,
    tests: frozenset[str] | None = None,
    stop_early: bool = False,
    watch: Callable[[Case, Outcome], None] | None = None,
) -> dict[str, Outcome]:
    """Runs every test, or those of some tasks, or some by name. Every one of them has an outcome.

    stop_early: run none after the first that fails; good for no grade, only to learn whether there is one.
    watch: is told of each outcome, while the backend still knows the test.
    """
    if suite.assignment.manifest.optimizers:
        importlib.import_module("torch._dynamo")  # seconds, which the first test of an optimizer would pay here
    outcomes: dict[str, Outcome] = {}
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):  # noqa: PTH123
        for test in suite.tests:
            if (tasks is not None and test.case.task not in tasks) or (tests is not None and test.case.id not in tests):
                continue
            if stop_early and any(outcome.status != "passed" for outcome in outcomes.values()):
                outcomes[test.case.id] = Outcome("failed", test.case.hint, "this test did not run")
                continue
            started = time.perf_counter()
            found = run_one(test, backend, seed)
            outcomes[test.case.id] = replace(found, seconds=time.perf_counter() - started)
            if watch is not None:
                watch(test.case, found)
    return outcomes


def run_one(test: Test, backend: Backend, seed: int) -> Outcome:
    """One test, as pytest would run it. A fault of the student's side counts even where the test swallowed it."""
    if test.excused is not None:
        return failure(test.case, None)
    error, fault = attempt(test, backend, seed)
    if error is not None:
        _note_line(error, backend.own_file)
    if fault is not None:
        return failure(test.case, fault)
    if error is None:
        return Outcome("passed")
    excuse = isinstance(error, (pytest.skip.Exception, pytest.xfail.Exception))
    return failure(test.case, None if excuse else error)


def attempt(test: Test, backend: Backend, seed: int) -> tuple[BaseException | None, Fault | None]:
    """Calls the test: the exception with which it ended, and the fault of the student's side, swallowed or not."""
    case, arguments = test.case, dict(test.parameters)
    fault = None
    try:
        if "rng" in test.fixtures:
            arguments["rng"] = Draws(derived_seed(seed, "inputs", case.id))
        try:
            if "student" in test.fixtures:
                arguments["student"] = backend.begin(case, derived_seed(seed, "torch", case.id))
            test.function(**arguments)
        finally:
            fault = backend.end() if "student" in test.fixtures else None
    except (KeyboardInterrupt, GraderFault):
        raise
    except BaseException as error:  # also what pytest.skip raises, and SystemExit
        return error, fault
    return None, fault


def _note_line(error: BaseException, own_file: str | None) -> None:
    """In-process, the line is in the traceback; from a jail it comes with the exception."""
    if own_file is None or isinstance(error, AssertionError | Fault):
        return
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == own_file]
    if lines:
        error.student_line = lines[-1]  # type: ignore[attr-defined]


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
    short = printable(re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", text[:MAX_READ]))  # a student may make it endless
    return _cut(short + place)


def _cut(text: str) -> str:
    lines = text.splitlines()[:12]
    short = "\n".join(lines)
    return short if len(short) <= MAX_MESSAGE else short[:MAX_MESSAGE] + " ..."


def _pytest(arguments: list[str], collector: Collector) -> None:
    """One pytest run in this process. Every way in which it can fail as a whole is a `GraderFault`.

    pytest knows a test file that it has imported by the path below `--rootdir`, so that is the root of all files: two
    courses may have files of the same name.
    """
    with _quiet_environment():
        code = pytest.main([*PYTEST_ARGUMENTS, "--rootdir", os.sep, *arguments], plugins=[plugin, collector])
    if code == pytest.ExitCode.INTERRUPTED and not collector.problems:
        raise KeyboardInterrupt
    if collector.problems or code != pytest.ExitCode.OK:
        raise GraderFault(
            "the tests could not be collected; if you changed them, take them as they were handed out: "
            + ("\n".join(collector.problems) or f"pytest ended with {code!r}")
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


def _check_cases(assignment: Assignment, cases: list[Case]) -> None:
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
