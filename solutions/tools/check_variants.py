"""Tests the suites with answers that are known to be right or wrong.

    python solutions/tools/check_variants.py                            # every assignment
    python solutions/tools/check_variants.py 04_attention --verbose

grades in the jail, by the visible and the hidden tests: each reference (in-process too), each variant of its
`alternatives.py` with two seeds, and each of its `mistakes.py`, by the tests of the task that it names. It prints a
table, then what is not as it should be.
Exit code 1 if there is anything; the rules are the constants below. Exit code 2: the tool itself failed.

Does not say whether the tests would catch a mistake that nobody has written down: see `mutation.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from autograder.in_process import InProcess
from autograder.jail.isolation import NoIsolation, choose
from autograder.manifest import Assignment, Course, CourseError, Task
from autograder.outcome import GraderFault
from autograder.suite import Outcome, Suite, collect, run
from autograder.trials import Trial, failing, grade_trials
from autograder.variants import Alternative, Mistake, read_alternatives, read_mistakes

SEED = 20261121
POINTS = 80  # of each assignment
VISIBLE_TESTS, HIDDEN_TESTS, HINTS, MISTAKES = 2, 3, 3, 3  # at least, for each task; hints are exactly so many
ALTERNATIVES = 3  # at least, for each assignment
VISIBLE_SHARE = 0.7  # of the mistakes, at least, must be caught before the hidden tests: of each assignment and of all

CAPTION = "tests: visible+hidden; by visible: caught by a visible test; right: alternatives"
Graded = dict[Trial, dict[str, Outcome]]


@dataclass(frozen=True)
class Plan:
    """What is to be graded for one assignment, all of it read and checked."""

    assignment: Assignment
    suite: Suite
    seed: int
    mistakes: tuple[Mistake, ...]
    alternatives: tuple[Alternative, ...]

    def trial(self, source: str, seed: int | None = None) -> Trial:
        return Trial(self.assignment.name, source, self.seed if seed is None else seed)

    @property
    def reference(self) -> Trial:
        return self.trial(self.assignment.reference.read_text(encoding="utf-8"))

    def seeds_of(self, alternative: Alternative) -> list[Trial]:
        return [self.trial(alternative.source, seed) for seed in (self.seed, self.seed + 1)]

    def trial_of(self, mistake: Mistake) -> Trial:
        """By the tests of its own task, which must catch it."""
        return Trial(self.assignment.name, mistake.source, self.seed, only=frozenset({mistake.task}))

    def trials(self) -> list[Trial]:
        right = [trial for alternative in self.alternatives for trial in self.seeds_of(alternative)]
        return [self.reference, *right, *map(self.trial_of, self.mistakes)]


@dataclass(frozen=True)
class Tally:
    """A line of the table: a task, an assignment or all."""

    name: str
    visible: int
    hidden: int
    points: int
    mistakes: int
    caught: int
    caught_visible: int
    alternatives: int | None = None
    right: int | None = None


@dataclass(frozen=True)
class Report:
    """One assignment. Where there are `problems` it is not proven; `hidden_only` are no problem one by one."""

    assignment: str
    tasks: tuple[Tally, ...] = ()
    total: Tally | None = None
    problems: tuple[str, ...] = ()
    hidden_only: tuple[str, ...] = ()


# --- what to grade ---------------------------------------------------------------------------------------------------


def make_plan(assignment: Assignment, seed: int) -> Plan:
    """Reads an assignment's variants and tests. What is missing or wrong is a `CourseError`."""
    folder = assignment.solution_folder
    for path in (assignment.reference, folder / "mistakes.py", folder / "alternatives.py"):
        if not path.is_file():
            raise CourseError(f"{path} is missing: without it nothing can be said about the tests")
    mistakes, alternatives = tuple(read_mistakes(assignment)), tuple(read_alternatives(assignment))
    return Plan(assignment, collect(assignment, hidden=True), seed, mistakes, alternatives)


def check_course(course: Course, names: Sequence[str], seed: int, jobs: int, console: Console) -> list[Report]:
    """A report on each assignment; those that cannot be read come first."""
    chosen = [course.assignment(name) for name in names] if names else course.assignments()
    plans, reports = [], []
    for assignment in chosen:
        try:
            plans.append(make_plan(assignment, seed))
        except (CourseError, GraderFault) as error:  # a suite that cannot be collected is a GraderFault
            reports.append(Report(assignment.name, problems=(str(error),)))
    trials = [trial for plan in plans for trial in plan.trials()]
    steps = grade_trials(course, trials, jobs)
    graded = dict(
        track(steps, "grading", len(trials), console=console, transient=True, disable=not console.is_terminal)
    )
    return reports + [examine(plan, graded) for plan in plans]


# --- what came out ---------------------------------------------------------------------------------------------------


def examine(plan: Plan, graded: Graded) -> Report:
    """Holds what was graded against the rules."""
    tasks = tuple(tally_task(plan, graded, task) for task in plan.assignment.manifest.tasks)
    wrong = wrong_alternatives(plan, graded)
    total = add_up(plan.assignment.name, tasks, len(plan.alternatives), len(plan.alternatives) - len(wrong))
    problems = [
        *reference_problems(plan, graded),
        *(f"the alternative {name} is not right: {what}" for name, what in wrong.items()),
        *(
            f"the mistake {mistake.name} of {mistake.task} is not caught there: {mistake.says}"
            for mistake in plan.mistakes
            if not caught_by(plan, graded, mistake)
        ),
        *count_problems(plan, tasks),
    ]
    if (problem := share_problem(total)) is not None:
        problems.append(problem)
    hidden_only = tuple(
        f"{mistake.name} of {mistake.task}: {', '.join(caught)}"
        for mistake in plan.mistakes
        if (caught := caught_by(plan, graded, mistake)) and not visible_of(plan, caught)
    )
    return Report(plan.assignment.name, tasks, total, tuple(problems), hidden_only)


def caught_by(plan: Plan, graded: Graded, mistake: Mistake) -> list[str]:
    """The tests of the mistake's own task that it does not pass."""
    own = {case.id for case in plan.suite.cases if case.task == mistake.task}
    return [name for name in failing(graded[plan.trial_of(mistake)]) if name in own]


def visible_of(plan: Plan, tests: list[str]) -> list[str]:
    visible = {case.id for case in plan.suite.cases if case.visibility == "visible"}
    return [name for name in tests if name in visible]


def tally_task(plan: Plan, graded: Graded, task: Task) -> Tally:
    cases = plan.suite.of_task(task)
    visible = sum(case.visibility == "visible" for case in cases)
    caught = [caught_by(plan, graded, mistake) for mistake in plan.mistakes if mistake.task == task.id]
    return Tally(
        name=task.id,
        visible=visible,
        hidden=len(cases) - visible,
        points=sum(case.points for case in cases),
        mistakes=len(caught),
        caught=sum(bool(tests) for tests in caught),
        caught_visible=sum(bool(visible_of(plan, tests)) for tests in caught),
    )


def add_up(name: str, tallies: Sequence[Tally], alternatives: int, right: int) -> Tally:
    return Tally(
        name=name,
        visible=sum(tally.visible for tally in tallies),
        hidden=sum(tally.hidden for tally in tallies),
        points=sum(tally.points for tally in tallies),
        mistakes=sum(tally.mistakes for tally in tallies),
        caught=sum(tally.caught for tally in tallies),
        caught_visible=sum(tally.caught_visible for tally in tallies),
        alternatives=alternatives,
        right=right,
    )


def add_up_all(reports: Sequence[Report]) -> Tally:
    totals = [report.total for report in reports if report.total is not None]
    return add_up("all", totals, sum(t.alternatives or 0 for t in totals), sum(t.right or 0 for t in totals))


def reference_problems(plan: Plan, graded: Graded) -> list[str]:
    backend = InProcess(plan.assignment.manifest, plan.assignment.reference)
    sides = {"in-process": run(plan.suite, backend, plan.seed), "in the jail": graded[plan.reference]}
    return [
        f"the reference loses points {side}: {what_failed(outcomes)}"
        for side, outcomes in sides.items()
        if failing(outcomes)
    ]


def wrong_alternatives(plan: Plan, graded: Graded) -> dict[str, str]:
    """The names of the alternatives that lose points, and what each loses with which seed."""
    wrong: dict[str, str] = {}
    for alternative in plan.alternatives:
        for trial in plan.seeds_of(alternative):
            if failing(graded[trial]):
                wrong.setdefault(alternative.name, f"with seed {trial.seed} {what_failed(graded[trial])}")
    return wrong


def what_failed(outcomes: dict[str, Outcome]) -> str:
    return "; ".join(f"{name} {outcomes[name].status} ({outcomes[name].message})" for name in failing(outcomes))


def count_problems(plan: Plan, tasks: Sequence[Tally]) -> list[str]:
    """Too little of anything that can be counted."""
    least = [
        *((f"{task.name}: visible tests", task.visible, VISIBLE_TESTS) for task in tasks),
        *((f"{task.name}: hidden tests", task.hidden, HIDDEN_TESTS) for task in tasks),
        *((f"{task.name}: mistakes", task.mistakes, MISTAKES) for task in tasks),
        ("alternatives", len(plan.alternatives), ALTERNATIVES),
    ]
    problems = [f"{what}: there are {count}, at least {due} are due" for what, count, due in least if count < due]
    if plan.suite.max_score != POINTS:
        problems.append(f"it is worth {plan.suite.max_score} points instead of {POINTS}")
    for task in plan.assignment.manifest.tasks:
        if len(task.hints) != HINTS:
            problems.append(f"{task.id}: there are {len(task.hints)} hints instead of {HINTS}")
    return problems


def share_problem(total: Tally) -> str | None:
    if total.caught_visible >= VISIBLE_SHARE * total.mistakes:
        return None
    return f"visible tests catch {share(total)} of the mistakes; at least {VISIBLE_SHARE:.0%} are due"


def share(total: Tally) -> str:
    return f"{total.caught_visible / total.mistakes:.0%}" if total.mistakes else "none"


# --- what is printed -------------------------------------------------------------------------------------------------


def make_table(reports: Sequence[Report]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, caption=CAPTION, caption_justify="left", pad_edge=False, collapse_padding=True)
    table.add_column("")
    for column in ("tests", "points", "mistakes", "caught", "by visible", "right"):
        table.add_column(column, justify="right", no_wrap=True)
    for report in reports:
        for tally in (report.total, *report.tasks) if report.total else ():
            add_row(table, tally, indent="" if tally is report.total else "  ")
        table.add_section()
    add_row(table, add_up_all(reports))
    return table


def add_row(table: Table, tally: Tally, indent: str = "") -> None:
    """The share of mistakes that visible tests catch stands on totals only."""
    is_total = tally.alternatives is not None
    table.add_row(
        indent + tally.name,
        f"{tally.visible}+{tally.hidden}",
        str(tally.points),
        str(tally.mistakes),
        str(tally.caught),
        f"{tally.caught_visible} ({share(tally)})" if is_total else str(tally.caught_visible),
        f"{tally.right} of {tally.alternatives}" if is_total else "",
    )


def show(reports: Sequence[Report], console: Console, verbose: bool) -> bool:
    """Prints everything; whether all is as it should be."""
    console.print(make_table(reports))
    problems = [f"{report.assignment}: {problem}" for report in reports for problem in report.problems]
    if (problem := share_problem(add_up_all(reports))) is not None:
        problems.append(f"all: {problem}")
    if verbose:
        for report in reports:
            for line in report.hidden_only:
                console.print(f"{report.assignment}: only hidden tests catch {line}", markup=False, soft_wrap=True)
    for problem in problems:
        console.print(problem, markup=False, soft_wrap=True)
    console.print("not proven" if problems else "proven: every answer got what it deserves")
    return not problems


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Assignments; all without one.")] = None,
    seed: Annotated[int, typer.Option(help="From which inputs are drawn. Alternatives get the next one, too.")] = SEED,
    jobs: Annotated[int, typer.Option(min=1, help="How many processes, each with a jail.")] = 2,
    verbose: Annotated[bool, typer.Option(help="List what only hidden tests catch.")] = False,
    course: Annotated[Path | None, typer.Option(help="The course's folder; this one's without it.")] = None,
) -> None:
    """Grade references, alternatives and mistakes, and see whether each gets what it deserves."""
    console = Console(highlight=False)
    try:
        console.print(f"seed {seed}, isolation {choose('auto')}, jobs {jobs}")
        reports = check_course(Course.find(course or Path(__file__).parent), names or [], seed, jobs, console)
    except (CourseError, GraderFault, NoIsolation, BrokenProcessPool) as error:
        console.print(f"the tool failed, nothing is proven: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    raise typer.Exit(0 if show(reports, console, verbose) else 1)


if __name__ == "__main__":
    typer.run(main)
