"""Grades a class of attacks in a process of its own, whose environment, arguments and children can be looked at.

    python tests/attacks/run.py COURSE SUBMISSIONS OUT TIER JOBS ANYTHING...

Becomes the reaper of all its descendants, so that a process which outlives its jail ends up as a child of this one.
What is left at the end goes into `OUT.json`: the command lines of such children, the folders that were refused, and the
most memory that a grading process took, in bytes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
import time
from pathlib import Path

from autograder.class_report import write_reports
from autograder.grade import Settings, grade_class
from autograder.jail.isolation import Limits

ASSIGNMENT = "77_target"
LIMITS = Limits(memory=2**29, file_size=2**23, folder_size=2**25, folder_entries=1000)
PR_SET_CHILD_SUBREAPER = 36


def main(course: str, submissions: str, out: str, tier: str, jobs: str, *ignored: str) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    settings = Settings(
        course=Path(course),
        submissions=Path(submissions),
        out=Path(out),
        assignments=(ASSIGNMENT,),
        seed=20260928,
        tier=tier,  # type: ignore[arg-type]
        jobs=int(jobs),
        train_steps=0,
        limits=LIMITS,
    )
    peaks = [0]
    records, refused = grade_class(settings, on_record=lambda _: peaks.append(most_memory()))
    write_reports(settings.out, records)
    told = {"refused": refused, "left": left_behind(), "peak": max(peaks)}
    Path(f"{out}.json").write_text(json.dumps(told))


def most_memory() -> int:
    """The peak of the grading processes so far: the children of this one."""
    peaks = [0]
    for number in _child_numbers():
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{number}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peaks.append(int(line.split()[1]) * 1024)
    return max(peaks)


def left_behind() -> list[str]:
    """The command lines of children, once those that are on their way out have gone."""
    for _ in range(100):
        children = _children()
        if not children:
            return []
        time.sleep(0.1)
    return children


def _children() -> list[str]:
    """multiprocessing's own helper, which stays as long as this process, is not counted."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            return []
    found = []
    for number in _child_numbers():
        try:
            command = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "multiprocessing.resource_tracker" not in command:
            found.append(command)
    return found


def _child_numbers() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


if __name__ == "__main__":
    main(*sys.argv[1:])
