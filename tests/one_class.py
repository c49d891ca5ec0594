"""A class of fifteen in 04_attention, whose points must be the same from every front end.

    for member in members(course.assignment("04_attention")):
        member.write_to(folder)             # the files as that student handed them in

Complete, partial, wrong, hostile, missing and late work. Nobody in it runs into a time limit: those cost seconds for
each test, and are looked at elsewhere.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

from autograder.manifest import Assignment
from autograder.variants import read_alternatives, read_mistakes

EXITS = "import os\n\nos._exit(0)\n"
ABORTS_IN_THE_CACHE = """

import os


class KVCache(KVCache):
    def append(self, k, v):
        os.abort()
"""
PATCHES_EVERYTHING = """

import builtins
import sys

import torch


class Agrees:
    def __eq__(self, other):
        return True

    __ne__ = __lt__ = __gt__ = __eq__


torch.allclose = torch.equal = lambda *arguments, **named: True
torch.testing.assert_close = lambda *arguments, **named: None
builtins.AssertionError = SystemExit
sys.modules["pytest"] = Agrees()
causal_mask = Agrees()
"""
TALKS = """

import sys
import warnings

warnings.warn("a warning on import")


def causal_mask(n_queries, n_keys=None, mask=causal_mask):
    print("::error::from standard output", n_queries)
    print("8", file=sys.stderr)
    warnings.warn("a warning in a call")
    return mask(n_queries, n_keys)
"""
CONFTEST = """
import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"
"""


@dataclass(frozen=True)
class Member:
    """One student. `source` None: the module was not handed in. `beside`: other files in the assignment's folder."""

    name: str
    source: bytes | None
    beside: dict[str, str] = field(default_factory=dict)
    late: bool = False

    def write_to(self, folder: Path, module: str) -> None:
        """Writes the assignment's folder as it was handed in."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.beside.items():
            (folder / name).write_text(text, encoding="utf-8")
        if self.source is not None:
            (folder / module).write_bytes(self.source)


def members(assignment: Assignment) -> list[Member]:
    right = assignment.reference.read_text(encoding="utf-8")
    stub = assignment.stub.read_text(encoding="utf-8")
    wrong = {mistake.name: mistake.source for mistake in read_mistakes(assignment)}
    other = read_alternatives(assignment)[0].source
    done = ("softmax", "causal_mask", "scaled_dot_product_attention")
    half = stub + "".join(f"\n\n{_definition(right, symbol)}\n" for symbol in done)
    cheats = {
        "conftest.py": CONFTEST,
        "pytest.ini": "[pytest]\naddopts = --collect-only\n",
        "torch.py": "softmax = 3\n",
    }
    sources: dict[str, str | None] = {
        "ada": right,
        "ben": half,
        "chloe": wrong["PositionsRestart"],
        "dan": wrong["scaled_by_d_k"],
        "eve": EXITS,
        "finn": stub + PATCHES_EVERYTHING,
        "gus": right + ABORTS_IN_THE_CACHE,
        "hana": stub,
        "ivan": None,
        "kim": other,
        "lou": right.replace("def causal_mask", "def causal_mask((", 1),
        "mia": right.replace("return ", "return torch.softmax(x, dim) if False else ", 1),
        "noa": right + TALKS,
    }
    told = [
        Member(name, None if source is None else source.encode(), late=name == "kim")
        for name, source in sources.items()
    ]
    return [*told, Member("oli", half.encode(), beside=cheats), Member("pia", right.encode("utf-16"))]


def _definition(source: str, name: str) -> str:
    found = next(node for node in ast.parse(source).body if getattr(node, "name", None) == name)
    return ast.get_source_segment(source, found) or ""
