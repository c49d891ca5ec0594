'''Reads what a module's own annotations say of its tensors: the axes that come in, and those that go out.

    read_signatures("""
    def causal_mask(n_queries: int, n_keys: int | None = None) -> Bool[Tensor, "n_queries n_keys"]: ...
    """)["causal_mask"].answer                  # (Axes("Bool", ("n_queries", "n_keys")),)

The source is read, never imported. Functions and the methods of classes are found by their qualified names. An
annotation that is no jaxtyping string, or that names its axes in a way not known here, says nothing.
'''

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass
from pathlib import Path

from autograder.manifest import Assignment
from autograder.reset import PRISTINE

KINDS = ("Float", "Int", "Bool")
AXIS = re.compile(r"[A-Za-z]\w*|\d+|\.\.\.")
NAMES_OF_RESULTS = re.compile(r"[Rr]eturns[^.]*?\((\w+(?:, \w+)+)\)")


@dataclass(frozen=True)
class Axes:
    """One tensor. `axes` are names, numbers or "..."; None where the annotation is a plain `Tensor`."""

    kind: str
    axes: tuple[str, ...] | None


@dataclass(frozen=True)
class Other:
    """Anything that is no tensor, in the words of the annotation."""

    text: str


Annotated = Axes | Other | tuple[Axes | Other, ...]


@dataclass(frozen=True)
class Signature:
    """A function or method. Every annotation is a tuple of what may stand there: one thing, or those of a union.

    result_names: what the docstring calls the items of a tuple that is returned, such as ("output", "weights").
    """

    name: str
    parameters: dict[str, tuple[Annotated, ...]]
    positional: tuple[str, ...]
    answer: tuple[Annotated, ...]
    result_names: tuple[str, ...]


def signatures_of(assignment: Assignment) -> dict[str, Signature]:
    """The course's own annotations of an assignment, whatever a student made of theirs.

    They are the reference's, those of the stub as it was handed out, or at worst those of the file that is there.
    """
    pristine = Path(__file__).parent / PRISTINE / assignment.name / assignment.manifest.module
    for path in (assignment.reference, pristine, assignment.stub):
        try:
            return read_signatures(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError, RecursionError):
            continue
    return {}


@functools.lru_cache(maxsize=32)
def read_signatures(source: str) -> dict[str, Signature]:
    """The signatures of the top-level functions, and of the methods of top-level classes, by qualified name."""
    tree = ast.parse(source)
    aliases = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and node.value is not None:
            aliases[target.id] = node.value
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = _signature(node.name, node, aliases)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    name = f"{node.name}.{method.name}"
                    found[name] = _signature(name, method, aliases)
    return found


def _signature(name: str, node: ast.FunctionDef, aliases: dict[str, ast.expr]) -> Signature:
    """A method's `self` is left out."""
    positional = [*node.args.posonlyargs, *node.args.args][1 if "." in name else 0 :]
    parameters = {
        each.arg: _alternatives(each.annotation, aliases) if each.annotation is not None else (Other(""),)
        for each in (*positional, *node.args.kwonlyargs)
    }
    answer = _alternatives(node.returns, aliases) if node.returns is not None else (Other(""),)
    told = NAMES_OF_RESULTS.search(ast.get_docstring(node) or "")
    names = tuple(told[1].split(", ")) if told else ()
    return Signature(name, parameters, tuple(each.arg for each in positional), answer, names)


def _alternatives(node: ast.expr, aliases: dict[str, ast.expr]) -> tuple[Annotated, ...]:
    """The members of a union, or the one thing that there is."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return (*_alternatives(node.left, aliases), *_alternatives(node.right, aliases))
    if isinstance(node, ast.Name) and node.id in aliases:
        return _alternatives(aliases[node.id], {name: value for name, value in aliases.items() if name != node.id})
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "tuple":
        items = tuple(
            _single(item) for item in (node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice])
        )
        if any(isinstance(item, Axes) for item in items):
            return (items,)
    return (_single(node),)


def _single(node: ast.expr) -> Axes | Other:
    if isinstance(node, ast.Name) and node.id == "Tensor":
        return Axes("", None)
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in KINDS
        and isinstance(node.slice, ast.Tuple)
        and len(node.slice.elts) == 2
        and isinstance(node.slice.elts[0], ast.Name)
        and node.slice.elts[0].id == "Tensor"
        and isinstance(node.slice.elts[1], ast.Constant)
    ):
        axes = str(node.slice.elts[1].value).split()
        known = all(AXIS.fullmatch(axis) for axis in axes) and axes.count("...") <= 1
        return Axes(node.value.id, tuple(axes) if known else None)
    return Other(ast.unparse(node))
