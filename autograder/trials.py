"""Grades sources that nobody submitted: references, variants and mutants. How the suites are tested themselves.

    for trial, outcomes in grade_trials(course, [Trial("04_attention", mistake.source, seed=1)], jobs=2):
        failing(outcomes)                       # ["test_softmax_of_large_numbers"]

Each is graded as a submission is: in a jail, by the visible and the hidden suite. Unlike the grading of a class, a
fault of the grader ends it all: a jail that broke says nothing about a suite.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import multiprocessing.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from autograder.jail.client import Jail
from autograder.jail.isolation import choose
from autograder.manifest import Course
from autograder.outcome import GraderFault
from autograder.suite import Outcome, Suite, collect, run


@dataclass(frozen=True)
class Trial:
    """One source to grade.

    suspects: None to run every test. Else only whether one fails is of interest: it ends there, and the tests of these
        tasks come first.
    only: None for the tests of every task, else of these tasks alone; the others have no outcome.
    """

    assignment: str
    source: str
    seed: int
    suspects: frozenset[str] | None = None
    only: frozenset[str] | None = None


def grade_source(
    suite: Suite,
    jail: Jail,
    source: str,
    seed: int,
    *,
    tasks: frozenset[str] | None = None,
    stop_early: bool = False,
) -> dict[str, Outcome]:
    """What becomes of each test when this source is the student's module."""
    manifest = suite.assignment.manifest
    submission = jail.submission(manifest, {manifest.module: source.encode()})
    try:
        return run(suite, submission, seed, tasks=tasks, stop_early=stop_early)
    finally:
        submission.discard()


def failing(outcomes: dict[str, Outcome]) -> list[str]:
    return [name for name, outcome in outcomes.items() if outcome.status != "passed"]


class Bench:
    """One process's jail and suites, ready for one trial after another; use as a context manager."""

    def __init__(self, course: Course, assignments: Sequence[str]) -> None:
        torch.set_num_threads(1)
        self._suites = {name: collect(course.assignment(name), hidden=True) for name in assignments}
        optimizers = any(suite.assignment.manifest.optimizers for suite in self._suites.values())
        self._jail = Jail(choose("auto"), training=optimizers)

    def grade(self, trial: Trial) -> dict[str, Outcome]:
        """The outcomes of all tests; of a trial with suspects those up to the first failure, and `failed` behind it."""
        suite = self._suites[trial.assignment]
        if trial.suspects is None:
            return grade_source(suite, self._jail, trial.source, trial.seed, tasks=trial.only)
        everywhere = frozenset(case.task for case in suite.cases)
        outcomes: dict[str, Outcome] = {}
        for tasks in (trial.suspects, everywhere - trial.suspects):
            if tasks and not failing(outcomes):
                outcomes |= grade_source(suite, self._jail, trial.source, trial.seed, tasks=tasks, stop_early=True)
        return outcomes

    def close(self) -> None:
        self._jail.close()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def grade_trials(course: Course, trials: Sequence[Trial], jobs: int = 1) -> Iterator[tuple[Trial, dict[str, Outcome]]]:
    """Every trial with its outcomes, as they come: over `jobs` processes with a jail each, or in this one for 1."""
    names = sorted({trial.assignment for trial in trials})
    if not trials:
        return
    if min(jobs, len(trials)) == 1:
        with Bench(course, names) as bench:
            for trial in trials:
                yield trial, bench.grade(trial)
        return
    pool = concurrent.futures.ProcessPoolExecutor(
        min(jobs, len(trials)), multiprocessing.get_context("spawn"), initializer=_start_bench, initargs=(course, names)
    )
    try:
        futures = {pool.submit(_grade_here, trial): trial for trial in trials}
        for future in concurrent.futures.as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


_bench: Bench | None = None


def _start_bench(course: Course, names: list[str]) -> None:
    global _bench
    _bench = Bench(course, names)
    multiprocessing.util.Finalize(None, _bench.close, exitpriority=0)  # atexit's list is not run in such a process


def _grade_here(trial: Trial) -> dict[str, Outcome]:
    if _bench is None:
        raise GraderFault("the process was not set up")
    return _bench.grade(trial)
