"""One failed test once more, in this process, to see more of it: the exception itself, and the shapes that went around.

    replayed = replay(test, InProcess(manifest, path), seed, signatures)
    replayed.shape        # "split_heads returned a tensor of shape ...", or None
    replayed.frames       # the lines of the student's own file on the way to the exception, innermost first

While it runs, the student's functions are wrapped, so that a wrong shape is told of the function that made it, however
deep inside. Afterwards they are as they were.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from autograder.annotations import Signature, signatures_of
from autograder.in_process import InProcess
from autograder.manifest import Assignment
from autograder.outcome import Fault
from autograder.plugin import Case
from autograder.shapes import Answered, by_name, explain_arguments, explain_first, noted
from autograder.suite import FIXTURES, Test, attempt
from autograder.tracebacks import Frame, own_frames

MAX_ANSWERS = 2000  # of one test: the first ones are those that matter


@dataclass(frozen=True)
class Replayed:
    """How a test ended. `error` None: it passed this time."""

    error: BaseException | None
    shape: str | None = None
    frames: tuple[Frame, ...] = ()


@dataclass
class Notes:
    """What the wrapped functions returned, in order; and the last call that raised."""

    answers: list[Answered] = field(default_factory=list)
    raised: tuple[BaseException, str] | None = None  # the exception, and what was wrong with the arguments


def replay(test: Test, backend: InProcess, seed: int, signatures: dict[str, Signature]) -> Replayed:
    """Runs the test; what it prints is not shown, and a breakpoint does not stop it."""
    with silence(), noting(backend.module, signatures) as notes:
        error = run_plainly(test, backend, seed)
    return Replayed(error, _explained(notes, error), own_frames(error, backend.own_file))


def replay_item(item: pytest.Item, case: Case, assignment: Assignment, own_file: str | None, seed: int) -> str | None:
    """What pytest's own run of a test should say of shapes. The module is imported anew: pytest's is still in use."""
    if not isinstance(item, pytest.Function) or own_file is None:
        return None
    callspec = getattr(item, "callspec", None)
    fixtures = frozenset(item.fixturenames) & FIXTURES & set(inspect.signature(item.obj).parameters)
    test = Test(case, item.obj, fixtures, dict(callspec.params) if callspec is not None else {}, None)
    path = Path(own_file)
    before = sys.modules.get(path.stem)
    try:
        with silence():
            backend = InProcess(assignment.manifest, path)
        return replay(test, backend, seed, signatures_of(assignment)).shape
    finally:
        if before is not None:
            sys.modules[path.stem] = before


def run_plainly(test: Test, backend: InProcess, seed: int) -> BaseException | None:
    """The test as pytest would run it, with real objects. Gives the exception with which it ended."""
    error, fault = attempt(test, backend, seed)
    return error if error is not None else fault


def _explained(notes: Notes, error: BaseException | None) -> str | None:
    if error is None or isinstance(error, Fault):
        return None
    told = explain_first(notes.answers)
    if told is None and notes.raised is not None and notes.raised[0] is error:
        return notes.raised[1]
    return told


@contextmanager
def silence() -> Iterator[None]:
    """No prints, no questions, no breakpoints: a student may have left some in."""
    hook, keyboard = sys.breakpointhook, sys.stdin
    with open(os.devnull) as nothing, open(os.devnull, "w") as nowhere:  # noqa: PTH123
        sys.breakpointhook, sys.stdin = (lambda *_, **__: None), nothing
        try:
            with redirect_stdout(nowhere), redirect_stderr(nowhere):
                yield
        finally:
            sys.breakpointhook, sys.stdin = hook, keyboard


@contextmanager
def noting(module: ModuleType | None, signatures: dict[str, Signature]) -> Iterator[Notes]:
    """Wraps those functions and methods of the module that have a signature, for as long as this lasts."""
    notes = Notes()
    made: dict[int, dict[str, Any]] = {}  # what each object was made with, by its id
    wrapped: list[tuple[Any, str, FunctionType]] = []
    for name, signature in signatures.items():
        class_name, _, method = name.rpartition(".")
        owner = getattr(module, class_name, None) if class_name else module
        original = vars(owner).get(method) if isinstance(owner, type | ModuleType) else None
        if isinstance(original, FunctionType):
            with suppress(Exception):  # a class may not take it: then nothing is known of its answers
                setattr(owner, method, _wrapped(original, signature, notes, made))
                wrapped.append((owner, method, original))
    try:
        yield notes
    finally:
        for owner, method, original in wrapped:
            setattr(owner, method, original)


def _wrapped(
    function: Callable[..., Any], signature: Signature, notes: Notes, made: dict[int, dict[str, Any]]
) -> Callable[..., Any]:
    is_method = "." in signature.name

    @functools.wraps(function)
    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        __tracebackhide__ = True
        if len(notes.answers) >= MAX_ANSWERS:
            return function(*arguments, **keywords)
        given = by_name(signature, arguments[1:] if is_method else arguments, keywords)  # as it is before the call
        if signature.name.endswith(".__init__") and arguments:
            made[id(arguments[0])] = given
        try:
            answer = function(*arguments, **keywords)
        except Exception as error:
            if (notes.raised is None or notes.raised[0] is not error) and (told := explain_arguments(signature, given)):
                notes.raised = (error, told)
            raise
        made_with = made.get(id(arguments[0]), {}) if is_method and arguments else {}
        notes.answers.append(Answered(signature, given, noted(answer), made_with))
        return answer

    return wrapper
