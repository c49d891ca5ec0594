"""Grades one student's submissions, each in a jail of its own. What every process that grades does, wherever it runs.

    grade_here(settings, Work("ada", (submission,)))        # [Graded(record, timings)]

Each submission becomes a `Record`. A submission can cost its own points and nothing else; what goes wrong in the grader
itself becomes a `grader_error` without a score. What passes of all of a student's submissions makes one MiniGPT; the
last of the student's records has it. Reads no submission and writes no result: `grade.py` does.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import torch

from autograder.annotations import signatures_of
from autograder.diagnosis import LiveVariants, Witness, diagnose, look
from autograder.jail.client import Jail
from autograder.jail.isolation import Limits, Tier
from autograder.manifest import Course
from autograder.outcome import Diagnosis, GraderFault
from autograder.plugin import DEFAULT_SEED, Case
from autograder.result import Feedback, MiniGPTRecord, Record, Result, score_tasks
from autograder.shapes import Explainer
from autograder.shipped_diagnoses import file_of, read_shipped
from autograder.showcase import Judge, OwnParts, train_and_judge
from autograder.submissions import Submission
from autograder.suite import Outcome, Suite, collect, run


@dataclass(frozen=True)
class Settings:
    """What to grade, and how. `train_steps` None means the preset's own number, 0 no training at all.

    jobs: processes on this machine. cluster: the address of a Dask scheduler whose workers grade instead of these.
    roster: a CSV file that says which student a folder of `submissions` belongs to; without it, that is its name.
    """

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
    cluster: str | None = None
    roster: Path | None = None


@dataclass(frozen=True)
class Work:
    """All that one student handed in: a submission for each of the settings' assignments, in their order."""

    student: str
    submissions: tuple[Submission, ...]


@dataclass(frozen=True)
class Timings:
    """Seconds, of the wall clock. Beside `result.json`, since they differ from run to run."""

    tests: dict[str, float] = field(default_factory=dict)
    grading: float = 0.0
    diagnosing: float = 0.0
    training: float = 0.0


@dataclass(frozen=True)
class Graded:
    """A record, and how long it took."""

    record: Record
    timings: Timings

    def with_model(self, model: MiniGPTRecord, seconds: float) -> Graded:
        record = msgspec.structs.replace(self.record, minigpt=model)
        return Graded(record, replace(self.timings, training=seconds))


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
        self._variants: dict[str, LiveVariants] = {}
        self._signatures = {name: signatures_of(suite.assignment) for name, suite in self._suites.items()}

    def _start_jail(self) -> Jail:
        optimizers = any(suite.assignment.manifest.optimizers for suite in self._suites.values())
        return Jail(self._settings.tier, self._settings.limits, training=optimizers or self._judge is not None)

    def grade(self, work: Work) -> list[Graded]:
        """All of a student's submissions, in order. Raises nothing: a fault of the grader is a record too."""
        own = OwnParts()
        graded = [
            self._grade_one(submission, self._suites[submission.assignment], own) for submission in work.submissions
        ]
        if self._judge is None or all(each.record.result.status != "graded" for each in graded):
            return graded
        last = max(index for index, each in enumerate(graded) if each.record.result.status == "graded")
        started = time.perf_counter()
        try:
            model = self._minigpt(own, self._judge)
        except Exception as error:
            self._restart()
            graded[last] = without_grade(graded[last].record, error)
        else:
            graded[last] = graded[last].with_model(model, time.perf_counter() - started)
        return graded

    def _grade_one(self, submission: Submission, suite: Suite, own: OwnParts) -> Graded:
        """One submission, from its files to its record. What passes of it goes into `own`."""
        try:
            if submission.files is None:
                return Graded(self._missing(submission, suite), Timings())
            graded = self._graded(submission, suite, submission.files)
            own.add(suite.assignment.manifest, submission.files, graded.record.result.tasks)
            return graded
        except Exception as error:
            self._restart()
            return grader_error(self._settings, suite, submission.student, error)

    def _graded(self, submission: Submission, suite: Suite, files: dict[str, bytes]) -> Graded:
        started = time.perf_counter()
        backend = self._jail.submission(suite.assignment.manifest, files)
        witness, explainer = Witness(), Explainer(self._signatures[suite.assignment.name])

        def watch(case: Case, outcome: Outcome) -> None:
            witness.note(case, outcome, backend.recorder)
            explainer.note(case, outcome, backend.recorder.calls)

        try:
            outcomes = run(suite, backend, self._settings.seed, watch=watch)
        finally:
            backend.discard()
        taken = time.perf_counter() - started
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
        seconds = {name: outcome.seconds for name, outcome in outcomes.items()}
        feedback = self._diagnosed(_feedback(submission, suite, outcomes, explainer), suite, files, witness)
        diagnosing = time.perf_counter() - started - taken
        return Graded(Record(result=result, feedback=feedback), Timings(seconds, taken, diagnosing))

    def _diagnosed(self, feedback: Feedback, suite: Suite, files: dict[str, bytes], witness: Witness) -> Feedback:
        """The feedback with the mistakes that are known. The grade stands by now, and no fault in here changes it."""
        if not witness.failed:
            return feedback
        try:
            return msgspec.structs.replace(feedback, diagnoses=self._diagnoses(suite, files, witness))
        except Exception as error:
            self._restart()
            notice = f"no mistake was looked for: {type(error).__name__}"
            return msgspec.structs.replace(feedback, notices=(*feedback.notices, notice))

    def _diagnoses(self, suite: Suite, files: dict[str, bytes], witness: Witness) -> dict[str, Diagnosis]:
        """By the variants of `mistakes.py`; where there are none, as in a student's repository, by the shipped data."""
        name = suite.assignment.name
        if name not in self._variants:
            self._variants[name] = LiveVariants(suite, self._jail, self._settings.seed)
        live = self._variants[name]
        live.jail = self._jail  # another, where the first broke
        if live.variants:
            return diagnose(witness, live)
        shipped = read_shipped(file_of(suite.assignment))
        if shipped is None:
            return {}
        failed = frozenset(witness.failed) & frozenset(shipped.tests)
        again = look(suite, self._jail, files, DEFAULT_SEED, failed)
        again.passed |= witness.passed
        again.tasks |= witness.tasks
        return diagnose(again, shipped)

    def _minigpt(self, own: OwnParts, judge: Judge) -> MiniGPTRecord:
        """The student's trained model. One made of library parts alone is everybody's, and trained once."""
        if not own.symbols and self._library_model is not None:
            return self._library_model
        record = train_and_judge(self._jail, own, judge, self._settings.train_steps)
        if not own.symbols:
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


def _feedback(submission: Submission, suite: Suite, outcomes: dict[str, Outcome], explainer: Explainer) -> Feedback:
    """Messages of visible tests alone: those of hidden ones could carry an input or an expected value."""
    visible = [case.id for case in suite.cases if case.visibility == "visible"]
    messages = {name: message for name in visible if (message := outcomes[name].message) is not None}
    return Feedback(messages=explainer.before(messages), notices=submission.notices)


def without_grade(record: Record, error: BaseException) -> Graded:
    """A fault of the grader while it made the MiniGPT: the record that should have it says so, and has no score."""
    result = msgspec.structs.replace(
        record.result, status="grader_error", score=msgspec.UNSET, message=_told(error), source_sha256=None, tasks=()
    )
    return Graded(Record(result=result, feedback=Feedback()), Timings())


def _told(error: BaseException) -> str:
    return f"the grader failed: {type(error).__name__}: {error}"[:1000]


def grader_error(settings: Settings, suite: Suite, student: str, error: BaseException) -> Graded:
    """What a student has instead of a grade where the grader failed: no score, and the reason."""
    result = Result(
        student=student,
        assignment=suite.assignment.name,
        seed=settings.seed,
        isolation=settings.tier,
        status="grader_error",
        max_score=suite.max_score,
        message=_told(error),
        source_sha256=None,
        suite_sha256=suite.sha256,
        tasks=(),
    )
    return Graded(Record(result=result, feedback=Feedback()), Timings())


_one_at_a_time = threading.Lock()  # a cluster's worker may have several threads; pytest and the jail want one
_grader: tuple[Settings, Grader] | None = None


def grade_here(settings: Settings, work: Work) -> list[Graded]:
    """Grades with this process's own grader, which stays for the next student as long as the settings do."""
    global _grader
    with _one_at_a_time:
        if _grader is None or _grader[0] != settings:
            _close()
            _grader = (settings, Grader(settings))
        return _grader[1].grade(work)


def close_here() -> None:
    """Ends this process's grader, and with it the jail."""
    with _one_at_a_time:
        _close()


def _close() -> None:
    global _grader
    if _grader is not None:
        _grader[1].close()
    _grader = None
