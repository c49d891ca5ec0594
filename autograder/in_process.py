"""Runs tests on a module in this very process, as a student does: real objects, pdb works, no jail.

Forbidden calls are caught here too, with the same check as under the grader, so that nobody is surprised later.
Does not limit time or memory: Ctrl-C stops an endless loop.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from autograder import student_side
from autograder.forbidden import Rules, Violation, find_violations
from autograder.manifest import Manifest
from autograder.outcome import Fault, Forbidden, ImportFailed
from autograder.plugin import Case
from autograder.symbols import check_symbol, kind_of
from autograder.trap import Trap


class Student:
    """The module's own attributes, and `library`."""

    library = student_side

    def __init__(self, module: ModuleType, manifest: Manifest) -> None:
        self._module = module
        self._manifest = manifest

    def __getattr__(self, name: str) -> Any:
        if self._manifest.owner(name) is not None:
            check_symbol(self._manifest.module, name, kind_of(self._module, name))
        return getattr(self._module, name)


class InProcess:
    """A `Backend` whose students are modules of this process."""

    def __init__(self, manifest: Manifest, path: Path) -> None:
        self.own_file: str | None = str(path)
        self._rules = Rules.of(manifest)
        self._violations: list[Violation] = []
        self._student: Student | None = None
        self._fault: Exception | None = None
        self._trap = Trap(self._rules, str(path))
        try:
            self._violations = find_violations(path.read_bytes(), self._rules)
            self._trap.set()
            self._student = Student(load_module(path), manifest)
        except KeyboardInterrupt:
            raise  # the student's own Ctrl-C
        except BaseException as error:  # SystemExit as well: a module that exits is no reason to exit here
            self._fault = ImportFailed.from_exception(error, path)
            self._fault.__cause__ = error
        finally:
            self._trap.release()

    @property
    def module(self) -> ModuleType | None:
        """The student's module; None where it could not be imported."""
        return self._student._module if self._student is not None else None

    def begin(self, case: Case, torch_seed: int) -> Student:
        for violation in self._violations:
            if violation.concerns(case.task):
                raise Forbidden(violation.what, violation.line)
        if self._student is None:
            assert self._fault is not None
            raise self._fault
        torch.default_generator.manual_seed(torch_seed)
        self._trap.set()
        self._trap.begin(case.task)
        return self._student

    def end(self) -> Fault | None:
        self._trap.end()
        self._trap.release()
        tripped, self._trap.tripped = self._trap.tripped, None
        return Forbidden(tripped.what, tripped.line) if tripped is not None else None


def load_module(path: Path) -> ModuleType:
    """Imports a file under its own name, anew each time."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
