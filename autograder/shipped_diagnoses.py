"""`assignments/NN/diagnosis.npz`: what wrong variants give to visible tests, for students, who have no `mistakes.py`.

    outcomes = diagnose_here(assignment, suite, outcomes, path)          # those that failed have their diagnosis now

The file holds names, what each mistake's author says of it, and fingerprints (see `fingerprints.py`), for the inputs of
`DEFAULT_SEED`: arrays of numbers and of text, no code and no pickle. `solutions/tools/write_diagnoses.py` writes it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.diagnosis import Variant, Witness, diagnose
from autograder.fingerprints import Transcript
from autograder.manifest import Assignment
from autograder.observing import Observed
from autograder.plugin import DEFAULT_SEED
from autograder.suite import Outcome, Suite, run

NAME = "diagnosis.npz"
END = 22  # bytes of the record that ends an archive, where it has no comment
LARGEST = 3e38  # what a float32 can hold
KINDS = {
    "made_from": "U", "tests": "U", "variants": "U", "tasks": "U", "says": "U", "fails": "b",
    "seen": "i", "exact": "U", "lengths": "i", "numbers": "f", "tolerances": "f",
}  # fmt: skip
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Shipped:
    """A file's content. seen: variant's name -> test -> what the test saw."""

    made_from: str
    variants: tuple[Variant, ...]
    tests: tuple[str, ...]
    seen: Mapping[str, Mapping[str, Transcript]]

    def observed(self, variant: Variant, tests: frozenset[str]) -> dict[str, Transcript]:
        seen = self.seen.get(variant.name, {})
        return {test: seen[test] for test in tests if test in seen}

    def fails_any(self, variant: Variant, tests: frozenset[str]) -> bool:
        return bool(variant.always & tests)


def file_of(assignment: Assignment) -> Path:
    return assignment.folder / NAME


def to_arrays(shipped: Shipped) -> dict[str, NDArray[Any]]:
    pairs = [
        (row, column, transcript)
        for row, variant in enumerate(shipped.variants)
        for column, test in enumerate(shipped.tests)
        if (transcript := shipped.seen.get(variant.name, {}).get(test)) is not None
    ]
    return {
        "made_from": np.array(shipped.made_from),
        "tests": np.array(shipped.tests, dtype=np.str_),
        "variants": np.array([variant.name for variant in shipped.variants], dtype=np.str_),
        "tasks": np.array([variant.task for variant in shipped.variants], dtype=np.str_),
        "says": np.array([variant.says for variant in shipped.variants], dtype=np.str_),
        "fails": np.array([[test in each.always for test in shipped.tests] for each in shipped.variants], dtype=bool),
        "seen": np.array([(row, column) for row, column, _ in pairs], dtype=np.int32).reshape(-1, 2),
        "exact": np.array([each.kinds for _, _, each in pairs], dtype=np.str_),
        "lengths": np.array([len(each.numbers) for _, _, each in pairs], dtype=np.int32),
        "numbers": _joined([each.numbers for _, _, each in pairs]),
        "tolerances": _joined([each.tolerances for _, _, each in pairs]),
    }


def _joined(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    joined: NDArray[np.float64] = np.concatenate([np.empty(0), *parts])
    return joined.clip(-LARGEST, LARGEST).astype(np.float32)


def read_shipped(path: Path) -> Shipped | None:
    """The content of a file; None where it is missing, damaged, or of another version: then nothing is diagnosed."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _from_arrays({name: arrays[name] for name in KINDS})
    except Exception:  # whatever a damaged file raises: it is none of numpy's
        return None


def _from_arrays(arrays: Arrays) -> Shipped:
    tests = tuple(map(str, arrays["tests"]))
    fails = [frozenset(test for test, failed in zip(tests, row, strict=True) if failed) for row in arrays["fails"]]
    columns = zip(arrays["variants"], arrays["tasks"], arrays["says"], fails, strict=True)
    variants = tuple(Variant(str(name), str(task), str(says), failed, failed) for name, task, says, failed in columns)
    ends = np.cumsum(arrays["lengths"], dtype=np.int64)
    seen: dict[str, dict[str, Transcript]] = {}
    for (row, column), kinds, end, length in zip(arrays["seen"], arrays["exact"], ends, arrays["lengths"], strict=True):
        part = slice(end - length, end)
        numbers, tolerances = (arrays[name][part].astype(np.float64) for name in ("numbers", "tolerances"))
        seen.setdefault(variants[row].name, {})[tests[column]] = Transcript(str(kinds), numbers, tolerances)
    return Shipped(str(arrays["made_from"]), variants, tests, seen)


def texts_of(path: Path) -> list[str] | None:
    """Every text in a file; None for one that holds anything but the arrays named here."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        content = path.read_bytes()
        whole = content.startswith(b"PK\3\4") and content[-END:].startswith(b"PK\5\6")  # nothing before or behind
        known = {name: array.dtype.kind for name, array in arrays.items()} == KINDS
        plain = sorted(f"{name}.npy" for name in arrays) == sorted(each.filename for each in members)
        if not whole or not known or not plain or any(each.comment for each in members):
            return None
        _from_arrays(arrays)
    except Exception:  # whatever a damaged file raises
        return None
    return [str(text) for array in arrays.values() if array.dtype.kind == "U" for text in array.reshape(-1)]


def diagnose_here(
    assignment: Assignment, suite: Suite, outcomes: Mapping[str, Outcome], path: Path
) -> dict[str, Outcome]:
    """The outcomes of visible tests at `DEFAULT_SEED`, with a diagnosis at those that failed, where there is one.

    path: the student's file. Failed tests run once more, with proxies in front, to see what they see.
    """
    shipped = read_shipped(file_of(assignment))
    failed = frozenset(test for test, outcome in outcomes.items() if outcome.status == "failed")
    if shipped is None or not failed & set(shipped.tests):
        return dict(outcomes)
    backend = Observed(assignment.manifest, path)
    witness = Witness(tasks={case.id: case.task for case in suite.cases})
    run(suite, backend, DEFAULT_SEED, tests=failed, watch=witness.of(backend))
    witness.passed |= {test for test, outcome in outcomes.items() if outcome.status == "passed"}
    found = diagnose(witness, shipped)
    return {test: replace(outcome, diagnosis=found.get(test)) for test, outcome in outcomes.items()}
