"""Gradescope: the autograder zip of each assignment, and what Gradescope's container runs of it.

    release_gradescope(Course.find(), Path("../gradescope"))       # writes ../gradescope/04_attention.zip and its like
    python -m autograder.gradescope                                # in the container: grades what was handed in

The formats are Gradescope's (gradescope-autograders.readthedocs.io: "Autograder Specifications", "Submission Metadata",
"Troubleshooting"). Where no results.json comes out, Gradescope says that the autograder failed, and there is no score;
a results.json without a score is none by its format. So a fault of the grader writes no file, and ends with 1.

A zip holds the grader, one assignment, its hidden tests and the seed, and nothing else of `solutions/`. It is the
instructor's alone. Does not speak with Gradescope: you upload the zip, and set points, memory and time limit there.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from autograder.files import staged_folder, write_atomically
from autograder.grader import Settings, Work, close_here, grade_here
from autograder.jail.isolation import NoIsolation, Tier, choose
from autograder.manifest import Assignment, Course, CourseError
from autograder.outcome import GraderFault
from autograder.release import copy_shipped, refuse_leaks, refuse_target, refuse_unready, write_templates
from autograder.report import STATUS_WORDS, diagnosis_of, shortened, told
from autograder.reset import PRISTINE
from autograder.result import Record, TaskResult, TestResult, to_json
from autograder.submission_zip import Refused
from autograder.submissions import STUDENT_NAME, Submission, read_plain_file, read_submission
from autograder.suite import collect

Isolation = Literal["auto", "bwrap", "landlock", "none"]
Visibility = Literal["visible", "after_due_date", "after_published", "hidden"]

CONFIG = "gradescope.json"
EXECUTABLE = ("setup.sh", "run_autograder")
PACKAGES = ("torch", "numpy", "tiktoken", "regex", "jaxtyping", "pytest", "msgspec", "jinja2", "landlock", "pyseccomp")
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,100}")  # it stands in shell scripts
FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip can hold: the same bytes whenever it is made

AUTOGRADER = Path("/autograder")
SUBMISSION = "submission"
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
NEEDED_MEMORY = 2_700_000_000  # 2 GB for the student's code, as everywhere, and 0.6 GB for grader and jail
MAX_METADATA = 64 << 20  # all earlier submissions are in it, with their results


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`gradescope.json` of a zip. hidden_tests: when students see their titles, hints and points."""

    assignment: str
    seed: Annotated[int, msgspec.Meta(ge=0)]
    isolation: Isolation = "auto"
    hidden_tests: Visibility = "after_published"


# --- the zip ---------------------------------------------------------------------------------------------------------


def release_gradescope(
    course: Course,
    target: Path,
    assignment_names: Iterable[str] | None = None,
    seed: int | None = None,
    *,
    isolation: Isolation = "auto",
    hidden_tests: Visibility = "after_published",
) -> list[Path]:
    """Writes a zip for each assignment and returns their names. If anything is wrong: `CourseError`, nothing written.

    isolation: "none" lets the student's code read the hidden tests and write its own grade; never chosen by itself.
    """
    refuse_unready(course)
    refuse_target(course, target)
    names = [each.name for each in course.assignments()] if assignment_names is None else assignment_names
    assignments = {found.name: found for found in map(course.assignment, names)}
    if not assignments:
        raise CourseError("no assignment was named, so there is nothing to release")
    seed = secrets.randbits(32) if seed is None else seed
    with staged_folder(target) as folder:
        folder.chmod(0o700)
        for name, assignment in assignments.items():
            config = Config(name, seed, isolation, hidden_tests)
            write_atomically(folder / f"{name}.zip", _zip(course, assignment, config))
        return sorted(path.relative_to(folder) for path in folder.iterdir())


def _zip(course: Course, assignment: Assignment, config: Config) -> bytes:
    if not PLAIN_NAME.fullmatch(assignment.name):
        raise CourseError(f"{assignment.folder}: rename the folder, with letters, digits and ._- only")
    collect(assignment, hidden=True)  # tests that cannot be collected would fail each student at Gradescope
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _stage(course, assignment, folder, config)
        refuse_leaks(course, folder)
        hidden = folder / "solutions" / assignment.name / assignment.hidden_tests.name
        hidden.parent.mkdir(parents=True)
        shutil.copyfile(assignment.hidden_tests, hidden)
        return _zipped(folder)


def _stage(course: Course, assignment: Assignment, folder: Path, config: Config) -> None:
    """All of the zip but the hidden tests: what students get, less what grading has no use for, and our own files."""
    copy_shipped(course, folder)
    for other in (folder / "assignments").iterdir():
        if other.name != assignment.name:
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    shutil.rmtree(folder / "autograder" / PRISTINE)
    shutil.rmtree(folder / "docs", ignore_errors=True)
    for useless in (*folder.rglob("*.ipynb"), folder / ".gitignore"):
        useless.unlink()
    context = {"name": assignment.name, "config": CONFIG, "packages": " ".join(PACKAGES), "torch_index": TORCH_INDEX}
    write_templates("gradescope", folder, **context)
    (folder / CONFIG).write_bytes(to_json(config))


def _zipped(folder: Path) -> bytes:
    """The folder as a zip: the same bytes for the same files, and the two scripts executable."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), FIRST_DATE)
            member.create_system = 3  # Unix, whose modes follow
            mode = 0o755 if member.filename in EXECUTABLE else 0o644
            member.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(member, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


# --- results.json ----------------------------------------------------------------------------------------------------


def results_json(
    record: Record, hidden_tests: Visibility = "after_published", seconds: float | None = None
) -> dict[str, Any]:
    """A record as Gradescope's results.json has it. A record without a score is a `GraderFault`.

    Every text is declared to be plain text: for the whole submission, Gradescope would else take it for HTML.
    """
    result = record.result
    if result.status == "grader_error" or not isinstance(result.score, int):
        raise GraderFault(result.message or "there is no score")
    found: dict[str, Any] = {
        "score": result.score,
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "stdout_visibility": "hidden",
        "tests": list(_entries(record, hidden_tests)),
    }
    if told_to_all := "\n".join(shortened(text) for text in _notices(record)):
        found["output"] = told_to_all
    if seconds is not None:
        found["execution_time"] = round(seconds, 1)
    return found


def _notices(record: Record) -> Iterator[str]:
    if record.result.status == "missing":
        yield f"Nothing could be graded: {record.result.message}"
    yield from record.feedback.notices


def _entries(record: Record, hidden_tests: Visibility) -> Iterator[dict[str, Any]]:
    for number, task in enumerate(record.result.tasks, 1):
        for count, test in enumerate(task.tests, 1):
            yield {
                "name": _name(task, test),
                "number": f"{number}.{count}",
                "score": test.score,
                "max_score": test.max_score,
                "status": "passed" if test.status == "passed" else "failed",
                "output": _output(record, test),
                "visibility": "visible" if test.visibility == "visible" else hidden_tests,
                "tags": [task.id],
            }


def _name(task: TaskResult, test: TestResult) -> str:
    return f"{task.title or task.id}: {test.title or test.id}"


def _output(record: Record, test: TestResult) -> str:
    """What a student reads of a test that did not pass. Of a hidden one only what was authored: diagnosis and hint."""
    if test.status == "passed":
        return ""
    diagnosis = diagnosis_of(record, test)
    lines = [*([diagnosis] if diagnosis else []), *([f"Hint: {test.hint}"] if test.hint else [])]
    if test.visibility == "visible":
        word, meaning = STATUS_WORDS[test.status]
        lines = [meaning or f"{word.capitalize()}.", *([message] if (message := told(record, test)) else []), *lines]
    return "\n".join(lines)


# --- in the container ------------------------------------------------------------------------------------------------


def run_in(autograder_root: Path = AUTOGRADER) -> int:
    """Grades the submission in `autograder_root`: 0 and a results.json, or 1 and none. Students see no line it prints.

    A results.json that was there before is gone first, so that an old grade is never taken for this one.
    """
    root = autograder_root.absolute()
    results = root / "results" / "results.json"
    try:
        results.unlink(missing_ok=True)
        started = time.monotonic()
        config = _read_config(root / "source" / CONFIG)
        record = _grade(root, config)
        write_atomically(results, to_json(results_json(record, config.hidden_tests, time.monotonic() - started)))
    except Exception as error:  # whatever it is, it is no fault of the student's
        print(f"minigpt: this submission has no grade. {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    result = record.result
    print(f"{result.student} {result.assignment}: {result.score} of {result.max_score}, isolation {result.isolation}")
    return 0


def _read_config(path: Path) -> Config:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Config)
    except (OSError, msgspec.DecodeError) as error:
        raise CourseError(f"{path}: {error}. Release the zip again, with --target gradescope") from error


def _grade(root: Path, config: Config) -> Record:
    source = root / "source"
    assignment = Course(source).assignment(config.assignment)
    _refuse_small_container()
    settings = Settings(
        course=source,
        submissions=root / SUBMISSION,
        out=root / "results",
        assignments=(assignment.name,),
        seed=config.seed,
        tier=_tier(config.isolation),
        train_steps=0,
    )
    student = student_of(root / "submission_metadata.json")
    (graded,) = grade_here(settings, Work(student, (read_upload(root, student, assignment),)))
    return graded.record


def _tier(isolation: Isolation) -> Tier:
    try:
        return choose(isolation)
    except NoIsolation as error:
        raise GraderFault(
            f"{error}\nWithout a jail, the student's code could read the hidden tests and write its own grade. If you "
            'accept that, put "isolation": "none" into the zip\'s gradescope.json. If not, download the submissions'
            " and grade them elsewhere, with `minigpt grade`."
        ) from error


def _refuse_small_container() -> None:
    """In too little memory the kernel would kill the student's code for what it may take elsewhere."""
    for path in MEMORY_LIMITS:
        text = path.read_text().strip() if path.is_file() else ""
        if text.isdecimal() and int(text) < NEEDED_MEMORY:
            raise GraderFault(
                f"this container has {int(text) >> 20} MB of memory, and grading needs 3 GB: choose more in the "
                "assignment's settings at Gradescope, under Autograder"
            )


def student_of(metadata: Path) -> str:
    """ "submission-123456", after Gradescope's number of the submission; a file that says none costs nothing.

    Names and addresses of students are in the file as well. They have no use here, and are not read.
    """
    try:
        found = msgspec.json.decode(read_plain_file(metadata, limit=MAX_METADATA), type=dict[str, msgspec.Raw])
        name = f"{SUBMISSION}-{msgspec.json.decode(found['id'], type=int)}"
    except (OSError, Refused, KeyError, msgspec.DecodeError, RecursionError):
        return SUBMISSION
    return name if STUDENT_NAME.fullmatch(name) and len(name) < 40 else SUBMISSION


def read_upload(root: Path, student: str, assignment: Assignment) -> Submission:
    """What was handed in, by the rules that hold everywhere: see `submissions.py`.

    A zip or a repository that was uploaded has folders of its own: `04_attention/`, `assignments/04_attention/`. Single
    files lie in `submission/` itself, which is then read as if it were the assignment's folder.
    """
    module = assignment.manifest.module
    found = read_submission(root, student, assignment, SUBMISSION)
    if found.files is None and found.problem is None:
        as_its_folder = replace(assignment, name=SUBMISSION)
        found = read_submission(root.parent, student, as_its_folder, root.name)
    elif os.path.lexists(root / SUBMISSION / module):
        ignored = f"{module} is ignored: the one in the folder or zip {assignment.name} comes first"
        found = replace(found, notices=(*found.notices, ignored))
    return replace(found, assignment=assignment.name)


def main(arguments: list[str]) -> int:
    """`[ROOT]` grades; `--check` says whether there is a jail here. Never an argument of a student's."""
    if arguments != ["--check"]:
        try:
            return run_in(*map(Path, arguments[:1]))
        finally:
            close_here()
    try:
        print(f"jail: {choose('auto')}")
    except NoIsolation as error:
        print(f"minigpt: {error}\nThe machine that grades may have one; if not, nothing will be graded.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
