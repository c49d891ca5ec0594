"""Lab notebooks: how they are made and checked, and that each of this course's runs from top to bottom.

A notebook is executed for real, in a kernel of this very Python, in a copy of the students' repository.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import stat
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from synthetic_course import MARKING_SCHEME, MODEL_ANSWER, lab_cells, make_course, write_lab
from traitlets.config import Config

from autograder.leak import find_leaks
from autograder.manifest import Assignment, Course, CourseError
from autograder.notebooks import make_notebooks
from autograder.release import release_student
from autograder.stubs import stale_stubs, write_stubs
from autograder.suite import collect

REPOSITORY = Course(Path(__file__).parents[1])
NAMES = [assignment.name for assignment in REPOSITORY.assignments()]
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
SOLUTION_LINE = "running = math.fsum(number for number in numbers)"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small course with a lab notebook, and its release: made once, to be copied."""
    root = tmp_path_factory.mktemp("made")
    course = make_course(root / "course")
    write_lab(course.assignment("sums"))
    write_stubs(course)
    release_student(course, root / "students")
    return root


@pytest.fixture
def course(made: Path, tmp_path: Path) -> Course:
    return Course(shutil.copytree(made / "course", tmp_path / "course"))


@pytest.fixture
def release(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made / "students", tmp_path / "released")


@pytest.fixture
def shipped(release: Path) -> Path:
    """The released notebook, to plant something in."""
    return release / "assignments/01_sums/sums.ipynb"


@pytest.fixture
def sums(course: Course) -> Assignment:
    return course.assignment("sums")


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


# --- how they are made -----------------------------------------------------------------------------------------------


def test_answers_are_cleared_and_everything_else_stays(sums: Assignment) -> None:
    cells = read(sums.notebook)["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    expected = [cell["source"] for cell in lab_cells()]
    expected[3] = expected[5] = "YOUR ANSWER HERE"
    assert sources == expected
    assert [cell["id"] for cell in cells] == [cell["id"] for cell in lab_cells()]
    assert all("checksum" in cell["metadata"]["nbgrader"] for cell in cells[2:])
    assert cells[2]["metadata"]["editable"] is False


def test_the_same_source_gives_the_same_bytes(course: Course, sums: Assignment) -> None:
    first = make_notebooks(course.assignments())
    assert first == make_notebooks(course.assignments()) == {sums.notebook: sums.notebook.read_bytes()}


def test_nothing_is_left_of_nbgraders_course(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither its database nor a folder, nor another current folder, nor a word; and no activated environment."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    make_notebooks(course.assignments())
    assert list(elsewhere.iterdir()) == [] and Path.cwd() == elsewhere
    assert os.environ["PATH"] == "/usr/bin:/bin"
    assert capfd.readouterr() == ("", "")


def test_a_notebook_is_stale_when_missing_edited_or_older_than_its_source(course: Course, sums: Assignment) -> None:
    changed = lab_cells()
    changed[0]["source"] += " More."
    for change in (
        lambda: sums.notebook.unlink(),
        lambda: sums.notebook.write_text(sums.notebook.read_text().replace("sum of nothing", "sum of all")),
        lambda: write_lab(sums, changed),
    ):
        change()
        assert stale_stubs(course) == [sums.notebook] == stale_stubs(course, ["sums"])
        assert write_stubs(course) == [sums.notebook]
        assert stale_stubs(course) == []
    assert "More." in sums.notebook.read_text()


def test_a_model_answer_alone_makes_no_notebook_stale(course: Course, sums: Assignment) -> None:
    changed = lab_cells()
    changed[3]["source"] = changed[3]["source"].replace("nothing", "zero")
    write_lab(sums, changed)
    assert stale_stubs(course) == []


def test_an_assignment_without_a_source_notebook_has_none(course: Course, sums: Assignment) -> None:
    sums.source_notebook.unlink()
    assert make_notebooks(course.assignments()) == {}


def test_a_fault_in_a_notebook_leaves_it_and_does_not_keep_a_stub_from_being_written(
    course: Course, sums: Assignment
) -> None:
    before = sums.notebook.read_bytes()
    sums.stub.unlink()
    write_lab(sums, lab_cells()[:-1])
    with pytest.raises(CourseError):
        write_stubs(course)
    assert sums.stub.is_file() and sums.notebook.read_bytes() == before


# --- what is refused -------------------------------------------------------------------------------------------------


def grading(cells: list[dict[str, Any]], index: int) -> dict[str, Any]:
    return dict.__getitem__(cells[index]["metadata"], "nbgrader")  # type: ignore[no-any-return]


def change(index: int, **values: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda cells: cells[index].update(values)


def regrade(index: int, **values: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda cells: grading(cells, index).update(values)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (regrade(2, points=5), "'check-total' is worth 5 points, the visible and hidden tests of task 'total' 6: wri"),
        (regrade(2, grade_id="check-sum"), "no cell with grade=true and the grade_id 'check-total' for task 'total'"),
        (regrade(4, grade_id="check-total"), "2 cells have the grade_id 'check-total'"),
        (regrade(4, grade_id="check scaler"), "'check scaler' may hold letters"),
        (regrade(2, locked=False), "'check-total' is not locked"),
        (change(2, source='check_task("total")'), "'check-total' should hold these lines"),
        (regrade(3, points=9), "2 answers of 19 points"),
        (lambda cells: cells.pop(), "1 answers of 10 points"),
        (change(3, source="The sum is 0."), "cell 4, 'question-1', is a solution without a '### BEGIN"),
        (change(3, source="### BEGIN SOLUTION\n0"), "line 1: '### BEGIN SOLUTION' without an '### END"),
        (change(0, source="### BEGIN SOLUTION\n0\n### END SOLUTION"), "cell 1 has a '### BEGIN SOLUTION', and its m"),
        (change(1, outputs=[{"output_type": "stream", "name": "stdout", "text": "6\n"}]), "cell 2 has been run"),
        (change(1, execution_count=1), "cell 2 has been run"),
        (change(1, metadata=dict(lab_cells()[2]["metadata"])), "2 cells have the grade_id 'check-total'"),
        (change(1, cell_type="poem"), "not a valid notebook"),
        (regrade(4, points="four"), "'check-scaler' is worth four points"),
    ],
)
def test_what_nbgrader_or_the_grade_would_not_go_along_with_names_file_and_cell(
    course: Course, sums: Assignment, fault: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    cells = lab_cells()
    fault(cells)
    write_lab(sums, cells)
    with pytest.raises(CourseError) as refusal:
        stale_stubs(course)
    assert str(refusal.value).startswith(f"{sums.source_notebook}: ") and message in str(refusal.value)


def test_a_cell_that_is_graded_and_belongs_to_no_task_is_refused(course: Course, sums: Assignment) -> None:
    cells = lab_cells()
    cells.append(json.loads(json.dumps(cells[2])) | {"id": "more"})
    grading(cells, -1)["grade_id"] = "check-more"
    write_lab(sums, cells)
    with pytest.raises(CourseError, match="'check-more' is graded by running it, and belongs to no task"):
        stale_stubs(course)


@pytest.mark.parametrize(
    ("notebook", "message"),
    [
        ({"nbformat_minor": 4}, "its format is 4.4"),
        ({"metadata": {}}, "its kernel is None"),
        ({"metadata": 3}, "not a valid notebook"),
    ],
)
def test_a_notebook_that_is_none_for_us_is_refused(
    course: Course, sums: Assignment, notebook: dict[str, Any], message: str
) -> None:
    write_lab(sums, None, **notebook)
    with pytest.raises(CourseError, match=message):
        stale_stubs(course)


def test_what_nbgrader_itself_refuses_is_told(course: Course, sums: Assignment) -> None:
    cells = lab_cells()
    grading(cells, 3)["schema_version"] = 99
    write_lab(sums, cells)
    with pytest.raises(CourseError, match="nbgrader could not make the notebooks:\n.*newer version"):
        stale_stubs(course)


# --- releases --------------------------------------------------------------------------------------------------------


def test_a_release_has_the_notebook_and_nothing_of_its_answers(
    course: Course, sums: Assignment, tmp_path: Path
) -> None:
    (sums.folder / ".ipynb_checkpoints").mkdir()
    (sums.folder / ".ipynb_checkpoints/sums-checkpoint.ipynb").write_text("{}")
    written = release_student(course, tmp_path / "students")
    assert [path for path in written if "ipynb" in str(path)] == [Path("assignments/01_sums/sums.ipynb")]
    assert (tmp_path / "students/assignments/01_sums/sums.ipynb").read_bytes() == sums.notebook.read_bytes()
    assert "jupyter lab assignments/01_sums/sums.ipynb" in (tmp_path / "students/README.md").read_text()


def test_a_notebook_that_was_run_in_place_is_stale_and_not_released(
    course: Course, sums: Assignment, tmp_path: Path
) -> None:
    notebook = read(sums.notebook)
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["6\n"]}]
    sums.notebook.write_text(json.dumps(notebook))
    with pytest.raises(CourseError, match=r"stale.*assignments/01_sums/sums\.ipynb.*minigpt stubs --write"):
        release_student(course, tmp_path / "students")
    sums.source_notebook.unlink()  # and where there is no source to compare it with
    with pytest.raises(CourseError, match=r"sums\.ipynb: cell 2 has been run"):
        release_student(course, tmp_path / "students")


def attach(text: str) -> dict[str, Any]:
    return {"attachments": {"notes.png": {"image/png": text}}}


@pytest.mark.parametrize("secret", [SOLUTION_LINE, MODEL_ANSWER, MARKING_SCHEME], ids=["code", "answer", "scheme"])
@pytest.mark.parametrize(
    "hide",
    [
        lambda cells, text: cells[0].update(source=["Like this:\n", "\n", f"    {text}\n"]),
        lambda cells, text: cells[1].update(source=f"x = 1\n# {text}\ny = 2"),
        lambda cells, text: cells[3].update(source=text),
        lambda cells, text: cells[1]["outputs"].append({"output_type": "stream", "name": "stdout", "text": [text]}),
        lambda cells, text: cells[0]["metadata"].update(note={"deep": [1, text]}),
        lambda cells, text: cells[0].update(attach(text)),
    ],
    ids=["story", "comment", "answer", "output", "metadata", "attachment"],
)
def test_a_secret_is_found_in_every_part_of_a_notebook(
    course: Course, release: Path, shipped: Path, hide: Callable[[list[dict[str, Any]], str], None], secret: str
) -> None:
    notebook = read(shipped)
    hide(notebook["cells"], secret)
    shipped.write_text(json.dumps(notebook, indent=1))
    leaks = find_leaks(release, course)
    assert {leak.path for leak in leaks} == {Path("assignments/01_sums/sums.ipynb")}
    assert any("a line of the solution" in leak.what for leak in leaks), leaks


@pytest.mark.parametrize(
    ("attachment", "found"),
    [(PICTURE, []), ("cnVubmluZyA9IDE=", ["the attachment 'notes.png' of cell 1, which is no picture"])],
)
def test_an_attachment_is_a_picture_or_a_leak(
    course: Course, release: Path, shipped: Path, attachment: str, found: list[str]
) -> None:
    notebook = read(shipped)
    notebook["cells"][0].update(attach(attachment))
    shipped.write_text(json.dumps(notebook))
    assert [leak.what for leak in find_leaks(release, course)] == found


@pytest.mark.parametrize("content", ["{", "[]", '{"cells": [1]}', '{"cells": {}, "metadata": 3}'])
def test_a_file_that_only_claims_to_be_a_notebook_is_no_crash(
    course: Course, release: Path, shipped: Path, content: str
) -> None:
    shipped.write_text(content)
    assert all("notebook" in leak.what for leak in find_leaks(release, course))


def test_a_model_answer_is_found_outside_of_notebooks_too_and_the_question_is_public(
    course: Course, release: Path
) -> None:
    (release / "hints.md").write_text(f"What is the sum of nothing?\n\n> {MODEL_ANSWER}\n")
    assert [leak.line for leak in find_leaks(release, course)] == [3]


# --- nbgrader --------------------------------------------------------------------------------------------------------


def autograde(folder: Path, assignment: str) -> dict[str, dict[str, float]]:
    """Runs nbgrader's own autograde, kernel and all; the points of each student for each cell that it grades."""
    from nbgrader.api import Gradebook
    from nbgrader.converters import Autograde, GenerateAssignment
    from nbgrader.coursedir import CourseDirectory

    config = Config()
    config.CourseDirectory.root = str(folder)
    config.CourseDirectory.assignment_id = assignment
    GenerateAssignment(coursedir=CourseDirectory(config=config), config=config).start()
    Autograde(coursedir=CourseDirectory(config=config), config=config).start()
    with Gradebook(CourseDirectory(config=config).db_url) as gradebook:
        submissions = gradebook.assignment_submissions(assignment)
        return {
            submission.student.id: {grade.name: grade.auto_score for grade in notebook.grades}
            for submission in submissions
            for notebook in submission.notebooks
        }


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_nbgrader_grades_the_module_beside_the_notebook_with_full_points_or_none(
    course: Course, sums: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own kernel in its own folders, in the course's: what `check_task` raises is 0, what it prints is all."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY.root))
    monkeypatch.setenv("PATH", f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")  # for its alembic
    source = course.root / "source/01_sums/sums.ipynb"
    source.parent.mkdir(parents=True)
    shutil.copyfile(sums.source_notebook, source)
    wrong = sums.reference.read_text().replace("self.factor * number", "self.factor + number")
    for student, module in (("ada", sums.reference.read_text()), ("ben", wrong)):
        folder = course.root / f"submitted/{student}/01_sums"
        folder.mkdir(parents=True)
        shutil.copyfile(sums.notebook, folder / "sums.ipynb")
        (folder / "sums.py").write_text(module)
    scores = autograde(course.root, "01_sums")
    assert (course.root / "release/01_sums/sums.ipynb").read_bytes() == sums.notebook.read_bytes()
    for by_cell in scores.values():
        assert [by_cell.pop(question) for question in ("question-1", "question-2")] == [0.0, 0.0]  # not answered
    assert scores == {
        "ada": {"check-total": 6.0, "check-scaler": 4.0},
        "ben": {"check-total": 6.0, "check-scaler": 0.0},
    }


# --- this course -----------------------------------------------------------------------------------------------------


def named(name: str) -> Assignment:
    return REPOSITORY.assignment(name)


@functools.cache
def fresh() -> dict[Path, bytes]:
    """What each notebook of this course should hold: made once, as it takes seconds."""
    return make_notebooks(REPOSITORY.assignments())


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the students' repository, in which every module is written: it is the reference."""
    root = tmp_path_factory.mktemp("lab") / "students"
    left_out = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("assignments", "autograder", "datasets"):
        shutil.copytree(REPOSITORY.root / name, root / name, ignore=left_out)
    for theirs in Course(root).assignments():
        shutil.copyfile(named(theirs.name).reference, theirs.stub)
    return root


def execute(students: Path, name: str, *, allow_errors: bool = False) -> list[Any]:
    """The cells of the released notebook after a run, in the assignment's folder, by a kernel of this Python."""
    assignment = Course(students).assignment(name)
    notebook = nbformat.read(assignment.notebook, as_version=4)
    specs = KernelSpecManager(kernel_dirs=[])  # none but the one of this Python
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
        timeout=600,
        allow_errors=allow_errors,
        resources={"metadata": {"path": str(assignment.folder)}},
    )
    client.owns_km = True  # nbclient lets a kernel run on whose manager it was given
    own = {"PYTHONPATH": str(students), "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(students.parent / "ipython")}
    client.execute(env={name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | own)
    return list(notebook.cells)


def text_of(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


@pytest.mark.parametrize("name", NAMES)
def test_each_assignment_has_a_lab_notebook_as_nbgrader_makes_it(name: str) -> None:
    assignment = named(name)
    assert assignment.source_notebook.is_file(), f"write {assignment.source_notebook}"
    assert assignment.notebook.is_file(), "run `minigpt stubs --write`"
    assert assignment.notebook.read_bytes() == fresh()[assignment.notebook], "run `minigpt stubs --write`"
    assert stat.S_IMODE(assignment.notebook.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_gives_80_points_by_machine_and_20_by_hand(name: str) -> None:
    by_machine, by_hand = {}, {}
    for cell in read(named(name).notebook)["cells"]:
        nbgrader = cell["metadata"].get("nbgrader", {})
        if nbgrader.get("grade"):
            (by_hand if nbgrader["solution"] else by_machine)[nbgrader["grade_id"]] = nbgrader["points"]
        assert not cell.get("outputs")
    suite = collect(named(name), hidden=True)
    tasks = {
        f"check-{task.id}": sum(case.points for case in suite.of_task(task)) for task in suite.assignment.manifest.tasks
    }
    assert by_machine == tasks and sum(tasks.values()) == 80
    assert len(by_hand) == 2 and sum(by_hand.values()) == 20


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_with_the_reference_and_shows_something(students: Path, name: str) -> None:
    cells = execute(students, name)  # a cell that fails raises here, with its traceback
    checks = [cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade") and cell.cell_type == "code"]
    for cell in checks:
        task = cell.metadata.nbgrader.grade_id.removeprefix("check-")
        (got, possible) = text_of(cell).removeprefix(f"{task}: ").partition(" points")[0].split(" of ")
        assert got == possible and text_of(cell).endswith("points in the visible tests\n")
        assert [output.name for output in cell.outputs] == ["stdout"]  # nbgrader gives 0 for anything on stderr
    pictures = [output for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    assert pictures, "a lab shows what a test cannot"


def test_with_the_untouched_stub_each_check_says_what_is_not_written(students: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(students, tmp_path / "students")
    assignment = Course(copy).assignment("04_attention")
    shutil.copyfile(named("04_attention").stub, assignment.stub)
    cells = execute(copy, assignment.name, allow_errors=True)
    told = {}
    for cell in cells:
        if cell.cell_type == "code" and "nbgrader" in cell.metadata:
            (output,) = cell.outputs
            told[cell.metadata.nbgrader.grade_id] = output.traceback
    for task in assignment.manifest.tasks:
        first, second = told.pop(f"check-{task.id}")
        assert first.startswith(f"{task.id}: 0 of ")
        assert second == f"  not written yet: {' and '.join(task.symbols)} in attention.py"
    assert told == {}
