"""`assignment.toml` and the course's folders: what is wrong is named, with its file."""

from __future__ import annotations

import contextlib
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from autograder.manifest import Course, CourseError, read_manifest

GOOD = 'title = "T"\nmodule = "m.py"\n[[task]]\nid = "a"\ntitle = "A"\nsymbols = ["f"]\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "assignment.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("m.py", "../m.py"), "not a plain file name"),
        (('title = "T"', "title = 3"), "str"),
        (('title = "T"', 'titel = "T"'), "titel|title"),
        (('id = "a"', "id = "), "Invalid|invalid"),
        (('symbols = ["f"]', "symbols = []"), "names no symbols"),
        (('symbols = ["f"]', 'symbols = ["f", "f"]'), "more than one task"),
        (('module = "m.py"', 'module = "m.py"\nfiles = ["a/b"]'), "plain file names"),
        ((GOOD[GOOD.index("[[task]]") :], ""), "task"),
        (("m.py", "class.py"), "not a plain file name"),
        (('id = "a"', 'id = "a/../b"'), "task id"),
        (('id = "a"', 'id = "A b"'), "task id"),
        (('title = "A"', 'title = " "'), "empty title"),
        (('symbols = ["f"]', 'symbols = ["f()"]'), "no name in Python"),
        (('symbols = ["f"]', 'symbols = ["def"]'), "no name in Python"),
        (('symbols = ["f"]', 'symbols = ["f"]\nforbids = ["torch..softmax"]'), "forbids"),
        (('symbols = ["f"]', 'symbols = ["f"]\nhints = ["look", ""]'), "hint 2 is empty"),
        (('symbols = ["f"]', 'symbols = ["f"]\nhints = "look"'), "array"),
        (('module = "m.py"', 'module = "m.py"\nfiles = ["m.py"]'), "more than once"),
        (('module = "m.py"', 'module = "m.py"\nfiles = ["a\\u0000b"]'), "plain file names"),
        (('title = "T"', 'title = "T"\nx = ' + "[" * 100_000), "nested too deep|Invalid"),
        (('title = "T"', 'title = "T"\n#' + "x" * (1 << 18)), "larger than"),
        (('title = "T"', "title = " + "9" * 10_000), "Exceeds|str|int"),
    ],
)
def test_what_is_wrong_is_told_with_the_file(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    assert read_manifest(write(tmp_path, GOOD)).module == "m.py"
    assert change[0] in GOOD
    with pytest.raises(CourseError, match=told) as caught:
        read_manifest(write(tmp_path, GOOD.replace(*change)))
    assert "assignment.toml" in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (GOOD + text).encode()))
def test_any_bytes_are_a_manifest_or_a_course_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "assignment.toml"
    path.write_bytes(data)
    with contextlib.suppress(CourseError):
        read_manifest(path)


def test_a_course_is_found_from_any_folder_within(small_course: Course) -> None:
    assert Course.find(small_course.root / "solutions/99_numbers") == small_course
    assert small_course.assignment("numbers") == small_course.assignment("99_numbers")
    with pytest.raises(CourseError, match="99_numbers"):
        small_course.assignment("98_letters")


def test_outside_of_a_course_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="--course"):
        Course.find(tmp_path)


def test_a_task_id_is_taken_once_in_a_course(small_course: Course) -> None:
    second = small_course.root / "assignments/98_again"
    second.mkdir()
    (second / "assignment.toml").write_text((small_course.root / "assignments/99_numbers/assignment.toml").read_text())
    with pytest.raises(CourseError, match="'double' is taken by 98_again"):
        small_course.assignments()
