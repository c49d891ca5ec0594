"""The zygote: a fresh process that loads torch and the chassis once, then forks a worker for every submission.

Started by `client.py` with a clean environment, inside bubblewrap where there is one, as
`python -I -m autograder.jail.zygote FD`, with the control socket as file descriptor FD. It never runs student code and
never holds a secret: a fork of it starts out with nothing but libraries in memory.

On the control socket, one request at a time: `{"op": "fork"}` with a socket for the worker attached, or
`{"op": "kill", "grace": seconds}`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from autograder.jail import wire
from autograder.jail.confine import Walls, become_nobody, confine, die_with_parent
from autograder.jail.isolation import Limits, Tier
from autograder.jail.supervisor import excess, remove

MOST_DESCRIPTORS = 1 << 16
LOOK_SECONDS = 0.05


def main(descriptor: int) -> None:
    control = socket.socket(fileno=descriptor)
    settings = wire.receive(control)
    walls = Walls(settings["tier"], Limits(**settings["limits"]), tuple(settings["readable"]), settings["filter"])
    if walls.tier == "bwrap":
        become_nobody(walls.readable)
    folder = tempfile.mkdtemp(prefix="minigpt-jail-", dir=settings["temporary"])
    os.chmod(folder, 0o711)  # a worker's user must reach its own folder in it, and list nothing
    try:
        preload(walls.tier, settings["training"])
        with contextlib.suppress(EOFError, BrokenPipeError):  # the grader went away
            wire.send(control, {"ready": True})
            Zygote(control, walls, folder).serve()
    finally:
        remove(folder)


def preload(tier: Tier, training: bool) -> None:
    """Imports what workers need, on one thread: a process with threads does not fork well."""
    import torch

    from autograder.jail import worker

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    leaf = torch.ones(2, 2, requires_grad=True)
    torch.autograd.grad((leaf @ leaf).sum(), leaf)  # autograd's lazy parts
    if tier != "none":
        import landlock  # noqa: F401  what puts up the walls
    if training:
        import torch._dynamo  # the first optimizer would load it, in every worker anew
    worker.prepare()
    gc.collect()
    gc.freeze()  # what is loaded by now stays shared with the workers


class Zygote:
    """Forks and kills; at most one worker at a time."""

    def __init__(self, control: socket.socket, walls: Walls, folder: str) -> None:
        self._control = control
        self._walls = walls
        self._folder = folder
        self._worker: int | None = None
        self._worker_folder: str | None = None
        self._excess: str | None = None

    def serve(self) -> None:
        """Until the grader hangs up, which raises `EOFError`."""
        try:
            while True:
                self.watch()
                request, connection = _receive_with_socket(self._control)
                if request["op"] == "fork" and connection is not None:
                    self.kill()
                    self.fork(connection)
                    connection.close()
                    wire.send(self._control, {"forked": True})
                else:
                    wire.send(self._control, self.kill(request["grace"]))
        finally:
            self.kill()

    def watch(self) -> None:
        """Waits for a request; ends a worker that takes too much meanwhile."""
        while not select.select([self._control], [], [], None if self._worker is None else LOOK_SECONDS)[0]:
            if self._worker is None or self._worker_folder is None or self._excess is not None:
                continue
            self._excess = excess(self._worker, self._worker_folder, self._walls.limits)
            if self._excess is not None:
                os.kill(self._worker, signal.SIGKILL)

    def fork(self, connection: socket.socket) -> None:
        self._worker_folder = tempfile.mkdtemp(prefix="worker-", dir=self._folder)
        parent = os.getpid()
        self._worker = os.fork()
        if self._worker == 0:
            run_worker(parent, connection, self._control, self._walls, self._worker_folder)
        with contextlib.suppress(OSError):  # should the machine run out of memory, this process is to go first
            Path(f"/proc/{self._worker}/oom_score_adj").write_text("1000")

    def kill(self, grace: float = 0.0) -> dict[str, Any]:
        """Ends the worker if there is one, clears its folder away, and tells how the process came to its end.

        grace: seconds that a worker which seems to be going has for it, so that its own end is seen and not ours.
        `excess` says what it was ended for, `clean` whether nothing of it is left.
        """
        ended: dict[str, Any] = {"signal": 0, "exit": 0, "excess": self._excess, "clean": True}
        self._excess = None
        if self._worker is not None:
            descriptor = os.pidfd_open(self._worker)
            select.select([descriptor], [], [], grace)
            os.close(descriptor)
            pid, status = os.waitpid(self._worker, os.WNOHANG)
            if pid == 0:
                os.kill(self._worker, signal.SIGKILL)
                _, status = os.waitpid(self._worker, 0)
            else:
                ended["signal"] = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
                ended["exit"] = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
            self._worker = None
        if self._worker_folder is not None:
            remove(self._worker_folder)
            ended["clean"] = not os.path.lexists(self._worker_folder)
            self._worker_folder = None
        return ended


def run_worker(parent: int, connection: socket.socket, control: socket.socket, walls: Walls, folder: str) -> None:
    """The child's whole life. Never returns."""
    try:
        os.setsid()
        control.close()
        os.chdir(folder)
        os.environ.update(HOME=folder, TMPDIR=folder)
        tempfile.tempdir = None
        confine(walls, folder)
        os.closerange(3, connection.fileno())
        os.closerange(connection.fileno() + 1, MOST_DESCRIPTORS)
        die_with_parent(parent)  # after the change of user, which would undo it
        from autograder.jail.worker import Worker

        Worker(connection, folder).serve()
    except BaseException as error:
        try:
            wire.send(connection, (0, "unconfined", f"{type(error).__name__}: {error}"))
        finally:
            os._exit(70)
    os._exit(0)


def _receive_with_socket(control: socket.socket) -> tuple[dict[str, Any], socket.socket | None]:
    """One request, and the file descriptor that came with its first byte."""
    control.settimeout(None)
    first, descriptors, _, _ = socket.recv_fds(control, wire.LENGTH.size, 1)
    if not first:
        raise EOFError
    while len(first) < wire.LENGTH.size:
        first += control.recv(wire.LENGTH.size - len(first))
    (length,) = wire.LENGTH.unpack(first)
    data = b""
    while len(data) < length:
        data += control.recv(length - len(data))
    return wire.decode(data), socket.socket(fileno=descriptors[0]) if descriptors else None


if __name__ == "__main__":
    main(int(sys.argv[1]))
