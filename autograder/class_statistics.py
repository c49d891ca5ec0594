"""What a class's results say about tasks, tests and mistakes, in numbers.

    statistics_of_tests(records)[0].discrimination        # 0.43: who passes this test does better in the rest, too

Counts only submissions that were graded: a missing one, and one that the grader failed on, tell nothing of a test.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from autograder.outcome import Diagnosis
from autograder.result import Record, Result, TaskResult, TestResult

BARS = 10


@dataclass(frozen=True)
class TaskStatistics:
    """How a class did in a task, over the submissions that were graded."""

    assignment: str
    id: str
    title: str
    max_score: int
    mean: float
    median: float
    passed: int
    graded: int


@dataclass(frozen=True)
class TestStatistics:
    """How a class did in a test. `discrimination` is None where it is undefined: see `point_biserial`."""

    __test__: ClassVar[bool] = False  # pytest takes the name for a test's

    assignment: str
    task: str
    id: str
    title: str
    visibility: str
    max_score: int
    passed: int
    graded: int
    discrimination: float | None

    @property
    def share(self) -> float:
        """Of the submissions, those that pass: an easy test is near 1."""
        return self.passed / self.graded


@dataclass(frozen=True)
class DiagnosisStatistics:
    """How many of an assignment's submissions made a known mistake, in whichever tests it showed."""

    assignment: str
    mistake: str
    says: str
    tasks: tuple[str, ...]
    submissions: int
    graded: int

    @property
    def share(self) -> float:
        return self.submissions / self.graded


@dataclass(frozen=True)
class Distribution:
    """How many submissions of an assignment got what share of its points.

    counts: a tenth of the points each, from 0 % up, and full marks by themselves: `BARS + 1` numbers.
    """

    assignment: str
    counts: tuple[int, ...]
    graded: int
    mean: float
    median: float
    max_score: int


def task_statistics(results: Sequence[Result]) -> list[TaskStatistics]:
    """Mean and median of each task, in the order of the assignments and their tasks."""
    found = []
    for assignment in sorted({result.assignment for result in results}):
        graded = [result for result in results if result.assignment == assignment and result.status == "graded"]
        for task in all_tasks(graded):
            same = [one for result in graded for one in result.tasks if one.id == task.id]
            scores = [one.score for one in same]
            found.append(
                TaskStatistics(
                    assignment=assignment,
                    id=task.id,
                    title=task.title or task.id,
                    max_score=max(one.max_score for one in same),
                    mean=statistics.fmean(scores),
                    median=statistics.median(scores),
                    passed=sum(one.passed for one in same),
                    graded=len(same),
                )
            )
    return found


def all_tasks(results: Sequence[Result]) -> list[TaskResult]:
    """Each task once, by assignment, in the order of the manifest as the results have it."""
    found: dict[str, TaskResult] = {}
    for result in sorted(results, key=lambda result: result.assignment):
        for task in result.tasks:
            found.setdefault(task.id, task)
    return list(found.values())


def point_biserial(passed: Sequence[bool], rest: Sequence[int]) -> float | None:
    """The correlation of passing a test with the points in the rest: its discrimination, between -1 and 1.

        r = (mean rest of those who pass - mean rest of the others) / s * sqrt(p * q)

    p is the share that passes, q = 1 - p, s the standard deviation of the rest over all (dividing by their number).
    That is Pearson's correlation where one variable is 0 or 1 (Tate, Annals of Mathematical Statistics 25, 1954,
    603-607). The rest is the score without the test itself, whose points would otherwise correlate with themselves
    (Henrysson, Psychometrika 28, 1963, 211-218). None where all or none pass, or where all have the same rest.

    >>> round(point_biserial([True, True, False, False], [4, 2, 2, 0]), 4)
    0.7071
    """
    with_it = [score for score, did in zip(rest, passed, strict=True) if did]
    without = [score for score, did in zip(rest, passed, strict=True) if not did]
    if not with_it or not without or min(rest) == max(rest):
        return None
    spread = math.sqrt(len(with_it) * len(without)) / len(rest)
    return (statistics.fmean(with_it) - statistics.fmean(without)) / statistics.pstdev(rest) * spread


def statistics_of_tests(records: Sequence[Record]) -> list[TestStatistics]:
    """Each test, in the order of assignments, tasks and tests. The rest is that of the assignment's score."""
    found = []
    for assignment, graded in _graded(records):
        results = [record.result for record in graded]
        scores = [sum(task.score for task in result.tasks) for result in results]
        of_each = [{(task.id, test.id): test for task in result.tasks for test in task.tests} for result in results]
        for task, test in _all_tests(results):
            taken = [
                (tests[task.id, test.id], score)
                for tests, score in zip(of_each, scores, strict=True)
                if (task.id, test.id) in tests
            ]
            passed = [one.status == "passed" for one, _ in taken]
            found.append(
                TestStatistics(
                    assignment=assignment,
                    task=task.id,
                    id=test.id,
                    title=test.title or test.id,
                    visibility=test.visibility,
                    max_score=test.max_score,
                    passed=sum(passed),
                    graded=len(taken),
                    discrimination=point_biserial(passed, [score - one.score for one, score in taken]),
                )
            )
    return found


def diagnosis_statistics(records: Sequence[Record]) -> list[DiagnosisStatistics]:
    """Each known mistake that somebody made, by assignment, the most frequent first."""
    found = []
    for assignment, graded in _graded(records):
        counts: dict[Diagnosis, int] = defaultdict(int)
        tasks: dict[Diagnosis, dict[str, None]] = defaultdict(dict)
        for record in graded:
            met = _diagnoses(record)
            for diagnosis in dict.fromkeys(diagnosis for _, diagnosis in met):
                counts[diagnosis] += 1
            for task_id, diagnosis in met:
                tasks[diagnosis][task_id] = None
        order = [task.id for task in all_tasks([record.result for record in graded])]
        for diagnosis, count in sorted(counts.items(), key=lambda item: (-item[1], item[0].mistake, item[0].says)):
            where = tuple(sorted(tasks[diagnosis], key=order.index))
            found.append(DiagnosisStatistics(assignment, diagnosis.mistake, diagnosis.says, where, count, len(graded)))
    return found


def distributions(records: Sequence[Record]) -> list[Distribution]:
    """The points of each assignment."""
    found = []
    for assignment, graded in _graded(records):
        scores = [sum(task.score for task in record.result.tasks) for record in graded]
        max_score = max(record.result.max_score for record in graded)
        counts = [0] * (BARS + 1)
        for score in scores:
            counts[BARS * score // max_score if max_score else 0] += 1
        found.append(
            Distribution(
                assignment, tuple(counts), len(scores), statistics.fmean(scores), statistics.median(scores), max_score
            )
        )
    return found


def _graded(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    """The graded records of each assignment that has any."""

    def assignment(record: Record) -> str:
        return record.result.assignment

    kept = [record for record in records if record.result.status == "graded"]
    for name, same in groupby(sorted(kept, key=assignment), key=assignment):
        yield name, list(same)


def _diagnoses(record: Record) -> list[tuple[str, Diagnosis]]:
    """The task and the diagnosis of each failed test that has one."""
    return [
        (task.id, record.feedback.diagnoses[test.id])
        for task in record.result.tasks
        for test in task.tests
        if test.status != "passed" and test.id in record.feedback.diagnoses
    ]


def _all_tests(results: Sequence[Result]) -> list[tuple[TaskResult, TestResult]]:
    """Each test once, in the order in which the results have them, with a task that it stands in."""
    found: dict[tuple[str, str], tuple[TaskResult, TestResult]] = {}
    for task in all_tasks(results):
        for result in results:
            for same in result.tasks:
                if same.id == task.id:
                    for test in same.tests:
                        found.setdefault((task.id, test.id), (task, test))
    return list(found.values())
