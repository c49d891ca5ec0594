"""Hidden tests of target.py. @secret:tests@"""

import pytest
import torch
from autograder.testing import close, hint, limit, points, require, task


@task("softmax")
@points(2)
@limit(1)
@hint("Take the largest value away first.")
def test_softmax_large(student, rng):
    """Large inputs do no harm."""
    x = rng.normal(2, 5, scale=1e4)
    close(student.softmax(x, dim=0), torch.softmax(x, dim=0))


@task("softmax")
@points(4)
@limit(1)
def test_softmax_refuses(student, rng):
    """A tensor without axes is refused, one with an axis is not."""
    x = rng.normal(3)
    close(student.softmax(x, dim=0), torch.softmax(x, dim=0))
    with pytest.raises(ValueError):
        student.softmax(torch.tensor(1.0), dim=0)


@task("tally")
@points(16)
@limit(1)
def test_tally_iterates(student, rng):
    """The words come in the order in which they were first added."""
    times = rng.integer(2, 9)
    tally = student.Tally()
    for word in ("b", "a", "b", "@secret:input@"):
        tally.add(word, times)
    expected = [("b", 2 * times), ("a", times), ("@secret:input@", times)]
    found = [item for item, _ in zip(tally, range(9), strict=False)]
    require(found == expected, f"@secret:expected@: {found} is not {expected}")


@task("words")
@points(64)
@limit(1)
@hint("split() without an argument.")
def test_words_split(student, rng):
    """Any white space parts words."""
    times = rng.integer(2, 9)
    found = student.count_words("one\t@secret:input@\n" * times)
    require(found == {"one": times, "@secret:input@": times}, f"@secret:expected@: got {found}")
