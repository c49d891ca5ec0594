"""What people read of a grading: a page for each student, a page and a table for the class.

    pages = student_page("ada", records)         # one self-contained HTML page, as text
    write_reports(Path("graded"), records)       # graded/ada/index.html, graded/index.html, graded/grades.csv

A page asks nothing of a network and runs no script. Text that a student may have made is escaped, freed of signs that
could disturb the page around it, and cut. Of a hidden test a student's page shows title, status, points and the
author's hint, and nothing else. Decides no score: every number comes from the records.
"""

from __future__ import annotations

import csv
import io
import math
import statistics
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from autograder.figures import Curve, HeatMap, Stage, heat_map, loss_curve, opacity_of, stages_of
from autograder.files import write_atomically
from autograder.outcome import Status
from autograder.result import MiniGPTRecord, Record, Result, TaskResult, TestResult
from autograder.submissions import STUDENT_NAME

OWN_FILES = frozenset({"index.html", "grades.csv"})
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")
MOST_LINES = 14
LONGEST_MESSAGE = 1000
LONGEST_ERROR = 160
LONGEST_SAMPLE = 1500

# Of each status: what stands in the column, and what it means where the word alone may not say it.
STATUS_WORDS: dict[Status, tuple[str, str | None]] = {
    "passed": ("passed", None),
    "failed": ("not yet right", None),
    "not_attempted": ("not started", None),
    "forbidden": ("not allowed", "Your code uses a call that this task does not allow."),
    "timeout": ("too slow", "The test did not come to an end in the time that it has."),
    "crashed": ("crashed", "Your code ended the process that it ran in, so there was no answer."),
    "memory": ("out of memory", "Your code asked for more memory than a test may use."),
}


@dataclass(frozen=True)
class Points:
    """Points of what could be graded; `ungraded` counts the submissions that could not."""

    score: int
    max_score: int
    ungraded: int


@dataclass(frozen=True)
class MiniGPTView:
    """What a page says of a student's MiniGPT."""

    stages: tuple[Stage, ...]
    own: int
    total: int
    loss: float | None
    record: MiniGPTRecord
    meaning: tuple[str, ...]
    curve: Curve | None
    map: HeatMap | None
    prompt: str
    sample: str


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
class StudentRow:
    name: str
    results: dict[str, Result]
    points: Points
    minigpt: MiniGPTView | None


def student_page(student: str, records: Sequence[Record]) -> str:
    """The page of one student, of the records that are this student's."""
    own = [record for record in in_order(records) if record.result.student == student]
    return _environment.get_template("student.html.j2").render(
        student=student,
        records=own,
        points=total_points([record.result for record in own]),
        minigpt=minigpt_view(own),
        legend=[(weight, opacity_of(weight)) for weight in (0.01, 0.1, 0.25, 0.5, 1.0)],
    )


def class_page(records: Sequence[Record]) -> str:
    """The instructor's page: everybody's points, how each task went, and what could not be graded."""
    results = [record.result for record in in_order(records)]
    return _environment.get_template("class.html.j2").render(
        students=[_student_row(name, own) for name, own in by_student(records).items()],
        assignments=sorted({result.assignment for result in results}),
        records=in_order(records),
        errors=[result for result in results if result.status == "grader_error"],
        missing=sum(result.status == "missing" for result in results),
        unconfined=sum(result.isolation == "none" for result in results if result.status == "graded"),
        tasks=task_statistics(results),
    )


def grades_csv(records: Sequence[Record]) -> str:
    """A row for each submission: student, assignment, status, score, max_score, then the points of each task.

    What a student has no result for is an empty cell, and so is the score of a submission that could not be graded.
    """
    results = [record.result for record in in_order(records)]
    task_ids = [task.id for task in _all_tasks(results)]
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    columns = ["student", "assignment", "status", "score", "max_score", *(f"task:{id}" for id in task_ids)]
    writer.writerow([spreadsheet_cell(column) for column in columns])
    for result in results:
        graded = result.status != "grader_error"
        scores = {task.id: task.score for task in result.tasks} if graded else {}
        row = [result.student, result.assignment, result.status, score_of(result), result.max_score]
        writer.writerow([spreadsheet_cell(value) for value in (*row, *(scores.get(id) for id in task_ids))])
    return file.getvalue()


def write_reports(out: Path, records: Sequence[Record]) -> None:
    """Writes every page and the table, each whole or not at all."""
    grouped = by_student(records)
    for student in grouped:
        if not STUDENT_NAME.fullmatch(student) or student.casefold() in OWN_FILES:
            raise ValueError(f"{student!r} cannot be the name of a student's folder in {out}: rename the submission")
    for student, own in grouped.items():
        write_atomically(out / student / "index.html", student_page(student, own).encode())
    write_atomically(out / "grades.csv", grades_csv(records).encode())
    write_atomically(out / "index.html", class_page(records).encode())


def in_order(records: Iterable[Record]) -> list[Record]:
    """By student, whatever the case of the name, then by assignment. Two results for the same are an error."""
    ordered = sorted(records, key=lambda record: (*_name_key(record.result.student), record.result.assignment))
    keys = [(record.result.student, record.result.assignment) for record in ordered]
    for before, after in zip(keys, keys[1:], strict=False):
        if before == after:
            raise ValueError(f"there are two results of {after[0]!r} for {after[1]!r}: only one may count")
    return ordered


def by_student(records: Iterable[Record]) -> dict[str, list[Record]]:
    grouped: dict[str, list[Record]] = {}
    for record in in_order(records):
        grouped.setdefault(record.result.student, []).append(record)
    return grouped


def _name_key(student: str) -> tuple[str, str]:
    return student.casefold(), student


def spreadsheet_cell(value: str | int | None) -> str | int:
    """A cell that no spreadsheet takes for a formula. Numbers stay numbers.

    >>> spreadsheet_cell("=1+1"), spreadsheet_cell(12), spreadsheet_cell(None)
    ("'=1+1", 12, '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA_SIGNS):
        return "'" + value
    return value


def score_of(result: Result) -> int | None:
    """The score, or None where there is none: a fault of the grader is no zero."""
    if result.status == "grader_error" or not isinstance(result.score, int):
        return None
    return result.score


def total_points(results: Iterable[Result]) -> Points:
    scored = [(score_of(result), result.max_score) for result in results]
    graded = [(score, max_score) for score, max_score in scored if score is not None]
    return Points(
        sum(score for score, _ in graded), sum(max_score for _, max_score in graded), len(scored) - len(graded)
    )


def told(record: Record, test: TestResult) -> str | None:
    """The message of a visible test, fit for the page. A hidden test has none, whatever the feedback holds."""
    if test.visibility != "visible" or test.status in ("passed", "not_attempted"):
        return None
    message = record.feedback.messages.get(test.id)
    return shortened(message) if message else None


def diagnosis_of(record: Record, test: TestResult) -> str | None:
    """The known mistake that a failed test met, in its author's words: nothing of a student's or of a test's is in it."""
    found = record.feedback.diagnoses.get(test.id)
    return found.says if found is not None and test.status != "passed" else None


def first_line(text: str) -> str:
    """As much of a grader's error as a student may see: what follows may quote a hidden test."""
    lines = text.strip().splitlines()
    return shortened(lines[0], LONGEST_ERROR) if lines else ""


def shortened(text: str, longest: int = LONGEST_MESSAGE, most_lines: int = MOST_LINES) -> str:
    """The beginning of a text, without signs that could disturb what stands around it.

    >>> shortened("a\\x00b" + "!" * 9, longest=4)
    'a\\ufffdb! …'
    """
    lines = text[: longest + 1].replace("\r\n", "\n").split("\n")
    short = "\n".join(lines[:most_lines])[:longest]
    mark = " …" if len(text) > longest or len(lines) > most_lines else ""
    return "".join(map(_harmless, short)) + mark


def _harmless(sign: str) -> str:
    """Control characters, lone surrogates and marks that turn the direction of writing become U+FFFD."""
    if sign in "\n\t":
        return sign
    disturbs = unicodedata.category(sign) in ("Cc", "Cs") or unicodedata.bidirectional(sign) in _TURNS
    return "\ufffd" if disturbs else sign


_TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def task_state(task: TaskResult) -> tuple[str, str]:
    """A word for how far a task is, and the class that colours it."""
    if task.passed:
        return "done", "good"
    if all(test.status == "not_attempted" for test in task.tests):
        return "not started", "muted"
    return ("partly done", "open") if task.score else ("not yet right", "bad")


def assignment_title(name: str) -> str:
    """
    >>> assignment_title("04_attention"), assignment_title("attention")
    ('04 Attention', 'Attention')
    """
    number, _, rest = name.partition("_") if name[:1].isdigit() else ("", "", name)
    words = rest.replace("_", " ")
    return f"{number} {words[:1].upper()}{words[1:]}".strip()


def minigpt_view(records: Sequence[Record]) -> MiniGPTView | None:
    """The MiniGPT of one student: the last of the records that has one."""
    record = next((record.minigpt for record in reversed(records) if record.minigpt is not None), None)
    if record is None:
        return None
    loss = _finite(record.validation_loss)
    own = {slot: whose == "own" for slot, whose in record.parts.items()}
    return MiniGPTView(
        stages=stages_of(own),
        own=sum(own.values()),
        total=len(own),
        loss=loss,
        record=record,
        meaning=_meaning(loss, _finite(record.floor), record.baselines),
        curve=loss_curve(record.train_losses, floor=record.floor, baselines=record.baselines, final=loss),
        map=heat_map(record.attention) if record.attention is not None else None,
        prompt=shortened(record.prompt, LONGEST_SAMPLE, 40),
        sample=shortened(record.sample, LONGEST_SAMPLE, 40),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def validation_loss(record: MiniGPTRecord | None) -> str:
    """For a table of the class. A loss below the floor is marked: chance, or a model that knew the text."""
    loss = _finite(record.validation_loss) if record is not None else None
    if record is None or loss is None:
        return "no model"
    mark = "below the floor: " if record.floor is not None and loss < record.floor else ""
    return f"{mark}{loss:.3f}"


def _meaning(loss: float | None, floor: float | None, baselines: Mapping[str, float]) -> tuple[str, ...]:
    """What a validation loss says, in sentences."""
    if loss is None:
        return ()
    said = []
    if 0 <= loss < 10:
        said.append(
            f"At each character it is as unsure, on average, as someone who has to guess one of {math.exp(loss):.1f} "
            "equally likely characters."
        )
    counting = [(value, name) for name, value in baselines.items() if name.endswith("gram") and math.isfinite(value)]
    best = min(counting, default=None)
    if best is not None:
        said.append(_against_baseline(loss, *best))
    if floor is not None:
        said.append(_against_floor(loss, floor))
    return tuple(said)


def _against_baseline(loss: float, value: float, name: str) -> str:
    start = f"The {name} model, which only counts what follows what in the training text, reaches {value:.2f}"
    if loss < value:
        return f"{start}: your MiniGPT is better, so it makes use of more than such counts hold."
    return f"{start}: your MiniGPT has not caught up with it. Longer training or a missing part may be why."


def _against_floor(loss: float, floor: float) -> str:
    start = f"The floor is {floor:.2f}: that is how unpredictable the text itself is, and no model stays below it"
    if loss < floor:
        return f"{start} for long. This loss is below it, which a short validation text can bring about by chance."
    return f"{start}. Your MiniGPT is {loss - floor:.2f} above it."


def task_statistics(results: Sequence[Result]) -> list[TaskStatistics]:
    """Mean and median of each task, in the order of the assignments and their tasks."""
    found = []
    for assignment in sorted({result.assignment for result in results}):
        graded = [result for result in results if result.assignment == assignment and result.status == "graded"]
        for task in _all_tasks(graded):
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


def _all_tasks(results: Sequence[Result]) -> list[TaskResult]:
    """Each task once, by assignment, in the order of the manifest as the results have it."""
    found: dict[str, TaskResult] = {}
    for result in sorted(results, key=lambda result: result.assignment):
        for task in result.tasks:
            found.setdefault(task.id, task)
    return list(found.values())


def _student_row(name: str, records: Sequence[Record]) -> StudentRow:
    results = {record.result.assignment: record.result for record in records}
    return StudentRow(name, results, total_points(results.values()), minigpt_view(records))


def _make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("autograder"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "assignment_title": assignment_title,
        "first_line": first_line,
        "loss": validation_loss,
        "score": score_of,
        "shortened": shortened,
        "state": task_state,
        "url": lambda text: quote(text, safe=""),
    }
    environment.globals |= {"STATUS_WORDS": STATUS_WORDS, "told": told}
    return environment


_environment = _make_environment()
