"""Shared by the project's tests: the course itself, a small course made on the spot, and a jail of each tier."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from autograder.jail.client import Jail
from autograder.jail.isolation import Limits, Tier, missing_for
from autograder.manifest import Course

pytest_plugins = ["pytester"]
REPOSITORY = Path(__file__).parents[1]
torch.set_num_threads(1)
hypothesis.settings.register_profile("project", deadline=None, print_blob=True, database=None)
hypothesis.settings.load_profile("project")

MANIFEST = """
title = "Numbers"
module = "numbers_.py"

[[task]]
id = "double"
title = "Twice as much"
symbols = ["double"]
forbids = ["torch.mul"]
hints = ["Add it to itself.", "x + x"]

[[task]]
id = "counter"
title = "Counting"
symbols = ["Counter"]
"""

REFERENCE = '''"""Numbers."""

import torch


def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    if not torch.is_tensor(x):
        raise TypeError("x must be a tensor")
    return x + x
    ### END SOLUTION


class Counter:
    def __init__(self):
        self.count = 0

    def add(self, number):
        """Adds a number and gives the sum so far."""
        ### BEGIN SOLUTION
        self.count += int(number)
        return self.count
        ### END SOLUTION
'''

VISIBLE = '''"""Visible tests of numbers_.py."""

import torch

from autograder.testing import close, points, require, task


@task("double")
@points(2)
def test_doubles(student, rng):
    """Every element is doubled."""
    x = rng.normal(3)
    close(student.double(x), x * 2, hint="Add x to itself.")


@task("counter")
@points(1)
def test_counts(student):
    """The sum of what was added."""
    counter = student.Counter()
    counter.add(2)
    require(counter.add(3) == 5, "2 and 3 make 5")
'''

HIDDEN = '''"""Hidden tests of numbers_.py."""

import hypothesis
import pytest
import torch

from autograder.testing import close, hint, points, require, task


@task("double")
@points(3)
@hint("What is twice nothing?")
def test_doubles_nothing(student):
    """Zeros stay zeros."""
    close(student.double(torch.zeros(2)), torch.zeros(2))


@task("double")
@points(1)
def test_refuses_text(student, rng):
    """Text is refused, a tensor is not."""
    close(student.double(torch.ones(1)), torch.full((1,), 2.0))
    with pytest.raises(TypeError):
        student.double("secret-input-7391")


@task("counter")
@points(3)
def test_count_is_an_attribute(student, rng):
    """`count` is the sum so far."""
    counter = student.Counter()
    number = rng.integer(1, 10**6)
    counter.add(number)
    require(counter.count == number, "count is not the sum")
'''


@pytest.fixture(scope="session")
def course() -> Course:
    """This repository's own course."""
    return Course.find(REPOSITORY)


@pytest.fixture
def small_course(tmp_path: Path) -> Course:
    """A course of one assignment, small enough to see through: `99_numbers`."""
    root = tmp_path / "course"
    shipped, secret = root / "assignments/99_numbers", root / "solutions/99_numbers"
    for folder in (shipped, secret):
        folder.mkdir(parents=True)
    (shipped / "assignment.toml").write_text(MANIFEST)
    (shipped / "test_numbers_.py").write_text(VISIBLE)
    (secret / "numbers_.py").write_text(REFERENCE)
    (secret / "test_numbers__hidden.py").write_text(HIDDEN)
    return Course(root)


def tiers_here() -> list[Tier]:
    """The jails that this machine has. There must be one: grading without a jail is not what is tested."""
    found = [tier for tier in ("bwrap", "landlock") if missing_for(tier) is None]  # type: ignore[arg-type]
    if not found:
        raise RuntimeError(f"no jail here: {missing_for('landlock')}")
    return found


@pytest.fixture(scope="session", params=tiers_here())
def jail(request: pytest.FixtureRequest) -> Iterator[Jail]:
    """A jail of each tier that works here."""
    os.environ["MINIGPT_TEST_SECRET"] = "secret-environment-5512"
    with Jail(request.param, Limits(memory=2**29)) as started:
        yield started
