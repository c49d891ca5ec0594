"""What `minigpt check` says of a task that does not pass: the property, what came instead, where, and what to try.

sdpa: Each query's attention weights sum to 1 over the keys.
  expected 1 at [0, 0], got 2.7 (6 of 6 values differ)
  likely: Your softmax goes over the queries.
  hint: Softmax goes over the keys: dim=-1.
  more: minigpt hint sdpa
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from autograder.outcome import printable
from autograder.replay import Replayed
from autograder.result import TestResult
from autograder.suite import Outcome
from autograder.tracebacks import Frame

MAX_LINES = 4
MAX_SIDE = 60  # characters of what was expected, and of what came
LINE_OF_FILE = re.compile(r" \(line \d+ of your file\)$")
EXPECTED = re.compile(r"(?P<before>.*?)expected (?P<due>.+?), got (?P<got>.+)", re.DOTALL)
ABOUT_SHAPE = re.compile(r"expected (shape|a tensor)|TypeError: .*NoneType")


@dataclass(frozen=True)
class Closer:
    """What a second look at a failed test gave. `told_before`: an earlier task's test met the same wrong shape."""

    shape: str | None
    frames: tuple[Frame, ...]
    told_before: bool = False

    @staticmethod
    def of(replayed: Replayed, before: Iterable[Closer]) -> Closer:
        told = replayed.shape is not None and any(replayed.shape == other.shape for other in before)
        return Closer(replayed.shape, replayed.frames, told)


def advice(task: str, failing: TestResult, outcome: Outcome, closer: Closer | None) -> RenderableType:
    """The lines for one task, of its first failing test."""
    head = Text.assemble((task, "bold"), f": {failing.title}")
    return Group(head, *(Padding(line, (0, 0, 0, 2), expand=False) for line in _lines(task, failing, outcome, closer)))


def _lines(task: str, failing: TestResult, outcome: Outcome, closer: Closer | None) -> Iterator[Text]:
    if closer is not None and closer.told_before:
        yield Text(f"{(closer.shape or '').partition(' ')[0]} is wrong, as above: mend that first.")
        return
    shape, frames = (closer.shape, closer.frames) if closer is not None else (None, ())
    if shape is not None:
        yield Text(printable(shape))
    if outcome.message and not (shape is not None and ABOUT_SHAPE.match(outcome.message)):
        yield Text(shortened(LINE_OF_FILE.sub("", outcome.message) if frames else outcome.message))
    yield from frame_lines(frames)
    if outcome.diagnosis is not None:
        yield Text.assemble(("likely: ", "bold"), outcome.diagnosis.says)
    if failing.hint:
        yield Text.assemble(("hint: ", "bold"), failing.hint)
    yield Text(f"more: minigpt hint {task}", style="dim")


def frame_lines(frames: tuple[Frame, ...]) -> Iterator[Text]:
    """The innermost line of the student's own, and how it was reached."""
    for number, frame in enumerate(frames):
        where = f"line {frame.line}, in {frame.function}" if frame.function else f"line {frame.line}"
        yield Text(f"called from {where}" if number else f"{where}:")
        if number == 0:
            yield Text(f"    {printable(frame.source)}", style="italic", no_wrap=True, overflow="ellipsis")


def shortened(message: str) -> str:
    """A message cut to what matters: of two long values, the places where they begin to differ.

    shortened("expected [0, 0, ... 100 more], got [0, 0, ...]")        # "expected ...0, 7, 0..., got ...0, 8, 0..."
    """
    found = EXPECTED.fullmatch(message)
    if found is not None and max(len(found["due"]), len(found["got"])) > MAX_SIDE:
        due, got = _around_difference(found["due"], found["got"])
        message = f"{found['before']}expected {due}, got {got}"
    lines = [line for line in message.splitlines() if line.strip()]
    return "\n".join(lines[:MAX_LINES] + ["..."] * (len(lines) > MAX_LINES))


def _around_difference(due: str, got: str) -> tuple[str, str]:
    pairs = zip(due, got, strict=False)
    first = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(due), len(got)))
    start = max(0, first - MAX_SIDE // 2)
    return _cut(due, start), _cut(got, start)


def _cut(text: str, start: int) -> str:
    piece = text[start : start + MAX_SIDE]
    return f"{'...' if start else ''}{piece}{'...' if start + MAX_SIDE < len(text) else ''}"
