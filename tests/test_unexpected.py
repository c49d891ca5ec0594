"""What `minigpt` says of an error that nobody foresaw: where it is, what to do, and no traceback but on request."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import pytest

from autograder.cli import main
from autograder.lab import check_task
from autograder.manifest import Course, CourseError
from autograder.minigpt.library import library_parts
from autograder.minigpt.run import run_training
from autograder.minigpt.train import Preset, TrainConfig

WRONG_AT_WIDTH_64 = """

_forward = CausalSelfAttention.forward


def forward(self, x, **more):
    if x.shape[-1] == 64:
        return x @ x
    return _forward(self, x, **more)


CausalSelfAttention.forward = forward
"""


@pytest.fixture
def repository(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A student's, of one assignment, whose tests all pass; the code is wrong where none of them looks."""
    folder = tmp_path / "assignments/04_attention"
    shutil.copytree(course.root / "assignments/04_attention", folder)
    module = folder / "attention.py"
    module.write_text(course.assignment("04_attention").reference.read_text() + WRONG_AT_WIDTH_64)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIGPT_TRACEBACK", raising=False)
    return tmp_path


def ended(*arguments: str) -> int:
    """The exit code of `minigpt` with these arguments."""
    before = sys.argv
    sys.argv = ["minigpt", *arguments]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    raise AssertionError("a command ends with an exit code")


def test_an_error_in_ones_own_code_is_told_by_its_line(
    repository: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended("train", "--steps", "1", "--out", "runs/a") == 1
    told = capfd.readouterr().err
    assert told.startswith("minigpt: RuntimeError: ")
    assert f"in forward, line {line_of('return x @ x')} of {repository}/assignments/04_attention/attention.py" in told
    assert "return x @ x" in told and "Try: minigpt check 04_attention" in told
    assert "Traceback" not in told and "site-packages" not in told
    monkeypatch.setenv("MINIGPT_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        ended("train", "--steps", "1", "--out", "runs/b")


def line_of(text: str) -> int:
    lines = Path("assignments/04_attention/attention.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip() == text)


def test_a_sentence_that_comes_from_ones_own_code_says_so(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    module = Path("assignments/04_attention/attention.py")
    module.write_text(module.read_text().replace("return x @ x", "raise ValueError('not this width')"))
    assert ended("train", "--steps", "1") == 2
    told = capfd.readouterr().err
    assert told.startswith("minigpt: not this width\n(in forward, line ")


def test_an_error_of_the_tools_is_nobodys_fault_and_says_what_to_report(
    repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A description of a run that was written by hand, as nobody thought of."""
    small = Preset({"context_length": 4, "d_model": 8, "n_heads": 2}, TrainConfig(steps=0, warmup_steps=0))
    run_training("runs/minigpt", "ab" * 50, "ab" * 50, small, library_parts(), quiet=True, picture=False)
    description = Path("runs/minigpt/run.json")
    description.write_text(json.dumps({**json.loads(description.read_text()), "provenance": {"own": 3}}))
    assert ended("sample", "a") == 1
    told = capfd.readouterr().err
    assert (
        "something went wrong in the course's own tools: TypeError: 'int' object is not iterable (writing.py, " in told
    )
    assert "It is not your fault" in told and "MINIGPT_TRACEBACK=1" in told
    assert "Traceback" not in told
    description.write_text("[1]")
    assert ended("sample", "a") == 2
    assert "is not the description of a run" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("return x @ x", "return x @", "attention.py cannot be imported: SyntaxError: invalid syntax, line "),
        ("_forward = ", "nothing = zzz\n_forward = ", "NameError: name 'zzz' is not defined, line "),
        (
            "CausalSelfAttention.forward = forward",
            "del KVCache",
            "has no KVCache any more: write it as the stub has it",
        ),
    ],
)
def test_a_model_whose_parts_broke_since_says_which_file(
    repository: Path, capfd: pytest.CaptureFixture[str], old: str, new: str, told: str
) -> None:
    Path("runs/minigpt").mkdir(parents=True)
    known = {"schema": "minigpt/run/v1", "config": {}, "training": {}, "text_sha256": "", "vocabulary": "ab"}
    Path("runs/minigpt/run.json").write_text(json.dumps({**known, "provenance": {"own": ["attention"]}}))
    module = Path("assignments/04_attention/attention.py")
    module.write_text(module.read_text().replace(old, new))
    assert ended("sample", "a") == 2
    said = capfd.readouterr().err
    assert told in said and "Traceback" not in said


def test_what_the_system_refuses_is_told_with_the_file(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("notes").write_text("a file, not a folder")
    assert ended("assemble", "--out", "notes/mine") == 1
    told = capfd.readouterr().err
    assert told.startswith(f"minigpt: the system refused: File exists ({repository}/notes)")


def test_a_broken_test_file_is_told_without_the_way_through_pytest(
    repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tests = Path("assignments/04_attention/test_attention.py")
    tests.write_text(tests.read_text() + "def broken(:\n")
    assert ended("check") == 1
    told = capfd.readouterr().err
    assert "test_attention.py" in told and "SyntaxError: invalid syntax" in told
    assert "take them as they were handed out" in told
    assert "_pytest" not in told and "importtestmodule" not in told


def test_a_sign_that_the_terminal_lacks_is_no_reason_to_stop(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third hint of `count` has a middle dot, which ASCII does not know."""
    shutil.copytree(course.root / "assignments/05_transformer", tmp_path / "assignments/05_transformer")
    monkeypatch.chdir(tmp_path)
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert [ended("hint", "count") for _ in range(3)] == [0, 0, 0]
    sys.stdout.flush()
    assert b"4 ? d ? (d + bias)" in b" ".join(written.getvalue().split())


def test_a_notebook_shows_the_sentence_alone(repository: Path) -> None:
    with pytest.raises(CourseError) as wrong:
        check_task("sofmax")
    (line,) = wrong.value._render_traceback_()  # IPython asks for it
    assert line.startswith("minigpt: there is no task 'sofmax'") and "softmax" in line


def test_a_folder_that_is_not_there_is_no_submission(course: Course, capfd: pytest.CaptureFixture[str]) -> None:
    assert ended("assemble", "nobody", "--out", "x", "--course", str(course.root)) == 2
    assert "nobody is not a folder" in capfd.readouterr().err
    assert not Path("x").exists()
