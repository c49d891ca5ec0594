"""Grading on a Dask cluster: a real scheduler and real workers on this machine, one of them killed half-way."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from autograder.grade import Settings, grade_class
from autograder.jail.isolation import choose
from autograder.manifest import Course, CourseError
from autograder.result import Record

STUDENTS = 12


class Cluster(NamedTuple):
    address: str
    workers: list[subprocess.Popen[bytes]]


def dask(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler that says in a file where it is, and two workers of one thread each."""
    import distributed

    where = tmp_path / "scheduler.json"
    options = ["--scheduler-file", str(where)]
    scheduler = dask("dask_scheduler", *options, "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
    more = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path)]
    workers = [dask("dask_worker", *options, *more, "--name", f"w{index}") for index in range(2)]
    try:
        client = distributed.Client(scheduler_file=str(where), timeout=60, set_as_default=False)
        client.wait_for_workers(2, timeout=60)
        address = client.scheduler.address
        client.close()
        yield Cluster(address, workers)
    finally:
        for process in (*workers, scheduler):
            process.kill()
        for process in (*workers, scheduler):
            process.wait(30)


def grade(course: Course, out: str, cluster: str | None, kill: subprocess.Popen[bytes] | None = None) -> list[Record]:
    settings = Settings(
        course=course.root,
        submissions=course.root / "submissions",
        out=course.root / out,
        assignments=("99_numbers",),
        seed=7,
        tier=choose("auto"),
        train_steps=0,
        cluster=cluster,
    )
    seen: list[Record] = []

    def on_record(record: Record) -> None:
        seen.append(record)
        if kill is not None and len(seen) == 2:
            kill.send_signal(signal.SIGKILL)
            kill.wait()

    return grade_class(settings, on_record)[0]


@pytest.fixture
def class_of_twelve(small_course: Course) -> Course:
    right = small_course.assignment("99_numbers").reference.read_text()
    kinds = [
        right,
        right.replace("x + x", "x + 2"),
        "import os\nos._exit(0)\n",
        "def double(x):\n    while True: pass\n",
    ]
    for index in range(STUDENTS):
        target = small_course.root / f"submissions/s{index:02}/99_numbers/numbers_.py"
        target.parent.mkdir(parents=True)
        target.write_text(kinds[index % 3] if index != 5 else right.replace("x + x", "x * 2"))
    return small_course


def files(course: Course, out: str) -> dict[str, bytes]:
    root = course.root / out
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("*/*/[fr]e*.json")}


def test_a_cluster_gives_the_same_results_and_outlives_a_worker(class_of_twelve: Course, cluster: Cluster) -> None:
    here = grade(class_of_twelve, "here", None)
    there = grade(class_of_twelve, "there", cluster.address, kill=cluster.workers[0])
    assert there == here
    assert {record.result.status for record in there} == {"graded"}
    assert files(class_of_twelve, "there") == files(class_of_twelve, "here")
    assert cluster.workers[1].poll() is None

    again: list[str] = []
    settings = Settings(
        class_of_twelve.root, class_of_twelve.root / "submissions", class_of_twelve.root / "here", ("99_numbers",),
        seed=7, tier=choose("auto"), train_steps=0, cluster=cluster.address,
    )  # fmt: skip
    grade_class(settings, on_record=lambda record: again.append(record.result.student))
    assert again == []  # what was graded here is not graded again there


def test_no_jail_stays_on_a_worker_when_the_class_is_graded(class_of_twelve: Course, cluster: Cluster) -> None:
    grade(class_of_twelve, "there", cluster.address)
    for worker in cluster.workers:
        commands = [" ".join(child.cmdline()) for child in psutil.Process(worker.pid).children(recursive=True)]
        assert not [command for command in commands if "autograder.jail.zygote" in command]


def test_an_address_where_no_scheduler_is_is_told_in_a_sentence(class_of_twelve: Course) -> None:
    with pytest.raises(CourseError, match="no Dask scheduler answers at nonsense"):
        grade(class_of_twelve, "there", "nonsense://127.0.0.1:1")
