"""Grades a class: every student's submissions to some assignments, each in a jail of its own.

    records = grade_class(Settings(course.root, submissions, out, ("04_attention",)), on_record=print)

Each submission becomes a `Record`, written as soon as it is there. A submission can cost its own points and nothing
else; what goes wrong in the grader itself becomes a `grader_error` without a score.
"""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from autograder.files import write_atomically
from autograder.jail.client import Jail
from autograder.jail.isolation import Limits, Tier
from autograder.manifest import Course
from autograder.outcome import GraderFault
from autograder.result import Feedback, MiniGPTRecord, Record, Result, score_tasks, to_json
from autograder.showcase import Judge, own_parts, train_and_judge
from autograder.submissions import Submission, find_students, read_submission
from autograder.suite import Outcome, Suite, collect, run

OnRecord = Callable[[Record], object]


@dataclass(frozen=True)
class Settings:
    """What decides a class's results. `train_steps` None means the preset's own number, 0 no training at all."""

    course: Path
    submissions: Path
    out: Path
    assignments: tuple[str, ...]
    seed: int
    tier: Tier
    jobs: int = 1
    hidden: bool = True
    train_steps: int | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Timings:
    """Seconds, of the wall clock. Beside `result.json`, since they differ from run to run."""

    tests: dict[str, float]
    grading: float
    training: float


class Grader:
    """One process's jail and suites, ready for one submission after another."""

    def __init__(self, settings: Settings) -> None:
        torch.set_num_threads(1)
        course = Course(settings.course)
        self._settings = settings
        self._suites = {name: collect(course.assignment(name), hidden=settings.hidden) for name in settings.assignments}
        self._judge = Judge.draw(settings.seed) if settings.train_steps != 0 else None
        self._jail = self._start_jail()
        self._library_model: MiniGPTRecord | None = None

    def _start_jail(self) -> Jail:
        return Jail(self._settings.tier, self._settings.limits, training=self._judge is not None)

    def grade(self, student: str, assignment: str) -> tuple[Record, Timings]:
        """One submission, from its files to its record. Raises nothing: a fault of the grader is a record too."""
        suite = self._suites[assignment]
        try:
            submission = read_submission(self._settings.submissions, student, suite.assignment)
            if submission.files is None:
                return self._missing(submission, suite), Timings({}, 0.0, 0.0)
            return self._graded(submission, suite, submission.files)
        except Exception as error:
            self._restart()
            return grader_error(self._settings, suite, student, error), Timings({}, 0.0, 0.0)

    def _graded(self, submission: Submission, suite: Suite, files: dict[str, bytes]) -> tuple[Record, Timings]:
        started = time.perf_counter()
        backend = self._jail.submission(suite.assignment.manifest, files)
        try:
            outcomes = run(suite, backend, self._settings.seed)
        finally:
            backend.discard()
        graded = time.perf_counter()
        tasks = score_tasks(suite, outcomes)
        result = Result(
            student=submission.student,
            assignment=submission.assignment,
            seed=self._settings.seed,
            isolation=self._settings.tier,
            status="graded",
            score=sum(task.score for task in tasks),
            max_score=suite.max_score,
            source_sha256=submission.source_sha256,
            suite_sha256=suite.sha256,
            tasks=tasks,
        )
        minigpt = self._minigpt(suite, files, result)
        seconds = {name: outcome.seconds for name, outcome in outcomes.items()}
        timings = Timings(seconds, graded - started, time.perf_counter() - graded)
        return Record(result=result, feedback=_feedback(submission, suite, outcomes), minigpt=minigpt), timings

    def _minigpt(self, suite: Suite, files: dict[str, bytes], result: Result) -> MiniGPTRecord | None:
        """The student's trained model. One made of library parts alone is everybody's, and trained once."""
        if self._judge is None:
            return None
        manifest = suite.assignment.manifest
        _, symbols = own_parts(manifest, result.tasks)
        if not symbols and self._library_model is not None:
            return self._library_model
        record = train_and_judge(self._jail, manifest, files, result.tasks, self._judge, self._settings.train_steps)
        if not symbols:
            self._library_model = record
        return record

    def _missing(self, submission: Submission, suite: Suite) -> Record:
        """Nothing handed in, or nothing that can be taken: 0 points, and the reason."""
        outcomes = {case.id: Outcome("not_attempted", case.hint) for case in suite.cases}
        result = Result(
            student=submission.student,
            assignment=submission.assignment,
            seed=self._settings.seed,
            isolation=self._settings.tier,
            status="missing",
            score=0,
            max_score=suite.max_score,
            message=submission.problem or f"there is no {suite.assignment.manifest.module}",
            source_sha256=None,
            suite_sha256=suite.sha256,
            tasks=score_tasks(suite, outcomes),
        )
        return Record(result=result, feedback=Feedback(notices=submission.notices))

    def _restart(self) -> None:
        """A new jail, for the next submission. Where that fails too, the next submission says so."""
        self._jail.close()
        try:
            self._jail = self._start_jail()
        except GraderFault:
            return

    def close(self) -> None:
        self._jail.close()


def _feedback(submission: Submission, suite: Suite, outcomes: dict[str, Outcome]) -> Feedback:
    """Messages of visible tests alone: those of hidden ones could carry an input or an expected value."""
    visible = [case.id for case in suite.cases if case.visibility == "visible"]
    messages = {name: message for name in visible if (message := outcomes[name].message) is not None}
    return Feedback(messages=messages, notices=submission.notices)


def grader_error(settings: Settings, suite: Suite, student: str, error: BaseException) -> Record:
    result = Result(
        student=student,
        assignment=suite.assignment.name,
        seed=settings.seed,
        isolation=settings.tier,
        status="grader_error",
        max_score=suite.max_score,
        message=f"the grader failed: {type(error).__name__}: {error}"[:1000],
        source_sha256=None,
        suite_sha256=suite.sha256,
        tasks=(),
    )
    return Record(result=result, feedback=Feedback())


def grade_class(settings: Settings, on_record: OnRecord | None = None) -> tuple[list[Record], list[str]]:
    """Grades everybody and writes `result.json` and its neighbours. Gives the records in order, and refused folders."""
    students, refused = find_students(settings.submissions)
    course = Course(settings.course)
    suites = {name: collect(course.assignment(name), hidden=settings.hidden) for name in settings.assignments}
    work = [(student, name) for student in students for name in settings.assignments]
    records = {}
    for (student, name), outcome in _each(settings, work):
        if isinstance(outcome, BaseException):
            record, timings = grader_error(settings, suites[name], student, outcome), Timings({}, 0.0, 0.0)
        else:
            record, timings = outcome
        write_record(settings.out, record, timings)
        records[student, name] = record
        if on_record is not None:
            on_record(record)
    return [records[item] for item in work], refused


Outcomes = Iterator[tuple[tuple[str, str], tuple[Record, Timings] | BaseException]]


def _each(settings: Settings, work: list[tuple[str, str]]) -> Outcomes:
    """Every piece of work with what became of it, as it comes, over `jobs` processes with a jail each."""
    pool = concurrent.futures.ProcessPoolExecutor(
        max_workers=max(1, min(settings.jobs, len(work))),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_grader,
        initargs=(settings,),
    )
    with pool:
        futures = {pool.submit(_grade_here, *item): item for item in work}
        for future in concurrent.futures.as_completed(futures):
            error = future.exception()
            yield futures[future], error if error is not None else future.result()


_grader: Grader | None = None


def _start_grader(settings: Settings) -> None:
    global _grader
    _grader = Grader(settings)


def _grade_here(student: str, assignment: str) -> tuple[Record, Timings]:
    if _grader is None:
        raise GraderFault("the process was not set up")
    return _grader.grade(student, assignment)


def write_record(out: Path, record: Record, timings: Timings) -> None:
    """`result.json` last: where it is, its neighbours belong to it."""
    folder = out / record.result.student / record.result.assignment
    rounded = {name: round(seconds, 6) for name, seconds in timings.tests.items()}
    told = {"grading": round(timings.grading, 6), "training": round(timings.training, 6), "tests": rounded}
    write_atomically(folder / "timings.json", json.dumps(told, indent=1).encode() + b"\n")
    write_atomically(folder / "feedback.json", to_json(record.feedback))
    if record.minigpt is not None:
        write_atomically(folder / "minigpt.json", to_json(record.minigpt))
    else:
        (folder / "minigpt.json").unlink(missing_ok=True)
    write_atomically(folder / "result.json", to_json(record.result))
