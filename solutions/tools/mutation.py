"""Tests the suites with mistakes that nobody thought of: small changes of a reference, one at a time.

    python solutions/tools/mutation.py 04_attention

A mutant is the reference with one operator, number or condition changed: `<` for `<=`, 2 for 1, a `not` before a
condition. Cosmic Ray's operators make them: it is the one library whose operators work on a source in memory, without a
test runner and a project folder of its own. Each mutant is graded in the jail by both suites, and it is caught when any
test does not pass. One that is not caught is a survivor: a test is missing, or the change makes no difference. Those
that make none stand in `solutions/NN_name/survivors.toml`, each with the reason:

    [[survivor]]
    symbol = "split_heads"
    before = "if n_heads < 1 or d_model % n_heads != 0:"
    after = "if n_heads < 1 or d_model % n_heads > 0:"
    reason = "The remainder of a division by a positive number is never negative."

Exit code 1: fewer than 95 % are caught (a listed survivor counts as not caught), or a survivor is not listed, or a
listed one does not survive. Exit code 2: the tool itself failed.

Left out: what stands outside the solution regions, as the stub has it already; annotations, which nothing checks when
the code runs; the numbers in an error's message, whose wording is open, so that no test may depend on it; texts, as no
operator changes these; changes that are no Python, or that are made already.
"""

from __future__ import annotations

import ast
import difflib
import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from autograder.jail.isolation import NoIsolation, choose
from autograder.manifest import Assignment, Course, CourseError
from autograder.outcome import GraderFault
from autograder.regions import find_regions
from autograder.trials import Trial, failing, grade_trials

SEED = 20261121
LEAST_CAUGHT = 0.95
PLUS_NUMBER = re.compile(r"UnaryOp\(op=UAdd\(\), operand=(Constant\(value=[^()]*\))\)")


@dataclass(frozen=True)
class Mutant:
    """The reference with one change. `symbol` is dotted for a method; `before` and `after` are the changed lines."""

    symbol: str
    line: int
    operator: str
    before: str
    after: str
    source: str

    @property
    def change(self) -> tuple[str, str, str]:
        return self.symbol, self.before, self.after


class Survivor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `survivors.toml`: a mutant that no test can tell from the reference, and why."""

    symbol: str
    before: str
    after: str
    reason: str

    @property
    def change(self) -> tuple[str, str, str]:
        return self.symbol, self.before, self.after


class SurvivorFile(msgspec.Struct, forbid_unknown_fields=True):
    survivors: tuple[Survivor, ...] = msgspec.field(name="survivor", default=())


@dataclass(frozen=True)
class Report:
    """One assignment. `stale` are entries of `survivors.toml` to which no survivor belongs."""

    assignment: str
    mutants: int
    survivors: tuple[Mutant, ...]
    unlisted: tuple[Mutant, ...]
    stale: tuple[Survivor, ...]

    @property
    def caught(self) -> int:
        return self.mutants - len(self.survivors)

    @property
    def share(self) -> float:
        return self.caught / self.mutants if self.mutants else 1.0


# --- mutants ---------------------------------------------------------------------------------------------------------


def find_mutants(source: str) -> list[Mutant]:
    """Every mutant of what stands in the solution regions, in the order of the lines."""
    tree, original = get_ast(source), _meaning(source)
    found: dict[str, Mutant] = {}
    for name in operator_names():
        kind = get_operator(name)
        if kind.arguments():
            continue  # two operators that put random numbers in the place of variables that one names
        for occurrence, line in _places(tree, kind(), source):
            mutated = mutate_code(source, kind(), occurrence) or source
            meaning = _meaning(mutated)
            if meaning is not None and meaning != original:
                mutant = _describe(source, mutated, line, name)
                found[meaning] = min(mutant, found.get(meaning, mutant), key=lambda each: len(each.after))
    return sorted(found.values(), key=lambda mutant: (mutant.line, mutant.operator))


def _places(tree: object, operator: Operator, source: str) -> Iterator[tuple[int, int]]:
    """The number of each place where the operator can change something that counts, and its line."""
    regions = find_regions(source)
    places = ((node, start[0]) for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node))
    for occurrence, (node, line) in enumerate(places):
        if any(region.begin < line < region.end for region in regions) and not _is_for_people(node):
            yield occurrence, line


def _is_for_people(node: object) -> bool:
    """Whether a node of parso's tree is in an annotation, or in what is raised."""
    while (parent := getattr(node, "parent", None)) is not None:
        if parent.type == "raise_stmt":
            return True
        if parent.type == "tfpdef" and node is not parent.children[0]:
            return True
        if parent.type == "annassign" and node is parent.children[1]:
            return True
        if parent.type == "funcdef" and node is parent.annotation:
            return True
        node = parent
    return False


def _meaning(source: str) -> str | None:
    """What the source means to Python: without spaces, and with 2 for +2. None if it is no Python."""
    try:
        return PLUS_NUMBER.sub(r"\1", ast.dump(ast.parse(source)))
    except SyntaxError:
        return None


def _describe(source: str, mutated: str, line: int, operator: str) -> Mutant:
    changed = list(difflib.unified_diff(source.splitlines(), mutated.splitlines(), n=0, lineterm=""))[3:]
    before, after = (
        " ".join(text[1:].strip() for text in changed if text.startswith(sign)) for sign in ("-", "+")
    )  # the lines that went, and those that came in their place
    return Mutant(symbol_at(source, line), line, operator.partition("/")[2], before, after, mutated)


def symbol_at(source: str, line: int) -> str:
    """The function or class around a line, with those around it: "KVCache.append"."""
    names = []
    body: list[ast.stmt] = ast.parse(source).body
    while around := [node for node in body if node.lineno <= line <= (node.end_lineno or 0)]:
        if not isinstance(around[0], ast.FunctionDef | ast.ClassDef):
            break
        names.append(around[0].name)
        body = around[0].body
    return ".".join(names)


# --- grading ---------------------------------------------------------------------------------------------------------


def try_assignment(course: Course, assignment: Assignment, seed: int, jobs: int, console: Console) -> Report:
    """Grades every mutant of an assignment's reference, and compares what survives with what is listed."""
    source = assignment.reference.read_text(encoding="utf-8")
    listed = read_survivors(assignment)
    mutants = find_mutants(source)
    trials = {mutant: Trial(assignment.name, mutant.source, seed, suspects(assignment, mutant)) for mutant in mutants}
    original = Trial(assignment.name, source, seed)
    steps = track(
        grade_trials(course, [original, *trials.values()], jobs),
        f"{assignment.name}: {len(mutants)} mutants",
        len(trials) + 1,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    graded = dict(steps)
    if lost := failing(graded[original]):
        raise CourseError(f"{assignment.name}: the reference itself does not pass {', '.join(lost)}")
    survivors = tuple(mutant for mutant in mutants if not failing(graded[trials[mutant]]))
    return compare(assignment.name, len(mutants), survivors, listed)


def suspects(assignment: Assignment, mutant: Mutant) -> frozenset[str]:
    """The task whose tests are likely to catch the mutant. A helper of several tasks is nobody's."""
    task = assignment.manifest.owner(mutant.symbol.partition(".")[0])
    return frozenset() if task is None else frozenset({task.id})


def compare(name: str, mutants: int, survivors: tuple[Mutant, ...], listed: Sequence[Survivor]) -> Report:
    known = {entry.change for entry in listed}
    alive = {mutant.change for mutant in survivors}
    return Report(
        name,
        mutants,
        survivors,
        unlisted=tuple(mutant for mutant in survivors if mutant.change not in known),
        stale=tuple(entry for entry in listed if entry.change not in alive),
    )


def read_survivors(assignment: Assignment) -> tuple[Survivor, ...]:
    """What `survivors.toml` lists; nothing where there is no such file."""
    path = assignment.solution_folder / "survivors.toml"
    if not path.is_file():
        return ()
    try:
        listed = msgspec.toml.decode(path.read_bytes(), type=SurvivorFile).survivors
    except (OSError, ValueError) as error:
        raise CourseError(f"{path}: {error}") from error
    for entry in listed:
        if not entry.reason.strip():
            raise CourseError(f"{path}: the survivor of {entry.symbol} ({entry.after}) has no reason")
        if [other.change for other in listed].count(entry.change) > 1:
            raise CourseError(f"{path}: this survivor of {entry.symbol} stands there twice: {entry.after}")
    return listed


# --- what is printed -------------------------------------------------------------------------------------------------


def make_table(reports: Sequence[Report]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for column in ("mutants", "caught", "survivors", "not listed", "caught, percent"):
        table.add_column(column, justify="right")
    for report in reports:
        numbers = (report.mutants, report.caught, len(report.survivors), len(report.unlisted))
        table.add_row(report.assignment, *map(str, numbers), f"{100 * report.share:.1f}")
    return table


def show(reports: Sequence[Report], console: Console) -> bool:
    """Prints everything; whether all is as it should be."""
    for report in reports:
        for mutant in report.survivors:
            told = as_entry(mutant) if mutant in report.unlisted else as_difference(mutant)
            console.print(f"{report.assignment} {told}", markup=False, soft_wrap=True)
    console.print(make_table(reports))
    fine = True
    for report in reports:
        for problem in problems_of(report):
            fine = False
            console.print(f"{report.assignment}: {problem}", markup=False, soft_wrap=True)
    console.print("proven: every change is caught, or known to make no difference" if fine else "not proven")
    return fine


def as_difference(mutant: Mutant) -> str:
    return f"line {mutant.line}, {mutant.symbol}, {mutant.operator}: listed\n- {mutant.before}\n+ {mutant.after}\n"


def as_entry(mutant: Mutant) -> str:
    """As `survivors.toml` would have it, but for the reason. JSON's texts are TOML's, too."""
    fields = {"symbol": mutant.symbol, "before": mutant.before, "after": mutant.after, "reason": ""}
    lines = [f"{name} = {json.dumps(text, ensure_ascii=False)}" for name, text in fields.items()]
    place = f"line {mutant.line}, {mutant.symbol}, {mutant.operator}: NOT LISTED"
    return "\n".join([place, "[[survivor]]", *lines, ""])


def problems_of(report: Report) -> list[str]:
    problems = []
    if report.share < LEAST_CAUGHT:
        problems.append(f"{100 * report.share:.1f} % of the mutants are caught, {LEAST_CAUGHT:.0%} are due")
    if report.unlisted:
        problems.append(f"survivors that are not listed: {len(report.unlisted)}; write a test, or say why not")
    for entry in report.stale:
        problems.append(f"survivors.toml lists one that does not survive, in {entry.symbol}: {entry.after}")
    return problems


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Assignments; all without one.")] = None,
    seed: Annotated[int, typer.Option(help="From which inputs are drawn.")] = SEED,
    jobs: Annotated[int, typer.Option(min=1, help="How many processes, each with a jail.")] = 2,
    course: Annotated[Path | None, typer.Option(help="The course's folder; this one's without it.")] = None,
) -> None:
    """Change the references in small ways, and see whether the tests notice."""
    console = Console(highlight=False)
    try:
        console.print(f"seed {seed}, isolation {choose('auto')}, jobs {jobs}")
        found = Course.find(course or Path(__file__).parent)
        chosen = [found.assignment(name) for name in names] if names else found.assignments()
        reports = [try_assignment(found, assignment, seed, jobs, console) for assignment in chosen]
    except (CourseError, GraderFault, NoIsolation, BrokenProcessPool) as error:
        console.print(f"the tool failed, nothing is proven: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    raise typer.Exit(0 if show(reports, console) else 1)


if __name__ == "__main__":
    typer.run(main)
