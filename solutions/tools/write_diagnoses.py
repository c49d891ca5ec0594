"""Writes what the diagnosis of mistakes knows beforehand. Run it when a reference, `mistakes.py` or a test has changed.

    python solutions/tools/write_diagnoses.py                     # every assignment whose files are stale
    python solutions/tools/write_diagnoses.py 04_attention

For each assignment: `assignments/NN/diagnosis.npz`, what each mistake gives to the visible tests, which ships; and
`solutions/NN/failing.json`, which mistake fails which test with two seeds, which does not. Exit code 1: with
`--check`, if something is stale.
"""

from __future__ import annotations

import concurrent.futures
import io
import multiprocessing
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import torch
import typer
from rich.console import Console

from autograder.diagnosis import Row, Table, Variant, look, made_from, read_table, table_path
from autograder.files import write_atomically
from autograder.fingerprints import Transcript
from autograder.jail.client import Jail
from autograder.jail.isolation import choose
from autograder.manifest import Assignment, Course
from autograder.plugin import DEFAULT_SEED
from autograder.shipped_diagnoses import Shipped, file_of, read_shipped, to_arrays
from autograder.suite import collect
from autograder.variants import Mistake, read_mistakes

OTHER_SEED = 20261121


def is_stale(assignment: Assignment) -> bool:
    """Whether something has changed since the files were written, or one is not there."""
    shipped, due = read_shipped(file_of(assignment)), made_from(assignment)
    return shipped is None or shipped.made_from != due or read_table(assignment).made_from != due


def write(assignment: Assignment) -> str:
    """Both files of an assignment; what was done, as a line."""
    torch.set_num_threads(1)
    due, suite, mistakes = made_from(assignment), collect(assignment, hidden=True), read_mistakes(assignment)
    visible = [case.id for case in suite.cases if case.visibility == "visible"]
    rows: dict[str, Row] = {}
    seen: dict[str, dict[str, Transcript]] = {}
    variants: list[Variant] = []
    with Jail(choose("auto"), training=bool(assignment.manifest.optimizers)) as jail:
        for mistake in mistakes:
            files = {assignment.manifest.module: mistake.source.encode()}
            first = look(suite, jail, files, DEFAULT_SEED)
            failing = frozenset(case.id for case in suite.cases if case.id not in first.passed)
            again = look(suite, jail, files, OTHER_SEED, failing)
            rows[mistake.name] = Row(tuple(sorted(failing - again.passed)), tuple(sorted(failing & again.passed)))
            at_home = look(suite, jail, files, DEFAULT_SEED, frozenset(visible) & first.failed.keys())
            seen[mistake.name] = at_home.failed  # those alone: what a test leaves behind may change the next
            variants.append(_variant(mistake, frozenset(set(visible) - first.passed)))
    shipped = Shipped(due, tuple(variants), tuple(visible), seen)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **to_arrays(shipped))
    write_atomically(file_of(assignment), buffer.getvalue())
    table = Table(made_from=due, seeds=(DEFAULT_SEED, OTHER_SEED), variants=rows)
    write_atomically(table_path(assignment), msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n")
    return f"{assignment.name}: {len(variants)} mistakes, {len(buffer.getvalue()) >> 10} KB to ship"


def _variant(mistake: Mistake, fails: frozenset[str]) -> Variant:
    return Variant(mistake.name, mistake.task, mistake.says, fails, fails)


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Assignments; all that are stale without one.")] = None,
    check: Annotated[bool, typer.Option(help="Write nothing; exit code 1 if something is stale.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="How many processes, each with a jail.")] = 2,
    course: Annotated[Path | None, typer.Option(help="The course's folder; this one's without it.")] = None,
) -> None:
    """Write what the diagnosis of mistakes knows beforehand."""
    console = Console(highlight=False)
    found = Course.find(course or Path(__file__).parent)
    due = [found.assignment(name) for name in names or []] or [each for each in found.assignments() if is_stale(each)]
    if check:
        for assignment in due:
            console.print(f"{assignment.name} is stale: run solutions/tools/write_diagnoses.py")
        raise typer.Exit(1 if due else 0)
    with concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for line in pool.map(write, due):
            console.print(line)


if __name__ == "__main__":
    typer.run(main)
