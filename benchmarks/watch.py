"""How long `minigpt check --watch` takes from a save to the last line printed: python benchmarks/watch.py [--saves N]

A real process watches a copy of each assignment; the module is saved again and again, a second apart, in turn as the
reference and as a known mistake. Prints the first run, start of Python and torch included, and the medians of the rest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.table import Table

from autograder.manifest import Assignment, Course
from autograder.variants import read_mistakes

COMMAND = Path(sys.executable).parent / "minigpt"
RUN_IS_OVER = "Watching: save"
PAUSE = 1.0


def wait(output: IO[str]) -> None:
    for line in output:
        if RUN_IS_OVER in line:
            return
    sys.exit("minigpt check --watch ended by itself")


def measure(assignment: Assignment, saves: int) -> tuple[float, list[float], list[float]]:
    """Seconds of the first run; from save to table where all passes; and where something fails."""
    right = assignment.reference.read_text()
    wrong = read_mistakes(assignment)[0].source
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "assignments" / assignment.name
        shutil.copytree(assignment.folder, folder)
        stub = folder / assignment.manifest.module
        stub.write_text(right)
        started = time.perf_counter()
        process = subprocess.Popen(
            [COMMAND, "check", "--watch"],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "80"},
        )
        assert process.stdout is not None
        wait(process.stdout)
        first = time.perf_counter() - started
        seconds: dict[str, list[float]] = {right: [], wrong: []}
        for number in range(2 * saves):
            source = (wrong, right)[number % 2]
            time.sleep(PAUSE)
            stub.write_text(f"{source}\n# save {number}\n")
            started = time.perf_counter()
            wait(process.stdout)
            seconds[source].append(time.perf_counter() - started)
        process.send_signal(signal.SIGINT)
        process.wait()
    return first, seconds[right], seconds[wrong]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--saves", type=int, default=5)
    options = parser.parse_args()
    course = Course.find(Path(__file__))
    table = Table("assignment", title=f"minigpt check --watch, seconds, medians of {options.saves} saves")
    for column in ("first run", "all passes", "a known mistake", "slowest"):
        table.add_column(column, justify="right")
    for assignment in [course.assignment(name) for name in options.names] or course.assignments():
        first, right, wrong = measure(assignment, options.saves)
        table.add_row(
            assignment.name,
            *(
                f"{each:.2f}"
                for each in (first, statistics.median(right), statistics.median(wrong), max(right + wrong))
            ),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
