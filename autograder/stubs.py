"""Makes what is generated in `assignments/` from `solutions/`: the stubs, with nbgrader's own ClearSolutions.

    make_stub('def two():\\n    ### BEGIN SOLUTION\\n    return 2\\n    ### END SOLUTION\\n')
    # 'def two():\\n    # YOUR CODE HERE\\n    raise NotImplementedError()\\n'

A region (see `regions.py`) is inside a function: `raise` at module level would make a stub that cannot be imported.

A lab notebook is stale as a stub is, and is written with it; how it is made is in `notebooks.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from autograder.files import write_atomically
from autograder.manifest import Assignment, Course, CourseError
from autograder.notebooks import make_notebooks
from autograder.regions import BEGIN, Region, find_regions


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


def stale_stubs(course: Course, names: Iterable[str] = ()) -> list[Path]:
    """The stubs and notebooks that are missing, or are not what `solutions/` makes; of these assignments, or of all."""
    assignments = [course.assignment(name) for name in names] or course.assignments()
    return [*_stale(_stubs(assignments)), *_stale(make_notebooks(assignments))]


def write_stubs(course: Course, names: Iterable[str] = ()) -> list[Path]:
    """Writes what is stale, and returns which files they were: all stubs or none, then all notebooks or none."""
    assignments = [course.assignment(name) for name in names] or course.assignments()
    written: list[Path] = []
    for make in (_stubs, make_notebooks):
        stale = _stale(make(assignments))
        for path, content in stale.items():
            write_atomically(path, content)
        written += stale
    return written


def _stubs(assignments: list[Assignment]) -> dict[Path, bytes]:
    return {assignment.stub: stub_of(assignment).encode() for assignment in assignments}


def _stale(fresh: dict[Path, bytes]) -> dict[Path, bytes]:
    """Those that are missing or out of date, and what they should hold."""
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
