"""The command `minigpt`, as a process: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.manifest import Course

REPOSITORY = Path(__file__).parents[1]
COMMAND = Path(sys.executable).parent / "minigpt"


def minigpt(*arguments: str | Path, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [COMMAND, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def shipped(small_course: Course) -> Course:
    """The small course as a student has it: with a stub, without solutions."""
    assignment = small_course.assignment("99_numbers")
    reference = assignment.reference.read_text()
    stub = reference.replace("return x + x", "raise NotImplementedError").replace(
        "self.count +=", "raise NotImplementedError #"
    )
    assignment.stub.write_text(stub)
    shutil.rmtree(small_course.root / "solutions")
    return small_course


def write(course: Course, change: tuple[str, str]) -> None:
    stub = course.assignment("99_numbers").stub
    stub.write_text(stub.read_text().replace(*change))


def test_check_of_an_untouched_stub_says_what_to_do_and_exits_1(shipped: Course) -> None:
    result = minigpt("check", "99_numbers", cwd=shipped.root)
    assert result.returncode == 1
    assert "double: write double in numbers_.py." in result.stdout
    assert result.stdout.count("not started") == 2
    assert "0 of 3 points. Next: double." in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_check_tells_the_property_the_difference_and_the_hint(shipped: Course) -> None:
    write(shipped, ("    raise NotImplementedError\n    ### END", "    return x + 1\n    ### END"))
    result = minigpt("check", cwd=shipped.root)
    assert result.returncode == 1
    for line in (
        "double: Every element is doubled.",
        "values differ",
        "hint: Add x to itself.",
        "more: minigpt hint double",
    ):
        assert line in result.stdout


def test_check_without_the_module_says_that_it_is_missing(shipped: Course) -> None:
    shipped.assignment("99_numbers").stub.unlink()
    result = minigpt("check", cwd=shipped.root)
    assert result.returncode == 1
    assert "there is no numbers_.py" in result.stdout


def test_ctrl_c_ends_a_check_quietly(shipped: Course) -> None:
    loop = (
        "import os, signal\n"
        "def double(x):\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)  # in a background job it is ignored\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    while True: pass\n"
    )
    shipped.assignment("99_numbers").stub.write_text(loop)
    result = minigpt("check", "double", cwd=shipped.root)
    assert result.returncode == 130
    assert "pytest" not in result.stderr and "Traceback" not in result.stderr


def test_check_of_finished_work_exits_0(shipped: Course) -> None:
    write(shipped, ("    raise NotImplementedError\n    ### END", "    return x + x\n    ### END"))
    result = minigpt("check", "double", cwd=shipped.root)
    assert result.returncode == 0
    assert "2 of 2 points: all visible tests pass." in result.stdout
    assert "counter" not in result.stdout


def test_check_from_a_folder_within_the_course(shipped: Course) -> None:
    assert minigpt("check", "numbers", cwd=shipped.root / "assignments/99_numbers").returncode == 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def double(:\n", "cannot be imported: SyntaxError"),
        ("import torch\ndef double(x): return torch.mul(x, 2)\n", "torch.mul may not be used in this task (line 2)"),
        ("def twice(x): return x\n", "has no double"),
        ("double = 3\n", "must be a function, and is a int"),
        ("import sys\nsys.exit(0)\n", "cannot be imported"),
    ],
)
def test_check_of_broken_work_says_what_is_wrong(shipped: Course, source: str, told: str) -> None:
    shipped.assignment("99_numbers").stub.write_text(source)
    result = minigpt("check", "double", cwd=shipped.root)
    assert result.returncode == 1
    assert told in " ".join(result.stdout.split())
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check", "nothing"), "there is no assignment or task 'nothing'; there are: 99_numbers, double, counter"),
        (("check", "Doubel"), "there is no assignment or task 'Doubel': did you mean double?"),
        (("hint", "nothing"), "there is no task 'nothing'"),
        (("hint", "counter"), "has no hints"),
        (("release", "--to", "x"), "solutions"),
        (("grade", ".", "--out", "x", "--seed", "1"), "hidden tests are in the instructor's repository only"),
        (("grade", "nowhere", "--out", "x"), "nowhere is not a folder"),
        (("sample", "--run", "nowhere"), "minigpt train"),
        (("leaderboard",), "--preset speedrun"),
        (("train", "--preset", "enormous"), "there is no preset 'enormous'"),
        (("train", "--corpus", "nowhere.txt"), "nowhere.txt"),
    ],
)
def test_a_wrong_call_is_told_in_a_sentence_and_exits_2(shipped: Course, arguments: tuple[str, ...], told: str) -> None:
    result = minigpt(*arguments, cwd=shipped.root)
    assert result.returncode == 2
    assert told in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert not (shipped.root / "x").exists()


def test_outside_of_a_course(tmp_path: Path) -> None:
    result = minigpt("check", cwd=tmp_path)
    assert result.returncode == 2
    assert "is not inside a course" in result.stderr


def test_status_says_which_parts_are_own_and_what_is_next(course: Course, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    shutil.copytree(REPOSITORY / "assignments", root / "assignments")
    before = minigpt("status", cwd=root)
    assert before.returncode == 0
    assert before.stdout.startswith("0 of 22 parts")
    assert "next: chars" in before.stdout
    shutil.copy(course.assignment("04_attention").reference, root / "assignments/04_attention/attention.py")
    after = minigpt("status", cwd=root)
    assert after.stdout.startswith("1 of 22 parts")
    assert "█ attention █" in after.stdout and "· tokenizer ·" in after.stdout
    assert "32 of 32 points" in after.stdout
    assert "next: chars" in after.stdout


def test_hints_come_one_by_one_without_a_name_and_again(shipped: Course) -> None:
    """`double` is the first task that does not pass. What is remembered is in a file, so each call is a process."""
    told = [minigpt(*how, cwd=shipped.root).stdout for how in (("hint",), ("hint", "double"), ("hint", "--from", "1"))]
    assert [each.splitlines()[0] for each in told] == [
        "Hint 1 of 2 for double (double in numbers_.py):",
        "Hint 2 of 2 for double (double in numbers_.py):",
        "Hint 1 of 2 for double (double in numbers_.py):",
    ]
    assert "x + x" in told[1] and "This was the last hint for double." in told[1]


def test_doctor_names_the_jails() -> None:
    result = minigpt("doctor")
    assert result.returncode == 0
    assert "landlock: " in result.stdout
    assert "torch 2.13.0" in result.stdout


def test_grade_prints_the_class_and_writes_every_file(small_course: Course) -> None:
    right = small_course.assignment("99_numbers").reference.read_text()
    submissions = small_course.root / "submissions"
    for student, source in {"ada": right, "dan": "import os\nos._exit(0)\n"}.items():
        target = submissions / student / "99_numbers/numbers_.py"
        target.parent.mkdir(parents=True)
        target.write_text(source)
    (submissions / "not a name").mkdir()
    out = small_course.root / "out"
    result = minigpt("grade", submissions, "--out", out, "--train-steps", "0", "--seed", "3", cwd=small_course.root)
    assert result.returncode == 1, result.stderr  # a folder was refused: it has no result
    assert "refused: not a name" in result.stdout
    assert "10 of 10" in result.stdout
    rows = list(csv.DictReader((out / "grades.csv").open(newline="")))
    assert [(row["student"], row["score"], row["max_score"]) for row in rows] == [
        ("ada", "10", "10"),
        ("dan", "0", "10"),
    ]
    for name in (
        "index.html",
        "ada/index.html",
        "ada/99_numbers/result.json",
        "ada/99_numbers/timings.json",
        "dan/99_numbers/feedback.json",
    ):
        assert (out / name).is_file(), name
    shutil.rmtree(submissions / "not a name")
    assert minigpt("grade", submissions, "--out", out, "--train-steps", "0", cwd=small_course.root).returncode == 0


def test_without_a_jail_hidden_tests_run_only_when_forced(small_course: Course) -> None:
    target = small_course.root / "submissions/ada/99_numbers/numbers_.py"
    target.parent.mkdir(parents=True)
    target.write_text(small_course.assignment("99_numbers").reference.read_text())
    options = ("--out", "out", "--train-steps", "0", "--isolation", "none")
    open_to_all = minigpt("grade", "submissions", *options, cwd=small_course.root)
    assert "visible tests only" in open_to_all.stdout
    assert "3 of 3" in open_to_all.stdout
    forced = minigpt("grade", "submissions", *options, "--force", cwd=small_course.root)
    assert "10 of 10" in forced.stdout
    assert '"isolation": "none"' in (small_course.root / "out/ada/99_numbers/result.json").read_text()


def test_train_and_sample_with_library_parts(tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained = minigpt("train", "--out", run, "--steps", "20", "--library")
    assert trained.returncode == 0, trained.stderr
    assert "no model of this text can go below 0.125" in trained.stdout
    assert {"checkpoint.pt", "loss.csv", "loss.png", "run.json"} <= {path.name for path in run.iterdir()}
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    first, second = (minigpt("sample", "Leo", "--run", run, "--tokens", "40", "--seed", "1").stdout for _ in range(2))
    assert first == second
    assert first.startswith("Leo")
    again = minigpt("train", "--out", run, "--steps", "20", "--library")
    assert again.returncode == 2
    assert "holds a run already" in again.stderr


def test_a_trained_model_uses_the_parts_that_pass(course: Course, tmp_path: Path) -> None:
    """The whole way of a student: put the work in place, check, train with it, sample from it."""
    root = tmp_path / "repository"
    shutil.copytree(REPOSITORY / "assignments", root / "assignments")
    stub = root / "assignments/04_attention/attention.py"
    stub.write_text(course.assignment("04_attention").reference.read_text())
    assert minigpt("check", "04_attention", cwd=root).returncode == 0
    trained = minigpt("train", "--steps", "5", cwd=root)
    assert trained.returncode == 0, trained.stderr
    assert "your own parts: attention" in trained.stdout
    assert '"own": [' in (root / "runs/minigpt/run.json").read_text()
    assert minigpt("sample", "Leo", "--tokens", "5", "--seed", "1", cwd=root).stdout.startswith("Leo")
    stub.write_text(stub.read_text() + "\n\ndef merge_heads(x):\n    return x\n")
    assert minigpt("check", "04_attention", cwd=root).returncode == 1


def released(target: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`minigpt` of the released copy, with the released package and nothing of this repository's."""
    program = "import autograder, sys; print(autograder.__file__); from autograder.cli import main; main()"
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "PYTHONPATH": str(target)}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=target,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_way_of_a_student_in_a_released_repository(course: Course, tmp_path: Path) -> None:
    target = tmp_path / "students"
    assert minigpt("release", "--target", "student", "--to", target).returncode == 0
    untouched = released(target, "check", "04_attention")
    assert untouched.stdout.splitlines()[0] == str(target / "autograder/__init__.py")
    assert untouched.returncode == 1
    assert "softmax: write softmax in attention.py." in untouched.stdout
    assert "Next: softmax. Read assignments/04_attention/README.md" in untouched.stdout
    shutil.copy(course.assignment("04_attention").reference, target / "assignments/04_attention/attention.py")
    finished = released(target, "check", "04_attention")
    assert finished.returncode == 0
    assert "32 of 32 points: all visible tests pass." in finished.stdout
    assert released(target, "grade", ".", "--out", "x").returncode == 2  # there are no hidden tests to grade with
