"""Wrong and other right answers to an assignment, as whole modules: what the hidden tests are themselves tested with.

In `solutions/04_attention/mistakes.py`, or `alternatives.py` beside it:

    @mistake("softmax", replaces="softmax", says="does not take away the maximum")
    def overflowing_softmax(x, dim):
        return x.exp() / x.exp().sum(dim=dim, keepdim=True)

    @alternative(replaces="causal_mask", says="by torch.tril")
    def mask_by_tril(n_queries, n_keys=None):
        ...

    read_mistakes(assignment)[0].source       # the reference's source, and behind it `def softmax(x, dim): ...`

A variant is the reference's source, then this file's imports and undecorated helpers, then the decorated definitions
under the names that they replace. So the reference's other parts find the replacement when they are called, and a class
may derive from the one that it replaces. The files are read, never imported.

Does not run a variant, and does not know whether a mistake is caught.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from autograder.manifest import Assignment, CourseError

Defined = TypeVar("Defined")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Mistake:
    """A wrong variant. The tests of `task` must catch it."""

    name: str
    task: str
    says: str
    source: str


@dataclass(frozen=True)
class Alternative:
    """A right variant. It must get full marks."""

    name: str
    says: str
    source: str


def mistake(task: str, *, replaces: str, says: str, name: str | None = None) -> Callable[[Defined], Defined]:
    """Marks a wrong definition. Definitions that share a `name` make one variant together."""
    return lambda defined: defined


def alternative(*, replaces: str, says: str, name: str | None = None) -> Callable[[Defined], Defined]:
    """Marks a right definition that goes about it another way. Those that share a `name` make one variant together."""
    return lambda defined: defined


def read_mistakes(assignment: Assignment) -> list[Mistake]:
    """The variants of `mistakes.py`, in the file's order. Every fault is a `CourseError` with file and line."""
    variants = _VariantFile(assignment, "mistake").variants()
    return [Mistake(name, parts[0].task, _says(parts), source) for name, parts, source in variants]


def read_alternatives(assignment: Assignment) -> list[Alternative]:
    """The variants of `alternatives.py`, in the file's order."""
    variants = _VariantFile(assignment, "alternative").variants()
    return [Alternative(name, _says(parts), source) for name, parts, source in variants]


@dataclass(frozen=True)
class _Part:
    """One decorated definition. `task` is empty for an alternative; `named` says whether `name` was written down."""

    definition: Definition
    name: str
    named: bool
    task: str
    replaces: str
    says: str


def _says(parts: list[_Part]) -> str:
    return "; ".join(dict.fromkeys(part.says for part in parts))


class _VariantFile:
    """`mistakes.py` or `alternatives.py`, parsed."""

    def __init__(self, assignment: Assignment, decorator: str) -> None:
        self.decorator = decorator
        self.manifest = assignment.manifest
        self.own_module = assignment.stem
        self.path = assignment.solution_folder / f"{decorator}s.py"
        text = _read(self.path)
        self.lines = [line.encode() for line in text.split("\n")]
        self.reference = _read(assignment.reference)
        self.reference_names = set(_top_level_names(_parse(self.reference, assignment.reference)))
        self.statements = _parse(text, self.path).body
        self.parts: list[_Part] = []
        self.imports: list[str] = []
        self.helpers: list[ast.stmt] = []
        for index, statement in enumerate(self.statements):
            self._sort_in(statement, first=index == 0)

    def variants(self) -> list[tuple[str, list[_Part], str]]:
        """Name, parts and module source of each variant."""
        grouped: dict[str, list[_Part]] = {}
        for part in self.parts:
            self._check_against(part, grouped.get(part.name, []))
            grouped.setdefault(part.name, []).append(part)
        if not grouped:
            raise CourseError(f"{self.path}: there is no @{self.decorator}(...) in it")
        self._check_helpers()
        return [(name, parts, self._source(name, parts)) for name, parts in grouped.items()]

    def fail(self, node: ast.AST, message: str) -> NoReturn:
        raise CourseError(f"{self.path}, line {getattr(node, 'lineno', 1)}: {message}")

    # --- reading -----------------------------------------------------------------------------------------------------

    def _sort_in(self, statement: ast.stmt, first: bool) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self.imports += self._import_lines(statement)
        elif isinstance(statement, Definition) and (calls := self._variant_decorators(statement)):
            if len(calls) > 1:
                self.fail(statement, f"{statement.name} has more than one @mistake or @alternative: one each")
            self.parts.append(self._read_part(statement, calls[0]))
        elif isinstance(statement, Definition | ast.Assign | ast.AnnAssign):
            self.helpers.append(statement)
        elif not (first and _is_docstring(statement)):
            self.fail(statement, "only imports, functions, classes and constants may stand here at top level")

    def _import_lines(self, statement: ast.Import | ast.ImportFrom) -> list[str]:
        """The import as a variant needs it. What comes from the assignment's own module is there already."""
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.name in (self.own_module, "autograder.variants"):
                    self.fail(statement, f"write `from {alias.name} import ...`, with the names that you need")
        elif statement.module == "autograder.variants":
            if any(alias.asname or alias.name == "*" for alias in statement.names):
                self.fail(statement, "import `mistake` and `alternative` under their own names")
            return []
        elif statement.module == "__future__":
            if f"from __future__ import {statement.names[0].name}" not in self.reference:
                self.fail(
                    statement,
                    "a variant goes on where the reference ends, too late for `from __future__`: leave it out",
                )
            return []
        elif statement.module == self.own_module:
            return [f"{alias.asname} = {alias.name}" for alias in statement.names if alias.asname]
        return [ast.unparse(statement)]

    def _variant_decorators(self, definition: Definition) -> list[ast.Call]:
        """The `@mistake(...)` or `@alternative(...)` of a definition, checked to be the file's own kind."""
        found = []
        for decorator in definition.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not isinstance(called, ast.Name) or called.id not in ("mistake", "alternative"):
                continue
            if called.id != self.decorator:
                self.fail(decorator, f"@{called.id} belongs into {called.id}s.py")
            if not isinstance(decorator, ast.Call):
                self.fail(decorator, f"@{called.id} needs arguments: @{called.id}(..., replaces='...', says='...')")
            found.append(decorator)
        return found

    def _read_part(self, definition: Definition, call: ast.Call) -> _Part:
        signature = ("task",) if self.decorator == "mistake" else ()
        if len(call.args) > len(signature):
            self.fail(call, f"@{self.decorator} takes at most {len(signature)} argument without a name")
        given = dict(zip(signature, call.args, strict=False))
        for keyword in call.keywords:
            key = keyword.arg or "**"
            if key not in (*signature, "replaces", "says", "name") or key in given:
                self.fail(call, f"@{self.decorator}: unknown or repeated argument {key}")
            given[key] = keyword.value
        values = {key: self._literal(key, value) for key, value in given.items()}
        for key in (*signature, "replaces", "says"):
            if key not in values:
                self.fail(call, f"@{self.decorator} needs {key}='...'")
        part = _Part(
            definition=definition,
            name=values.get("name", definition.name),
            named="name" in values,
            task=values.get("task", ""),
            replaces=values["replaces"],
            says=values["says"],
        )
        self._check(part, call)
        return part

    def _literal(self, key: str, value: ast.expr) -> str:
        if not isinstance(value, ast.Constant) or not isinstance(value.value, str) or not value.value.strip():
            self.fail(value, f"@{self.decorator}: {key} must be a text written out here, such as {key}='softmax'")
        return value.value

    # --- checking ----------------------------------------------------------------------------------------------------

    def _check(self, part: _Part, call: ast.Call) -> None:
        tasks = [task.id for task in self.manifest.tasks]
        definition = part.definition
        if self.decorator == "mistake" and part.task not in tasks:
            self.fail(call, f"there is no task {part.task!r}; this assignment has: {', '.join(tasks)}")
        if self.manifest.owner(part.replaces) is None:
            self.fail(call, f"replaces={part.replaces!r}: no task of the manifest has this symbol")
        if part.replaces not in self.reference_names:
            self.fail(call, f"replaces={part.replaces!r}: the reference does not define it")
        if definition.name in self.reference_names and definition.name != part.replaces:
            self.fail(definition, f"{definition.name} bears the name of another part of the reference: rename it")
        if (
            not isinstance(definition, ast.ClassDef)
            and definition.name != part.replaces
            and part.replaces in _names_in(definition)
        ):
            self.fail(
                definition,
                f"{definition.name} becomes {part.replaces}, so its call of {part.replaces} would call itself. For the "
                f"reference's, write `from {self.own_module} import {part.replaces} as reference_{part.replaces}`",
            )

    def _check_against(self, part: _Part, earlier: list[_Part]) -> None:
        """Whether a part may join the earlier ones of its name."""
        if not earlier:
            return
        if not part.named or not earlier[0].named:
            self.fail(
                part.definition, f"the name {part.name!r} is taken; give both a name='...' if they belong together"
            )
        if part.task != earlier[0].task:
            self.fail(
                part.definition, f"the parts of {part.name!r} name different tasks: {earlier[0].task}, {part.task}"
            )
        if part.replaces in [other.replaces for other in earlier]:
            self.fail(part.definition, f"{part.name!r} replaces {part.replaces} twice")

    def _check_helpers(self) -> None:
        """A helper must not replace anything, nor use a definition that is only in some variants."""
        variants = {part.definition.name for part in self.parts} - self.reference_names
        for helper in self.helpers:
            for name in _bound_names(helper):
                if name in self.reference_names:
                    self.fail(helper, f"{name} is the reference's: decorate this one, or give it another name")
            if used := sorted(variants & _names_in(helper)):
                self.fail(helper, f"a helper is in every variant, so it cannot use {used[0]}, which is in one")

    # --- writing -----------------------------------------------------------------------------------------------------

    def _source(self, name: str, parts: list[_Part]) -> str:
        renamed = {part.definition.name: part.replaces for part in parts}
        others = {part.definition.name for part in self.parts} - self.reference_names - renamed.keys()
        for part in parts:
            if used := sorted(others & _names_in(part.definition)):
                self.fail(part.definition, f"{part.definition.name} uses {used[0]}, which belongs to another variant")
        pieces = [self.reference.rstrip("\n")]
        if self.imports:
            pieces.append("\n".join(dict.fromkeys(self.imports)))
        pieces += [
            self._definition(statement, renamed) for statement in self.helpers + [each.definition for each in parts]
        ]
        source = "\n\n\n".join(pieces) + "\n"
        try:
            compile(source, f"<{name} of {self.path}>", "exec", dont_inherit=True)
        except SyntaxError as error:
            self.fail(parts[0].definition, f"the variant {name!r} does not compile: {error.msg} ({error.text})")
        return source

    def _definition(self, statement: ast.stmt, renamed: dict[str, str]) -> str:
        """The statement's own text, comments and all, without `@mistake` or `@alternative`, under its new name."""
        text = _renamed(self.lines, statement, renamed)
        if not isinstance(statement, Definition):
            return text
        kept = [each for each in statement.decorator_list if each not in self._variant_decorators(statement)]
        return "".join(f"@{_renamed(self.lines, each, renamed)}\n" for each in kept) + text


def _renamed(text: list[bytes], node: ast.stmt | ast.expr, renamed: dict[str, str]) -> str:
    """The node's part of the file's lines, with each use of some names, and the name that it defines, replaced."""
    lines = text[node.lineno - 1 : node.end_lineno]  # ast counts columns in bytes
    lines[-1] = lines[-1][: node.end_col_offset]
    lines[0] = lines[0][node.col_offset :]
    places = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id in renamed and inner.lineno >= node.lineno:
            places.append((inner.lineno - node.lineno, inner.col_offset, inner.id))
    if isinstance(node, Definition) and node.name in renamed:
        before = lines[0].index(node.name.encode(), len("def" if not isinstance(node, ast.ClassDef) else "class"))
        places.append((0, before + node.col_offset, node.name))
    for row, column, old in sorted(places, reverse=True):
        column -= node.col_offset if row == 0 else 0
        line = lines[row]
        if line[column : column + len(old.encode())] != old.encode():  # Python 3.11 counts wrongly inside f-strings
            raise CourseError(f"line {node.lineno + row}: {old} cannot be renamed inside an f-string")
        lines[row] = line[:column] + renamed[old].encode() + line[column + len(old.encode()) :]
    return b"\n".join(lines).decode()


def _names_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _bound_names(statement: ast.stmt) -> list[str]:
    """The names that a top-level definition or assignment binds."""
    if isinstance(statement, Definition):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", statement)]
    return [inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)]


def _top_level_names(tree: ast.Module) -> list[str]:
    kinds = Definition | ast.Assign | ast.AnnAssign
    return [name for statement in tree.body if isinstance(statement, kinds) for name in _bound_names(statement)]


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path} cannot be read: {error}") from error


def _parse(source: str, path: Path) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise CourseError(f"{path}, line {error.lineno}: {error.msg}") from error
