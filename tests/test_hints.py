"""`minigpt hint`: one at a time, remembered, read again, and what every hint of the course must be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.console import Console
from synthetic_course import make_course

from autograder.hints import MEMORY, hint, show_hint
from autograder.manifest import Course, CourseError

REPOSITORY = Path(__file__).parents[1]
HINTS = ("Go through the numbers once.", "Add each to a sum.", "return sum(numbers)")
TOTAL = "def total(numbers):\n    return sum(numbers)\n\n\ndef mean(numbers):\n    return 0\n"


@pytest.fixture
def three(tmp_path: Path) -> Course:
    """The synthetic course, with three hints for `total` and none for `scaler`."""
    course = make_course(tmp_path / "course")
    manifest = course.assignment("sums").folder / "assignment.toml"
    text = manifest.read_text()
    manifest.write_text(text.replace('hints = ["Go through the numbers once."]', f"hints = {list(HINTS)}"))
    return course


def said(course: Course, name: str | None = "total", **how: object) -> str:
    console = Console(record=True, width=100, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    show_hint(course, name, console, **how)  # type: ignore[arg-type]
    return console.export_text()


def test_hints_come_one_by_one_and_the_last_one_says_so_and_stays(three: Course) -> None:
    told = [said(three) for _ in range(4)]
    for number, text in enumerate(HINTS, 1):
        assert f"Hint {number} of 3 for total" in told[number - 1] and text in told[number - 1]
    assert all("The next one: minigpt hint total" in each for each in told[:2])
    assert "This was the last hint for total" in told[2] and "--from 1" in told[2]
    assert told[3] == told[2]


def test_the_symbols_and_the_file_are_named(three: Course) -> None:
    assert said(three).startswith("Hint 1 of 3 for total (total and mean in sums.py):")


def test_each_task_is_remembered_by_itself(three: Course) -> None:
    manifest = three.assignment("sums").folder / "assignment.toml"
    manifest.write_text(manifest.read_text() + 'hints = ["a", "b"]\n')
    numbers = [found.number for name in ("total", "scaler", "total", "scaler") if (found := hint(three, name))]
    assert numbers == [1, 1, 2, 2]


def test_again_repeats_and_from_goes_back(three: Course) -> None:
    def numbers(*calls: dict[str, object]) -> list[int]:
        return [found.number for how in calls if (found := hint(three, "total", **how))]  # type: ignore[arg-type]

    assert numbers({"again": True}, {}, {"again": True}, {}) == [1, 2, 2, 3]
    assert numbers({"start": 1}, {"again": True}, {}) == [1, 1, 2]
    assert numbers({"start": 3}, {}) == [3, 3]


@pytest.mark.parametrize(
    ("name", "how", "told"),
    [
        ("total", {"start": 4}, "there is no hint 4"),
        ("total", {"start": 0}, "there is no hint 0"),
        ("total", {"start": 1, "again": True}, "do not go together"),
        ("scaler", {}, "has no hints: read its docstrings and assignments/01_sums/README.md"),
        ("nothing", {}, "there is no task 'nothing'; there are: total, scaler"),
    ],
)
def test_what_cannot_be_is_said_and_forgets_nothing(
    three: Course, name: str, how: dict[str, object], told: str
) -> None:
    hint(three, "total")
    with pytest.raises(CourseError, match=told):
        hint(three, name, **how)  # type: ignore[arg-type]
    found = hint(three, "total")
    assert found is not None and found.number == 2


def test_without_a_task_it_is_the_first_that_does_not_pass(three: Course) -> None:
    found = hint(three, None)
    assert found is not None and (found.task.id, found.number) == ("total", 1)
    three.assignment("sums").stub.write_text(TOTAL)
    with pytest.raises(CourseError, match="'scaler' has no hints"):
        hint(three, "01_sums")
    three.assignment("sums").stub.write_text(three.assignment("sums").reference.read_text())
    assert hint(three, None) is None
    assert "every visible test passes" in said(three, None)


@pytest.mark.parametrize("memory", [b"{", b'{"total": "three"}', b"[1]", b'{"total": -7}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_memory_begins_anew(three: Course, memory: bytes) -> None:
    path = three.root / MEMORY
    path.parent.mkdir()
    path.write_bytes(memory)
    assert [found.number for _ in range(2) if (found := hint(three, "total"))] == [1, 2]


def test_more_than_there_are_was_read_of_an_older_version(three: Course) -> None:
    path = three.root / MEMORY
    path.parent.mkdir()
    path.write_text('{"total": 12}')
    found = hint(three, "total")
    assert found is not None and found.number == 3


def test_where_nothing_can_be_written_it_says_so_and_how_to_go_on(three: Course) -> None:
    (three.root / ".minigpt").write_text("a file in the folder's place: nobody can write there, root neither")
    first, second = said(three), said(three, start=2)
    assert "Hint 1 of 3" in first and "minigpt hint total --from 2" in first
    assert "not remembered" in first
    assert "Hint 2 of 3" in second
    assert "Hint 1 of 3" in said(three)


def test_every_task_of_the_course_has_three_that_lead_on(course: Course) -> None:
    """Three each, none twice, and the last one names code: nobody is left with a riddle."""
    for assignment in course.assignments():
        for task in assignment.manifest.tasks:
            assert len(set(task.hints)) == 3, task.id
            assert all(text.strip() == text and text[-1] in '.?"' for text in task.hints), task.id
            assert any(sign in task.hints[-1] for sign in ("(", "=", "\\", "dim", "·")), task.id
            assert len(task.hints[0]) < 500, task.id
