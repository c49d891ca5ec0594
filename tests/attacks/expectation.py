"""Reads what an attack says about itself: the first line of its docstring, and what it is expected to get.

    Expect: 126/127, softmax_rows failed
    Expect: 96/127, softmax crashed or memory, tally_adds timeout
    Expect: 0/127, all timeout
    Expect: missing, symbolic link
    Expect: refused

A name is a test's, without `test_`, or a task's: then all its tests. Tests that are not named pass. `Expect landlock:`
and `Expect bwrap:` are for one tier alone. The score is checked against the course's points, and against the result.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

TESTS = {
    "softmax_rows": 1,
    "softmax_large": 2,
    "softmax_refuses": 4,
    "tally_adds": 8,
    "tally_iterates": 16,
    "words_counted": 32,
    "words_split": 64,
}
ALL = sum(TESTS.values())
LINE = re.compile(r"^Expect(?: (landlock|bwrap))?: *(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Expectation:
    """What one tier gives: the result's status, and for a graded one the score and each test's possible statuses."""

    text: str
    status: str
    told: str = ""
    score: int = 0
    tests: dict[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Attack:
    name: str
    tries: str
    expectations: dict[str, Expectation]

    def expected(self, tier: str) -> Expectation:
        return self.expectations.get(tier) or self.expectations[""]


def read_attack(name: str, docstring: str) -> Attack:
    found = {tier: _expectation(text.strip()) for tier, text in LINE.findall(docstring)}
    if not found or ("" not in found and set(found) != {"landlock", "bwrap"}):
        raise ValueError(f"{name}: no line `Expect: ...`")
    return Attack(name, docstring.strip().splitlines()[0], found)


def read_module(path: Path) -> Attack:
    return read_attack(path.stem, ast.get_docstring(ast.parse(path.read_bytes())) or "")


def _expectation(text: str) -> Expectation:
    head, *clauses = [part.strip() for part in text.split(", ")]
    if "/" not in head:
        return Expectation(text, head, told=clauses[0] if clauses else "")
    score, possible = map(int, head.split("/"))
    tests: dict[str, tuple[str, ...]] = dict.fromkeys(TESTS, ("passed",))
    for clause in clauses:
        name, _, statuses = clause.partition(" ")
        named = [test for test in TESTS if name in ("all", test, test.partition("_")[0])]
        if not named:
            raise ValueError(f"{text!r}: there is no test or task {name!r}")
        tests.update(dict.fromkeys(named, tuple(statuses.split(" or "))))
    earned = sum(TESTS[test] for test, statuses in tests.items() if statuses == ("passed",))
    if (score, possible) != (earned, ALL):
        raise ValueError(f"{text!r}: the tests that pass make {earned}/{ALL}")
    return Expectation(text, "graded", score=score, tests=tests)
