"""04_attention as it stands: the reference earns everything, every wrong variant loses where it should, no right one does.

Each variant is graded as a submission is: in the jail, by both suites.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Iterator

import pytest

from autograder.in_process import InProcess
from autograder.jail.client import Jail
from autograder.jail.isolation import choose
from autograder.manifest import Assignment, Course
from autograder.minigpt.parts import SLOTS
from autograder.result import TaskResult, score_tasks
from autograder.suite import Outcome, Suite, collect, run
from autograder.variants import Alternative, Mistake, read_alternatives, read_mistakes

ASSIGNMENT = Course.find().assignment("04_attention")
SEED = 20261121
MISTAKES = read_mistakes(ASSIGNMENT)
ALTERNATIVES = read_alternatives(ASSIGNMENT)


@pytest.fixture(scope="module")
def suite() -> Suite:
    return collect(ASSIGNMENT, hidden=True)


@pytest.fixture(scope="module")
def own_jail() -> Iterator[Jail]:
    with Jail(choose("auto")) as started:
        yield started


def graded(suite: Suite, jail: Jail, source: str, seed: int = SEED) -> dict[str, Outcome]:
    submission = jail.submission(ASSIGNMENT.manifest, {ASSIGNMENT.manifest.module: source.encode()})
    outcomes = run(suite, submission, seed)
    submission.discard()
    return outcomes


def failing(suite: Suite, outcomes: dict[str, Outcome], task: str | None = None) -> list[str]:
    return [case.id for case in suite.cases if task in (None, case.task) and outcomes[case.id].status != "passed"]


def test_the_assignment_is_worth_80_points_with_enough_tests_of_each_kind(suite: Suite) -> None:
    assert suite.max_score == 80
    for task in ASSIGNMENT.manifest.tasks:
        kinds = [case.visibility for case in suite.of_task(task)]
        assert kinds.count("visible") >= 2, task.id
        assert kinds.count("hidden") >= 3, task.id
        assert len(task.hints) == 3, task.id


def test_the_manifest_feeds_a_slot_that_there_is() -> None:
    parts = {task.part for task in ASSIGNMENT.manifest.tasks if task.part}
    assert parts == {"attention"}
    symbols = {symbol for task in ASSIGNMENT.manifest.tasks for symbol in task.symbols}
    assert set(SLOTS["attention"]) <= symbols


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_reference_earns_everything_on_both_sides(suite: Suite, jail: Jail, seed: int) -> None:
    in_process = run(suite, InProcess(ASSIGNMENT.manifest, ASSIGNMENT.reference), seed)
    assert failing(suite, in_process) == []
    assert failing(suite, graded(suite, jail, ASSIGNMENT.reference.read_text(), seed)) == []


def test_the_stub_is_not_attempted_anywhere(suite: Suite, own_jail: Jail) -> None:
    outcomes = graded(suite, own_jail, ASSIGNMENT.stub.read_text())
    assert {outcome.status for outcome in outcomes.values()} == {"not_attempted"}


@pytest.fixture(scope="module")
def grade_mistake(suite: Suite, own_jail: Jail) -> Callable[[Mistake], dict[str, Outcome]]:
    """Grades a wrong variant, once."""
    return functools.cache(lambda mistake: graded(suite, own_jail, mistake.source))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_wrong_variant_loses_points_in_the_task_that_it_names(
    suite: Suite, grade_mistake: Callable[[Mistake], dict[str, Outcome]], mistake: Mistake
) -> None:
    outcomes = grade_mistake(mistake)
    assert failing(suite, outcomes, mistake.task), f"seed {SEED}: nothing in {mistake.task} catches it"


@pytest.mark.parametrize("alternative", ALTERNATIVES, ids=lambda alternative: alternative.name)
@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_a_right_variant_gets_full_marks(suite: Suite, own_jail: Jail, alternative: Alternative, seed: int) -> None:
    assert failing(suite, graded(suite, own_jail, alternative.source, seed)) == [], f"seed {seed}"


def test_there_are_enough_variants() -> None:
    assert len(ALTERNATIVES) >= 3
    for task in ASSIGNMENT.manifest.tasks:
        assert sum(mistake.task == task.id for mistake in MISTAKES) >= 3, task.id
    assert len(MISTAKES) >= 12


def test_most_wrong_variants_are_caught_before_the_hidden_tests(
    suite: Suite, grade_mistake: Callable[[Mistake], dict[str, Outcome]]
) -> None:
    visible = {case.id for case in suite.cases if case.visibility == "visible"}
    caught = [bool(visible & set(failing(suite, grade_mistake(mistake), mistake.task))) for mistake in MISTAKES]
    assert sum(caught) >= 0.7 * len(caught)


def test_a_hint_in_a_hidden_test_is_a_constant() -> None:
    """What a hidden test shows must not depend on an input, an expected value or a student's text."""
    for node in ast.walk(ast.parse(ASSIGNMENT.hidden_tests.read_text())):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "hint":
                    assert isinstance(keyword.value, ast.Constant | ast.Name), ast.unparse(node)


def tasks_of(suite: Suite, outcomes: dict[str, Outcome]) -> dict[str, TaskResult]:
    return {task.id: task for task in score_tasks(suite, outcomes)}


def test_an_exit_in_one_function_costs_its_own_tests(suite: Suite, own_jail: Jail) -> None:
    source = ASSIGNMENT.reference.read_text() + "\n\ndef merge_heads(x):\n    import os\n    os._exit(0)\n"
    tasks = tasks_of(suite, graded(suite, own_jail, source))
    assert tasks["softmax"].passed and tasks["mask"].passed and tasks["sdpa"].passed and tasks["cache"].passed
    assert not tasks["heads"].passed and not tasks["attention"].passed


def reference_functions(assignment: Assignment) -> list[tuple[str, int]]:
    source = assignment.reference.read_text()
    lengths = []
    for part in source.split("### BEGIN SOLUTION")[1:]:
        region = part.split("### END SOLUTION")[0]
        lengths.append((region.strip().splitlines()[0], len([line for line in region.splitlines() if line.strip()])))
    return lengths


def test_no_task_is_longer_than_25_lines() -> None:
    assert max(length for _, length in reference_functions(ASSIGNMENT)) <= 25


def test_the_contracts_signatures() -> None:
    namespace: dict[str, object] = {"__name__": "attention"}
    exec(compile(ASSIGNMENT.reference.read_text(), "attention.py", "exec"), namespace)
    expected = {
        "softmax": "(x, dim)",
        "causal_mask": "(n_queries, n_keys=None)",
        "scaled_dot_product_attention": "(q, k, v, mask=None)",
        "split_heads": "(x, n_heads)",
        "merge_heads": "(x)",
        "KVCache": "()",
        "CausalSelfAttention": "(d_model, n_heads, *, dropout=0.0, bias=True, rope=None)",
    }
    for name, signature in expected.items():
        found = inspect.signature(namespace[name])  # type: ignore[arg-type]
        bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in found.parameters.values()]
        assert str(inspect.Signature(bare)) == signature, name
