"""Spreads work over processes: this machine's, or a Dask cluster's. Both are a `concurrent.futures.Executor`.

    for number, outcome in spread(abs, [-1, -2], lambda: on_this_machine(2)):
        outcome                                     # 1, or the exception that came instead; in the order they end

A process that dies costs nothing but time: what was under way is tried again. Little more than there are processes is
under way at a time, so `items` may be a generator over a large class. Does not know what the work is.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from autograder.jail.confine import die_with_parent
from autograder.manifest import CourseError
from autograder.outcome import GraderFault

TRIES_ALONE = 2
CONNECT_SECONDS = 20
WORKER_SECONDS = 600
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Pool:
    """Where work goes, and how much of it may be under way there at a time: a cluster grows and shrinks."""

    executor: Executor
    room: Callable[[], int]


Start = Callable[[], AbstractContextManager[Pool]]


def spread(
    function: Callable[[Item], Result], items: Iterable[Item], start: Start
) -> Iterator[tuple[Item, Result | BaseException]]:
    """Every item with what `function` made of it, as they end. `start` gives a pool, and a new one where it broke."""
    waiting = iter(items)
    while True:
        with start() as pool:
            lost = yield from _through(pool, function, waiting)
        if not lost:
            return
        for item in lost:
            yield item, _alone(function, item, start)


def _through(
    pool: Pool, function: Callable[[Item], Result], waiting: Iterator[Item]
) -> Generator[tuple[Item, Result | BaseException], None, list[Item]]:
    """Works until nothing is waiting, or until the pool breaks: then it returns what was under way."""
    running: dict[Future[Result], Item] = {}
    lost: list[Item] = []
    while not lost:
        while len(running) < pool.room() and (item := next(waiting, None)) is not None:
            running[_submit(pool, function, item)] = item
        if not running:
            break
        for future in wait_for(running, return_when=FIRST_COMPLETED).done:
            item, error = running.pop(future), _error_of(future)
            if isinstance(error, BrokenExecutor):
                lost.append(item)
            else:
                yield item, error if error is not None else future.result()
    return [*lost, *running.values()]


def _alone(function: Callable[[Item], Result], item: Item, start: Start) -> Result | BaseException:
    """Work that was under way when a process died, with nothing beside it: then it is clear whose fault that was."""
    for _ in range(TRIES_ALONE):
        with start() as pool:
            future = _submit(pool, function, item)
            error = _error_of(future)
        if not isinstance(error, BrokenExecutor):
            return error if error is not None else future.result()
    return GraderFault(f"the process that graded died, {1 + TRIES_ALONE} times")


def _submit(pool: Pool, function: Callable[[Item], Result], item: Item) -> Future[Result]:
    try:
        return pool.executor.submit(function, item)
    except BrokenExecutor as error:  # it broke a moment ago
        future: Future[Result] = Future()
        future.set_exception(error)
        return future


def _error_of(future: Future[Result]) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError:
        raise GraderFault("the cluster is gone. Start again with the same arguments to go on from here") from None


@contextmanager
def on_this_machine(jobs: int) -> Iterator[Pool]:
    """Processes that end with this one, however it ends."""
    executor = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=die_with_parent, initargs=(os.getpid(),)
    )
    try:
        yield Pool(executor, lambda: jobs + 1)
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def on_cluster(address: str, finish: Callable[[], object]) -> Iterator[Pool]:
    """The workers of a Dask scheduler. `finish` is called on each of them at the end.

    Dask itself gives the work of a worker that died to another one; after three deaths it gives up.
    """
    try:
        import distributed
    except ImportError:
        raise CourseError(
            "--cluster needs the package distributed: pip install -e '.[cluster]' -c constraints.txt"
        ) from None
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise CourseError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError:
            raise GraderFault(f"no worker joined {address} within {WORKER_SECONDS} seconds") from None
        yield Pool(client.get_executor(pure=False), lambda: 1 + sum(client.nthreads().values()))
        client.run(finish, on_error="ignore")
