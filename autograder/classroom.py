"""Grades a student's own repository with the visible tests, and says the points as GitHub's tools want to hear them.

    minigpt classroom 04_attention                          a step of the workflow: points for the reporter at its end
    minigpt classroom --format classroom50 --out result.json          all assignments, for Classroom 50
    minigpt classroom softmax --format exit-code            0 if that task passes, for the older autograding.json

The points come from the grader that `minigpt grade` uses, with the student's module in the same jail. The seed is a new
one each time, and is printed. Hidden tests are not in a student's repository; the grade is made where they are.

Exit codes: 0 wherever there are points, full or none, since a failed step would keep the reporter from running (with
`--format exit-code`: 0 only where all pass); 1 for a fault of the grader, with a line `::error` and no points anywhere.

Does not protect the points from somebody who edits the tests, the workflow or this package: all of it is in the
student's hands there.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from autograder.check import Checked, show
from autograder.files import write_atomically
from autograder.grader import Settings, Work, grade_here
from autograder.jail.isolation import NoIsolation, Tier, choose
from autograder.manifest import Assignment, Course, CourseError
from autograder.outcome import GraderFault
from autograder.result import Record, Result, TestResult
from autograder.selection import select
from autograder.submissions import read_submission
from autograder.suite import Outcome

Format = Literal["github", "classroom50", "exit-code"]
Isolation = Tier | Literal["auto"]
LOG_WIDTH = 110
# Set by Classroom 50's runner for every autograder.py: https://github.com/foundation50/classroom50, wiki, "Contract"
TOLD_BY_RUNNER = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "owner": "OWNER",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
}


def classroom_command(
    course: Course,
    names: Sequence[str] = (),
    *,
    format: Format = "github",
    out: Path | None = None,
    isolation: Isolation = "auto",
    seed: int | None = None,
    repository: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Grades, prints, writes what the format asks for, and gives the exit code.

    repository: where the student's modules are, if not in the course's own folder. out: a file for the JSON; Classroom
    50 has one anyway, ./result.json.
    """
    if format == "classroom50":
        names = names or assignments_of_slug(course, environment.get("ASSIGNMENT", ""))
        out = out or Path("result.json")
    chosen = select(course, names)
    _refuse_unsuitable(chosen, format)
    if out is not None:
        out.unlink(missing_ok=True)  # of an earlier run: a fault now must not leave it standing
    assignments = [assignment for assignment, _ in chosen]
    try:
        records = grade_repository(course, assignments, isolation=isolation, seed=seed, repository=repository)
    except (GraderFault, NoIsolation, CourseError) as fault:  # a CourseError: something is wrong with the tests
        return _told_as_error(str(fault))
    for record, (assignment, tasks) in zip(records, chosen, strict=True):
        print(as_log(record, assignment, tasks), flush=True)
    faults = [str(record.result.message) for record in records if record.result.status == "grader_error"]
    if faults:
        return _told_as_error("; ".join(faults))
    if format == "exit-code":
        passed = [_passed(record.result, tasks) for record, (_, tasks) in zip(records, chosen, strict=True)]
        return 0 if all(passed) else 1
    _write(format, [record.result for record in records], out, environment)
    return 0


def _refuse_unsuitable(chosen: Sequence[tuple[Assignment, frozenset[str] | None]], format: Format) -> None:
    if format == "github" and len(chosen) != 1:
        raise CourseError("--format github takes one assignment: each has a step of its own in the workflow")
    if format != "exit-code" and any(tasks is not None for _, tasks in chosen):
        raise CourseError(f"--format {format} takes whole assignments, not tasks")


def assignments_of_slug(course: Course, slug: str) -> list[str]:
    """The assignment that a slug names, as in "04-attention"; else all: the repository may be of the whole course."""
    wanted = slug.replace("-", "_")
    names = [assignment.name for assignment in course.assignments()]
    return [name for name in names if wanted in (name, name.partition("_")[2])] or names


# --- grading ---------------------------------------------------------------------------------------------------------


def grade_repository(
    course: Course,
    assignments: Sequence[Assignment],
    *,
    isolation: Isolation = "auto",
    seed: int | None = None,
    repository: Path | None = None,
) -> list[Record]:
    """A record for each assignment, of its visible tests. The modules are read as `minigpt grade` reads a clone.

    This process keeps its grader, with the tests as they were, for the next call with the same arguments.
    """
    root = (repository or course.root).resolve()
    settings = Settings(
        course=course.root,
        submissions=root.parent,
        out=root.parent,  # nothing is written there: that is `minigpt grade`'s
        assignments=tuple(assignment.name for assignment in assignments),
        seed=secrets.randbits(32) if seed is None else seed,
        tier=choose(isolation),
        hidden=False,
        train_steps=0,
    )
    submissions = tuple(read_submission(root.parent, root.name, assignment) for assignment in assignments)
    return [graded.record for graded in grade_here(settings, Work(root.name, submissions))]


def _passed(result: Result, tasks: frozenset[str] | None) -> bool:
    return all(task.passed for task in result.tasks if tasks is None or task.id in tasks)


# --- what is written -------------------------------------------------------------------------------------------------


def _write(format: Format, results: Sequence[Result], out: Path | None, environment: Mapping[str, str]) -> None:
    if format == "classroom50":
        value = classroom50_json(results, environment, datetime.now(UTC))
    else:
        value = reporter_json(results[0])
        if output := environment.get("GITHUB_OUTPUT"):
            emit_github(results[0], Path(output))
    if out is not None:
        write_atomically(out, json.dumps(value, indent=1).encode() + b"\n")


def emit_github(result: Result, output: Path) -> None:
    """Appends the step's output `result`, in base64 as GitHub's own graders do. One line, whatever is in it."""
    encoded = base64.b64encode(json.dumps(reporter_json(result)).encode()).decode()
    with output.open("a", encoding="ascii") as file:
        file.write(f"result={encoded}\n")


def reporter_json(result: Result) -> dict[str, Any]:
    """What `classroom-resources/autograding-grading-reporter` reads. An entry for each point, so that its totals agree.

    A test of 2 points becomes two entries of 1. The reporter adds up an assignment in two ways: its notice is the sum
    of the entries' scores, its table (built dist/main.js, commit d13b591) is `passed / entries * max_score`, the same
    number only where all entries weigh the same. Its src/ takes the sum for both, from commit a7fca25 on. An entry
    without `line_no` 0 would be printed with "line undefined".
    """
    if result.status == "grader_error":
        raise GraderFault(f"{result.assignment} was not graded, so there are no points: {result.message}")
    tests = [entry for task in result.tasks for test in task.tests for entry in _entries(task.id, test)]
    passed = all(task.passed for task in result.tasks)
    return {"version": 1, "status": "pass" if passed else "fail", "max_score": result.max_score, "tests": tests}


def _entries(task: str, test: TestResult) -> list[dict[str, Any]]:
    """`score` entries that pass, and the rest of `max_score` that do not. Nothing of the student's is in them."""
    name = _plain(f"{task}: {test.title or test.id}")
    entries: list[dict[str, Any]] = []
    for number in range(1, test.max_score + 1):
        which = f" ({number} of {test.max_score} points)" if test.max_score > 1 else ""
        won = number <= test.score
        entries.append({"name": name + which, "status": "pass" if won else "fail", "score": int(won), "line_no": 0})
    return entries


def classroom50_json(results: Sequence[Result], told: Mapping[str, str], graded_at: datetime) -> dict[str, Any]:
    """`classroom50/result/v1`: one repository's points, a test an entry. `told`: the runner's environment.

    As in foundation50/classroom50, schemas/result-v1.schema.json, commit 6e593c7. Scores are whole numbers there, as
    ours are. The runner puts its own `owner`, `assignment_type` and times in place of those that are given.
    """
    if ungraded := [result.assignment for result in results if result.status == "grader_error"]:
        raise GraderFault(f"{', '.join(ungraded)} could not be graded, so there are no points")
    if missing := [name for name in TOLD_BY_RUNNER.values() if not told.get(name)]:
        raise CourseError(f"not set: {', '.join(missing)}. Classroom 50's runner sets them for its autograder.py")
    now = graded_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "schema": "classroom50/result/v1",
        **{field: told[name] for field, name in TOLD_BY_RUNNER.items()},
        "assignment_type": told.get("ASSIGNMENT_TYPE") or "individual",
        "review": told.get("REVIEW_URL") or told["COMMIT_URL"],
        "datetime": now,
        "graded_at": now,
        "score": sum(task.score for result in results for task in result.tasks),
        "max-score": sum(result.max_score for result in results),
        "tests": [
            {
                "test-name": _plain(f"{result.assignment} {task.id}: {test.title or test.id}"),
                "passed": test.status == "passed",
                "score": test.score,
                "max-score": test.max_score,
            }
            for result in results
            for task in result.tasks
            for test in task.tests
        ],
    }


# --- what is printed -------------------------------------------------------------------------------------------------


def as_log(record: Record, assignment: Assignment, tasks: frozenset[str] | None = None) -> str:
    """The table of `minigpt check`, with what to do next, as text that the log of a workflow may hold."""
    result = record.result
    told = record.feedback
    outcomes = {
        test.id: Outcome(test.status, test.hint, told.messages.get(test.id), diagnosis=told.diagnoses.get(test.id))
        for task in result.tasks
        for test in task.tests
    }
    shown = tuple(task for task in result.tasks if tasks is None or task.id in tasks)
    written = io.StringIO()
    paper = Console(file=written, width=LOG_WIDTH, color_system=None, force_terminal=False, highlight=False)
    if shown:
        show(Checked(assignment, shown, outcomes), paper)
    if isinstance(result.message, str):
        paper.print(f"{assignment.name}: {result.message}", markup=False)
    for notice in record.feedback.notices:
        paper.print(notice, markup=False)
    paper.print(f"visible tests, seed {result.seed}, isolation {result.isolation}", markup=False)
    return defused("\n".join(line.rstrip() for line in written.getvalue().splitlines()))


def defused(text: str) -> str:
    """The text with nothing in it that GitHub's runner takes for a command.

    defused("  ::error::x") == "  : :error::x". The runner (actions/runner, src/Runner.Common/ActionCommand.cs, commit
    079cdb1) takes a line that begins with `::`, behind any white space, and `##[` wherever it stands in a line.
    """
    lines = text.replace("##[", "## [").splitlines()
    return "\n".join(re.sub(r"^(\s*):(?=:)", r"\1: ", line) for line in lines)


def _plain(text: str) -> str:
    """One line, for the reporter and Classroom 50 print it."""
    return defused(" ".join(text.split()))


def _told_as_error(message: str) -> int:
    """An annotation of the run that nobody can overlook, and the exit code of a step that fails."""
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    print(f"::error title=Not graded::{escaped}", flush=True)
    return 1
