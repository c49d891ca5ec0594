"""`minigpt assemble`: a MiniGPT in a folder of its own, made of a student's sources as they are and library parts.

    take_home(course, None, Path("mine"))       # mine/minigpt: the package, mine/PROVENANCE.json: whose each part is

It runs without the grader: `python -m minigpt train` in that folder. A part is the student's where every test of its
tasks passed: the visible ones of this repository, in this process; or, for somebody else's submission, all that there
are, in a jail. Modules that import `autograder.minigpt.config` are not rewritten: so far no assignment does.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import datasets
from autograder import __version__
from autograder.files import staged_folder
from autograder.in_process import InProcess
from autograder.jail.client import Jail
from autograder.jail.isolation import choose
from autograder.manifest import Assignment, Course, CourseError
from autograder.minigpt.parts import SLOTS
from autograder.plugin import DEFAULT_SEED
from autograder.result import score_tasks, slots_that_pass
from autograder.submissions import read_submission
from autograder.suite import collect, run

CHASSIS = Path(__file__).parent / "minigpt"
MAIN = Path(__file__).parent / "templates" / "take_home_main.txt"
SCHEMA = "minigpt/provenance/v1"


@dataclass(frozen=True)
class Own:
    """What one assignment gives to the model: a module, and the slots that it fills."""

    assignment: Assignment
    files: dict[str, bytes]
    slots: frozenset[str]
    tests: str


def take_home(course: Course, submission: Path | None, target: Path) -> dict[str, str]:
    """Writes the folder, whole or not at all, and gives "own" or "library" for each slot."""
    found = [_own(assignment, submission) for assignment in course.assignments()]
    own = [each for each in found if each is not None and each.slots]
    parts = {slot: "own" if any(slot in each.slots for each in own) else "library" for slot in SLOTS}
    with staged_folder(target) as folder:
        package = folder / "minigpt"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHASSIS, package, ignore=ignored)
        shutil.copytree(Path(datasets.__file__).parent, package / "datasets", ignore=ignored)
        shutil.copyfile(MAIN, package / "__main__.py")
        _write_own(package / "own", own)
        (folder / "PROVENANCE.json").write_text(json.dumps(_provenance(parts, own), indent=1) + "\n", encoding="utf-8")
    return parts


def _own(assignment: Assignment, submission: Path | None) -> Own | None:
    """One assignment's module and what passes of it; None where there is no module."""
    if submission is None:
        if not assignment.stub.is_file():
            return None
        suite = collect(assignment, hidden=False)
        outcomes = run(suite, InProcess(assignment.manifest, assignment.stub), DEFAULT_SEED)
        files = {assignment.manifest.module: assignment.stub.read_bytes()}
    else:
        handed_in = read_submission(submission.absolute().parent, submission.absolute().name, assignment)
        if handed_in.problem is not None:
            raise CourseError(f"{submission}: {handed_in.problem}")
        if handed_in.files is None:
            return None
        files = handed_in.files
        suite = collect(assignment, hidden=assignment.hidden_tests.is_file())
        with Jail(choose("auto")) as jail:
            outcomes = run(suite, jail.submission(assignment.manifest, files), DEFAULT_SEED)
    slots = slots_that_pass(assignment.manifest, score_tasks(suite, outcomes))
    kinds = sorted({case.visibility for case in suite.cases}, reverse=True)
    return Own(assignment, files, frozenset(slots), " and ".join(kinds))


def _write_own(folder: Path, own: list[Own]) -> None:
    """The student's files, byte for byte, and a table of the symbols that are taken from them."""
    folder.mkdir()
    lines = ['"""The student\'s own parts, and which symbols are taken from them."""', ""]
    names = []
    for each in own:
        for name, content in each.files.items():
            (folder / name).write_bytes(content)
        symbols = sorted(symbol for slot in each.slots for symbol in SLOTS[slot])
        lines.append(f"from .{each.assignment.stem} import {', '.join(symbols)}")
        names += symbols
    table = ", ".join(f'"{name}": {name}' for name in names)
    lines += ["", f"SYMBOLS: dict[str, object] = {{{table}}}", ""]
    (folder / "__init__.py").write_text("\n".join(lines), encoding="utf-8")


def _provenance(parts: dict[str, str], own: list[Own]) -> dict[str, object]:
    sources = {
        f"minigpt/own/{name}": {"sha256": hashlib.sha256(content).hexdigest(), "tests": each.tests}
        for each in own
        for name, content in each.files.items()
    }
    return {"schema": SCHEMA, "chassis": __version__, "parts": parts, "sources": sources}
