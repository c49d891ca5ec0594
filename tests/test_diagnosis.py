"""Diagnosis: that a known mistake is told its name, and that nobody else is told anything."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from autograder import grader
from autograder.diagnosis import LiveVariants, diagnose, look, table_path
from autograder.fingerprints import alike, transcript
from autograder.grader import Settings, Work
from autograder.jail.client import Jail
from autograder.jail.isolation import Limits, choose
from autograder.jail.recorder import Call
from autograder.leak import find_leaks
from autograder.manifest import Assignment, Course
from autograder.observing import Observed
from autograder.plugin import DEFAULT_SEED
from autograder.result import Record, to_json
from autograder.shipped_diagnoses import diagnose_here, file_of, read_shipped
from autograder.submissions import Submission
from autograder.suite import Suite, collect, run

REPOSITORY = Path(__file__).parents[1]
SEED = 731

FILES = {
    "assignments/01_spread/assignment.toml": """
title = "Spread"
module = "spread.py"

[[task]]
id = "deviation"
title = "Standard deviation"
symbols = ["deviation"]

[[task]]
id = "meter"
title = "A meter"
symbols = ["Meter"]
""",
    "assignments/01_spread/test_spread.py": '''
import torch

from autograder.testing import close, limit, points, require, task


@task("deviation")
@points(2)
@limit(2)
def test_of_drawn_numbers(student, rng):
    """It agrees with torch's."""
    x = rng.normal(40, 30) + 3
    close(student.deviation(x), x.std(dim=-1, unbiased=False))


@task("meter")
@points(2)
def test_reads_what_was_added(student, rng):
    """A meter adds up."""
    meter = student.Meter()
    meter.add(rng.integer(1, 9))
    require(meter.add(0.5) > 1, "too little")
    require(meter.total == meter.add(0.0), "the total is another")
''',
    "solutions/01_spread/test_spread_hidden.py": '''
import torch

from autograder.testing import close, limit, points, require, task


@task("deviation")
@points(2)
@limit(2)
def test_of_one_constant(student):
    """Numbers that are all the same have none."""
    close(student.deviation(torch.full((2, 5), 7.0)), torch.zeros(2))


@task("meter")
@points(2)
def test_two_meters(student, rng):
    """A second meter begins at 0."""
    first, second = student.Meter(), student.Meter()
    first.add(rng.integer(1, 9))
    require(second.total == 0, "it begins elsewhere")
''',
    "solutions/01_spread/spread.py": '''
"""Spread."""

import torch


def deviation(x):
    """Of the last axis."""
    ### BEGIN SOLUTION
    return (x - x.mean(dim=-1, keepdim=True)).square().mean(dim=-1).sqrt()
    ### END SOLUTION


class Meter:
    def __init__(self):
        ### BEGIN SOLUTION
        self.total = 0
        ### END SOLUTION

    def add(self, number):
        ### BEGIN SOLUTION
        self.total += number
        return self.total
        ### END SOLUTION
''',
    "solutions/01_spread/mistakes.py": """
import torch
from spread import Meter

from autograder.variants import mistake


@mistake("deviation", replaces="deviation", says="You divide by n - 1.")
def unbiased(x):
    return x.std(dim=-1)


@mistake("deviation", replaces="deviation", says="You never come back.")
def endless(x):
    while True:
        pass


@mistake("deviation", replaces="deviation", says="You add 1 inside the root.")
def epsilon(x):
    return (x.var(dim=-1, unbiased=False) + 1).sqrt()


@mistake("deviation", replaces="deviation", says="You forget the square.")
def mean_of_deviations(x):
    return (x - x.mean(dim=-1, keepdim=True)).abs().mean(dim=-1)


@mistake("deviation", replaces="deviation", says="You take the largest and the smallest.")
def span(x):
    return x.max(dim=-1).values - x.min(dim=-1).values


@mistake("deviation", replaces="deviation", says="Your numbers are not sorted.")
def span_again(x):
    return x.sort(dim=-1).values[..., -1] - x.sort(dim=-1).values[..., 0]


@mistake("deviation", replaces="deviation", says="You do not take away the mean.")
def squares(x):
    return x.square().mean(dim=-1)


@mistake("deviation", replaces="deviation", says="You forget the root.")
def squares_again(x):
    return squares_of(x)


@mistake("deviation", replaces="deviation", says="You forget the root, and more.")
def squares_once_more(x):
    return squares_of(x)


def squares_of(x):
    return (x * x).mean(dim=-1)


@mistake("meter", replaces="Meter", says="Your meter begins at 1.")
class BeginsAtOne(Meter):
    def __init__(self):
        self.total = 1


@mistake("meter", replaces="Meter", says="Your meter keeps the last number only.")
class Last:
    def __init__(self):
        self.total = 0

    def add(self, number):
        self.total = number
        return number
""",
}
LOOP = """
def deviation(x):
    mean = sum(x[..., i] for i in range(x.shape[-1])) / x.shape[-1]
    return (sum((x[..., i] - mean) ** 2 for i in range(x.shape[-1])) / ({divisor})) ** 0.5
"""
BEGINS_AT_ONE = """
class Meter:
    def __init__(self):
        self.seen = [1]
        self.total = 1

    def add(self, number):
        self.seen.append(number)
        self.total = sum(self.seen)
        return self.total
"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_diagnoses", REPOSITORY / "solutions/tools/write_diagnoses.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory, tool: ModuleType) -> Assignment:
    """The course above, with what the diagnosis knows beforehand."""
    root = tmp_path_factory.mktemp("course")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.lstrip())
    assignment = Course(root).assignment("spread")
    tool.write(assignment)
    return assignment


@pytest.fixture(scope="module")
def suite(spread: Assignment) -> Suite:
    return collect(spread, hidden=True)


@pytest.fixture(scope="module")
def one_jail() -> Iterator[Jail]:
    with Jail(choose("auto"), Limits(memory=2**29)) as started:
        yield started


@pytest.fixture(scope="module")
def live(suite: Suite, one_jail: Jail) -> LiveVariants:
    return LiveVariants(suite, one_jail, SEED)


def answer(spread: Assignment, change: str) -> bytes:
    return f"{spread.reference.read_text()}\n{change}".encode()


@pytest.fixture
def told(spread: Assignment, suite: Suite, one_jail: Jail, live: LiveVariants):
    """Who makes this change to the reference is told these names under the grader, by test."""

    def told(change: str) -> dict[str, str]:
        seen = look(suite, one_jail, {"spread.py": answer(spread, change)}, SEED)
        return {test: found.mistake for test, found in diagnose(seen, live).items()}

    return told


@pytest.fixture
def told_at_home(spread: Assignment, tmp_path: Path):
    """The same in a student's repository."""

    def told_at_home(change: str) -> dict[str, str]:
        path = tmp_path / "spread.py"
        path.write_bytes(answer(spread, change))
        suite = collect(spread, hidden=False)
        outcomes = run(suite, Observed(spread.manifest, path), DEFAULT_SEED)
        found = diagnose_here(spread, suite, outcomes, path)
        assert {name: each.status for name, each in found.items()} == {n: each.status for n, each in outcomes.items()}
        return {test: each.diagnosis.mistake for test, each in found.items() if each.diagnosis is not None}

    return told_at_home


def test_a_mistake_in_other_words_and_another_order_of_floats_is_told_its_name(told, told_at_home):
    change = LOOP.format(divisor="x.shape[-1] - 1")
    assert told(change) == {"test_of_drawn_numbers": "unbiased"}
    assert told_at_home(change) == {"test_of_drawn_numbers": "unbiased"}


def test_a_right_answer_in_other_words_is_told_nothing(told, told_at_home):
    change = LOOP.format(divisor="x.shape[-1]")
    assert told(change) == {}
    assert told_at_home(change) == {}


@pytest.mark.parametrize(
    "change",
    [
        LOOP.format(divisor="x.shape[-1] + 1"),
        LOOP.format(divisor="x.shape[-1] - 1.1"),
        LOOP.format(divisor="x.shape[-1] - 1") + "\nunbiased = deviation\ndeviation = lambda x: unbiased(x)[None]",
        LOOP.format(divisor="x.shape[-1] - 1") + "\nunbiased = deviation\ndeviation = lambda x: unbiased(x).double()",
        "def deviation(x):\n    return deviatoin(x)",
        "def deviation(x):\n    return None",
    ],
    ids=["by n + 1", "by n - 1.1", "another shape", "another dtype", "a slip", "nothing"],
)
def test_a_mistake_that_nobody_wrote_down_is_told_nothing(told, told_at_home, change):
    assert told(change) == {}
    assert told_at_home(change) == {}


def test_variants_are_told_apart_by_what_hidden_tests_see(told, told_at_home):
    assert set(told("def deviation(x):\n    return (x.std(-1, unbiased=False) ** 2 + 1).sqrt()").values()) == {
        "epsilon"
    }
    assert told(BEGINS_AT_ONE) == {"test_two_meters": "BeginsAtOne"}
    assert told_at_home(BEGINS_AT_ONE) == {}  # no visible test fails
    last = "class Meter:\n    total = 0\n    def add(self, n):\n        self.total = n\n        return n"
    assert told(last) == told_at_home(last) == {"test_reads_what_was_added": "Last"}


def test_where_two_variants_do_the_same_and_say_different_things_both_are_told(told, told_at_home):
    names = {"test_of_drawn_numbers": "span or span_again"}
    change = "def deviation(x):\n    return x.amax(-1) - x.amin(-1)"
    assert told(change) == names
    assert told_at_home(change) == names


def test_where_three_variants_fit_nothing_is_said(told, told_at_home):
    change = "def deviation(x):\n    return x.square().mean(dim=-1)"
    assert told(change) == {}
    assert told_at_home(change) == {}


def test_one_who_never_comes_back_is_told_so_by_the_clock_alone(told):
    assert told("def deviation(x):\n    while True: pass") == {}


@pytest.fixture
def grade(tmp_path: Path):
    """Grades this source by this process's own grader."""

    def grade(course: Course, source: bytes, *, hidden: bool = True) -> Record:
        settings = Settings(
            course.root, tmp_path, tmp_path, ("01_spread",), SEED, choose("auto"), hidden=hidden, train_steps=0
        )
        work = Work("ada", (Submission("ada", "01_spread", {"spread.py": source}),))
        return grader.grade_here(settings, work)[0].record

    yield grade
    grader.close_here()


def test_the_grade_is_the_same_with_a_diagnosis_and_with_one_that_breaks(spread, grade):
    course, source = Course(spread.folder.parents[1]), answer(spread, BEGINS_AT_ONE)
    mistakes = spread.solution_folder / "mistakes.py"
    text = mistakes.read_text()
    try:
        mistakes.write_text("this is no Python")
        broken = grade(course, source)
    finally:
        mistakes.write_text(text)
    found = grade(course, source)
    assert {test: each.says for test, each in found.feedback.diagnoses.items()} == {
        "test_two_meters": "Your meter begins at 1."
    }
    assert broken.feedback.diagnoses == {}
    assert broken.feedback.notices
    assert to_json(broken.result) == to_json(found.result)


def test_without_solutions_the_grader_uses_what_ships(spread, grade, tmp_path):
    root = tmp_path / "students"
    for path in spread.folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            target = root / "assignments" / spread.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    found = grade(Course(root), answer(spread, LOOP.format(divisor="x.shape[-1] - 1")), hidden=False)
    assert {test: each.mistake for test, each in found.feedback.diagnoses.items()} == {
        "test_of_drawn_numbers": "unbiased"
    }


# --- what ships ------------------------------------------------------------------------------------------------------


def leaks_of(course: Course, content: bytes, tmp_path: Path) -> list[str]:
    path = tmp_path / "release/assignments/01_spread/diagnosis.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return [leak.what for leak in find_leaks(tmp_path / "release", course)]


def saved(tmp_path: Path, arrays: dict[str, np.ndarray]) -> bytes:
    np.savez_compressed(tmp_path / "changed.npz", **arrays)
    return (tmp_path / "changed.npz").read_bytes()


def test_the_shipped_file_is_let_through_and_nothing_else_in_its_place(spread, tmp_path):
    course, path = Course(spread.folder.parents[1]), file_of(spread)
    assert leaks_of(course, path.read_bytes(), tmp_path) == []
    arrays = dict(np.load(path, allow_pickle=False))
    hidden = np.array(["test_two_meters", *arrays["tests"][1:]])
    changed = {
        "another array": saved(tmp_path, {**arrays, "source": np.array("def deviation(x): ...")}),
        "a pickle": saved(tmp_path, {**arrays, "says": np.array([{}], dtype=object)}),
        "no archive": b"def deviation(x): ...",
        "something behind it": path.read_bytes() + b"def deviation(x): ...",
        "a hidden test": saved(tmp_path, {**arrays, "tests": hidden}),
        "numbers for words": saved(tmp_path, {**arrays, "says": np.zeros(len(arrays["says"]))}),
    }
    for what, content in changed.items():
        assert leaks_of(course, content, tmp_path), what


def test_a_damaged_file_costs_the_diagnosis_and_no_more(spread, tmp_path):
    (tmp_path / "diagnosis.npz").write_bytes(file_of(spread).read_bytes()[:-50])
    assert read_shipped(tmp_path / "diagnosis.npz") is None
    assert read_shipped(tmp_path / "nothing.npz") is None


def test_a_change_of_the_mistakes_makes_the_files_stale(spread, tool):
    assert not tool.is_stale(spread)
    mistakes = spread.solution_folder / "mistakes.py"
    text = mistakes.read_text()
    try:
        mistakes.write_text(text.replace("You divide by n - 1.", "You divide by one too few."))
        assert tool.is_stale(spread)
    finally:
        mistakes.write_text(text)


def test_the_courses_own_files_are_fresh(course, tool):
    stale = [assignment.name for assignment in course.assignments() if tool.is_stale(assignment)]
    assert stale == [], "run solutions/tools/write_diagnoses.py"


def test_the_table_of_hidden_tests_does_not_ship(spread):
    assert table_path(spread).is_relative_to(spread.solution_folder)
    assert "test_two_meters" in table_path(spread).read_text()
    assert all("test_two_meters" not in str(array) for array in np.load(file_of(spread), allow_pickle=False).values())


# --- fingerprints ----------------------------------------------------------------------------------------------------


def of(answer: object):
    return transcript([Call("call_named", "f", (), {}, answer)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_rounding_is_tolerated(dtype):
    x = torch.randn(300, 200, generator=torch.Generator().manual_seed(SEED))
    noise = torch.finfo(dtype).eps * (torch.rand(300, 200, generator=torch.Generator().manual_seed(SEED)) - 0.5)
    assert alike(of(x.to(dtype)), of((x + x * noise).to(dtype)))
    assert alike(of(torch.zeros(5)), of(torch.full((5,), 1e-8)))


def one_wrong(x: torch.Tensor) -> torch.Tensor:
    return x.index_put((torch.tensor(70_001),), torch.tensor(0.0))


@pytest.mark.parametrize(
    "change",
    [one_wrong, lambda x: x.roll(1), lambda x: -x, lambda x: x.double(), lambda x: x[None], lambda x: x * 1.001]
    + [lambda x: x.masked_fill(x > 2, math.inf), lambda x: x.masked_fill(x > 2, math.nan), lambda x: x.tolist()],
    ids=["one wrong", "rolled", "sign", "dtype", "shape", "a thousandth", "infinity", "NaN", "a list"],
)
def test_any_real_difference_is_seen(change):
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(SEED))
    x[70_001] = 1.5
    assert not alike(of(x), of(change(x)))
    assert not alike(of(change(x)), of(x))
    assert alike(of(change(x)), of(change(x)))


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 2), (1, True), (1, 1.0), ("a", "b"), ("a", b"a"), ([1, 2], (1, 2)), ([1, 2], [2, 1]), (None, 0)]
    + [({1: "a"}, {1: "b"}), (0.5, 0.51), (math.nan, math.inf), (ValueError("x"), TypeError("x")), ([[]], [[], []])],
)
def test_values_that_differ_are_not_alike(one, other):
    assert not alike(of(one), of(other))
    assert alike(of(one), of(one))


def test_an_exceptions_words_do_not_count():
    assert alike(of(ValueError("one")), of(ValueError("other")))
