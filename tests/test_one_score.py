"""One class, one seed, every front end: the same points for each task, whoever asks.

The class of `one_class.py` is graded by `minigpt grade` as folders and as clones, by nbgrader with its gradebook and
its export, by what GitHub's reporter is told, and by Gradescope's scripts. All but GitHub's run hidden tests too: there
the same visible tests must give what they give elsewhere, and no repository of a student's has any other.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from one_class import Member, members

from autograder.classroom import classroom_command
from autograder.grader import close_here
from autograder.gradescope_harness import run_harness
from autograder.manifest import Assignment, Course
from autograder.result import Result, read_result
from autograder.targets import TARGETS, write_release

REPOSITORY = Course(Path(__file__).parents[1])
NAME = "04_attention"
SEED = 20_260_831
SCRIPTS = Path(sys.executable).parent
DUE = "2026-10-01 12:00:00.000000 UTC"
ON_TIME, LATE = "2026-09-30 12:00:00.000000 UTC", "2026-10-03 12:00:00.000000 UTC"

Points = dict[str, dict[str, int]]  # student -> task -> points


@pytest.fixture(scope="module")
def attention() -> Assignment:
    return REPOSITORY.assignment(NAME)


@pytest.fixture(scope="module")
def everybody(attention: Assignment) -> list[Member]:
    return members(attention)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every target of `minigpt release`, with the one seed where a target has a seed."""
    root = tmp_path_factory.mktemp("released")
    for name, target in TARGETS.items():
        options: dict[str, object] = {"seed": SEED} if "seed" in target.options else {}
        if "assignment" in target.options:
            options["assignment"] = [NAME]
        list(write_release(REPOSITORY, name, root / name, options))
    return root


@pytest.fixture(scope="module")
def results(attention: Assignment, everybody: list[Member], tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """The class as `minigpt grade` grades it, from folders in nbgrader's layout."""
    root = tmp_path_factory.mktemp("grade")
    for member in everybody:
        member.write_to(root / "submissions" / member.name / NAME, attention.manifest.module)
    run_grade(root / "submissions", root / "graded")
    return [read_result(root / "graded" / member.name / NAME / "result.json") for member in everybody]


def run_grade(submissions: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        SCRIPTS / "minigpt", "grade", submissions, "--out", out, "--assignment", NAME, "--seed", str(SEED),
        "--train-steps", "0", *options,
    ]  # fmt: skip
    return subprocess.run(command, cwd=REPOSITORY.root, capture_output=True, text=True, check=True)


def points_of(results: list[Result], visibility: str | None = None) -> Points:
    """By task: of all tests, or of the visible ones."""
    return {
        result.student: {
            task.id: sum(test.score for test in task.tests if visibility in (None, test.visibility))
            for task in result.tasks
        }
        for result in results
    }


def test_the_class_has_everything_that_an_instructor_meets(results: list[Result]) -> None:
    """Or agreement would prove little: full marks, none, something in between; and every way to fail but time."""
    assert len(results) >= 12
    scores = {result.student: result.score for result in results}
    assert scores["ada"] == scores["kim"] == scores["noa"] == 80
    assert scores["eve"] == scores["finn"] == scores["hana"] == scores["ivan"] == scores["lou"] == scores["pia"] == 0
    assert {result.student for result in results if result.status == "missing"} == {"ivan"}
    assert 0 < scores["ben"] == scores["oli"] < 80 and scores["dan"] != scores["chloe"]
    statuses = {test.status for result in results for task in result.tasks for test in task.tests}
    assert statuses == {"passed", "failed", "not_attempted", "forbidden", "crashed"}


def test_nbgrader_gives_the_same_points(
    attention: Assignment, everybody: list[Member], released: Path, results: list[Result]
) -> None:
    course = released / "nbgrader"
    notebook = course / "release" / NAME / attention.notebook.name
    for member in everybody:
        folder = course / "submitted" / member.name / NAME
        member.write_to(folder, attention.manifest.module)
        (folder / "timestamp.txt").write_text(LATE if member.late else ON_TIME)
        if member.name != "ben":  # he hands in the module alone
            shutil.copy(notebook, folder)
    environment = {**os.environ, "PATH": os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", os.defpath)])}

    def nbgrader(*arguments: str) -> None:
        subprocess.run(
            [SCRIPTS / "nbgrader", *arguments], cwd=course, env=environment, capture_output=True, text=True, check=True
        )

    nbgrader("autograde", NAME)
    nbgrader("export")
    nbgrader("export", "--exporter=autograder.nbgrader_export.TaskPoints", "--to=tasks.csv")
    expected = points_of(results)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        found = {
            member.name: {
                grade.name.removeprefix("check-"): grade.auto_score
                for book in gradebook.find_submission(NAME, member.name).notebooks
                for grade in book.grades
                if grade.name.startswith("check-")
            }
            for member in everybody
        }
    assert found == expected
    totals = {student: sum(tasks.values()) for student, tasks in expected.items()}
    exported = {
        row["student_id"]: float(row["score"]) for row in _rows(course / "grades.csv") if row["assignment"] == NAME
    }
    assert exported == totals
    by_task = {
        row["student"]: {task: int(float(row[f"task:{task}"])) for task in expected["ada"]}
        for row in _rows(course / "tasks.csv")
        if row["assignment"] == NAME
    }
    assert by_task == expected


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def clones(
    attention: Assignment, everybody: list[Member], released: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The class as `gh` lays out its repositories: copies of the GitHub release, with what each of them pushed."""
    root = tmp_path_factory.mktemp("clones") / "minigpt-submissions"
    for member in everybody:
        clone = shutil.copytree(released / "github", root / f"minigpt-{member.name}-gh")
        (clone / "assignments" / NAME / attention.manifest.module).unlink()
        member.write_to(clone / "assignments" / NAME, attention.manifest.module)
    return root


def test_clones_with_a_roster_give_the_same_results(
    everybody: list[Member], clones: Path, results: list[Result], tmp_path: Path
) -> None:
    roster = tmp_path / "classroom_roster.csv"
    lines = [f'"{member.name}","{member.name}-gh","",""' for member in everybody]
    roster.write_text("\n".join(['"identifier","github_username","github_id","name"', *lines]) + "\n")
    run_grade(clones, tmp_path / "graded", "--roster", str(roster))
    again = [read_result(tmp_path / "graded" / member.name / NAME / "result.json") for member in everybody]
    assert again == results


def test_github_is_told_the_same_points_of_the_visible_tests(
    attention: Assignment, everybody: list[Member], released: Path, clones: Path, results: list[Result], tmp_path: Path
) -> None:
    """By the command of the workflow's steps, in each clone; the tests are those of the release."""
    expected = points_of(results, "visible")
    course = Course(released / "github")
    try:
        for member in everybody:
            output = tmp_path / member.name
            code = classroom_command(
                course,
                [NAME],
                seed=SEED,
                repository=clones / f"minigpt-{member.name}-gh",
                environment={"GITHUB_OUTPUT": str(output)},
            )
            assert code == 0
            told = json.loads(base64.b64decode(output.read_text().removeprefix("result=")))
            found = Counter(dict.fromkeys(expected[member.name], 0))
            for entry in told["tests"]:
                found[entry["name"].partition(":")[0]] += entry["score"]
            assert dict(found) == expected[member.name], member.name
            assert told["max_score"] == len(told["tests"]) == 32
    finally:
        close_here()


def test_gradescope_gives_the_same_points(
    everybody: list[Member], attention: Assignment, released: Path, results: list[Result], tmp_path: Path
) -> None:
    def points(member: Member) -> dict[str, int]:
        upload = tmp_path / member.name
        member.write_to(upload, attention.manifest.module)
        found = run_harness(released / "gradescope" / f"{NAME}.zip", upload)
        counted = Counter({task.id: 0 for task in attention.manifest.tasks})
        for test in found["tests"]:
            counted[test["tags"][0]] += test["score"]
        assert found["score"] == sum(counted.values())
        return dict(counted)

    with ThreadPoolExecutor(2) as pool:
        assert dict(zip((member.name for member in everybody), pool.map(points, everybody), strict=True)) == points_of(
            results
        )


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_gives_a_secret_away(released: Path, target: str) -> None:
    """What reaches students has no line of solutions/. A zip for Gradescope has the hidden tests, and nothing else."""
    from autograder.leak import find_leaks

    folder = released / target
    if target == "nbgrader":
        assert find_leaks(folder / "release", REPOSITORY) == []
        assert not any(path.suffix == ".py" for path in (folder / "source").rglob("*hidden*"))
    elif target == "gradescope":
        import zipfile

        with zipfile.ZipFile(folder / f"{NAME}.zip") as archive:
            archive.extractall(folder / "unpacked")
        secret = {str(leak.path) for leak in find_leaks(folder / "unpacked", REPOSITORY)}
        assert secret and all(path.startswith(("solutions", "course/solutions")) for path in secret), secret
    else:
        assert find_leaks(folder, REPOSITORY) == []
