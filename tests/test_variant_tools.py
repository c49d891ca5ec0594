"""The tools that test the suites, on a course so small that what they must say is plain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer

from autograder import trials
from autograder.jail.client import Jail, Submission
from autograder.jail.isolation import choose
from autograder.manifest import Course, Manifest
from autograder.outcome import GraderFault

TOOLS = Path(__file__).parents[1] / "solutions/tools"
Run = Callable[[], tuple[int, str]]

MANIFEST = """
title = "Shares"
module = "shares.py"

[[task]]
id = "share"
title = "A fair share"
symbols = ["share"]
hints = ["one", "two", "three"]
"""

REFERENCE = '''"""Shares."""


def share(total: int, heads: int) -> int:
    """What each gets of the total, in whole numbers."""
    ### BEGIN SOLUTION
    each: int | None = None
    if heads > 0:
        each = total // heads
    if each is None:
        raise ValueError(f"{heads + 1} is one too many")
    return each
    ### END SOLUTION
'''

VISIBLE = '''"""Visible tests."""

from autograder.testing import points, require, task


@task("share")
@points(20)
def test_seven_among_two(student):
    """Each of two gets 3 of 7."""
    require(student.share(7, 2) == 3, "not 3")


@task("share")
@points(20)
def test_alone(student):
    """One gets all."""
    require(student.share(5, 1) == 5, "not 5")
'''

HIDDEN = '''"""Hidden tests."""

import pytest

from autograder.testing import points, require, task


@task("share")
@points(10)
def test_any_number(student, rng):
    """Any number among many."""
    total, heads = rng.integer(100, 1000), rng.integer(3, 9)
    require(student.share(total, heads) == total // heads, "wrong")


@task("share")
@points(20)
def test_nobody(student):
    """Among nobody is a ValueError, among one is not."""
    require(student.share(4, 1) == 4, "wrong")
    with pytest.raises(ValueError):
        student.share(4, 0)


@task("share")
@points(10)
def test_debts(student):
    """Of a debt, each owes the greater part."""
    require(student.share(-7, 2) == -4, "wrong")
'''

MISTAKES = '''"""Wrong ones."""

from autograder.variants import mistake


@mistake("share", replaces="share", says="You give fractions.")
def fractions(total, heads):
    return total / heads


@mistake("share", replaces="share", says="You give all to each.")
def all_to_each(total, heads):
    return total


@mistake("share", replaces="share", says="You give the rest.")
def the_rest(total, heads):
    return total % heads


@mistake("share", replaces="share", says="You forget that there may be nobody.")
def forgets_nobody(total, heads):
    return total // heads
'''

ALTERNATIVES = '''"""Right ones."""

import math

from autograder.variants import alternative


@alternative(replaces="share", says="by divmod")
def by_divmod(total, heads):
    if heads < 1:
        raise ValueError("nobody")
    return divmod(total, heads)[0]


@alternative(replaces="share", says="by math.floor")
def by_floor(total, heads):
    if heads < 1:
        raise ValueError("nobody")
    return math.floor(total / heads)


@alternative(replaces="share", says="by counting down")
def by_remainder(total, heads):
    if heads < 1:
        raise ValueError("nobody")
    return (total - total % heads) // heads
'''

SURVIVORS = """
[[survivor]]
symbol = "share"
before = "if heads > 0:"
after = "if heads != 0:"
reason = "Nobody is told what a negative number of heads should get."
"""


@pytest.fixture
def course(tmp_path: Path) -> Course:
    files = {
        "assignments/01_shares/assignment.toml": MANIFEST,
        "assignments/01_shares/test_shares.py": VISIBLE,
        "solutions/01_shares/shares.py": REFERENCE,
        "solutions/01_shares/test_shares_hidden.py": HIDDEN,
        "solutions/01_shares/mistakes.py": MISTAKES,
        "solutions/01_shares/alternatives.py": ALTERNATIVES,
        "solutions/01_shares/survivors.toml": SURVIVORS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Course(tmp_path)


class Lent:
    """A jail that goes on when its borrower has closed it: starting one takes longer than all that is graded here."""

    def __init__(self, jail: Jail) -> None:
        self._jail = jail

    def submission(self, manifest: Manifest, files: dict[str, bytes]) -> Submission:
        return self._jail.submission(manifest, files)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def warm_jail() -> Iterator[Jail]:
    with Jail(choose("auto")) as started:
        yield started


@pytest.fixture(autouse=True)
def lent_jail(warm_jail: Jail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "Jail", lambda tier, *, training: Lent(warm_jail))


def runner(tool: ModuleType, course: Course, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a tool's command on the course, in this process: the exit code, and what it printed."""

    def run(**options: object) -> tuple[int, str]:
        with pytest.raises(typer.Exit) as ended:
            tool.main(course=course.root, jobs=1, **options)
        return ended.value.exit_code, capsys.readouterr().out

    return run


@pytest.fixture
def check(course: Course, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.syspath_prepend(TOOLS)
    import check_variants

    return runner(check_variants, course, capsys)


@pytest.fixture
def mutate(course: Course, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.syspath_prepend(TOOLS)
    import mutation

    return runner(mutation, course, capsys)


def solution(course: Course, name: str) -> Path:
    return course.root / "solutions/01_shares" / name


def without_last(text: str) -> str:
    """The text without its last decorated definition."""
    return text[: text.rindex("\n\n\n@")] + "\n"


# --- variants --------------------------------------------------------------------------------------------------------


def test_known_answers_that_get_what_they_deserve(check: Run) -> None:
    code, printed = check(verbose=True)
    assert code == 0, printed
    assert "01_shares" in printed and "2+3" in printed and "3 of 3" in printed
    assert "only hidden tests catch forgets_nobody of share: test_nobody" in printed


def test_a_mistake_that_is_not_caught_is_named(course: Course, check: Run) -> None:
    lazy = '\n\n@mistake("share", replaces="share", says="You leave a rest.")\ndef leaves_a_rest(total, heads):\n'
    lazy += "    if heads < 1:\n        raise ValueError('nobody')\n    return total // heads\n"
    solution(course, "mistakes.py").write_text(MISTAKES + lazy)
    code, printed = check()
    assert code == 1
    assert "leaves_a_rest of share is not caught there: You leave a rest." in printed
    assert "forgets_nobody" not in printed


def test_an_alternative_that_loses_points_is_named(course: Course, check: Run) -> None:
    solution(course, "alternatives.py").write_text(ALTERNATIVES.replace("math.floor(", "math.trunc("))
    code, printed = check()
    assert code == 1
    assert "the alternative by_floor is not right" in printed and "test_debts failed" in printed
    assert "2 of 3" in printed


def test_a_reference_that_loses_points_is_told_on_both_sides(course: Course, check: Run) -> None:
    solution(course, "shares.py").write_text(REFERENCE.replace("heads > 0", "heads > 1"))
    code, printed = check()
    assert code == 1
    assert "the reference loses points in-process" in printed and "the reference loses points in the jail" in printed


def test_too_little_of_everything_is_told(course: Course, check: Run) -> None:
    """Nothing is graded wrongly here; there is only too little of it."""
    (course.root / "assignments/01_shares/assignment.toml").write_text(MANIFEST.replace(', "three"', ""))
    (course.root / "assignments/01_shares/test_shares.py").write_text(without_last(VISIBLE))
    solution(course, "test_shares_hidden.py").write_text(without_last(HIDDEN))
    solution(course, "mistakes.py").write_text(without_last(without_last(MISTAKES)))
    solution(course, "alternatives.py").write_text(without_last(ALTERNATIVES))
    code, printed = check()
    assert code == 1
    for told in (
        "share: visible tests: there are 1, at least 2",
        "share: hidden tests: there are 2, at least 3",
        "share: mistakes: there are 2, at least 3",
        "alternatives: there are 2, at least 3",
        "it is worth 50 points instead of 80",
        "share: there are 2 hints instead of 3",
    ):
        assert told in printed, printed


def test_mistakes_that_only_hidden_tests_catch_must_be_few(course: Course, check: Run) -> None:
    late = MISTAKES.replace("return total\n", "return total // heads if heads else 0\n")
    solution(course, "mistakes.py").write_text(late)
    code, printed = check()
    assert code == 1
    assert "visible tests catch 50% of the mistakes; at least 70% are due" in printed


def test_an_assignment_that_is_not_complete_is_told(course: Course, check: Run) -> None:
    solution(course, "mistakes.py").unlink()
    code, printed = check()
    assert code == 1
    assert "mistakes.py is missing" in printed


def test_a_jail_that_breaks_proves_nothing(check: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: Jail) -> None:
        raise GraderFault("the jail is gone")

    monkeypatch.setattr(Jail, "fork", gone)
    code, printed = check()
    assert code == 2
    assert "nothing is proven: the jail is gone" in printed


# --- mutation --------------------------------------------------------------------------------------------------------


def test_mutants_are_changes_of_what_is_to_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TOOLS)
    import mutation

    found = mutation.find_mutants(REFERENCE)
    assert {mutant.symbol for mutant in found} == {"share"}
    changes = {(mutant.line, mutant.after) for mutant in found}
    assert (8, "if heads >= 0:") in changes and (9, "each = total % heads") in changes
    assert {line for line, _ in changes} == {8, 9, 10}, "an annotation, a signature or a message was changed"
    assert len({mutant.source for mutant in found}) == len(found)


def test_a_survivor_that_is_listed_is_fine(mutate: Run) -> None:
    code, printed = mutate()
    assert code == 0, printed
    assert "listed\n- if heads > 0:\n+ if heads != 0:" in printed


def test_a_survivor_that_is_not_listed_is_told_as_an_entry(course: Course, mutate: Run) -> None:
    solution(course, "survivors.toml").unlink()
    code, printed = mutate()
    assert code == 1
    assert "NOT LISTED" in printed and 'after = "if heads != 0:"' in printed
    assert "survivors that are not listed: 1" in printed


def test_an_entry_that_does_not_survive_is_told(course: Course, mutate: Run) -> None:
    stale = SURVIVORS.replace("heads != 0", "heads >= 0")
    solution(course, "survivors.toml").write_text(SURVIVORS + stale)
    code, printed = mutate()
    assert code == 1
    assert "lists one that does not survive, in share: if heads >= 0:" in printed


def test_too_many_survivors_are_too_many_even_where_they_are_listed(course: Course, mutate: Run) -> None:
    """Without its hidden tests of nobody and of debts, the suite lets a good deal pass."""
    solution(course, "test_shares_hidden.py").write_text(without_last(without_last(HIDDEN)))
    code, printed = mutate()
    assert code == 1
    assert "% of the mutants are caught, 95% are due" in printed


def test_a_broken_list_is_an_error(course: Course, mutate: Run) -> None:
    solution(course, "survivors.toml").write_text(SURVIVORS[: SURVIVORS.index("reason")] + 'reason = " "')
    code, printed = mutate()
    assert code == 2
    assert "has no reason" in printed
