"""Finds forbidden calls and imports in a module's source, with aliases resolved. Runs none of it.

    import torch.nn.functional as F          F.softmax(x, -1)        -> torch.nn.functional.softmax, line 2
    from torch import softmax as s           s(x, -1)                -> torch.softmax
    soft = torch.softmax                     soft(x, -1)             -> torch.softmax

A finding in a task's own symbol counts against that task; one in a helper or at module level counts against every task
whose symbols use the helper, or against all. Not seen here: methods of values (`x.softmax(-1)`), names put together at
run time (`getattr(torch, "soft" + "max")`): those meet the trap in `trap.py`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from autograder.manifest import Manifest

ALLOWED_PACKAGES = frozenset({"torch", "numpy", "regex", "jaxtyping"})
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
ALLOWED_MODULES = frozenset({"autograder.minigpt.config", "autograder.minigpt.protocols"})


@dataclass(frozen=True)
class Rules:
    """What each task forbids, and which task each symbol belongs to. All of it is in the public manifest."""

    forbids: dict[str, tuple[str, ...]]
    owner: dict[str, str]

    @staticmethod
    def of(manifest: Manifest) -> Rules:
        return Rules(
            forbids={task.id: task.forbids for task in manifest.tasks},
            owner={symbol: task.id for task in manifest.tasks for symbol in task.symbols},
        )


@dataclass(frozen=True)
class Violation:
    """A forbidden name at a line. `task` is None where it counts against every task."""

    what: str
    line: int
    task: str | None

    def concerns(self, task: str) -> bool:
        return self.task in (None, task)


def find_violations(source: bytes, rules: Rules) -> list[Violation]:
    """Every forbidden name that the source spells out, by line. Raises SyntaxError as Python would."""
    tree = ast.parse(source)
    walked = {statement: list(ast.walk(statement)) for statement in ast.iter_child_nodes(tree)}
    nodes = [node for inside in walked.values() for node in inside]
    aliases = _aliases(nodes, own=set())
    defined_here = [statement for statement in tree.body if isinstance(statement, DEFINITIONS)]
    aliases_inside = _aliases(nodes, own={statement.name for statement in defined_here})
    statements = list(_what_runs(tree, nodes))
    tasks_of = _tasks_by_definition(statements, walked, rules)
    found = {Violation(f"import {name}", line, None) for name, line in _imports(nodes) if not _may_import(name)}
    for statement in statements:
        defined = _defined_names(statement)
        tasks = set(rules.forbids) if not defined else set().union(*(tasks_of.get(name, set()) for name in defined))
        # Inside of functions, which run later, a name that the file defines is its own; elsewhere it may be imported.
        for dotted, line in _dotted_names(statement, aliases_inside if statement in defined_here else aliases):
            found |= {Violation(dotted, line, task) for task in tasks if is_forbidden(dotted, rules.forbids[task])}
    return sorted(found, key=lambda violation: (violation.line, violation.what, violation.task or ""))


def is_forbidden(dotted: str, forbids: tuple[str, ...]) -> bool:
    """Whether `dotted` is one of the forbidden names, or lies inside one: "torch.ops" covers "torch.ops.aten"."""
    return any(dotted == name or dotted.startswith(name + ".") for name in forbids)


def _imports(nodes: list[ast.AST]) -> Iterator[tuple[str, int]]:
    """Every imported module; `from package import module` counts as `package.module` where that is one."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                joined = f"{module}.{alias.name}"
                yield (joined if joined in ALLOWED_MODULES else module), node.lineno


def _may_import(module: str) -> bool:
    package = module.partition(".")[0]
    return module in ALLOWED_MODULES or package in ALLOWED_PACKAGES or package in sys.stdlib_module_names


def _aliases(nodes: list[ast.AST], own: set[str]) -> dict[str, str]:
    """What each imported, or plainly assigned, name stands for. Those of `own` stand for themselves."""
    aliases: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import torch.nn` binds `torch`; `import torch.nn as nn` binds `nn`
                aliases[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    aliases = {name: dotted for name, dotted in aliases.items() if name not in own}
    assigned = [node for node in nodes if isinstance(node, ast.Assign)]
    for _ in range(3):  # `a = torch; b = a.nn; c = b.functional`, in whatever order they stand
        for node in assigned:
            dotted = _resolve(node.value, aliases)
            for target in node.targets:
                if dotted is not None and isinstance(target, ast.Name):
                    aliases[target.id] = dotted
    return aliases


def _resolve(node: ast.expr, aliases: dict[str, str]) -> str | None:
    """`F.softmax` -> "torch.nn.functional.softmax"; None for what is not a plain chain of names."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id)
    if isinstance(node, ast.Attribute):
        base = _resolve(node.value, aliases)
        return f"{base}.{node.attr}" if base is not None else None
    return None


def _dotted_names(root: ast.AST, aliases: dict[str, str]) -> Iterator[tuple[str, int]]:
    """The longest chains of names in a piece of code, each with its line."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        dotted = _resolve(node, aliases) if isinstance(node, ast.Name | ast.Attribute) else None
        if dotted is not None and isinstance(node, ast.Name | ast.Attribute):
            yield dotted, node.lineno
        else:
            waiting.extend(ast.iter_child_nodes(node))


def _defined_names(statement: ast.stmt) -> list[str]:
    """The top-level names that a statement binds."""
    if isinstance(statement, DEFINITIONS):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _tasks_by_definition(
    statements: list[ast.stmt], walked: dict[ast.AST, list[ast.AST]], rules: Rules
) -> dict[str, set[str]]:
    """For each top-level name, the tasks whose symbols are it or reach it through helpers that belong to no task."""
    uses: dict[str, set[str]] = {}
    for statement in statements:
        mentioned = {node.id for node in walked.get(statement) or ast.walk(statement) if isinstance(node, ast.Name)}
        for name in _defined_names(statement):
            uses[name] = uses.get(name, set()) | mentioned
    tasks_of: dict[str, set[str]] = {}
    for symbol, task in rules.owner.items():
        waiting, seen = [symbol], set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in uses or rules.owner.get(name, task) != task:
                continue
            seen.add(name)
            tasks_of.setdefault(name, set()).add(task)
            waiting.extend(uses[name])
    return tasks_of


def _what_runs(tree: ast.Module, nodes: list[ast.AST]) -> Iterator[ast.stmt]:
    """The top-level statements but imports; of `if __name__ == "__main__":`, which is not so on import, the `else`."""
    renamed = any(isinstance(node, ast.Name) and node.id == "__name__" and _is_bound(node) for node in nodes)
    for statement in tree.body:
        if isinstance(statement, ast.If) and _is_main_guard(statement) and not renamed:
            yield from statement.orelse
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement


def _is_bound(name: ast.Name) -> bool:
    return not isinstance(name.ctx, ast.Load)


def _is_main_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) in (
        "__name__ == '__main__'",
        "'__main__' == __name__",
    )
