"""`minigpt assemble`: a MiniGPT in a folder of its own, made of a student's sources as they are and library parts.

    take_home(course, None, Path("mine"))     # mine/minigpt: the package, mine/PROVENANCE.json: whose each part is

It runs without the grader: `python -m minigpt train` in that folder, or anywhere after `pip install mine`. A part is
the student's where every test of its tasks passed: the visible ones of this repository, in this process; or, for
somebody else's submission, all that there are, in a jail. In a module that imports `autograder.minigpt.config` or
`.protocols`, this name is changed to the package's own, and PROVENANCE.json says where; all else stays, to the byte.
What stands around the package is `take_home_project.py`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
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
from autograder.take_home_project import write_project

CHASSIS = Path(__file__).parent / "minigpt"
CHASSIS_NAME = "autograder.minigpt"
SCHEMA = "minigpt/provenance/v1"


@dataclass(frozen=True)
class Own:
    """What one assignment gives to the model: a module, and the slots that it fills."""

    assignment: Assignment
    files: dict[str, bytes]
    slots: frozenset[str]
    tests: str


@dataclass(frozen=True)
class Change:
    """A name in a source that was changed, where it stands now: line from 1, column in bytes from 0."""

    line: int
    column: int
    was: str
    becomes: str


def take_home(course: Course, submission: Path | None, target: Path) -> dict[str, str]:
    """Writes the folder, whole or not at all, and gives "own" or "library" for each slot."""
    if submission is None:
        found = [_own_here(assignment) for assignment in course.assignments()]
    elif not submission.is_dir():
        raise CourseError(f"{submission} is not a folder: name that of a student, with the assignments in it")
    else:
        assignments = course.assignments()
        with Jail(choose("auto"), training=any(each.manifest.optimizers for each in assignments)) as jail:
            found = [_own_of(assignment, submission.absolute(), jail) for assignment in assignments]
    own = [each for each in found if each is not None and each.slots]
    parts = {slot: "own" if any(slot in each.slots for each in own) else "library" for slot in SLOTS}
    with staged_folder(target) as folder:
        package = folder / "minigpt"
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(CHASSIS, package, ignore=ignored)
        shutil.copytree(Path(datasets.__file__).parent, package / "datasets", ignore=ignored)
        changes = _write_own(package / "own", own)
        told = json.dumps(_provenance(parts, own, changes), indent=1) + "\n"
        (folder / "PROVENANCE.json").write_text(told, encoding="utf-8")
        files = {slot: f"minigpt/own/{each.assignment.manifest.module}" for each in own for slot in each.slots}
        write_project(folder, parts, files, course.root)
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


def with_own_imports(source: bytes, name: str) -> tuple[bytes, list[Change]]:
    """`from autograder.minigpt.config import ...` becomes `from ..config import ...`, and so with `protocols`.

    >>> with_own_imports(b"from autograder.minigpt.config import GPTConfig", "a.py")[0]
    b'from ..config import GPTConfig'
    """
    lines = source.splitlines(keepends=True)
    changes: list[Change] = []
    shifts: dict[int, int] = {}  # by how much what follows on a line has moved
    for node in sorted(_imports_of_course(source), key=lambda node: (node.lineno, node.col_offset)):
        line, begin = lines[node.lineno - 1], node.col_offset + shifts.get(node.lineno, 0)
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        found = re.compile(rb"from[ \t]+(%s)\b" % re.escape(module.encode())).search(line, begin)
        if found is None or not f"{module}.".startswith(f"{CHASSIS_NAME}."):
            raise CourseError(
                f"{name}, line {node.lineno}, imports the course's package in a way that cannot be taken along: "
                f"write `from {CHASSIS_NAME}.config import GPTConfig` instead"
            )
        inside = ".." + module.removeprefix(CHASSIS_NAME).removeprefix(".")
        lines[node.lineno - 1] = line[: found.start(1)] + inside.encode() + line[found.end(1) :]
        shifts[node.lineno] = shifts.get(node.lineno, 0) + len(inside) - len(module)
        changes.append(Change(node.lineno, found.start(1), module, inside))
    return b"".join(lines), changes


def _imports_of_course(source: bytes) -> list[ast.Import | ast.ImportFrom]:
    found: list[ast.Import | ast.ImportFrom] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), level=0):
                modules = [module]
            case _:
                continue
        if "autograder" in {module.partition(".")[0] for module in modules}:
            found.append(node)
    return found


def _write_own(folder: Path, own: list[Own]) -> dict[str, list[Change]]:
    """The student's files, and a table of the symbols that are taken from them. Returns what was changed, by file."""
    folder.mkdir()
    lines = ['"""The student\'s own parts, and which symbols are taken from them."""', ""]
    names = []
    changes: dict[str, list[Change]] = {}
    for each in own:
        for name, content in each.files.items():
            content, changes[name] = with_own_imports(content, name) if name.endswith(".py") else (content, [])
            (folder / name).write_bytes(content)
        symbols = sorted(symbol for slot in each.slots for symbol in SLOTS[slot])
        lines += [f"from .{each.assignment.stem} import (", *(f"    {symbol}," for symbol in symbols), ")"]
        names += symbols
    lines += ["", "SYMBOLS: dict[str, object] = {", *(f'    "{name}": {name},' for name in names), "}", ""]
    (folder / "__init__.py").write_text("\n".join(lines), encoding="utf-8")
    return changes


def _provenance(parts: dict[str, str], own: list[Own], changes: dict[str, list[Change]]) -> dict[str, object]:
    """`sha256` is that of the file as it was handed in."""
    sources = {
        f"minigpt/own/{name}": {
            "sha256": hashlib.sha256(content).hexdigest(),
            "tests": each.tests,
            "changed": [asdict(change) for change in changes[name]],
        }
        for each in own
        for name, content in each.files.items()
    }
    return {"schema": SCHEMA, "chassis": __version__, "parts": parts, "sources": sources}
