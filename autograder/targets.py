"""The targets of `minigpt release`: which module writes each, which options it takes, and what is said at the end.

write_release(course, "gradescope", Path("../gradescope"), {"seed": 7})      # the lines to print
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.github import release_github
from autograder.gradescope import release_gradescope
from autograder.manifest import Course, CourseError
from autograder.nbgrader_course import release_nbgrader
from autograder.release import release_student


@dataclass(frozen=True)
class Target:
    """`options`: of the command's options those that it takes, and the names of the function's own."""

    write: Callable[..., list[Path]]
    what: str
    next_step: str
    options: Mapping[str, str]


TARGETS = {
    "student": Target(release_student, "the students' repository", "put it where they can copy it", {}),
    "nbgrader": Target(
        release_nbgrader,
        "an nbgrader course",
        "cd there, and `nbgrader release_assignment NAME`; docs/nbgrader.md goes on from there",
        {"seed": "seed", "db_url": "db_url", "course_id": "course_id"},
    ),
    "github": Target(
        release_github,
        "the students' repository for GitHub",
        "push it as a template repository; docs/github.md goes on from there",
        {},
    ),
    "gradescope": Target(
        release_gradescope,
        "a zip for each assignment",
        "try one with `minigpt gradescope ZIP SUBMISSION`; docs/gradescope.md goes on from there",
        {"seed": "seed", "assignment": "assignment_names"},
    ),
}


def write_release(course: Course, name: str, to: Path, options: Mapping[str, Any]) -> Iterator[str]:
    """Writes a target, and gives the lines that say so. An option that it does not take is a `CourseError`."""
    target = TARGETS[name]
    given = {option: value for option, value in options.items() if value is not None}
    for option in given.keys() - target.options.keys():
        takers = " and ".join(other for other, each in TARGETS.items() if option in each.options)
        raise CourseError(f"--{option.replace('_', '-')} goes with --target {takers}, not with {name}")
    files = target.write(course, to, **{target.options[option]: value for option, value in given.items()})
    yield f"wrote {target.what} to {to}: {len(files)} files, looked through for leaks"
    yield f"next: {target.next_step}"
