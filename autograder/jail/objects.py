"""The student's side of the boundary, without the boundary: does what a test asks, and turns answers into plain values.

    objects = Objects({MODULE: module, LIBRARY: student_side})
    objects.plain(objects.operate("call_named", (Handle(0), "softmax", (x,), {"dim": -1})))      # a plain tensor

Objects stay here; the other side gets handles to them. Generous where the wire is strict: what students naturally
return (a Counter, a numpy scalar, a `Parameter`, a view) becomes the plain value that was meant. The worker in the jail
has it behind a socket, `observing.py` in its own process.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.jail import wire
from autograder.jail.wire import Handle

MODULE, LIBRARY = 0, 1
MAX_HANDLES = 100_000
PLAIN: tuple[type[Any], ...] = (bool, int, float, str, bytes)


# Exceptions that cross as themselves: those that one message makes whole. Others cross as the nearest of their bases.
CROSSING: tuple[type[BaseException], ...] = tuple(
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, UnicodeDecodeError | UnicodeEncodeError | UnicodeTranslateError | ExceptionGroup | Warning)
)


class Objects:
    """Holds the objects that handles stand for."""

    def __init__(self, objects: dict[int, Any] | None = None) -> None:
        self._objects: dict[int, Any] = {} if objects is None else objects

    def operate(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Does what is asked, with objects in the place of handles, and gives whatever comes of it."""
        operation: Callable[..., Any] = getattr(self, "op_" + name)
        return operation(*self._resolve(arguments))

    def op_get(self, target: Any, name: str) -> Any:
        return getattr(target, name)

    def op_call(self, target: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return target(*arguments, **keywords)

    def op_call_named(self, target: Any, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return getattr(target, name)(*arguments, **keywords)

    def op_item(self, target: Any, key: Any) -> Any:
        return target[key]

    def op_length(self, target: Any) -> int:
        return len(target)

    def op_iterate(self, target: Any) -> Any:
        return iter(target)

    def op_next(self, target: Iterator[Any]) -> tuple[Any, ...]:
        """The next item in a tuple of one, or the empty tuple at the end."""
        try:
            return (next(target),)
        except StopIteration:
            return ()

    def _resolve(self, value: Any) -> Any:
        """Puts objects in the place of handles."""
        if type(value) is Handle:
            return self._objects[value.id]
        if type(value) in (list, tuple):
            return type(value)(self._resolve(item) for item in value)
        if type(value) is dict:
            return {key: self._resolve(item) for key, item in value.items()}
        return value

    def plain(self, value: Any, depth: int = wire.MAX_DEPTH) -> Any:
        """The plain value that is meant, or a handle."""
        if value is None or type(value) in (bool, int, float, str, bytes):
            return value
        if depth == 0:
            raise ValueError("the returned value is nested too deep")
        if isinstance(value, Tensor):
            return value
        if isinstance(value, np.ndarray):
            return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("="), order="C"))
        if isinstance(value, np.generic):
            return self.plain(value.item(), depth - 1)
        for kind in PLAIN:
            if isinstance(value, kind):
                return kind(value)
        if isinstance(value, list):
            return [self.plain(item, depth - 1) for item in value]
        if isinstance(value, tuple):
            return tuple([self.plain(item, depth - 1) for item in value])
        if isinstance(value, dict):
            return {self.plain(key, depth - 1): self.plain(item, depth - 1) for key, item in value.items()}
        return self._keep(value)

    def _keep(self, value: Any) -> Handle:
        if len(self._objects) > MAX_HANDLES:
            raise MemoryError("too many objects")
        number = max(self._objects, default=LIBRARY) + 1
        self._objects[number] = value
        return Handle(number)
