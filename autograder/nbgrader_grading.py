"""nbgrader's autograding with this project's grader: no kernel is started, the points are those of `minigpt grade`.

    c.Autograde.exporter_class = "autograder.nbgrader_grading.ForgetOldGrades"
    c.Autograde.sanitize_preprocessors = ["autograder.nbgrader_grading.RestoreCells", ...]         # then nbgrader's own
    c.Autograde.autograde_preprocessors = ["autograder.nbgrader_grading.GradeWithMiniGPT", ...]    # in place of Execute
    c.GradeWithMiniGPT.course = "/home/staff/minigpt"
    c.GradeWithMiniGPT.seed = 1234

The module is read from where it was handed in, and graded in the jail. Each cell `check-<task>` gets an output that
nbgrader reads as the task's points, and above it the failing tests with their hints. The hints are in the output since
nbgrader has no comment for such a cell: its gradebook looks comments up by a student's answers and tasks, and neither
formgrader nor the feedback shows any other. Both show the output.

What the submitted notebook says of its cells counts for nothing, what the gradebook says does: a check cell that was
deleted, copied, renamed or changed has the points that it would have had. The student's answers stay as they are.

Where the grader fails, the submission has no grade, and nbgrader says so, goes on with the others, and ends with 1. The
grades that it had before are gone by then: they are taken out of the gradebook before anything of the submission is
looked at, so a process that is killed leaves none behind either. What a person gave, points or a comment, stays.

Does not run the notebook: its plots and prints are not there afterwards. Does not see a student who handed in no
notebook, since nbgrader passes over them: see `nbgrader_missing.py`.
"""

from __future__ import annotations

import atexit
import sys
import textwrap
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode, v4
from nbgrader.api import Gradebook, MissingEntry, Notebook
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import determine_grade
from traitlets import Bool, Enum, Integer, Unicode

from autograder.grader import Settings, Work, close_here, grade_here
from autograder.jail.isolation import TIERS, Tier, choose
from autograder.manifest import Assignment, Course
from autograder.outcome import GraderFault
from autograder.report import STATUS_WORDS, diagnosis_of, shortened, told
from autograder.result import Record, TaskResult, TestResult
from autograder.submissions import read_submission

V4: Any = v4  # its functions have no types
CHECK = "check-"
LINE = 100
PUT_BACK = "These cells were missing from the notebook that was handed in. They were put back here."

atexit.register(close_here)


@dataclass(frozen=True)
class Place:
    """Whose notebook is being converted, and where its grades are."""

    student: str
    assignment: str
    notebook: str
    db_url: str

    @staticmethod
    def of(resources: Mapping[str, Any]) -> Place:
        found = resources["nbgrader"]
        return Place(found["student"], found["assignment"], found["notebook"], found["db_url"])


# --- old grades ------------------------------------------------------------------------------------------------------


class ForgetOldGrades(NotebookExporter):
    """Takes the old grades out of the gradebook before it opens the notebook, which may be one that cannot be read."""

    def from_filename(self, filename: str, resources: Any = None, **kw: Any) -> tuple[NotebookNode, dict[str, Any]]:
        place = Place.of(resources)
        with Gradebook(place.db_url) as gradebook:
            forget_grades(gradebook, place)
        return super().from_filename(filename, resources, **kw)


def forget_grades(gradebook: Gradebook, place: Place) -> None:
    """Takes away what the autograder said of a notebook; formgrader shows it as yet to be graded.

    What a person said stays. A student without a submission has nothing to forget.
    """
    try:
        submitted = gradebook.find_submission_notebook(place.notebook, place.assignment, place.student)
    except MissingEntry:
        return
    for grade in submitted.grades:
        grade.auto_score = None
        grade.needs_manual_grade = True
    submitted.late_submission_penalty = None  # it may be as large as the old score
    gradebook.db.commit()


# --- the cells -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Original:
    """A cell as it was released: all that nbgrader knows of it, from the gradebook."""

    grade_id: str
    cell_type: str
    source: str
    locked: bool
    checksum: str | None
    grade: bool
    solution: bool
    task: bool
    points: float | None

    def metadata(self) -> dict[str, Any]:
        own: dict[str, Any] = {
            "schema_version": 3, "grade_id": self.grade_id, "grade": self.grade, "solution": self.solution,
            "task": self.task, "locked": self.locked, "cell_type": self.cell_type, "checksum": self.checksum,
        }  # fmt: skip
        if self.points is not None:
            own["points"] = self.points
        return {"deletable": False, "nbgrader": own}

    def cell(self, source: str) -> NotebookNode:
        """A new cell: without outputs, attachments, or whatever else a submitted one may hold."""
        make = V4.new_code_cell if self.cell_type == "code" else V4.new_markdown_cell
        made: NotebookNode = make(source, metadata=self.metadata())
        return made

    def in_place_of(self, submitted: NotebookNode) -> NotebookNode:
        """An answer keeps what the student wrote, pictures included; a locked cell is made anew."""
        if self.locked or submitted.cell_type != self.cell_type:
            made = self.cell(self.source if self.locked else submitted.source)
            made.pop("id")
            if "id" in submitted:
                made["id"] = submitted["id"]
            return made
        submitted.metadata = self.metadata()
        return submitted


class RestoreCells(NbGraderPreprocessor):  # type: ignore[misc]
    """Gives each cell what the gradebook says of it, and puts back graded cells that are missing.

    Goes before nbgrader's own sanitizing, which fails, or leaves a cell without a grade, where metadata were changed.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        place = Place.of(resources)
        with Gradebook(place.db_url) as gradebook:
            originals = read_originals(gradebook.find_notebook(place.notebook, place.assignment))
        restore(nb, originals)
        return nb, resources


def read_originals(notebook: Notebook) -> dict[str, Original]:
    """The cells that the gradebook has of a notebook, by grade_id."""
    points = {cell.name: cell.max_score for cell in (*notebook.grade_cells, *notebook.task_cells)}
    graded = {cell.name for cell in notebook.grade_cells}
    solutions = {cell.name for cell in notebook.solution_cells}
    tasks = {cell.name for cell in notebook.task_cells}
    return {
        cell.name: Original(
            grade_id=cell.name,
            cell_type=cell.cell_type,
            source=cell.source,
            locked=cell.locked,
            checksum=cell.checksum,
            grade=cell.name in graded,
            solution=cell.name in solutions,
            task=cell.name in tasks,
            points=points.get(cell.name),
        )
        for cell in sorted(notebook.source_cells, key=lambda cell: cell.name)
    }


def restore(notebook: NotebookNode, originals: Mapping[str, Original]) -> None:
    """Changes the cells. Of several with the same grade_id the last counts, as in nbgrader; the others are plain."""
    last = {grade_id_of(cell): index for index, cell in enumerate(notebook.cells)}
    for index, cell in enumerate(notebook.cells):
        original = originals.get(grade_id_of(cell))
        if original is not None and last[original.grade_id] == index:
            notebook.cells[index] = original.in_place_of(cell)
        elif isinstance(cell.get("metadata"), dict):
            cell.metadata.pop("nbgrader", None)
    missing = [each for name, each in originals.items() if name not in last and (each.grade or each.task)]
    added = [V4.new_markdown_cell(PUT_BACK), *(each.cell(each.source) for each in missing)] if missing else []
    for cell in added:
        if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
            cell.pop("id")  # older notebooks have none
        notebook.cells.append(cell)


def grade_id_of(cell: NotebookNode) -> str:
    """The cell's grade_id; empty where it has none, or none that makes sense."""
    metadata = cell.get("metadata")
    own = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = own.get("grade_id") if isinstance(own, dict) else None
    return grade_id if isinstance(grade_id, str) else ""


# --- grading ---------------------------------------------------------------------------------------------------------


class GradeWithMiniGPT(NbGraderPreprocessor):  # type: ignore[misc]
    """Grades the module that was handed in beside the notebook, and writes the points into the check cells."""

    course = Unicode(help="The instructor's repository: the folder with assignments/ and solutions/ in it.").tag(
        config=True
    )
    seed = Integer(None, allow_none=True, help="What all random inputs are drawn from. Keep it from students.").tag(
        config=True
    )
    isolation = Enum(("auto", *TIERS), "auto", help="The jail. auto takes the strongest one of this machine.").tag(
        config=True
    )
    force = Bool(False, help="Run hidden tests although isolation is none: students' code could find them out.").tag(
        config=True
    )

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        place = Place.of(resources)
        with Gradebook(place.db_url) as gradebook:
            forget_grades(gradebook, place)
            originals = read_originals(gradebook.find_notebook(place.notebook, place.assignment))
            all_of_them = gradebook.find_assignment(place.assignment).notebooks
            points = {cell.name: cell.max_score for notebook in all_of_them for cell in notebook.grade_cells}
        own = own_checks(originals)
        restore(nb, originals)
        if own:
            record = self._grade(place)
            check_points(record, {name: points[name] for name in points if name.startswith(CHECK)})
            write_outputs(nb, record)
        return nb, resources

    def _grade(self, place: Place) -> Record:
        """The record of this student's submission. A fault of the grader is raised."""
        converter = self.parent.parent  # the exporter's
        assignment = self._assignment(place)
        root = submitted_root(converter.coursedir, place)
        submission = read_submission(root, place.student, assignment)
        start_anew_for(converter, assignment)
        (graded,) = grade_here(self._settings(root, assignment), Work(place.student, (submission,)))
        if graded.record.result.status == "grader_error":
            raise GraderFault(graded.record.result.message)
        return graded.record

    def _assignment(self, place: Place) -> Assignment:
        if not self.course:
            raise GraderFault("c.GradeWithMiniGPT.course is not set: name the folder of the instructor's repository")
        return Course(Path(self.course).expanduser().resolve()).assignment(place.assignment)

    def _settings(self, root: Path, assignment: Assignment) -> Settings:
        """The same for all submissions of a run, so that they share a grader."""
        if self.seed is None:
            raise GraderFault("c.GradeWithMiniGPT.seed is not set: give it a whole number of your own")
        tier = chosen(self.isolation)
        if tier == "none" and not self.force:
            raise GraderFault("isolation is none: hidden tests need a jail, or c.GradeWithMiniGPT.force = True")
        return Settings(
            course=assignment.folder.parents[1],
            submissions=root,
            out=root,
            assignments=(assignment.name,),
            seed=self.seed,
            tier=tier,
            train_steps=0,
        )


def submitted_root(directory: Any, place: Place) -> Path:
    """The folder that holds a folder for each student."""
    folder = Path(directory.format_path(directory.submitted_directory, place.student, place.assignment))
    if folder.parts[-2:] != (place.student, place.assignment):
        raise GraderFault(f"{folder} should end with the student and the assignment: see directory_structure")
    return folder.parents[1]


@cache
def chosen(isolation: Tier) -> Tier:
    """Looked for once: to try a jail out takes as long as to grade."""
    return choose(isolation)


_run: weakref.ref[Any] | None = None


def start_anew_for(converter: object, assignment: Assignment) -> None:
    """Each run of nbgrader has its own grader: formgrader's process lives for days, and tests may change meanwhile."""
    global _run
    if _run is not None and _run() is converter:
        return
    close_here()
    files = {str(assignment.visible_tests), str(assignment.hidden_tests)}
    for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", None) in files]:
        del sys.modules[name]  # or pytest would take the tests as they were
    _run = weakref.ref(converter)


# --- points ----------------------------------------------------------------------------------------------------------


def own_checks(originals: Mapping[str, Original]) -> list[str]:
    """The check cells of a notebook. A cell that only running it could grade is refused: it would get full marks."""
    by_running = [each.grade_id for each in originals.values() if each.grade and not each.solution]
    if strange := [name for name in by_running if not name.startswith(CHECK)]:
        raise GraderFault(f"the cell {strange[0]!r} is graded by running it, and this preprocessor runs no cell")
    return by_running


def check_points(record: Record, cells: Mapping[str, float]) -> None:
    """The cells and the tasks are the same, and worth the same; else the gradebook is of another course."""
    tasks = {CHECK + task.id: task.max_score for task in record.result.tasks}
    for name in sorted(tasks.keys() | cells.keys()):
        if tasks.get(name) != cells.get(name):
            worth = [f"{found[name]:g} points" if name in found else "not there" for found in (cells, tasks)]
            raise GraderFault(
                f"the gradebook's cell {name!r} is {worth[0]}, the task by the tests {worth[1]}: make the release "
                "again, and run `nbgrader generate_assignment`"
            )


def write_outputs(notebook: NotebookNode, record: Record) -> None:
    """Into each check cell of the notebook; then asks nbgrader what it makes of it."""
    tasks = {CHECK + task.id: task for task in record.result.tasks}
    notices = record.feedback.notices
    for cell in notebook.cells:
        if (task := tasks.get(grade_id_of(cell))) is None:
            continue
        text = summary(record, task, notices)
        notices = ()  # once is enough
        cell.outputs = [
            V4.new_output("stream", name="stdout", text=text),
            V4.new_output("execute_result", data={"text/plain": str(task.score)}),
        ]
        if determine_grade(cell) != (task.score, task.max_score):
            raise GraderFault(f"nbgrader reads {determine_grade(cell)[0]} from the cell of {task.id}, not {task.score}")


def summary(record: Record, task: TaskResult, notices: tuple[str, ...]) -> str:
    """What a student reads above the points: each test that did not pass, and its hint."""
    lines = [f"{task.title or task.id}: {task.score} of {task.max_score} points"]
    if record.result.status == "missing":
        lines += wrapped(f"Nothing was graded: {shortened(str(record.result.message))}", 0)
    else:
        lines += [line for test in task.tests if test.status != "passed" for line in _failing(record, test)]
    lines += [line for notice in notices for line in wrapped(shortened(notice), 0)]
    return "\n".join(lines) + "\n"


def _failing(record: Record, test: TestResult) -> list[str]:
    """A hidden test shows its title, its hint and the mistake that it met, all of them authored."""
    word, meaning = STATUS_WORDS[test.status]
    worth = f"{test.max_score} point{'s' if test.max_score != 1 else ''}"
    hidden = ", hidden" if test.visibility == "hidden" else ""
    hint = f"hint: {test.hint}" if test.hint else None
    told_of_it = [meaning, told(record, test), diagnosis_of(record, test), hint]
    return [
        *wrapped(f"{word} ({worth}{hidden}): {test.title or test.id}", 2),
        *(line for text in told_of_it if text for line in wrapped(text, 6)),
    ]


def wrapped(text: str, indent: int) -> list[str]:
    """Lines that fit: neither formgrader nor the feedback breaks them. What is broken goes on further to the right."""
    shift, more = " " * indent, " " * (indent + 4)
    return [
        part
        for line in text.splitlines()
        for part in textwrap.wrap(line, LINE, initial_indent=shift, subsequent_indent=more, break_on_hyphens=False)
    ]
