"""`minigpt check --watch`: runs again whenever a file of the assignment is saved, only what changed, and at once.

A process that has torch loaded waits for the next save; it runs the tests once, prints, and ends, and another one waits
in its place. So nothing is left over from run to run, changed test files are seen, and what a student's code does to
its process (an endless loop, a crash) costs that run alone. Where the system can fork safely (Linux), the process comes
from a server that imports torch once; elsewhere each of them imports it for itself, ahead of the save.

Does not look at files that an assignment does not list.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import watchfiles
from rich.console import Console

from autograder.manifest import Assignment, Course, CourseError
from autograder.outcome import GraderFault
from autograder.selection import Selected, select
from autograder.unexpected import explain

STEP_MS = 30  # how long no further change must come before a save is taken for finished
PATIENCE = 10.0  # seconds, before a run is said to take long
Wanted = list[tuple[str, frozenset[str] | None]]


def watch_command(course: Course, names: Iterable[str], console: Console, start_method: str | None = None) -> int:
    """Runs until Ctrl-C, and gives the last run's exit code: 0 all of it passed, 1 not yet."""
    chosen = select(course, names)
    seen = {path: _digest(path) for assignment, _ in chosen for path in _files(assignment)}
    runner = _Runner(course, chosen, console, start_method)
    try:
        runner.run([(assignment.name, tasks) for assignment, tasks in chosen], None)
        folders = {assignment.folder for assignment, _ in chosen}
        for _ in watchfiles.watch(*folders, recursive=False, step=STEP_MS):
            changed = _changed(seen)
            wanted = [(each.name, tasks) for each, tasks in chosen if changed & set(_files(each))]
            if wanted:
                runner.run(wanted, ", ".join(sorted(path.name for path in changed)))
    except KeyboardInterrupt:
        pass
    finally:
        runner.close()
    return runner.last_code


def _files(assignment: Assignment) -> list[Path]:
    manifest = assignment.folder / "assignment.toml"
    own = [assignment.folder / name for name in assignment.manifest.files]
    return [assignment.stub, assignment.visible_tests, manifest, *own]


def _changed(seen: dict[Path, bytes | None]) -> set[Path]:
    """The files whose content is another than it was. An editor that saves without a change makes none."""
    now = {path: _digest(path) for path in seen}
    changed = {path for path, digest in now.items() if digest != seen[path]}
    seen.update(now)
    return changed


def _digest(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None


class _Runner:
    """Has one process waiting, and perhaps one at work."""

    def __init__(
        self, course: Course, chosen: list[Selected], console: Console, start_method: str | None = None
    ) -> None:
        self.last_code = 1
        self._course = course
        self._console = console
        self._preload = ["autograder.check"]
        if any(assignment.manifest.optimizers for assignment, _ in chosen):
            self._preload.append("torch._dynamo")  # seconds, which the first test of an optimizer would pay
        method = start_method or ("forkserver" if sys.platform == "linux" else "spawn")
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload(self._preload)
        self._working: Any = None
        self._spare, self._pipe = self._start()

    def _start(self) -> tuple[Any, Connection]:
        """A process that gets ready and waits. Ctrl-C is for this process alone, which ends the others."""
        here, there = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(there, self._course, self._preload, self._console.width), daemon=True
        )
        with _deaf_to_interrupts():
            process.start()
        there.close()
        return process, here

    def run(self, wanted: Wanted, changed: str | None) -> None:
        """Begins a run, in place of the one that may be under way."""
        before, self._working = self._working, None  # what its thread still has to tell is of no interest
        if before is not None:
            before.kill()
            before.join()
        if self._console.is_terminal:
            self._console.clear()
        if changed is not None:
            self._console.print(f"{datetime.now():%H:%M:%S} {changed}", style="dim", markup=False)
        process, pipe = self._spare, self._pipe
        try:
            pipe.send(wanted)
        except OSError:  # it died while it waited
            self._console.print("The waiting process is gone; here is another one.", style="dim")
        self._working = process
        threading.Thread(target=self._wait, args=(process, pipe), daemon=True).start()
        self._spare, self._pipe = self._start()

    def _wait(self, process: Any, pipe: Connection) -> None:
        """For the end of a run: in a thread of its own, while this process watches for the next save."""
        code = 1
        try:
            pipe.recv()  # it has begun
            if not pipe.poll(PATIENCE) and process is self._working:
                self._console.print(f"Still running after {PATIENCE:.0f} seconds: an endless loop? Mend it and save.")
            code = int(pipe.recv())
        except (EOFError, OSError):
            process.join()
            if process is self._working:
                self._console.print(f"Your code ended the whole process (exit code {process.exitcode}).", markup=False)
        if process is self._working:
            self.last_code = code
            self._console.print("Watching: save, and it runs again; Ctrl-C ends it.", style="dim", markup=False)

    def close(self) -> None:
        processes, self._working = (self._spare, self._working), None
        for process in processes:
            if process is not None:
                process.kill()
                process.join()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """What is started here inherits it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(pipe: Connection, course: Course, preload: list[str], width: int) -> None:
    """The life of a process: gets warm, waits to be told what to check, checks it, and ends."""
    import importlib

    for name in preload:
        importlib.import_module(name)
    from autograder.check import check, show

    try:
        wanted: Wanted = pipe.recv()
        pipe.send("begun")
    except (EOFError, OSError):
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a sign that the terminal does not know
    console = Console(highlight=False, width=width)
    code = 0
    try:
        for name, tasks in wanted:
            checked = check(course.assignment(name), tasks, closely=True)
            show(checked, console, brief=len(wanted) > 1)
            code = code if checked.passed else 1
    except (CourseError, GraderFault) as error:  # such as a manifest, or a test file, that is half typed
        console.print(f"minigpt: {error}", markup=False, soft_wrap=True)
        code = 2 if isinstance(error, CourseError) else 1
    except Exception as error:
        console.print("\n".join(["minigpt: " + line for line in explain(error)]), markup=False, soft_wrap=True)
        code = 1
    try:
        pipe.send(code)
    except OSError:
        return
