"""A wrong shape is told in the words of the annotation, and nothing is said of what is right or not certain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from autograder.annotations import Axes, Other, read_signatures, signatures_of
from autograder.in_process import InProcess
from autograder.manifest import Course
from autograder.minigpt.config import GPTConfig
from autograder.observing import Observed
from autograder.plugin import DEFAULT_SEED
from autograder.replay import noting, replay, run_plainly, silence
from autograder.shapes import Answered, Explainer, by_name, explain, explain_calls, explain_first, noted
from autograder.suite import collect, run, run_one
from autograder.variants import read_alternatives

SOURCE = '''
Ids = Int[Tensor, " tokens"] | np.ndarray

def softmax(x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]: ...
def mask(n_queries: int, n_keys: int | None = None) -> Bool[Tensor, "n_queries n_keys"]: ...
def attend(
    q: Float[Tensor, "batch heads queries d_k"], k: Float[Tensor, "batch heads keys d_k"]
) -> tuple[Float[Tensor, "batch heads queries d_k"], Float[Tensor, "batch heads queries keys"]]:
    """Returns (output, weights)."""
def split_heads(x: Float[Tensor, "batch time d_model"], n_heads: int) -> Float[Tensor, "batch heads time head_dim"]: ...
def merge_heads(x: Float[Tensor, "batch heads time head_dim"]) -> Float[Tensor, "batch time d_model"]: ...
def greedy(logits: Float[Tensor, "... vocab"]) -> Int[Tensor, "..."]: ...
def loss(logits: Float[Tensor, "... vocab"], targets: Int[Tensor, "..."]) -> Float[Tensor, ""]: ...
def windows(ids: Ids, block_size: int) -> tuple[Int[Tensor, "windows block"], Int[Tensor, "windows block"]]: ...
def encode(text: str) -> list[int]: ...
def maybe(text: str) -> int | None: ...
class Embedding:
    def __init__(self, vocab_size: int, d_model: int) -> None: ...
    def forward(self, ids: Int[Tensor, "..."]) -> Float[Tensor, "... d_model"]: ...
class Model:
    def __init__(self, config: Config) -> None: ...
    def forward(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocab"] | tuple[Tensor, list]: ...
'''


def told(name: str, arguments: tuple[Any, ...], answer: Any, made_with: dict[str, Any] | None = None) -> str | None:
    signature = read_signatures(SOURCE)[name]
    made = {key: noted(value) for key, value in (made_with or {}).items()}
    return explain(Answered(signature, by_name(signature, arguments, {}), noted(answer), made))


def floats(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


def ids(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.int64)


def test_annotations_are_read_from_the_source() -> None:
    signatures = read_signatures(SOURCE)
    assert signatures["softmax"].answer == (Axes("Float", ("...",)),)
    assert signatures["windows"].parameters["ids"] == (Axes("Int", ("tokens",)), Other("np.ndarray"))
    assert signatures["attend"].result_names == ("output", "weights")
    assert signatures["Embedding.forward"].positional == ("ids",)
    assert signatures["Model.forward"].answer[1] == (Axes("", None), Other("list"))


QK = (floats(2, 4, 5, 8), floats(2, 4, 5, 8))
CASES: list[tuple[str, tuple[Any, ...], Any, str]] = [
    ("attend", QK, (floats(2, 4, 5, 8), floats(2, 5, 4, 4)), "attend returned weights of shape [2, 5, 4, 4]; expected [batch, heads, queries, keys] = [2, 4, 5, 5]: heads and queries are swapped."),
    ("attend", QK, (floats(2, 4, 8, 5), floats(2, 4, 5, 5)), "attend returned output of shape [2, 4, 8, 5]; expected [batch, heads, queries, d_k] = [2, 4, 5, 8]: queries and d_k are swapped."),
    ("attend", QK, floats(2, 4, 5, 8), "attend returned one tensor, of shape [2, 4, 5, 8]; expected a tuple (output, weights)."),
    ("attend", QK, (floats(2, 4, 5, 8),) * 3, "attend returned 3 things; expected (output, weights)."),
    ("attend", QK, (floats(2, 4, 5, 8), None), "attend returned None as weights; expected a tensor."),
    ("attend", QK, None, "attend returned nothing (None); expected a tuple (output, weights): is a `return` missing?"),
    ("split_heads", (floats(2, 5, 12), 3), floats(2, 5, 3, 4), "split_heads returned a tensor of shape [2, 5, 3, 4]; expected [batch, heads, time, head_dim] = [2, 3, 5, 4]: heads and time are swapped."),
    ("split_heads", (floats(2, 5, 12), 3), floats(2, 5, 12), "split_heads returned a tensor of shape [2, 5, 12]; expected [batch, heads, time, head_dim] = [2, 3, 5, 4]: it has 3 axes instead of 4."),
    ("split_heads", (floats(2, 5, 12), 3), floats(4, 3, 5, 2), "split_heads returned a tensor of shape [4, 3, 5, 2]; expected [batch, heads, time, head_dim] = [2, 3, 5, 4]: batch and head_dim are swapped."),
    ("merge_heads", (floats(2, 3, 5, 4),), floats(2, 5, 3, 4), "merge_heads returned a tensor of shape [2, 5, 3, 4]; expected [batch, time, d_model] = [2, 5, 12]: d_model is still cut into two axes, 3 and 4."),
    ("mask", (2, 5), torch.zeros(2, 5), "mask returned a tensor of torch.float32; expected True and False (torch.bool)."),
    ("mask", (2, 5), torch.zeros(5, 2) > 0, "mask returned a tensor of shape [5, 2]; expected [n_queries, n_keys] = [2, 5]: n_queries and n_keys are swapped."),
    ("softmax", (floats(2, 3, 4), 2), floats(2, 3), "softmax returned a tensor of shape [2, 3]; expected the shape of x, [2, 3, 4]: axis 2 is missing."),
    ("softmax", (floats(2, 3, 4), 2), floats(2, 3, 1), "softmax returned a tensor of shape [2, 3, 1]; expected the shape of x, [2, 3, 4]: axis 2 has size 1 instead of 4."),
    ("softmax", (floats(3, 3), 1), floats(3), "softmax returned a tensor of shape [3]; expected the shape of x, [3, 3]: one of axis 0, axis 1 is missing."),
    ("softmax", (floats(3), 0), [0.5, 0.5], "softmax returned a tuple of 2; expected a tensor of the shape of x, [3]."),
    ("greedy", (floats(2, 11),), ids(2, 1), "greedy returned a tensor of shape [2, 1]; expected [...] = [2]: axis 1, of size 1, is too many (keepdim=True, or an unsqueeze?)."),
    ("greedy", (floats(2, 11),), ids(2, 11), "greedy returned a tensor of shape [2, 11]; expected [...] = [2]: axis 1, vocab, is still there."),
    ("greedy", (floats(2, 11),), floats(2), "greedy returned a tensor of torch.float32; expected whole numbers (torch.int64)."),
    ("loss", (floats(2, 3, 11), ids(2, 3)), floats(2, 3), "loss returned a tensor of shape [2, 3]; expected a single number, of shape []: it has 2 axes instead of 0."),
    ("windows", (ids(9), 4), (ids(5, 4), ids(5)), "windows returned a tensor as number 2 of 2 of shape [5]; expected [windows, block] = [?, 4]: it has 1 axis instead of 2."),
    ("encode", ("a",), None, "encode returned nothing (None); expected list[int]: is a `return` missing?"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "answer", "expected"), CASES)
def test_what_is_wrong_is_said(name: str, arguments: tuple[Any, ...], answer: Any, expected: str) -> None:
    assert told(name, arguments, answer) == expected


def test_sizes_come_from_what_an_object_was_made_with_too() -> None:
    sentence = (
        "Embedding.forward returned a tensor of shape [2, 3]; expected [..., d_model] = [2, 3, 8]: d_model is missing."
    )
    assert told("Embedding.forward", (ids(2, 3),), floats(2, 3), {"vocab_size": 11, "d_model": 8}) == sentence
    model = told("Model.forward", (ids(2, 3),), floats(2, 3, 8), {"config": GPTConfig(vocab_size=11, d_model=8)})
    assert model is not None and model.endswith("[batch, time, vocab] = [2, 3, 11]: vocab has size 8 instead of 11.")


def test_a_wrong_device_is_said() -> None:
    away = torch.zeros(2, 3, device="meta")
    assert told("softmax", (floats(2, 3), 0), away) == (
        "softmax returned a tensor on meta; expected it on cpu, where the arguments are."
    )


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("softmax", (floats(2, 3), 0), floats(2, 3)),
        ("softmax", (floats(2, 3), 0), floats(2, 3).to(torch.bfloat16)),
        ("attend", QK, (floats(2, 4, 5, 8), floats(2, 4, 5, 5))),
        ("attend", QK, [floats(2, 4, 5, 8), floats(2, 4, 5, 5)]),  # a list is as good as a tuple
        ("attend", (floats(2, 4, 5, 8), floats(2, 4, 5, 9)), (floats(1), floats(1))),  # the arguments do not agree
        ("attend", (floats(4, 5, 8), floats(4, 5, 8)), (floats(1), floats(1))),  # nor do they here
        ("softmax", (ids(2, 3), 0), floats(1)),  # Float was due
        ("mask", (3, None), torch.zeros(3, 7) > 0),  # n_keys is not known
        ("loss", (floats(2, 11), ids(2)), 1.5),  # a number is as good as a tensor without axes
        ("Model.forward", (ids(2, 3),), (floats(1), [floats(1)])),
        ("maybe", ("a",), None),
    ],
)
def test_nothing_is_said_of_what_is_right_or_not_certain(name: str, arguments: tuple[Any, ...], answer: Any) -> None:
    assert told(name, arguments, answer) is None


def broken(course: Course, folder: Path, *definitions: str) -> Path:
    """The reference of 04_attention with something else in place of some of its functions."""
    path = folder / "attention.py"
    path.write_text("\n\n\n".join([course.assignment("attention").reference.read_text(), *definitions]))
    return path


HEADS = "def split_heads(x, n_heads):\n    return x.unflatten(-1, (n_heads, -1))\n"
WRONG_HEADS = "split_heads returned a tensor of shape [2, 5, 3, 4]; expected [batch, heads, time, head_dim] = [2, 3, 5, 4]: heads and time are swapped."


def test_the_function_that_made_the_shape_is_named_however_deep(course: Course, tmp_path: Path) -> None:
    assignment = course.assignment("attention")
    suite, signatures = collect(assignment, hidden=False), signatures_of(assignment)
    test = next(test for test in suite.tests if test.case.id == "test_layer_agrees_with_torch")
    backend = InProcess(assignment.manifest, broken(course, tmp_path, HEADS))
    before = dict(vars(backend.module)) if backend.module is not None else {}
    replayed = replay(test, backend, DEFAULT_SEED, signatures)
    assert replayed.shape == WRONG_HEADS
    assert {frame.function for frame in replayed.frames} >= {"CausalSelfAttention.forward"}
    assert backend.module is not None and vars(backend.module)["split_heads"] is before["split_heads"]


def test_annotations_that_a_student_changed_do_not_count(course: Course, tmp_path: Path) -> None:
    own = HEADS.replace("(x, n_heads)", '(x: "batch", n_heads: "no") -> Float[Tensor, "batch time heads head_dim"]')
    assignment = course.assignment("attention")
    suite = collect(assignment, hidden=False)
    test = next(test for test in suite.tests if test.case.id == "test_split_gives_each_head_its_features")
    backend = InProcess(assignment.manifest, broken(course, tmp_path, own))
    assert replay(test, backend, DEFAULT_SEED, signatures_of(assignment)).shape == WRONG_HEADS


def test_across_the_value_boundary_the_words_are_the_same(course: Course, tmp_path: Path) -> None:
    assignment = course.assignment("attention")
    suite, signatures = collect(assignment, hidden=False), signatures_of(assignment)
    merged = "def merge_heads(x):\n    return x.transpose(1, 2)\n"
    backend = Observed(assignment.manifest, broken(course, tmp_path, HEADS, merged))
    explained = {}
    for test in suite.tests:
        with silence():
            run_one(test, backend, DEFAULT_SEED)
        explained[test.case.id] = explain_calls(signatures, backend.recorder.calls)
    assert explained["test_split_gives_each_head_its_features"] == WRONG_HEADS
    assert "d_model is still cut into two axes" in (explained["test_merge_undoes_split"] or "")
    assert explained["test_softmax_of_any_axis"] is None


def test_under_the_grader_it_is_told_of_visible_tests_alone(course: Course, tmp_path: Path) -> None:
    assignment = course.assignment("attention")
    suite = collect(assignment, hidden=True)
    explainer = Explainer(signatures_of(assignment))
    backend = Observed(assignment.manifest, broken(course, tmp_path, HEADS))
    outcomes = run(suite, backend, 1234, tasks=frozenset({"heads"}), watch=explainer.of(backend))
    hidden = {case.id for case in suite.cases if case.visibility == "hidden" and outcomes.get(case.id)}
    assert any(outcomes[name].status == "failed" for name in hidden) and not hidden & explainer.told.keys()
    messages = explainer.before({"test_split_gives_each_head_its_features": "expected", "another": "stays"})
    assert messages["test_split_gives_each_head_its_features"] == f"{WRONG_HEADS}\nexpected"
    assert messages["another"] == "stays"


def test_a_call_with_arguments_of_a_wrong_shape_is_told_where_it_raises(course: Course, tmp_path: Path) -> None:
    attention = (
        "class CausalSelfAttention(CausalSelfAttention):\n"
        "    def forward(self, x, **options):\n"
        "        return merge_heads(x)\n"
    )
    merge = "def merge_heads(x):\n    return x.transpose(1, 2).flatten(start_dim=3)\n"
    assignment = course.assignment("attention")
    tests = collect(assignment, hidden=False).tests
    test = next(test for test in tests if test.case.id == "test_layer_agrees_with_torch")
    backend = InProcess(assignment.manifest, broken(course, tmp_path, attention, merge))
    replayed = replay(test, backend, DEFAULT_SEED, signatures_of(assignment))
    assert isinstance(replayed.error, IndexError)
    assert replayed.shape == (
        "merge_heads was called with x of shape [2, 5, 12]; it takes [batch, heads, time, head_dim]."
    )
    assert [frame.function for frame in replayed.frames] == ["merge_heads", "CausalSelfAttention.forward"]


@pytest.mark.parametrize("name", ["03_embeddings", "04_attention"])
def test_right_answers_raise_no_alarm(course: Course, tmp_path: Path, name: str) -> None:
    """Of two assignments; solutions/tools/check_shapes.py does it for all."""
    assignment = course.assignment(name)
    suite, signatures = collect(assignment, hidden=False), signatures_of(assignment)
    path = tmp_path / assignment.manifest.module
    alternatives = [(alternative.name, alternative.source) for alternative in read_alternatives(assignment)]
    for variant, source in [("reference", assignment.reference.read_text()), *alternatives]:
        path.write_text(source)
        backend = InProcess(assignment.manifest, path)
        for test in suite.tests:
            with silence(), noting(backend.module, signatures) as notes:
                run_plainly(test, backend, DEFAULT_SEED)
            assert explain_first(notes.answers) is None, (variant, test.case.id)
