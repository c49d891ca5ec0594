"""Whether a module has the names that its tasks ask for, and whether each is of the right kind.

A name in CamelCase is a class and must be one; every other name may be any callable.
"""

from __future__ import annotations

from types import ModuleType

from autograder.outcome import Fault


class WrongSymbol(Fault):
    """A name is missing, or is something else than it should be."""


def kind_of(module: ModuleType, name: str) -> str:
    """ "class", "callable", "missing", or the name of the type of whatever it is."""
    if not hasattr(module, name):
        return "missing"
    value = getattr(module, name)
    if isinstance(value, type):
        return "class"
    return "callable" if callable(value) else type(value).__name__


def check_symbol(module_file: str, name: str, kind: str) -> None:
    """Raises `WrongSymbol` in words for a student."""
    wants_class = name[0].isupper()
    if kind == "missing":
        raise WrongSymbol(f"{module_file} has no {name}: it was renamed or deleted; write it as the stub has it")
    if wants_class and kind != "class":
        raise WrongSymbol(f"{name} in {module_file} must be a class, and is a {kind}"[:200])
    if kind not in ("class", "callable"):
        raise WrongSymbol(f"{name} in {module_file} must be a function, and is a {kind}"[:200])
