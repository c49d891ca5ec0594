"""Makes the stubs in `assignments/` from the references in `solutions/`, with nbgrader's own ClearSolutions.

    make_stub('def two():\\n    ### BEGIN SOLUTION\\n    return 2\\n    ### END SOLUTION\\n')
    # 'def two():\\n    # YOUR CODE HERE\\n    raise NotImplementedError()\\n'

nbgrader looks for the words of a marker anywhere in a line, and drops an END without a BEGIN silently. Here a marker is
a line of its own, and BEGIN and END come in turns, inside a function: `raise` at module level would make a stub that
cannot be imported.

Does not treat notebooks: nbgrader does those.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.files import write_atomically
from autograder.manifest import Assignment, Course, CourseError

BEGIN = "### BEGIN SOLUTION"
END = "### END SOLUTION"
MARKER_WORDS = re.compile(r"(BEGIN|END) SOLUTION")  # what nbgrader looks for


@dataclass(frozen=True)
class Region:
    """The lines of a solution's two markers, counted from 1."""

    begin: int
    end: int


def make_stub(reference_source: str) -> str:
    """The module as it is handed out: each solution region becomes `raise NotImplementedError()`."""
    regions = find_regions(reference_source)
    if not regions:
        raise CourseError(f"there is no '{BEGIN}' in the reference: its stub would be the solution itself")
    _check_inside_functions(reference_source, regions)
    stub = _clear_solutions(reference_source)
    try:
        compile(stub, "<stub>", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise CourseError(f"the stub does not compile: {error.msg}, line {error.lineno} of the stub") from error
    return stub


def find_regions(source: str) -> list[Region]:
    """The solution regions of a source, in order. Markers that do not fit together are a `CourseError` with a line."""
    regions = []
    begin = None
    for number, line in enumerate(source.split("\n"), start=1):
        if MARKER_WORDS.search(line) is None:
            continue
        if line.strip() == BEGIN:
            if begin is not None:
                raise CourseError(f"line {number}: a second '{BEGIN}' before the '{END}' of line {begin}'s")
            begin = number
        elif line.strip() == END:
            if begin is None:
                raise CourseError(f"line {number}: '{END}' without a '{BEGIN}' before it")
            regions.append(Region(begin, number))
            begin = None
        else:
            raise CourseError(f"line {number}: a marker is a line of its own, exactly '{BEGIN}' or '{END}'")
    if begin is not None:
        raise CourseError(f"line {begin}: '{BEGIN}' without an '{END}' after it")
    return regions


def stale_stubs(course: Course) -> list[Path]:
    """The stubs that are missing, or are not what their references make."""
    return list(_stale(course))


def write_stubs(course: Course) -> list[Path]:
    """Writes the stubs that are stale, all or none, and returns which they were."""
    stale = _stale(course)
    for path, content in stale.items():
        write_atomically(path, content)
    return list(stale)


def _stale(course: Course) -> dict[Path, bytes]:
    """The stubs that are missing or out of date, and what they should hold."""
    fresh = {assignment.stub: stub_of(assignment).encode() for assignment in course.assignments()}
    return {path: content for path, content in fresh.items() if not path.is_file() or path.read_bytes() != content}


def stub_of(assignment: Assignment) -> str:
    """The stub of one assignment. Each symbol of the manifest must have something left to write."""
    path = assignment.reference
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path} cannot be read: {error}. Stubs are made in the instructor's repository.") from error
    try:
        stub = make_stub(source)
        _check_symbols(assignment, source)
    except CourseError as error:
        raise CourseError(f"{path}: {error}") from error
    return stub


def _clear_solutions(source: str) -> str:
    """Hands the source to nbgrader as the only cell of a notebook.

    The cell bears no nbgrader metadata: a cell that is marked as a solution is cleared as a whole if it has no region.
    """
    try:
        from nbformat import NotebookNode
        from nbgrader.preprocessors import ClearSolutions
    except ImportError as error:
        raise CourseError(f"stubs are made with nbgrader ({error}): pip install -e '.[instructor]'") from error
    new_node: Callable[..., Any] = NotebookNode
    cell = new_node(cell_type="code", metadata=new_node(), source=source)
    notebook = new_node(metadata=new_node(), cells=[cell])
    cleared, _ = ClearSolutions(enforce_metadata=False).preprocess(notebook, {})
    return str(cleared.cells[0].source)


def _check_inside_functions(source: str, regions: list[Region]) -> None:
    functions = [node for node in ast.walk(_parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for region in regions:
        if not any(node.lineno < region.begin <= (node.end_lineno or 0) for node in functions):
            raise CourseError(
                f"line {region.begin}: this region is empty, or not inside a function: its stub could not run"
            )


def _check_symbols(assignment: Assignment, source: str) -> None:
    """A symbol without a region would be handed out solved: its markers were forgotten."""
    regions = find_regions(source)
    definitions = {getattr(node, "name", None): node for node in _parse(source).body}
    for task in assignment.manifest.tasks:
        for symbol in task.symbols:
            node = definitions.get(symbol)
            if node is None:
                raise CourseError(f"task {task.id!r} has the symbol {symbol}, which is no function or class in here")
            if not any(node.lineno < region.begin <= (node.end_lineno or 0) for region in regions):
                raise CourseError(f"line {node.lineno}: {symbol} has no '{BEGIN}': it would be handed out solved")


def _parse(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise CourseError(f"line {error.lineno}: {error.msg}") from error
