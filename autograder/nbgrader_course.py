"""Writes an nbgrader course directory: settings, `source/`, and what nbgrader itself makes of it.

    release_nbgrader(Course.find(), Path("../nbgrader"))      # the files that it wrote, relative to it

    nbgrader_config.py            grading by this project's grader; the seed of the tests' inputs
    source/04_attention/          the stub, visible tests, handout, and the notebook with the model answers
    release/04_attention/         what students get, made by nbgrader's generate_assignment
    gradebook.db                  nbgrader's, unless `db_url` names another database

nbgrader copies every .py of source/ into release/, and at grading over the students' files. So source/ has the stubs
and never a solution, and what goes into release/ is looked through for leaks before nbgrader sees it and after.

The folder is the instructor's alone (mode 700): the model answers are in it, and the seed. Does not update an earlier
one. With `db_url`, what nbgrader wrote into that database stays there if a later step fails.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from autograder.files import staged_folder
from autograder.manifest import Assignment, Course, CourseError
from autograder.notebooks import Told
from autograder.release import LEFT_OUT, refuse_leaks, refuse_target, refuse_unready, write_templates

COURSE_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,100}")  # the name of a folder in nbgrader's exchange


def release_nbgrader(
    course: Course, target: Path, *, db_url: str | None = None, course_id: str | None = None, seed: int | None = None
) -> list[Path]:
    """Writes the course directory and returns its files. If anything is wrong: `CourseError`, nothing written."""
    refuse_unready(course)
    refuse_target(course, target)
    assignments = course.assignments()
    _refuse_unfit(assignments, course_id := course_id or "minigpt")
    with staged_folder(target) as folder:
        folder.chmod(0o700)
        _write_config(course, assignments, folder, db_url, course_id, secrets.randbits(32) if seed is None else seed)
        for assignment in assignments:
            _copy_assignment(assignment, folder / "source" / assignment.name)
        refuse_leaks(course, folder / "source")  # with the notebooks as students get them
        for assignment in assignments:
            notebook = folder / "source" / assignment.name / assignment.notebook.name
            shutil.copyfile(assignment.source_notebook, notebook)
        _generate(folder)
        refuse_leaks(course, folder / "release")
        return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _refuse_unfit(assignments: list[Assignment], course_id: str) -> None:
    if not COURSE_ID.fullmatch(course_id):
        raise CourseError(
            f"the course's id {course_id!r} should be letters, digits and ._- only, such as 'minigpt-2026'"
        )
    for assignment in assignments:
        if not assignment.source_notebook.is_file():
            raise CourseError(
                f"{assignment.source_notebook} is missing: nbgrader has no assignments without a notebook"
            )


def _write_config(
    course: Course, assignments: list[Assignment], folder: Path, db_url: str | None, course_id: str, seed: int
) -> None:
    collected = [name for each in assignments for name in (each.manifest.module, *each.manifest.files)]
    write_templates(
        "nbgrader",
        folder,
        assignments=assignments,
        course=repr(str(course.root.resolve())),
        course_id=repr(course_id),
        db_url=repr(db_url) if db_url else None,
        seed=seed,
        extensions=sorted({".ipynb", *(PurePath(name).suffix for name in collected)}),
        stems=sorted({re.escape(PurePath(name).stem) for name in collected}),
    )


def _copy_assignment(assignment: Assignment, target: Path) -> None:
    """All that students get of it. A link stays one, and is refused as a leak."""
    shutil.copytree(assignment.folder, target, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))


def _generate(folder: Path) -> None:
    """`nbgrader generate_assignment`, for all assignments, with the settings that were written."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config.loader import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", str(folder)).load_config()
    config.CourseDirectory.assignment_id = "*"
    log = logging.Logger("nbgrader, quietly")
    log.addHandler(told := Told())
    directory = CourseDirectory(config=config, log=log)
    try:
        with _programs_beside_python():  # nbgrader runs alembic
            GenerateAssignment(directory, config=config, log=log).start()
    except NbGraderException as error:
        raise CourseError(f"nbgrader could not generate the assignments: {_reason(told.text) or error}") from error


@contextmanager
def _programs_beside_python() -> Iterator[None]:
    """Finds the programs that were installed with Python, where its environment is not active."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _reason(log: str) -> str:
    """What nbgrader's log says of a failure: the errors that its tracebacks end with; without one, all of it."""
    lines = re.findall(r"^[\w.]+(?:Error|Exception): .*$", log, re.MULTILINE) or log.splitlines()
    if "No module named" in log:
        lines.append("The database wants that driver: pip install it beside nbgrader")
    return "\n".join(dict.fromkeys(lines))
