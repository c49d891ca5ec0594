"""`result.json`: the one account of a grade, from which every report and export is made.

Holds nothing that differs from run to run for the same input, and no text of a student's. Beside it, timings are in
`timings.json` and messages of visible tests in `feedback.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from autograder.manifest import Manifest
from autograder.outcome import Diagnosis, Status
from autograder.suite import Outcome, Suite

SCHEMA = "minigpt/result/v1"


class TestResult(msgspec.Struct, frozen=True):
    __test__: ClassVar[bool] = False  # pytest takes the name for a test's

    id: str
    visibility: str
    status: Status
    score: int
    max_score: int
    hint: str | None
    title: str = ""


class TaskResult(msgspec.Struct, frozen=True):
    id: str
    score: int
    max_score: int
    passed: bool
    tests: tuple[TestResult, ...]
    title: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One student's grade for one assignment. `score` is unset for a `grader_error`, `message` for `graded`."""

    schema: str = SCHEMA
    student: str
    assignment: str
    seed: int
    isolation: str
    status: Literal["graded", "missing", "grader_error"]
    score: int | msgspec.UnsetType = msgspec.UNSET
    max_score: int
    message: str | msgspec.UnsetType = msgspec.UNSET
    source_sha256: str | None
    suite_sha256: str
    tasks: tuple[TaskResult, ...]


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """`feedback.json`: what may be told besides the grade. `messages` may quote a student: of visible tests only.

    diagnoses: test -> the known mistake that it met, in its author's words; of hidden tests too.
    """

    messages: dict[str, str] = {}
    diagnoses: dict[str, Diagnosis] = {}
    notices: tuple[str, ...] = ()


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Who attends to whom in one head: a byte for each weight, row by row, in 255ths. A row is a query.

    habit: what it looks at most; share: how much of its attention goes there. Both are reckoned outside the jail.
    """

    layer: int
    head: int
    habit: str
    share: float
    weights: bytes


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """The attention of every head, for the tokens of a short text."""

    tokens: tuple[str, ...]
    heads: tuple[Head, ...]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wrote after the prompt, at one temperature; 0 is greedy."""

    temperature: float
    text: str


class MiniGPTRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`minigpt.json`: the model that was assembled from a student's parts, and what became of it in a short training.

    parts: slot -> "own" or "library". Losses are in nats per character. `message` says why there is no model.
    `train_losses` come from the jail and are shown, no more; `validation_loss` was computed outside it.
    """

    parts: dict[str, Literal["own", "library"]]
    steps: int = 0
    train_losses: tuple[tuple[int, float], ...] = ()
    validation_loss: float | None = None
    floor: float | None = None
    baselines: dict[str, float] = {}
    prompt: str = ""
    samples: tuple[Sample, ...] = ()
    attention: Attention | None = None
    message: str | None = None


class LastTime(msgspec.Struct, frozen=True, kw_only=True):
    """`history.json`: of the model that a student's earlier code made in an earlier grading, what is compared with.

    The fields are those of a `MiniGPTRecord`.
    """

    parts: dict[str, Literal["own", "library"]]
    train_losses: tuple[tuple[int, float], ...]
    validation_loss: float


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one student's submission to one assignment: what the reports are made of.

    `minigpt` is in the last of a student's graded records: there is one model of all the parts that pass. Beside it is
    what there was `last_time`, where the results went into a folder with earlier ones.
    """

    result: Result
    feedback: Feedback
    minigpt: MiniGPTRecord | None = None
    last_time: LastTime | None = None


def score_tasks(suite: Suite, outcomes: dict[str, Outcome]) -> tuple[TaskResult, ...]:
    """Points per task. Partial credit is by test: a test gives all of its points or none."""
    return tuple(_score_task(suite, task_id, outcomes) for task_id in _task_ids(suite.assignment.manifest))


def _task_ids(manifest: Manifest) -> list[str]:
    return [task.id for task in manifest.tasks]


def _score_task(suite: Suite, task_id: str, outcomes: dict[str, Outcome]) -> TaskResult:
    tests = tuple(
        TestResult(
            id=case.id,
            visibility=case.visibility,
            status=outcomes[case.id].status,
            score=case.points if outcomes[case.id].status == "passed" else 0,
            max_score=case.points,
            hint=outcomes[case.id].hint,
            title=case.title,
        )
        for case in suite.cases
        if case.task == task_id and case.id in outcomes
    )
    return TaskResult(
        id=task_id,
        score=sum(test.score for test in tests),
        max_score=sum(test.max_score for test in tests),
        passed=bool(tests) and all(test.status == "passed" for test in tests),
        tests=tests,
        title=suite.assignment.manifest.task(task_id).title,
    )


def slots_that_pass(manifest: Manifest, tasks: tuple[TaskResult, ...]) -> set[str]:
    """The slots of which every task passed, with every test."""
    passed = {task.id: task.passed for task in tasks}
    feeding = {task.part for task in manifest.tasks if task.part is not None}
    return {slot for slot in feeding if all(passed[task.id] for task in manifest.tasks if task.part == slot)}


def to_json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def read_result(path: Path) -> Result:
    return msgspec.json.decode(path.read_bytes(), type=Result)
