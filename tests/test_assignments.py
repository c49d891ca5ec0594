"""The seven assignments as they stand: what each must have, and that its reference earns everything on both sides.

Whether the suites catch what is wrong, and let pass what is right, is proven apart from these: `nox -s variants mutation`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import tiers_here

from autograder.forbidden import Rules, find_violations
from autograder.in_process import InProcess, load_module
from autograder.jail.client import Jail
from autograder.jail.isolation import choose
from autograder.manifest import Assignment, Course
from autograder.minigpt.parts import SLOTS
from autograder.regions import find_regions
from autograder.result import TaskResult, score_tasks
from autograder.suite import Outcome, Suite, collect, run
from autograder.trials import failing, grade_source
from autograder.variants import read_alternatives, read_mistakes

COURSE = Course.find(Path(__file__).parent)
ASSIGNMENTS = COURSE.assignments()
SEED = 20261121

# What other modules, the chassis and the handouts rely on, without annotations. A property is an empty text.
SIGNATURES = {
    "01_tokenizer": {
        "CharTokenizer.from_text": "(text)",
        "CharTokenizer.encode": "(self, text)",
        "CharTokenizer.decode": "(self, ids)",
        "CharTokenizer.vocab_size": "",
        "WordTokenizer.from_text": "(text, max_vocab=None)",
        "WordTokenizer.encode": "(self, text)",
        "WordTokenizer.decode": "(self, ids)",
        "WordTokenizer.vocab_size": "",
        "pretokenize": "(text)",
        "count_pairs": "(words)",
        "merge_pair": "(symbols, pair)",
        "train_bpe": "(text, vocab_size, special_tokens=())",
        "BPETokenizer": "(vocab, merges, special_tokens=())",
        "BPETokenizer.encode": "(self, text)",
        "BPETokenizer.decode": "(self, ids)",
        "BPETokenizer.encode_iterable": "(self, chunks)",
        "BPETokenizer.vocab_size": "",
    },
    "02_data": {
        "normalize_text": "(text)",
        "train_val_split": "(ids, val_fraction)",
        "sliding_windows": "(ids, block_size, stride)",
        "get_batch": "(ids, batch_size, block_size, *, generator=None, device='cpu')",
        "TokenDataset": "(ids, block_size, stride=None)",
        "TokenDataset.__len__": "(self)",
        "TokenDataset.__getitem__": "(self, index)",
        "save_tokens": "(ids, path)",
        "load_tokens": "(path)",
    },
    "03_embeddings": {
        "TokenEmbedding": "(vocab_size, d_model)",
        "TokenEmbedding.forward": "(self, ids)",
        "sinusoidal_positions": "(n_positions, d_model)",
        "LearnedPositions": "(max_positions, d_model)",
        "LearnedPositions.forward": "(self, positions)",
        "apply_rope": "(x, positions, theta=10000.0)",
        "InputEmbedding": "(vocab_size, d_model, max_positions, positions='learned', dropout=0.0)",
        "InputEmbedding.forward": "(self, ids, *, start=0)",
    },
    "04_attention": {
        "softmax": "(x, dim)",
        "causal_mask": "(n_queries, n_keys=None)",
        "scaled_dot_product_attention": "(q, k, v, mask=None)",
        "split_heads": "(x, n_heads)",
        "merge_heads": "(x)",
        "KVCache": "()",
        "KVCache.append": "(self, k, v)",
        "KVCache.length": "",
        "CausalSelfAttention": "(d_model, n_heads, *, dropout=0.0, bias=True, rope=None)",
        "CausalSelfAttention.forward": "(self, x, *, positions=None, cache=None, return_weights=False)",
    },
    "05_transformer": {
        "LayerNorm": "(d_model, eps=1e-05, bias=True)",
        "LayerNorm.forward": "(self, x)",
        "RMSNorm": "(d_model, eps=1e-05)",
        "RMSNorm.forward": "(self, x)",
        "gelu": "(x, approximate='none')",
        "silu": "(x)",
        "FeedForward": "(d_model, d_ff, dropout=0.0, bias=True)",
        "FeedForward.forward": "(self, x)",
        "SwiGLU": "(d_model, d_ff)",
        "SwiGLU.forward": "(self, x)",
        "TransformerBlock": "(config, parts)",
        "init_weights": "(model, n_layers, scheme='gpt2', std=0.02)",
        "GPT": "(config, parts)",
        "GPT.new_cache": "(self)",
        "GPT.forward": "(self, ids, *, cache=None, return_weights=False)",
        "count_parameters": "(config)",
    },
    "06_training": {
        "cross_entropy": "(logits, targets, ignore_index=-100)",
        "AdamW": "(params, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)",
        "AdamW.step": "(self, closure=None)",
        "cosine_schedule": "(step, *, max_lr, min_lr, warmup_steps, total_steps)",
        "clip_grad_norm": "(parameters, max_norm)",
        "train_step": "(model, optimizer, batches, *, max_norm=None, amp_dtype=None)",
        "estimate_loss": "(model, batches)",
        "save_checkpoint": "(path, model, optimizer, step)",
        "load_checkpoint": "(path, model, optimizer=None)",
        "train": "(model, optimizer, next_batch, *, steps, schedule, accumulate=1, max_norm=1.0, amp_dtype=None,"
        " start=0, on_step=None)",
    },
    "07_sampling": {
        "greedy": "(logits)",
        "apply_temperature": "(logits, temperature)",
        "top_k_filter": "(logits, k)",
        "top_p_filter": "(logits, p)",
        "min_p_filter": "(logits, p)",
        "repetition_penalty": "(logits, ids, penalty)",
        "sample_token": "(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None)",
        "generate": "(model, ids, max_new_tokens, *, context_length, stop_id=None, use_cache=False, generator=None,"
        " penalty=1.0, **sampling)",
        "perplexity": "(model, ids, context_length)",
    },
}  # fmt: skip

of_each_assignment = pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=lambda assignment: assignment.name)


@pytest.fixture(scope="module")
def suite_of() -> Callable[[Assignment], Suite]:
    suites = {assignment.name: collect(assignment, hidden=True) for assignment in ASSIGNMENTS}
    return lambda assignment: suites[assignment.name]


@pytest.fixture(scope="module", params=tiers_here())
def each_jail(request: pytest.FixtureRequest) -> Iterator[Jail]:
    with Jail(request.param, training=True) as started:
        yield started


@pytest.fixture(scope="module")
def own_jail() -> Iterator[Jail]:
    with Jail(choose("auto"), training=True) as started:
        yield started


# --- what there is ---------------------------------------------------------------------------------------------------


def test_there_are_seven_assignments() -> None:
    assert [assignment.name for assignment in ASSIGNMENTS] == list(SIGNATURES)


@of_each_assignment
def test_it_is_worth_80_points_with_enough_tests_of_each_kind(
    suite_of: Callable[[Assignment], Suite], assignment: Assignment
) -> None:
    suite = suite_of(assignment)
    assert suite.max_score == 80
    for task in assignment.manifest.tasks:
        kinds = [case.visibility for case in suite.of_task(task)]
        assert kinds.count("visible") >= 2, task.id
        assert kinds.count("hidden") >= 3, task.id
        assert len(task.hints) == 3, task.id


@of_each_assignment
def test_its_tasks_feed_slots_that_there_are(assignment: Assignment) -> None:
    assert {task.part for task in assignment.manifest.tasks if task.part} <= SLOTS.keys()


@pytest.mark.parametrize("slot", SLOTS)
def test_each_slot_is_fed_by_one_assignment_with_all_of_its_symbols(slot: str) -> None:
    """A slot whose symbols were spread over two assignments could be replaced by half."""
    feeding = [assignment for assignment in ASSIGNMENTS if slot in {task.part for task in assignment.manifest.tasks}]
    assert len(feeding) == 1
    symbols = {symbol for task in feeding[0].manifest.tasks if task.part == slot for symbol in task.symbols}
    assert set(SLOTS[slot]) <= symbols


@of_each_assignment
def test_its_variants_can_be_read(assignment: Assignment) -> None:
    assert read_mistakes(assignment) and read_alternatives(assignment)


@of_each_assignment
def test_no_solution_is_longer_than_25_lines(assignment: Assignment) -> None:
    lines = assignment.reference.read_text(encoding="utf-8").splitlines()
    for region in find_regions("\n".join(lines)):
        solution = [line for line in lines[region.begin : region.end - 1] if line.strip()]
        assert len(solution) <= 25, f"line {region.begin}"


@of_each_assignment
def test_the_contracts_signatures(assignment: Assignment) -> None:
    module = load_module(assignment.reference)
    found = {name: signature(module, name) for name in SIGNATURES[assignment.name]}
    assert found == SIGNATURES[assignment.name]


def signature(module: object, dotted: str) -> str:
    found = module
    for name in dotted.split("."):
        found = getattr(found, name)
    if isinstance(found, property):
        return ""
    parameters = inspect.signature(found).parameters.values()  # type: ignore[arg-type]
    return str(inspect.Signature([each.replace(annotation=inspect.Parameter.empty) for each in parameters]))


@of_each_assignment
def test_every_symbol_of_a_task_is_in_the_contract(assignment: Assignment) -> None:
    """Or it is a helper that the handout introduces, which no other module may rely on."""
    promised = {name.partition(".")[0] for name in SIGNATURES[assignment.name]}
    symbols = {symbol for task in assignment.manifest.tasks for symbol in task.symbols}
    assert promised <= symbols
    fed = {symbol for task in assignment.manifest.tasks for symbol in SLOTS.get(task.part or "", ())}
    assert fed <= promised


@of_each_assignment
def test_the_reference_keeps_the_rules(assignment: Assignment) -> None:
    """It imports nothing that a student may not import, and uses none of the forbidden names."""
    assert find_violations(assignment.reference.read_bytes(), Rules.of(assignment.manifest)) == []


# --- hints -----------------------------------------------------------------------------------------------------------


@of_each_assignment
def test_a_hint_in_a_hidden_test_is_a_constant(assignment: Assignment) -> None:
    """What a hidden test shows must not depend on an input, an expected value or a student's text."""
    tree = ast.parse(assignment.hidden_tests.read_text(encoding="utf-8"))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        for given in hints_of(call):
            assert is_constant(given, tree), f"line {call.lineno}: {ast.unparse(given)}"


def hints_of(call: ast.Call) -> list[ast.expr]:
    """`hint=...` of anything, the argument of `@hint(...)`, and the third of `require(...)`."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    positional = {"hint": call.args[:1], "require": call.args[2:3]}.get(name, [])
    return [*positional, *(keyword.value for keyword in call.keywords if keyword.arg == "hint")]


def is_constant(given: ast.expr, tree: ast.Module) -> bool:
    """A text, or a name that stands for texts only wherever it is assigned. A helper's own `hint` is its caller's."""
    if not isinstance(given, ast.Name):
        return isinstance(given, ast.Constant)
    assigned = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == given.id for target in node.targets)
    ]
    return all(isinstance(value, ast.Constant) for value in assigned)


# --- references and stubs, graded ------------------------------------------------------------------------------------


@of_each_assignment
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_reference_earns_everything_in_process(
    suite_of: Callable[[Assignment], Suite], assignment: Assignment, seed: int
) -> None:
    outcomes = run(suite_of(assignment), InProcess(assignment.manifest, assignment.reference), seed)
    assert failing(outcomes) == [], f"seed {seed}"


@of_each_assignment
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_reference_earns_everything_in_each_jail(
    suite_of: Callable[[Assignment], Suite], each_jail: Jail, assignment: Assignment, seed: int
) -> None:
    outcomes = grade_source(suite_of(assignment), each_jail, assignment.reference.read_text(encoding="utf-8"), seed)
    assert failing(outcomes) == [], f"seed {seed}"


@of_each_assignment
def test_the_stub_is_not_attempted_anywhere(
    suite_of: Callable[[Assignment], Suite], own_jail: Jail, assignment: Assignment
) -> None:
    outcomes = grade_source(suite_of(assignment), own_jail, assignment.stub.read_text(encoding="utf-8"), SEED)
    others = {name: outcome for name, outcome in outcomes.items() if outcome.status != "not_attempted"}
    assert others == {}


def tasks_of(suite: Suite, outcomes: dict[str, Outcome]) -> dict[str, TaskResult]:
    return {task.id: task for task in score_tasks(suite, outcomes)}


def test_an_exit_in_one_function_costs_its_own_tests(suite_of: Callable[[Assignment], Suite], own_jail: Jail) -> None:
    assignment = COURSE.assignment("04_attention")
    exits = "\n\ndef merge_heads(x):\n    import os\n    os._exit(0)\n"
    source = assignment.reference.read_text(encoding="utf-8") + exits
    tasks = tasks_of(suite_of(assignment), grade_source(suite_of(assignment), own_jail, source, SEED))
    assert tasks["softmax"].passed and tasks["mask"].passed and tasks["sdpa"].passed and tasks["cache"].passed
    assert not tasks["heads"].passed and not tasks["attention"].passed
