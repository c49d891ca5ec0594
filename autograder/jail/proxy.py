"""What a test holds in place of a student's object: whatever is done with it is asked of the jail.

    layer = student.CausalSelfAttention(8, 2)       # a Proxy
    layer(x)                                        # ask("call", its handle, (x,), {}): a plain tensor comes back

Knows nothing of processes and sockets: `client.py` has the questions answered.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Protocol

from autograder.jail.wire import Handle

MODULE, LIBRARY = Handle(0), Handle(1)


class Asker(Protocol):
    """Has questions answered by the student's side."""

    def ask(self, operation: str, *arguments: Any) -> Any:
        """One question and its answer, in which objects of the student's are proxies."""

    def check_symbol(self, name: str) -> bool:
        """Whether the name is a task's: then it must be there and of the right kind."""


class Proxy:
    """Stands for an object in the jail. Attributes, calls, items, length and iteration ask the other side."""

    def __init__(self, asker: Asker, handle: Handle) -> None:
        self._asker = asker
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # pytest and copy look for such names; none of them is a student's
        if self._handle == MODULE:
            if name == "library":
                return Proxy(self._asker, LIBRARY)
            if self._asker.check_symbol(name):
                return Named(self._asker, MODULE, name)
        elif self._handle == LIBRARY:
            return Named(self._asker, LIBRARY, name)
        return self._asker.ask("get", self._handle, name)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._asker.ask("call", self._handle, arguments, keywords)

    def __getitem__(self, key: Any) -> Any:
        return self._asker.ask("item", self._handle, key)

    def __len__(self) -> int:
        length = self._asker.ask("length", self._handle)
        if type(length) is not int or length < 0:
            raise TypeError("its length is not a whole number")
        return length

    def __bool__(self) -> bool:
        raise TypeError("an object of the student's is neither true nor false here: compare plain values")

    def __iter__(self) -> Iterator[Any]:
        handle = self._asker.ask("iterate", self._handle)
        while isinstance(handle, Proxy):
            item = self._asker.ask("next", handle._handle)  # a tuple of one, or the empty one at the end
            if type(item) is not tuple or len(item) != 1:
                return
            yield item[0]

    def __repr__(self) -> str:
        return f"<an object in the jail, number {self._handle.id}>"


class Named(Proxy):
    """A function or class by its name. It is looked up when it is used, so that a call is one question and not two."""

    def __init__(self, asker: Asker, owner: Handle, name: str) -> None:
        self._asker = asker
        self._owner = owner
        self._name = name

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._asker.ask("call_named", self._owner, self._name, arguments, keywords)

    @functools.cached_property
    def _handle(self) -> Handle:  # type: ignore[override]
        found = self._asker.ask("get", self._owner, self._name)
        if not isinstance(found, Proxy):
            raise TypeError(f"{self._name} is no function and no class")
        return found._handle


def raised(value: Any, asker: Asker) -> Any:
    """Handles become objects that behave like what they stand for."""
    if type(value) is Handle:
        return Proxy(asker, value)
    if type(value) in (list, tuple):
        return type(value)([raised(item, asker) for item in value])
    if type(value) is dict:
        return {key: raised(item, asker) for key, item in value.items()}
    return value


def lowered(value: Any) -> Any:
    """Proxies become the handles that they stand for."""
    if isinstance(value, Proxy):
        return value._handle
    if type(value) in (list, tuple):
        return type(value)([lowered(item) for item in value])
    if type(value) is dict:
        return {key: lowered(item) for key, item in value.items()}
    return value
