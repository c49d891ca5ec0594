"""Says which known mistake a student made, by what the failed tests saw: "You scale by d_k instead of √d_k."

    witness = Witness()
    outcomes = run(suite, backend, seed, watch=witness.of(backend))
    diagnose(witness, LiveVariants(suite, jail, seed))      # {"test_rows": Diagnosis("ByTheWrongRoot", "You ...")}

A student's failed test is compared with what each wrong variant of `mistakes.py` gives on the same inputs. It is that
mistake if the variant fails the test as well and every answer is the same, up to rounding. Where several fit, those go
that fail a test which the student passed; then the one that explains the most of the failed tests wins. Two that
explain the same are both told, "... Or: ..."; of three, none: that would be guessing. Nor is anything told where all
that agrees is the class of an exception, unless the whole task is explained by it.

Under the grader the variants run in the jail, when they are first needed (`LiveVariants`). A student's repository has
no variants: `shipped_diagnoses.py` reads what they gave from a file.

Does not see a mistake that nobody has written down, nor two at once in one answer, nor what a test does not ask for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from autograder.fingerprints import Transcript, alike, exception_name, transcript
from autograder.jail.client import Jail
from autograder.jail.recorder import Call, Recorder
from autograder.manifest import Assignment, CourseError
from autograder.outcome import Diagnosis
from autograder.plugin import Case
from autograder.suite import Outcome, Suite, run
from autograder.variants import Mistake, read_mistakes

TABLE = "failing.json"
SURELY = 2  # with some inputs a wrong variant passes a test that it mostly fails, but hardly two
AT_MOST = 2  # things that are said of one test
SLIPS = frozenset({"NameError", "UnboundLocalError", "AttributeError", "ImportError", "ModuleNotFoundError"})


@dataclass(frozen=True)
class Variant:
    """A wrong variant, and the tests that it fails: whatever the seed, and with some seed."""

    name: str
    task: str
    says: str
    always: frozenset[str]
    sometimes: frozenset[str]


class Known(Protocol):
    """What is known of an assignment's wrong variants."""

    @property
    def variants(self) -> tuple[Variant, ...]:
        """In the file's order."""

    def observed(self, variant: Variant, tests: frozenset[str]) -> Mapping[str, Transcript]:
        """What these tests saw of the variant, of those that it fails."""

    def fails_any(self, variant: Variant, tests: frozenset[str]) -> bool:
        """Whether the variant fails one of these tests on these inputs."""


class Observes(Protocol):
    """A backend that notes what a test asks."""

    recorder: Recorder


@dataclass
class Witness:
    """Looks on while a student's tests run. failed: what each failed test saw; passed: the tests that passed.

    thin: the failed tests whose last answer was an exception. Many a mistake ends in the same one.
    """

    failed: dict[str, Transcript] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    thin: set[str] = field(default_factory=set)
    tasks: dict[str, str] = field(default_factory=dict)

    def of(self, backend: Observes) -> Callable[[Case, Outcome], None]:
        """What `run` is to call after each test on this backend."""
        return lambda case, outcome: self.note(case, outcome, backend.recorder)

    def note(self, case: Case, outcome: Outcome, recorder: Recorder) -> None:
        """A fault in here must not reach the test: what cannot be read is not compared."""
        self.tasks[case.id] = case.task
        if outcome.status == "passed":
            self.passed.add(case.id)
        elif outcome.status == "failed" and recorder.complete and _says_something(recorder.calls):
            try:
                self.failed[case.id] = transcript(recorder.calls)
            except Exception:  # such as a tensor of 2**39 elements in a shape without any
                return
            if isinstance(recorder.calls[-1].answer, BaseException):
                self.thin.add(case.id)


def _says_something(calls: list[Call]) -> bool:
    """Not of a test that asked for nothing, or met a misspelt name: that is no mistake of the subject's."""
    last = calls[-1].answer if calls else None
    return bool(calls) and not (isinstance(last, BaseException) and exception_name(last) in SLIPS)


@dataclass(frozen=True)
class _Fit:
    """How well a variant explains a student: the tests that saw the same of both, and those that did not."""

    variant: Variant
    same: frozenset[str]
    different: int

    def rank(self, task: str) -> tuple[int, int, bool]:
        return (-len(self.same), self.different, self.variant.task != task)


def diagnose(witness: Witness, known: Known) -> dict[str, Diagnosis]:
    """The known mistakes that explain failed tests, by test."""
    fits = [fit for variant in known.variants if (fit := _fit(witness, known, variant)) is not None]
    found: dict[str, Diagnosis] = {}
    for test in witness.failed:
        task = witness.tasks[test]
        ranked = sorted((fit for fit in fits if test in fit.same), key=lambda fit: fit.rank(task))
        best = [fit.variant for fit in ranked if fit.rank(task) == ranked[0].rank(task)]
        says: dict[str, str] = {}
        for variant in best:
            says.setdefault(variant.says, variant.name)  # of those that say the same, the first
        if 1 <= len(says) <= AT_MOST:
            found[test] = Diagnosis(" or ".join(says.values()), " Or: ".join(says))
    return found


def _fit(witness: Witness, known: Known, variant: Variant) -> _Fit | None:
    """None for a variant that fails what the student passed, or is like the student nowhere.

    What the student passed counts within the variant's own task: which tests of later tasks a mistake fails hangs on
    the code that stands there, and the student's is not the reference's.
    """
    shared = variant.sometimes & witness.failed.keys()
    passed = {test for test in witness.passed if witness.tasks[test] == variant.task}
    if not shared or len(variant.always & passed) >= SURELY:
        return None
    observed = known.observed(variant, shared)
    same = frozenset(test for test in observed if alike(observed[test], witness.failed[test]))
    if not same or known.fails_any(variant, variant.sometimes & passed):
        return None
    own = {test for test in observed if witness.tasks[test] == variant.task}
    if own - same and len(own - same) >= len(own & same):
        return None  # in its own task it is another mistake, however alike it looks from further away
    fit = _Fit(variant, same, len(observed) - len(same))
    return None if same <= witness.thin and not _explains_its_task(witness, fit) else fit


def _explains_its_task(witness: Witness, fit: _Fit) -> bool:
    """Whether all that failed of the variant's task is as it would have it, and nothing elsewhere is not."""
    own = {test for test in witness.failed if witness.tasks[test] == fit.variant.task}
    return bool(own) and own <= fit.same and not fit.different


# --- the variants, run in the jail -----------------------------------------------------------------------------------


class Row(msgspec.Struct, frozen=True):
    """The tests that a variant fails: with every seed that was tried, and with some."""

    always: tuple[str, ...]
    sometimes: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """`solutions/NN/failing.json`: which variant fails which test, hidden ones too, so that few need to be run."""

    made_from: str
    seeds: tuple[int, ...]
    variants: dict[str, Row] = {}


def table_path(assignment: Assignment) -> Path:
    return assignment.solution_folder / TABLE


def made_from(assignment: Assignment) -> str:
    """A digest of all that a table, or a shipped file, follows from."""
    digest = hashlib.sha256()
    folder = assignment.solution_folder
    for path in (assignment.reference, folder / "mistakes.py", assignment.visible_tests, assignment.hidden_tests):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_table(assignment: Assignment) -> Table:
    """The table; an empty one where there is none. A damaged one is a `CourseError`."""
    path = table_path(assignment)
    if not path.is_file():
        return Table(made_from="", seeds=())
    try:
        return msgspec.json.decode(path.read_bytes(), type=Table)
    except msgspec.DecodeError as error:
        raise CourseError(f"{path}: {error}. Write it anew: python solutions/tools/write_diagnoses.py") from error


class LiveVariants:
    """The variants of `mistakes.py`, run in the jail with the students' inputs, each test once."""

    def __init__(self, suite: Suite, jail: Jail, seed: int) -> None:
        self._suite = suite
        self._seed = seed
        self.jail = jail
        has_mistakes = (suite.assignment.solution_folder / "mistakes.py").is_file()
        mistakes = read_mistakes(suite.assignment) if has_mistakes else []
        self._sources = {mistake.name: mistake.source for mistake in mistakes}
        table = read_table(suite.assignment) if mistakes else Table(made_from="", seeds=())
        self.variants = tuple(_variant(mistake, table, suite) for mistake in mistakes)
        self._seen: dict[str, Witness] = {}

    def observed(self, variant: Variant, tests: frozenset[str]) -> dict[str, Transcript]:
        seen = self._look(variant, tests)
        return {test: seen.failed[test] for test in tests if test in seen.failed}

    def fails_any(self, variant: Variant, tests: frozenset[str]) -> bool:
        return not tests <= self._look(variant, tests).passed

    def _look(self, variant: Variant, tests: frozenset[str]) -> Witness:
        """All that is known of the variant, these tests included."""
        seen = self._seen.setdefault(variant.name, Witness())
        if missing := tests - seen.tasks.keys():
            files = {self._suite.assignment.manifest.module: self._sources[variant.name].encode()}
            more = look(self._suite, self.jail, files, self._seed, missing)
            seen.passed |= more.passed
            seen.failed |= more.failed
            seen.tasks |= more.tasks
        return seen


def _variant(mistake: Mistake, table: Table, suite: Suite) -> Variant:
    """One that the table does not know may fail any test of its own task."""
    row = table.variants.get(mistake.name)
    if row is None:
        row = Row((), tuple(case.id for case in suite.cases if case.task == mistake.task))
    always = frozenset(row.always)
    return Variant(mistake.name, mistake.task, mistake.says, always, always | frozenset(row.sometimes))


def look(
    suite: Suite, jail: Jail, files: Mapping[str, bytes], seed: int, tests: frozenset[str] | None = None
) -> Witness:
    """What tests see of these files, in a worker of its own."""
    submission = jail.submission(suite.assignment.manifest, files)
    witness = Witness()
    try:
        run(suite, submission, seed, tests=tests, watch=witness.of(submission))
    finally:
        submission.discard()
    return witness
