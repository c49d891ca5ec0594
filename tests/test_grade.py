"""Grading a class: everybody gets what they earned, nobody disturbs anybody, and every file says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autograder.class_report import write_reports
from autograder.grade import Settings, grade_class
from autograder.jail.isolation import choose
from autograder.manifest import Course, CourseError
from autograder.result import Record, read_result

REFERENCE_POINTS = 10


def write_class(course: Course, sources: dict[str, str | bytes]) -> Path:
    root = course.root / "submissions"
    for student, source in sources.items():
        target = root / student / "99_numbers/numbers_.py"
        target.parent.mkdir(parents=True)
        target.write_bytes(source if isinstance(source, bytes) else source.encode())
    return root


def grade(course: Course, submissions: Path, out: str = "out", **changes: Any) -> dict[str, Record]:
    settings = Settings(
        course=course.root,
        submissions=submissions,
        out=course.root / out,
        assignments=("99_numbers",),
        **{"seed": 7, "tier": choose("auto"), "train_steps": 0, **changes},
    )
    records, _ = grade_class(settings)
    write_reports(settings.out, records)
    return {record.result.student: record for record in records}


def reference(course: Course) -> str:
    return course.assignment("99_numbers").reference.read_text()


def test_everybody_gets_what_they_earned(small_course: Course) -> None:
    right = reference(small_course)
    cheat = "import sys, os, atexit\natexit.register(os._exit, 0)\n"
    sources: dict[str, str | bytes] = {
        "complete": right,
        "half": right.replace("return x + x", "raise NotImplementedError"),
        "wrong": right.replace("return x + x", "return x + 2"),
        "exits": "import os\nos._exit(0)\n",
        "exits_later": right.replace("return x + x", "import os; os._exit(0)"),
        "always_equal": cheat + "class Yes:\n    def __eq__(self, other): return True\n    __ne__ = __lt__ = __eq__\n"
        "    def __bool__(self): return True\ndef double(x): return Yes()\nclass Counter:\n    count = Yes()\n    def add(self, n): return Yes()\n",
        "patches": right.replace(
            "return x + x", "import _pytest.runner, autograder.testing as t\n    t.close = print\n    return x"
        ),
        "endless": right.replace("return self.count", "while True: pass"),
        "empty": "",
        "syntax": "def double(:\n",
        "latin": "name = 'é'".encode("latin-1"),
        "nul": b"\0\0",
        "raises": "raise RuntimeError('no')",
        "forbidden": right.replace("return x + x", "return torch.mul(x, 2)"),
    }
    records = grade(small_course, write_class(small_course, sources))
    scores = {student: record.result.score for student, record in records.items()}
    assert scores == {
        "complete": 10,
        "half": 4,
        "wrong": 4,
        "exits": 0,
        "exits_later": 4,
        "always_equal": 0,
        "patches": 0,
        "endless": 6,
        "empty": 0,
        "syntax": 0,
        "latin": 0,
        "nul": 0,
        "raises": 0,
        "forbidden": 4,
    }
    assert all(record.result.status == "graded" for record in records.values())


def test_nobody_is_disturbed_by_the_others(small_course: Course) -> None:
    right = reference(small_course)
    alone = write_class(small_course, {"m_honest": right})
    grade(small_course, alone, out="alone")
    for name, source in {
        "a_hostile": "import os\nos._exit(0)\n",
        "l_hostile": right.replace("return x + x", "while True: pass"),
        "n_hostile": "import torch\ntorch.Tensor.__add__ = None\n" + right,
    }.items():
        target = alone / name / "99_numbers/numbers_.py"
        target.parent.mkdir(parents=True)
        target.write_text(source)
    grade(small_course, alone, out="together", jobs=2)
    path = "m_honest/99_numbers/result.json"
    assert (small_course.root / "alone" / path).read_bytes() == (small_course.root / "together" / path).read_bytes()


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_jobs(small_course: Course) -> None:
    right = reference(small_course)
    submissions = write_class(small_course, {"ada": right, "ben": right.replace("x + x", "x"), "cy": ""})
    grade(small_course, submissions, out="one", jobs=1)
    grade(small_course, submissions, out="two", jobs=2)
    for name in ("result.json", "feedback.json"):
        for student in ("ada", "ben", "cy"):
            path = f"{student}/99_numbers/{name}"
            assert (small_course.root / "one" / path).read_bytes() == (small_course.root / "two" / path).read_bytes()


def test_result_json_holds_what_the_contract_says(small_course: Course) -> None:
    grade(small_course, write_class(small_course, {"ada": reference(small_course).replace("x + x", "x + 2")}))
    path = small_course.root / "out/ada/99_numbers/result.json"
    found = json.loads(path.read_text())
    assert list(found) == [
        "schema", "student", "assignment", "seed", "isolation", "status", "score", "max_score",
        "source_sha256", "suite_sha256", "tasks",
    ]  # fmt: skip
    assert (found["schema"], found["seed"], found["score"], found["max_score"]) == ("minigpt/result/v1", 7, 4, 10)
    double, counter = found["tasks"]
    assert (double["id"], double["score"], double["max_score"], double["passed"]) == ("double", 0, 6, False)
    assert (counter["score"], counter["passed"]) == (4, True)
    assert double["tests"][0] == {
        "id": "test_doubles", "visibility": "visible", "status": "failed", "score": 0, "max_score": 2,
        "hint": "Add x to itself.", "title": "Every element is doubled.",
    }  # fmt: skip
    assert read_result(path).tasks[0].tests[0].status == "failed"


def test_a_hidden_test_shows_its_title_and_hint_and_nothing_else(small_course: Course) -> None:
    leaky = reference(small_course).replace("return x + x", "raise ValueError(f'got {x!r}')")
    submissions = write_class(small_course, {"ada": leaky})
    records = grade(small_course, submissions)
    assert "test_doubles" in records["ada"].feedback.messages
    assert "test_doubles_nothing" not in records["ada"].feedback.messages
    everything = b"".join(path.read_bytes() for path in (small_course.root / "out").rglob("*") if path.is_file())
    assert b"secret-input-7391" not in everything
    assert b"What is twice nothing?" in everything


def test_whoever_hands_in_nothing_is_missing_with_0_points(small_course: Course) -> None:
    submissions = write_class(small_course, {"ada": reference(small_course)})
    (submissions / "ben").mkdir()
    (submissions / "cy/99_numbers").mkdir(parents=True)
    (submissions / "cy/99_numbers/numbers_.py").symlink_to("/etc/passwd")
    records = grade(small_course, submissions)
    ben, cy = records["ben"].result, records["cy"].result
    assert (ben.status, ben.score, ben.max_score, ben.message) == ("missing", 0, 10, "there is no numbers_.py")
    assert (cy.status, cy.score) == ("missing", 0)
    assert "symbolic link" in str(cy.message)


def test_an_old_result_does_not_outlive_a_grader_error(small_course: Course) -> None:
    submissions = write_class(small_course, {"ada": reference(small_course)})
    assert grade(small_course, submissions)["ada"].result.score == REFERENCE_POINTS
    hidden = small_course.assignment("99_numbers").hidden_tests
    dark = "from autograder.outcome import GraderFault\n    raise GraderFault('the lights went out')"
    hidden.write_text(hidden.read_text().replace("counter = student.Counter()", dark))
    record = grade(small_course, submissions)["ada"]
    assert record.result.status == "grader_error"
    found = json.loads((small_course.root / "out/ada/99_numbers/result.json").read_text())
    assert "score" not in found
    assert "the lights went out" in found["message"]
    assert "ada,99_numbers,grader_error,," in (small_course.root / "out/grades.csv").read_text()


def test_without_hidden_tests_only_visible_points_count(small_course: Course) -> None:
    submissions = write_class(small_course, {"ada": reference(small_course)})
    result = grade(small_course, submissions, hidden=False)["ada"].result
    assert (result.score, result.max_score) == (3, 3)


@pytest.mark.parametrize("layout", ["assignments/99_numbers"])
def test_clones_of_student_repositories_are_graded_too(small_course: Course, layout: str) -> None:
    target = small_course.root / "clones/ada" / layout / "numbers_.py"
    target.parent.mkdir(parents=True)
    target.write_text(reference(small_course))
    (target.parent / "conftest.py").write_text("raise SystemExit")
    record = grade(small_course, small_course.root / "clones")["ada"]
    assert record.result.score == REFERENCE_POINTS
    assert record.feedback.notices == ("ignored, not part of the submission: conftest.py",)


@pytest.mark.parametrize("out", ["submissions", "submissions/graded"])
def test_results_do_not_lie_among_the_submissions(small_course: Course, out: str) -> None:
    """They would be graded as a student's the next time."""
    submissions = write_class(small_course, {"ada": reference(small_course)})
    with pytest.raises(CourseError, match=r"--out .* is inside of .*: name a folder outside of it"):
        grade(small_course, submissions, out)
    assert [path.name for path in submissions.iterdir()] == ["ada"]


def test_nobody_else_writes_before_the_reports_are_there(small_course: Course) -> None:
    """And a new folder of results is its owner's alone."""
    submissions = write_class(small_course, {"ada": reference(small_course)})
    told: list[str] = []

    def meanwhile(records: list[Record]) -> None:
        assert [record.result.student for record in records] == ["ada"]
        with pytest.raises(CourseError, match="another minigpt grade is writing"):
            grade(small_course, submissions, seed=8)
        told.append("refused")

    settings = Settings(
        small_course.root, submissions, small_course.root / "out", ("99_numbers",), 7, choose("auto"), train_steps=0
    )
    grade_class(settings, at_end=meanwhile)
    assert told == ["refused"]
    assert read_result(settings.out / "ada/99_numbers/result.json").seed == 7
    assert settings.out.stat().st_mode & 0o077 == 0
