"""Rosters: what a class list may look like, whose clone is whose, and a class of real repositories graded by it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from autograder.class_report import write_reports
from autograder.grade import Settings, grade_class
from autograder.jail.isolation import choose
from autograder.manifest import Course, CourseError
from autograder.result import Record
from autograder.roster import Class, find_class, read_roster

HEADER = '"identifier","github_username","github_id","name"\n'


def roster_file(folder: Path, *rows: tuple[str, str], name: str = "classroom_roster.csv") -> Path:
    path = folder / name
    path.write_text(HEADER + "".join(f'"{student}","{user}","1234",""\n' for student, user in rows))
    return path


def whose(tmp_path: Path, folders: list[str], *rows: tuple[str, str]) -> Class:
    root = tmp_path / "attention-submissions"
    for folder in folders:
        (root / folder).mkdir(parents=True)
    return find_class(root, read_roster(roster_file(tmp_path, *rows)))


@pytest.mark.parametrize(
    "content",
    [
        b'"identifier","github_username","github_id","name"\n"ada@uni.example","ada-l","1",""\n"ben","","",""\n',
        b"\xef\xbb\xbfidentifier,github_username\r\nada@uni.example,ada-l\r\n\r\nben,\r\n",
        b"name;Identifier;github_username\n\"L; A\nda\";ada@uni.example; ada-l \nBen;ben;\n",
        b"username,first_name,identifier\nada-l,Ada,ada@uni.example\n,Ben,ben\n",
    ],
)  # fmt: skip
def test_a_roster_is_read_as_classrooms_and_spreadsheets_write_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(content)
    found = read_roster(path).students
    assert [(each.student, each.user_name) for each in found] == [("ada@uni.example", "ada-l"), ("ben", "")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (HEADER.encode(), "lists nobody"),
        (b"name,github_username\nAda,ada\n", "line 1: there is no column identifier; there are: name, github_username"),
        (b"identifier,login\nada,ada\n", "line 1: there is no column github_username"),
        (b"identifier,identifier,github_username\na,b,c\n", "2 columns identifier"),
        (b"identifier,github_username\n\n,ada\n", "line 3: the identifier is empty"),
        (b'identifier,github_username\n"Doe, Ada",ada\n', 'line 2: the identifier "Doe, Ada" cannot name a folder'),
        (b"identifier,github_username\nben,b\n../ada,ada\n", "line 3: the identifier"),
        (b"identifier,github_username\nGrades.csv,ada\n", "line 2: .*taken by the reports"),
        (b"identifier,github_username\n" + b"a" * 101 + b",ada\n", "line 2: .*more than 100 characters"),
        (b"identifier,github_username\nada,a\x1bda\n", r'line 2: "a\\x1bda" is no user name'),
        (b'identifier,github_username\n"x\ny",ada\n', "line 2"),
        (b"identifier,github_username\nada,a\nben,b\nADA,c\n", 'line 4: the identifier "ADA" is in line 2 already'),
        (b"identifier,github_username\nada,a\nben,A\n", 'line 3: the user name "A" is in line 2 already'),
        (b"identifier,github_username\nada,a,b\n", "line 2: 3 cells, where the header has 2"),
        (b'identifier,github_username\nada,"a\n', "line 2: not a row"),
        (b'identifier,github_username\n"ada"x,a\n', "line 2: not a row"),
        (b"identifier,github_username\nada,a\nb\xff,c\n", "line 3: not UTF-8"),
        (b"identifier,github_username\n" + b"a" * (5 << 20), "larger than 4 MB"),
    ],
)
def test_what_is_wrong_with_a_roster_is_told_with_the_line(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(content)
    with pytest.raises(CourseError, match=told) as caught:
        read_roster(path)
    assert "roster.csv" in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_roster_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.csv"):
        with pytest.raises(CourseError, match="cannot be read"):
            read_roster(path)


CELLS = some.text(some.sampled_from('ab-_@.,;\t"\r\n\0 é\x1b\ufeff'), max_size=9)
LINES = some.one_of(some.lists(CELLS, max_size=5).map(",".join), some.just("identifier,github_username"))


@settings(max_examples=150)
@given(
    content=some.one_of(some.binary(max_size=80), some.lists(LINES, max_size=6).map(lambda x: "\n".join(x).encode()))
)
def test_no_file_whatever_brings_the_reader_down(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    path.write_bytes(content)
    try:
        roster = read_roster(path)
    except CourseError as error:
        assert str(path) in str(error)
    else:
        assert roster.students and all(each.student for each in roster.students)


def test_folders_are_found_by_the_user_name_at_their_end_whatever_the_case(tmp_path: Path) -> None:
    found = whose(
        tmp_path,
        ["attention-ada-l", "attention-BEN", "cy"],
        ("ada@uni.example", "Ada-L"), ("b17", "ben"), ("c18", "cy"), ("d19", "dan"), ("e20", ""),
    )  # fmt: skip
    assert found.folders == {
        "ada@uni.example": "attention-ada-l", "b17": "attention-BEN", "c18": "cy", "d19": None, "e20": None,
    }  # fmt: skip
    assert found.refused == []
    assert found.absent == {
        "d19": "nothing was handed in: there is no folder of dan",
        "e20": "nothing was handed in: the roster has no GitHub user name here",
    }


def test_the_longest_name_that_fits_wins(tmp_path: Path) -> None:
    found = whose(tmp_path, ["hw-x-ada"], ("short", "ada"), ("long", "x-ada"))
    assert found.folders == {"short": None, "long": "hw-x-ada"}


def test_nobody_takes_anothers_clone_by_choosing_a_name_like_it(tmp_path: Path) -> None:
    """`attention-ada` is what ada's clone is called, as the others' show, though it is a user name as well."""
    rows = ("ada", "ada"), ("mallory", "attention-ada"), ("ben", "ben")
    found = whose(tmp_path, ["attention-ada", "attention-ben"], *rows)
    assert found.folders == {"ada": "attention-ada", "mallory": None, "ben": "attention-ben"}


def test_what_could_be_two_students_is_refused_and_neither_gets_a_zero(tmp_path: Path) -> None:
    rows = ("ada", "ada"), ("eve", "hw-ada"), ("ben", "ben"), ("cy", "cy")
    found = whose(tmp_path, ["hw-ada", "hw-ben", "cy"], *rows)
    assert found.folders == {"ben": "hw-ben", "cy": "cy"}
    assert found.refused == [
        "hw-ada: it could be the clone of hw-ada or ada: put clones of one assignment into a folder"
    ]


def test_folders_of_nobody_and_two_of_one_student_are_refused_by_name(tmp_path: Path) -> None:
    folders = ["hw1-ada", "hw2-ada", "hw1-zoe", "hw1-ada-1", "ada hw1-ben", "hw1ben"]
    found = whose(tmp_path, folders, ("ada", "ada"), ("ben", "ben"))
    assert found.folders == {}  # what is refused may be ada's and ben's: no 0 for either
    assert [reason.partition(":")[0] for reason in found.refused] == sorted(folders)
    assert "one of 2 folders of ada" in found.refused[1 if found.refused[0].startswith("ada ") else 0]
    assert "nobody's user name in" in next(reason for reason in found.refused if reason.startswith("hw1-zoe"))


def test_what_lies_beside_the_clones_by_habit_is_no_folder_of_a_student(tmp_path: Path) -> None:
    root = tmp_path / "submissions"
    (root / "hw-ada").mkdir(parents=True)
    (root / "scores.csv").write_text("username,score\n")
    path = roster_file(root, ("ada", "ada"))
    assert find_class(root, read_roster(path)).refused == []
    (root / "ada.zip").write_text("")
    assert find_class(root, read_roster(path)).refused == ["ada.zip: a file where a student's folder should be"]


# A class as `gh` clones it


def git(folder: Path, *arguments: str) -> None:
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    nothing_of_the_users = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    environment = os.environ | identity | nothing_of_the_users
    subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True)


def clone(root: Path, name: str, source: str | None) -> Path:
    """A student's repository of the course, with a commit in it."""
    folder = root / name
    module = folder / "assignments/99_numbers/numbers_.py"
    module.parent.mkdir(parents=True)
    if source is not None:
        module.write_text(source)
    (folder / "README.md").write_text("# The course\n")
    (folder / "autograder").mkdir()
    (folder / "autograder/__init__.py").write_text("raise SystemExit('a copy that must not be loaded')\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "my work")
    return folder


@pytest.fixture
def cloned_class(small_course: Course) -> Course:
    """Five on the roster: ada is right, ben half, cy has an empty repository, dan none, eve a hostile one. And zoe."""
    right = small_course.assignment("99_numbers").reference.read_text()
    root = small_course.root / "clones/numbers-submissions"
    clone(root, "numbers-ada-l", right)
    clone(root, "numbers-Ben", right.replace("x + x", "x + 2"))
    clone(root, "numbers-cy", None)
    clone(root, "numbers-zoe", right)
    hostile = clone(root, "numbers-eve", right)
    marker = small_course.root / "git-was-run"
    git(hostile, "config", "core.fsmonitor", f"touch {marker}")
    git(hostile, "config", "filter.x.smudge", f"touch {marker}")
    (hostile / ".gitattributes").write_text("* filter=x\n")
    (hostile / ".git/hooks/post-checkout").write_text(f"#!/bin/sh\ntouch {marker}\n")
    (hostile / ".git/hooks/post-checkout").chmod(0o755)
    rows = ("ada@uni.example", "ada-l"), ("b17", "ben"), ("c18", "cy"), ("d19", "dan"), ("e20", "eve")
    roster_file(small_course.root, *rows)
    return small_course


def by_roster(course: Course, out: str, **changes: Any) -> Settings:
    return Settings(
        course=course.root,
        submissions=course.root / "clones/numbers-submissions",
        out=course.root / out,
        assignments=("99_numbers",),
        **{
            "seed": 7,
            "tier": choose("auto"),
            "train_steps": 0,
            "roster": course.root / "classroom_roster.csv",
            **changes,
        },
    )


def test_clones_are_graded_under_the_rosters_names_and_no_git_runs(cloned_class: Course) -> None:
    records, refused = grade_class(by_roster(cloned_class, "out"))
    points = {record.result.student: (record.result.status, record.result.score) for record in records}
    assert points == {
        "ada@uni.example": ("graded", 10), "b17": ("graded", 4), "c18": ("missing", 0), "d19": ("missing", 0),
        "e20": ("graded", 10),
    }  # fmt: skip
    assert records[2].result.message == "there is no numbers_.py"
    assert records[3].result.message == "nothing was handed in: there is no folder of dan"
    assert refused == [
        f"numbers-zoe: the end of its name is nobody's user name in {cloned_class.root}/classroom_roster.csv"
    ]
    assert not (cloned_class.root / "git-was-run").exists()
    write_reports(cloned_class.root / "out", records)
    stored = json.loads((cloned_class.root / "out/b17/99_numbers/result.json").read_text())
    assert (stored["student"], stored["score"]) == ("b17", 4)
    assert "d19,99_numbers,missing,0,10" in (cloned_class.root / "out/grades.csv").read_text()
    assert not list(cloned_class.root.glob("out/numbers-*"))


def test_a_class_by_roster_goes_on_where_it_was_and_two_jobs_give_the_same(cloned_class: Course) -> None:
    fresh: list[str] = []

    def graded_anew(**changes: Any) -> list[str]:
        fresh.clear()
        grade_class(by_roster(cloned_class, "out", **changes), on_record=note)
        return sorted(fresh)

    def note(record: Record) -> None:
        fresh.append(record.result.student)

    assert graded_anew(jobs=2) == ["ada@uni.example", "b17", "c18", "d19", "e20"]
    assert graded_anew(jobs=2) == []
    grade_class(by_roster(cloned_class, "alone"))
    for path in cloned_class.root.glob("out/*/99_numbers/[fr]e*.json"):
        assert (
            path.read_bytes()
            == (cloned_class.root / "alone" / path.relative_to(cloned_class.root / "out")).read_bytes()
        )

    clones = cloned_class.root / "clones/numbers-submissions"
    clone(clones, "numbers-dan", cloned_class.assignment("99_numbers").reference.read_text())
    (clones / "numbers-Ben").rename(clones / "Ben")  # the same work in another folder
    assert graded_anew() == ["d19"]


def test_a_bad_roster_is_told_before_anything_is_written(cloned_class: Course) -> None:
    (cloned_class.root / "classroom_roster.csv").write_text(HEADER + '"Doe, Ada","ada-l","",""\n')
    with pytest.raises(CourseError, match="line 2"):
        grade_class(by_roster(cloned_class, "out"))
    assert not (cloned_class.root / "out").exists()


def test_the_folder_above_the_clones_is_told_with_the_right_one(cloned_class: Course) -> None:
    above = replace(by_roster(cloned_class, "out"), submissions=cloned_class.root / "clones")
    with pytest.raises(CourseError, match=r"only holds numbers-submissions, .*: grade that folder"):
        grade_class(above)
    with pytest.raises(CourseError, match="only holds numbers-submissions"):
        find_class(above.submissions, None)
