"""`nbgrader autograde` with this project's grader and with a kernel: python benchmarks/nbgrader_execution.py [N] ...

Both ways grade the same class in the same course directory, as `minigpt release --target nbgrader` writes it, and all
that differs is one line of its nbgrader_config.py:

    GradeWithMiniGPT    the module in the jail, visible and hidden tests; the notebook is not run
    Execute             nbgrader's own: the released notebook in a kernel, plots and all; its check cells call the
                        visible tests, which is all that a kernel may see

The class is drawn by a seed from 04_attention, see `throughput.py`, and hands in the released notebook. The ways take
turns, each as a command of its own. A kernel grades the class once, the other way several times over (--rounds).
"steady" leaves the start out: each way also grades the first few submissions alone, and the difference is what the
others took. All of it is on one thread of torch. Figures are medians.

The points differ, as there are no hidden tests in a kernel; but each way gives the reference all of them, and every
submission the same in each repetition, or this ends with an error.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nbgrader.api import Gradebook
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from throughput import COURSE, NAME, Times, command, draw_class, write_class

from autograder.nbgrader_course import release_nbgrader
from autograder.suite import collect

OURS, STOCK = "autograder.nbgrader_grading.GradeWithMiniGPT", "nbgrader.preprocessors.Execute"
Points = dict[str, dict[str, float]]  # student -> grade_id -> points


@dataclass(frozen=True)
class Way:
    """A preprocessor to grade with. `start`: how many submissions its shorter run has. `distinct`: of the class."""

    name: str
    submissions: int
    start: int
    distinct: int


def autograde(released: Path, way: str, sources: list[str]) -> tuple[float, Points]:
    """Seconds of `nbgrader autograde` alone, and the points that its gradebook has."""
    assignment = COURSE.assignment(NAME)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "course"
        shutil.copytree(released, folder)
        config = folder / "nbgrader_config.py"
        text = config.read_text(encoding="utf-8")
        assert text.count(f'"{OURS}"') == 1, "the line to change is not there"
        config.write_text(text.replace(f'"{OURS}"', f'"{way}"'), encoding="utf-8")
        write_class(folder / "submitted", sources, assignment.manifest.module)
        for student in (folder / "submitted").iterdir():
            shutil.copy(folder / "release" / NAME / assignment.notebook.name, student / NAME)
        seconds = command([sys.executable, "-m", "nbgrader", "autograde", NAME], folder)
        return seconds, read_gradebook(folder)


def read_gradebook(folder: Path) -> Points:
    """The points of the check cells."""
    with Gradebook(f"sqlite:///{folder}/gradebook.db") as gradebook:
        return {
            submission.student.id: {
                grade.name: grade.auto_score
                for grade in submission.notebooks[0].grades
                if grade.name.startswith("check-")
            }
            for submission in gradebook.assignment_submissions(NAME)
        }


def check_points(way: Way, points: Points, expected: list[dict[str, float]], count: int, full: int) -> None:
    """An error where somebody was not graded, the reference has less than all, or a round gave other points."""
    found = [points[student] for student in sorted(points)]
    assert len(found) == count, f"{way.name} graded {len(found)} of {count}"
    assert sum(found[0].values()) == full, f"{way.name} gives the reference {found[0]}, and should give {full} in all"
    for number, each in enumerate(found):
        if number == len(expected) and number < way.distinct:
            expected.append(each)
        if each != expected[number % way.distinct]:
            sys.exit(f"submission {number}: {way.name} gives {each}, and gave {expected[number % way.distinct]} before")


def measure(released: Path, ways: list[Way], sources: list[str], repetitions: int) -> dict[str, Times]:
    """Both ways in turns."""
    full = collect(COURSE.assignment(NAME), hidden=True).max_score
    times = {way.name: Times() for way in ways}
    expected: dict[str, list[dict[str, float]]] = {way.name: [] for way in ways}
    with Progress(transient=True) as progress:
        bar = progress.add_task("", total=repetitions * len(ways))
        for _ in range(repetitions):
            for way in ways:
                own = times[way.name]
                progress.update(bar, description=way.name.rpartition(".")[2])
                for count, kept in ((way.start, own.start), (way.submissions, own.whole)):
                    several = (sources * count)[:count]
                    seconds, points = autograde(released, way.name, several)
                    check_points(way, points, expected[way.name], count, full)
                    kept.append(seconds)
                progress.advance(bar)
    return times


def show(ways: list[Way], times: dict[str, Times], repetitions: int) -> Table:
    """Seconds for a submission, and how many times as fast as with a kernel."""
    table = Table(
        title=f"nbgrader autograde, {NAME}, {repetitions} repetitions, seconds a submission",
        caption="in brackets: times as fast as Execute",
    )
    table.add_column("")
    for column in ("submissions", "seconds", "whole command", "steady"):
        table.add_column(column, justify="right")
    figures = {way.name: (60 / times[way.name].per_minute(way), times[way.name].steady_seconds(way)) for way in ways}
    for way in ways:
        whole, steady = figures[way.name]
        stock_whole, stock_steady = figures[STOCK]
        table.add_row(
            way.name.rpartition(".")[2],
            str(way.submissions),
            f"{statistics.median(times[way.name].whole):.1f}",
            f"{whole:.2f} ({stock_whole / whole:.1f})",
            f"{steady:.2f} ({stock_steady / steady:.1f})" if steady > 0 else "class too small",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submissions", type=int, nargs="?", default=6, help="of the class that kernels grade")
    parser.add_argument("--rounds", type=int, default=6, help="how many times over the other way grades it; at least 2")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="which variants are drawn")
    given = parser.parse_args()
    if given.submissions < 2 or given.rounds < 2 or given.repetitions < 1:
        parser.error("there must be at least 2 submissions, 2 rounds and 1 repetition")
    sources = draw_class(COURSE.assignment(NAME), given.submissions, given.seed)
    number = len(sources)
    ways = [Way(OURS, number * given.rounds, number, number), Way(STOCK, number, 1, number)]
    with tempfile.TemporaryDirectory() as name:
        released = Path(name) / "released"
        release_nbgrader(COURSE, released)
        times = measure(released, ways, sources, given.repetitions)
    Console().print(show(ways, times, given.repetitions))


if __name__ == "__main__":
    main()
