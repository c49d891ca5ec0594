"""The walls that a worker puts up around itself, after the fork and before it reads a line of student code.

Runs inside the jail, in trusted code that the zygote loaded. Every step raises where it fails: a worker that is not
confined must not go on. Order matters: limits, then another user, no new privileges, Landlock, and the filter last.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.jail.isolation import Limits, Tier

NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 1, 22, 38, 24
SECCOMP_MODE_FILTER = 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522
BPF_INSTRUCTION_SIZE = 8

libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


@dataclass(frozen=True)
class Walls:
    """All that a worker needs to know to confine itself."""

    tier: Tier
    limits: Limits
    readable: tuple[str, ...]
    filter: bytes


def die_with_parent(parent: int) -> None:
    """The kernel kills this process when its parent goes; where that has happened already, it ends here."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def confine(walls: Walls, folder: str) -> None:
    """Puts up every wall of the tier. `folder` is the only place that can be written afterwards."""
    _limit(walls.limits)
    if walls.tier == "none":
        return
    become_nobody(walls.readable, folder)
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _restrict_files(walls, folder)
    program = _Program(len(walls.filter) // BPF_INSTRUCTION_SIZE, walls.filter)
    _check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0), "seccomp")


def become_nobody(readable: tuple[str, ...], folder: str | None = None) -> None:
    """Root becomes `nobody`; where Python lives in a folder closed to others, it stays root in name, without any power.

    Root without capabilities still owns root's files: those Landlock keeps from it.
    """
    if os.geteuid() != 0:
        return
    if all(_open_to_others(path) for path in readable):
        if folder is not None:
            os.chown(folder, NOBODY, NOBODY)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    else:
        _drop_capabilities()


def _open_to_others(path: str) -> bool:
    """Whether a user without rights of its own may enter every folder down to `path`."""
    while path != "/":
        if os.path.isdir(path) and not os.stat(path).st_mode & 0o001:
            return False
        path = os.path.dirname(path)
    return True


def _drop_capabilities() -> None:
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails beyond the last one that the kernel knows
    header = _CapabilityHeader(LINUX_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(libc.capset(ctypes.byref(header), nothing), "capset")


def _limit(limits: Limits) -> None:
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    for what, value in (
        (resource.RLIMIT_AS, in_use + limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (value, value))


def _restrict_files(walls: Walls, folder: str) -> None:
    """Landlock: read the Python installation, write the worker's own folder, and nothing else."""
    import landlock

    access = landlock.FSAccess
    ctypes.set_errno(0)  # the package takes an old error for its own
    rules = landlock.Ruleset()
    for path in walls.readable:
        read = access.READ_FILE | access.READ_DIR if os.path.isdir(path) else access.READ_FILE
        rules.allow(path, rules=read)
    for device in ("/dev/null", "/dev/zero", "/dev/urandom"):
        rules.allow(device, rules=access.READ_FILE | access.WRITE_FILE)
    rules.allow(folder, rules=_writable(access))
    rules.apply()


def _writable(access: Any) -> Any:
    """Files and folders, but no devices, pipes, sockets or links, and nothing to execute."""
    names = ("READ_FILE", "READ_DIR", "WRITE_FILE", "MAKE_REG", "MAKE_DIR", "REMOVE_FILE", "REMOVE_DIR", "TRUNCATE")
    wanted = access(0)
    for name in names:
        wanted |= access[name]
    return wanted & access.all()


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
