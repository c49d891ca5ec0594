"""Visible tests of target.py. Points are powers of two, so that a score tells which tests passed."""

import torch
from autograder.testing import close, hint, limit, points, require, task


@task("softmax")
@points(1)
@limit(1)
@hint("Divide by the sum.")
def test_softmax_rows(student, rng):
    """Every row becomes a distribution."""
    x = rng.normal(3, 4)
    close(student.softmax(x, dim=-1), torch.softmax(x, dim=-1))


@task("tally")
@points(8)
@limit(1)
def test_tally_adds(student, rng):
    """`add` gives the count so far, `total` is the sum."""
    first, second = rng.integer(1, 10**6), rng.integer(1, 10**6)
    tally = student.Tally()
    require(tally.add("a", first) == first, "the first count")
    require(tally.add("a", second) == first + second, "the second count")
    require(tally.total == first + second, "total is not the sum")


@task("words")
@points(32)
@limit(1)
def test_words_counted(student, rng):
    """Every word is counted, in any case."""
    times = rng.integer(2, 20)
    require(student.count_words("Red " * times + "green") == {"red": times, "green": 1}, "wrong counts")
