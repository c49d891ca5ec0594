"""nbgrader in JupyterLab, in a real browser: from the released assignment to the feedback, by clicking.

A student fetches the lab, validates it, runs it and submits it; an instructor collects, autogrades and looks at the
grades in formgrader. The servers are real, and so is the browser: Chromium, as the distribution has it. Without one the
test is skipped, and fails where CI=true.

    MINIGPT_SCREENSHOTS=1 pytest tests/test_browser.py            # writes the pictures of docs/images/ anew
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser.chromium import find_chromium, picture, started
from browser.lab_server import PATIENCE, LabServer, environment
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect

from autograder.manifest import Assignment, Course
from autograder.nbgrader_course import release_nbgrader
from autograder.variants import read_mistakes

REPOSITORY = Path(__file__).parents[1]
NAME = "04_attention"
NAMES = {"ada": "Lovelace, Ada", "ben": "Franklin, Ben"}
QUESTIONS = ("attention-question-1", "attention-question-2")
expect.set_options(timeout=PATIENCE)


# --- the browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> str:
    return find_chromium()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_without_chromium_a_laptop_skips_and_ci_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="apt-get install chromium"):
        find_chromium()


# --- the course ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where everything is: the course directory, nbgrader's exchange, the homes of the staff and of a student.

    packages: what students have installed, which is the course's packages without `solutions/` beside them.
    """

    assignment: Assignment
    directory: Path
    exchange: Path
    staff: Path
    ada: Path
    packages: Path

    @property
    def fetched(self) -> Path:
        return self.ada / NAME


@pytest.fixture(scope="module")
def place(chromium: str, course: Course, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The course as nbgrader has it, with the assignment released. Ben's module, with a mistake, has come by mail."""
    root = tmp_path_factory.mktemp("nbgrader")
    made = Place(course.assignment(NAME), *(root / name for name in ("course", "exchange", "staff", "ada", "packages")))
    release_nbgrader(course, made.directory)
    made.exchange.mkdir()
    made.exchange.chmod(0o777)
    made.staff.mkdir()
    (made.ada / ".jupyter").mkdir(parents=True)
    exchange = f"c.Exchange.root = {str(made.exchange)!r}\n"
    with (made.directory / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write(exchange)
    settings = f"c = get_config()\n{exchange}c.CourseDirectory.student_id = 'ada'\nc.Execute.timeout = 300\n"
    (made.ada / ".jupyter/nbgrader_config.py").write_text(settings, encoding="utf-8")
    for name in ("autograder", "datasets"):
        shutil.copytree(REPOSITORY / name, made.packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    roster = made.staff / "students.csv"
    roster.write_text("id,last_name,first_name\nada,Lovelace,Ada\nben,Franklin,Ben\n")
    run(made, "nbgrader", "db", "student", "import", str(roster))
    run(made, "nbgrader", "release_assignment", NAME)
    hand_in_by_mail(made, "ben")
    return made


def run(place: Place, *command: str) -> None:
    """A command of the instructors, in the course directory."""
    env = environment(place.staff, REPOSITORY)
    program = shutil.which(command[0], path=env["PATH"])
    assert program is not None
    done = subprocess.run([program, *command[1:]], cwd=place.directory, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def hand_in_by_mail(place: Place, student: str) -> None:
    (wrong,) = (each for each in read_mistakes(place.assignment) if each.name == "scaled_by_d_k")
    folder = place.directory / "submitted" / student / NAME
    shutil.copytree(place.directory / "release" / NAME, folder)
    (folder / "attention.py").write_text(wrong.source, encoding="utf-8")
    notebook = folder / "attention.ipynb"
    notebook.write_text(notebook.read_text(encoding="utf-8").replace("YOUR ANSWER HERE", "Because it is learned."))


def grades_of_minigpt(place: Place, out: Path) -> dict[str, dict[str, int]]:
    """Each student's points for each task, as `minigpt grade` gives them with the seed of nbgrader's settings."""
    seed = re.search(r"GradeWithMiniGPT\.seed = (\d+)", (place.directory / "nbgrader_config.py").read_text())
    assert seed is not None
    submitted = str(place.directory / "submitted")
    options = ("--assignment", NAME, "--seed", seed[1], "--train-steps", "0", "--course", str(REPOSITORY))
    run(place, "minigpt", "grade", submitted, "--out", str(out), *options)
    results = {student: json.loads((out / student / NAME / "result.json").read_text()) for student in NAMES}
    return {student: {task["id"]: task["score"] for task in result["tasks"]} for student, result in results.items()}


# --- what a student does ---------------------------------------------------------------------------------------------


def open_assignments(page: Page) -> None:
    """The tab with the lists of assignments, from JupyterLab's menu."""
    page.get_by_role("menuitem", name="Nbgrader").click()
    page.locator('#jp-mainmenu-nbgrader [data-command="nbgrader:open-assignment-list"]').click()


def only_row(page: Page, kind: str) -> Locator:
    """The assignment in the list of those that are released, fetched or submitted. There is one."""
    row = page.locator(f"#{kind}_assignments_list > .list_item")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(NAME)
    return row


def fetch_and_open(page: Page) -> None:
    open_assignments(page)
    only_row(page, "released").get_by_role("button", name="Fetch").click()
    row = only_row(page, "fetched")
    row.get_by_role("button", name=NAME).click()  # shows the notebooks in it
    expect(row.get_by_role("button", name="Validate")).to_be_visible()
    picture(page, "jupyter-assignments")
    row.get_by_role("link", name="attention", exact=True).click()
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible()


def validate(page: Page) -> Locator:
    """Presses the notebook's Validate, and gives what it shows."""
    page.get_by_role("button", name="Validate").filter(visible=True).click()
    shown = page.locator(".jp-Dialog-content")
    expect(shown).to_contain_text("Validation Results")
    return shown


def close_dialog(page: Page) -> None:
    page.locator(".jp-Dialog").get_by_role("button", name="Ok").click()
    expect(page.locator(".jp-Dialog")).to_have_count(0)


def answer_questions(page: Page) -> None:
    """Writes into the cells for the written answers, by hand."""
    for answer in ("A sum of d_k products has the variance d_k.", "A query is used once, by its own token."):
        page.locator(".jp-RenderedMarkdown", has_text="YOUR ANSWER HERE").first.dblclick()
        editor = page.locator(".jp-Cell.jp-mod-active .cm-content")
        editor.fill(answer)
        editor.press("ControlOrMeta+Enter")
        expect(page.locator(".jp-RenderedMarkdown", has_text=answer)).to_be_visible()


def run_all(page: Page) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator('#jp-mainmenu-run [data-command="runmenu:run-all"]').click()


def student_hands_in(page: Page, place: Place) -> None:
    """From the list to the submission. Validating says first what is missing, and then that nothing is."""
    tasks = place.assignment.manifest.tasks
    fetch_and_open(page)
    shown = validate(page)
    for task in tasks:
        expect(shown).to_contain_text(f"not written yet: {' and '.join(task.symbols)} in attention.py")
    expect(shown.get_by_text("You did not provide a response.")).to_have_count(len(QUESTIONS))
    picture(page, "jupyter-validate")
    close_dialog(page)

    shutil.copyfile(place.assignment.reference, place.fetched / "attention.py")  # written in some editor
    run_all(page)
    passed = page.locator(".jp-OutputArea-output", has_text=re.compile(r"\w+: (\d+) of \1 points in the visible tests"))
    expect(passed).to_have_count(len(tasks))
    passed.nth(2).evaluate("output => output.scrollIntoView({block: 'end'})")
    picture(page, "jupyter-lab")
    answer_questions(page)
    expect(validate(page)).to_contain_text("Success! Your notebook passes all the tests.")
    close_dialog(page)

    page.get_by_role("tab", name="Assignments").click()
    only_row(page, "fetched").get_by_role("button", name="Submit").click()
    only_row(page, "submitted")
    (handed_in,) = (place.exchange / "minigpt/inbound").iterdir()
    assert (handed_in / "attention.py").read_bytes() == place.assignment.reference.read_bytes()
    outputs = [output for cell in cells_of(handed_in / "attention.ipynb") for output in cell.get("outputs", [])]
    assert {output["output_type"] for output in outputs} == {"display_data", "stream"}  # pictures, text and no error


def cells_of(notebook: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return cells


# --- what an instructor does -----------------------------------------------------------------------------------------


def open_formgrader(page: Page) -> FrameLocator:
    page.get_by_role("menuitem", name="Nbgrader").click()
    page.locator('#jp-mainmenu-nbgrader [data-command="nbgrader:open-formgrader"]').click()
    page.keyboard.press("ControlOrMeta+b")  # no file browser: more room
    return page.frame_locator("iframe")


def press(frame: FrameLocator, row: Locator, button: str) -> None:
    """One of formgrader's buttons, which answers in a dialog."""
    row.locator(f"td.{button} a").click()
    told = frame.locator("#success-modal, #error-modal")
    expect(told.locator(".modal-title")).to_have_text("Success")
    told.get_by_role("button", name="OK").click()
    expect(told).to_have_count(0)


def student_row(page: Page, frame: FrameLocator, student: str) -> Locator:
    return frame.locator("#main-table tr", has=page.locator(f"td.student-id[data-order='{student}']"))


def instructor_collects(page: Page, frame: FrameLocator) -> None:
    assignment = frame.locator("#main-table tr", has_text=NAME)
    press(frame, assignment, "collect")
    expect(assignment.locator("td.num-submissions a")).to_have_text(str(len(NAMES)))
    assignment.locator("td.num-submissions a").click()


def instructor_autogrades(page: Page, frame: FrameLocator, grades: dict[str, dict[str, int]]) -> None:
    """By formgrader's button, one student after the other. `grades`: the points that it should show."""
    for student, points in grades.items():
        row = student_row(page, frame, student)
        expect(row.locator("td.status")).to_have_text("needs autograding")
        press(frame, row, "autograde")
        expect(row.locator("td.status")).to_have_text("needs manual grading")
        expect(row.locator("td.score")).to_have_text(f"{sum(points.values())} / 100")
    picture(page, "formgrader")


def instructor_opens(page: Page, frame: FrameLocator, student: str, points: dict[str, int]) -> None:
    """A student's notebook in formgrader: each check cell has its task's points, each answer waits for a reader."""
    frame.get_by_role("link", name="Manual Grading").first.click()
    frame.get_by_role("link", name=NAME).click()
    frame.get_by_role("link", name="attention", exact=True).click()
    expect(frame.locator("#main-table td.name")).to_have_count(len(NAMES))
    frame.get_by_role("button", name="Show All Names").click()
    frame.locator("a.name-shown", has_text=NAMES[student]).click()
    for task, score in points.items():
        expect(frame.locator(f"input#check-{task}")).to_have_attribute("placeholder", str(score))
    for question in QUESTIONS:
        expect(frame.locator(f"input#{question}")).to_have_class(re.compile("needs_manual_grade"))
        expect(frame.locator(f"textarea#{question}-comment")).to_be_visible()


def instructor_grades_answers(page: Page, frame: FrameLocator, points: int) -> None:
    """By hand, with a comment."""
    for question in QUESTIONS:
        for kind, field, value in (
            ("grade", f"input#{question}", points),
            ("comment", f"#{question}-comment", "Well put."),
        ):
            with page.expect_response(
                lambda got, kind=kind: f"/api/{kind}/" in got.url and got.request.method == "PUT"
            ):
                frame.locator(field).fill(str(value))
                frame.locator(field).blur()


def show_cell(page: Page, frame: FrameLocator, grade_id: str, name: str) -> None:
    """A picture of formgrader that begins with this cell, below the bar at the top."""
    cell = frame.locator(".nbgrader_cell", has=page.locator(f"#{grade_id}"))
    cell.evaluate("cell => { $('html, body').stop(true); cell.scrollIntoView(); window.scrollBy(0, -60); }")
    picture(page, name)


def instructor_gives_feedback(page: Page, frame: FrameLocator, points: int) -> None:
    """To everybody, and back through the exchange to her whose submission came through it."""
    frame.get_by_role("link", name="Manual Grading").first.click()
    frame.get_by_role("link", name="Manage Assignments").click()
    frame.locator("#main-table tr", has_text=NAME).locator("td.num-submissions a").click()
    ada = student_row(page, frame, "ada")
    expect(ada.locator("td.status")).to_have_text("graded")
    expect(ada.locator("td.score")).to_have_text(f"{points} / 100")
    for student in NAMES:
        press(frame, student_row(page, frame, student), "generate-feedback")
    press(frame, ada, "release-feedback")


def student_reads_feedback(page: Page, points: int) -> None:
    page.locator("#refresh_assignments_list").click()
    row = only_row(page, "submitted")
    row.get_by_role("button", name="Fetch Feedback").click()
    row.get_by_text("(view feedback)").click()
    page.locator(".jp-DirListing-item", has_text="attention.html").dblclick()
    report = page.frame_locator(".jp-HTMLViewer iframe")
    expect(report.get_by_text(f"attention (Score: {points:.1f} / 100.0)")).to_be_visible()
    expect(report.get_by_text("Well put.")).to_have_count(len(QUESTIONS))
    picture(page, "feedback")


# --- all of it -------------------------------------------------------------------------------------------------------


def test_from_the_released_lab_to_the_feedback(place: Place, browser: Browser, tmp_path: Path) -> None:
    theirs, ours = ("assignment_list", "validate_assignment"), ("formgrader",)
    students = LabServer(place.ada, place.ada, packages=place.packages, extensions=theirs)
    staff = LabServer(place.staff, place.directory, packages=REPOSITORY, extensions=ours)
    with students, staff, students.page(browser) as student, staff.page(browser) as instructor:
        student_hands_in(student, place)

        formgrader = open_formgrader(instructor)
        instructor_collects(instructor, formgrader)
        grades = grades_of_minigpt(place, tmp_path / "grades")
        assert sum(grades["ada"].values()) == 80 > sum(grades["ben"].values()) > 0
        instructor_autogrades(instructor, formgrader, grades)
        instructor_opens(instructor, formgrader, "ben", grades["ben"])
        show_cell(instructor, formgrader, "check-sdpa", "formgrader-hints")
        instructor_opens(instructor, formgrader, "ada", grades["ada"])
        instructor_grades_answers(instructor, formgrader, 8)
        show_cell(instructor, formgrader, "check-softmax", "formgrader-answer")
        instructor_gives_feedback(instructor, formgrader, 80 + 2 * 8)

        student_reads_feedback(student, 80 + 2 * 8)
