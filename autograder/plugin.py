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
from autograder.outcome import Fault
from autograder.testing import Draws, derived_seed

DEFAULT_SEED = 0
DEFAULT_LIMIT = 5.0


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
    outcome: Any = yield
    report = outcome.get_result()
    case = item.stash.get(CASE, None)
    if case is None:
        return
    report.minigpt_case = case
    if report.failed:
        seed = _seed(item.config)
        report.sections.append(("minigpt", f"inputs drawn with --minigpt-seed {seed}"))
        if told := getattr(call.excinfo.value if call.excinfo else None, "hint", None) or case.hint:
            report.sections.append(("hint", told))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Points per task, of the tests that ran."""
    passed: dict[Case, bool] = {}
    for category in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in terminalreporter.getreports(category):
            case = getattr(report, "minigpt_case", None)
            if case is not None and (category != "passed" or report.when == "call"):
                passed[case] = passed.get(case, True) and category == "passed"
    earned: dict[str, list[int]] = {}
    for case, all_well in passed.items():
        tally = earned.setdefault(case.task, [0, 0])
        tally[0] += case.points if all_well else 0
        tally[1] += case.points
    if earned:
        terminalreporter.section("points of these tests")
        for task_id, (got, possible) in earned.items():
            terminalreporter.write_line(f"{task_id:<24} {got:>3} of {possible}")
