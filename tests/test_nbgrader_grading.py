"""Grading with real nbgrader: its converters, its gradebook, its exports, and no kernel."""

from __future__ import annotations

import csv
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import REPOSITORY
from jupyter_client.provisioning import LocalProvisioner
from nbgrader.api import Gradebook
from nbgrader.apps import ExportApp
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import CsvExportPlugin
from traitlets.config import Config

from autograder.grade import Settings, grade_class
from autograder.jail.isolation import choose
from autograder.manifest import Course
from autograder.nbgrader_export import TaskPoints

NAME, SEED = "99_numbers", 7
CHECKS = {"check-double": 6, "check-counter": 4}
NBGRADER = [sys.executable, "-m", "nbgrader"]
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # nbgrader calls alembic by name
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning", "ignore:Non-unique cell id")
CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "numbers"
c.Autograde.exclude_overwriting = {"99_numbers": ["numbers_.py"]}
c.Autograde.exporter_class = "autograder.nbgrader_grading.ForgetOldGrades"
c.Autograde.sanitize_preprocessors = [
    "autograder.nbgrader_grading.RestoreCells",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.DeduplicateIds",
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "autograder.nbgrader_grading.GradeWithMiniGPT",
    "nbgrader.preprocessors.IgnorePattern",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.GradeWithMiniGPT.seed = 7
"""


def lab() -> Any:
    """The instructor's notebook: a check for each task, two questions."""
    v4 = nbformat.v4

    def graded(make: Any, source: str, grade_id: str, points: int, *, solution: bool) -> Any:
        own = {"schema_version": 3, "grade": True, "task": False, "solution": solution, "locked": not solution}
        return make(source, metadata={"nbgrader": own | {"grade_id": grade_id, "points": points}})

    def check(grade_id: str) -> Any:
        task = grade_id.removeprefix("check-")
        source = f'from autograder.lab import check_task\n\ncheck_task("{task}")'
        return graded(v4.new_code_cell, source, grade_id, CHECKS[grade_id], solution=False)

    def question(number: int) -> Any:
        source = "### BEGIN SOLUTION\nThe model answer.\n### END SOLUTION"
        return graded(v4.new_markdown_cell, source, f"question-{number}", 10, solution=True)

    cells = [v4.new_markdown_cell("# Numbers"), v4.new_code_cell("import numbers_"), check("check-double")]
    cells += [question(1), check("check-counter"), question(2)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@dataclass(frozen=True)
class Class:
    """nbgrader's course directory, and the instructor's repository beside it."""

    folder: Path
    course: Course
    db_url: str

    def config(self, **changes: Any) -> Config:
        config = Config()
        exec(CONFIG, {"get_config": lambda: config})
        config.CourseDirectory.update({"root": str(self.folder), "assignment_id": NAME, "db_url": self.db_url})
        config.GradeWithMiniGPT.update({"course": str(self.course.root), **changes})
        return config

    def hand_in(self, student: str, source: str | bytes | None) -> Path:
        """The released notebook and this module; gives the folder."""
        folder = self.folder / "submitted" / student / NAME
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.folder / "release" / NAME / "numbers_.ipynb", folder / "numbers_.ipynb")
        if source is not None:
            (folder / "numbers_.py").write_bytes(source if isinstance(source, bytes) else source.encode())
        return folder

    def autograde(self, **changes: Any) -> list[str]:
        """Everybody, again. What nbgrader logs as an error; a student who could not be graded is there."""
        return run(Autograde, self.config(**changes), force=True)

    def points(self, student: str) -> dict[str, float | None]:
        """What the gradebook has from the autograder, by grade_id."""
        with Gradebook(self.db_url) as gradebook:
            (notebook,) = gradebook.find_submission(NAME, student).notebooks
            return {grade.name: grade.auto_score for grade in notebook.grades}

    def checks(self, student: str) -> tuple[float | None, float | None]:
        points = self.points(student)
        return points["check-double"], points["check-counter"]

    def output(self, student: str, grade_id: str) -> str:
        """What stands under a cell of the autograded notebook, without the number."""
        autograded = nbformat.read(self.folder / "autograded" / student / NAME / "numbers_.ipynb", 4)
        (cell,) = [each for each in autograded.cells if each.metadata.get("nbgrader", {}).get("grade_id") == grade_id]
        return str(cell.outputs[0].text)

    def export(self) -> dict[str, dict[str, str]]:
        """This project's table: student -> row."""
        target = self.folder / "points.csv"
        with Gradebook(self.db_url) as gradebook:
            exporter = TaskPoints(config=self.config())
            exporter.to = str(target)
            exporter.export(gradebook)
        with target.open(newline="") as file:
            return {row["student"]: row for row in csv.DictReader(file)}

    def reference(self) -> str:
        return self.course.assignment(NAME).reference.read_text()


def run(converter: type, config: Config, **traits: Any) -> list[str]:
    """Starts one of nbgrader's converters as its command does; gives what it logged as an error."""
    told: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.Logger("nbgrader")
    log.addHandler(handler)
    config = config.copy()
    directory = CourseDirectory(config=config, log=log)
    started = converter(coursedir=directory, config=config, log=log)
    for name, value in traits.items():
        setattr(started, name, value)
    try:
        started.start()
    except NbGraderException:
        assert told
    return told


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course directory as it is after `nbgrader generate_assignment`."""
    folder = tmp_path_factory.mktemp("released") / "nbgrader"
    (folder / "source" / NAME).mkdir(parents=True)
    nbformat.write(lab(), folder / "source" / NAME / "numbers_.ipynb")
    (folder / "source" / NAME / "numbers_.py").write_text("def double(x): raise NotImplementedError\n")
    new = Class(folder, Course(folder), f"sqlite:///{folder}/gradebook.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", PATH)
        assert run(GenerateAssignment, new.config()) == []
    return folder


@pytest.fixture
def numbers(small_course: Course, released: Path, tmp_path: Path) -> Class:
    folder = tmp_path / "nbgrader"
    shutil.copytree(released, folder)
    return Class(folder, small_course, f"sqlite:///{folder}/gradebook.db")


def submissions_of(right: str) -> dict[str, str | bytes | None]:
    return {
        "complete": right,
        "half": right.replace("return x + x", "raise NotImplementedError"),
        "wrong": right.replace("return x + x", "return x + 2").replace("+= int(number)", "+= 1"),
        "exits": "import os\nos._exit(0)\n",
        "exits_later": right.replace("return x + x", "import os; os._exit(0)"),
        "warns": "import sys, warnings\nwarnings.warn('careful')\nprint('8', file=sys.stderr)\nprint(100)\n" + right,
        "syntax": "def double(:\n",
        "nul": b"\0\0",
        "forbidden": right.replace("return x + x", "return torch.mul(x, 2)"),
        "missing": None,
    }


def test_the_points_are_those_of_minigpt_grade(numbers: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no kernel is started on the way."""

    def no_kernel(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a kernel was started")

    monkeypatch.setattr(LocalProvisioner, "launch_kernel", no_kernel)
    everybody = submissions_of(numbers.reference())
    for student, source in everybody.items():
        folder = numbers.hand_in(student, source)
        (folder / "conftest.py").write_text("raise SystemExit\n")
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    assert numbers.autograde() == []
    records, refused = grade_class(
        Settings(
            numbers.course.root, numbers.folder / "submitted", numbers.folder / "graded", (NAME,), SEED,
            choose("auto"), train_steps=0,
        )
    )  # fmt: skip
    assert refused == []
    expected = {
        record.result.student: {f"check-{task.id}": task.score for task in record.result.tasks} for record in records
    }
    found = {student: numbers.points(student) for student in everybody}
    assert {student: {name: points[name] for name in CHECKS} for student, points in found.items()} == expected
    assert {student: sum(points.values()) for student, points in expected.items()} == {
        "complete": 10, "half": 4, "wrong": 0, "exits": 0, "exits_later": 4, "warns": 10,
        "syntax": 0, "nul": 0, "forbidden": 4, "missing": 0,
    }  # fmt: skip
    exported = numbers.export()
    assert {student: int(row["score"]) for student, row in exported.items()} == {
        student: sum(points.values()) for student, points in expected.items()
    }
    assert (exported["half"]["task:double"], exported["half"]["task:counter"]) == ("0", "4")
    assert "there is no numbers_.py" in numbers.output("missing", "check-double")
    assert "conftest.py" in numbers.output("half", "check-double")


# --- the traps that nbgrader is known for ----------------------------------------------------------------------------


def test_the_instructors_module_over_the_students_gives_no_points(numbers: Class) -> None:
    """Nothing is excluded from overwriting, and there is a solution where none should be: a second wall."""
    (numbers.folder / "source" / NAME / "numbers_.py").write_text(numbers.reference())
    numbers.hand_in("ada", submissions_of(numbers.reference())["wrong"])
    config = numbers.config()
    config.Autograde.exclude_overwriting = {}
    assert run(Autograde, config) == []
    overwritten = numbers.folder / "autograded/ada" / NAME / "numbers_.py"
    assert overwritten.read_text() == numbers.reference()  # the trap was there
    assert numbers.checks("ada") == (0, 0)


def test_a_grader_fault_leaves_no_old_grade(numbers: Class) -> None:
    """Nobody else has to suffer, and when the fault is mended the next run grades with the mended tests."""
    numbers.hand_in("ada", numbers.reference())
    numbers.hand_in("ben", numbers.reference().replace("return x + x", "raise NotImplementedError"))
    numbers.autograde()
    assert numbers.checks("ada") == (6, 4)
    hidden = numbers.course.assignment(NAME).hidden_tests
    tests = hidden.read_text()
    dark = "from autograder.outcome import GraderFault\n    raise GraderFault('the lights went out')"
    hidden.write_text(tests.replace("close(student.double(torch.zeros(2)), torch.zeros(2))", f"student.double(torch.zeros(2))\n    {dark}"))  # fmt: skip
    told = "".join(numbers.autograde())
    assert "the lights went out" in told
    assert "for student 'ada'" in told
    assert numbers.checks("ada") == (None, None)
    row = numbers.export()["ada"]
    assert (row["status"], row["score"], row["task:double"], row["task:counter"]) == ("ungraded", "", "", "")
    assert [row["raw_score"] for row in stock_export(numbers) if row["student_id"] == "ada"] == ["0.0"]
    assert numbers.checks("ben") == (0, 4)
    hidden.write_text(tests)
    assert numbers.autograde() == []
    assert numbers.checks("ada") == (6, 4)


def test_a_killed_run_leaves_no_old_grade(numbers: Class) -> None:
    """The process that autogrades is killed in the middle of a test, with SIGKILL."""
    numbers.hand_in("ada", numbers.reference())
    numbers.autograde()
    assert numbers.checks("ada") == (6, 4)
    hidden = numbers.course.assignment(NAME).hidden_tests
    killed = "import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)"
    hidden.write_text(hidden.read_text().replace("counter = student.Counter()", killed))
    assert command(numbers, "autograde", NAME, "--force").returncode == -9
    assert numbers.checks("ada") == (None, None)
    assert numbers.export()["ada"]["status"] == "ungraded"


def test_a_notebook_that_cannot_be_read_leaves_no_old_grade(numbers: Class) -> None:
    folder = numbers.hand_in("ada", numbers.reference())
    numbers.autograde()
    assert numbers.checks("ada") == (6, 4)
    (folder / "numbers_.ipynb").write_text("{ no notebook")
    assert "for student 'ada'" in "".join(numbers.autograde())
    assert numbers.checks("ada") == (None, None)


def stock_export(numbers: Class) -> list[dict[str, str]]:
    """What `nbgrader export` writes."""
    target = numbers.folder / "stock.csv"
    with Gradebook(numbers.db_url) as gradebook:
        exporter = CsvExportPlugin()
        exporter.to = str(target)
        exporter.export(gradebook)
    with target.open(newline="") as file:
        return list(csv.DictReader(file))


def command(numbers: Class, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of nbgrader's, as a process of its own."""
    settings = {"root": str(numbers.folder), "db_url": numbers.db_url}
    extra = f"c.CourseDirectory.update({settings!r})\nc.GradeWithMiniGPT.course = {str(numbers.course.root)!r}\n"
    (numbers.folder / "nbgrader_config.py").write_text(CONFIG + extra)
    environment = os.environ | {
        "PATH": PATH,
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [*NBGRADER, *arguments], cwd=numbers.folder, env=environment, capture_output=True, text=True, timeout=300
    )


# --- what the student did to the notebook ----------------------------------------------------------------------------


def change(folder: Path, changed: Callable[[list[Any]], list[Any] | None]) -> None:
    """Changes the cells of the notebook that was handed in, as JSON: no library looks after them."""
    path = folder / "numbers_.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"] = changed(notebook["cells"]) or notebook["cells"]
    path.write_text(json.dumps(notebook))


def own(cells: list[Any], grade_id: str) -> Any:
    (cell,) = [cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id]
    return cell


def without_graded(cells: list[Any]) -> list[Any]:
    return [cell for cell in cells if "nbgrader" not in cell["metadata"]]


def set_metadata(cell: str, **values: Any) -> Callable[[list[Any]], None]:
    return lambda cells: own(cells, cell)["metadata"]["nbgrader"].update(values)


def claims_a_number(cells: list[Any]) -> None:
    output = {"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": {"text/plain": "6"}}
    own(cells, "check-double").update(source="6", outputs=[output])


def becomes_text(cells: list[Any]) -> None:
    cell = own(cells, "check-double")
    del cell["outputs"], cell["execution_count"]
    cell.update(cell_type="markdown", attachments={})


def names_another(cells: list[Any]) -> None:
    own(cells, "check-double")["metadata"]["nbgrader"]["grade_id"] = "check-counter"


CHANGES: dict[str, Callable[[list[Any]], list[Any] | None]] = {
    "deletes_a_check": lambda cells: cells.remove(own(cells, "check-double")),
    "deletes_everything": lambda cells: [],
    "deletes_all_graded": without_graded,
    "copies_a_check": lambda cells: [*cells, own(cells, "check-double"), own(cells, "check-double")],
    "copies_in_front": lambda cells: [own(cells, "check-counter"), *cells],
    "moves_them": lambda cells: cells[::-1],
    "renames_a_check": set_metadata("check-double", grade_id="check-nothing"),
    "names_another": names_another,
    "raises_points": set_metadata("check-double", points=1000),
    "is_no_grade": set_metadata("check-double", grade=False),
    "is_a_solution": set_metadata("check-double", solution=True),
    "is_a_task": set_metadata("check-double", task=True, grade=False),
    "is_unlocked": set_metadata("check-double", locked=False),
    "has_no_id": lambda cells: own(cells, "check-double")["metadata"]["nbgrader"].pop("grade_id") and None,
    "is_odd": set_metadata("check-double", grade_id=["check-double"]),
    "is_of_old": set_metadata("check-double", schema_version=1),
    "is_of_the_future": set_metadata("check-double", schema_version=99),
    "metadata_are_text": lambda cells: own(cells, "check-double")["metadata"].update(nbgrader="full marks"),
    "claims_a_number": claims_a_number,
    "becomes_text": becomes_text,
}


def test_nothing_in_the_notebook_changes_the_points_of_the_module(numbers: Class) -> None:
    half = numbers.reference().replace("return x + x", "raise NotImplementedError")
    for student, changed in CHANGES.items():
        change(numbers.hand_in(student, half), changed)
    assert numbers.autograde() == []
    assert {student: numbers.checks(student) for student in CHANGES} == dict.fromkeys(CHANGES, (0, 4))
    assert "put back" in (numbers.folder / "autograded/deletes_a_check" / NAME / "numbers_.ipynb").read_text()


def test_an_answer_stays_what_the_student_wrote(numbers: Class) -> None:
    def answers(cells: list[Any]) -> None:
        own(cells, "question-1")["source"] = "Because of ![it](attachment:it.png)"
        own(cells, "question-1")["attachments"] = {"it.png": {"image/png": "aWl0"}}
        own(cells, "question-1")["metadata"]["nbgrader"].update(points=99, locked=True, grade=False)
        cells.remove(own(cells, "question-2"))

    change(numbers.hand_in("ada", numbers.reference()), answers)
    assert numbers.autograde() == []
    autograded = nbformat.read(numbers.folder / "autograded/ada" / NAME / "numbers_.ipynb", 4)
    answer = own(autograded.cells, "question-1")
    assert answer.source.startswith("Because of")
    assert "it.png" in answer.attachments
    assert (numbers.points("ada")["question-1"], numbers.points("ada")["question-2"]) == (None, 0)


# --- people who mark, and what students read -------------------------------------------------------------------------


def test_written_answers_are_for_people_and_what_they_give_stays(numbers: Class) -> None:
    def answers(cells: list[Any]) -> None:
        own(cells, "question-1")["source"] = "Because."

    change(numbers.hand_in("ada", numbers.reference()), answers)
    numbers.autograde()
    with Gradebook(numbers.db_url) as gradebook:
        notebook = gradebook.find_submission_notebook("numbers_", NAME, "ada")
        assert {grade.name for grade in notebook.grades if grade.needs_manual_grade} == {"question-1"}
        assert numbers.export()["ada"]["written"] == ""
        gradebook.find_grade("question-1", "numbers_", NAME, "ada").manual_score = 7.5
        gradebook.find_comment("question-1", "numbers_", NAME, "ada").manual_comment = "Say why."
        gradebook.db.commit()
    numbers.autograde()
    with Gradebook(numbers.db_url) as gradebook:
        assert gradebook.find_grade("question-1", "numbers_", NAME, "ada").manual_score == 7.5
        assert gradebook.find_comment("question-1", "numbers_", NAME, "ada").comment == "Say why."
    row = numbers.export()["ada"]
    assert (row["status"], row["score"], row["max_score"]) == ("graded", "10", "10")
    assert (row["written"], row["max_written"]) == ("7.5", "20")
    assert [each["score"] for each in stock_export(numbers)] == ["17.5"]


def test_feedback_has_the_hints_no_secrets_and_no_markup_of_a_students(numbers: Class) -> None:
    loud = "raise ValueError(f'<script>alert(1)</script> \\x1b[31m got {x!r}' + 200 * 'x')"
    numbers.hand_in("ada", numbers.reference().replace("return x + x", loud))
    numbers.hand_in("ben", numbers.reference().replace("return x + x", "return x"))
    numbers.autograde()
    assert run(GenerateFeedback, numbers.config()) == []
    page, other = ((numbers.folder / "feedback" / each / NAME / "numbers_.html").read_text() for each in ("ada", "ben"))
    assert max(map(len, numbers.output("ada", "check-double").splitlines())) <= 100  # the page does not break lines
    for expected in ("Twice as much: 0 of 6 points", "Every element is doubled.", "What is twice nothing?",
                     "Counting: 4 of 4 points", "&lt;script&gt;alert(1)&lt;/script&gt;"):  # fmt: skip
        assert expected in page
    assert "hint: Add x to itself." in other
    told = numbers.output("ben", "check-double")
    assert "\n  not yet right (1 point, hidden): Text is refused, a tensor is not.\n" in told
    assert "\n  not yet right (2 points): Every element is doubled.\n      expected" in told
    assert "\n      hint: Add x to itself.\n" in told
    assert "<script>alert(1)" not in page
    _, *hidden = numbers.output("ada", "check-double").split(", hidden)")
    assert hidden and not any("got" in text for text in hidden)
    for path in numbers.folder.rglob("*"):
        assert not path.is_file() or b"secret-input-7391" not in path.read_bytes(), path


def test_a_late_submission_has_its_points_and_says_how_late_it_is(numbers: Class) -> None:
    with Gradebook(numbers.db_url) as gradebook:
        gradebook.update_or_create_assignment(NAME, duedate="2026-10-01 12:00:00 UTC")
    folder = numbers.hand_in("ada", numbers.reference())
    (folder / "timestamp.txt").write_text("2026-10-01 13:00:00 UTC\n")
    numbers.autograde()
    row = numbers.export()["ada"]
    assert (row["status"], row["late_seconds"], row["score"]) == ("graded", "3600", "10")


def test_the_table_tells_missing_from_not_graded(numbers: Class) -> None:
    """Nothing was handed in: 0 points. Something was, and nbgrader did not look at it: no points, and it is said."""
    numbers.hand_in("ada", numbers.reference())
    (numbers.hand_in("ben", numbers.reference()) / "numbers_.ipynb").unlink()
    with Gradebook(numbers.db_url) as gradebook:
        for student in ("ada", "ben", "=cmd()"):
            gradebook.update_or_create_student(student)
    assert numbers.autograde() == []
    with Gradebook(numbers.db_url) as gradebook:
        application = ExportApp(config=numbers.config(), log=logging.Logger("nbgrader"))
        application.coursedir = CourseDirectory(config=numbers.config())
        exporter = TaskPoints(parent=application)
        exporter.to = str(numbers.folder / "points.csv")
        exporter.export(gradebook)
    with (numbers.folder / "points.csv").open(newline="") as file:
        rows = {row["student"]: (row["status"], row["score"], row["task:double"]) for row in csv.DictReader(file)}
    assert rows == {"ada": ("graded", "10", "6"), "ben": ("ungraded", "", ""), "'=cmd()": ("missing", "0", "0")}


# --- what only an instructor can get wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": None}, "seed is not set"),
        ({"course": ""}, "course is not set"),
        ({"isolation": "none"}, "hidden tests need a jail"),
    ],
)
def test_without_its_settings_nobody_is_graded(numbers: Class, changes: dict[str, Any], told: str) -> None:
    numbers.hand_in("ada", numbers.reference())
    assert told in "".join(numbers.autograde(**changes))
    assert numbers.checks("ada") == (None, None)


def test_cells_that_are_not_worth_what_the_tests_are_worth_are_a_fault(numbers: Class) -> None:
    hidden = numbers.course.assignment(NAME).hidden_tests
    hidden.write_text(hidden.read_text().replace("@points(1)", "@points(2)"))
    numbers.hand_in("ada", numbers.reference())
    assert "'check-double' is 6 points, the task by the tests 7 points" in "".join(numbers.autograde())
    assert numbers.checks("ada") == (None, None)


def test_a_cell_that_only_running_it_could_grade_is_a_fault(numbers: Class) -> None:
    """Without an output nbgrader would give it full marks."""
    source = numbers.folder / "source" / NAME / "numbers_.ipynb"
    notebook = nbformat.read(source, 4)
    extra = nbformat.v4.new_code_cell("assert True", metadata=own(notebook.cells, "check-double").metadata)
    extra.metadata.nbgrader["grade_id"] = "an-own-test"
    nbformat.write(nbformat.v4.new_notebook(cells=[*lab().cells, extra], metadata=notebook.metadata), source)
    assert run(GenerateAssignment, numbers.config(), force=True) == []
    numbers.hand_in("ada", numbers.reference())
    assert "'an-own-test' is graded by running it" in "".join(numbers.autograde())
    assert numbers.points("ada")["an-own-test"] is None


# --- the commands, and PostgreSQL ------------------------------------------------------------------------------------


@pytest.fixture
def postgresql() -> Iterator[str]:
    """A server of its own, reached through a socket; its URL. PostgreSQL refuses to run as root.

    Where there is none the test is skipped, and fails where CI=true: nobody must take a run without it for one with it.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    pg_ctl = str(found[-1]) if found else shutil.which("pg_ctl")
    if pg_ctl is None:
        reason = "no PostgreSQL here, so no gradebook was tried in one: apt-get install postgresql"
        if os.environ.get("CI", "") not in ("", "0", "false"):
            pytest.fail(reason)
        pytest.skip(reason)
    account: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="minigpt-postgresql-"))
    if account:
        shutil.chown(folder, account["user"], account["group"])

    def run_as(*arguments: str) -> None:
        with (folder / "told").open("a") as told:
            ended = subprocess.run([pg_ctl, *arguments], cwd="/", stdout=told, stderr=told, **account)
        assert ended.returncode == 0, (folder / "told").read_text()

    try:
        run_as("initdb", "-D", f"{folder}/data", "-o", "--no-sync --auth=trust --username=staff --encoding=UTF8")
        run_as("start", "-w", "-D", f"{folder}/data", "-o", f"-k {folder} -c listen_addresses='' -c fsync=off")
        try:
            yield f"postgresql+psycopg2://staff@/postgres?host={folder}"
        finally:
            run_as("stop", "-m", "immediate", "-D", f"{folder}/data")
    finally:
        shutil.rmtree(folder)


def test_the_commands_with_a_gradebook_in_postgresql(
    numbers: Class, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Class(numbers.folder, numbers.course, postgresql)
    everybody = submissions_of(there.reference())
    for student in ("complete", "half", "missing"):
        there.hand_in(student, everybody[student])
    monkeypatch.setenv("PATH", PATH)
    assert run(GenerateAssignment, there.config(), force=True) == []
    for arguments in (
        ("autograde", NAME),
        ("export", "--to", "stock.csv"),
        ("export", "--exporter", "autograder.nbgrader_export.TaskPoints", "--to", "points.csv"),
    ):
        ended = command(there, *arguments)
        assert ended.returncode == 0, ended.stderr
    with (there.folder / "points.csv").open(newline="") as file:
        points = {
            row["student"]: (row["status"], row["task:double"], row["task:counter"]) for row in csv.DictReader(file)
        }
    assert points == {"complete": ("graded", "6", "4"), "half": ("graded", "0", "4"), "missing": ("graded", "0", "0")}
    with (there.folder / "stock.csv").open(newline="") as file:
        stock = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert stock == {"complete": 10, "half": 4, "missing": 0}
    assert there.checks("half") == (0, 4)
    hidden = there.course.assignment(NAME).hidden_tests
    hidden.write_text("raise RuntimeError\n")
    config = there.config()
    config.CourseDirectory.student_id = "complete"
    assert "for student 'complete'" in "".join(run(Autograde, config, force=True))
    assert there.checks("complete") == (None, None)
    assert there.checks("half") == (0, 4)
