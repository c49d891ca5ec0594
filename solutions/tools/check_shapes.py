"""Whether shapes are explained well: python solutions/tools/check_shapes.py [NAME ...] [--mistakes] [--seed N]

Over all references and alternatives, on all visible tests, nothing may be said: of what functions return to each other
inside a module, and of what a test gets across the value boundary. Exits with 1 if something is.
--mistakes: says what is explained of the known mistakes, to be read by a person.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from autograder.annotations import Signature, signatures_of
from autograder.in_process import InProcess
from autograder.manifest import Assignment, Course
from autograder.observing import Observed
from autograder.plugin import DEFAULT_SEED
from autograder.replay import noting, replay, run_plainly, silence
from autograder.shapes import explain_calls, explain_first
from autograder.suite import Suite, collect, run_one
from autograder.variants import read_alternatives, read_mistakes


def right_answers(assignment: Assignment) -> Iterator[tuple[str, str]]:
    yield "reference", assignment.reference.read_text()
    for alternative in read_alternatives(assignment):
        yield alternative.name, alternative.source


def alarms(suite: Suite, path: Path, signatures: dict[str, Signature], seed: int) -> Iterator[tuple[str, str]]:
    """Test and text of all that is said of the file, inside and across the boundary, whether its tests pass or not."""
    inside = InProcess(suite.assignment.manifest, path)
    observed = Observed(suite.assignment.manifest, path, inside)
    for test in suite.tests:
        with silence(), noting(inside.module, signatures) as notes:
            run_plainly(test, inside, seed)
        if told := explain_first(notes.answers):
            yield test.case.id, told
        with silence():
            run_one(test, observed, seed)
        if told := explain_calls(signatures, observed.recorder.calls):
            yield test.case.id, f"{told} (across the boundary)"


def explained(suite: Suite, path: Path, signatures: dict[str, Signature], seed: int) -> str | None:
    """What is said of the first failing test for which anything is."""
    inside = InProcess(suite.assignment.manifest, path)
    for test in suite.tests:
        replayed = replay(test, inside, seed, signatures)
        if replayed.shape is not None:
            return f"{test.case.id}: {replayed.shape}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--mistakes", action="store_true")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    course = Course.find(Path(__file__))
    found = 0
    for assignment in [course.assignment(name) for name in options.names] or course.assignments():
        suite, signatures = collect(assignment, hidden=False), signatures_of(assignment)
        count = 0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / assignment.manifest.module
            for name, source in right_answers(assignment):
                path.write_text(source)
                count += 1
                for test, told in alarms(suite, path, signatures, options.seed):
                    found += 1
                    print(f"{assignment.name}: {name}: {test}: {told}")
            for mistake in read_mistakes(assignment) if options.mistakes else []:
                path.write_text(mistake.source)
                if told := explained(suite, path, signatures, options.seed):
                    print(f"  {mistake.name} ({mistake.says}): {told}")
        print(f"{assignment.name}: {count} right answers", flush=True)
    print(f"{found} false alarms")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
