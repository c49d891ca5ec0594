"""`check_task`, as a cell of a lab notebook calls it."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import pytest
import torch
from synthetic_course import make_assignment

from autograder.lab import check_task
from autograder.manifest import Assignment, Course, CourseError

RIGHT = "scaled = [self.factor * number for number in checked]"


@pytest.fixture
def assignment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assignment:
    """A course whose student has written everything, in whose assignment's folder we are."""
    made = make_assignment(tmp_path / "course")
    shutil.copyfile(made.reference, made.stub)
    monkeypatch.chdir(made.folder)
    return made


def edit(path: Path, old: str, new: str) -> None:
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new))


def test_one_line_says_how_many_points_and_nothing_comes_back(
    assignment: Assignment, capfd: pytest.CaptureFixture[str]
) -> None:
    assert check_task("scaler") is None
    assert capfd.readouterr() == ("scaler: 3 of 3 points in the visible tests\n", "")


def test_a_failure_tells_property_message_and_no_traceback(
    assignment: Assignment, capfd: pytest.CaptureFixture[str]
) -> None:
    edit(assignment.stub, RIGHT, "scaled = [number for number in checked]")
    with pytest.raises(AssertionError) as failure:
        check_task("scaler")
    assert str(failure.value).splitlines() == [
        "scaler: 0 of 3 points in the visible tests",
        "  A scaler of 2 doubles.",
        "  another value than was expected",
        "  more: minigpt hint scaler",
    ]
    assert failure.value._render_traceback_() == str(failure.value).splitlines()  # IPython asks for it
    assert capfd.readouterr() == ("", "")


def test_the_stub_is_told_to_be_not_written_yet(assignment: Assignment) -> None:
    edit(assignment.stub, assignment.stub.read_text(), "def total(numbers):\n    raise NotImplementedError()\n")
    with pytest.raises(AssertionError, match="total: 0 of 2 points.*\n  not written yet: total and mean in sums.py"):
        check_task("total")


def test_each_call_reads_the_module_anew_and_the_notebook_keeps_its_own(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(assignment.folder)
    monkeypatch.setitem(sys.modules, "sums", None)  # away with it afterwards
    del sys.modules["sums"]
    mine = importlib.import_module("sums")
    edit(assignment.stub, RIGHT, "scaled = checked")
    with pytest.raises(AssertionError):
        check_task("scaler")
    edit(assignment.stub, "scaled = checked", RIGHT)
    check_task("scaler")
    assert sys.modules["sums"] is mine
    importlib.reload(mine)  # refuses a module that is not the one in sys.modules


def test_a_module_that_the_notebook_did_not_import_is_not_there_afterwards(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sums", raising=False)
    check_task("total")
    assert "sums" not in sys.modules


def test_what_the_student_prints_and_warns_stays_out(assignment: Assignment, capfd: pytest.CaptureFixture[str]) -> None:
    """nbgrader gives no points to a cell that wrote to stderr."""
    edit(assignment.stub, "import math\n", "import math\nimport sys\nprint('out')\nprint('err', file=sys.stderr)\n")
    edit(assignment.stub, RIGHT, f"print('scaling', file=sys.stderr)\n        {RIGHT}")
    check_task("scaler")
    assert capfd.readouterr() == ("scaler: 3 of 3 points in the visible tests\n", "")


def test_the_notebooks_random_numbers_go_on_as_if_nothing_had_run(assignment: Assignment) -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    check_task("scaler")
    assert torch.equal(torch.rand(2), expected)


def test_outside_of_the_assignments_folder_the_module_beside_the_notebook_counts(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nbgrader grades in a folder of its own, autograded/STUDENT/ASSIGNMENT."""
    graded = assignment.folder.parents[1] / "autograded/ada/01_sums"
    graded.mkdir(parents=True)
    monkeypatch.chdir(graded)
    check_task("scaler")  # no module here: the assignment's
    shutil.copyfile(assignment.stub, graded / "sums.py")
    edit(graded / "sums.py", RIGHT, "scaled = checked")
    with pytest.raises(AssertionError, match="another value"):
        check_task("scaler")


def test_an_unknown_task_is_told_with_those_that_there_are(assignment: Assignment) -> None:
    with pytest.raises(CourseError, match="no task 'softmax' in 01_sums; there are: total, scaler"):
        check_task("softmax")


def test_a_folder_without_a_course_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CourseError, match="not inside a course"):
        check_task("total")


# --- an assignment's folder without a course around it ---------------------------------------------------------------


@pytest.fixture
def alone(assignment: Assignment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As JupyterLab's assignment list fetches it, and as nbgrader grades it."""
    folder = Path(shutil.copytree(assignment.folder, tmp_path / "home/minigpt/01_sums"))
    monkeypatch.chdir(folder)
    return folder


def test_a_folder_that_stands_alone_is_checked_by_its_own_tests(alone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check_task("scaler")
    assert capfd.readouterr() == ("scaler: 3 of 3 points in the visible tests\n", "")
    edit(alone / "sums.py", RIGHT, "scaled = checked")
    with pytest.raises(AssertionError, match="0 of 3 points"):
        check_task("scaler")
    with pytest.raises(CourseError, match="no task 'softmax' in 01_sums; there are: total, scaler"):
        check_task("softmax")


def test_a_broken_manifest_of_such_a_folder_is_named(alone: Path) -> None:
    (alone / "assignment.toml").write_text("title = 3")
    with pytest.raises(CourseError, match=r"01_sums/assignment\.toml"):
        check_task("scaler")


def test_a_course_around_the_folder_comes_first(assignment: Assignment, alone: Path) -> None:
    assert Course.find(assignment.folder) == Course(assignment.folder.parents[1])
    assert Course.find(alone) == Course(alone, alone=True)
    assert [each.name for each in Course.find(alone).assignments()] == ["01_sums"]
    with pytest.raises(CourseError, match="not inside a course"):
        Course.find(alone.parent)
