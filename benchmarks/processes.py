"""Looks at a command's processes from outside: what they take, and what is left of them.

    adopt_orphans()                     # from now, what outlives its parent becomes this process's child
    with Watch(process.pid, ready) as watch:    # memory and descriptors, about every second, until the block ends
        process.wait()
    watch.trends()                      # {"main": Trend(...), "pool worker": ..., "zygote": ...}
    wait_until_gone(60)                 # seconds that it took until no descendant was left

Student code's own processes are not counted: they live for a submission.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

PR_SET_CHILD_SUBREAPER = 36
FEWEST_SAMPLES = 20
MOST_GROWTH = 0.05
ROLES = ("main", "pool worker", "zygote")


def adopt_orphans() -> None:
    """A process of the command's that stays when its parent has gone can hide nowhere then."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this process cannot adopt orphans")


def descendants() -> list[psutil.Process]:
    """Everything below this process that is still there. Only while no child is waited for by anybody else."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return psutil.Process().children(recursive=True)


def wait_until_gone(patience: float) -> float:
    """Seconds until no descendant was left; an error that names them if that takes longer than `patience`."""
    started = time.monotonic()
    while left := descendants():
        if time.monotonic() - started > patience:
            raise TimeoutError(f"still there after {patience:.0f} seconds: {left}")
        time.sleep(0.01)
    return time.monotonic() - started


@dataclass(frozen=True)
class Trend:
    """Of one role: bytes and descriptors of a process on average, in the first and the last quarter of the time."""

    samples: int
    memory: tuple[float, float]
    descriptors: tuple[float, float]
    peak: float

    @property
    def growth(self) -> float:
        return self.memory[1] / self.memory[0] - 1

    @property
    def flat(self) -> bool | None:
        """None where there are too few samples to say."""
        if self.samples < FEWEST_SAMPLES:
            return None
        return self.growth < MOST_GROWTH and self.descriptors[1] <= self.descriptors[0]


class Watch:
    """Samples a command's processes in a thread, once `ready` says that all have started: before that they grow."""

    def __init__(self, pid: int, ready: Callable[[], bool], every: float = 1.0) -> None:
        self._main = psutil.Process(pid)
        self._ready = ready
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._samples: dict[str, list[tuple[float, float]]] = {role: [] for role in ROLES}

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            for role, seen in self._look().items() if self._ready() else ():
                if seen:
                    self._samples[role].append(
                        (statistics.mean(s[0] for s in seen), statistics.mean(s[1] for s in seen))
                    )

    def _look(self) -> dict[str, list[tuple[int, int]]]:
        """Memory and descriptors of each process of each role."""
        found: dict[str, list[tuple[int, int]]] = {role: [] for role in ROLES}
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [self._main, *self._main.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    role = self._role(process)
                    if role is not None:
                        found[role].append((process.memory_info().rss, process.num_fds()))
        return found

    def _role(self, process: psutil.Process) -> str | None:
        """A forked worker has its zygote's command line, and the zygote for a parent."""
        if process.pid == self._main.pid:
            return "main"
        if "spawn_main" in " ".join(process.cmdline()) and process.ppid() == self._main.pid:
            return "pool worker"
        return "zygote" if _is_zygote(process) and not _is_zygote(process.parent()) else None

    def trends(self) -> dict[str, Trend]:
        return {role: _trend(samples) for role, samples in self._samples.items() if len(samples) >= 4}


def _is_zygote(process: psutil.Process | None) -> bool:
    return process is not None and process.name() != "bwrap" and "autograder.jail.zygote" in process.cmdline()


def _trend(samples: list[tuple[float, float]]) -> Trend:
    quarter = len(samples) // 4
    first, last = samples[:quarter], samples[-quarter:]
    memory, descriptors = (
        (statistics.median(s[which] for s in first), statistics.median(s[which] for s in last)) for which in (0, 1)
    )
    return Trend(len(samples), memory, descriptors, max(memory for memory, _ in samples))
