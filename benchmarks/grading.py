"""Times the grading of one submission of 04_attention, training aside: python benchmarks/grading.py [REPETITIONS]

Printed, as medians over repetitions that alternate between the ways:

    bwrap, landlock    all that grading one submission takes in steady state: fork, walls, import, 49 tests, scoring
    arithmetic         the bodies of the same tests on the same module in one process, where nothing else is counted

The arithmetic is what any grader must pay; the rest is the price of the boundary, of pytest and of the jail.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable

import pytest
import torch
from rich.console import Console
from rich.table import Table

from autograder import plugin
from autograder.jail.client import Jail
from autograder.jail.isolation import TIERS, missing_for
from autograder.manifest import Course
from autograder.result import score_tasks
from autograder.suite import PYTEST_ARGUMENTS, Suite, collect, run

SEED = 1234
WARM_UP = 3


class CallTimes:
    """Adds up the time that the bodies of tests take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            assert report.passed, report.nodeid
            self.seconds += report.duration


def arithmetic(suite: Suite) -> float:
    """Seconds in the tests' own bodies, in-process, on the reference."""
    times = CallTimes()
    options = ["--minigpt-module", str(suite.assignment.reference), "--minigpt-seed", str(SEED)]
    code = pytest.main([*PYTEST_ARGUMENTS, *options, *map(str, suite.files)], plugins=[plugin, times])
    assert code == pytest.ExitCode.OK, code
    return times.seconds


def grading(suite: Suite, jail: Jail) -> float:
    """Seconds from the files of a submission to its points."""
    files = {suite.assignment.manifest.module: suite.assignment.reference.read_bytes()}
    started = time.perf_counter()
    submission = jail.submission(suite.assignment.manifest, files)
    tasks = score_tasks(suite, run(suite, submission, SEED))
    submission.discard()
    assert all(task.passed for task in tasks)
    return time.perf_counter() - started


def main(repetitions: int) -> None:
    torch.set_num_threads(1)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # as in the grader
    suite = collect(Course.find().assignment("04_attention"), hidden=True)
    jails = {tier: Jail(tier) for tier in TIERS if tier != "none" and missing_for(tier) is None}
    ways: dict[str, Callable[[], float]] = {
        **{tier: lambda jail=jail: grading(suite, jail) for tier, jail in jails.items()},  # type: ignore[misc]
        "arithmetic": lambda: arithmetic(suite),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(-WARM_UP, repetitions):
        for name, way in ways.items():
            seconds = way()
            if repetition >= 0:
                times[name].append(seconds)
    for jail in jails.values():
        jail.close()
    show(times, len(suite.cases))


def show(times: dict[str, list[float]], tests: int) -> None:
    floor = statistics.median(times["arithmetic"])
    table = Table(title=f"one submission of 04_attention, {tests} tests, {len(times['arithmetic'])} repetitions")
    for column in ("", "median ms", "min", "max", "arithmetic's share"):
        table.add_column(column, justify="left" if not column else "right")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        milliseconds = [f"{1000 * value:.0f}" for value in (middle, min(seconds), max(seconds))]
        table.add_row(name, *milliseconds, f"{floor / middle:.0%}")
    Console().print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
