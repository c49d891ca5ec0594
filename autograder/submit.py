"""Writes the zip that a student uploads to a learning platform, after a look at what is in it.

    submit(Course.find(), "04_attention", Path("04_attention.zip"))
    # Submitted(path=Path("04_attention.zip"), files=("attention.py", "attention.ipynb"), points=20, max_points=32)

In it are the module, the files that the manifest lists, and the lab notebook with the written answers, as
`04_attention/attention.py` and so on: `minigpt grade` and nbgrader take it like that. The module must import, and be
more than the stub. An older zip of the same name is moved aside, not lost. Sends nothing anywhere.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from autograder.check import check
from autograder.in_process import load_module
from autograder.keeping import reason, replace_keeping
from autograder.manifest import Assignment, Course, CourseError
from autograder.outcome import ImportFailed
from autograder.reset import BACKUPS, pristine_stub, same_text
from autograder.submission_zip import MAX_SOURCE, MAX_ZIP

FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can name: the same files give the same zip


@dataclass(frozen=True)
class Submitted:
    """What was written, and what the visible tests say of it. `backup`: where an older zip went."""

    path: Path
    files: tuple[str, ...]
    points: int
    max_points: int
    backup: Path | None


def submit(course: Course, name: str, to: Path | None = None) -> Submitted:
    """Checks an assignment's files and writes them into a zip. A `CourseError` says what is wrong with them."""
    assignment = course.assignment(name)
    contents = _read(assignment)
    if same_text(contents[assignment.manifest.module], pristine_stub(assignment)):
        raise CourseError(f"{assignment.stub} is still the stub as it was handed out: there is nothing to hand in yet")
    _refuse_broken(assignment)
    checked = check(assignment, None)
    data = _zip(assignment, contents)
    if len(data) > MAX_ZIP:
        raise CourseError(f"the zip would be larger than {MAX_ZIP >> 20} MB: clear the outputs of your notebook")
    path = to or Path(f"{assignment.name}.zip")
    if path.is_dir():
        path = path / f"{assignment.name}.zip"
    backup = _write(path, data, course.root / BACKUPS)
    points = sum(task.score for task in checked.tasks)
    return Submitted(path, tuple(contents), points, sum(task.max_score for task in checked.tasks), backup)


def _read(assignment: Assignment) -> dict[str, bytes]:
    """The files that go into the zip, by name, the module first. Links and huge files would be refused in grading."""
    manifest = assignment.manifest
    contents = {}
    for name in (manifest.module, *manifest.files, assignment.notebook.name):
        path = assignment.folder / name
        if path.is_symlink():
            raise CourseError(f"{path} is a link, which cannot be handed in: put the file itself there")
        if path.is_file():
            contents[name] = _content(path)
        elif name == manifest.module:
            raise CourseError(
                f"there is no {path}: write it, or get the stub back with `minigpt reset {assignment.name}`"
            )
        if name != assignment.notebook.name and len(contents.get(name, b"")) > MAX_SOURCE:
            raise CourseError(f"{path} is larger than {MAX_SOURCE >> 20} MB, and would be refused")
    return contents


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {reason(error)}") from error


def _write(path: Path, data: bytes, backups: Path) -> Path | None:
    """Writes the zip; an older one is moved aside. Nothing else is ever replaced, whatever `--to` says."""
    if path.is_file() and not zipfile.is_zipfile(path):
        raise CourseError(f"{path} is there already, and is no zip: name another file with --to")
    if path.is_file() and _content(path) == data:
        return None
    return replace_keeping(path, data, backups)


def _refuse_broken(assignment: Assignment) -> None:
    try:
        load_module(assignment.stub)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit as well: a module that exits on import cannot be graded
        reason = ImportFailed.from_exception(error, assignment.stub)
        raise CourseError(f"{reason}. Mend that first: as it is, every test would fail") from error


def _zip(assignment: Assignment, contents: dict[str, bytes]) -> bytes:
    """The same contents give the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            member = zipfile.ZipInfo(f"{assignment.name}/{name}", FIRST_DATE)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return file.getvalue()
