"""Looks through a release for anything of `solutions/`: by path, by content, and line by line.

    for leak in find_leaks(Path("/tmp/release"), course):
        print(leak)        # docs/hints.md:12: a line of the solution, solutions/04_attention/attention.py:41

A line counts wherever it stands: in code, in a comment, a code block, a docstring, a table, a notebook's cell, a hint
of a manifest. White space, quotes, list marks and a comment behind it make no difference. One line is enough where it
says enough; of hidden tests and wrong variants it takes three in a row. A hidden test's name or title is enough.

The library's parts have the interface of the references, and share plain lines with them (`self.qkv_proj = ...`). They
are there to be read. So in `autograder/minigpt/library` only a whole region, or a whole variant's function, counts.

Does not see: a solution with other names, or with its lines joined or broken differently; a single `raise`, `if`, `for`
or `with` line; text that is encoded or drawn into a picture. An archive, or a file that is no text, is itself a leak.
There are two exceptions. `WEIGHTS`, the small model that ships: nothing but arrays of floats may be in there. And each
assignment's `diagnosis.npz`: nothing but its own arrays, and its texts are looked through, too.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from autograder.leak_lines import is_comment, is_distinctive, joined, runs, squeeze
from autograder.leak_notebooks import faults_of_notebook, secrets_of_notebook
from autograder.manifest import Assignment, Course, CourseError
from autograder.regions import find_regions
from autograder.shipped_diagnoses import NAME, texts_of

HISTORY = frozenset({".git", ".hg", ".svn"})
SECRET_NAME = re.compile(r"(?<![a-z])solutions?(?![a-z])", re.IGNORECASE)
ARCHIVES = frozenset(
    {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".whl", ".egg", ".bundle"}
    | {".pyc", ".pyo", ".so", ".pyd", ".dll", ".pkl", ".pickle", ".pt", ".npz"}
)
PICTURES = {".png": b"\x89PNG", ".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff", ".gif": b"GIF8"}

DECODERS: dict[str, Callable[[str], Any]] = {".ipynb": json.loads, ".json": json.loads, ".toml": tomllib.loads}

TEST_NAME = re.compile(r"\bdef\s+(test_\w+)\s*\(")
LIBRARY = Path("autograder/minigpt/library")
WEIGHTS = Path("autograder/minigpt/pretrained/weights.npz")


@dataclass(frozen=True)
class Leak:
    """Something that must not ship. `path` is relative to the release; line 0 is the file, or folder, as a whole."""

    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return f"{place}: {self.what}"


@dataclass
class Secrets:
    """What a release is searched for. Every text says where it is from."""

    names: dict[str, str] = field(default_factory=dict)  # file names
    files: dict[bytes, str] = field(default_factory=dict)  # digests
    lines: dict[str, str] = field(default_factory=dict)  # squeezed lines, each enough by itself
    runs: dict[tuple[str, ...], str] = field(default_factory=dict)
    wholes: dict[str, str] = field(default_factory=dict)  # all lines of a region, joined
    tests: dict[str, Assignment] = field(default_factory=dict)
    assignments: set[str] = field(default_factory=set)  # their names
    public: set[str] = field(default_factory=set)  # what the references show outside their regions


def find_leaks(release: Path, course: Course) -> list[Leak]:
    """Everything in `release` that is from `solutions/`, by path and line. Without solutions it cannot be told."""
    secrets = read_secrets(course)
    found = {leak for path in _walk(release) for leak in _check(path, path.relative_to(release), secrets)}
    return sorted(found, key=lambda leak: (leak.path, leak.line, leak.what))


# --- what is secret --------------------------------------------------------------------------------------------------


def read_secrets(course: Course) -> Secrets:
    """All of `solutions/`. A reference or hidden tests that are not there are a `CourseError`: half a check is none."""
    secrets = Secrets()
    assignments = course.assignments()
    secrets.assignments = {assignment.name for assignment in assignments}
    shipped_names = {"README.md", "__init__.py", "assignment.toml"}
    for assignment in assignments:
        for path in (assignment.reference, assignment.hidden_tests):
            if not path.is_file():
                raise CourseError(f"{path} is missing, so leaks cannot be looked for. Solutions are the instructor's.")
        _read_reference_outside(assignment, secrets)
        shipped_names |= {assignment.manifest.module, f"{assignment.stem}.ipynb", *assignment.manifest.files}
    for assignment in assignments:
        _read_assignment(assignment, secrets)
    for path in _walk(course.root / "solutions"):
        origin = str(path.relative_to(course.root))
        if path.is_file() and path.suffix != ".pyc":
            if path.name not in shipped_names and not path.name.startswith("."):
                secrets.names[path.name] = origin
            if content := path.read_bytes().strip():
                secrets.files[hashlib.sha256(content).digest()] = origin
        if path.suffix == ".ipynb":
            _read_notebook(path, origin, secrets)
    return secrets


def _read_reference_outside(assignment: Assignment, secrets: Secrets) -> None:
    """What ships of a reference: its lines outside the regions, and the code in them, as in `on_step(step, loss)`."""
    lines = _lines(assignment.reference)
    inside = {number for region in find_regions("\n".join(lines)) for number in range(region.begin, region.end + 1)}
    shown = [line for number, line in enumerate(lines, start=1) if number not in inside]
    secrets.public |= {squeeze(text) for line in shown for text in (line, *re.findall(r"`([^`]+)`", line))}


def _read_assignment(assignment: Assignment, secrets: Secrets) -> None:
    lines = _lines(assignment.reference)
    for region in find_regions("\n".join(lines)):
        _add(secrets, assignment.reference, lines, region.begin + 1, region.end - 1, "the solution", single=True)
    visible = assignment.visible_tests.read_text(encoding="utf-8") if assignment.visible_tests.is_file() else ""
    _read_hidden_tests(assignment, visible, secrets)
    for name, what in (("mistakes.py", "a wrong variant"), ("alternatives.py", "another solution")):
        path = assignment.solution_folder / name
        if path.is_file():
            lines = _lines(path)
            for begin, end, _ in _definitions(path):
                _add(secrets, path, lines, begin, end, what, single=name == "alternatives.py")


def _read_hidden_tests(assignment: Assignment, visible: str, secrets: Secrets) -> None:
    """Names, titles and bodies. Of a helper, what the visible tests show as well is no secret."""
    path = assignment.hidden_tests
    lines = _lines(path)
    shown = {squeeze(line) for line in visible.split("\n")}
    visible_titles = {_title(node) for node in ast.walk(ast.parse(visible)) if isinstance(node, ast.FunctionDef)}
    for begin, end, node in _definitions(path):
        is_test = node.name.startswith("test_")
        if is_test:
            secrets.tests[node.name] = assignment
            if (title := _title(node)) and title not in visible_titles:
                secrets.lines[title] = f"the title of the hidden test {node.name}"
        public = secrets.public if is_test else secrets.public | shown
        _add(secrets, path, lines, begin, end, "a hidden test", single=False, public=public)


def _read_notebook(path: Path, origin: str, secrets: Secrets) -> None:
    secret, shown = secrets_of_notebook(path)
    for line in sorted(secret - shown - secrets.public):
        secrets.lines.setdefault(line, f"a line of the solution, {origin}")


def _add(
    secrets: Secrets,
    path: Path,
    lines: list[str],
    begin: int,
    end: int,
    what: str,
    *,
    single: bool,
    public: set[str] | None = None,
) -> None:
    """Notes the runs of lines `begin` to `end`, counted from 1, and with `single` also each line that says enough."""
    origin = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
    code = [(number, lines[number - 1]) for number in range(begin, end + 1) if not is_comment(lines[number - 1])]
    if single:
        telling = [
            (number, squeeze(line))
            for number, line in code
            if is_distinctive(line) and squeeze(line) not in secrets.public
        ]
        for number, squeezed in telling:
            secrets.lines.setdefault(squeezed, f"a line of {what}, {origin}:{number}")
        if telling:
            secrets.wholes[joined(code)] = f"the whole of {what}, {origin}:{begin}"
    for number, run in runs(code, secrets.public if public is None else public):
        secrets.runs.setdefault(run, f"lines of {what}, {origin}:{number}")


def _definitions(path: Path) -> Iterator[tuple[int, int, ast.FunctionDef | ast.ClassDef]]:
    """The top-level functions and classes of a file: first and last line of the body, without its docstring."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise CourseError(f"{path}, line {error.lineno}: {error.msg}") from error
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body:
                first = min(inner.lineno for inner in (body[0], *getattr(body[0], "decorator_list", [])))
                yield first, node.end_lineno or first, node


def _title(node: ast.AST) -> str:
    docstring = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
    return squeeze(docstring.strip().splitlines()[0]) if docstring and docstring.strip() else ""


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")


# --- what ships ------------------------------------------------------------------------------------------------------


def _walk(folder: Path) -> Iterator[Path]:
    """Every file and folder below, in order, but not the inside of a link or of a version history."""
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink() and not _is_history(path):
            yield from _walk(path)


def _is_history(path: Path) -> bool:
    return path.name in HISTORY or all((path / name).exists() for name in ("HEAD", "objects", "refs"))


def _check(path: Path, relative: Path, secrets: Secrets) -> Iterator[Leak]:
    if _is_history(path):
        yield Leak(relative, 0, "a version history, in which everything that ever was can be read")
    elif path.is_symlink():
        yield Leak(relative, 0, "a link, which may lead anywhere")
    elif SECRET_NAME.search(path.name):
        yield Leak(relative, 0, "its name speaks of solutions")
    elif path.name in secrets.names:
        yield Leak(relative, 0, f"it has the name of {secrets.names[path.name]}")
    if path.is_file() and not path.is_symlink() and path.name not in HISTORY:
        yield from _check_content(path, relative, secrets)


def _check_content(path: Path, relative: Path, secrets: Secrets) -> Iterator[Leak]:
    content = path.read_bytes()
    if origin := secrets.files.get(hashlib.sha256(content.strip()).digest()):
        yield Leak(relative, 0, f"a copy of {origin}")
    if relative == WEIGHTS:
        if not _is_floats_alone(path):
            yield Leak(relative, 0, "the shipped model's weights hold something else than arrays of floats")
        return
    if relative.name == NAME and relative.parent.name in secrets.assignments:
        yield from _check_diagnosis(path, relative, secrets)
        return
    if path.suffix.lower() in ARCHIVES:
        yield Leak(relative, 0, "an archive or a compiled file, which this check cannot look into")
        return
    picture = PICTURES.get(path.suffix.lower())
    if picture is not None and content.startswith(picture):
        return
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        yield Leak(relative, 0, "not a text file, so this check cannot read it")
        return
    if relative.is_relative_to(LIBRARY):
        yield from _check_library(relative, text, secrets)
        return
    if path.suffix == ".ipynb":
        yield from (Leak(relative, 0, fault) for fault in faults_of_notebook(text))
    for place, lines in _texts(path, text):
        yield from _check_lines(relative, place, lines, secrets)


def _check_diagnosis(path: Path, relative: Path, secrets: Secrets) -> Iterator[Leak]:
    """What wrong variants gave to the visible tests; none of the hidden ones may be spoken of."""
    texts = texts_of(path)
    if texts is None:
        yield Leak(relative, 0, "the file of diagnoses holds something else than its arrays")
        return
    for name, owner in secrets.tests.items():
        if owner.name == relative.parent.name and any(name in text for text in texts):
            yield Leak(relative, 0, f"the hidden test {name} of {owner.name}")
    yield from _check_lines(relative, 0, texts, secrets)


def _is_floats_alone(path: Path) -> bool:
    """Whether a file is an archive as `np.savez_compressed` writes it, and holds float arrays and nothing else."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        with zipfile.ZipFile(path) as archive:
            members, comment = archive.infolist(), archive.comment
    except Exception:  # whatever a damaged file raises: it is none of numpy's
        return False
    plain = all(isinstance(array, np.ndarray) and array.dtype.kind == "f" for array in found.values())
    arrays_alone = plain and sorted(f"{name}.npy" for name in found) == sorted(each.filename for each in members)
    return arrays_alone and not comment and not any(each.comment for each in members)


def _check_library(relative: Path, text: str, secrets: Secrets) -> Iterator[Leak]:
    numbered = list(enumerate(text.splitlines(), start=1))
    whole_text = joined(numbered)
    for whole, what in secrets.wholes.items():
        if whole in whole_text:
            first = whole.split("\n")[1]
            yield Leak(relative, next(number for number, line in numbered if squeeze(line) == first), what)


def _check_lines(relative: Path, place: dict[str, int] | int, lines: list[str], secrets: Secrets) -> Iterator[Leak]:
    numbered = list(enumerate(lines, start=1))
    for number, line in numbered:
        for piece in _pieces(line):
            if what := secrets.lines.get(squeeze(piece)):
                yield Leak(relative, _number(place, number, line), what)
        for name in TEST_NAME.findall(line):
            owner = secrets.tests.get(name)
            if owner is not None and not _is_another_assignments_test(relative, owner, secrets):
                yield Leak(relative, _number(place, number, line), f"the hidden test {name} of {owner.name}")
    for chosen in (numbered, [(number, line) for number, line in numbered if not is_comment(line)]):
        for number, run in runs(chosen, secrets.public):
            if what := secrets.runs.get(run):
                yield Leak(relative, _number(place, number, lines[number - 1]), what)


def _is_another_assignments_test(relative: Path, owner: Assignment, secrets: Secrets) -> bool:
    """Two assignments may have tests of one name, and another's visible test is no leak."""
    folder = relative.parent
    is_assignment = folder.parent.name == "assignments" or folder.name in secrets.assignments
    return relative.suffix == ".py" and is_assignment and folder.name != owner.name


def _pieces(line: str) -> Iterator[str]:
    """The line, and what stands in it between backticks or in the cells of a table."""
    yield line
    for sign in ("`", "|"):
        if sign in line:
            yield from line.split(sign)


def _number(place: dict[str, int] | int, number: int, line: str) -> int:
    """The file's line: counted on from the line before the text, or found by how the line is written in the file."""
    if isinstance(place, int):
        return place + number
    written = json.dumps(line, ensure_ascii=False)[1:-1].strip()
    return next((found for text, found in place.items() if written and written in text), 0)


def _texts(path: Path, text: str) -> Iterator[tuple[dict[str, int] | int, list[str]]]:
    """The file's lines, and the texts that are written inside it as strings, which may hold lines of their own."""
    lines = text.splitlines()
    yield 0, lines
    try:
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.lineno - 1, node.value.splitlines()
        elif path.suffix in DECODERS:
            where = {line: number for number, line in reversed(list(enumerate(lines, start=1)))}
            yield from ((where, string.splitlines()) for string in _strings(DECODERS[path.suffix](text)))
    except (ValueError, SyntaxError, RecursionError):
        return  # its lines, as they stand, were looked at


def _strings(value: object) -> Iterator[str]:
    """Every text in decoded JSON or TOML. A list of texts, such as a cell's lines, is also one text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        if value and all(isinstance(inner, str) for inner in value):
            yield "\n".join(inner.rstrip("\n") for inner in value)
        for inner in value:
            yield from _strings(inner)
