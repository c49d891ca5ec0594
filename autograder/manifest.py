"""Reads what a course is made of: its folders and each assignment's `assignment.toml`.

    course = Course.find()                      # the nearest folder upwards with an `assignments/` in it
    course.assignment("04_attention").manifest.tasks[0].id      # "softmax"

Does not know points (they belong to tests, see `suite.py`) and never imports an assignment's code.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec

MODULE_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}\.py")
TASK_ID = re.compile(r"[a-z][a-z0-9_]{0,60}")  # it stands in file names, links and ids of notebook cells
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}")
MAX_MANIFEST = 1 << 18


class CourseError(ValueError):
    """Something about the course's own files, or about how it was called, is wrong."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence alone."""
        return [f"minigpt: {self}"]


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[task]]` of a manifest."""

    id: str
    title: str
    symbols: tuple[str, ...]
    part: str | None = None
    forbids: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of an `assignment.toml`.

    optimizers: its tests make `torch.optim.Optimizer`s, so the jail loads what these need once, for all submissions.
    """

    title: str
    module: str
    tasks: tuple[Task, ...] = msgspec.field(name="task")
    files: tuple[str, ...] = ()
    optimizers: bool = False

    def task(self, task_id: str) -> Task:
        for task in self.tasks:
            if task.id == task_id:
                return task
        known = ", ".join(task.id for task in self.tasks)
        raise CourseError(f"there is no task {task_id!r}; this assignment has: {known}")

    def owner(self, symbol: str) -> Task | None:
        """The task that a top-level name belongs to, or None for a helper of the student's own."""
        return next((task for task in self.tasks if symbol in task.symbols), None)


@dataclass(frozen=True)
class Assignment:
    """Where an assignment's files are. The hidden ones exist only in the instructor's repository."""

    name: str
    folder: Path
    solution_folder: Path
    manifest: Manifest

    @property
    def stem(self) -> str:
        return self.manifest.module.removesuffix(".py")

    @property
    def stub(self) -> Path:
        return self.folder / self.manifest.module

    @property
    def visible_tests(self) -> Path:
        return self.folder / f"test_{self.stem}.py"

    @property
    def reference(self) -> Path:
        return self.solution_folder / self.manifest.module

    @property
    def hidden_tests(self) -> Path:
        return self.solution_folder / f"test_{self.stem}_hidden.py"

    @property
    def notebook(self) -> Path:
        return self.folder / f"{self.stem}.ipynb"

    @property
    def source_notebook(self) -> Path:
        """The lab notebook as its author wrote it, with the model answers."""
        return self.solution_folder / f"{self.stem}.ipynb"


@dataclass(frozen=True)
class Course:
    """A folder with `assignments/` in it, and in the instructor's copy `solutions/` as well.

    alone: the folder is itself an assignment's, without a course around it, as nbgrader hands it to students.
    """

    root: Path
    alone: bool = False

    @staticmethod
    def find(start: Path | None = None) -> Course:
        """The nearest folder at or above `start` that holds a course; if none does, an assignment that `start` is."""
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            if any((folder / "assignments").glob("*/assignment.toml")):
                return Course(folder)
        if (start / "assignment.toml").is_file():
            return Course(start, alone=True)
        raise CourseError(
            f"{start} is not inside a course: neither it nor a folder above it has assignments/*/assignment.toml. "
            "Change to the repository's folder, or name it with --course."
        )

    def assignments(self) -> list[Assignment]:
        folders = [self.root] if self.alone else (self.root / "assignments").glob("*")
        manifests = sorted(path for folder in folders if (path := folder / "assignment.toml").is_file())
        found = [self._load(path) for path in manifests]
        _refuse_repeated_tasks(found)
        return found

    def assignment(self, name: str) -> Assignment:
        """By its folder's name, or by the part behind the number: "04_attention", "attention"."""
        found = self.assignments()
        for assignment in found:
            if name in (assignment.name, assignment.name.partition("_")[2]):
                return assignment
        for assignment in found:
            if any(task.id == name for task in assignment.manifest.tasks):
                raise CourseError(f"{name!r} is a task of {assignment.name}: name the assignment")
        known = ", ".join(assignment.name for assignment in found)
        raise CourseError(f"there is no assignment {name!r}; this course has: {known}")

    def _load(self, path: Path) -> Assignment:
        name = path.parent.name
        return Assignment(name, path.parent, self.root / "solutions" / name, read_manifest(path))


def read_manifest(path: Path) -> Manifest:
    """Reads and checks an `assignment.toml`; every fault is a `CourseError` that names the file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST + 1)
        if len(data) > MAX_MANIFEST:
            raise CourseError(f"larger than {MAX_MANIFEST >> 10} KB")
        manifest = msgspec.toml.decode(data, type=Manifest)
        _check(manifest)
    except RecursionError:
        raise CourseError(f"{path}: nested too deep") from None
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors, and so is CourseError
        raise CourseError(f"{path}: {error}") from error
    return manifest


def _check(manifest: Manifest) -> None:
    """What the types alone do not say. `part` is checked where the parts are known."""
    if not MODULE_NAME.fullmatch(manifest.module) or not _is_name(manifest.module.removesuffix(".py")):
        raise CourseError(f"module = {manifest.module!r} is not a plain file name such as 'attention.py'")
    if not manifest.tasks:
        raise CourseError("there is no [[task]]")
    if not manifest.title.strip():
        raise CourseError("the title is empty")
    for task in manifest.tasks:
        _check_task(task)
    _refuse_repeated([task.id for task in manifest.tasks], "is the id of more than one task")
    _refuse_repeated([symbol for task in manifest.tasks for symbol in task.symbols], "belongs to more than one task")
    _refuse_repeated([manifest.module, *manifest.files], "is listed more than once")
    for name in manifest.files:
        if not FILE_NAME.fullmatch(name):
            raise CourseError(f"files may hold plain file names only, not {name!r}")


def _check_task(task: Task) -> None:
    if not TASK_ID.fullmatch(task.id):
        raise CourseError(f"task id {task.id!r} should be lower-case letters, digits and _, such as 'rope'")
    if not task.title.strip():
        raise CourseError(f"task {task.id!r} has an empty title")
    if not task.symbols:
        raise CourseError(f"task {task.id!r} names no symbols")
    for symbol in task.symbols:
        if not _is_name(symbol):
            raise CourseError(f"task {task.id!r}: the symbol {symbol!r} is no name in Python")
    for forbidden in task.forbids:
        if not all(_is_name(name) for name in forbidden.split(".")):
            raise CourseError(f"task {task.id!r} forbids {forbidden!r}, which is no name such as 'torch.softmax'")
    for number, hint in enumerate(task.hints, 1):
        if not hint.strip():
            raise CourseError(f"task {task.id!r}: hint {number} is empty")


def _is_name(text: str) -> bool:
    return text.isascii() and text.isidentifier() and not keyword.iskeyword(text)


def _refuse_repeated(names: list[str], told: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise CourseError(f"{name!r} {told}")


def _refuse_repeated_tasks(assignments: list[Assignment]) -> None:
    seen: dict[str, str] = {}
    for assignment in assignments:
        for task in assignment.manifest.tasks:
            if task.id in seen:
                raise CourseError(
                    f"{assignment.folder / 'assignment.toml'}: task id {task.id!r} is taken by {seen[task.id]}"
                )
            seen[task.id] = assignment.name
