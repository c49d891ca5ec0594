"""What a call gives and what it leaves behind: the object itself, its arguments, random state, how much was read.

    kept = student.library.keep(student.load_tokens, path)
    kept.is_memory_map(), kept.value          # True, and the ids as a plain tensor

Does not measure time.
"""

from __future__ import annotations

import copy
import functools
import importlib
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "Chunks",
    "Kept",
    "as_array",
    "as_memory_map",
    "checksum",
    "consume",
    "is_instance",
    "keep",
    "keep_value",
    "leaves_arguments_alone",
    "uses_global_randomness",
]

CHECKSUM_PRIME = 2**61 - 1


class Kept:
    """An object that stays here. Across the boundary a tensor or an array would come out as a plain copy."""

    def __init__(self, held: Any) -> None:
        self._held = held

    @property
    def value(self) -> Any:
        """The object; as a plain value, where the boundary is crossed."""
        return self._held

    def is_instance(self, class_name: str) -> bool:
        return is_instance(self._held, class_name)

    def is_memory_map(self) -> bool:
        """Whether it is a NumPy memory map, or a tensor or an array that lies in one."""
        held = self._held.numpy() if isinstance(self._held, Tensor) else self._held
        while held is not None and not isinstance(held, np.memmap):
            held = getattr(held, "base", None)
        return held is not None

    def is_read_only(self) -> bool:
        """Whether it is an array that cannot be written to."""
        return isinstance(self._held, np.ndarray) and not self._held.flags.writeable

    def requires_grad(self) -> bool:
        return isinstance(self._held, Tensor) and self._held.requires_grad

    def attribute(self, path: str) -> Kept:
        """What is found by a dotted path, such as "lm_head.weight"."""
        return Kept(functools.reduce(getattr, path.split("."), self._held))

    def same_as(self, other: Kept) -> bool:
        """Whether both are one and the same object."""
        return self._held is other._held

    def shares_memory_with(self, other: Kept) -> bool:
        """Whether two tensors begin at the same place in memory."""
        return bool(self._held.data_ptr() == other._held.data_ptr())

    def give_to(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """`function(object, *arguments, **keywords)`."""
        return function(self._held, *arguments, **keywords)


def keep(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Kept:
    """Calls the function, and keeps what it gives."""
    return Kept(function(*arguments, **keywords))


def keep_value(value: Any) -> Kept:
    """Keeps an object that a test has a handle of, such as a module."""
    return Kept(value)


def as_array(ids: Tensor, dtype: str = "int64", read_only: bool = False) -> Kept:
    """The values as a NumPy array of their own."""
    array = ids.numpy().astype(dtype)
    array.flags.writeable = not read_only
    return Kept(array)


def as_memory_map(path: str) -> Kept:
    """A `.npy` file as a read-only memory map."""
    return Kept(np.load(path, mmap_mode="r"))


def is_instance(value: object, class_name: str) -> bool:
    """Whether `value` is an instance of a class named by its full path, such as "torch.nn.Linear"."""
    module, _, name = class_name.rpartition(".")
    return isinstance(value, getattr(importlib.import_module(module), name))


def leaves_arguments_alone(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> bool:
    """Whether a call leaves its arguments as they were: tensors, arrays, and lists and dicts of whatever."""
    given = [*arguments, *keywords.values()]
    held = [x for x in given if isinstance(x, Tensor | np.ndarray | list | dict)]
    before = copy.deepcopy(held)
    function(*arguments, **keywords)
    return all(_equal(x, y) for x, y in zip(held, before, strict=True))


def _equal(now: Any, before: Any) -> bool:
    if isinstance(before, Tensor):
        return now.shape == before.shape and now.dtype == before.dtype and torch.equal(now, before)
    if isinstance(before, np.ndarray):
        return now.dtype == before.dtype and np.array_equal(now, before)
    if isinstance(before, list | tuple):
        return len(now) == len(before) and all(map(_equal, now, before))
    if isinstance(before, dict):
        return list(now) == list(before) and all(_equal(now[key], before[key]) for key in before)
    return bool(now == before)


def uses_global_randomness(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> bool:
    """Whether a call moves torch's global random state."""
    before = torch.get_rng_state()
    function(*arguments, **keywords)
    return not torch.equal(before, torch.get_rng_state())


class Chunks:
    """An iterable of pieces of text that counts how many were asked for: `asked`."""

    def __init__(self, chunks: Sequence[str], repeat: int = 1) -> None:
        self.asked = 0
        self._chunks = chunks
        self._repeat = repeat

    def __iter__(self) -> Iterator[str]:
        for _ in range(self._repeat):
            for chunk in self._chunks:
                self.asked += 1
                yield chunk


def consume(iterator: Iterable[int]) -> dict[str, int]:
    """Pulls every id out of an iterator: how many, their `checksum`, and the `peak` of Python's memory meanwhile.

    The peak is in bytes above what was held at the beginning. Memory that Python does not manage, such as a tensor's,
    is not seen.
    """
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        count, total = 0, 0
        for token_id in iterator:
            count += 1
            total = (total + count * (int(token_id) + 1)) % CHECKSUM_PRIME
        _, peak = tracemalloc.get_traced_memory()
    finally:
        if not running:
            tracemalloc.stop()
    return {"count": count, "checksum": total, "peak": max(0, peak - before)}


def checksum(ids: Iterable[int]) -> int:
    """A number that depends on all ids and their order: `[5, 7]` -> 1 * 6 + 2 * 8 = 22."""
    return sum(place * (token_id + 1) for place, token_id in enumerate(ids, start=1)) % CHECKSUM_PRIME
