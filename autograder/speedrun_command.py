"""`minigpt train --preset speedrun` and `minigpt leaderboard`: the capstone's runs, and a table of them.

    speedrun_command(Path("runs"), "ada", None, 1, console)      # trains, prints, adds a line to runs/leaderboard.jsonl
    show_leaderboard(Path("runs"), console)                      # the fastest first, of those that reach the loss

A line says who, when, on what machine, how fast, how good, and the SHA-256 of `speedrun.py`, so that one can tell which
recipe it was. Times of different machines are listed beside each other and prove nothing: compare on one.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

import datasets
from autograder.manifest import CourseError
from autograder.minigpt import speedrun

TARGET = 1.886  # nanoGPT's CPU configuration reaches 1.88, says its README; 1.8857 on two cores, measured
LEADERBOARD = "leaderboard.jsonl"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One finished run. `loss` in nats per character, over the whole validation text; `seconds` of training."""

    who: str
    when: str
    loss: float
    seconds: float
    steps: int
    parameters: int
    threads: int
    machine: str
    torch: str
    recipe_sha256: str


def speedrun_command(folder: Path, who: str | None, steps: int | None, threads: int, console: Console) -> Entry:
    """Runs the recipe on tinyshakespeare, adds it to the leaderboard in `folder`, and says what was reached."""
    torch.set_num_threads(threads)
    try:
        corpus = datasets.load("shakespeare")
    except ValueError as error:
        raise CourseError(str(error)) from error
    ids = {character: number for number, character in enumerate(corpus.alphabet)}
    train, validation = (torch.tensor([ids[each] for each in text]) for text in (corpus.train, corpus.validation))
    recipe = speedrun.Recipe() if steps is None else speedrun.Recipe(steps=steps)
    with Progress(console=console) as bar:
        task = bar.add_task("speedrun", total=recipe.steps)

        def show(step: int, loss: float) -> None:
            bar.update(task, completed=step + 1, description=f"loss {loss:.3f}")

        result = speedrun.run_speedrun(train, validation, len(ids), recipe, show)
    entry = Entry(
        who=who or getpass.getuser(),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        loss=round(result.loss, 4),
        seconds=round(result.seconds, 2),
        steps=result.steps,
        parameters=result.parameters,
        threads=threads,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        torch=torch.__version__,
        recipe_sha256=hashlib.sha256(Path(speedrun.__file__).read_bytes()).hexdigest(),
    )
    _add(folder / LEADERBOARD, entry)
    word = "reached" if entry.loss <= TARGET else "NOT reached"
    console.print(f"validation loss {entry.loss:.4f} in {entry.seconds:.1f} s; {TARGET} {word}", markup=False)
    return entry


def show_leaderboard(folder: Path, console: Console) -> None:
    """Those that reach the target, the fastest first; then the others, the best loss first."""
    entries = sorted(read_leaderboard(folder / LEADERBOARD), key=_rank)
    if not entries:
        raise CourseError(f"{folder / LEADERBOARD} is not there: run `minigpt train --preset speedrun` first")
    table = Table(title=f"speedrun: validation loss of at most {TARGET}", title_justify="left")
    for column in ("", "who", "seconds", "loss", "steps", "parameters", "threads", "recipe", "when"):
        table.add_column(column, justify="left" if column in ("who", "recipe", "when") else "right")
    for place, entry in enumerate(entries, start=1):
        reached = entry.loss <= TARGET
        numbers = (f"{entry.seconds:.1f}", f"{entry.loss:.4f}", str(entry.steps), f"{entry.parameters:,}")
        row = (str(place) if reached else "-", entry.who, *numbers, str(entry.threads), entry.recipe_sha256[:8])
        table.add_row(*map(Text, (*row, entry.when[:16])))
    console.print(table)


def read_leaderboard(path: Path) -> Iterator[Entry]:
    """The runs so far, in their order; none where there is no file. A line that is none is a `CourseError`."""
    if not path.is_file():
        return
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            yield msgspec.json.decode(line, type=Entry)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CourseError(f"{path}, line {number}: {error}. Mend or remove that line") from error


def _rank(entry: Entry) -> tuple[bool, float]:
    reached = entry.loss <= TARGET
    return not reached, entry.seconds if reached else entry.loss


def _add(path: Path, entry: Entry) -> None:
    """One line, written in one go: two runs at once do not mix theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(entry) + b"\n")
