"""Serves one submission, in the jail: imports the student's module and does what the trusted side asks, call by call.

A request is (nonce, begin, operation, arguments), a reply (nonce, status, ...), in the format of `wire.py`. The reply
must repeat its request's nonce, so that one which was written before the question was asked is worth nothing. Objects
stay here; the other side gets handles to them (`objects.py`). Nothing here is trusted by the other side.
"""

from __future__ import annotations

import functools
import gc
import os
import socket
import sys
import traceback
from collections.abc import Set
from dataclasses import asdict
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from autograder import student_side
from autograder.forbidden import ALLOWED_MODULES, ALLOWED_PACKAGES, Rules, find_violations
from autograder.jail import wire
from autograder.jail.objects import CROSSING, LIBRARY, MODULE, Objects
from autograder.minigpt import config, protocols  # noqa: F401  what a submission may import
from autograder.symbols import kind_of
from autograder.trap import ForbiddenCall, Trap, own_globals

MAX_TEXT = 2000
# What torch loads when it needs it. Everything else that is installed, the grader's own packages first, is not there.
TORCHS_OWN = frozenset(
    (
        "torchgen",
        "functorch",
        "typing_extensions",
        "sympy",
        "mpmath",
        "networkx",
        "jinja2",
        "markupsafe",
        "filelock",
        "fsspec",
    )
)
VISIBLE_PACKAGES = frozenset(sys.stdlib_module_names) | ALLOWED_PACKAGES | TORCHS_OWN


class Worker(Objects):
    """Holds the student's module and the objects that handles stand for."""

    def __init__(self, connection: socket.socket, folder: str) -> None:
        super().__init__()
        self._connection = connection
        self._folder = folder
        self._rules = Rules({}, {})
        self._trap: Trap | None = None
        self._file = ""
        self._own_modules: set[str] = set()

    def serve(self) -> None:
        """Answers requests until the other side hangs up."""
        while True:
            try:
                request = wire.receive(self._connection)
            except EOFError:
                return
            nonce, begin, operation, arguments = request
            try:
                frame = wire.encode((nonce, *self._answer(begin, operation, arguments)))
            except wire.WireError as error:
                frame = wire.encode((nonce, "unsendable", str(error)))
            wire.send_frame(self._connection, frame)

    def _answer(self, begin: tuple[str, int] | None, name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            if begin is not None:
                self.begin(*begin)
            value = self.operate(name, arguments)
            if self._trap is not None and self._trap.tripped is not None:
                raise self._trap.tripped
            return "value", self.plain(value)
        except BaseException as error:
            return self._told(error)

    # What the trusted side may ask for -----------------------------------------------------------------------------

    def op_inspect(
        self, name: str, files: dict[str, bytes], forbids: dict[str, tuple[str, ...]], owner: dict[str, str]
    ) -> list[dict[str, Any]]:
        """Takes the submission's files and looks for forbidden names, before a line of them has run."""
        self._rules = Rules(forbids, owner)
        for file_name, content in files.items():
            Path(self._folder, file_name).write_bytes(content)
            self._own_modules.add(file_name.removesuffix(".py"))
        return [asdict(violation) for violation in find_violations(files[name], self._rules)]

    def op_load(self, name: str) -> None:
        """Imports the module."""
        self._file = os.path.join(self._folder, name)
        source = Path(self._file).read_bytes()
        self._trap = Trap(self._rules, self._file)
        self._trap.set()
        hide_other_packages(self._own_modules)
        module = ModuleType(name.removesuffix(".py"))
        module.__file__ = self._file
        self._objects = {MODULE: module, LIBRARY: student_side}
        sys.path.insert(0, self._folder)
        sys.modules[module.__name__] = module
        exec(compile(source, self._file, "exec"), module.__dict__)

    def op_kinds(self, names: list[str]) -> dict[str, str]:
        return {name: kind_of(self._objects[MODULE], name) for name in names}

    def begin(self, task: str, torch_seed: int) -> None:
        """A test begins: handles of the last one are gone, randomness starts anew, the task's calls are forbidden."""
        self.op_end()
        torch.default_generator.manual_seed(torch_seed)
        torch.set_grad_enabled(True)
        if self._trap is not None:
            self._trap.begin(task)

    def op_end(self) -> bool:
        """Lets go of what the test held. Tells whether threads of the student's go on."""
        if self._trap is not None:
            self._trap.end()
        for number in [number for number in self._objects if number not in (MODULE, LIBRARY)]:
            del self._objects[number]
        gc.collect(0)
        return len(sys._current_frames()) > 1

    # Exceptions ----------------------------------------------------------------------------------------------------

    def _told(self, error: BaseException) -> tuple[Any, ...]:
        """An exception as a plain value: the nearest built-in class that it derives from, its text, and the line."""
        if isinstance(error, ForbiddenCall):
            return "forbidden", error.what, error.line
        if isinstance(error, MemoryError) or _is_torchs_memory_error(error):
            return ("memory",)
        kind = next((base for base in type(error).__mro__ if base in CROSSING), None)
        kind_name = kind.__name__ if kind is not None else "BaseException"
        return "raised", kind_name, type(error).__name__[:100], _text_of(error), self._line_of(error)

    def _line_of(self, error: BaseException) -> int | None:
        """The innermost line of the student's own file that the exception came through."""
        if isinstance(error, SyntaxError) and error.filename == self._file:
            return error.lineno
        lines = [
            line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == self._file
        ]
        return lines[-1] if lines else None


class NotHere(MetaPathFinder):
    """Finds no package but those that a submission may have, before any other finder can."""

    def __init__(self, visible: Set[str]) -> None:
        self._visible = visible

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] not in self._visible:
            raise ModuleNotFoundError(f"{name} is not for submissions", name=name)


@functools.cache
def names_to_hide() -> tuple[str, ...]:
    return tuple(name for name in sys.modules if name.partition(".")[0] not in VISIBLE_PACKAGES | {"__main__"})


def prepare() -> None:
    """What every worker would find out anew, done once in the zygote: it reads all of `sys.modules`."""
    names_to_hide()
    own_globals()


def hide_other_packages(own_modules: Set[str]) -> None:
    """From now, `import tiktoken` finds nothing, nor `import autograder` but for its config and protocols.

    Code of the grader that is loaded already goes on working, but must not import more of it.
    """
    visible = {name: sys.modules[name] for name in sorted(ALLOWED_MODULES)}
    for name in names_to_hide():
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, NotHere(VISIBLE_PACKAGES | own_modules))
    for name, module in visible.items():
        sys.modules[name] = module
        while "." in name:
            package_name, _, attribute = name.rpartition(".")
            package = sys.modules.setdefault(package_name, ModuleType(package_name))
            package.__path__ = []
            setattr(package, attribute, sys.modules[name])
            name = package_name


def _is_torchs_memory_error(error: BaseException) -> bool:
    """Its text is cut where there is no memory for the text."""
    text = _text_of(error) if isinstance(error, RuntimeError) else ""
    return "DefaultCPUAllocator" in text or text.startswith("[enforce fail")


def _text_of(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException:
        return "(its message cannot be shown)"
    return "".join(text[:MAX_TEXT])
