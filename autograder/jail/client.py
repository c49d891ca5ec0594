"""The trusted side of the boundary: starts jails, and gives tests a `student` that is not there.

    with Jail("landlock", Limits()) as jail:
        submission = jail.submission(manifest, {"attention.py": source})
        student = submission.begin(case, torch_seed)
        student.softmax(torch.zeros(2, 3), dim=-1)          # runs in the jail; a plain tensor comes back
        fault = submission.end()

What comes back is checked: the reply to this very question, plain values only, in time. Anything else ends the worker
and costs the test that was running; the next test gets a new worker.
"""

from __future__ import annotations

import builtins
import contextlib
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from types import TracebackType
from typing import Any

from autograder.forbidden import Rules, Violation
from autograder.jail import wire
from autograder.jail.isolation import Limits, Tier, bwrap_command, clean_environment, readable_paths, seccomp_program
from autograder.jail.proxy import MODULE, Proxy, lowered, raised
from autograder.jail.recorder import Recorder
from autograder.manifest import Manifest
from autograder.outcome import (
    Crashed,
    Fault,
    Forbidden,
    GraderFault,
    ImportFailed,
    NotPlain,
    OutOfMemory,
    TimedOut,
    printable,
)
from autograder.plugin import Case
from autograder.symbols import check_symbol

MAX_TEXT = 10_000
MAX_RECEIVED = 512 * 2**20  # bytes that one test may be sent
BROKE_PROTOCOL = "broke the protocol: what came back is no answer to the question, or too much"
START_SECONDS = 120.0
IMPORT_SECONDS = 10.0


class StudentStopped(Fault):
    """The code asked the interpreter to stop, or raised something that is no `Exception`."""


class Jail:
    """A running zygote. One submission at a time."""

    def __init__(self, tier: Tier, limits: Limits | None = None, *, training: bool = False) -> None:
        """`training`: load what an optimizer needs as well, once for all workers; takes a few seconds."""
        self.tier = tier
        self._limits = limits or Limits()
        self._training = training
        self._start()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-m", "autograder.jail.zygote", str(theirs.fileno())]
        if self.tier == "bwrap":
            command = [*bwrap_command(), *command]
        try:
            self._process = subprocess.Popen(
                command,
                env=clean_environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        finally:
            theirs.close()
        settings = {
            "tier": self.tier,
            "training": self._training,
            "limits": asdict(self._limits),
            "readable": readable_paths(),
            "filter": b"" if self.tier == "none" else seccomp_program(),
            "temporary": "/tmp" if self.tier == "bwrap" else tempfile.gettempdir(),
        }
        try:
            wire.send(self._control, settings)
            wire.receive(self._control, time.monotonic() + START_SECONDS)
        except (OSError, EOFError, wire.WireError) as error:
            self.close()
            raise GraderFault(f"the jail did not start ({type(error).__name__}: {error})") from error

    def fork(self) -> socket.socket:
        """A fresh worker; the worker before it is gone. A jail that has died meanwhile is started again."""
        try:
            return self._fork()
        except GraderFault:
            self.close()
            self._start()
            return self._fork()

    def _fork(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        try:
            data = wire.encode({"op": "fork"})
            self._control.settimeout(START_SECONDS)
            socket.send_fds(self._control, [wire.LENGTH.pack(len(data)) + data], [theirs.fileno()])
            wire.receive(self._control, time.monotonic() + START_SECONDS)
        except (OSError, EOFError, wire.WireError) as error:
            ours.close()
            raise GraderFault(f"the jail is gone ({type(error).__name__}: {error})") from error
        finally:
            theirs.close()
        return ours

    def kill(self, grace: float = 0.0) -> dict[str, Any]:
        """Ends the worker and tells how it ended: `{"signal": 9, "exit": 0, ...}`; zeros where it was still running.

        A jail in which the worker left something that cannot be removed is given up for a new one.
        """
        try:
            wire.send(self._control, {"op": "kill", "grace": grace})
            ended: dict[str, Any] = wire.receive(self._control, time.monotonic() + START_SECONDS)
        except (OSError, EOFError, wire.WireError) as error:
            raise GraderFault(f"the jail is gone ({type(error).__name__}: {error})") from error
        if not ended["clean"]:
            self.close()
            self._start()
        return ended

    def submission(self, manifest: Manifest, files: Mapping[str, bytes]) -> Submission:
        return Submission(self, manifest, dict(files))

    def close(self) -> None:
        """Ends the zygote, with its worker and its folder."""
        self._control.close()  # the zygote sees the end, kills its worker, clears up and goes
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Jail:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Submission:
    """A student's module in a jail: a `Backend` for the plugin.

    The worker is forked when the first test begins, and again after a test that ended it.
    """

    own_file: str | None = None

    def __init__(self, jail: Jail, manifest: Manifest, files: dict[str, bytes]) -> None:
        self.recorder = Recorder()
        self._jail = jail
        self._manifest = manifest
        self._files = files
        self._rules = Rules.of(manifest)
        self._connection: socket.socket | None = None
        self._deadline = 0.0
        self._limit = IMPORT_SECONDS
        self._confined = False
        self._received = 0  # bytes, in the test under way
        self._violations: list[Violation] | None = None
        self._kinds: dict[str, str] = {}
        self._broken: Fault | None = None  # the module cannot even be imported
        self._fault: Fault | None = None  # of the test under way
        self._opening: tuple[str, int] | None = None  # goes along with the first question of a test

    def begin(self, case: Case, torch_seed: int) -> Proxy:
        self._fault = None
        self.recorder.begin()
        self.load()
        for violation in self._violations or ():
            if violation.concerns(case.task):
                raise self._note(Forbidden(violation.what, violation.line))
        self._limit = case.limit
        self._received = 0
        self.allow(case.limit)
        self._opening = (case.task, torch_seed)
        return Proxy(self, MODULE)

    def open(self, seconds: float) -> Proxy:
        """The student's module outside of any test, for so long in all."""
        self.load()
        self.allow(seconds)
        return Proxy(self, MODULE)

    def end(self) -> Fault | None:
        if self._connection is not None and self._opening is None:
            with contextlib.suppress(Fault):
                self.allow(self._limit)  # objects that go may run code of their own
                if self.ask("end") is not False:
                    self.discard()  # threads that go on: the next test is not to be slowed down by them
        self._opening = None
        return self._fault

    def check_symbol(self, name: str) -> bool:
        """Whether the name is a task's: then it must be there and of the right kind before a test uses it."""
        if name in self._kinds:
            check_symbol(self._manifest.module, name, self._kinds[name])
        return name in self._kinds

    def allow(self, seconds: float) -> None:
        """From now, the student's side has this long in all."""
        self._deadline = time.monotonic() + seconds

    def load(self) -> None:
        """Sees to it that a worker has the module imported; a module that cannot be is not tried again."""
        if self._broken is not None:
            raise self._note(self._broken)
        if self._connection is not None:
            return
        self._connection = self._jail.fork()
        self._confined = False
        try:
            self.allow(IMPORT_SECONDS)
            found = self.ask("inspect", self._manifest.module, self._files, self._rules.forbids, self._rules.owner)
            self._violations = [Violation(**violation) for violation in found]
            for violation in self._violations:
                if violation.task is None:  # an import: it concerns every task, and would not work here anyway
                    raise Forbidden(violation.what, violation.line)
            self._confined = True  # from here on student code runs, and nobody is believed who says otherwise
            self.ask("load", self._manifest.module)
            self._kinds = _checked_kinds(self.ask("kinds", list(self._rules.owner)))
        except GraderFault:
            raise
        except Exception as error:
            self._broken = error if isinstance(error, Fault) else self._import_failed(error)
            self.discard()
            raise self._note(self._broken) from None

    def _import_failed(self, error: Exception) -> ImportFailed:
        line = getattr(error, "student_line", None)
        place = f" (line {line})" if line else ""
        name = getattr(error, "student_name", type(error).__name__)
        return ImportFailed(f"{self._manifest.module} cannot be imported: {name}: {error}{place}")

    def ask(self, operation: str, *arguments: Any) -> Any:
        """One question and its answer. The student's exceptions are raised here as built-in ones."""
        received = self._received
        try:
            answer = self._ask(operation, *arguments)
        except Exception as error:
            self.recorder.note(operation, arguments, error, self._received - received)
            raise
        self.recorder.note(operation, arguments, answer, self._received - received)
        return answer

    def _ask(self, operation: str, *arguments: Any) -> Any:
        if self._connection is None:
            raise self._fault or Crashed("the process is gone")
        nonce = secrets.randbits(62)
        told = lowered(arguments)  # may ask a question itself
        opening, self._opening = self._opening, None
        try:
            question = wire.encode((nonce, opening, operation, told))
        except wire.WireError as error:
            raise self._note(NotPlain(str(error))) from None
        try:
            wire.send_frame(self._connection, question, self._deadline)
            frame = wire.receive_frame(self._connection, self._deadline)
            self._received += len(frame)
            if self._received > MAX_RECEIVED:
                raise wire.WireError("too much")
            reply = wire.decode(frame)
        except TimeoutError:
            self.discard()
            raise self._note(TimedOut("no answer within the time limit: look for a loop that does not end")) from None
        except (EOFError, OSError):
            raise self._note(self._death()) from None
        except wire.WireError:  # what was wrong depends on how much of it had arrived: the same words for everything
            self.discard()
            raise self._note(Crashed(BROKE_PROTOCOL)) from None
        return self._checked(reply, nonce)

    def _checked(self, reply: Any, nonce: int) -> Any:
        """The value of a reply that has the right form; everything else is an exception."""
        given, told = (reply[0], reply[1:]) if type(reply) is tuple and reply else (None, ())
        if type(given) is int and given == nonce:
            match told:
                case ("value", value):
                    return raised(value, self)
                case ("raised", str(kind), str(name), str(text), line):
                    raise self._student_exception(kind, printable(name[:100]), printable(text[:MAX_TEXT]), line)
                case ("forbidden", str(what), line):
                    known = any(what in forbids for forbids in self._rules.forbids.values())
                    raise self._note(Forbidden(what if known else "a forbidden call", _checked_line(line)))
                case ("memory",):
                    raise self._note(OutOfMemory("more memory than the limit allows: what grows too large?"))
                case ("unsendable", str(text)):
                    raise self._note(NotPlain(printable(text[:300])))
        if type(given) is int and given == 0 and not self._confined:  # no student code has run yet
            self.discard()
            raise GraderFault(f"the jail's walls could not be put up: {str(told)[:300]}")
        self.discard()
        raise self._note(Crashed(BROKE_PROTOCOL))

    def _student_exception(self, kind: str, name: str, text: str, line: Any) -> Exception:
        """The built-in exception of that name. Only names that the worker may use are looked up."""
        found = getattr(builtins, kind, None)
        if not (isinstance(found, type) and issubclass(found, Exception) and kind not in _NEEDS_MORE_THAN_TEXT):
            return self._note(StudentStopped(f"{name} stopped the code"))
        error: Exception = found(text)
        error.student_line = _checked_line(line)  # type: ignore[attr-defined]
        error.student_name = name  # type: ignore[attr-defined]
        return error

    def _death(self) -> Fault:
        """Why the worker has gone."""
        self._close_connection()
        ended = self._jail.kill(grace=1.0)
        if ended["excess"]:
            return Crashed(f"the process was ended: {ended['excess']}")
        if ended["signal"]:
            return Crashed(f"the process was ended by signal {ended['signal']}: look for endless recursion")
        return Crashed(f"the process ended itself with exit code {ended['exit']}: call no sys.exit or os._exit")

    def _note(self, fault: Fault) -> Fault:
        self._fault = self._fault or fault
        return fault

    def discard(self) -> None:
        """Ends this worker; the next test gets another."""
        self._close_connection()
        self._jail.kill()

    def _close_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


MAX_KIND = 100  # characters of a class's name: a student chooses it
_NEEDS_MORE_THAN_TEXT = {"UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError", "ExceptionGroup"}


def _checked_line(line: Any) -> int | None:
    return line if type(line) is int and 0 < line < 10**7 else None


def _checked_kinds(kinds: Any) -> dict[str, str]:
    if type(kinds) is not dict or any(type(text) is not str for pair in kinds.items() for text in pair):
        raise Crashed("broke the protocol: no table of symbols")
    return {name: printable(kind[:MAX_KIND]) for name, kind in kinds.items()}
