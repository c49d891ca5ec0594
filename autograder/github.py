"""Writes the students' repository for GitHub: the release, and what makes GitHub run the visible tests at each push.

    release_github(Course.find(), Path("../students"))        # the files that it wrote, relative to it

.github/workflows/classroom.yml          a step for each assignment, then the official reporter of points
.github/classroom/autograding.json       the format of GitHub Classroom's first years, an entry for each task
.github/classroom50/autograder.py        for Classroom 50: goes into the classroom's own repository
.devcontainer/devcontainer.json          Python and the course's packages, for Codespaces and VS Code

Assignments, tasks and points come from the manifests and the visible tests. Hidden tests do not ship: the instructor
grades the clones with `minigpt grade`. What runs on GitHub is `classroom.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from autograder.files import staged_folder
from autograder.manifest import Course, CourseError
from autograder.release import (
    copy_shipped,
    refuse_leaks,
    refuse_target,
    refuse_unready,
    write_readme,
    write_templates,
)
from autograder.suite import Suite, collect

TORCH_INDEX = "https://download.pytorch.org/whl/cpu"  # without CUDA, which no runner has a use for
INSTALL = f"install '.[jail]' -c constraints.txt --extra-index-url {TORCH_INDEX}"


@dataclass(frozen=True)
class Entry:
    """One task, as autograding.json lists it."""

    name: str
    task: str
    points: int


@dataclass(frozen=True)
class Step:
    """One assignment, as the workflow knows it."""

    assignment: str
    title: str
    id: str
    entries: tuple[Entry, ...]

    @property
    def variable(self) -> str:
        """Where the reporter looks for the runner's points."""
        return f"{self.id.upper()}_RESULTS"

    @property
    def output(self) -> str:
        return f"${{{{ steps.{self.id}.outputs.result }}}}"


def release_github(course: Course, target: Path) -> list[Path]:
    """Writes the repository and returns its files. If anything is wrong: `CourseError`, nothing written."""
    refuse_unready(course)
    refuse_target(course, target)
    steps = steps_of(course)
    with staged_folder(target) as folder:
        copy_shipped(course, folder)
        write_readme(course, folder)
        write_templates("github", folder, steps=steps, install=INSTALL, torch_index=TORCH_INDEX)
        refuse_leaks(course, folder)
        return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def steps_of(course: Course) -> list[Step]:
    steps = [_step(collect(assignment, hidden=False)) for assignment in course.assignments()]
    for identifier, count in Counter(step.id for step in steps).items():
        if count > 1:
            names = ", ".join(step.assignment for step in steps if step.id == identifier)
            raise CourseError(f"{names}: their steps would all be called {identifier}. Rename one of the folders")
    return steps


def _step(suite: Suite) -> Step:
    name, manifest = suite.assignment.name, suite.assignment.manifest
    entries = tuple(
        Entry(f"{name}, {task.id}: {task.title}", task.id, points)
        for task in manifest.tasks
        if (points := sum(case.points for case in suite.of_task(task)))
    )
    return Step(name, manifest.title, step_id(name), entries)


def step_id(name: str) -> str:
    """Letters and digits, a letter first: "04_attention" is attention04.

    GitHub would take a dash or an underscore, but the reporter then calls every error a fault in its list of runners.
    """
    number, _, rest = name.partition("_")
    letters = re.sub(r"[^a-z0-9]", "", f"{rest}{number}".lower())
    return letters if letters[:1].isalpha() else f"assignment{letters}"
