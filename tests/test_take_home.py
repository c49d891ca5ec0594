"""`minigpt assemble`: a folder that pip installs, that trains and writes without the grader, with the student's own files.

The environment that it is installed into has the packages that its pyproject.toml names, with what those need, and
nothing else: no grader, no rich, no matplotlib.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from autograder import take_home_project
from autograder.manifest import Course, CourseError
from autograder.take_home import take_home, with_own_imports
from autograder.take_home_project import imports, needs

REPOSITORY = Path(__file__).parents[1]
BROKEN = "\n\ndef merge_heads(x):\n    return x\n"
TEXT = "the cat sat on the mat. the dog sat on the log. " * 60
BUILDING = ("setuptools", "pytest")  # what pip and the folder's own tests need besides


@pytest.fixture
def mine(course: Course, tmp_path: Path) -> Course:
    """A student's copy with 04_attention done."""
    root = tmp_path / "repository"
    shutil.copytree(REPOSITORY / "assignments", root / "assignments")
    shutil.copy(course.assignment("04_attention").reference, root / "assignments/04_attention/attention.py")
    return Course(root)


@pytest.fixture(scope="module")
def finished(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A student's copy with everything done."""
    root = tmp_path_factory.mktemp("finished")
    shutil.copytree(REPOSITORY / "assignments", root / "assignments")
    for assignment in course.assignments():
        shutil.copy(assignment.reference, root / "assignments" / assignment.name / assignment.manifest.module)
    (root / "LICENSE").write_text("Do what you like.\n")
    return Course(root)


@pytest.fixture(scope="module")
def assembled(finished: Course, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("assembled") / "take-home"
    assert set(take_home(finished, None, target).values()) == {"own"}
    return target


@pytest.fixture(scope="module")
def installed(assembled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that `pip install` has put the folder into. It checks the dependencies itself."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    lend({*BUILDING, *project(assembled)["dependencies"]}, site)
    copy = home.parent / "folder"  # pip leaves files of its own beside the sources
    shutil.copytree(assembled, copy)
    programs = home / "bin"
    ended = subprocess.run(
        [sys.executable, "-m", "pip", "--python", programs / "python", "install"]
        + ["--quiet", "--no-index", "--no-build-isolation", "--disable-pip-version-check", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return programs


def lend(names: set[str], site: Path) -> None:
    """Puts links to those distributions of this environment, and to all that they need, into another one's folder."""
    waiting, lent = {canonicalize_name(name) for name in names}, set[str]()
    while waiting:
        name = waiting.pop()
        lent.add(name)
        distribution = metadata.distribution(name)
        home = Path(str(distribution.locate_file("")))
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(home / top)
        needed = [Requirement(text) for text in distribution.requires or ()]
        needed = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
        waiting |= {canonicalize_name(each.name) for each in needed} - lent


def project(folder: Path) -> dict[str, object]:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def elsewhere(program: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """A program in another folder, with nothing of this environment but the path."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def alone(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`python -m minigpt` in that folder, in an interpreter that refuses to import the grader and its data sets."""
    program = (
        "import sys, runpy\n"
        "for name in ('autograder', 'datasets'): sys.modules[name] = None\n"
        "sys.argv[0] = 'minigpt'\n"
        "runpy.run_module('minigpt', run_name='__main__', alter_sys=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


# --- the folder -----------------------------------------------------------------------------------------------------


def test_pip_installs_it_and_it_runs_in_any_folder(installed: Path, text: Path, tmp_path: Path) -> None:
    """Without rich and matplotlib: plain lines, no picture, and a word about it."""
    command = [installed / "python", "-I", "-m", "minigpt", "train"]
    trained = elsewhere([*command, "--steps", "20", "--corpus", text], tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert re.findall(r"^step (\d+) of 20: loss \d+\.\d{3}$", trained.stdout, re.MULTILINE) == [
        str(done) for done in range(2, 21, 2)
    ]
    assert "pip install matplotlib" in trained.stdout
    assert not (tmp_path / "run/loss.png").exists()
    assert len((tmp_path / "run/loss.csv").read_text().splitlines()) == 22
    written = elsewhere([installed / "my-minigpt", "sample", "the", "--tokens", "9", "--seed", "1"], tmp_path)
    assert re.fullmatch(r"the.{9}\n", written.stdout, re.DOTALL), written.stderr


def test_nothing_of_the_course_is_near_it(installed: Path, tmp_path: Path) -> None:
    """Everything in the package can be imported where there is no grader, and no more than is needed."""
    program = (
        "import importlib, importlib.util, pkgutil, minigpt\n"
        "for each in pkgutil.walk_packages(minigpt.__path__, 'minigpt.'):\n"
        "    importlib.import_module(each.name)\n"
        "minigpt.library.stories_vocabulary()\n"
        "print([name for name in ('autograder', 'datasets', 'rich', 'matplotlib', 'typer', 'msgspec')\n"
        "       if importlib.util.find_spec(name)])"
    )
    ended = elsewhere([installed / "python", "-I", "-c", program], tmp_path)
    assert (ended.stdout, ended.returncode) == ("[]\n", 0), ended.stderr


def test_its_own_tests_pass(assembled: Path, installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(assembled, folder)
    ended = elsewhere([installed / "python", "-m", "pytest", "-q"], folder)
    assert re.search(r"^10 passed in", ended.stdout, re.MULTILINE), ended.stdout + ended.stderr


def test_its_own_tests_notice_a_changed_source(assembled: Path, installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(assembled, folder)
    module = folder / "minigpt/own/transformer.py"
    module.write_bytes(module.read_bytes() + b"\n")
    (folder / "minigpt/own/helper.py").write_text("import autograder\n")
    ended = elsewhere([installed / "python", "-m", "pytest", "-q", "-k", "handed_in or imported"], folder)
    assert "2 failed" in ended.stdout, ended.stdout


def test_it_asks_for_what_the_sources_import_and_no_more(assembled: Path) -> None:
    told = project(assembled)
    assert told["dependencies"] == ["torch", "tiktoken", "jaxtyping", "numpy", "regex"]
    assert told["optional-dependencies"] == {"show": ["matplotlib", "rich"], "test": ["pytest"]}
    assert (told["name"], list(told["scripts"])) == ("my-minigpt", ["my-minigpt"])  # `minigpt` is the course's command


def test_the_sources_are_the_students_but_for_the_names_of_the_chassis(assembled: Path, finished: Course) -> None:
    for assignment in finished.assignments():
        was = assignment.stub.read_bytes().splitlines(keepends=True)
        now = (assembled / "minigpt/own" / assignment.manifest.module).read_bytes().splitlines(keepends=True)
        assert len(was) == len(now)
        for before, after in zip(was, now, strict=True):
            assert after == before.replace(b"from autograder.minigpt.", b"from ..")


def test_the_readme_says_whose_each_part_is(assembled: Path, finished: Course) -> None:
    text = (assembled / "README.md").read_text()
    assert "All of its 22 parts are my own code." in text
    assert "| attention | `minigpt/own/attention.py` |" in text
    assert "torch, tiktoken, jaxtyping, numpy, regex" in text
    assert "$" not in text
    assert (assembled / "LICENSE").read_bytes() == (finished.root / "LICENSE").read_bytes()


# --- what it is made of ---------------------------------------------------------------------------------------------


def test_it_trains_and_writes_without_the_grader(mine: Course, text: Path, tmp_path: Path) -> None:
    """With rich and matplotlib there is a bar, and a picture."""
    target = tmp_path / "take-home"
    stub = mine.assignment("04_attention").stub
    stub.write_text(stub.read_text() + "\nprint('my own attention is here')\n")
    parts = take_home(mine, None, target)
    assert [slot for slot, whose in parts.items() if whose == "own"] == ["attention"]
    assert (target / "minigpt/own/attention.py").read_bytes() == stub.read_bytes()
    told = json.loads((target / "PROVENANCE.json").read_text())
    assert told["schema"] == "minigpt/provenance/v1"
    assert (told["parts"]["attention"], told["parts"]["optimizer"]) == ("own", "library")
    assert {name: source["tests"] for name, source in told["sources"].items()} == {
        "minigpt/own/attention.py": "visible"
    }
    trained = alone(target, "train", "--steps", "3", "--corpus", text)
    assert trained.returncode == 0, trained.stderr
    assert "my own attention is here" in trained.stdout and "validation loss" in trained.stdout
    assert "step 1 of 3" not in trained.stdout and "3/3" in trained.stdout
    assert (target / "run/loss.png").read_bytes().startswith(b"\x89PNG")
    assert '"own": [\n   "attention"' in (target / "run/run.json").read_text()
    assert "1 of its 22 parts are my own code" in (target / "README.md").read_text()
    assert not (target / "LICENSE").exists()


def test_a_part_that_does_not_pass_is_the_librarys(mine: Course, tmp_path: Path) -> None:
    """Before any training, the shipped model writes with whatever parts there are."""
    stub = mine.assignment("04_attention").stub
    stub.write_text(stub.read_text() + BROKEN)
    assert set(take_home(mine, None, tmp_path / "take-home").values()) == {"library"}
    assert sorted(path.name for path in (tmp_path / "take-home/minigpt/own").iterdir()) == ["__init__.py"]
    written = alone(tmp_path / "take-home", "sample", "Leo", "--tokens", "9")
    assert written.stdout.startswith("Leo"), written.stderr
    assert "nothing is trained in run yet" in written.stderr


def test_somebody_elses_submission_is_tried_in_a_jail_with_all_tests(course: Course, tmp_path: Path) -> None:
    module = tmp_path / "class/ada/04_attention/attention.py"
    module.parent.mkdir(parents=True)
    proof = tmp_path / "ran-outside"
    reference = course.assignment("04_attention").reference.read_text()
    module.write_text(reference + f"\ntry:\n    open({str(proof)!r}, 'w')\nexcept OSError:\n    pass\n")
    parts = take_home(course, tmp_path / "class/ada", tmp_path / "take-home")
    assert parts["attention"] == "own"
    assert not proof.exists()
    found = json.loads((tmp_path / "take-home/PROVENANCE.json").read_text())
    assert found["sources"]["minigpt/own/attention.py"]["tests"] == "visible and hidden"


def test_a_folder_with_something_in_it_is_left_alone(mine: Course, tmp_path: Path) -> None:
    (tmp_path / "take-home").mkdir()
    (tmp_path / "take-home/diary.txt").write_text("mine")
    with pytest.raises(CourseError, match="is not empty"):
        take_home(mine, None, tmp_path / "take-home")
    assert [path.name for path in (tmp_path / "take-home").iterdir()] == ["diary.txt"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".take-home")]


# --- imports --------------------------------------------------------------------------------------------------------


def test_a_students_further_import_is_a_dependency_and_one_for_types_alone_is_not(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "run.py").write_text("import torch\ndef draw():\n    import rich\n")
    (tmp_path / "own/mine.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy\nelse:\n    import regex\n"
        "def late():\n    from packaging.version import Version\n"
    )
    found = needs(tmp_path)
    assert found.always == ("torch", "tiktoken", "packaging", "regex")
    assert found.show == ("rich",)


def test_the_example_of_imports_is_true() -> None:
    assert imports(b"from . import config\nimport os.path\nfrom tiktoken_ext.x import y") == ({"tiktoken_ext"}, set())
    assert doctest.testmod(take_home_project) == (0, 1)


@pytest.mark.parametrize(
    ("source", "becomes", "columns"),
    [
        (b"from autograder.minigpt.config import GPTConfig\r\n", b"from ..config import GPTConfig\r\n", [5]),
        (b"from autograder.minigpt import config\n", b"from .. import config\n", [5]),
        (
            b"if 1: from autograder.minigpt.config import A; from autograder.minigpt.protocols import B\n",
            b"if 1: from ..config import A; from ..protocols import B\n",
            [11, 35],
        ),
        (b"x = 'autograder.minigpt.config'  # autograder\n", b"x = 'autograder.minigpt.config'  # autograder\n", []),
    ],
)
def test_the_name_of_the_chassis_is_changed_where_it_is_imported(
    source: bytes, becomes: bytes, columns: list[int]
) -> None:
    now, changes = with_own_imports(source, "mine.py")
    assert now == becomes
    assert [change.column for change in changes] == columns
    for change in reversed(changes):  # and back again
        assert now[change.column :].startswith(change.becomes.encode())
        now = now[: change.column] + change.was.encode() + now[change.column + len(change.becomes) :]
    assert now == source


@pytest.mark.parametrize("line", ["import autograder.minigpt.config", "from autograder.grade import Settings"])
def test_another_import_of_the_course_is_an_error_that_names_the_line(line: str) -> None:
    with pytest.raises(CourseError, match=r"mine\.py, line 2, imports"):
        with_own_imports(f"import torch\n{line}\n".encode(), "mine.py")
