"""Gradescope: what is in the zip, what comes out of it for every kind of submission, and what a failing grader leaves.

The zip is of the small course, with this repository's own grader in it. `run_autograder` is run as the real process that
it is, in a folder laid out as `/autograder`.
"""

import ast
import hashlib
import importlib.metadata
import json
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import msgspec
import pytest
from conftest import tiers_here
from rich.console import Console
from synthetic_course import MARKING_SCHEME, make_course, write_lab

from autograder import gradescope
from autograder.grader import Settings, Work, close_here, grade_here
from autograder.gradescope import PACKAGES, Config, read_upload, release_gradescope, results_json, run_in, student_of
from autograder.gradescope_harness import check_results, harness_command, lay_out, read_results, run_harness, run_once
from autograder.jail.isolation import choose
from autograder.leak import find_leaks
from autograder.manifest import Course, CourseError
from autograder.outcome import GraderFault
from autograder.result import Feedback, Record
from autograder.stubs import write_stubs
from autograder.submissions import Submission

REPOSITORY = Path(__file__).parents[1]
SEED = 20260914
NAME = "01_sums"
HIDDEN_TITLES = ("Numbers of alternating signs cancel where they should.", "A scaler of 2 doubles.")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "pristine")

STUB = "def total(numbers):\n    raise NotImplementedError\n\n\ndef mean(numbers):\n    raise NotImplementedError\n"
PARTIAL = "def total(numbers):\n    return sum(numbers)\n"
WRONG = "def total(numbers):\n    return '<script>alert(1)</script>'\n\n\nclass Scaler:\n    pass\n"
COMPLETE = (
    "def total(numbers):\n    return sum(numbers)\n\n\nclass Scaler:\n    def __init__(self, factor):\n"
    "        self.factor = factor\n\n    def apply(self, numbers):\n        return [self.factor * each for each in numbers]\n"
)
UNREADABLE = "def total(:\n"
FLEES = "import os\n\n\ndef total(numbers):\n    os._exit(0)\n"
THIEF = '''\
import os
from pathlib import Path

ROOT = Path("{root}")


def total(numbers):
    """Right where anything of the grader's can be read or written, and only there."""
    for path in (ROOT, ROOT / "source/solutions", ROOT / "source/assignments", ROOT / "results", ROOT / "submission"):
        try:
            os.listdir(path)
        except OSError:
            continue
        return sum(numbers)
    for name in ("source/gradescope.json", "source/solutions/{name}/test_sums_hidden.py", "submission_metadata.json"):
        try:
            (ROOT / name).read_bytes()
        except OSError:
            continue
        return sum(numbers)
    for name in ("results/results.json", "source/gradescope.json", "run_autograder"):
        try:
            (ROOT / name).write_text('{{"score": 1000}}')
        except OSError:
            continue
        return sum(numbers)
    return None
'''


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The small course, its grader the one that runs this."""
    course = make_course(tmp_path_factory.mktemp("gradescope") / "course")
    for name in ("autograder", "datasets"):
        shutil.rmtree(course.root / name)
        shutil.copytree(REPOSITORY / name, course.root / name, ignore=NOT_COPIED)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copyfile(REPOSITORY / name, course.root / name)
    write_lab(course.assignment(NAME))
    write_stubs(course)
    return course


@pytest.fixture(scope="module")
def archive(course, tmp_path_factory):
    target = tmp_path_factory.mktemp("zips") / "gradescope"
    assert release_gradescope(course, target, seed=SEED) == [Path(f"{NAME}.zip")]
    return target / f"{NAME}.zip"


@pytest.fixture(scope="module")
def direct(course):
    """The records of the same sources, by `grade_here`, and of nothing handed in."""
    sources = (COMPLETE, PARTIAL, STUB, WRONG, FLEES, UNREADABLE)
    settings = Settings(
        course=course.root, submissions=course.root, out=course.root, assignments=(NAME,), seed=SEED,
        tier=choose("auto"), train_steps=0,
    )  # fmt: skip
    records = {}
    for source in (*sources, None):
        files = None if source is None else {"sums.py": source.encode()}
        (only,) = grade_here(settings, Work("ada", (Submission("ada", NAME, files),)))
        records[source] = only.record
    close_here()
    return records


@pytest.fixture(scope="module")
def container(archive, direct, tmp_path_factory):
    """One `/autograder`, and so one jail, for all that is graded in this process."""
    root = tmp_path_factory.mktemp("container") / "autograder"
    lay_out(archive, upload(root.parent / "upload", {}), root)
    yield root
    close_here()


def upload(folder, files):
    """What a student hands in, as a folder of files."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def laid_out(archive, tmp_path, files):
    """An `/autograder` of the test's own."""
    root = tmp_path / "autograder"
    lay_out(archive, upload(tmp_path / "upload", files), root)
    return root


def graded(root, files):
    """results.json of what `run_autograder` starts, run in this process."""
    shutil.rmtree(root / "submission")
    upload(root / "submission", files)
    assert run_in(root) == 0
    return read_results(root)


def points_of(results):
    """Points per task."""
    found = {}
    for test in results["tests"]:
        (task,) = test["tags"]
        score, most = found.get(task, (0, 0))
        found[task] = (score + test["score"], most + test["max_score"])
    return found


# --- the zip ---------------------------------------------------------------------------------------------------------


def test_of_the_solutions_the_hidden_tests_are_there_and_nothing_else(archive, course):
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        assert [name for name in names if name.startswith("solutions")] == [f"solutions/{NAME}/test_sums_hidden.py"]
        assert [name for name in names if "/" not in name] == [
            "constraints.txt", "gradescope.json", "pyproject.toml", "run_autograder", "setup.sh",
        ]  # fmt: skip
        shipped = [name for name in names if name.startswith("assignments")]
        assert shipped == [
            f"assignments/{NAME}/{name}" for name in ("README.md", "assignment.toml", "sums.py", "test_sums.py")
        ]
        assert {name.split("/")[0] for name in names if "/" in name} == {
            "assignments",
            "autograder",
            "datasets",
            "solutions",
        }
        text = b"".join(opened.read(name) for name in names)
    assert MARKING_SCHEME.encode() not in text
    assert b"math.fsum(number for number in numbers)" not in text


def test_the_leak_check_finds_the_hidden_tests_in_it_and_nothing_else(archive, course, tmp_path):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    leaks = {str(leak.path) for leak in find_leaks(tmp_path, course)}
    assert leaks == {"solutions", f"solutions/{NAME}/test_sums_hidden.py"}


def test_scripts_are_executable_and_modes_are_those_of_unix(archive):
    with zipfile.ZipFile(archive) as opened:
        modes = {member.filename: member.external_attr >> 16 for member in opened.infolist()}
        assert {member.create_system for member in opened.infolist()} == {3}
    assert {name for name, mode in modes.items() if mode & 0o111} == {"setup.sh", "run_autograder"}
    assert all(stat.S_ISREG(mode) for mode in modes.values())


def test_the_same_seed_gives_the_same_bytes_and_no_seed_a_drawn_one(archive, course, tmp_path):
    release_gradescope(course, tmp_path / "again", [NAME, "sums"], seed=SEED)
    again = tmp_path / "again" / f"{NAME}.zip"
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(archive.read_bytes()).digest()
    release_gradescope(course, tmp_path / "drawn", hidden_tests="visible", isolation="landlock")
    with zipfile.ZipFile(tmp_path / "drawn" / f"{NAME}.zip") as opened:
        config = msgspec.json.decode(opened.read("gradescope.json"), type=Config)
    assert config.seed != SEED
    assert (config.hidden_tests, config.isolation) == ("visible", "landlock")
    assert (tmp_path / "drawn").stat().st_mode & 0o077 == 0  # hidden tests and the seed are in it


def test_a_planted_leak_is_refused_and_nothing_is_left(course, tmp_path):
    planted = course.assignment(NAME).folder / "README.md"
    before = planted.read_text()
    planted.write_text(before + "\n    running = math.fsum(number for number in numbers)\n")
    try:
        with pytest.raises(CourseError, match=r"README.md:\d+: a line of the solution"):
            release_gradescope(course, tmp_path / "zips")
    finally:
        planted.write_text(before)
    assert not list(tmp_path.iterdir())


def test_hidden_tests_that_cannot_be_collected_are_refused(tmp_path):
    course = make_course(tmp_path / "course")
    with course.assignment(NAME).hidden_tests.open("a") as file:
        file.write("\nimport nothing_of_this_name\n")
    with pytest.raises(GraderFault, match="nothing_of_this_name"):
        release_gradescope(course, tmp_path / "zips")
    assert [path.name for path in tmp_path.iterdir()] == ["course"]


def test_unknown_and_no_assignments_are_refused(course, tmp_path):
    with pytest.raises(CourseError, match="no assignment 'sum'"):
        release_gradescope(course, tmp_path / "zips", ["sum"])
    with pytest.raises(CourseError, match="nothing to release"):
        release_gradescope(course, tmp_path / "zips", [])


def test_scripts_are_shell_that_stops_at_the_first_error(archive, tmp_path):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    for name in ("setup.sh", "run_autograder"):
        text = (tmp_path / name).read_text()
        assert text.startswith("#!/usr/bin/env bash\n")
        assert "\nset -euo pipefail\n" in text
        assert "{{" not in text.replace("${", "")
        subprocess.run(["bash", "-n", str(tmp_path / name)], check=True)


def test_what_tests_and_grader_import_is_installed_by_setup():
    """With what the named packages need themselves."""
    installed, waiting = set(), [*PACKAGES]
    while waiting:
        name = re.match(r"[\w.-]+", waiting.pop())[0].lower().replace("_", "-")
        if name in installed:
            continue
        installed.add(name)
        waiting += [each for each in importlib.metadata.requires(name) or [] if ";" not in each]
    program = (
        "import sys; from pathlib import Path; from autograder import gradescope, grader, showcase; "
        "from autograder.jail import zygote, client; "
        "print(*{name.split('.')[0] for name, module in sys.modules.items() "
        "if 'site-packages' in (getattr(module, '__file__', None) or '')})"
    )
    printed = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    imported = set(printed.split())
    for path in [*REPOSITORY.glob("assignments/*/test_*.py"), *REPOSITORY.glob("solutions/*/test_*_hidden.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    owners = importlib.metadata.packages_distributions()
    needed = {owner.lower().replace("_", "-") for name in imported for owner in owners.get(name, [])}
    optional = {"tqdm"}  # torch.hub takes it where it is installed, and does without it elsewhere
    assert needed - optional - {"minigpt-coursework", "setuptools"} <= installed


# --- what comes out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "score"), [(COMPLETE, 10), (PARTIAL, 6), (STUB, 0), (WRONG, 0), (FLEES, 0), (UNREADABLE, 0), (None, 0)]
)
def test_points_are_those_of_the_grader(container, direct, source, score):
    results = graded(container, {} if source is None else {"sums.py": source})
    result = direct[source].result
    assert results["score"] == result.score == score
    assert points_of(results) == {task.id: (task.score, task.max_score) for task in result.tasks}
    assert sum(test["max_score"] for test in results["tests"]) == result.max_score


def test_run_autograder_as_gradescope_runs_it(archive, tmp_path):
    """The real process, from the real script, in the folder that it is given."""
    found = run_harness(archive, upload(tmp_path / "upload", {"sums.py": PARTIAL}), tmp_path / "autograder")
    assert found["score"] == 6
    assert [test["visibility"] for test in found["tests"]] == ["visible", "after_published"] * 2
    assert (tmp_path / "autograder/results/stdout").read_text().startswith(f"submission-123456 {NAME}: 6 of 10, ")
    assert (tmp_path / "autograder/results").stat().st_mode & 0o077 == 0


def test_a_hidden_test_shows_its_title_and_hint_and_nothing_else(container):
    results = graded(container, {"sums.py": WRONG})
    hidden = [test for test in results["tests"] if test["visibility"] == "after_published"]
    assert [test["name"] for test in hidden] == [
        f"{task}: {title}" for task, title in zip(("The total", "A scaler"), HIDDEN_TITLES, strict=True)
    ]
    assert [test["output"] for test in hidden] == ["", ""]  # their authors gave no hint
    text = json.dumps(results)
    assert "test_total_of_alternating_signs" not in text
    assert str(SEED) not in text
    assert results["stdout_visibility"] == "hidden"


def test_the_hint_of_a_hidden_test_is_shown_and_a_message_of_it_never(direct):
    record = direct[WRONG]
    replace = msgspec.structs.replace
    tasks = tuple(
        replace(task, tests=tuple(replace(test, hint="Think of nothing.") for test in task.tests))
        for task in record.result.tasks
    )
    result = replace(record.result, tasks=tasks)
    everything = {test.id: "expected 7391" for task in result.tasks for test in task.tests}
    found = results_json(Record(result=result, feedback=Feedback(messages=everything)), "hidden")
    for test in found["tests"]:
        if test["visibility"] == "visible":
            assert "expected 7391" in test["output"]
        else:
            assert (test["visibility"], test["output"]) == ("hidden", "Hint: Think of nothing.")


def test_student_text_is_plain_text_cut_and_only_of_visible_tests(container):
    source = "def total(numbers):\n    raise ValueError('<b>bold</b>\\x1b[31m' + 'x' * 5000)\n"
    results = graded(container, {"sums.py": source, "<i>.py": ""})
    assert results["output_format"] == results["test_output_format"] == results["test_name_format"] == "text"
    for test in results["tests"]:
        assert not {"output_format", "name_format"} & test.keys()
        assert len(test["output"]) < 1500
        assert "\x1b" not in test["output"]
        assert ("<b>bold</b>" in test["output"]) == (test["number"] == "1.1")
    assert results["output"] == "ignored, not part of the submission: <i>.py"


@pytest.mark.parametrize("tier", tiers_here())
def test_hostile_code_reads_nothing_and_writes_nothing(archive, tmp_path, tier):
    """It would have points for the smallest success."""
    root = laid_out(archive, tmp_path, {"sums.py": THIEF.format(root=tmp_path / "autograder", name=NAME)})
    config = root / "source/gradescope.json"
    config.write_text(config.read_text().replace('"auto"', f'"{tier}"'))
    for path in (*tmp_path.parents, tmp_path, root, *root.rglob("*")):
        if path.is_relative_to(tempfile.gettempdir()):
            path.chmod(path.stat().st_mode | 0o007)  # the walls hold it, not the files' modes
    assert run_in(root) == 0
    results = read_results(root)
    assert results["score"] == 0
    assert "nothing came back" in results["tests"][0]["output"]  # so it ran, to its last line


def test_nothing_handed_in_is_zero_points_and_says_so(container):
    results = graded(container, {"notes.txt": "", "conftest.py": ""})
    assert results["score"] == 0
    assert {test["status"] for test in results["tests"]} == {"failed"}
    assert results["output"] == (
        "Nothing could be graded: there is no sums.py\nignored, not part of the submission: conftest.py, notes.txt"
    )
    assert points_of(results) == {"total": (0, 6), "scaler": (0, 4)}


# --- how it is handed in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", f"{NAME}/", f"assignments/{NAME}/"])
def test_a_file_a_folder_and_a_repository_are_read_alike(archive, course, tmp_path, folder):
    files = {f"{folder}sums.py": COMPLETE, f"{folder}conftest.py": "raise SystemExit", f"{folder}README.md": ""}
    root = laid_out(archive, tmp_path, files)
    found = read_upload(root, "ada", course.assignment(NAME))
    assert found.files == {"sums.py": COMPLETE.encode()}
    assert (found.student, found.assignment, found.problem) == ("ada", NAME, None)
    assert found.notices == ("ignored, not part of the submission: conftest.py",)


def test_a_zip_is_read_unpacked_or_not(archive, course, tmp_path):
    path = tmp_path / f"{NAME}.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(f"{NAME}/sums.py", COMPLETE)
    lay_out(archive, path, tmp_path / "unpacked")
    assert read_upload(tmp_path / "unpacked", "ada", course.assignment(NAME)).files == {"sums.py": COMPLETE.encode()}
    (tmp_path / "upload").mkdir()
    path.rename(tmp_path / "upload" / path.name)
    lay_out(archive, tmp_path / "upload", tmp_path / "packed")
    assert read_upload(tmp_path / "packed", "ada", course.assignment(NAME)).files == {"sums.py": COMPLETE.encode()}


def test_of_two_uploads_one_counts_and_the_other_is_named(archive, course, tmp_path):
    root = laid_out(archive, tmp_path, {"sums.py": COMPLETE, "sums (1).py": STUB, f"{NAME}/sums.py": PARTIAL})
    found = read_upload(root, "ada", course.assignment(NAME))
    assert found.files == {"sums.py": PARTIAL.encode()}
    assert found.notices == (f"sums.py is ignored: the one in the folder or zip {NAME} comes first",)
    shutil.rmtree(root / "submission" / NAME)
    found = read_upload(root, "ada", course.assignment(NAME))
    assert found.files == {"sums.py": COMPLETE.encode()}
    assert found.notices == ("ignored, not part of the submission: sums (1).py",)
    (root / "submission/sums.py").unlink()
    assert "rename it to sums.py" in read_upload(root, "ada", course.assignment(NAME)).problem


def test_links_and_huge_files_are_refused(archive, course, tmp_path):
    root = laid_out(archive, tmp_path, {})
    upload_folder = root / "submission"
    (upload_folder / "sums.py").symlink_to(root / f"source/solutions/{NAME}/test_sums_hidden.py")
    assert "symbolic link" in read_upload(root, "ada", course.assignment(NAME)).problem
    (upload_folder / "sums.py").unlink()
    with (upload_folder / "sums.py").open("wb") as file:
        file.truncate(50 << 20)
    assert "larger than" in read_upload(root, "ada", course.assignment(NAME)).problem
    (upload_folder / NAME).symlink_to(root / "source/solutions" / NAME)
    assert "symbolic link" in read_upload(root, "ada", course.assignment(NAME)).problem
    assert run_in(root) == 0
    assert "symbolic link" in read_results(root)["output"]


@pytest.mark.parametrize(
    ("content", "student"),
    [
        (b'{"id": 123456, "users": [{"name": "../../etc"}], "more": [1]}', "submission-123456"),
        (b'{"id": "../../etc/passwd"}', "submission"),
        (b'{"id": -1}', "submission--1"),
        (b'{"id": 1' + b"0" * 60 + b"}", "submission"),
        (b'{"id": true}', "submission"),
        (b'{"users": []}', "submission"),
        (b"[1, 2]", "submission"),
        (b'{"id": 7, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "submission"),
        (b"\xff\xfe", "submission"),
        (b"", "submission"),
        (None, "submission"),
    ],
)
def test_metadata_of_any_kind_costs_nothing(tmp_path, content, student):
    path = tmp_path / "submission_metadata.json"
    if content is not None:
        path.write_bytes(content)
    assert student_of(path) == student


# --- faults of the grader --------------------------------------------------------------------------------------------


def failed(root, capsys):
    """What is told of a run that must fail, with an older grade lying there, and leave none."""
    stale = root / "results/results.json"
    stale.write_text('{"score": 10}')
    assert run_in(root) == 1
    assert not list((root / "results").iterdir())
    told = capsys.readouterr().err
    assert told.startswith("minigpt: this submission has no grade. ")
    return told


def test_without_a_jail_there_is_no_grade(archive, tmp_path, capsys, monkeypatch):
    """A machine without a jail is made by taking away what both tiers need."""
    root = laid_out(archive, tmp_path, {"sums.py": COMPLETE})
    monkeypatch.setitem(sys.modules, "landlock", None)
    told = failed(root, capsys)
    assert "no jail on this machine" in told
    assert '"isolation": "none"' in told
    config = root / "source/gradescope.json"
    config.write_text(config.read_text().replace('"auto"', '"none"'))
    assert run_in(root) == 0
    assert read_results(root)["score"] == 10


@pytest.mark.parametrize(
    "config",
    [None, "", "{}", '{"assignment": "01_sums", "seed": -1}', '{"assignment": "01_sums", "seed": 1, "hidden": true}',
     '{"assignment": "01_sums", "seed": 1, "isolation": "docker"}', '{"assignment": "02_more", "seed": 1}'],
)  # fmt: skip
def test_a_broken_config_is_no_grade(archive, tmp_path, capsys, config):
    root = laid_out(archive, tmp_path, {"sums.py": COMPLETE})
    path = root / "source/gradescope.json"
    path.unlink() if config is None else path.write_text(config)
    assert "CourseError" in failed(root, capsys)


def test_hidden_tests_that_are_gone_are_no_grade(archive, tmp_path, capsys):
    root = laid_out(archive, tmp_path, {"sums.py": COMPLETE})
    shutil.rmtree(root / "source/solutions")
    assert "test_sums_hidden.py is missing" in failed(root, capsys)


def test_a_container_with_too_little_memory_is_no_grade(archive, tmp_path, capsys, monkeypatch):
    """A gigabyte less, and the kernel could kill what the limits allow."""
    root = laid_out(archive, tmp_path, {"sums.py": COMPLETE})
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(gradescope, "MEMORY_LIMITS", (limit,))
    limit.write_text("805306368\n")
    assert "768 MB of memory" in failed(root, capsys)
    limit.write_text("max\n")
    assert run_in(root) == 0


def test_a_record_without_a_score_is_no_results_json(direct):
    result = msgspec.structs.replace(direct[STUB].result, status="grader_error", score=msgspec.UNSET, tasks=())
    with pytest.raises(GraderFault):
        results_json(Record(result=msgspec.structs.replace(result, message="the jail is gone"), feedback=Feedback()))


def test_the_harness_sees_a_failed_run_and_a_removed_grade(archive, tmp_path):
    root = laid_out(archive, tmp_path, {"sums.py": COMPLETE})
    (root / "results/results.json").write_text('{"score": 10}')
    with pytest.raises(GraderFault, match="run_autograder ended with"):
        run_once(root, python=str(tmp_path / "no-python-here"))
    with pytest.raises(GraderFault, match=r"wrote no results\.json"):
        read_results(root)


# --- the harness -----------------------------------------------------------------------------------------------------


def test_the_harness_prints_a_table(archive, tmp_path, capsys):
    path = tmp_path / "sums.py"
    path.write_text(PARTIAL)
    console = Console(width=200, force_terminal=False)
    assert harness_command(archive, path, None, console) == 0
    printed = capsys.readouterr().out
    assert "The total: The total of 1 and 2 is 3." in printed
    assert "score: 6 of 10" in printed


def test_the_harness_refuses_what_it_cannot_lay_out(archive, tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "sums.py").write_text(STUB)
    with pytest.raises(CourseError, match="no autograder zip"):
        run_harness(tmp_path / "text.zip", tmp_path / "sums.py")
    with pytest.raises(CourseError, match="is not there"):
        run_harness(archive, tmp_path / "other.py")
    with pytest.raises(CourseError, match="not empty"):
        run_harness(archive, tmp_path / "sums.py", tmp_path)


def test_the_harness_refuses_a_zip_of_another_grader(archive, tmp_path):
    """The jail would run this one's code, and the try would say nothing about the zip."""
    (tmp_path / "sums.py").write_text(STUB)
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(other, "w") as new:
        for member in old.infolist():
            changed = b"\n# newer" if member.filename == "autograder/__init__.py" else b""
            new.writestr(member, old.read(member) + changed)
    with pytest.raises(CourseError, match=r"another autograder/__init__\.py"):
        run_harness(other, tmp_path / "sums.py")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"tests": []}', '{"score": "10"}', '{"score": null}', '{"score": 1, "point": 2}',
     '{"score": 1, "visibility": "later"}', '{"tests": [{"score": 1}, {"name": "no score"}]}',
     '{"score": 1, "tests": [{"status": "ok"}]}', '{"score": 1, "tests": [{"output_format": "rtf"}]}', '{"score": NaN}'],
)  # fmt: skip
def test_what_gradescope_does_not_document_is_no_results_json(content):
    with pytest.raises(ValueError):
        check_results(content.encode())


def test_gradescopes_own_example_is_a_results_json():
    """The fields of "Autograder Specifications", all of them."""
    test = {
        "score": 2.0, "max_score": 2.0, "status": "passed", "name": "Your name here", "name_format": "text",
        "number": "1.1", "output": "text", "output_format": "text", "tags": ["tag1"], "visibility": "visible",
        "extra_data": {},
    }  # fmt: skip
    whole = {
        "score": 44.0, "execution_time": 136, "output": "Text", "output_format": "simple_format",
        "test_output_format": "text", "test_name_format": "text", "visibility": "after_due_date",
        "stdout_visibility": "visible", "extra_data": {}, "tests": [test],
        "leaderboard": [{"name": "Accuracy", "value": 0.926}],
    }  # fmt: skip
    assert check_results(json.dumps(whole).encode()).score == 44
    assert check_results(b'{"tests": [{"score": 1}]}').tests[0].score == 1


# --- the course itself -----------------------------------------------------------------------------------------------


def test_a_real_assignment_through_the_real_process(tmp_path):
    """A reference of this course has full marks."""
    course = Course(REPOSITORY)
    assignment = course.assignment("sampling")
    release_gradescope(course, tmp_path / "zips", ["sampling"], seed=SEED)
    found = run_harness(tmp_path / "zips" / f"{assignment.name}.zip", assignment.reference)
    assert found["score"] == sum(test["max_score"] for test in found["tests"])
    assert {test["tags"][0] for test in found["tests"]} == {task.id for task in assignment.manifest.tasks}
