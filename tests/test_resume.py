"""A grading that is stopped and started again: nothing is lost, torn, doubled or left over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from autograder.finished import kept, seed_for, writing
from autograder.grade import Settings, grade_class
from autograder.jail.isolation import choose
from autograder.manifest import Course, CourseError
from autograder.outcome import GraderFault
from autograder.spread import on_this_machine, spread

PATIENCE = 120.0
COUNT = 8


@pytest.fixture
def class_of_eight(small_course: Course) -> Course:
    """Every second submission is wrong in one task; each takes a moment, so that a kill falls in between."""
    right = small_course.assignment("99_numbers").reference.read_text()
    for index in range(COUNT):
        target = small_course.root / f"submissions/s{index}/99_numbers/numbers_.py"
        target.parent.mkdir(parents=True)
        target.write_text(right if index % 2 else right.replace("x + x", "x + 2"))
    return small_course


def settings(course: Course, out: str = "out", **changes: object) -> Settings:
    return Settings(
        course=course.root,
        submissions=course.root / "submissions",
        out=course.root / out,
        assignments=("99_numbers",),
        **{"seed": 7, "tier": choose("auto"), "train_steps": 0, **changes},  # type: ignore[arg-type]
    )


def graded_anew(wanted: Settings) -> list[str]:
    """Grades, and gives the students who were not found graded already."""
    fresh: list[str] = []
    grade_class(wanted, on_record=lambda record: fresh.append(record.result.student))
    return sorted(fresh)


EVERYBODY = [f"s{index}" for index in range(COUNT)]


def test_what_is_graded_stays_until_something_changes(class_of_eight: Course) -> None:
    root = class_of_eight.root
    assert graded_anew(settings(class_of_eight)) == EVERYBODY
    before = {path: (path.stat().st_ino, path.read_bytes()) for path in root.glob("out/*/99_numbers/*.json")}
    assert graded_anew(settings(class_of_eight)) == []
    assert {path: (path.stat().st_ino, path.read_bytes()) for path in before} == before

    (root / "submissions/s3/99_numbers/numbers_.py").write_text("# another\n")
    assert graded_anew(settings(class_of_eight)) == ["s3"]
    (root / "submissions/s4/99_numbers/conftest.py").write_text("")
    assert graded_anew(settings(class_of_eight)) == ["s4"]  # its notice is in the feedback
    (root / "submissions/s5/99_numbers/numbers_.py").unlink()
    assert graded_anew(settings(class_of_eight)) == ["s5"]
    assert json.loads((root / "out/s5/99_numbers/result.json").read_text())["status"] == "missing"

    assert graded_anew(settings(class_of_eight, seed=8)) == EVERYBODY
    hidden = class_of_eight.assignment("99_numbers").hidden_tests
    hidden.write_text(hidden.read_text() + "\n# another version\n")
    assert graded_anew(settings(class_of_eight, seed=8)) == EVERYBODY


def test_records_that_are_kept_are_the_same_as_new_ones(class_of_eight: Course) -> None:
    new, _ = grade_class(settings(class_of_eight))
    old, _ = grade_class(settings(class_of_eight))
    assert old == new


def test_a_file_that_is_not_as_it_was_written_is_made_anew(class_of_eight: Course) -> None:
    damage: dict[str, tuple[str, bytes | None]] = {
        "s0": ("99_numbers/result.json", b'{"schema": "minigpt/result/v1", "score": 10}'),
        "s1": ("99_numbers/result.json", b""),
        "s2": ("99_numbers/feedback.json", None),
        "s3": ("graded.json", b'{"key": '),
        "s4": ("graded.json", b"\xff"),
        "s5": ("graded.json", b"[]"),
        "s6": ("graded.json", None),
    }
    graded_anew(settings(class_of_eight))
    before = everything(class_of_eight, "out")
    for student, (name, content) in damage.items():
        path = class_of_eight.root / "out" / student / name
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
    assert graded_anew(settings(class_of_eight)) == sorted(damage)
    assert everything(class_of_eight, "out") == before


def test_what_the_grader_could_not_grade_is_tried_again(class_of_eight: Course) -> None:
    hidden = class_of_eight.assignment("99_numbers").hidden_tests
    flag = class_of_eight.root / "lights-out"
    dark = f"import os\n    from autograder.outcome import GraderFault\n    if os.path.exists({str(flag)!r}): raise GraderFault"
    hidden.write_text(
        hidden.read_text().replace("counter = student.Counter()", dark + "\n    counter = student.Counter()")
    )
    flag.touch()
    records, _ = grade_class(settings(class_of_eight))
    assert {record.result.status for record in records} == {"grader_error"}
    assert kept(class_of_eight.root / "out", "s0", "") is None
    flag.unlink()
    assert graded_anew(settings(class_of_eight)) == EVERYBODY


def test_the_seed_of_a_grading_is_drawn_once(tmp_path: Path) -> None:
    drawn = seed_for(tmp_path, None)
    with writing(tmp_path, drawn):
        pass
    assert [seed_for(tmp_path, None), seed_for(tmp_path, None), seed_for(tmp_path, 5)] == [drawn, drawn, 5]
    (tmp_path / "grading.json").write_text("{")
    assert seed_for(tmp_path, 5) == 5
    with pytest.raises(CourseError, match=r"grading.json.*--seed"):
        seed_for(tmp_path, None)


def test_two_gradings_never_write_into_the_same_folder(tmp_path: Path) -> None:
    with writing(tmp_path, 1), pytest.raises(CourseError, match="another minigpt grade"), writing(tmp_path, 1):
        pass


def test_a_full_disk_is_told_in_a_sentence_and_loses_nothing(class_of_eight: Course) -> None:
    """A folder where a file should go stands in for whatever keeps a file from being written."""
    graded_anew(settings(class_of_eight))
    path = class_of_eight.root / "out/s1/99_numbers/result.json"
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    with pytest.raises(GraderFault, match="cannot be written: .* what is graded is kept"):
        graded_anew(settings(class_of_eight))
    (path / "in the way").rmdir()
    path.rmdir()
    assert graded_anew(settings(class_of_eight)) == ["s1"]


# Real processes, killed


def grade_command(course: Course, out: str, *more: str) -> list[str]:
    return [
        str(Path(sys.executable).with_name("minigpt")), "grade", str(course.root / "submissions"),
        "--out", str(course.root / out), "--course", str(course.root), "--seed", "7", "--train-steps", "0", *more,
    ]  # fmt: skip


def wait_until(true: Callable[[], object], process: subprocess.Popen[bytes] | None = None) -> None:
    """Polls; gives up with an error where it never comes true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        assert process is None or process.poll() is None, "the process ended before it happened"
        time.sleep(0.01)


@contextlib.contextmanager
def started(command: list[str], temporary: Path) -> Iterator[subprocess.Popen[bytes]]:
    temporary.mkdir(exist_ok=True)
    temporary.chmod(0o711)
    process = subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(temporary)}, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def finished_students(course: Course, out: str) -> list[Path]:
    return sorted(course.root.glob(f"{out}/*/graded.json"))


def everything(course: Course, out: str) -> dict[str, bytes]:
    """All files but those with timings, and the books with their checksums."""
    root = course.root / out
    changing = {"timings.json", "graded.json"}
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name not in changing
    }


@pytest.mark.parametrize("jobs", ["2"])
def test_killed_and_started_again_it_ends_as_if_nothing_had_been(class_of_eight: Course, jobs: str) -> None:
    course, temporary = class_of_eight, class_of_eight.root / "tmp"
    assert (
        subprocess.run(grade_command(course, "undisturbed", "--jobs", jobs), stdout=subprocess.DEVNULL).returncode == 0
    )
    for already in (1, 4):
        with started(grade_command(course, "killed", "--jobs", jobs), temporary) as process:
            wait_until(lambda already=already: len(finished_students(course, "killed")) >= already, process)
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGKILL)
            process.wait()
            done = {path: path.stat().st_ino for path in finished_students(course, "killed")}
        wait_until(lambda family=family: not any(child.is_running() and child.status() != "zombie" for child in family))
    assert subprocess.run(grade_command(course, "killed", "--jobs", jobs), stdout=subprocess.DEVNULL).returncode == 0
    assert {path: path.stat().st_ino for path in done} == done
    assert everything(course, "killed") == everything(course, "undisturbed")
    wait_until(lambda: not list(temporary.iterdir()))


def test_a_grading_process_that_dies_costs_nothing_but_time(class_of_eight: Course) -> None:
    course = class_of_eight
    subprocess.run(grade_command(course, "undisturbed"), stdout=subprocess.DEVNULL, check=True)
    with started(grade_command(course, "hurt", "--jobs", "2"), course.root / "tmp") as process:
        wait_until(lambda: finished_students(course, "hurt"), process)
        grading = [
            child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())
        ]
        grading[0].kill()
        assert process.wait(PATIENCE) == 0
    assert everything(course, "hurt") == everything(course, "undisturbed")


def _double(number: int) -> int:
    if number == 3:
        os._exit(1)
    if number == 4:
        raise ValueError("four")
    return 2 * number


def test_work_that_kills_its_process_costs_nobody_else_anything() -> None:
    outcomes = dict(spread(_double, range(8), partial(on_this_machine, 2)))
    assert isinstance(outcomes.pop(3), GraderFault)
    assert isinstance(outcomes.pop(4), ValueError)
    assert outcomes == {number: 2 * number for number in (0, 1, 2, 5, 6, 7)}
