"""nbgrader's course directory: what is in it, what is refused, and that nbgrader itself gets on with it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from synthetic_course import FILES, MARKING_SCHEME, MODEL_ANSWER, make_course, write_lab
from traitlets.config.loader import PyFileConfigLoader
from traitlets.utils.importstring import import_item

from autograder.leak import find_leaks
from autograder.manifest import Course, CourseError
from autograder.nbgrader_course import release_nbgrader
from autograder.nbgrader_missing import add_missing_notebooks
from autograder.stubs import write_stubs

REPOSITORY = Path(__file__).parents[1]
REFERENCE = FILES["solutions/01_sums/sums.py"]
ASSIGNMENT_FILES = {"README.md", "assignment.toml", "sums.ipynb", "sums.py", "test_sums.py"}


def make_lab_course(root: Path) -> Course:
    """The small course, with a lab notebook: nbgrader has no assignment without one."""
    course = make_course(root)
    write_lab(course.assignment("sums"))
    write_stubs(course)
    return course


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return make_lab_course(tmp_path / "course")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """The small course's directory, and what was said to be in it."""
    root = tmp_path_factory.mktemp("made")
    written = release_nbgrader(make_lab_course(root / "course"), root / "nbgrader")
    return root / "nbgrader", written


@pytest.fixture(scope="module")
def made(release: tuple[Path, list[Path]]) -> Path:
    """The directory to look at, or to copy: see `directory`."""
    return release[0]


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A course directory of the test's own. It may stand anywhere."""
    return Path(shutil.copytree(made, tmp_path / "a folder (1)"))


def nbgrader(folder: Path, *arguments: str, path: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """A real command, as in a terminal, with nobody's settings but the folder's. nbgrader runs alembic by name."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(path), str(REPOSITORY)]),
        "HOME": str(home),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "nbgrader", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def settings(directory: Path) -> Any:
    return PyFileConfigLoader("nbgrader_config.py", str(directory)).load_config()


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def hand_in(directory: Path, student: str, files: dict[str, str]) -> Path:
    folder = directory / "submitted" / student / "01_sums"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def points_of(directory: Path, student: str) -> float:
    with Gradebook(f"sqlite:///{directory / 'gradebook.db'}", "minigpt") as gradebook:
        return float(gradebook.find_submission("01_sums", student).score)


# --- what is written -------------------------------------------------------------------------------------------------


def test_exactly_this_is_written_for_the_instructor_alone(release: tuple[Path, list[Path]]) -> None:
    folder, written = release
    expected = {"nbgrader_config.py", "gradebook.db"}
    expected |= {f"{step}/01_sums/{name}" for step in ("source", "release") for name in ASSIGNMENT_FILES}
    assert names_in(folder) == expected == {str(path) for path in written}
    assert set(os.listdir(folder.parent)) == {"course", "nbgrader"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_students_get_the_stub_and_no_answers_and_the_source_has_the_answers(course: Course, directory: Path) -> None:
    stub = course.assignment("sums").stub.read_bytes()
    for step in ("source", "release"):
        assert (directory / step / "01_sums/sums.py").read_bytes() == stub
    source = (directory / "source/01_sums/sums.ipynb").read_text()
    release = (directory / "release/01_sums/sums.ipynb").read_text()
    for secret in (MODEL_ANSWER, MARKING_SCHEME):
        assert secret in source and secret not in release
    assert 'check_task(\\"total\\")' in release
    assert find_leaks(directory / "release", course) == []


def test_nothing_says_where_it_was_made(made: Path) -> None:
    """The folder is made under another name beside its place."""
    for name in names_in(made):
        assert b".nbgrader-" not in (made / name).read_bytes(), name


def test_the_gradebook_knows_the_points_of_checks_and_answers(made: Path) -> None:
    with Gradebook(f"sqlite:///{made / 'gradebook.db'}", "minigpt") as gradebook:
        assignment = gradebook.find_assignment("01_sums")
        assert (assignment.max_score, assignment.max_code_score, assignment.max_written_score) == (30, 10, 20)
        cells = {cell.name: cell.max_score for cell in assignment.notebooks[0].grade_cells}
    assert cells == {"check-total": 6, "check-scaler": 4, "question-1": 10, "question-2": 10}


def test_our_preprocessor_takes_the_place_of_execute_in_nbgraders_own_list(made: Path) -> None:
    config = settings(made).Autograde
    autograde = [import_item(name) for name in config.autograde_preprocessors]
    own = Autograde.autograde_preprocessors.default_args[0]  # type: ignore[attr-defined]
    assert [each.__name__ for each in own][0] == "Execute"
    assert [each.__name__ for each in autograde] == ["GradeWithMiniGPT", *(each.__name__ for each in own[1:])]
    sanitize = [import_item(name) for name in config.sanitize_preprocessors]
    own = Autograde.sanitize_preprocessors.default_args[0]  # type: ignore[attr-defined]
    assert sanitize == [import_item("autograder.nbgrader_grading.RestoreCells"), *own]
    assert config.exclude_overwriting == {"01_sums": ["sums.py"]}


def test_the_grader_is_told_the_instructors_repository_and_a_seed(made: Path) -> None:
    grader = import_item("autograder.nbgrader_grading.GradeWithMiniGPT")(config=settings(made))
    assert grader.course == str(made.parent.resolve() / "course")
    assert grader.seed == settings(made).GradeWithMiniGPT.seed and grader.isolation == "auto"


def test_another_database_and_id_and_a_seed_of_its_own(course: Course, made: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    release_nbgrader(course, tmp_path / "nbgrader", db_url=url, course_id="llm-2026")
    assert not (tmp_path / "nbgrader/gradebook.db").exists()
    assert settings(tmp_path / "nbgrader").CourseDirectory.db_url == url
    with Gradebook(url, "llm-2026") as gradebook:
        assert gradebook.find_assignment("01_sums").course_id == "llm-2026"
    assert settings(tmp_path / "nbgrader").GradeWithMiniGPT.seed != settings(made).GradeWithMiniGPT.seed


def test_the_real_course_has_no_leak_in_what_students_get(tmp_path: Path) -> None:
    course = Course(REPOSITORY)
    release_nbgrader(course, tmp_path / "nbgrader")
    for assignment in course.assignments():
        files = {path.name for path in (tmp_path / "nbgrader/release" / assignment.name).iterdir()}
        assert files == {path.name for path in assignment.folder.iterdir() if path.is_file()}
        released = tmp_path / "nbgrader/release" / assignment.name / assignment.manifest.module
        assert released.read_bytes() == assignment.stub.read_bytes() != assignment.reference.read_bytes()
        assert (released.with_suffix(".ipynb")).read_bytes() == assignment.notebook.read_bytes()
    assert find_leaks(tmp_path / "nbgrader/release", course) == []


# --- what is refused -------------------------------------------------------------------------------------------------


def refused(course: Course, target: Path, message: str, **options: str) -> None:
    with pytest.raises(CourseError, match=message):
        release_nbgrader(course, target, **options)
    assert not any(path.name.startswith((target.name, f".{target.name}")) for path in target.parent.iterdir())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("sums.py", REFERENCE, "stale"),
        ("sums_reference.py", REFERENCE, r"01_sums/sums_reference\.py: a copy of solutions/01_sums/sums\.py"),
        ("helper.py", "running = math.fsum(number for number in numbers)\n", "a line of the solution"),
        ("test_sums_hidden.py", FILES["solutions/01_sums/test_sums_hidden.py"], "the hidden test"),
        ("test_more.py", "def test_total_of_alternating_signs(student): ...\n", "the hidden test"),
        ("mistakes.py", "", "the name of solutions/01_sums/mistakes.py"),
        ("old.zip", "", "an archive"),
    ],
)
def test_nbgraders_first_trap_what_stands_in_source_would_be_released(
    course: Course, tmp_path: Path, name: str, text: str, message: str
) -> None:
    """nbgrader copies every file of source/ into release/ as it is."""
    (course.assignment("sums").folder / name).write_text(text)
    refused(course, tmp_path / "nbgrader", message)


def test_a_link_is_refused(course: Course, tmp_path: Path) -> None:
    (course.assignment("sums").folder / "more.py").symlink_to(course.assignment("sums").reference)
    refused(course, tmp_path / "nbgrader", r"more\.py: a link")


def test_an_assignment_without_a_notebook_is_refused(course: Course, tmp_path: Path) -> None:
    course.assignment("sums").source_notebook.unlink()
    refused(course, tmp_path / "nbgrader", r"sums\.ipynb is missing")


def test_what_nbgrader_cannot_do_is_told_without_a_traceback(course: Course, tmp_path: Path) -> None:
    refused(course, tmp_path / "nbgrader", "Could not parse SQLAlchemy URL", db_url="no database")
    refused(course, tmp_path / "nbgrader", "No module named.*\nThe database wants that driver", db_url="mysql://a/b")
    nowhere = f"sqlite:///{tmp_path}/nowhere/gradebook.db"
    with pytest.raises(CourseError) as error:
        release_nbgrader(course, tmp_path / "nbgrader", db_url=nowhere)
    assert "unable to open database file" in str(error.value) and "Traceback" not in str(error.value)


@pytest.mark.parametrize("course_id", ["a/b", "a b", "../x", "."])
def test_an_id_that_is_no_folders_name_is_refused(course: Course, tmp_path: Path, course_id: str) -> None:
    refused(course, tmp_path / "nbgrader", "letters, digits", course_id=course_id)


def test_a_folder_that_holds_something_is_left_alone(course: Course, tmp_path: Path) -> None:
    (tmp_path / "nbgrader").mkdir()
    (tmp_path / "nbgrader/mine.txt").write_text("mine")
    with pytest.raises(CourseError, match="not empty"):
        release_nbgrader(course, tmp_path / "nbgrader")
    assert names_in(tmp_path / "nbgrader") == {"mine.txt"}


# --- nbgrader itself -------------------------------------------------------------------------------------------------


def test_the_instructor_can_generate_the_assignment_again(directory: Path) -> None:
    before = {name: (directory / "release" / name).read_bytes() for name in names_in(directory / "release")}
    shutil.rmtree(directory / "release")
    done = nbgrader(directory, "generate_assignment", "01_sums", "--force")
    assert done.returncode == 0, done.stderr
    after = {name: (directory / "release" / name).read_bytes() for name in names_in(directory / "release")}
    assert after == before


def test_without_the_courses_package_nbgrader_stops_and_does_not_execute(directory: Path, tmp_path: Path) -> None:
    """nbgrader logs what goes wrong in its settings, and goes on without them: that would start a kernel."""
    (tmp_path / "broken/autograder").mkdir(parents=True)
    (tmp_path / "broken/autograder/__init__.py").write_text("raise ImportError('not here')")
    hand_in(directory, "ada", {"sums.py": REFERENCE, "sums.ipynb": released_notebook(directory)})
    done = nbgrader(directory, "autograde", "01_sums", path=tmp_path / "broken")
    assert done.returncode != 0 and "install the course's package" in done.stderr
    assert not (directory / "autograded").exists()


CANVAS_ZIP = {
    "lovelaceada_101_9001_sums.py": "ada",
    "lovelaceada_101_9002_sums.ipynb": "ada's notebook",
    "hopper_grace_LATE_102_9003_sums-2.py": "grace, late, third time",
    "hopper_grace_LATE_102_9004_conftest.py": "no",
    # a student chooses what comes behind the two numbers, and would like to be another student
    "evil_103_9005_x_101_9001_sums.py": "no",
    "evil_103_9006_sums (1).py": "evil's own",
}
MOODLE_ZIP = {
    "Alan Turing_104_assignsubmission_file_/sums.py": "alan",
    "Alan Turing_104_assignsubmission_file_/sums.ipynb": "alan's notebook",
    "Alan Turing_104_assignsubmission_file_/notes.txt": "no",
    "Kurt Gödel_105_assignsubmission_file_sums.py": "kurt",
    "Eve_106_assignsubmission_file_/downloaded/01_sums/extracted/Kurt_105_assignsubmission_file_sums.ipynb": "no",
}


def test_zip_collect_takes_modules_along_from_canvas_and_moodle(directory: Path) -> None:
    archive = directory / "downloaded/01_sums/archive"
    archive.mkdir(parents=True)
    for name, members in (("submissions.zip", CANVAS_ZIP), ("CS 101-Sums-77.zip", MOODLE_ZIP)):
        with zipfile.ZipFile(archive / name, "w") as whole:
            for member, text in members.items():
                whole.writestr(member, text)
    with zipfile.ZipFile(archive / "noether_107_9007_01_sums.zip", "w") as own:  # as `minigpt submit` writes it
        own.writestr("01_sums/sums.py", "emmy")
        own.writestr("01_sums/sums.ipynb", "emmy's notebook")
    done = nbgrader(directory, "zip_collect", "01_sums")
    assert done.returncode == 0, done.stderr
    submitted = directory / "submitted"
    found = {name.replace("/01_sums/", "/"): (submitted / name).read_text() for name in names_in(submitted)}
    assert found == {
        "101/sums.py": "ada",
        "101/sums.ipynb": "ada's notebook",
        "102/sums.py": "grace, late, third time",
        "103/sums.py": "evil's own",
        "104/sums.py": "alan",
        "104/sums.ipynb": "alan's notebook",
        "105/sums.py": "kurt",
        "107/sums.py": "emmy",
        "107/sums.ipynb": "emmy's notebook",
    }


# --- a student without a notebook ------------------------------------------------------------------------------------


def released_notebook(directory: Path) -> str:
    return (directory / "release/01_sums/sums.ipynb").read_text()


def test_a_module_alone_has_the_points_that_it_has_with_a_notebook(directory: Path) -> None:
    hand_in(directory, "with", {"sums.py": REFERENCE, "sums.ipynb": released_notebook(directory)})
    folder = hand_in(directory, "without", {"sums.py": REFERENCE})
    done = nbgrader(directory, "autograde", "01_sums")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "was not handed in" in line]
    assert "AutogradeApp | WARNING" in line and "submitted/without/01_sums/sums.ipynb" in line
    assert (folder / "sums.ipynb").read_text() == released_notebook(directory)
    assert points_of(directory, "with") == points_of(directory, "without") == 10


def test_only_a_missing_notebook_is_added(directory: Path, tmp_path: Path) -> None:
    hand_in(directory, "full", {"sums.py": "x", "sums.ipynb": "mine"})
    hand_in(directory, "renamed", {"sums.py": "x", "my sums.ipynb": "mine"})
    hand_in(directory, "empty", {})
    hand_in(directory, "other", {"data.py": "x"})
    (hand_in(directory, "linked", {"sums.py": "x"}) / "sums.ipynb").symlink_to(tmp_path / "nowhere")
    added = add_missing_notebooks(directory)
    assert added == [directory / "submitted/renamed/01_sums/sums.ipynb"]
    assert (directory / "submitted/full/01_sums/sums.ipynb").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    assert add_missing_notebooks(directory) == []


def test_what_goes_wrong_there_is_told_and_stops_nothing(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An exception would have nbgrader go on without its settings."""
    hand_in(directory, "ada", {"sums.py": "x"})
    (directory / "release/01_sums/sums.ipynb").unlink()
    (directory / "release/01_sums/sums.ipynb").mkdir()  # not to be read
    assert add_missing_notebooks(directory) == []
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and "ada/01_sums/sums.ipynb is missing" in record.getMessage()


# --- JupyterLab, and stock execution ---------------------------------------------------------------------------------


def test_the_cells_work_in_a_kernel_where_the_assignments_folder_stands_alone(directory: Path) -> None:
    """As the config says how to: nbgrader's own Execute, which runs the notebook in autograded/."""
    config = directory / "nbgrader_config.py"
    ours = "autograder.nbgrader_grading.GradeWithMiniGPT"
    assert config.read_text().count(f'"{ours}"') == 1
    config.write_text(config.read_text().replace(ours, "nbgrader.preprocessors.Execute"))
    notebook = released_notebook(directory)
    hand_in(directory, "right", {"sums.py": REFERENCE, "sums.ipynb": notebook, "conftest.py": "raise SystemExit"})
    wrong = REFERENCE.replace("self.factor * number for", "number for")
    hand_in(directory, "wrong", {"sums.py": wrong, "sums.ipynb": notebook})
    done = nbgrader(directory, "autograde", "01_sums")
    assert done.returncode == 0, done.stderr
    assert (points_of(directory, "right"), points_of(directory, "wrong")) == (10, 6)
    graded = directory / "autograded/wrong/01_sums"
    assert (graded / "sums.py").read_text() == wrong  # and not the instructor's
    outputs = [
        output
        for cell in json.loads((graded / "sums.ipynb").read_text())["cells"]
        for output in cell.get("outputs", [])
    ]
    assert "scaler: 0 of 3 points" in json.dumps(outputs)
    assert not (directory / "autograded/right/01_sums/conftest.py").exists()


def test_a_student_can_validate_the_notebook(directory: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(directory / "release/01_sums", tmp_path / "ada/01_sums"))
    (mine / "sums.py").write_text(REFERENCE)
    answered = (mine / "sums.ipynb").read_text().replace("YOUR ANSWER HERE", "Nothing.")
    (mine / "sums.ipynb").write_text(answered)
    done = nbgrader(mine, "validate", "sums.ipynb")
    assert "Success! Your notebook passes all the tests." in done.stdout, done.stdout + done.stderr
