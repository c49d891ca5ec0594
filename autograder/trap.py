"""Catches forbidden calls as they happen, whatever alias they were reached by.

While a trap is set, each forbidden name is replaced by a function that looks who calls: called from the student's code
for the task under test it raises; called from anywhere else, such as a library part, it does what it always did. It is
set before the student's module is imported, so that a name which the module keeps is a replaced one too.

Does not see: what is reached through private doors (`torch._C`, `torch.jit`; manifests forbid those by name), or a
student who takes the trap apart. `docs/security.md` says what that is worth.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

import torch

from autograder.forbidden import Rules

TORCH_FOLDER = os.path.dirname(torch.__file__) + os.sep
FindCaller = Callable[[FrameType | None], FrameType | None]
OWN_PACKAGE = __name__.partition(".")[0]


class ForbiddenCall(BaseException):
    """Raised in the student's code. Not an `Exception`, so that `except Exception` does not swallow it."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.what = what
        self.line = line


@functools.cache
def own_globals() -> dict[int, dict[str, Any]]:
    """The globals of this package's modules, by id: library parts and the harness. A file name is easily made up."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == OWN_PACKAGE]
    return {id(vars(module)): vars(module) for module in modules}


class Trap:
    """For one student's module. `tripped` remembers what was called, also where the exception was swallowed."""

    def __init__(self, rules: Rules, student_file: str) -> None:
        self.tripped: ForbiddenCall | None = None
        self._rules = rules
        self._student_file = student_file
        self._task: str | None = None
        self._thread = threading.get_ident()
        self._originals: list[tuple[Any, str, Any]] = []
        self._own = own_globals()

    def set(self) -> None:
        """Replaces what any task forbids."""
        for dotted in sorted({name for forbids in self._rules.forbids.values() for name in forbids}):
            if dotted == "torch.ops":
                self._replace(dotted, torch._ops.OpOverloadPacket, "__call__", _direct_caller)
                self._replace(dotted, torch._ops.OpOverload, "__call__", _direct_caller)
                continue
            owner, name = _owner(dotted)
            original = getattr(owner, name, None) if owner is not None else None
            if isinstance(original, type):
                owner, name, original = original, "__init__", original.__init__  # type: ignore[misc]
            if owner is None or not callable(original):
                continue  # a package such as torch._C: the source check alone looks for it
            self._replace(dotted, owner, name, _caller)

    def _replace(self, dotted: str, owner: Any, name: str, find_caller: FindCaller) -> None:
        self._originals.append((owner, name, vars(owner).get(name, _ABSENT)))
        setattr(owner, name, self._guarded(dotted, getattr(owner, name), find_caller))

    def release(self) -> None:
        while self._originals:
            owner, name, original = self._originals.pop()
            if original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)

    def begin(self, task: str) -> None:
        """From now, what this task forbids raises."""
        self.tripped = None
        self._task = task

    def end(self) -> None:
        """From now, everything is let through."""
        self._task = None

    def _guarded(self, dotted: str, original: Callable[..., Any], find_caller: FindCaller) -> Callable[..., Any]:
        @functools.wraps(original)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            if self._task is not None and dotted in self._rules.forbids[self._task]:
                frame = find_caller(sys._getframe(1))
                if self._is_forbidden_from(frame):
                    self.tripped = self.tripped or ForbiddenCall(dotted, frame.f_lineno if frame is not None else 0)
                    raise self.tripped
            return original(*arguments, **keywords)

        del guarded.__wrapped__  # the way back to the original should not be that short
        return guarded

    def _is_forbidden_from(self, frame: FrameType | None) -> bool:
        """The innermost of the student's symbols on the stack decides which task the call belongs to."""
        if threading.get_ident() != self._thread:
            return True  # nobody else starts threads, and no frame of the student's need be on this stack
        if frame is None or id(frame.f_globals) in self._own:
            return False  # a library part, or the harness
        from_student = False
        walk: FrameType | None = frame
        while walk is not None:
            if walk.f_code.co_filename == self._student_file:
                from_student = True
                owner = self._rules.owner.get(walk.f_code.co_qualname.partition(".")[0])
                if owner is not None:
                    return owner == self._task
            walk = walk.f_back
        return from_student


def _direct_caller(frame: FrameType | None) -> FrameType | None:
    """Who calls an operator; None for torch's own Python, which does so itself, and may."""
    module = sys.modules.get(str(frame.f_globals.get("__name__"))) if frame is not None else None
    is_torchs = module is not None and module.__name__.partition(".")[0] == "torch"
    return None if frame is None or (is_torchs and vars(module) is frame.f_globals) else frame


def _caller(frame: FrameType | None) -> FrameType | None:
    """The nearest frame that is not torch's own: `F.softmax` calls `Tensor.softmax` in turn."""
    while frame is not None and frame.f_code.co_filename.startswith(TORCH_FOLDER):
        frame = frame.f_back
    return frame


_ABSENT = object()


def _owner(dotted: str) -> tuple[Any, str]:
    """The module or class that holds the last name of a dotted path; (None, name) where there is none."""
    path, _, name = dotted.rpartition(".")
    try:
        return importlib.import_module(path), name
    except ModuleNotFoundError:
        module_path, _, class_name = path.rpartition(".")
        if not module_path:
            return None, name
        module: ModuleType = importlib.import_module(module_path)
        return getattr(module, class_name, None), name
