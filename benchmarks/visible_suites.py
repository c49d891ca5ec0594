"""How long a student waits for the visible tests of an assignment: python benchmarks/visible_suites.py [--runs N]

Times `pytest assignments/NN_name` on the reference as a whole process, start of Python and torch included, and prints
the median for each assignment beside the tests' own time.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

from autograder.manifest import Assignment, Course

OWN_TIME = re.compile(r"(\d+) passed.* in ([\d.]+)s")


def run_once(assignment: Assignment) -> tuple[float, int, float]:
    """Seconds of the whole process, number of tests, and pytest's own seconds."""
    command = [sys.executable, "-m", "pytest", "-q", str(assignment.folder)]
    started = time.perf_counter()
    ended = subprocess.run(
        [*command, "--minigpt-module", str(assignment.reference)], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    found = OWN_TIME.search(ended.stdout)
    if ended.returncode != 0 or found is None:
        sys.exit(f"{assignment.name}: the visible tests do not pass on the reference\n{ended.stdout[-2000:]}")
    return seconds, int(found[1]), float(found[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    table = Table("assignment", title=f"visible tests on the reference, median of {runs} runs, seconds")
    for column in ("tests", "whole process", "in pytest"):
        table.add_column(column, justify="right")
    for assignment in Course.find().assignments():
        measured = [run_once(assignment) for _ in range(runs)]
        whole, own = (statistics.median(each[column] for each in measured) for column in (0, 2))
        table.add_row(assignment.name, str(measured[0][1]), f"{whole:.1f}", f"{own:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
