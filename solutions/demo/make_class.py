"""Writes the class of `nox -s demo`: python solutions/demo/make_class.py FOLDER

    ada     everything, right: her MiniGPT has no library part
    ben     the first three assignments and half of the fourth
    chloe   everything, with one subtle bug in her attention
    dan     ends the process with exit code 0 instead of doing the work
    eve     the first four assignments, with a cache that never returns

They are made of the references, the stubs and `mistakes.py`, so they stay in step with the assignments.
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
    course = Course.find(Path(__file__).parent)
    right = {each.name: each.reference.read_text(encoding="utf-8") for each in course.assignments()}
    first = {name: right[name] for name in list(right)[:3]}
    attention = course.assignment("04_attention")
    subtle = next(mistake.source for mistake in read_mistakes(attention) if mistake.name == SUBTLE)
    half = half_done(attention, ("softmax", "causal_mask", "scaled_dot_product_attention"))
    submissions = {
        "ada": right,
        "ben": {**first, attention.name: half},
        "chloe": {**right, attention.name: subtle},
        "dan": {attention.name: CHEAT},
        "eve": {**first, attention.name: right[attention.name] + ENDLESS_APPEND},
    }
    for student, sources in submissions.items():
        for name, source in sources.items():
            target = folder / student / name / course.assignment(name).manifest.module
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source, encoding="utf-8")


if __name__ == "__main__":
    make_class(Path(sys.argv[1]))
