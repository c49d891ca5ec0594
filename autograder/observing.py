"""Runs a test on a student's file in this very process, and notes what the test asked and what it got.

    backend = Observed(assignment.manifest, path)
    outcomes = run(suite, backend, seed)                # as with any backend
    backend.recorder.calls                              # those of the last test

Values are copied across as they are at the jail's boundary, and objects are stood for by proxies, so that a test sees
here what it would see under the grader. Works on every system: there is no jail. Does not limit time or memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from autograder import student_side
from autograder.in_process import InProcess
from autograder.jail import wire
from autograder.jail.objects import Objects
from autograder.jail.proxy import LIBRARY, MODULE, Proxy, lowered, raised
from autograder.jail.recorder import Recorder
from autograder.manifest import Manifest
from autograder.outcome import Fault, NotPlain
from autograder.plugin import Case


class Observed:
    """A `Backend`: a student's module in this process, with proxies in front."""

    def __init__(self, manifest: Manifest, path: Path, inside: InProcess | None = None) -> None:
        """`inside`: the module where it is loaded already; without it, the file is imported anew."""
        self.recorder = Recorder()
        self._inside = inside or InProcess(manifest, path)
        self.own_file = self._inside.own_file
        self._manifest = manifest
        self._objects = Objects()
        self._student: Any = None
        self._fault: Fault | None = None
        self._random = torch.get_rng_state()

    def begin(self, case: Case, torch_seed: int) -> Proxy:
        self._fault = None
        self.recorder.begin()
        self._student = self._inside.begin(case, torch_seed)
        self._random = torch.get_rng_state()
        self._objects = Objects({MODULE.id: self._student, LIBRARY.id: student_side})
        return Proxy(self, MODULE)

    def end(self) -> Fault | None:
        self._objects = Objects()
        return self._inside.end() or self._fault

    def check_symbol(self, name: str) -> bool:
        """Whether the name is a task's: then it must be there and of the right kind before a test uses it."""
        if self._manifest.owner(name) is None:
            return False
        getattr(self._student, name)  # raises where it is not
        return True

    def ask(self, operation: str, *arguments: Any) -> Any:
        """One question and its answer. The student's exceptions come as they are."""
        size = 0
        try:
            told = _copied(lowered(arguments), self)
            with self._own_torch():
                answer = self._objects.plain(self._objects.operate(operation, told))
            frame = _frame(answer, self)
            size = len(frame)
            value = raised(wire.decode(frame), self)
        except Exception as error:
            self.recorder.note(operation, arguments, error)
            raise
        self.recorder.note(operation, arguments, value, size)
        return value

    @contextmanager
    def _own_torch(self) -> Iterator[None]:
        """torch's random state and gradients as they are on the student's side, whatever the test does with its own."""
        outside = torch.get_rng_state()
        torch.set_rng_state(self._random)
        try:
            with torch.enable_grad():
                yield
        finally:
            self._random = torch.get_rng_state()
            torch.set_rng_state(outside)

    def refuse(self, what: str) -> NotPlain:
        fault = NotPlain(what)
        self._fault = self._fault or fault
        return fault


def _frame(value: Any, asker: Observed) -> bytes:
    try:
        return wire.encode(value)
    except wire.WireError as error:
        raise asker.refuse(str(error)) from None


def _copied(value: Any, asker: Observed) -> Any:
    return wire.decode(_frame(value, asker))
