"""Writes the five submissions of `nox -s demo`: python solutions/demo/make_class.py FOLDER

    ada     everything, right
    ben     the first three tasks, the rest as handed out
    chloe   everything, with one subtle bug
    dan     ends the process with exit code 0 instead of doing the work
    eve     a cache that never returns

They are made of the reference, the stub and `mistakes.py`, so they stay in step with the assignment.
"""

import ast
import sys
from pathlib import Path

from autograder.manifest import Assignment, Course
from autograder.variants import read_mistakes

SUBTLE = "PositionsRestart"
CHEAT = '''"""Not attention at all."""

import os

os._exit(0)
'''
ENDLESS_APPEND = """

class KVCache(KVCache):
    def append(self, k, v):
        while True:
            pass
"""


def definition(source: str, name: str) -> str:
    """The text of one top-level function or class."""
    found = next(node for node in ast.parse(source).body if getattr(node, "name", None) == name)
    return ast.get_source_segment(source, found) or ""


def half_done(assignment: Assignment, symbols: tuple[str, ...]) -> str:
    """The stub, with some of the work done."""
    reference = assignment.reference.read_text(encoding="utf-8")
    done = [definition(reference, symbol) for symbol in symbols]
    return assignment.stub.read_text(encoding="utf-8") + "".join(f"\n\n{text}\n" for text in done)


def make_class(folder: Path) -> None:
    assignment = Course.find(Path(__file__).parent).assignment("04_attention")
    reference = assignment.reference.read_text(encoding="utf-8")
    submissions = {
        "ada": reference,
        "ben": half_done(assignment, ("softmax", "causal_mask", "scaled_dot_product_attention")),
        "chloe": next(mistake.source for mistake in read_mistakes(assignment) if mistake.name == SUBTLE),
        "dan": CHEAT,
        "eve": reference + ENDLESS_APPEND,
    }
    for student, source in submissions.items():
        target = folder / student / assignment.name / assignment.manifest.module
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source, encoding="utf-8")


if __name__ == "__main__":
    make_class(Path(sys.argv[1]))
