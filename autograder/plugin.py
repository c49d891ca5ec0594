"""The pytest plugin: the fixtures `student` and `rng`, the marks, and a table of points at the end.

Installed with the package, so plain `pytest assignments/04_attention` works for a student: the module beside the test
file is loaded in-process, with real objects and pdb. The grader collects with it too, and then calls the tests itself
(see `suite.py`), with a `student` that is a proxy across the value boundary. Nothing in here decides a score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from autograder.manifest import Assignment, Course, CourseError
from autograder.outcome import Fault, Status, printable
from autograder.testing import Draws, derived_seed

DEFAULT_SEED = 0
DEFAULT_LIMIT = 5.0
MAX_SECONDS = 5.0  # a test that took longer is not run again to see more of it


@dataclass(frozen=True)
class Case:
    """One test as its author wrote it."""

    id: str
    task: str
    points: int
    visibility: str
    title: str
    hint: str | None
    limit: float


@dataclass(frozen=True)
class Ran:
    """What became of one test in a run of plain pytest. status: as the grader would call it."""

    file: str
    line: int
    id: str
    task: str
    points: int
    status: Status
    passed: bool


class Backend(Protocol):
    """Where the student's module lives. `own_file`: its path, if that is in this process."""

    own_file: str | None

    def begin(self, case: Case, torch_seed: int) -> Any:
        """Gets ready for one test, and gives the `student` of that test."""

    def end(self) -> Fault | None:
        """The test is over: what it held on the student's side may go. Tells what went wrong, swallowed or not."""


STUDENTS: pytest.StashKey[dict[Path, Backend]] = pytest.StashKey()
CASE: pytest.StashKey[Case] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("minigpt")
    group.addoption("--minigpt-seed", type=int, default=DEFAULT_SEED, help="seed of the drawn inputs (default 0)")
    group.addoption("--minigpt-module", type=Path, help="test this file instead of the module beside the tests")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[STUDENTS] = {}
    for line in (
        "task(id): the task of assignment.toml that the test belongs to",
        "points(n): what the test is worth, a whole number",
        "hint(text): the test's hint where the failing line has none",
        "limit(seconds): wall time that the test may take under the grader",
    ):
        config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("task") is not None:
            item.stash[CASE] = read_case(item)


def read_case(item: pytest.Item) -> Case:
    """The marks of a collected test; a test that is not fully marked is a fault of its author."""
    task, points = (_argument(item, name) for name in ("task", "points"))
    if not isinstance(task, str) or type(points) is not int:
        raise CourseError(f"{item.nodeid}: needs both @task('...') and @points(n)")
    function = getattr(item, "function", None)
    title = ((getattr(function, "__doc__", None) or "").strip() or item.name).splitlines()[0]
    return Case(
        id=item.name,
        task=task,
        points=points,
        visibility="hidden" if item.path.stem.endswith("_hidden") else "visible",
        title=title,
        hint=_argument(item, "hint"),
        limit=float(_argument(item, "limit") or DEFAULT_LIMIT),
    )


def _argument(item: pytest.Item, mark: str) -> Any:
    found = item.get_closest_marker(mark)
    return found.args[0] if found is not None and found.args else None


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> Draws:
    """Random inputs from the run's seed; the same test gets the same inputs for the same seed."""
    return Draws(derived_seed(_seed(request.config), "inputs", request.node.name))


@pytest.fixture
def student(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The student's module."""
    case = request.node.stash.get(CASE, None)
    if case is None:
        raise CourseError(f"{request.node.nodeid}: the `student` fixture needs @task('...') and @points(n)")
    backend = _in_process(request)
    try:
        yield backend.begin(case, derived_seed(_seed(request.config), "torch", case.id))
    finally:
        fault = backend.end()
    if fault is not None:
        raise fault


def _seed(config: pytest.Config) -> int:
    return int(config.getoption("--minigpt-seed"))


def _in_process(request: pytest.FixtureRequest) -> Backend:
    """The backend for the module beside the test file, loaded once per session."""
    from autograder.in_process import InProcess  # needs torch, which a collection alone does not

    test_file = Path(request.node.path)
    backends = request.config.stash[STUDENTS]
    if test_file.parent not in backends:
        assignment = assignment_of(test_file)
        module = request.config.getoption("--minigpt-module") or test_file.parent / assignment.manifest.module
        backends[test_file.parent] = InProcess(assignment.manifest, module)
    return backends[test_file.parent]


def assignment_of(test_file: Path) -> Assignment:
    """The assignment that a test file belongs to: in its own folder or, for hidden tests, beside `solutions/`."""
    course = Course.find(test_file.parent)
    for assignment in course.assignments():
        if test_file.parent.resolve() in (assignment.folder, assignment.solution_folder):
            return assignment
    raise CourseError(f"{test_file} belongs to no assignment of {course.root}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    case = item.stash.get(CASE, None)
    if case is not None and call.excinfo is not None and not _option(item, "fulltrace"):
        call.excinfo = _cut_to_own(item, call.excinfo)
    outcome: Any = yield
    report = outcome.get_result()
    if case is None:
        return
    report.minigpt = _plain(item, case, call)
    if report.failed:
        if call.excinfo is not None and (told := _told_briefly(item, call.excinfo)):
            report.longrepr = told
        if shape := _shape_of(item, call):
            report.sections.append(("shape", shape))
        seed = _seed(item.config)
        report.sections.append(("minigpt", f"inputs drawn with --minigpt-seed {seed}"))
        if hint := getattr(call.excinfo.value if call.excinfo else None, "hint", None) or case.hint:
            report.sections.append(("hint", hint))


def _plain(item: pytest.Item, case: Case, call: pytest.CallInfo[None]) -> list[Any]:
    """What the table at the end needs of a report, in values that pytest-xdist can send from process to process."""
    from autograder.suite import failure

    status = failure(case, call.excinfo.value).status if call.excinfo is not None else "passed"
    if call.duration > MAX_SECONDS:
        status = "timeout"  # under the grader, perhaps; here it is not run again
    return [str(item.path), item.location[1] or 0, case.id, case.task, case.points, status]


def _option(item: pytest.Item, name: str) -> Any:
    """An option of pytest's own; None where the plugin that has it is switched off."""
    return getattr(item.config.option, name, None)


def _own_file(item: pytest.Item) -> str | None:
    backend = item.config.stash[STUDENTS].get(item.path.parent)
    return backend.own_file if backend is not None else None


def _cut_to_own(item: pytest.Item, found: pytest.ExceptionInfo[BaseException]) -> pytest.ExceptionInfo[BaseException]:
    """The exception with the lines of the test and of the student's file alone in its traceback, if there are any."""
    from autograder.tracebacks import cut, cut_causes

    files = {str(item.path), _own_file(item) or ""}
    cut_causes(found.value, files)
    shorter = cut(found.tb, files)
    if shorter is None:
        return found
    return pytest.ExceptionInfo.from_exc_info((found.type, found.value, shorter))


def _told_briefly(item: pytest.Item, found: pytest.ExceptionInfo[BaseException]) -> Any:
    """How a failure is shown where nobody asked for a style: lines, without whole functions and their docstrings."""
    from autograder.tracebacks import own_frames

    if isinstance(found.value, Fault):  # the grader's word for it: its traceback would be the grader's too
        lines = [f"    line {frame.line}: {frame.source}" for frame in own_frames(found.value, _own_file(item))]
        return printable("\n".join([str(found.value), *lines]))
    if _option(item, "tbstyle") != "auto" or _option(item, "fulltrace"):
        return None
    return found.getrepr(style="short")


def _shape_of(item: pytest.Item, call: pytest.CallInfo[None]) -> str | None:
    """What a second run of a failed test tells of shapes. None is made while somebody looks at it in a debugger."""
    from autograder.replay import replay_item  # needs torch

    backend = item.config.stash[STUDENTS].get(item.path.parent)
    watched = _option(item, "usepdb") or _option(item, "trace")
    if backend is None or call.when != "call" or watched or call.duration > MAX_SECONDS:
        return None
    return replay_item(item, item.stash[CASE], assignment_of(item.path), backend.own_file, _seed(item.config))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Points per task, of the tests that ran, and the mistake that it probably is."""
    ran: dict[str, Ran] = {}
    for category in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in terminalreporter.getreports(category):
            if hasattr(report, "minigpt") and (category != "passed" or report.when == "call"):
                before = ran.get(report.nodeid)
                well = category == "passed" and (before is None or before.passed)
                values = [*report.minigpt, well]
                ran[report.nodeid] = Ran(*values)
    if ran:
        terminalreporter.section("points of these tests")
        in_order = sorted(ran.values(), key=lambda each: (each.file, each.line))
        says = _likely(in_order, config)
        for task_id in dict.fromkeys(each.task for each in in_order):
            tests = [each for each in in_order if each.task == task_id]
            got, possible = sum(each.points for each in tests if each.passed), sum(each.points for each in tests)
            terminalreporter.write_line(f"{task_id:<24} {got:>3} of {possible}")
            for line in says.get(task_id, []):
                terminalreporter.write_line(f"  likely: {line}")


def _likely(ran: list[Ran], config: pytest.Config) -> dict[str, list[str]]:
    """By task, of the tests at home. None while somebody debugs, for then no code should run unasked."""
    if (
        _seed(config) != DEFAULT_SEED
        or getattr(config.option, "usepdb", False)
        or getattr(config.option, "trace", False)
    ):
        return {}
    from autograder.likely import likely
    from autograder.suite import Outcome

    says: dict[str, list[str]] = {}
    for file in dict.fromkeys(Path(each.file) for each in ran):
        tests = {each.id: each.status for each in ran if Path(each.file) == file}
        if "failed" in tests.values():
            known = {test: Outcome(status) for test, status in tests.items() if status in ("passed", "failed")}
            says |= likely(file, known, config.getoption("--minigpt-module"))
    return says
