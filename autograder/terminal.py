"""What `minigpt grade` prints: a line for each submission as it is graded, and a table at the end."""

from __future__ import annotations

from types import TracebackType

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from autograder.grader import Settings
from autograder.outcome import STATUSES
from autograder.result import Record


class ClassTable:
    """Shows progress while a class is graded; use as a context manager."""

    def __init__(self, console: Console, settings: Settings) -> None:
        self._console = console
        self._settings = settings
        self._progress = Progress(
            TextColumn("grading"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def __enter__(self) -> ClassTable:
        names = ", ".join(self._settings.assignments)
        self._console.print(f"{names}: isolation {self._settings.tier}, seed {self._settings.seed}", markup=False)
        if not self._settings.hidden:
            self._console.print("no jail, so visible tests only; --force runs the hidden ones all the same")
        self._progress.start()
        self._task = self._progress.add_task("grading", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def add(self, record: Record) -> None:
        self._progress.advance(self._task)
        result = record.result
        what = "missing" if result.status == "missing" else _points(record)
        self._progress.console.print(f"  {result.student} {result.assignment}: {what}", markup=False)

    def keep(self, student: str) -> None:
        self._progress.console.print(f"  {student}: graded already, nothing has changed", markup=False)

    def summarize(self, records: list[Record], refused: list[str]) -> None:
        """The table of the class, what was refused, and where the reports are."""
        single = len(self._settings.assignments) == 1
        self._console.print(_table(records) if single else _wide_table(records, self._settings.assignments))
        for reason in refused:
            self._console.print(f"refused: {reason}", markup=False, soft_wrap=True)
        for record in records:
            for notice in record.feedback.notices:
                self._console.print(f"{record.result.student}: {notice}", markup=False, soft_wrap=True)
        self._console.print(f"reports: {self._settings.out / 'index.html'}", markup=False, soft_wrap=True)


def _table(records: list[Record]) -> Table:
    table = Table(title="class", title_justify="left")
    for name in ("student", "assignment", "points", "own parts", "loss", "tests"):
        table.add_column(name, justify="right" if name in ("points", "loss") else "left", overflow="fold")
    for record in records:
        model = record.minigpt
        own = (", ".join(slot for slot, whose in model.parts.items() if whose == "own") or "none") if model else ""
        loss = f"{model.validation_loss:.3f}" if model and model.validation_loss is not None else ""
        result = record.result
        table.add_row(result.student, result.assignment, _points(record), own, loss, Text(_remarks(record)))
    return table


def _wide_table(records: list[Record], assignments: tuple[str, ...]) -> Table:
    """A row for each student, a column for each assignment by its number. What is not plain is told below the table."""
    table = Table(title="class", title_justify="left", caption_justify="left", caption=_wide_caption(records))
    table.add_column("student", overflow="fold")
    for name in (*(name.partition("_")[0] for name in assignments), "points", "own parts", "loss"):
        table.add_column(name, justify="right")
    by_student: dict[str, dict[str, Record]] = {}
    for record in records:
        by_student.setdefault(record.result.student, {})[record.result.assignment] = record
    for student, own in by_student.items():
        model = next((record.minigpt for record in own.values() if record.minigpt is not None), None)
        parts = f"{sum(whose == 'own' for whose in model.parts.values())} of {len(model.parts)}" if model else ""
        loss = f"{model.validation_loss:.3f}" if model and model.validation_loss is not None else ""
        scores = [own[name].result.score for name in assignments]
        total = sum(score for score in scores if not isinstance(score, msgspec.UnsetType))
        table.add_row(student, *(_cell(own[name]) for name in assignments), str(total), parts, loss)
    return table


def _cell(record: Record) -> str:
    if record.result.status == "graded":
        return str(record.result.score)
    return "–" if record.result.status == "missing" else "error"


def _wide_caption(records: list[Record]) -> str:
    most = {record.result.assignment: record.result.max_score for record in records}
    if not most:
        return "nobody was graded"
    if len(set(most.values())) == 1:
        return f"{max(most.values())} points each; – is missing"
    return f"points: {', '.join(f'{name} {points}' for name, points in most.items())}; – is missing"


def _points(record: Record) -> str:
    score = record.result.score
    return "not graded" if isinstance(score, msgspec.UnsetType) else f"{score} of {record.result.max_score}"


def _remarks(record: Record) -> str:
    """Everything that is not a plain pass or failure, counted."""
    if not isinstance(record.result.message, msgspec.UnsetType):
        return f"{record.result.status}: {record.result.message}"
    statuses = [test.status for task in record.result.tasks for test in task.tests]
    counted = [(status.replace("_", " "), statuses.count(status)) for status in STATUSES]
    return ", ".join(f"{count} {word}" for word, count in counted if count)
