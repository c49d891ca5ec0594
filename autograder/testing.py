"""What tests are written with: `@task`, `@points`, `@hint`, `close`, `require`, and the class of the `rng` fixture.

    @task("softmax")
    @points(2)
    def test_rows_sum_to_one(student, rng):
        '''Probabilities sum to 1 along the axis that was asked for.'''
        x = rng.normal(3, 5)
        close(student.softmax(x, dim=-1).sum(-1), torch.ones(3), hint="Divide by the sum over `dim`.")

The same file runs in-process for a student and across the value boundary for the grader, so a test uses plain values
only: what it gets from `student` is None, a number, text, bytes, a list, tuple or dict of these, a tensor, or a handle
whose methods and attributes give such values. A hint is a constant that the author wrote: it is the only thing, besides
the test's title, that a hidden test shows.
"""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor

Test = TypeVar("Test", bound=Callable[..., Any])
Choice = TypeVar("Choice")


def task(task_id: str) -> pytest.MarkDecorator:
    """Says which task of the manifest a test belongs to."""
    return pytest.mark.task(task_id)


def points(number: int) -> pytest.MarkDecorator:
    """Says how many points a test is worth: a whole number, at least 1."""
    if type(number) is not int or number < 1:
        raise ValueError(f"points({number!r}): a whole number, at least 1")
    return pytest.mark.points(number)


def hint(text: str) -> pytest.MarkDecorator:
    """The test's hint where the failing line itself has none."""
    return pytest.mark.hint(text)


def limit(seconds: float) -> pytest.MarkDecorator:
    """Wall time that a test may take under the grader, where the default does not suit."""
    return pytest.mark.limit(seconds)


class Unmet(AssertionError):
    """A property that does not hold, with the hint that its author wrote for this case."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def require(condition: object, message: str, hint: str | None = None) -> None:
    """`assert` with a hint. `condition` must be a plain bool: a student's object is no evidence."""
    __tracebackhide__ = True
    if type(condition) is not bool:
        _fail(f"{message} (got a {type(condition).__name__} where True or False was due)", hint)
    if not condition:
        _fail(message, hint)


def close(
    actual: object, expected: Tensor | float, *, rtol: float = 1e-4, atol: float = 1e-5, hint: str | None = None
) -> None:
    """Same shape, and equal up to rounding; NaN equals nothing. Dtypes may differ: ask for them with `require`.

    A number is as good as a tensor without axes.
    """
    __tracebackhide__ = True
    expected_tensor = torch.as_tensor(expected)
    if type(actual) in (int, float, bool):
        actual = torch.tensor(actual, dtype=expected_tensor.dtype)
    if not isinstance(actual, Tensor):
        _fail(f"expected a tensor, got {_kind(actual)}", hint)
    actual = actual.detach()
    if actual.shape != expected_tensor.shape:
        _fail(f"expected shape {list(expected_tensor.shape)}, got {list(actual.shape)}", hint)
    if not torch.allclose(actual.double(), expected_tensor.detach().double(), rtol=rtol, atol=atol):
        _fail(_worst_difference(actual, expected_tensor), hint)


def has_shape(actual: object, *shape: int, hint: str | None = None) -> None:
    """`actual` is a tensor of exactly this shape."""
    __tracebackhide__ = True
    if not isinstance(actual, Tensor):
        _fail(f"expected a tensor, got {_kind(actual)}", hint)
    require(tuple(actual.shape) == shape, f"expected shape {list(shape)}, got {list(actual.shape)}", hint)


def _worst_difference(actual: Tensor, expected: Tensor) -> str:
    difference = (actual.double() - expected.detach().double()).abs()
    difference = torch.where(difference.isnan(), torch.inf, difference)
    worst = int(difference.argmax())
    index = [int(i) for i in np.unravel_index(worst, difference.shape)]  # torch's own imports sympy: half a second
    got, due = actual.flatten()[worst].item(), expected.flatten()[worst].item()
    wrong = int((difference > 1e-5 + 1e-4 * expected.detach().double().abs()).sum())
    place = f" at {index}" if index else ""
    return f"expected {due:.6g}{place}, got {got:.6g} ({wrong} of {difference.numel()} values differ)"


def _kind(value: object) -> str:
    name = type(value).__name__
    return (
        "an object of some other kind" if name == "Proxy" else f"a {name}"
    )  # a proxy stands for what stayed in a jail


def _fail(message: str, hint: str | None) -> NoReturn:
    __tracebackhide__ = True
    raise Unmet(message, hint)


class Draws:
    """Random inputs, all from one seed: the `rng` of a test.

    A test's seed follows from the run's seed and the test's name: inputs do not depend on which tests ran before.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed % 2**63)
        self._random = random.Random(seed)

    def normal(self, *shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Normal draws with mean 0 and the standard deviation `scale`."""
        return (torch.randn(*shape, generator=self.generator, dtype=torch.float64) * scale).to(dtype)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator) * (high - low) + low

    def ids(self, high: int, *shape: int) -> Tensor:
        """Token ids from 0 to `high` - 1, as int64."""
        return torch.randint(high, shape, generator=self.generator)

    def qkv(self, batch: int, heads: int, time: int, dim: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each `[batch, heads, time, dim]`."""
        q, k, v = (self.normal(batch, heads, time, dim, scale=scale) for _ in range(3))
        return q, k, v

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return self._random.randint(low, high)

    def choice(self, options: Sequence[Choice]) -> Choice:
        return self._random.choice(options)

    def permutation(self, size: int) -> Tensor:
        return torch.randperm(size, generator=self.generator)

    def text(self, length: int, alphabet: str = "abcdefghij .,") -> str:
        return "".join(self._random.choices(alphabet, k=length))


@functools.cache
def _run_key(seed: int) -> bytes:
    """Slow on purpose, some 40 ms: a student sees torch's seed, and shall not find the run's by trying them all."""
    return hashlib.scrypt(str(seed).encode(), salt=b"minigpt", n=2**14, r=8, p=1, dklen=32)


def derived_seed(seed: int, *names: str) -> int:
    """A 63-bit seed that follows from the run's seed, and from which the run's seed cannot be found."""
    digest = hashlib.sha256(_run_key(seed) + "/".join(names).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
