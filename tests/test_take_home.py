"""`minigpt assemble`: a folder that trains and writes without the grader, with the student's own file in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.manifest import Course, CourseError
from autograder.take_home import take_home

REPOSITORY = Path(__file__).parents[1]
BROKEN = "\n\ndef merge_heads(x):\n    return x\n"


@pytest.fixture
def mine(course: Course, tmp_path: Path) -> Course:
    """A student's copy with 04_attention done."""
    root = tmp_path / "repository"
    shutil.copytree(REPOSITORY / "assignments", root / "assignments")
    shutil.copy(course.assignment("04_attention").reference, root / "assignments/04_attention/attention.py")
    return Course(root)


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m minigpt` in that folder, in an interpreter that refuses to import the grader and its data sets."""
    program = (
        "import sys, runpy\n"
        "for name in ('autograder', 'datasets'): sys.modules[name] = None\n"
        "sys.argv[0] = 'minigpt'\n"
        "runpy.run_module('minigpt', run_name='__main__', alter_sys=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_trains_and_writes_without_the_grader(mine: Course, tmp_path: Path) -> None:
    target = tmp_path / "take-home"
    parts = take_home(mine, None, target)
    assert [slot for slot, whose in parts.items() if whose == "own"] == ["attention"]
    stub = mine.assignment("04_attention").stub
    assert (target / "minigpt/own/attention.py").read_bytes() == stub.read_bytes()
    trained = alone(target, "train", "--steps", "3")
    assert trained.returncode == 0, trained.stderr
    assert "validation loss" in trained.stdout
    assert '"own": [\n   "attention"' in (target / "run/run.json").read_text()
    assert alone(target, "sample", "Leo", "--tokens", "5", "--seed", "1").stdout.startswith("Leo")


def test_the_students_code_is_what_runs(mine: Course, tmp_path: Path) -> None:
    stub = mine.assignment("04_attention").stub
    stub.write_text(stub.read_text() + "\nprint('my own attention is here')\n")
    take_home(mine, None, tmp_path / "take-home")
    assert "my own attention is here" in alone(tmp_path / "take-home", "train", "--steps", "1").stdout


def test_provenance_says_whose_each_part_is(mine: Course, tmp_path: Path) -> None:
    take_home(mine, None, tmp_path / "take-home")
    found = json.loads((tmp_path / "take-home/PROVENANCE.json").read_text())
    assert found["schema"] == "minigpt/provenance/v1"
    assert (found["parts"]["attention"], found["parts"]["optimizer"]) == ("own", "library")
    assert found["sources"]["minigpt/own/attention.py"]["tests"] == "visible"


def test_a_part_that_does_not_pass_is_the_librarys(mine: Course, tmp_path: Path) -> None:
    stub = mine.assignment("04_attention").stub
    stub.write_text(stub.read_text() + BROKEN)
    assert set(take_home(mine, None, tmp_path / "take-home").values()) == {"library"}
    assert sorted(path.name for path in (tmp_path / "take-home/minigpt/own").iterdir()) == ["__init__.py"]
    assert alone(tmp_path / "take-home", "train", "--steps", "1").returncode == 0


def test_somebody_elses_submission_is_tried_in_a_jail_with_all_tests(course: Course, tmp_path: Path) -> None:
    module = tmp_path / "class/ada/04_attention/attention.py"
    module.parent.mkdir(parents=True)
    proof = tmp_path / "ran-outside"
    reference = course.assignment("04_attention").reference.read_text()
    module.write_text(reference + f"\ntry:\n    open({str(proof)!r}, 'w')\nexcept OSError:\n    pass\n")
    parts = take_home(course, tmp_path / "class/ada", tmp_path / "take-home")
    assert parts["attention"] == "own"
    assert not proof.exists()
    found = json.loads((tmp_path / "take-home/PROVENANCE.json").read_text())
    assert found["sources"]["minigpt/own/attention.py"]["tests"] == "visible and hidden"


def test_a_folder_with_something_in_it_is_left_alone(mine: Course, tmp_path: Path) -> None:
    (tmp_path / "take-home").mkdir()
    (tmp_path / "take-home/diary.txt").write_text("mine")
    with pytest.raises(CourseError, match="is not empty"):
        take_home(mine, None, tmp_path / "take-home")
    assert [path.name for path in (tmp_path / "take-home").iterdir()] == ["diary.txt"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".take-home")]
