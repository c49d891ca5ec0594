"""What a test saw of a student's module, as a few numbers: enough to say that two students answered alike.

    mine = transcript(backend.recorder.calls)
    alike(mine, transcript(theirs))          # True where both answered the same questions alike, up to rounding

What is exact becomes a digest: which questions were asked, types, shapes, dtypes, whole numbers, text, the class of an
exception (never its words), where NaN and infinities are. What is rounded becomes numbers: of each float tensor its
root mean square and four weighted sums. The weights are pseudo-random and the same everywhere, and the sums are divided
by the root of the tensor's size. So they are as large as the tensor's elements; rounding errors of 1e-6 stay 1e-6,
and a single wrong element among a million moves them by a thousandth, five times what is tolerated.

Does not see what no test asks for, nor the order in which floats were added.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autograder.jail.objects import CROSSING
from autograder.jail.proxy import Proxy
from autograder.jail.recorder import Call
from autograder.outcome import Fault

Floats = NDArray[np.float64]

RELATIVE, ABSOLUTE = 2e-4, 2e-6
COARSE_RELATIVE = 1e-2  # of 16-bit floats, whose elements are right to 0.4 % at best
COARSE = frozenset({torch.float16, torch.bfloat16})
SUMS = 4
CHUNK = 1 << 14
LONG = 16  # a list of more floats than this is taken for a tensor
BY_KIND_ALONE = frozenset({"library.folder", "library.read_file"})  # a folder's name is new each time
MEASURED = frozenset({"peak"})  # keys of what is measured, and so never the same


@dataclass(frozen=True)
class Transcript:
    """kinds: a digest of all that is exact. numbers: what is rounded, each with how far off another's may be."""

    kinds: str
    numbers: Floats
    tolerances: Floats


def transcript(calls: Sequence[Call]) -> Transcript:
    """The fingerprint of a test's calls."""
    writer = _Writer()
    for call in calls:
        writer.exact(call.operation, call.name)
        if call.name in BY_KIND_ALONE:
            writer.exact(type(call.answer).__name__)
        else:
            writer.value(call.answer)
    return Transcript(writer.digest.hexdigest()[:32], np.array(writer.numbers), np.array(writer.tolerances))


def alike(one: Transcript, other: Transcript) -> bool:
    """Whether two transcripts of the same test on the same inputs are the same, up to rounding."""
    if one.kinds != other.kinds or one.numbers.shape != other.numbers.shape:
        return False
    return bool(np.all(np.abs(one.numbers - other.numbers) <= np.maximum(one.tolerances, other.tolerances)))


def exception_name(error: BaseException) -> str:
    """The nearest built-in class: across the boundary an exception has no other."""
    if isinstance(error, Fault):
        return type(error).__name__
    return next((kind.__name__ for kind in type(error).__mro__ if kind in CROSSING), "BaseException")


class _Writer:
    """Takes values apart."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.numbers: list[float] = []
        self.tolerances: list[float] = []

    def exact(self, *texts: str) -> None:
        for text in texts:
            data = text.encode("utf-8", "surrogatepass")
            self.digest.update(len(data).to_bytes(8, "big") + data)

    def value(self, value: Any) -> None:
        """One answer, or a part of one."""
        if value is None or isinstance(value, bool | int | str | bytes):
            self.exact(type(value).__name__, value if isinstance(value, str) else repr(value))
        elif isinstance(value, float):
            self._float(value)
        elif isinstance(value, Tensor):
            self._tensor(value)
        elif isinstance(value, Proxy):
            self.exact("object")
        elif isinstance(value, BaseException):
            self.exact("raised", exception_name(value))
        elif isinstance(value, list | tuple):
            self._sequence(value)
        elif isinstance(value, dict):
            self.exact("dict", str(len(value)))
            for key, item in value.items():
                self.value(key)
                self.value(type(item).__name__ if key in MEASURED else item)
        else:
            self.exact("something", type(value).__name__)

    def _sequence(self, values: Sequence[Any]) -> None:
        self.exact(type(values).__name__, str(len(values)))
        kinds = set(map(type, values))
        if kinds == {int}:
            self.exact(repr(list(values)))
        elif kinds == {float} and len(values) > LONG:
            self._tensor(torch.tensor(values, dtype=torch.float64))
        else:
            for item in values:
                self.value(item)

    def _float(self, value: float) -> None:
        if math.isfinite(value):
            self.exact("float")
            self._number(value, abs(value), RELATIVE)
        else:
            self.exact("float", repr(value))

    def _number(self, number: float, scale: float, relative: float) -> None:
        self.numbers.append(number)
        self.tolerances.append(relative * scale + ABSOLUTE)

    def _tensor(self, tensor: Tensor) -> None:
        self.exact("tensor", str(tensor.dtype), repr(list(tensor.shape)))
        flat = tensor.detach().reshape(-1)
        if not flat.is_floating_point():
            self.digest.update(flat.to(torch.int64).numpy().tobytes())
            return
        values = flat.to(torch.float64).numpy()
        finite = np.isfinite(values)
        if not finite.all():
            self.exact("not finite")
            self.digest.update(np.sign(np.where(finite, 0.0, np.nan_to_num(values, nan=2.0))).astype(np.int8).tobytes())
            self.digest.update(np.isnan(values).tobytes())
            values = np.where(finite, values, 0.0)
        largest = float(np.abs(values).max(initial=0.0)) or 1.0
        values = values / largest
        root = math.sqrt(max(len(values), 1))
        scale = largest * math.sqrt(float((values * values).sum())) / root
        relative = COARSE_RELATIVE if tensor.dtype in COARSE else RELATIVE
        for number in (scale, *(largest / root * _weighted_sums(values))):
            self._number(float(number), scale, relative)


def _weighted_sums(values: Floats) -> Floats:
    sums = np.zeros(SUMS)
    for number, begin in enumerate(range(0, len(values), CHUNK)):
        part = values[begin : begin + CHUNK]
        sums += _weights(number)[:, : len(part)] @ part
    return sums


@functools.lru_cache(maxsize=64)
def _weights(chunk: int) -> Floats:
    """Numbers between -√3 and √3, of variance 1, for the elements of a chunk: those of SplitMix64, on any machine."""
    places = np.arange(chunk * CHUNK * SUMS, (chunk + 1) * CHUNK * SUMS, dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = (places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    unit = (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
    return (math.sqrt(12.0) * (unit - 0.5)).reshape(CHUNK, SUMS).T
