"""What one test asked of the student's side, and what came back, question by question.

    recorder.calls          # [Call("call_named", "softmax", (x,), {"dim": -1}, answer)]

Keeps what a test holds anyway, and up to a limit: behind it, `complete` is False and nothing more is noted. Does not
judge: `fingerprints.py` says whether two students answered alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autograder.jail.proxy import LIBRARY, MODULE, Proxy
from autograder.jail.wire import Handle

QUESTIONS = frozenset({"call_named", "call", "get", "item", "length", "iterate", "next"})
MAX_CALLS = 20_000
MAX_BYTES = 32 * 2**20  # of answers


@dataclass(frozen=True)
class Call:
    """One question that a test asked of the student's module, and its answer.

    operation: "call_named" (a function or class by name), "call" (an object), "get" (an attribute), "item", "length",
        "iterate" or "next".
    name: what was asked for: "softmax", "KVCache.append" for a method, "CausalSelfAttention" for a call of a layer,
        "weight" for an attribute, "library.config" for a helper of `student.library`; "" where there is none.
    answer: a plain value or tensor, a Proxy for an object, or the exception that came.
    """

    operation: str
    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    answer: Any


class Recorder:
    """The calls of the test under way, or of the last one."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Another test."""
        self.calls: list[Call] = []
        self.complete = True
        self._bytes = 0
        self._names: dict[int, str] = {MODULE.id: "", LIBRARY.id: "library"}  # of the objects behind handles

    def note(self, operation: str, asked: tuple[Any, ...], answer: Any, size: int = 0) -> None:
        """A question, its arguments as they went to the asker, and its answer of `size` bytes."""
        if operation not in QUESTIONS or not self.complete:
            return
        self._bytes += size
        if len(self.calls) >= MAX_CALLS or self._bytes > MAX_BYTES:
            self.complete = False
            return
        target = asked[0].id if isinstance(asked[0], Handle) else -1
        name = self._names.get(target, "")
        arguments: tuple[Any, ...] = ()
        keywords: dict[str, Any] = {}
        made = name
        if operation in ("call_named", "get"):
            made = f"{name}.{asked[1]}" if name else asked[1]
            name = asked[1] if operation == "get" else made
        if operation == "call_named":
            arguments, keywords = asked[2], asked[3]
        elif operation == "call":
            arguments, keywords = asked[1], asked[2]
        elif operation == "item":
            arguments = (asked[1],)
        self._name_objects(answer, made)
        self.calls.append(Call(operation, name, arguments, keywords, answer))

    def _name_objects(self, answer: Any, made: str) -> None:
        """An object is called after what gave it; one that comes inside a list, or of a call, too."""
        if isinstance(answer, Proxy):
            self._names[answer._handle.id] = made
        elif type(answer) in (list, tuple):
            for item in answer:
                self._name_objects(item, made)
