"""Explains a wrong shape in the words of the annotation of the function that returned it.

    split_heads returned a tensor of shape [2, 5, 3, 4]; expected [batch, heads, time, head_dim] = [2, 3, 5, 4]:
    heads and time are swapped.

The sizes of the axes follow from the arguments: from the tensors that came in, from numbers such as `n_heads`, and from
what an object was made with. Where they do not follow, or the arguments themselves do not fit, nothing is said: no
explanation is better than a wrong one. Wrong kinds of numbers, a missing `return` and a wrong device are told as well.

Does not judge a value, and is meant for tests that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from autograder.annotations import Annotated, Axes, Other, Signature
from autograder.jail.recorder import Call
from autograder.minigpt.config import GPTConfig
from autograder.plugin import Case
from autograder.shape_reasons import Sizes, reason, same
from autograder.suite import Outcome

WORDS = {
    "Float": "floating-point numbers (torch.float32)",
    "Int": "whole numbers (torch.int64)",
    "Bool": "True and False (torch.bool)",
}
PLAIN = ("int", "float", "bool", "str", "bytes", "list", "tuple", "dict")
MAX_ITEMS = 8


@dataclass(frozen=True)
class Size:
    """A tensor, as far as it matters here: its values are gone."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: str


@dataclass(frozen=True)
class Thing:
    """Something else: only what it is."""

    what: str


@dataclass(frozen=True)
class Answered:
    """A function of the student's, what it was called with, what its object was made with, and what it returned."""

    signature: Signature
    arguments: dict[str, Any]
    answer: Any
    made_with: dict[str, Any] = field(default_factory=dict)


def noted(value: Any) -> Any:
    """What is kept of a value: numbers, text and tuples as they are, of a tensor its size, of the rest its type."""
    if isinstance(value, Tensor):
        return Size(tuple(value.shape), value.dtype, str(value.device))
    if isinstance(value, tuple) or (isinstance(value, list) and len(value) <= MAX_ITEMS):
        return tuple(noted(item) for item in value[:MAX_ITEMS])  # a list is as good as a tuple
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, GPTConfig):
        return {name: number for name, number in vars(value).items() if type(number) is int}
    return Thing(type(value).__name__)


def by_name(signature: Signature, arguments: Sequence[Any], keywords: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call under their names, noted."""
    named = {**dict(zip(signature.positional, arguments, strict=False)), **keywords}
    return {name: noted(value) for name, value in named.items()}


def explain_first(answers: Iterable[Answered]) -> str | None:
    """The explanation of the first answer that is not what its annotation says."""
    return next((told for answered in answers if (told := explain(answered)) is not None), None)


def explain_calls(signatures: dict[str, Signature], calls: Iterable[Call]) -> str | None:
    """The same for the calls that one test made across the value boundary. For visible tests: it tells of inputs."""
    return explain_first(_answers(signatures, calls))


@dataclass
class Explainer:
    """Looks on while a student's tests run under the grader. told: visible test that failed -> what to say of shapes.

    explainer = Explainer(signatures_of(assignment))
    run(suite, backend, seed, watch=explainer.of(backend))
    """

    signatures: dict[str, Signature]
    told: dict[str, str] = field(default_factory=dict)

    def of(self, backend: Any) -> Callable[[Case, Outcome], None]:
        return lambda case, outcome: self.note(case, outcome, backend.recorder.calls)

    def note(self, case: Case, outcome: Outcome, calls: Sequence[Call]) -> None:
        """Of a hidden test nothing is said: a shape is an input's. No fault in here may reach the test."""
        if case.visibility == "visible" and outcome.status == "failed":
            with suppress(Exception):
                if told := explain_calls(self.signatures, calls):
                    self.told[case.id] = told

    def before(self, messages: dict[str, str]) -> dict[str, str]:
        """The messages of tests, with what is to be said of shapes in front."""
        joined = {name: f"{told}\n{messages[name]}" for name, told in self.told.items() if name in messages}
        return {**messages, **self.told, **joined}


def _answers(signatures: dict[str, Signature], calls: Iterable[Call]) -> Iterator[Answered]:
    made: dict[str, dict[str, Any]] = {}
    for call in calls:
        if call.operation not in ("call", "call_named") or isinstance(call.answer, BaseException):
            continue
        if constructor := signatures.get(f"{call.name}.__init__"):
            given = by_name(constructor, call.arguments, call.keywords)
            if call.operation == "call_named":
                before = made.get(call.name, given)  # of several objects only what they have in common is certain
                made[call.name] = {name: value for name, value in given.items() if before.get(name) == value}
                continue
        signature = signatures.get(call.name) or signatures.get(f"{call.name}.forward")
        if signature is not None:
            arguments = by_name(signature, call.arguments, call.keywords)
            made_with = made.get(signature.name.rpartition(".")[0], {})
            yield Answered(signature, arguments, noted(call.answer), made_with)


def explain(answered: Answered) -> str | None:
    """What is wrong with an answer, in a sentence; None where nothing is, or nothing is certain."""
    signature, answer = answered.signature, answered.answer
    if answer is None and (due := _never_nothing(signature)):
        return f"{signature.name} returned nothing (None); expected {due}: is a `return` missing?"
    bound = _bind(signature, answered.arguments, answered.made_with)
    if bound is None or not _says_something(signature.answer):
        return None
    if any(_fits(each, answer, bound) for each in signature.answer):
        return None
    alike = [each for each in signature.answer if isinstance(each, tuple) == isinstance(answer, tuple)]
    if isinstance(answer, Size) and (single := next((each for each in alike if isinstance(each, Axes)), None)):
        return _sentence(signature.name, "a tensor", single, answer, bound)
    if isinstance(answer, tuple) and (several := next((each for each in alike if isinstance(each, tuple)), None)):
        return _of_tuple(signature, several, answer, bound)
    return _wrong_thing(signature, answer, bound)


def explain_arguments(signature: Signature, arguments: dict[str, Any]) -> str | None:
    """For a call that raised: the tensor among its arguments whose number of axes its annotation does not allow."""
    for name, value in arguments.items():
        annotation = _tensor_of(signature.parameters.get(name, ()))
        if not isinstance(value, Size) or annotation is None or annotation.axes is None:
            continue
        named = [axis for axis in annotation.axes if axis != "..."]
        if len(value.shape) < len(named) or (len(value.shape) > len(named) and "..." not in annotation.axes):
            return (
                f"{signature.name} was called with {name} of shape {list(value.shape)}; "
                f"it takes [{', '.join(annotation.axes)}]."
            )
    return None


# --- what the arguments say ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bound:
    """Sizes by axis; the axes that `...` stands for; the device of all tensors, if it is one.

    leader: the argument whose whole shape `...` is, or "".
    """

    sizes: dict[str, int]
    leading: tuple[int, ...] | None
    leader: str
    device: str | None


def _bind(signature: Signature, arguments: dict[str, Any], made_with: dict[str, Any]) -> _Bound | None:
    """None where the arguments do not fit the annotations, or not each other: then nothing follows from them."""
    sizes: dict[str, int] = {}
    leading: tuple[int, ...] | None = None
    leader = ""
    devices = set()
    for name, value in arguments.items():
        annotation = _tensor_of(signature.parameters.get(name, ()))
        if not isinstance(value, Size):
            continue
        devices.add(value.device)
        if annotation is None or annotation.axes is None:
            continue
        matched = _match(annotation.axes, value.shape)
        if matched is None or not _is_kind(annotation.kind, value.dtype):
            return None
        axes, rest = matched
        if any(sizes.setdefault(axis, size) != size for axis, size in axes):
            return None
        if rest is not None and leading is None:
            leading, leader = rest, name if annotation.axes == ("...",) else ""
    numbers = _numbers({**made_with, **arguments})
    if any(sizes.get(axis, size) != size for axis, size in numbers.items()):
        return None
    sizes = {**numbers, **sizes}
    _derive_heads(sizes)
    device = devices.pop() if len(devices) == 1 and "device" not in signature.parameters else None
    return _Bound(sizes, leading, leader, device)


def _match(
    axes: tuple[str, ...], shape: tuple[int, ...]
) -> tuple[list[tuple[str, int]], tuple[int, ...] | None] | None:
    """The named axes with their sizes, and those that `...` stands for; None if the shape does not fit."""
    named = [axis for axis in axes if axis != "..."]
    extra = len(shape) - len(named)
    if extra < 0 or (extra > 0 and "..." not in axes):
        return None
    if "..." not in axes:
        pairs, rest = list(zip(axes, shape, strict=True)), None
    else:
        at = axes.index("...")
        rest = shape[at : at + extra]
        pairs = list(zip(named, shape[:at] + shape[at + extra :], strict=True))
    if any(axis.isdigit() and int(axis) != size for axis, size in pairs):
        return None
    return [(axis, size) for axis, size in pairs if not axis.isdigit()], rest


def _numbers(values: dict[str, Any]) -> dict[str, int]:
    """Sizes that are given as numbers: `n_heads` is the size of heads, `batch_size` that of batch."""
    found: dict[str, int] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _numbers(value)
        elif type(value) is int and value > 0:
            found |= {name: value, name.removeprefix("n_"): value, name.removesuffix("_size"): value}
    return found


def _derive_heads(sizes: dict[str, int]) -> None:
    """The course's own rule: d_model is heads times head_dim."""
    heads, width, part = (sizes.get(name) for name in ("heads", "d_model", "head_dim"))
    if heads and width and part is None and width % heads == 0:
        sizes["head_dim"] = width // heads
    elif heads and part and width is None:
        sizes["d_model"] = heads * part


def _tensor_of(alternatives: Sequence[Annotated]) -> Axes | None:
    return next((each for each in alternatives if isinstance(each, Axes)), None)


# --- whether an answer fits ------------------------------------------------------------------------------------------


def _never_nothing(signature: Signature) -> str:
    """What is due from a function that returns no tensor, and never None; "" where that is not certain."""
    words = [each.text if isinstance(each, Other) else "" for each in signature.answer]
    plain = all(word.partition("[")[0] in PLAIN for word in words)
    return " or ".join(words) if plain else ""


def _says_something(alternatives: Sequence[Annotated]) -> bool:
    """Whether every alternative is a tensor, or a tuple with tensors in it."""
    return bool(alternatives) and not any(isinstance(each, Other) for each in alternatives)


def _fits(annotation: Annotated, answer: Any, bound: _Bound) -> bool:
    if isinstance(annotation, Other):
        return True
    if isinstance(annotation, tuple):
        return (
            isinstance(answer, tuple)
            and len(answer) == len(annotation)
            and all(_fits(each, item, bound) for each, item in zip(annotation, answer, strict=True))
        )
    if not isinstance(answer, Size):
        return annotation.axes == () and isinstance(answer, bool | int | float)  # as good as a tensor without axes
    if not _is_kind(annotation.kind, answer.dtype) or (bound.device or answer.device) != answer.device:
        return False
    expected = _expected(annotation, bound)
    return expected is None or same(expected[1], answer.shape)


def _is_kind(kind: str, dtype: torch.dtype) -> bool:
    if kind == "Float":
        return dtype.is_floating_point
    if kind == "Bool":
        return dtype == torch.bool
    return kind == "" or not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)


def _expected(annotation: Axes, bound: _Bound) -> tuple[list[str], Sizes] | None:
    """A name and a size for each axis that is due; None where not even their number is known."""
    names: list[str] = []
    sizes: list[int | None] = []
    for axis in annotation.axes or ():
        if axis == "...":
            if bound.leading is None:
                return None
            names += [f"axis {number}" for number in range(len(sizes), len(sizes) + len(bound.leading))]
            sizes += bound.leading
        else:
            names.append(axis)
            sizes.append(int(axis) if axis.isdigit() else bound.sizes.get(axis))
    return None if annotation.axes is None else (names, tuple(sizes))


# --- the words -------------------------------------------------------------------------------------------------------


def _of_tuple(
    signature: Signature, annotation: tuple[Axes | Other, ...], answer: tuple[Any, ...], bound: _Bound
) -> str | None:
    names = signature.result_names if len(signature.result_names) == len(annotation) else ()
    if len(answer) != len(annotation):
        which = f"({', '.join(names)})" if names else f"{len(annotation)}"
        return f"{signature.name} returned {len(answer)} things; expected {which}."
    for number, (each, item) in enumerate(zip(annotation, answer, strict=True)):
        what = names[number] if names else f"a tensor as number {number + 1} of {len(annotation)}"
        if _fits(each, item, bound) or not isinstance(each, Axes):
            continue
        if not isinstance(item, Size):
            return (
                f"{signature.name} returned {_called(item)} as {what.removeprefix('a tensor as ')}; expected a tensor."
            )
        return _sentence(signature.name, what, each, item, bound)
    return None


def _wrong_thing(signature: Signature, answer: Any, bound: _Bound) -> str | None:
    """Not a tensor where one is due, or one where several are."""
    due = signature.answer[0]
    if answer is None:
        return (
            f"{signature.name} returned nothing (None); expected {_due(signature, due, bound)}: is a `return` missing?"
        )
    if len(signature.answer) > 1:
        return None  # which one was meant is not certain
    return f"{signature.name} returned {_called(answer)}; expected {_due(signature, due, bound)}."


def _due(signature: Signature, annotation: Annotated, bound: _Bound) -> str:
    if isinstance(annotation, tuple):
        names = signature.result_names if len(signature.result_names) == len(annotation) else ()
        return f"a tuple ({', '.join(names)})" if names else f"a tuple of {len(annotation)}"
    expected = _expected(annotation, bound) if isinstance(annotation, Axes) else None
    if not isinstance(annotation, Axes) or expected is None or not expected[0]:
        return "a tensor"
    words = _shape_in_words(annotation, expected[1], bound)
    return f"a tensor of {words if words.startswith('the shape') else 'shape ' + words}"


def _called(value: Any) -> str:
    if isinstance(value, Size):
        return f"one tensor, of shape {list(value.shape)}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    if value is None:
        return "None"
    kind = value.what if isinstance(value, Thing) else type(value).__name__
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"


def _sentence(function: str, what: str, annotation: Axes, answer: Size, bound: _Bound) -> str | None:
    """The shape comes first: a wrong kind of number, or device, is told of a tensor that has the right one."""
    expected = _expected(annotation, bound)
    if expected is not None and not same(expected[1], answer.shape):
        names, sizes = expected
        why = reason(names, sizes, answer.shape, bound.sizes)
        told = f"{function} returned {what} of shape {list(answer.shape)}"
        due = _shape_in_words(annotation, sizes, bound) if sizes else "a single number, of shape []"
        return f"{told}; expected {due}{': ' + why if why else ''}."
    if not _is_kind(annotation.kind, answer.dtype):
        return f"{function} returned {what} of {answer.dtype}; expected {WORDS[annotation.kind]}."
    return f"{function} returned {what} on {answer.device}; expected it on {bound.device}, where the arguments are."


def _shape_in_words(annotation: Axes, sizes: Sizes, bound: _Bound) -> str:
    """`[batch, heads, time, head_dim] = [2, 3, 5, 4]`, or `the shape of x, [2, 3]`; a size that is not known is `?`."""
    numbers = f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"
    if annotation.axes == ("...",) and bound.leader:
        return f"the shape of {bound.leader}, {numbers}"
    return f"[{', '.join(annotation.axes or ())}] = {numbers}"
