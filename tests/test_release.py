"""The students' repository: what is in it, what is refused, and that nothing of `solutions/` gets through."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from synthetic_course import FILES, make_course
from typer.testing import CliRunner

from autograder.leak import find_leaks
from autograder.manifest import Course, CourseError
from autograder.regions import find_regions
from autograder.release import release_student
from autograder.suite import collect

REPOSITORY = Course(Path(__file__).parents[1])
HIDDEN = FILES["solutions/01_sums/test_sums_hidden.py"]
MISTAKES = FILES["solutions/01_sums/mistakes.py"]
SOLUTION_LINE = "running = math.fsum(number for number in numbers)"
SHIPPED = {
    ".gitignore", "AGENTS.md", "README.md", "constraints.txt", "pyproject.toml",
    "assignments/01_sums/README.md", "assignments/01_sums/assignment.toml", "assignments/01_sums/sums.py",
    "assignments/01_sums/test_sums.py", "autograder/__init__.py", "autograder/minigpt/library/sums.py",
    "autograder/pristine/01_sums/sums.py", "datasets/__init__.py", "datasets/numbers.txt",
}  # fmt: skip


@pytest.fixture
def course(tmp_path):
    return make_course(tmp_path / "course")


@pytest.fixture
def release(course, tmp_path):
    """A release as it is written, to plant leaks in."""
    release_student(course, tmp_path / "release")
    return tmp_path / "release"


@pytest.fixture(scope="module")
def real_release(tmp_path_factory):
    """The students' repository of this very course."""
    target = tmp_path_factory.mktemp("real") / "students"
    release_student(REPOSITORY, target)
    return target


def names_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def plant(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


# --- what is written -------------------------------------------------------------------------------------------------


def test_exactly_what_is_listed_ships(course, tmp_path):
    written = release_student(course, tmp_path / "out" / "students")
    assert names_in(tmp_path / "out" / "students") == SHIPPED == {str(path) for path in written}
    assert os.listdir(tmp_path / "out") == ["students"]  # the folder that it was made in is gone


def test_license_and_student_guide_ship_if_there(course, tmp_path):
    for name in ("LICENSE", "docs/student-guide.md", "docs/instructor-guide.md"):
        plant(course.root, name, "text\n")
    release_student(course, tmp_path / "students")
    assert names_in(tmp_path / "students") == SHIPPED | {"LICENSE", "docs/student-guide.md"}
    assert "docs/student-guide.md" in (tmp_path / "students/README.md").read_text()


def test_what_python_editors_and_git_leave_behind_stays_out(course, tmp_path):
    for name in (
        "autograder/__pycache__/a.cpython-311.pyc",
        "assignments/01_sums/.ipynb_checkpoints/sums.ipynb",
        "assignments/01_sums/sums.py.bak",
        "assignments/01_sums/.sums.py.swp",
        "assignments/01_sums/sums.py~",
        "assignments/.git/config",
        "autograder/.mypy_cache/x.json",
        "autograder/minigpt.egg-info/PKG-INFO",
        "datasets/.DS_Store",
    ):
        plant(course.root, name, "left behind\n")
    release_student(course, tmp_path / "students")
    assert names_in(tmp_path / "students") == SHIPPED


def test_readme_lists_assignments_with_the_points_of_their_visible_tests(release):
    text = (release / "README.md").read_text()
    assert "| [01_sums](assignments/01_sums/README.md) | Sums | `total`, `scaler` | 5 |" in text
    assert "minigpt check 01_sums" in text
    assert "pip install -e . -c constraints.txt" in text
    assert "{" not in text and "docs/student-guide.md" not in text


def test_agents_file_asks_for_a_tutor_and_names_the_modules(release):
    text = (release / "AGENTS.md").read_text()
    assert "Do not write the solution" in text and "modules are:\n  `sums.py`.\n" in text


# --- what is refused -------------------------------------------------------------------------------------------------


def refused(course, target, message):
    beside = set(target.parent.iterdir()) if target.parent.is_dir() else set()
    with pytest.raises(CourseError, match=message):
        release_student(course, target)
    assert (set(target.parent.iterdir()) if target.parent.is_dir() else set()) == beside


def test_a_target_that_holds_something_is_refused_and_left_alone(course, tmp_path):
    plant(tmp_path, "students/mine.txt", "mine")
    refused(course, tmp_path / "students", "not empty")
    refused(course, tmp_path / "students/mine.txt", "no folder")
    refused(course, course.root, "not empty")
    assert names_in(tmp_path / "students") == {"mine.txt"}


def test_an_empty_target_will_do(course, tmp_path):
    (tmp_path / "students").mkdir()
    release_student(course, tmp_path / "students")
    assert names_in(tmp_path / "students") == SHIPPED


def test_a_target_inside_what_ships_is_refused(course):
    for name in ("assignments/out", "solutions/out", "autograder/deep/out"):
        refused(course, course.root / name, "inside")


def test_a_stale_stub_is_refused_with_the_command_that_helps(course, tmp_path):
    course.assignment("sums").stub.write_text("def total(numbers): ...\n")
    refused(course, tmp_path / "students", r"assignments/01_sums/sums\.py.*minigpt stubs --write")


def test_without_solutions_nothing_is_released(course, tmp_path):
    shutil.rmtree(course.root / "solutions")
    refused(course, tmp_path / "students", "no solutions/")


def test_without_hidden_tests_nothing_is_released(course, tmp_path):
    course.assignment("sums").hidden_tests.unlink()
    refused(course, tmp_path / "students", r"test_sums_hidden\.py is missing")


@pytest.mark.parametrize("name", ["constraints.txt", "datasets", ".gitignore"])
def test_a_missing_piece_is_named(course, tmp_path, name):
    path = course.root / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    refused(course, tmp_path / "students", re.escape(f"{name} is missing"))


@pytest.mark.parametrize("name", ["assignments/01_sums/link.py", "datasets/folder"])
def test_links_are_refused_by_name(course, tmp_path, name):
    (course.root / name).symlink_to(course.root / "solutions")
    refused(course, tmp_path / "students", re.escape(f"{name} is a link"))


def test_a_leak_in_the_course_stops_the_release(course, tmp_path):
    plant(course.root, "assignments/01_sums/README.md", f"# Sums\n\n```python\n{SOLUTION_LINE}\n```\n")
    refused(course, tmp_path / "students", r"assignments/01_sums/README\.md:4: a line of the solution")


# --- leaks that are found --------------------------------------------------------------------------------------------


def test_a_release_as_it_is_written_has_no_leak(course, release):
    assert find_leaks(release, course) == []


def notebook(source, kind="code"):
    cell = {"cell_type": kind, "metadata": {}, "source": source}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}, indent=1)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("README.md", f"Like this:\n\n```python\n    {SOLUTION_LINE}\n```\n", 4),
        ("README.md", f"- `{SOLUTION_LINE}`,\n", 1),
        ("README.md", f"The trick is `{SOLUTION_LINE}`, of course.\n", 1),
        ("docs/table.md", f"| step | code |\n|---|---|\n| 1 | {SOLUTION_LINE} |\n", 3),
        ("docs/quoted.md", f"> > {SOLUTION_LINE}\n", 1),
        ("docs/change.diff", f"+    {SOLUTION_LINE}  # one number\n", 1),
        ("autograder/doctest.py", f'"""Sums.\n\n>>> {SOLUTION_LINE}\n"""\n', 3),
        ("autograder/comment.py", f"x = 1\n# {SOLUTION_LINE}\n", 2),
        ("autograder/other_comment.py", f"    {SOLUTION_LINE}   # all of them\n", 1),
        ("autograder/spaces.py", "\trunning=math.fsum( number for number in numbers )\n", 1),
        ("autograder/escaped.py", f"x = 1\nTEXT = 'first\\n{SOLUTION_LINE}\\nlast'\n", 3),
        ("assignments/01_sums/more.toml", f'title = "x"\nhints = ["{SOLUTION_LINE}"]\n', 2),
        ("assignments/01_sums/lines.toml", f'hints = """\nOne line:\n{SOLUTION_LINE}\n"""\n', 3),
        ("assignments/01_sums/sums.ipynb", notebook(["import math\n", f"{SOLUTION_LINE}\n"]), 8),
        ("assignments/01_sums/sums.ipynb", notebook(f"import math\n{SOLUTION_LINE}\n"), 6),
        ("assignments/01_sums/sums.ipynb", notebook(["Try this:\n", "\n", f"    {SOLUTION_LINE}"], "markdown"), 9),
        ("autograder/short.py", "return total(numbers[:middle]) + total(numbers[middle:])\n", 1),  # an alternative's
    ],
)
def test_a_line_of_a_solution_is_found_wherever_it_stands(course, release, name, content, line):
    plant(release, name, content)
    leaks = find_leaks(release, course)
    assert [(str(leak.path), leak.line) for leak in leaks] == [(name, line)]
    assert "solution, solutions/01_sums/" in str(leaks[0])


def body(source, name):
    """The lines of a function, without its first lines up to the docstring."""
    function = next(node for node in ast.parse(source).body if getattr(node, "name", None) == name)
    return "\n".join(source.split("\n")[function.body[0].lineno - 1 : function.end_lineno])


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("assignments/01_sums/test_more.py", HIDDEN, "the hidden test test_total_of_alternating_signs"),
        ("assignments/01_sums/test_more.py", "def test_total_of_alternating_signs(student): ...\n", "the hidden test"),
        ("assignments/01_sums/sums.ipynb", notebook("def test_total_of_alternating_signs(x):\n    pass"), "the hidden"),
        ("README.md", "1. Numbers of alternating signs cancel where they should.\n", "the title of the hidden test"),
        ("autograder/x.py", body(HIDDEN, "test_total_of_alternating_signs"), "lines of a hidden test"),
        ("autograder/x.py", body(HIDDEN, "alternating"), "lines of a hidden test"),  # a helper of its own
        ("docs/notes.md", body(MISTAKES, "Scaler"), "lines of a wrong variant"),
        ("docs/notes.md", "# " + body(MISTAKES, "Scaler").replace("\n", "\n\n# "), "lines of a wrong variant"),
        ("docs/begin.md", "The key to the exam: begin with the smallest numbers.", "a copy of solutions/notes.md"),
        ("assignments/01_sums/mistakes.py", "", "the name of solutions/01_sums/mistakes.py"),
        ("assignments/01_sums/solutions/a.txt", "", "its name speaks of solutions"),
        ("docs/sums_solution.md", "", "its name speaks of solutions"),
        ("assignments/01_sums/old.zip", "", "an archive"),
        ("autograder/__pycache__/sums.cpython-311.pyc", b"\xa7\r\r\n", "an archive or a compiled file"),
        ("autograder/fast.so", b"\x7fELF", "an archive or a compiled file"),
        ("docs/wide.txt", FILES["solutions/01_sums/sums.py"].encode("utf-16"), "not a text file"),
        ("docs/figure.png", b"PK\x03\x04\xff", "not a text file"),
        (".git", "gitdir: ../course/.git\n", "a version history"),
    ],
)
def test_other_leaks_are_found(course, release, name, content, what):
    plant(release, name, content)
    leaks = find_leaks(release, course)
    assert any(what in leak.what for leak in leaks), leaks
    assert all(str(leak.path) in name for leak in leaks)


def test_the_solutions_folder_under_another_name_is_found_file_by_file(course, release):
    shutil.copytree(course.root / "solutions", release / "datasets" / "extra")
    found = {str(leak.path) for leak in find_leaks(release, course) if "a copy of" in leak.what}
    assert found == {f"datasets/extra/{name.removeprefix('solutions/')}" for name in FILES if "solutions/" in name}


def test_a_solved_stub_is_found_and_so_is_one_line_of_it(course, release):
    stub = release / "assignments/01_sums/sums.py"
    stub.write_text(
        stub.read_text().replace("# YOUR CODE HERE", "scaled = [self.factor * number for number in checked]")
    )
    assert {leak.what.partition(",")[0] for leak in find_leaks(release, course)} == {"a line of the solution"}
    shutil.copyfile(course.root / "solutions/01_sums/sums.py", stub)
    assert "a copy of solutions/01_sums/sums.py" in [leak.what for leak in find_leaks(release, course)]


def test_git_history_is_found_bare_or_not_and_links_are_not_followed(course, release, tmp_path):
    for arguments in (["init", "-q", str(release)], ["init", "-q", "--bare", str(release / "docs/backup")]):
        subprocess.run(["git", *arguments], check=True)
    (release / "docs/link").symlink_to(course.root / "solutions")
    found = {(str(leak.path), leak.what.partition(",")[0]) for leak in find_leaks(release, course)}
    assert found == {
        (".git", "a version history"),
        ("docs/backup", "a version history"),
        ("docs/link", "a link"),
    }


def test_a_renamed_archive_is_no_text(course, release):
    with zipfile.ZipFile(release / "datasets/numbers.txt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sums.py", FILES["solutions/01_sums/sums.py"])
    assert [leak.what.partition(",")[0] for leak in find_leaks(release, course)] == ["not a text file"]


def test_secret_cells_of_a_solution_notebook_are_found(course, release):
    hidden = {"nbgrader": {"solution": True, "grade": False, "grade_id": "b"}}
    cells = [
        {"cell_type": "code", "metadata": {}, "source": ["given = load_numbers(folder / 'a.txt')\n"]},
        {"cell_type": "code", "metadata": hidden, "source": ["answer = [given[0] * given[1], len(given)]\n"]},
        {
            "cell_type": "code",
            "metadata": {},
            "source": "x = 1\n### BEGIN HIDDEN TESTS\nassert_equal(answer[0], 6, 'product')\n### END HIDDEN TESTS\n",
        },
    ]
    book = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    plant(course.root, "solutions/01_sums/sums.ipynb", book)
    plant(release, "docs/a.md", "    given = load_numbers(folder / 'a.txt')\n")
    assert find_leaks(release, course) == []
    plant(release, "docs/b.md", "    answer = [given[0] * given[1], len(given)]\n")
    plant(release, "docs/c.md", "    assert_equal(answer[0], 6, 'product')\n")
    assert [str(leak.path) for leak in find_leaks(release, course)] == ["docs/b.md", "docs/c.md"]


def test_in_the_library_a_whole_region_counts_and_a_shared_line_does_not(course, release):
    name = "autograder/minigpt/library/sums.py"
    plant(release, name, f"import math\n\n\ndef total(numbers):\n    {SOLUTION_LINE}\n    return running\n")
    assert find_leaks(release, course) == []
    plant(
        release,
        name,
        "x = 1\n\n\ndef mean(numbers):\n    # a comment\n    return total(numbers) / max(len(numbers), 1)\n",
    )
    (leak,) = find_leaks(release, course)
    assert (str(leak.path), leak.line) == (name, 6) and "the whole of the solution" in leak.what


# --- and nothing else ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("docs/public.md", "checked = [float(number) for number in numbers]\n"),  # the stub shows it
        ("docs/prose.md", f"Somebody might write {SOLUTION_LINE} and be done.\n"),  # no line of its own
        ("docs/like.md", "running = math.fsum(number for number in others)\n"),
        ("docs/short.md", "        self.factor = factor\n"),
        ("docs/raise.md", 'raise ValueError(f"the numbers have no finite total: {running}")\n'),
        ("docs/resolutions.md", "A good resolution.\n"),
        ("docs/figure.png", b"\x89PNG\r\n\x1a\n\xff\xff"),
        ("assignments/02_more/test_more.py", "def test_total_of_alternating_signs(student): ...\n"),
        ("assignments/01_sums/helper.py", body(HIDDEN, "same")),  # the visible tests have it too
        ("docs/title.md", "The total of 1 and 2 is 3.\n"),  # a visible test's title
    ],
)
def test_what_is_no_leak_is_not_taken_for_one(course, release, name, content):
    plant(release, name, content)
    assert find_leaks(release, course) == []


# --- this course -----------------------------------------------------------------------------------------------------


def test_the_real_release_has_nothing_of_solutions(real_release):
    assert find_leaks(real_release, REPOSITORY) == []
    assert not [name for name in names_in(real_release) if "solution" in name or "hidden" in name]


def test_the_real_release_is_a_course_with_the_visible_tests(real_release):
    for ours, theirs in zip(REPOSITORY.assignments(), Course.find(real_release).assignments(), strict=True):
        assert theirs.stub.read_bytes() == ours.stub.read_bytes()
        assert collect(theirs, hidden=False).cases == collect(ours, hidden=False).cases


def test_plain_pytest_in_the_real_release_finds_parts_that_are_not_written_yet(real_release, tmp_path):
    copy = shutil.copytree(real_release, tmp_path / "students")
    first = Course.find(copy).assignments()[0]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"assignments/{first.name}"],
        cwd=copy,
        env=os.environ
        | {"PYTHONPATH": str(copy), "PYTEST_PLUGINS": "autograder.plugin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "NotImplementedError" in ran.stdout and "points of these tests" in ran.stdout


def test_every_command_in_the_real_readme_exists(real_release):
    from autograder.cli import app

    text = (real_release / "README.md").read_text() + (real_release / "AGENTS.md").read_text()
    commands = set(re.findall(r"minigpt ([a-z]+)", text))
    assert {"check", "hint", "doctor"} <= commands
    for command in commands:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command
    first = REPOSITORY.assignments()[0]
    assert f"minigpt hint {first.manifest.tasks[0].id}" in text


def secret_pieces(assignment):
    """Every solution region of three lines or more, and the body of every hidden test and every alternative."""
    lines = assignment.reference.read_text(encoding="utf-8").split("\n")
    for region in find_regions("\n".join(lines)):
        if region.end - region.begin > 3:
            yield f"region {region.begin}", "\n".join(lines[region.begin : region.end - 1])
    for path in (assignment.hidden_tests, assignment.solution_folder / "alternatives.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                statements = node.body[1:] if ast.get_docstring(node) else node.body
                text = "\n".join(source.split("\n")[statements[0].lineno - 1 : node.end_lineno])
                if len(statements) >= 3:
                    yield node.name, text


def test_every_secret_of_this_course_would_be_found_on_its_own(tmp_path):
    """Without names and titles: the bodies alone, each in a file of its own, as comments of something else."""
    pieces = {
        f"{assignment.name}-{name}": text
        for assignment in REPOSITORY.assignments()
        for name, text in secret_pieces(assignment)
    }
    for number, text in enumerate(pieces.values()):
        plant(tmp_path, f"{number}.md", "Some words.\n" + "\n".join(f"#   {line}" for line in text.split("\n")))
    found = {leak.path.stem for leak in find_leaks(tmp_path, REPOSITORY)}
    assert [name for number, name in enumerate(pieces) if str(number) not in found] == []
