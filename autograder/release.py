"""Writes what is handed out: a copy of the course without `solutions/`, looked through for leaks before it is there.

    release_student(Course.find(), Path("../students"))        # the files that it wrote, relative to it

What ships is listed here, by name. Names that begin with a dot, and what Python and editors leave behind, stay out. The
copy is made in a folder beside the target and renamed at the end, so there is a whole release, or none.

Does not update an earlier release: write a new one, and let git compare the two.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import jinja2

from autograder.files import staged_folder
from autograder.leak import find_leaks
from autograder.manifest import Course, CourseError
from autograder.reset import PRISTINE
from autograder.stubs import stale_stubs
from autograder.suite import collect

FOLDERS = ("assignments", "autograder", "datasets")
FILES = ("pyproject.toml", "constraints.txt", ".gitignore")
FILES_IF_THERE = (
    "LICENSE",
    "docs/student-guide.md",
    "docs/speedrun.md",
    "docs/images/student-page-dark.png",
    "docs/images/student-page-phone.png",
)
LEFT_OUT = (".*", "__pycache__", "*.pyc", "*.pyo", "*.egg-info", "*~", "*.bak", "*.orig", "*.swp")
TEMPLATES = Path(__file__).parent / "templates"
LEAKS_SHOWN = 10


def release_student(course: Course, target: Path) -> list[Path]:
    """Writes the students' repository and returns its files. If anything is wrong: `CourseError`, nothing written."""
    refuse_unready(course)
    refuse_target(course, target)
    with staged_folder(target) as folder:
        copy_shipped(course, folder)
        write_readme(course, folder)
        refuse_leaks(course, folder)
        return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def copy_shipped(course: Course, folder: Path) -> None:
    """Copies what ships, by the lists above."""
    for name in (*FOLDERS, *FILES):
        if not (course.root / name).exists():
            raise CourseError(f"{course.root / name} is missing, and a release needs it")
        _copy(course.root / name, folder / name)
    for name in FILES_IF_THERE:
        if (course.root / name).exists():
            _copy(course.root / name, folder / name)
    for assignment in course.assignments():  # a second time, for `minigpt reset`
        _copy(assignment.stub, folder / "autograder" / PRISTINE / assignment.name / assignment.manifest.module)


def write_readme(course: Course, folder: Path) -> None:
    """Writes the students' README.md and AGENTS.md."""
    assignments = course.assignments()
    points = {assignment.name: collect(assignment, hidden=False).max_score for assignment in assignments}
    guide = (folder / "docs/student-guide.md").is_file()
    write_templates("release", folder, assignments=assignments, points=points, guide=guide)


def write_templates(kind: str, folder: Path, **context: object) -> None:
    """Fills in every template of `templates/<kind>`, at the same place in `folder`, without the .j2 of its name.

    dot_github/workflows/classroom.yml.j2 -> .github/workflows/classroom.yml: what begins with a dot does not ship.
    """
    home = TEMPLATES / kind
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(home),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # these are Markdown, Python, YAML and shell
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for path in sorted(home.rglob("*.j2")):
        name = path.relative_to(home)
        target = folder.joinpath(*(re.sub("^dot_", ".", part) for part in name.with_suffix("").parts))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(environment.get_template(name.as_posix()).render(**context), encoding="utf-8")


def refuse_leaks(course: Course, folder: Path) -> None:
    leaks = find_leaks(folder, course)
    if leaks:
        more = [f"... and {len(leaks) - LEAKS_SHOWN} more"] if len(leaks) > LEAKS_SHOWN else []
        listed = "\n".join([*(f"  {leak}" for leak in leaks[:LEAKS_SHOWN]), *more])
        raise CourseError(
            f"the release would give away solutions, so it was not written:\n{listed}\n"
            "Take each out of the file that it names, or word it differently there."
        )


def refuse_unready(course: Course) -> None:
    if not (course.root / "solutions").is_dir():
        raise CourseError(
            f"{course.root} has no solutions/, so nobody can tell what would leak. "
            "Release from the instructor's repository."
        )
    if stale := stale_stubs(course):
        names = ", ".join(str(path.relative_to(course.root)) for path in stale)
        raise CourseError(f"stale, not what the reference makes: {names}. Run `minigpt stubs --write`, and look at it.")


def refuse_target(course: Course, target: Path) -> None:
    for name in (*FOLDERS, "docs", "solutions"):
        if target.resolve().is_relative_to((course.root / name).resolve()):
            raise CourseError(f"{target} is inside {course.root / name}: name a folder outside of it")


def _copy(source: Path, target: Path) -> None:
    """Copies a file, or a folder with all that is in it but `LEFT_OUT`."""
    if source.is_symlink():
        raise CourseError(f"{source} is a link. Links do not ship: put the file itself there, or remove it")
    if source.is_dir():
        target.mkdir(parents=True)
        for entry in sorted(source.iterdir()):
            if not any(entry.match(pattern) for pattern in LEFT_OUT):
                _copy(entry, target / entry.name)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    else:
        raise CourseError(f"{source} is neither a file nor a folder, so it cannot ship")
