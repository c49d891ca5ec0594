"""What stands around the package of a take-home folder: pyproject.toml, README.md, tests, the licence.

    write_project(folder, parts, whose, root)      # folder/minigpt is there already

The dependencies are derived from the sources: what the package imports when it is imported, and what the student's own
code imports anywhere, is needed; what the chassis imports only inside functions (the progress bar, the picture) is the
extra `show`. Imports for a type checker alone count for nothing.

Does not count what is not installed here, and asks for no versions: README.md says with which ones it was put together.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from autograder import __version__

TEMPLATES = Path(__file__).parent / "templates" / "take_home"
FIRST = ("torch", "tiktoken")  # what every MiniGPT stands on; whatever else there is comes after
LICENSE = "LICENSE"


@dataclass(frozen=True)
class Needs:
    """Names of distributions, as pip knows them. `show` is for the eye alone."""

    always: tuple[str, ...]
    show: tuple[str, ...]


def write_project(folder: Path, parts: Mapping[str, str], files: Mapping[str, str], root: Path) -> None:
    """Makes `folder/minigpt` a project that pip installs. `parts`: own or library; `files`: the own file of a part."""
    package = folder / "minigpt"
    shutil.copyfile(TEMPLATES / "main.py.txt", package / "__main__.py")
    found = needs(package)
    packages = sorted(path.parent.relative_to(folder).as_posix() for path in package.rglob("__init__.py"))
    values = {
        "version": __version__,
        "dependencies": json.dumps(found.always),
        "packages": json.dumps([name.replace("/", ".") for name in packages]),
        "needs": ", ".join(found.always),
        "versions": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in found.always),
        "own": _own_in_words(parts),
        "parts": _table(parts, files),
    }
    show = {"pyproject.toml": json.dumps(found.show), "README.md": ", ".join(found.show)}
    for name, shown in show.items():
        (folder / name).write_text(_template(name).substitute(values, show=shown), encoding="utf-8")
    (folder / "tests").mkdir()
    shutil.copyfile(TEMPLATES / "test_minigpt.py.txt", folder / "tests" / "test_minigpt.py")
    if (root / LICENSE).is_file():
        shutil.copyfile(root / LICENSE, folder / LICENSE)


def _template(name: str) -> Template:
    return Template((TEMPLATES / f"{name}.txt").read_text(encoding="utf-8"))


def _own_in_words(parts: Mapping[str, str]) -> str:
    own = sum(whose == "own" for whose in parts.values())
    if own == len(parts):
        return f"All of its {own} parts are my own code."
    return f"{own} of its {len(parts)} parts are my own code; library code stands in for the rest."


def _table(parts: Mapping[str, str], files: Mapping[str, str]) -> str:
    rows = [f"| {part} | {f'`{files[part]}`' if part in files else whose} |" for part, whose in parts.items()]
    return "\n".join(["| part | from |", "|---|---|", *rows])


def needs(package: Path) -> Needs:
    """What the package's files import, as distributions of this environment."""
    always, show = set(FIRST), set[str]()
    distributions = importlib.metadata.packages_distributions()  # by the name of what is imported
    for path in package.rglob("*.py"):
        at_import, inside = imports(path.read_bytes())
        if path.is_relative_to(package / "own"):
            at_import |= inside
        for modules, names in ((at_import, always), (inside, show)):
            names.update(distributions[module][0] for module in modules if module in distributions)
    return Needs((*FIRST, *sorted(always - set(FIRST))), tuple(sorted(show - always)))


def imports(source: bytes) -> tuple[set[str], set[str]]:
    """The modules from elsewhere that a file imports: as soon as it is imported itself, and inside functions.

    >>> imports(b"import math, numpy.linalg\\ndef draw():\\n    from rich.text import Text")
    ({'numpy'}, {'rich'})
    """
    at_import: set[str] = set()
    inside: set[str] = set()

    def visit(node: ast.AST, found: set[str]) -> None:
        children = ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found = inside
        elif isinstance(node, ast.If) and _is_type_checking(node.test):
            children = iter(node.orelse)
        for child in children:
            visit(child, found)

    visit(ast.parse(source), at_import)
    own = sys.stdlib_module_names
    return at_import - own, inside - own


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
