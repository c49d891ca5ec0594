"""`minigpt reset` and `minigpt submit`: what they write, and that no line of a student's is ever lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from synthetic_course import make_course
from typer.testing import CliRunner

from autograder.cli import app
from autograder.keeping import replace_keeping
from autograder.manifest import Course, CourseError
from autograder.release import release_student
from autograder.reset import BACKUPS, reset
from autograder.submissions import read_submission
from autograder.submit import submit

REPOSITORY = Path(__file__).parents[1]
MINE = b"def total(numbers):\n    return sum(numbers)\n\n\ndef mean(numbers):\n    return 0\n"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return make_course(tmp_path / "course")


def backups(course: Course) -> list[bytes]:
    folder = course.root / BACKUPS
    return sorted(path.read_bytes() for path in folder.iterdir()) if folder.is_dir() else []


def test_reset_puts_the_stub_back_and_keeps_what_was_there(course: Course) -> None:
    stub = course.assignment("sums").stub
    pristine = stub.read_bytes()
    stub.write_bytes(MINE)
    done = reset(course, "sums")
    assert stub.read_bytes() == pristine
    assert done.backup is not None and done.backup.read_bytes() == MINE and done.backup.suffix == ".py"


def test_resets_in_the_same_second_keep_every_version(course: Course) -> None:
    stub = course.assignment("sums").stub
    versions = [MINE + f"# {number}\n".encode() for number in range(5)]
    for version in versions:
        stub.write_bytes(version)
        reset(course, "sums")
    assert backups(course) == versions


def test_a_stub_that_nobody_changed_makes_no_backup(course: Course) -> None:
    assert reset(course, "sums").backup is None
    assert backups(course) == []


def test_a_stub_that_was_deleted_comes_back(course: Course) -> None:
    stub = course.assignment("sums").stub
    pristine = stub.read_bytes()
    stub.unlink()
    assert reset(course, "sums").backup is None
    assert stub.read_bytes() == pristine


def test_a_link_in_the_stubs_place_is_left_alone(course: Course, tmp_path: Path) -> None:
    stub, elsewhere = course.assignment("sums").stub, tmp_path / "mine.py"
    elsewhere.write_bytes(MINE)
    stub.unlink()
    stub.symlink_to(elsewhere)
    with pytest.raises(CourseError, match="is a link"):
        reset(course, "sums")
    assert elsewhere.read_bytes() == MINE and stub.is_symlink()


def test_where_no_backup_can_be_made_nothing_is_changed(course: Course) -> None:
    stub = course.assignment("sums").stub
    stub.write_bytes(MINE)
    (course.root / BACKUPS).parent.write_text("a file where the folder should be")
    with pytest.raises(CourseError, match="could not be kept, so it is as it was: Not a directory"):
        reset(course, "sums")
    assert stub.read_bytes() == MINE
    assert [path.name for path in stub.parent.iterdir() if path.name.startswith(".")] == []


def test_two_resets_at_once_lose_nothing(course: Course) -> None:
    stub = course.assignment("sums").stub
    for round_ in range(20):
        mine = MINE + f"# {round_}\n".encode()
        stub.write_bytes(mine)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: _reset_or_told(course), range(2)))
        assert mine in backups(course)
        assert b"raise NotImplementedError" in stub.read_bytes()


def _reset_or_told(course: Course) -> None:
    """The later of two may find the file gone between two of its steps: it may fail, and lose nothing."""
    try:
        reset(course, "sums")
    except CourseError:
        return


class Interrupter:
    """Does something at the n-th line that `autograder/keeping.py` comes to; `happened` says whether there was one."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.left, self.act, self.happened = number, act, False

    def __enter__(self) -> Interrupter:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if Path(frame.f_code.co_filename).name != "keeping.py":
            return None
        if event == "line" and not self.happened:
            self.left -= 1
            if self.left < 0:
                self.happened = True
                self.act()
        return self._trace


def everything_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def test_ctrl_c_at_any_line_loses_nothing(tmp_path: Path) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    for number in range(1000):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "sums.py"
        path.write_bytes(MINE)
        interrupter = Interrupter(number, press)
        with interrupter, contextlib.suppress(KeyboardInterrupt):
            replace_keeping(path, b"# the stub", folder / "backups")
        assert MINE in everything_in(folder), number
        if not interrupter.happened:
            break
        assert path.exists() or MINE in everything_in(folder / "backups"), number
    assert number > 15


@pytest.mark.parametrize("in_place", [True, False])
def test_what_an_editor_saves_at_any_line_is_not_lost(tmp_path: Path, in_place: bool) -> None:
    """Editors write into the file, or write another one and rename it."""
    newer = MINE + b"# one more line\n"
    for number in range(1000):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "sums.py"
        path.write_bytes(MINE)

        def save(path: Path = path) -> None:
            target = path if in_place else path.with_suffix(".new")
            target.write_bytes(newer)
            if not in_place:
                target.replace(path)

        interrupter = Interrupter(number, save)
        with interrupter, contextlib.suppress(CourseError):
            replace_keeping(path, b"# the stub", folder / "backups")
        assert not interrupter.happened or newer in everything_in(folder), number
        if not interrupter.happened:
            break
    assert number > 15


def test_backups_may_be_on_another_disk(course: Course, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert os.stat(elsewhere).st_dev != tmp_path.stat().st_dev
        (course.root / ".minigpt").symlink_to(elsewhere)
        course.assignment("sums").stub.write_bytes(MINE)
        done = reset(course, "sums")
        assert done.backup is not None and backups(course) == [MINE]
        assert b"raise NotImplementedError" in done.stub.read_bytes()


def test_where_the_stub_cannot_be_written_nothing_is_changed(course: Course) -> None:
    """No file may grow beyond ten bytes: what a full disk is to a process."""
    stub = course.assignment("sums").stub
    stub.write_bytes(MINE)
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from autograder.manifest import Course\n"
        "from autograder.reset import reset\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "reset(Course(Path(sys.argv[1])), 'sums')\n"
    )
    failed = subprocess.run(
        [sys.executable, "-B", "-c", program, str(course.root)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "could not be written, and is as it was: File too large" in failed.stderr
    assert stub.read_bytes() == MINE and backups(course) == []
    assert [path.name for path in stub.parent.iterdir() if path.name.startswith(".")] == []


def test_other_ends_of_lines_are_no_change(course: Course, tmp_path: Path) -> None:
    stub = course.assignment("sums").stub
    windows = stub.read_bytes().replace(b"\n", b"\r\n")
    stub.write_bytes(windows)
    assert reset(course, "sums").backup is None and stub.read_bytes() == windows
    with pytest.raises(CourseError, match="still the stub as it was handed out"):
        submit(course, "sums", tmp_path / "mine.zip")
    stub.write_bytes(MINE.replace(b"\n", b"\r\n"))
    reset(course, "sums")
    assert backups(course) == [MINE.replace(b"\n", b"\r\n")]


def test_a_task_is_not_an_assignment_and_the_error_says_of_which_it_is(course: Course) -> None:
    with pytest.raises(CourseError, match="'total' is a task of 01_sums"):
        reset(course, "total")


def test_submit_replaces_nothing_but_a_zip(course: Course) -> None:
    stub = course.assignment("sums").stub
    stub.write_bytes(MINE)
    with pytest.raises(CourseError, match="is there already, and is no zip"):
        submit(course, "sums", stub)
    link = course.root / "link.zip"
    link.symlink_to(stub)
    with pytest.raises(CourseError, match="is no zip"):
        submit(course, "sums", link)
    assert stub.read_bytes() == MINE and backups(course) == []


def test_reset_works_in_a_released_repository(course: Course, tmp_path: Path) -> None:
    """Without solutions/, from the release's own copy: by the command, in a process that imports the release."""
    release_student(course, tmp_path / "released")
    shutil.copytree(REPOSITORY / "autograder", tmp_path / "released/autograder", dirs_exist_ok=True)
    stub = tmp_path / "released/assignments/01_sums/sums.py"
    pristine = stub.read_bytes()
    stub.write_bytes(MINE)
    told = subprocess.run(
        [sys.executable, "-c", "from autograder.cli import main; main()", "reset", "sums"],
        cwd=tmp_path / "released",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "released"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert stub.read_bytes() == pristine
    assert "your version is kept in" in told and "is the stub again" in told


def test_submit_writes_what_the_grader_reads(course: Course, tmp_path: Path) -> None:
    assignment = course.assignment("sums")
    assignment.stub.write_bytes(MINE)
    folder = tmp_path / "submissions" / "ada"
    done = submit(course, "sums", folder / "01_sums.zip")
    assert done.files == ("sums.py",) and done.backup is None
    assert (done.points, done.max_points) == (2, 5)
    found = read_submission(tmp_path / "submissions", "ada", assignment)
    assert found.files == {"sums.py": MINE} and found.problem is None


def test_the_notebook_goes_along_and_the_zip_depends_on_its_files_alone(course: Course, tmp_path: Path) -> None:
    assignment = course.assignment("sums")
    assignment.stub.write_bytes(MINE)
    assignment.notebook.write_text("{}")
    first = submit(course, "sums", tmp_path / "first.zip").path.read_bytes()
    os.utime(assignment.stub, (1, 1))
    assert submit(course, "sums", tmp_path / "second.zip").path.read_bytes() == first
    with zipfile.ZipFile(tmp_path / "first.zip") as archive:
        assert archive.namelist() == ["01_sums/sums.py", "01_sums/sums.ipynb"]


def test_an_older_zip_is_kept(course: Course, tmp_path: Path) -> None:
    assignment = course.assignment("sums")
    assignment.stub.write_bytes(MINE)
    older = submit(course, "sums", tmp_path / "mine.zip").path.read_bytes()
    assert submit(course, "sums", tmp_path / "mine.zip").backup is None  # the same again
    assignment.stub.write_bytes(MINE + b"# more\n")
    submit(course, "sums", tmp_path / "mine.zip")
    assert backups(course) == [older]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (None, "there is no"),
        (b"def total(", "cannot be imported: SyntaxError"),
        (b"raise SystemExit(0)\n", "cannot be imported: SystemExit"),
        (b"\xff\xfe", "cannot be imported"),
        (b"#" * (1 << 20) + b"\n", "is larger than 1 MB"),
    ],
)
def test_what_would_earn_nothing_is_not_packed(course: Course, tmp_path: Path, source: bytes | None, told: str) -> None:
    stub = course.assignment("sums").stub
    stub.unlink()
    if source is not None:
        stub.write_bytes(source)
    with pytest.raises(CourseError, match=told):
        submit(course, "sums", tmp_path / "mine.zip")
    assert not (tmp_path / "mine.zip").exists()


def test_the_untouched_stub_is_nothing_to_hand_in(course: Course, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="still the stub as it was handed out"):
        submit(course, "sums", tmp_path / "mine.zip")


def test_the_commands_say_where_things_are(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    course.assignment("sums").stub.write_bytes(MINE)
    packed = CliRunner().invoke(app, ["submit", "sums", "--course", str(course.root)])
    assert packed.exit_code == 0
    assert packed.output.splitlines() == [
        "wrote 01_sums.zip: sums.py",
        "2 of 5 points of the visible tests. Upload this file yourself.",
    ]
    again = CliRunner().invoke(app, ["reset", "sums", "--course", str(course.root)])
    assert again.exit_code == 0 and "your version is kept in" in again.output.replace("\n", " ")
