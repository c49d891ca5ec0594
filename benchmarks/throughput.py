"""Submissions per minute, beside nbgrader's own way: python benchmarks/throughput.py [SUBMISSIONS] [--rounds N] ...

The class is drawn by a seed from 04_attention: its reference, alternatives and mistakes. Nobody in it runs into a time
limit, so every way does the same tests on the same modules with the same inputs. One mistake is left out: it writes
into its arguments, which in a kernel are the test's own tensors and in a jail copies, so other tests fail in a kernel.

The ways, in turns, each as a command of its own, from its start to its end:

    minigpt grade, 1 job and 2     the class several times over (--rounds), as it is graded in a second or two otherwise
    nbgrader autograde             its kernel, its Execute preprocessor, its gradebook; the class once

nbgrader's notebook is as lean as can be: one cell that imports the module, then one cell for each task, which runs the
task's visible and hidden tests in the kernel, with no jail, and ends with their points. There is no text and no plot.

The first figures are of whole commands. "steady" leaves the start out: each way also grades the first few submissions
alone, and the difference is what the others took. Every submission's points per task must be the same everywhere, or
this ends with an error.

The second table is the price of the boundary: what a submission takes with one job in steady state, beyond the bodies
of its tests run in-process, which any grader must pay. All of it is on one thread of torch. Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from nbgrader.api import Gradebook
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from autograder import plugin
from autograder.manifest import Assignment, Course
from autograder.suite import PYTEST_ARGUMENTS, Suite, collect
from autograder.variants import read_alternatives, read_mistakes

COURSE = Course.find(Path(__file__).parent)
NAME = "04_attention"
SEED = 1234
SCRIPTS = Path(sys.executable).parent
WRITES_INTO_ITS_ARGUMENTS = {"fills_the_callers_mask"}
SETUP = """\
from pathlib import Path

from autograder.in_process import InProcess
from autograder.manifest import Course
from autograder.result import score_tasks
from autograder.suite import collect, run

suite = collect(Course(Path({root!r})).assignment({name!r}), hidden=True)
student = InProcess(suite.assignment.manifest, Path({module!r}))


def score(task):
    return sum(each.score for each in score_tasks(suite, run(suite, student, {seed}, tasks=frozenset([task]))))
"""

Points = dict[str, dict[str, int]]  # student -> task -> points


@dataclass(frozen=True)
class Way:
    """A way to grade. `start`: how many submissions its shorter run has. `grade`: gives seconds and points."""

    name: str
    submissions: int
    start: int
    grade: Callable[[int], tuple[float, Points]]


@dataclass
class Times:
    """Seconds of a way's runs: of the whole class, and of its first submissions alone."""

    whole: list[float] = field(default_factory=list)
    start: list[float] = field(default_factory=list)

    def per_minute(self, way: Way) -> float:
        return 60 * way.submissions / statistics.median(self.whole)

    def steady_seconds(self, way: Way) -> float:
        """Seconds for one submission more."""
        more = [whole - start for whole, start in zip(self.whole, self.start, strict=True)]
        return statistics.median(more) / (way.submissions - way.start)


def draw_class(assignment: Assignment, submissions: int, seed: int) -> list[str]:
    """The reference, then a quarter of right variants and three quarters of wrong ones, in a drawn order."""
    rng = random.Random(seed)
    right = read_alternatives(assignment)
    wrong = [each for each in read_mistakes(assignment) if each.name not in WRITES_INTO_ITS_ARGUMENTS]
    n_right = min(len(right), submissions // 4)
    n_wrong = submissions - 1 - n_right
    if not 1 <= n_wrong <= len(wrong):
        sys.exit(f"SUBMISSIONS must be from 2 to {1 + len(right) + len(wrong)}: there are no more variants")
    drawn = [each.source for each in [*rng.sample(right, n_right), *rng.sample(wrong, n_wrong)]]
    rng.shuffle(drawn)
    return [assignment.reference.read_text(encoding="utf-8"), *drawn]


def write_class(folder: Path, sources: Iterable[str], module: str) -> None:
    for number, source in enumerate(sources):
        target = folder / f"student-{number:03}" / NAME / module
        target.parent.mkdir(parents=True)
        target.write_text(source, encoding="utf-8")


def command(arguments: Sequence[str | Path], folder: Path) -> float:
    """Seconds that a command takes as a whole process; its output only if it fails."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",  # nbgrader calls alembic by name
        "PYTHONPATH": str(COURSE.root),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    started = time.perf_counter()
    ended = subprocess.run(list(map(str, arguments)), cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if ended.returncode != 0:
        sys.exit(
            f"{' '.join(map(str, arguments))} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"[-4000:]
        )
    return seconds


# --- minigpt grade ---------------------------------------------------------------------------------------------------


def minigpt_grade(sources: list[str], jobs: int, module: str) -> tuple[float, Points, list[float]]:
    """Seconds of the command, the points, and the seconds of each submission as `timings.json` has them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_class(folder / "submissions", sources, module)
        seconds = command(
            [
                SCRIPTS / "minigpt", "grade", "submissions", "--out", "graded", "--course", COURSE.root,
                "--assignment", NAME, "--jobs", str(jobs), "--seed", str(SEED), "--train-steps", "0",
            ],
            folder,
        )  # fmt: skip
        points: Points = {}
        for path in folder.glob(f"graded/*/{NAME}/result.json"):
            result = json.loads(path.read_bytes())
            assert result["status"] == "graded", result
            points[result["student"]] = {task["id"]: task["score"] for task in result["tasks"]}
        each = [
            json.loads(path.read_bytes())["grading"] for path in sorted(folder.glob(f"graded/*/{NAME}/timings.json"))
        ]
        return seconds, points, each


# --- nbgrader --------------------------------------------------------------------------------------------------------


def lean_notebook(suite: Suite) -> Any:
    """One cell to import the module, then a graded cell for each task: the number that it ends with is its points."""
    v4 = nbformat.v4
    setup = SETUP.format(root=str(COURSE.root), name=NAME, module=suite.assignment.manifest.module, seed=SEED)
    cells = [v4.new_code_cell(setup, id="setup")]
    for task in suite.assignment.manifest.tasks:
        grading = {
            "schema_version": 3, "grade_id": task.id, "points": sum(case.points for case in suite.of_task(task)),
            "grade": True, "locked": True, "solution": False, "task": False,
        }  # fmt: skip
        cells.append(v4.new_code_cell(f'score("{task.id}")', id=task.id, metadata={"nbgrader": grading}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def nbgrader_autograde(sources: list[str], suite: Suite) -> tuple[float, Points]:
    """Seconds of `nbgrader autograde` alone, and the points that its gradebook has."""
    assignment = suite.assignment
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source" / NAME).mkdir(parents=True)
        nbformat.write(lean_notebook(suite), folder / "source" / NAME / assignment.notebook.name)
        nbgrader = [sys.executable, "-m", "nbgrader"]
        command([*nbgrader, "generate_assignment", NAME, f"--course={folder}"], folder)
        write_class(folder / "submitted", sources, assignment.manifest.module)
        handed_out = (folder / "release" / NAME / assignment.notebook.name).read_bytes()
        for student in (folder / "submitted").iterdir():
            (student / NAME / assignment.notebook.name).write_bytes(handed_out)
        seconds = command([*nbgrader, "autograde", NAME, f"--course={folder}"], folder)
        return seconds, read_gradebook(folder)


def read_gradebook(folder: Path) -> Points:
    with Gradebook(f"sqlite:///{folder}/gradebook.db") as gradebook:
        return {
            submission.student.id: {grade.name: int(grade.auto_score) for grade in submission.notebooks[0].grades}
            for submission in gradebook.assignment_submissions(NAME)
        }


# --- the tests' own arithmetic ---------------------------------------------------------------------------------------


class CallTimes:
    """Adds up the time that the bodies of tests take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def pytest_configure(self, config: pytest.Config) -> None:
        config.option.tbstyle = "no"  # as in the grader

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.seconds += report.duration


def arithmetic(suite: Suite, sources: list[str]) -> float:
    """Seconds in the tests' own bodies, in-process, for a submission on average."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # as in the grader
    torch.set_num_threads(1)
    times = CallTimes()
    with tempfile.TemporaryDirectory() as name:
        for number, source in enumerate(sources):
            module = Path(name) / str(number) / suite.assignment.manifest.module
            module.parent.mkdir()
            module.write_text(source, encoding="utf-8")
            options = ["--minigpt-module", str(module), "--minigpt-seed", str(SEED)]
            code = pytest.main([*PYTEST_ARGUMENTS, *options, *map(str, suite.files)], plugins=[plugin, times])
            assert code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), code
    return times.seconds / len(sources)


# --- all of it -------------------------------------------------------------------------------------------------------


def ways_to_grade(suite: Suite, sources: list[str], rounds: int, timings: dict[int, list[float]]) -> list[Way]:
    """`timings` gets what `minigpt grade` itself wrote down, for each number of jobs."""
    module = suite.assignment.manifest.module
    several = sources * rounds

    def minigpt(jobs: int) -> Callable[[int], tuple[float, Points]]:
        def grade(count: int) -> tuple[float, Points]:
            seconds, points, each = minigpt_grade(several[:count], jobs, module)
            timings.setdefault(jobs, []).extend(each[len(sources) :])  # the first are slower, in a fresh process
            return seconds, points

        return grade

    ours = [
        Way(f"minigpt, {jobs} jobs" if jobs > 1 else "minigpt, 1 job", len(several), len(sources), minigpt(jobs))
        for jobs in (1, 2)
    ]
    return [*ours, Way("nbgrader", len(sources), 1, lambda count: nbgrader_autograde(sources[:count], suite))]


def check_points(way: Way, points: Points, expected: list[dict[str, int]], count: int) -> list[dict[str, int]]:
    """The points of the class, once over; an error where a way, or a round, does not agree with those before it."""
    found = [points[student] for student in sorted(points)]
    assert len(found) == count, f"{way.name} graded {len(found)} of {count}"
    expected = expected or found[: way.start]
    for number, each in enumerate(found):
        wanted = expected[number % len(expected)]
        if each != wanted:
            sys.exit(f"submission {number}: {way.name} gives {each}, and another way or round gave {wanted}")
    return expected


def measure(ways: list[Way], repetitions: int) -> dict[str, Times]:
    """All ways in turns. The first run of all sets the points that everything else must give."""
    times = {way.name: Times() for way in ways}
    expected: list[dict[str, int]] = []
    with Progress(transient=True) as progress:
        bar = progress.add_task("", total=repetitions * len(ways))
        for _ in range(repetitions):
            for way in ways:
                progress.update(bar, description=way.name)
                for count, seconds in ((way.start, times[way.name].start), (way.submissions, times[way.name].whole)):
                    taken, points = way.grade(count)
                    expected = check_points(way, points, expected, count)
                    seconds.append(taken)
                progress.advance(bar)
    return times


def show_throughput(ways: list[Way], times: dict[str, Times], repetitions: int) -> Table:
    stock = ways[-1]
    table = Table(
        title=f"{NAME}, {repetitions} repetitions, submissions per minute",
        caption="in brackets: times nbgrader's",
    )
    table.add_column("")
    for column in ("submissions", "seconds", "whole command", "steady"):
        table.add_column(column, justify="right")
    for way in ways:
        own = times[way.name]
        steady, stock_steady = own.steady_seconds(way), times[stock.name].steady_seconds(stock)
        table.add_row(
            way.name,
            str(way.submissions),
            f"{statistics.median(own.whole):.1f}",
            f"{own.per_minute(way):.0f} ({own.per_minute(way) / times[stock.name].per_minute(stock):.1f})",
            f"{60 / steady:.0f} ({stock_steady / steady:.1f})" if steady > 0 else "class too small",
        )
    return table


def show_overhead(floor: float, in_grader: float, steady: float, tests: int) -> Table:
    table = Table("milliseconds", title=f"one submission on average, {tests} tests, one job")
    for column in ("all", "beyond the arithmetic"):
        table.add_column(column, justify="right")
    for name, seconds in (
        ("the tests' own arithmetic", floor),
        ("fork, walls, import and tests (timings.json)", in_grader),
        ("all of the command, in steady state", steady),
    ):
        table.add_row(name, f"{1000 * seconds:.0f}", f"{1000 * (seconds - floor):.0f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submissions", type=int, nargs="?", default=12, help="of the class that nbgrader grades")
    parser.add_argument("--rounds", type=int, default=6, help="how many times over minigpt grades it; at least 2")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="which variants are drawn")
    given = parser.parse_args()
    if given.rounds < 2 or given.repetitions < 1:
        parser.error("--rounds must be at least 2, --repetitions at least 1")

    suite = collect(COURSE.assignment(NAME), hidden=True)
    sources = draw_class(suite.assignment, given.submissions, given.seed)
    timings: dict[int, list[float]] = {}
    ways = ways_to_grade(suite, sources, given.rounds, timings)
    times = measure(ways, given.repetitions)
    arithmetic(suite, sources[:1])  # imports what tests import
    floor = statistics.median(arithmetic(suite, sources) for _ in range(given.repetitions))
    console = Console()
    console.print(show_throughput(ways, times, given.repetitions))
    one_job = times[ways[0].name].steady_seconds(ways[0])
    console.print(show_overhead(floor, statistics.mean(timings[1]), one_job, len(suite.cases)))


if __name__ == "__main__":
    main()
