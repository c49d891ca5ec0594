"""Tests the diagnosis of mistakes with students who make exactly one.

    python solutions/tools/check_diagnoses.py                           # every assignment
    python solutions/tools/check_diagnoses.py 04_attention --verbose

Each variant of `mistakes.py` is graded as a student's module would be, and should be told its own name: under the
grader, by all tests and with inputs that were never seen before; in a student's repository, by the visible tests and
the shipped data. What is told another's name, or nothing, is missed; so is what is told its own name at one test and
another's at the next. Each variant of `alternatives.py` must be told nothing.

Two mistakes that give the same answers to every test are one mistake, to anybody: they count once, and are listed.

Exit code 1 where too few are known (the constants below) or a right answer is diagnosed. Exit code 2: the tool failed.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import secrets
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from autograder.diagnosis import LiveVariants, Witness, diagnose, look
from autograder.fingerprints import alike
from autograder.jail.client import Jail
from autograder.jail.isolation import NoIsolation, choose
from autograder.manifest import Assignment, Course, CourseError
from autograder.outcome import Diagnosis, GraderFault
from autograder.plugin import DEFAULT_SEED
from autograder.shipped_diagnoses import diagnose_here, file_of, read_shipped
from autograder.suite import Outcome, Suite, collect
from autograder.variants import Alternative, Mistake, read_alternatives, read_mistakes

GRADED_SHARE = 0.9  # of all mistakes, at least, must be told their name under the grader
SHIPPED_SHARE = 0.75  # and so many in a student's repository


@dataclass
class Report:
    """One assignment. twins: mistakes that no test tells from an earlier one; misses: which, and what was told."""

    assignment: str
    mistakes: int = 0
    twins: list[str] = field(default_factory=list)
    graded: list[str] = field(default_factory=list)
    shipped: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    wronged: list[str] = field(default_factory=list)
    alternatives: int = 0
    seconds: float = 0.0


def check(assignment: Assignment, seed: int) -> Report:
    """Every mistake and every alternative of an assignment."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    report = Report(assignment.name)
    suite, visible = collect(assignment, hidden=True), collect(assignment, hidden=False)
    alternatives, mistakes = read_alternatives(assignment), read_mistakes(assignment)

    def files_of(variant: Mistake | Alternative) -> dict[str, bytes]:
        return {assignment.manifest.module: variant.source.encode()}

    with Jail(choose("auto"), training=bool(assignment.manifest.optimizers)) as jail:
        live = LiveVariants(suite, jail, seed)
        for alternative in alternatives:
            if told := diagnose(look(suite, jail, files_of(alternative), seed), live):
                report.wronged.append(f"the alternative {alternative.name} is told: {names_of(told)}")
        graded = {mistake.name: look(suite, jail, files_of(mistake), seed) for mistake in mistakes}
        at_home = {mistake.name: look(visible, jail, files_of(mistake), DEFAULT_SEED) for mistake in mistakes}
        report.alternatives = len(alternatives)
        first: list[Mistake] = []
        for mistake in mistakes:
            twin = next((each for each in first if are_twins(graded[each.name], graded[mistake.name])), None)
            if twin is not None:
                report.twins.append(f"{mistake.name} gives what {twin.name} gives")
                continue
            first.append(mistake)
            hits = {
                "grader": diagnose(graded[mistake.name], live),
                "student": shipped_diagnosis(assignment, visible, mistake, at_home[mistake.name]),
            }
            for place, known in (("grader", report.graded), ("student", report.shipped)):
                if {each.mistake for each in hits[place].values()} == {mistake.name}:
                    known.append(mistake.name)
                else:
                    failed = len((graded if place == "grader" else at_home)[mistake.name].failed)
                    told = names_of(hits[place]) or f"nothing ({failed} tests to go by)"
                    report.misses.append(f"{place}: {mistake.name} is told {told}")
        report.mistakes = len(first)
    report.seconds = time.perf_counter() - started
    return report


def are_twins(one: Witness, other: Witness) -> bool:
    """Whether no test tells two mistakes apart."""
    return (
        one.passed == other.passed
        and one.failed.keys() == other.failed.keys()
        and all(alike(one.failed[test], other.failed[test]) for test in one.failed)
    )


def shipped_diagnosis(assignment: Assignment, suite: Suite, mistake: Mistake, seen: Witness) -> Mapping[str, Diagnosis]:
    """What `minigpt check` tells; only tests that end by themselves are run here, where nothing stops them."""
    outcomes = {test: Outcome("passed") for test in seen.passed} | {test: Outcome("failed") for test in seen.failed}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, assignment.manifest.module)
        path.write_text(mistake.source, encoding="utf-8")
        told = diagnose_here(assignment, suite, outcomes, path)
    return {test: outcome.diagnosis for test, outcome in told.items() if outcome.diagnosis is not None}


def names_of(told: Mapping[str, Diagnosis]) -> str:
    return ", ".join(sorted({diagnosis.mistake for diagnosis in told.values()}))


def show(reports: list[Report], console: Console, verbose: bool) -> bool:
    """Prints the table, and what is wrong; whether all is as it should be."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("")
    for column in ("mistakes", "twins", "known to the grader", "known to students", "right ones diagnosed", "seconds"):
        table.add_column(column, justify="right")
    total = Report("all")
    for report in reports:
        add_row(table, report)
        total.mistakes += report.mistakes
        total.alternatives += report.alternatives
        total.seconds += report.seconds
        for name in ("twins", "graded", "shipped", "misses", "wronged"):
            getattr(total, name).extend(f"{report.assignment}: {each}" for each in getattr(report, name))
    table.add_section()
    add_row(table, total)
    console.print(table)
    for line in [*(total.twins + total.misses if verbose else []), *total.wronged]:
        console.print(line, markup=False, soft_wrap=True)
    enough = share(total.graded, total) >= GRADED_SHARE and share(total.shipped, total) >= SHIPPED_SHARE
    console.print("proven: mistakes are known by name" if enough and not total.wronged else "not proven")
    return enough and not total.wronged


def share(known: list[str], report: Report) -> float:
    return len(known) / report.mistakes if report.mistakes else 1.0


def add_row(table: Table, report: Report) -> None:
    table.add_row(
        report.assignment,
        str(report.mistakes),
        str(len(report.twins)),
        f"{len(report.graded)} ({share(report.graded, report):.0%})",
        f"{len(report.shipped)} ({share(report.shipped, report):.0%})",
        f"{len(report.wronged)} of {report.alternatives}",
        f"{report.seconds:.0f}",
    )


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Assignments; all without one.")] = None,
    seed: Annotated[int | None, typer.Option(help="From which the grader's inputs are drawn; random without.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many processes, each with a jail.")] = 2,
    verbose: Annotated[bool, typer.Option(help="List what is missed, and which mistakes are one.")] = False,
    course: Annotated[Path | None, typer.Option(help="The course's folder; this one's without it.")] = None,
) -> None:
    """Grade every mistake, and see whether it is told its name."""
    console = Console(highlight=False)
    seed = secrets.randbelow(2**31) if seed is None else seed
    console.print(f"seed {seed}, isolation {choose('auto')}, jobs {jobs}")
    try:
        found = Course.find(course or Path(__file__).parent)
        chosen = [found.assignment(name) for name in names] if names else found.assignments()
        for assignment in chosen:
            if read_shipped(file_of(assignment)) is None:
                raise CourseError(f"{file_of(assignment)} is missing: run solutions/tools/write_diagnoses.py")
        with concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            reports = list(pool.map(check, chosen, [seed] * len(chosen)))
    except (CourseError, GraderFault, NoIsolation, BrokenProcessPool) as error:
        console.print(f"the tool failed, nothing is proven: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    raise typer.Exit(0 if show(reports, console, verbose) else 1)


if __name__ == "__main__":
    typer.run(main)
