"""After a run of plain pytest: which known mistake the failed tests of each task met, as `minigpt check` tells it.

    likely(test_file, {"test_softmax_of_any_axis": Outcome("failed")}, None)
    # {"softmax": ["Your softmax divides by the sum of everything, not of each row."]}

Visible tests at the default seed only: that is what the shipped data is about. Never raises for what is wrong with the
course's files: then nothing is told.
"""

from __future__ import annotations

import sys
from pathlib import Path

from autograder.manifest import CourseError
from autograder.outcome import GraderFault
from autograder.plugin import assignment_of
from autograder.replay import silence
from autograder.shipped_diagnoses import diagnose_here, file_of
from autograder.suite import Outcome, collect


def likely(test_file: Path, outcomes: dict[str, Outcome], module: Path | None) -> dict[str, list[str]]:
    """What the mistakes' authors say of them, by task. module: a file in place of the one beside the tests."""
    try:
        assignment = assignment_of(test_file)
        if test_file != assignment.visible_tests or not file_of(assignment).is_file():
            return {}
        suite = collect(assignment, hidden=False)
    except (CourseError, GraderFault):
        return {}
    path = module or assignment.stub
    imported = sys.modules.get(path.stem)  # `diagnose_here` imports it anew, and this one may still be in use
    try:
        with silence():
            told = diagnose_here(assignment, suite, outcomes, path)
    finally:
        if imported is not None:
            sys.modules[path.stem] = imported
    says: dict[str, list[str]] = {}
    for case in suite.cases:
        diagnosis = told[case.id].diagnosis if case.id in told else None
        if diagnosis is not None and diagnosis.says not in says.setdefault(case.task, []):
            says[case.task].append(diagnosis.says)
    return says
