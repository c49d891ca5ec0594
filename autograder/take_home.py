"""`minigpt assemble`: a MiniGPT in a folder of its own, made of a student's sources as they are and library parts.

    take_home(course, None, Path("mine"))       # mine/minigpt: the package, mine/PROVENANCE.json: whose each part is

It runs without the grader: `python -m minigpt train` in that folder. A part is the student's where every test of its
tasks passed: the visible ones of this repository, in this process; or, for somebody else's submission, all that there
are, in a jail. In a module that imports `autograder.minigpt.config` or `.protocols`, this import is changed to the
package's own; everything else stays as it was, to the byte.
"""

from __future__ import annotations

import ast
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
from autograder.suite import Outcome, Suite, collect, run

CHASSIS = Path(__file__).parent / "minigpt"
MAIN = Path(__file__).parent / "templates" / "take_home_main.txt"
CHASSIS_NAME = "autograder.minigpt"
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
    if submission is None:
        found = [_own_here(assignment) for assignment in course.assignments()]
    else:
        assignments = course.assignments()
        with Jail(choose("auto"), training=any(each.manifest.optimizers for each in assignments)) as jail:
            found = [_own_of(assignment, submission.absolute(), jail) for assignment in assignments]
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


def _own_here(assignment: Assignment) -> Own | None:
    """One assignment's module in this repository, and what passes of it; None where there is no module."""
    if not assignment.stub.is_file():
        return None
    suite = collect(assignment, hidden=False)
    outcomes = run(suite, InProcess(assignment.manifest, assignment.stub), DEFAULT_SEED)
    return _what_passes(suite, outcomes, {assignment.manifest.module: assignment.stub.read_bytes()})


def _own_of(assignment: Assignment, submission: Path, jail: Jail) -> Own | None:
    """The same of somebody's submission, which is tried in a jail."""
    handed_in = read_submission(submission.parent, submission.name, assignment)
    if handed_in.problem is not None:
        raise CourseError(f"{submission}: {handed_in.problem}")
    if handed_in.files is None:
        return None
    suite = collect(assignment, hidden=assignment.hidden_tests.is_file())
    backend = jail.submission(assignment.manifest, handed_in.files)
    outcomes = run(suite, backend, DEFAULT_SEED)
    backend.discard()
    return _what_passes(suite, outcomes, handed_in.files)


def _what_passes(suite: Suite, outcomes: dict[str, Outcome], files: dict[str, bytes]) -> Own:
    slots = slots_that_pass(suite.assignment.manifest, score_tasks(suite, outcomes))
    kinds = sorted({case.visibility for case in suite.cases}, reverse=True)
    return Own(suite.assignment, files, frozenset(slots), " and ".join(kinds))


def _with_own_imports(source: bytes) -> bytes:
    """`from autograder.minigpt.config import ...` becomes `from ..config import ...`, and so with `protocols`."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(CHASSIS_NAME):
            module = node.module or ""
            inside = ".." + module.removeprefix(CHASSIS_NAME).removeprefix(".")
            lines[node.lineno - 1] = lines[node.lineno - 1].replace(module.encode(), inside.encode(), 1)
        elif isinstance(node, ast.Import) and any(alias.name.startswith(CHASSIS_NAME) for alias in node.names):
            raise CourseError(
                f"line {node.lineno} imports {CHASSIS_NAME} in a way that cannot be taken along: "
                f"write `from {CHASSIS_NAME}.config import GPTConfig` instead"
            )
    return b"".join(lines)


def _write_own(folder: Path, own: list[Own]) -> None:
    """The student's files, and a table of the symbols that are taken from them."""
    folder.mkdir()
    lines = ['"""The student\'s own parts, and which symbols are taken from them."""', ""]
    names = []
    for each in own:
        for name, content in each.files.items():
            (folder / name).write_bytes(_with_own_imports(content) if name.endswith(".py") else content)
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
