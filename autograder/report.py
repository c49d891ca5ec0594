"""What a student reads of a grading: one page. The class's is made in `class_report.py`.

    page = student_page("ada", records)          # one self-contained HTML page, as text

A page asks nothing of a network and runs no script. Text that a student may have made is escaped, freed of signs that
could disturb the page around it, and cut. Of a hidden test a student's page shows title, status, points, and the
author's hint and diagnosis, and nothing else. Decides no score: every number comes from the records.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from autograder.figures import Curve, HeatMaps, Stage, heat_maps, loss_curve, opacity_of, stages_of
from autograder.outcome import Status
from autograder.result import LastTime, MiniGPTRecord, Record, Result, Sample, TaskResult, TestResult

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")
MOST_LINES = 14
LONGEST_MESSAGE = 1000
LONGEST_ERROR = 160
LONGEST_SAMPLE = 1500
MOST_SAMPLES = 8
SAME_LOSS = 0.005

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
    change: str | None
    curve: Curve | None
    maps: HeatMaps | None
    prompt: str
    samples: tuple[Sample, ...]


def student_page(student: str, records: Sequence[Record]) -> str:
    """The page of one student, of the records that are this student's."""
    own = [record for record in in_order(records) if record.result.student == student]
    return environment.get_template("student.html.j2").render(
        student=student,
        records=own,
        points=total_points([record.result for record in own]),
        minigpt=minigpt_view(own),
        legend=[(weight, opacity_of(weight)) for weight in (0.01, 0.1, 0.25, 0.5, 1.0)],
    )


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
    """The known mistake that a failed test met, in its author's words: holds no student's text, and no value."""
    found = record.feedback.diagnoses.get(test.id)
    return found.says if found is not None and test.status != "passed" else None


def diagnoses_of(record: Record, task: TaskResult) -> list[tuple[str, int]]:
    """The different diagnoses of a task's tests, and how many tests have each."""
    found = (diagnosis_of(record, test) for test in task.tests)
    return list(Counter(says for says in found if says is not None).items())


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


def with_code(text: str) -> Markup:
    """A text of the course's as HTML, with what stands between `` ` `` as code.

    >>> str(with_code("Reduce along `dim`, if x < 3."))
    'Reduce along <code>dim</code>, if x &lt; 3.'
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    spans = (Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts))
    return Markup("").join(spans)


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
    whole = next((record for record in reversed(records) if record.minigpt is not None), None)
    if whole is None or (record := whole.minigpt) is None:
        return None
    loss, before = _finite(record.validation_loss), whole.last_time
    own = {slot: whose == "own" for slot, whose in record.parts.items()}
    return MiniGPTView(
        stages=stages_of(own),
        own=sum(own.values()),
        total=len(own),
        loss=loss,
        record=record,
        meaning=_meaning(loss, _finite(record.floor), record.baselines),
        change=_change(record, sum(own.values()), before),
        curve=_curve(record, loss, before),
        maps=heat_maps(record.attention) if record.attention is not None else None,
        prompt=shortened(record.prompt, LONGEST_SAMPLE, 40),
        samples=tuple(
            Sample(temperature=each.temperature, text=shortened(each.text, LONGEST_SAMPLE, 40))
            for each in record.samples[:MOST_SAMPLES]
        ),
    )


def _curve(record: MiniGPTRecord, loss: float | None, before: LastTime | None) -> Curve | None:
    earlier = (before.train_losses, _finite(before.validation_loss)) if before is not None else ((), None)
    return loss_curve(
        record.train_losses,
        floor=record.floor,
        baselines=record.baselines,
        final=loss,
        before=earlier[0],
        final_before=earlier[1],
    )


def _change(record: MiniGPTRecord, own: int, before: LastTime | None) -> str | None:
    """What became better or worse since last time, in a sentence, and what else is not as it was."""
    loss = _finite(record.validation_loss)
    if loss is None or before is None or (earlier := _finite(before.validation_loss)) is None:
        return None
    start = f"Last time it was {earlier:.3f}"
    steps = max((step for step, _ in before.train_losses), default=record.steps)
    if steps != record.steps:
        start += f" after {steps:,} steps"
    had = sum(whose == "own" for whose in before.parts.values())
    if had != own:
        start += f", with {had} {'part' if had == 1 else 'parts'} of your own instead of {own}"
    if abs(loss - earlier) < SAME_LOSS:
        return f"{start}: there is hardly a difference."
    return f"{start}: it is {abs(loss - earlier):.3f} {'better' if loss < earlier else 'worse'} now."


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


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
        "score": score_of,
        "shortened": shortened,
        "state": task_state,
        "with_code": with_code,
        "url": lambda text: quote(text, safe=""),
    }
    environment.globals |= {
        "STATUS_WORDS": STATUS_WORDS,
        "diagnoses_of": diagnoses_of,
        "diagnosis_of": diagnosis_of,
        "told": told,
    }
    return environment


environment = _make_environment()
