"""The students' repository on GitHub: what runs there, which points it tells, and that no student can make it tell others.

The reporter of points is no package that could be installed here. `table` and `notice` below do its sums, as they stand in
classroom-resources/autograding-grading-reporter: the built dist/main.js of commit d13b591, and src/ of commits a7fca25
(table) and 1549b90 (notice). `command_in` is the runner's rule for what a command is: actions/runner,
src/Runner.Common/ActionCommand.cs, commit 079cdb1. All else here runs for real: bash, the jail, the released files.
"""

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from synthetic_course import FILES, make_course

from autograder.classroom import classroom50_json, classroom_command, defused, grade_repository, reporter_json
from autograder.github import release_github, step_id
from autograder.grader import close_here
from autograder.leak import find_leaks
from autograder.manifest import Course, CourseError
from autograder.outcome import GraderFault
from autograder.release import release_student
from autograder.suite import collect

REPOSITORY = Course(Path(__file__).parents[1])
SOLUTION_LINE = "running = math.fsum(number for number in numbers)"
REFERENCE = FILES["solutions/01_sums/sums.py"]
ADDED = {
    ".devcontainer/devcontainer.json",
    ".github/classroom/autograding.json",
    ".github/classroom50/autograder.py",
    ".github/workflows/classroom.yml",
}
TOTAL_ONLY = "def total(numbers):\n    return sum(numbers)\n"
CHEATS = {
    "exits": "import os\nos._exit(0)\n",
    "exits politely": "import sys\nsys.exit(0)\n",
    "exits in a call": "import os\ndef total(numbers):\n    os._exit(0)\n",
    "equal to all": "class Yes:\n    def __eq__(self, other):\n        return True\ndef total(numbers):\n    return Yes()\n",
    "writes outputs": "import os\nfor name in os.environ.values():\n    open(name, 'a').write('result=x')\n",
    "skips": "import unittest\nraise unittest.SkipTest('all is well')\n",
}
BESIDE = {
    "conftest.py": "import pytest\n\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport(item, call):\n"
    "    (yield).get_result().outcome = 'passed'\n\ndef pytest_collection_modifyitems(items):\n    items.clear()\n",
    "pytest.ini": "[pytest]\naddopts = --collect-only\n",
    "sitecustomize.py": "import os\nos._exit(0)\n",
}
TOLD = {
    "CLASSROOM": "cs-1", "ASSIGNMENT": "01-sums", "OWNER": "ada", "ASSIGNMENT_TYPE": "individual",
    "SUBMISSION_TAG": "submit/2026-11-21T12-00-00Z-a1b2c3d", "COMMIT_URL": "https://example.org/commit/a1b2c3d",
    "RELEASE_URL": "https://example.org/releases/1", "REVIEW_URL": "https://example.org/compare/0...1",
}  # fmt: skip


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return make_course(tmp_path_factory.mktemp("github") / "course")


@pytest.fixture(scope="module")
def released(course):
    """The repository that students begin with."""
    release_github(course, course.root.parent / "students")
    return course.root.parent / "students"


@pytest.fixture(scope="module")
def real_release(tmp_path_factory):
    target = tmp_path_factory.mktemp("real") / "students"
    release_github(REPOSITORY, target)
    return target


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Where one student after another sits down: the grader of this process is started once for all of them."""
    yield tmp_path_factory.mktemp("desk") / "checkout"
    close_here()


@pytest.fixture
def checkout(released, desk, tmp_path):
    """One student's copy of the repository, with this source in place of the stub, and these files all over it.

    fresh: in a folder of its own, for whoever changes the tests.
    """

    def copy(source=None, fresh=False, **beside):
        folder = tmp_path / "checkout" if fresh else desk
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(released, folder)
        if source is not None:
            (folder / "assignments/01_sums/sums.py").write_text(source)
        for name, text in beside.items():
            for place in (folder, folder / "assignments", folder / "assignments/01_sums"):
                (place / name).write_text(text)
        return folder

    return copy


def points(record):
    return {task.id: task.score for task in record.result.tasks}


def grade(folder):
    course = Course(folder)
    return grade_repository(course, course.assignments(), seed=1)[0]


# --- the reporter's sums ---------------------------------------------------------------------------------------------


def tables(results):
    """The totals that the reporter's table has shown: passed / entries * max_score before, the sum of scores since."""
    passed = [sum(test["status"] == "pass" for test in result["tests"]) for result in results]
    before = [count / len(each["tests"]) * each["max_score"] for count, each in zip(passed, results, strict=True)]
    since = [sum(test["score"] for test in result["tests"]) for result in results]
    return {"before": sum(before), "since": sum(since), "grand total": sum(passed)}


def notice(results):
    """The notice "Points 2/5", which is what counts elsewhere."""
    counted = [result for result in results if result["max_score"]]
    return sum(test["score"] for result in counted for test in result["tests"]), sum(
        each["max_score"] for each in counted
    )


def test_sums_of_the_reporter_differ_where_entries_weigh_differently():
    """Why there is an entry for each point: with one for each test, the two totals are 2.5 and 2."""
    by_test = [{"name": "a", "status": "pass", "score": 2}, {"name": "b", "status": "fail", "score": 0}]
    results = [{"max_score": 5, "tests": by_test}]
    assert tables(results)["before"] == 2.5 and notice(results) == (2, 5)


@pytest.mark.parametrize("total", [0, 2])
@pytest.mark.parametrize("scaler", [0, 3])
def test_table_and_notice_agree_with_the_grade(checkout, total, scaler):
    doubled = "class Scaler:\n    def __init__(self, f):\n        self.f = f\n    def apply(self, x):\n        return [self.f * n for n in x]\n"
    record = grade(checkout((TOTAL_ONLY if total else "") + (doubled if scaler else "")))
    assert points(record) == {"total": total, "scaler": scaler}
    told = [reporter_json(record.result)]
    assert set(tables(told).values()) == {total + scaler} and notice(told) == (total + scaler, 5)
    assert told[0]["status"] == ("pass" if total and scaler else "fail")
    assert all(entry["line_no"] == 0 for entry in told[0]["tests"])


@pytest.mark.parametrize("assignment", REPOSITORY.assignments(), ids=lambda assignment: assignment.name)
def test_the_older_table_has_no_rounding_in_this_course(assignment):
    """15 / 22 * 22 is 15.000000000000002: with such a number of visible points, the table would not look like the grade."""
    most = collect(assignment, hidden=False).max_score
    assert [score for score in range(most + 1) if score / most * most != score] == []


# --- points ----------------------------------------------------------------------------------------------------------


def test_reference_gets_every_visible_point(checkout):
    record = grade(checkout(REFERENCE))
    assert points(record) == {"total": 2, "scaler": 3} and record.result.max_score == 5
    assert {test.visibility for task in record.result.tasks for test in task.tests} == {"visible"}


def test_real_reference_gets_every_visible_point(real_release, tmp_path):
    folder = shutil.copytree(real_release, tmp_path / "checkout")
    assignment = REPOSITORY.assignment("attention")
    shutil.copyfile(assignment.reference, folder / f"assignments/{assignment.name}/{assignment.manifest.module}")
    course = Course(folder)
    (record,) = grade_repository(course, [course.assignment("attention")], seed=1)
    assert record.result.score == record.result.max_score == collect(assignment, hidden=False).max_score
    assert notice([reporter_json(record.result)]) == (record.result.score, record.result.max_score)


def test_stub_gets_nothing_and_the_step_does_not_fail(checkout, tmp_path, capsys):
    code, results, log = step(checkout(), tmp_path, capsys)
    assert code == 0 and notice(results) == (0, 5) and "not started" in log


def test_a_module_that_is_not_there_gets_nothing_and_says_so(checkout, tmp_path, capsys):
    folder = checkout()
    (folder / "assignments/01_sums/sums.py").unlink()
    code, results, log = step(folder, tmp_path, capsys)
    assert code == 0 and notice(results) == (0, 5) and "there is no sums.py" in log


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_gets_what_it_gets_from_the_grader(checkout, tmp_path, capsys, cheat):
    code, results, _ = step(checkout(CHEATS[cheat]), tmp_path, capsys)
    assert code == 0 and notice(results) == (0, 5)


def test_files_beside_a_module_change_nothing(checkout, tmp_path, capsys):
    code, results, log = step(checkout(TOTAL_ONLY, **BESIDE), tmp_path, capsys)
    assert code == 0 and notice(results) == (2, 5) and "ignored" in log


def test_the_seed_is_told_and_a_new_one_each_time(checkout):
    course = Course(checkout(TOTAL_ONLY))
    seeds = [grade_repository(course, course.assignments(), seed=seed)[0].result.seed for seed in (1, None, None)]
    assert seeds[0] == 1 and len(set(seeds)) == 3


# --- a step of the workflow ------------------------------------------------------------------------------------------


def step(folder, tmp_path, capsys, **options):
    """Runs one step's command in this process. Gives the exit code, what the reporter would decode, and the log."""
    output = tmp_path / "github_output"
    output.write_text("earlier=1\n")
    told = {"GITHUB_OUTPUT": str(output)}
    code = classroom_command(Course(folder), ["sums"], seed=1, environment=told, **options)
    return code, decoded(output), capsys.readouterr().out


def decoded(output):
    """As the runner reads the file, line by line, and the reporter the value."""
    lines = output.read_text().removeprefix("earlier=1\n").splitlines()
    assert all(re.fullmatch(r"result=[A-Za-z0-9+/]+=*", line) for line in lines) and len(lines) <= 1
    return [json.loads(base64.b64decode(line.removeprefix("result="))) for line in lines]


def test_the_log_shows_points_the_first_failing_test_and_its_hint(tmp_path, checkout, capsys):
    source = (
        "def total(numbers):\n    raise ValueError('no numbers, please')\n"
        + REFERENCE.partition("\n\n\n")[2].partition("class")[2]
    )
    folder = checkout(source.replace(" Scaler", "class Scaler", 1), fresh=True)
    tests = folder / "assignments/01_sums/test_sums.py"
    tests.write_text(
        tests.read_text().replace("student.total([1, 2]), 3)", "student.total([1, 2]), 3, hint='Add them.')")
    )
    _, _, log = step(folder, tmp_path, capsys)
    assert re.search(r"total .* 0 of 2 .* in progress", log) and re.search(r"scaler .* 3 of 3 .* passed", log)
    for shown in ("total: The total of 1 and 2 is 3.", "no numbers, please", "minigpt hint total", "3 of 5 points"):
        assert shown in log
    assert "\x1b" not in log  # no colours where there is no terminal


def test_two_assignments_are_no_step_and_a_task_is_none(course):
    with pytest.raises(CourseError, match="takes whole assignments"):
        classroom_command(course, ["total"], environment={})
    with pytest.raises(CourseError, match="no assignment or task 'nothing'"):
        classroom_command(course, ["nothing"], environment={})
    with pytest.raises(CourseError, match="takes one assignment"):
        classroom_command(REPOSITORY, ["attention", "data"], environment={})


def on_the_path():
    """The environment in which the commands of the released files find `minigpt` and Python."""
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run_workflow(folder, tmp_path):
    """Every step of the workflow that grades, in bash as GitHub starts it. Gives what the reporter is handed."""
    workflow = yaml.safe_load((folder / ".github/workflows/classroom.yml").read_text())
    handed = []
    for each in workflow["jobs"]["run-autograding-tests"]["steps"]:
        if "id" not in each or each["id"] == "install":  # checkout, Python and pip are GitHub's
            continue
        output = tmp_path / f"{each['id']}.txt"
        output.touch()
        environment = {**on_the_path(), "GITHUB_OUTPUT": str(output)}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", each["run"]]
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert "points" in ran.stdout
        handed += decoded(output)
    return handed


def test_the_workflow_as_bash_runs_it(checkout, tmp_path):
    handed = run_workflow(checkout(TOTAL_ONLY, **BESIDE), tmp_path)
    assert notice(handed) == (2, 5) and set(tables(handed).values()) == {2}


# --- the older format ------------------------------------------------------------------------------------------------


def run_older(folder):
    """Points as education/autograding counts them: all of an entry's where its command exits with 0, else none.

    That action's own repository could not be read; forks of it give a command nothing of the environment but PATH, and
    `FORCE_COLOR`, and their timeouts are minutes.
    """
    entries = json.loads((folder / ".github/classroom/autograding.json").read_text())["tests"]
    environment = {**on_the_path(), "FORCE_COLOR": "true"}
    won = [
        entry["points"]
        for entry in entries
        if subprocess.run(entry["run"], shell=True, cwd=folder, env=environment, capture_output=True).returncode == 0
    ]
    return sum(won), sum(entry["points"] for entry in entries)


def test_the_older_format_counts_whole_tasks(checkout):
    exits = "import os\n\nclass Scaler:\n    def __init__(self, factor):\n        os._exit(0)\n"
    assert run_older(checkout(TOTAL_ONLY + exits, **BESIDE)) == (2, 5)


# --- Classroom 50 ----------------------------------------------------------------------------------------------------


def run_classroom50(folder, bundle, **told):
    """As cli/gh-teacher/skeleton/dotgithub/scripts/runner.py of foundation50/classroom50 does, commit 0c49903."""
    environment = {**on_the_path(), **TOLD, "CLASSROOM50_BUNDLE_DIR": str(bundle), **told}
    command = [sys.executable, str(bundle / "autograder.py")]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def bundle(released, tmp_path):
    """What an instructor puts into the classroom's repository."""
    (tmp_path / "bundle").mkdir()
    shutil.copyfile(released / ".github/classroom50/autograder.py", tmp_path / "bundle/autograder.py")
    return tmp_path / "bundle"


def test_classroom50_gets_whole_points_and_its_own_names(checkout, bundle):
    folder = checkout(TOTAL_ONLY, **BESIDE)
    ran = run_classroom50(folder, bundle)
    assert ran.returncode == 0, ran.stderr
    result = json.loads((folder / "result.json").read_text())
    assert {name: result[name] for name in ("classroom", "assignment", "owner", "submission")} == {
        "classroom": "cs-1", "assignment": "01-sums", "owner": "ada", "submission": TOLD["SUBMISSION_TAG"]
    }  # fmt: skip
    assert refused_by_classroom50(result) == []
    assert (result["score"], result["max-score"]) == (2, 5)
    assert [(test["passed"], test["score"], test["max-score"]) for test in result["tests"]] == [
        (True, 2, 2),
        (False, 0, 3),
    ]


def test_a_students_own_tests_do_not_count_where_the_bundle_has_the_course(checkout, bundle, released):
    shutil.copytree(released, bundle / "course")
    folder = checkout(TOTAL_ONLY)
    tests = folder / "assignments/01_sums/test_sums.py"
    tests.write_text(tests.read_text().replace("student.Scaler(2).apply([1, 2])", "[2, 4]"))
    assert run_classroom50(folder, bundle, ASSIGNMENT="the-whole-course").returncode == 0
    assert json.loads((folder / "result.json").read_text())["score"] == 2


def test_a_fault_of_the_grader_leaves_classroom50_without_a_result(checkout, bundle):
    folder = faulty(checkout(REFERENCE))
    (folder / "result.json").write_text('{"score": 5}')
    assert run_classroom50(folder, bundle).returncode == 1
    assert not (folder / "result.json").exists()


def test_classroom50_is_told_what_is_missing(checkout):
    result = grade(checkout(REFERENCE)).result
    with pytest.raises(CourseError, match="not set: OWNER, COMMIT_URL"):
        classroom50_json([result], {**TOLD, "OWNER": "", "COMMIT_URL": ""}, datetime.now(UTC))


def refused_by_classroom50(result):
    """What `validate_result` in its runner.py (commit 0c49903) and schemas/result-v1.schema.json would not take."""
    texts = ("classroom", "assignment", "owner", "submission", "commit", "release", "review", "datetime", "graded_at")
    numbers = [result["score"], result["max-score"]]
    numbers += [number for test in result["tests"] for number in (test["score"], test["max-score"])]
    named = {*texts, "schema", "assignment_type", "score", "max-score", "tests"}
    checks = {
        "names": set(result) == named,
        "schema": result["schema"] == "classroom50/result/v1",
        "type": result["assignment_type"] in ("individual", "group"),
        "texts": all(isinstance(result[name], str) and result[name] for name in texts),
        "times": all(
            re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result[name]) for name in ("datetime", "graded_at")
        ),
        "submission": result["submission"].startswith("submit/"),
        "whole": all(type(number) is int and number >= 0 for number in numbers),
        "most": all(each["score"] <= each["max-score"] for each in (result, *result["tests"])),
        "sums": result["score"] == sum(test["score"] for test in result["tests"]),
        "tests": all(isinstance(test["test-name"], str) and type(test["passed"]) is bool for test in result["tests"]),
    }
    return [name for name, right in checks.items() if not right]


# --- what a student's text can do ------------------------------------------------------------------------------------

REGISTERED = {"error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "set-output", "set-env", "add-path",
              "save-state", "stop-commands", "add-matcher", "remove-matcher", "echo"}  # fmt: skip


def command_in(line):
    """The command that GitHub's runner would carry out for this line of a log; None for an ordinary line."""
    trimmed = line.lstrip()
    if trimmed.startswith("::") and "::" in trimmed[2:]:
        name = trimmed[2:].partition("::")[0].split(" ")[0]
        if name.lower() in REGISTERED:
            return name
    _, begun, rest = line.partition("##[")
    name, closed, _ = rest.partition("]")
    return name.split(" ")[0] if begun and closed and name.split(" ")[0].lower() in REGISTERED else None


def lines_of(log):
    """However a reader may take lines apart."""
    return [line for part in log.split("\n") for line in part.splitlines() or [part]]


@pytest.mark.parametrize("before", ["\\n", "\\r", "\\n   ", "\\u2028", "\\x85", "\\n\\u3000\\xa0", "\\x0b", "x\\n\\n"])
def test_a_message_cannot_give_the_runner_commands(tmp_path, checkout, capsys, before):
    commands = (
        "::error::hacked",
        "::set-output name=result::aGk=",
        "::add-mask::a",
        "::stop-commands::x",
        "##[error]a",
    )
    text = "".join(before + command for command in commands) + "see ##[add-mask]points " + "x" * 90 + "##[error]y"
    source = f'def total(numbers):\n    raise ValueError("{text}")\n'
    code, results, log = step(checkout(source), tmp_path, capsys)
    assert code == 0 and notice(results) == (0, 5)
    assert "hacked" in log
    assert [line for line in lines_of(log) if command_in(line)] == []


def test_names_of_files_cannot_give_the_runner_commands(tmp_path, checkout, capsys):
    folder = checkout(TOTAL_ONLY)
    for name in ("x\n::error::hacked", "##[error]hacked", "\n  ::set-output name=result::x"):
        (folder / "assignments/01_sums" / name).write_text("")
    _, results, log = step(folder, tmp_path, capsys)
    assert notice(results) == (2, 5) and [line for line in lines_of(log) if command_in(line)] == []


def test_the_rule_of_this_test_knows_a_command():
    for line in ("::error::x", "  ::error file=a::x", "a ##[error]b", "\u2028::add-mask::x"):
        assert command_in(line), line
    assert command_in("torch::nn") is None and command_in("x[::2]") is None


@given(
    st.lists(
        st.sampled_from(
            ["::", ":", "##[", "#", "[", "error", "add-mask", "]", " ", "\n", "\r", "\u2028", "\x85", "\t", "x"]
        )
    ).map("".join)
)
def test_nothing_that_is_defused_is_a_command(text):
    assert [line for line in lines_of(defused(text)) if command_in(line)] == []
    assert re.sub(r"\s", "", defused(text)) == re.sub(r"\s", "", text)  # and nothing is lost


def test_an_error_of_the_grader_is_one_line(checkout, tmp_path, capsys):
    folder = checkout(REFERENCE, fresh=True)
    (folder / "assignments/01_sums/test_sums.py").write_text("raise ValueError('100%\\n::set-output name=result::x')\n")
    code, results, log = step(folder, tmp_path, capsys)
    assert code == 1 and results == []
    assert [command_in(line) for line in lines_of(log) if line] == ["error"] and "100%25%0A::set-output" in log


# --- faults of the grader --------------------------------------------------------------------------------------------


def faulty(folder):
    """A visible test with which the grader itself fails."""
    path = folder / "assignments/01_sums/test_sums.py"
    broken = "    from autograder.outcome import GraderFault\n\n    raise GraderFault('the jail is gone')\n"
    path.write_text(re.sub(r"(?<=doubles\.\"\"\"\n)(?s:.*)", broken, path.read_text()))
    return folder


def test_a_fault_of_the_grader_gives_no_points_and_fails_the_step(checkout, tmp_path, capsys):
    out = tmp_path / "points.json"
    out.write_text('{"an": "earlier run"}')
    code, results, log = step(faulty(checkout(REFERENCE, fresh=True)), tmp_path, capsys, out=out)
    assert code == 1 and results == [] and not out.exists()
    assert [command_in(line) for line in lines_of(log) if command_in(line)] == ["error"] and "the jail is gone" in log


def test_tests_that_are_gone_are_told_as_an_error(checkout, tmp_path, capsys):
    folder = checkout(REFERENCE, fresh=True)
    (folder / "assignments/01_sums/test_sums.py").unlink()
    code, results, log = step(folder, tmp_path, capsys)
    assert code == 1 and results == [] and command_in(log) == "error" and "test_sums.py is missing" in log


def test_a_fault_of_the_grader_is_no_pass_for_the_older_format(checkout, capsys):
    folder = faulty(checkout(REFERENCE, fresh=True))
    assert classroom_command(Course(folder), ["total"], format="exit-code", environment={}) == 1
    assert "::error" in capsys.readouterr().out


def test_nothing_is_made_of_a_result_without_points(checkout):
    result = grade(faulty(checkout(REFERENCE, fresh=True))).result
    assert result.status == "grader_error"
    with pytest.raises(GraderFault, match="no points"):
        reporter_json(result)
    with pytest.raises(GraderFault, match="no points"):
        classroom50_json([result], TOLD, datetime.now(UTC))


# --- what is released ------------------------------------------------------------------------------------------------


def names_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_is_the_students_release_and_four_files(course, released, tmp_path):
    release_student(course, tmp_path / "plain")
    assert names_in(released) == names_in(tmp_path / "plain") | ADDED
    for name in names_in(tmp_path / "plain"):
        assert (released / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_every_assignment_is_a_step_and_every_task_an_entry(real_release):
    workflow = yaml.safe_load((real_release / ".github/workflows/classroom.yml").read_text())
    (job,) = workflow["jobs"].values()
    steps = {each["run"].split()[2]: each for each in job["steps"] if each.get("run", "").startswith("minigpt")}
    assignments = REPOSITORY.assignments()
    assert list(steps) == [assignment.name for assignment in assignments]
    reporter = job["steps"][-1]
    assert reporter["uses"] == "classroom-resources/autograding-grading-reporter@v1"
    assert reporter["with"]["runners"].split(",") == [each["id"] for each in steps.values()]
    for each in steps.values():
        assert reporter["env"][f"{each['id'].upper()}_RESULTS"] == f"${{{{ steps.{each['id']}.outputs.result }}}}"
    assert workflow["permissions"] == {"contents": "read"}

    entries = json.loads((real_release / ".github/classroom/autograding.json").read_text())["tests"]
    listed = {shlex.split(entry["run"])[2]: entry["points"] for entry in entries}
    suites = [collect(assignment, hidden=False) for assignment in assignments]
    tasks = {task.id: suite.of_task(task) for suite in suites for task in suite.assignment.manifest.tasks}
    assert listed == {task: sum(case.points for case in cases) for task, cases in tasks.items() if cases}
    assert len(listed) == len(entries)


def test_the_workflow_is_one_for_github(real_release):
    """By the schema that SchemaStore keeps for GitHub's workflows, as check-jsonschema carries it along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    checked = subprocess.run(
        [*command, real_release / ".github/workflows/classroom.yml"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


def test_the_container_installs_the_course_where_the_editor_looks(real_release):
    container = json.loads((real_release / ".devcontainer/devcontainer.json").read_text())
    assert "pip install -e '.[jail]' -c constraints.txt" in container["postCreateCommand"]
    python = container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert python.removeprefix("${containerWorkspaceFolder}/") in container["postCreateCommand"]


def test_ids_of_steps_are_letters_and_digits():
    assert step_id("04_attention") == "attention04"
    for name in ("04_attention", "sums", "byte-pairs_2", "1_2", "_", "Ünïcode"):
        assert re.fullmatch("[a-z][a-z0-9]*", step_id(name)), name


def test_steps_of_one_name_are_refused(tmp_path):
    course = make_course(tmp_path / "course")
    for kind in ("assignments", "solutions"):
        shutil.copytree(course.root / kind / "01_sums", course.root / kind / "01_su-ms")
    manifest = course.root / "assignments/01_su-ms/assignment.toml"
    manifest.write_text(re.sub('id = "', 'id = "more_', manifest.read_text()))
    for path in course.root.glob("*/01_su-ms/test_*.py"):
        path.write_text(path.read_text().replace('@task("', '@task("more_'))
    with pytest.raises(CourseError, match="01_su-ms, 01_sums: their steps would all be called sums01"):
        release_github(course, tmp_path / "students")
    assert not (tmp_path / "students").exists()


# --- leaks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*sorted(ADDED), ".github/added.md", ".vscode/deep/er.txt"])
def test_a_leak_in_a_folder_with_a_dot_is_found(course, released, tmp_path, name):
    folder = shutil.copytree(released, tmp_path / "copy")
    assert find_leaks(folder, course) == []
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    path.write_text("\n".join([*lines, SOLUTION_LINE]))
    assert [(str(leak.path), leak.line) for leak in find_leaks(folder, course)] == [(name, len(lines) + 1)]


def test_a_title_that_gives_the_solution_away_stops_the_release(tmp_path):
    course = make_course(tmp_path / "course")
    manifest = course.root / "assignments/01_sums/assignment.toml"
    manifest.write_text(manifest.read_text().replace('title = "The total"', f'title = "The total: `{SOLUTION_LINE}`"'))
    with pytest.raises(CourseError, match=r"\.github/classroom/autograding\.json:\d+: a line of the solution"):
        release_github(course, tmp_path / "students")
    assert not (tmp_path / "students").exists()
