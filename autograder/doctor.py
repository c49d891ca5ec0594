"""What works on this machine, and what to install for the rest: the lines of `minigpt doctor`."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Iterator

from autograder.jail.isolation import missing_for

STUDENT_PACKAGES = (
    "torch",
    "numpy",
    "tiktoken",
    "regex",
    "jaxtyping",
    "pytest",
    "msgspec",
    "typer",
    "rich",
    "matplotlib",
    "jupyter",
)
INSTRUCTOR_PACKAGES = ("jinja2", "nbgrader", "copydetect", "landlock", "pyseccomp")


def examine() -> Iterator[str]:
    """One line for each thing that was looked at."""
    yield f"Python {platform.python_version()} on {platform.system()} {platform.machine()}: {_python()}"
    yield "for students:"
    yield from (f"  {_package(name)}" for name in STUDENT_PACKAGES)
    yield "for instructors (pip install -e '.[instructor]' -c constraints.txt):"
    yield from (f"  {_package(name)}" for name in INSTRUCTOR_PACKAGES)
    yield "jails for grading, the strongest first:"
    for tier in ("bwrap", "landlock"):
        reason = missing_for(tier)
        yield f"  {tier}: {'works' if reason is None else 'not here. ' + reason}"


def _python() -> str:
    return "fine" if sys.version_info >= (3, 11) else "too old, 3.11 is needed"


def _package(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{name}: not installed"
