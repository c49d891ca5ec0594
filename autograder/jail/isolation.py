"""The walls around student code, and how much of them this machine has.

    bwrap      own mount, process, network, IPC and host-name namespaces by bubblewrap, and all of `landlock` inside it
    landlock   Landlock for files, a seccomp filter for system calls, resource limits; no package beyond pip's
    none       resource limits and a clean environment, nothing more

This module has the trusted side's part: which tier there is, the command that starts a zygote in it, and the seccomp
filter, compiled once to bytes. The jail's own part, putting the walls up around a forked worker, is `confine.py`.
"""

from __future__ import annotations

import errno
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Tier = Literal["bwrap", "landlock", "none"]
TIERS: tuple[Tier, ...] = ("bwrap", "landlock", "none")

# What student code has no business with. The filter lets every other call through: torch needs a good many.
DENIED_CALLS = (
    "fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise",
    "kcmp",
    "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal",
    "pidfd_getfd",
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4",
    "mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "open_tree", "move_mount", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr",
    "name_to_handle_at", "open_by_handle_at",
    "shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop", "semctl",
    "mq_open", "mq_unlink",
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
    "memfd_create", "memfd_secret",  # memory that no limit counts
    # Landlock says nothing about these, and the files may be the grader's own:
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat",
    "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat",
    "utime", "utimes", "futimesat", "utimensat",
    "io_setup", "io_submit", "sync", "syncfs",  # they hold up the whole machine
    "keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module", "kexec_load",
    "kexec_file_load",
    "reboot", "swapon", "swapoff", "acct", "quotactl", "sethostname", "setdomainname", "settimeofday",
    "clock_settime", "adjtimex", "clock_adjtime",
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid",
    "capset", "personality",
    "setpriority", "ioprio_set", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr",
    "fanotify_init", "inotify_init", "inotify_init1", "lookup_dcookie", "syslog", "vhangup", "iopl", "ioperm",
)  # fmt: skip

# Newer calls by number, the same for all processors, since an older libseccomp does not know their names.
DENIED_NUMBERS = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_open": 434,
    "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442, "memfd_secret": 447, "fchmodat2": 452,
    "setxattrat": 463, "removexattrat": 466, "open_tree_attr": 467, "file_setattr": 469,
}  # fmt: skip
# Signals without kill(): who owns a pipe or a terminal can have them sent to any process. And leases, which hold up
# whoever opens the file. From linux/fcntl.h and asm-generic/ioctls.h.
DENIED_FCNTL = {"F_SETOWN": 8, "F_SETSIG": 10, "F_SETOWN_EX": 15, "F_SETLEASE": 1024, "F_NOTIFY": 1026}
DENIED_IOCTL = {"FIOSETOWN": 0x8901, "SIOCSPGRP": 0x8902, "FIOASYNC": 0x5452, "TIOCSTI": 0x5412, "TIOCLINUX": 0x541C}
CLONE_THREAD = 0x10000
LOW_HALF = 0xFFFFFFFF  # the kernel looks at no more of such a number


@dataclass(frozen=True)
class Limits:
    """What one worker may use. Memory is what it may take beyond the preloaded zygote; sizes are in bytes.

    The kernel keeps the first four. The zygote counts the rest, twenty times a second: threads, and the size, number
    and depth of the files in the worker's folder. (`RLIMIT_NPROC` means nothing to root, and to everybody else the
    threads of all their processes together.)
    """

    memory: int = 2 * 2**30
    file_size: int = 64 * 2**20
    open_files: int = 256
    cpu_seconds: int = 3600
    threads: int = 64
    folder_size: int = 256 * 2**20
    folder_entries: int = 10_000
    folder_depth: int = 32


ALONE = 3  # the first version of Landlock that knows truncation, so that it can be the only wall around files


class NoIsolation(Exception):
    """The tier that was asked for cannot be had on this machine; says why and what to do."""


def missing_for(tier: Tier) -> str | None:
    """Why a tier does not work on this machine, and what to install; None where it works. Tries it for real."""
    if tier == "none":
        return None
    if sys.platform != "linux":
        return f"{tier} needs Linux, this is {sys.platform}: grade in a Linux container or virtual machine"
    if (reason := _no_seccomp()) is not None:
        return reason
    return _no_landlock(ALONE) if tier == "landlock" else _no_bwrap()


def choose(wanted: Tier | Literal["auto"]) -> Tier:
    """The tier to use; `auto` is the strongest that works and never `none`."""
    reasons = []
    for tier in ("bwrap", "landlock") if wanted == "auto" else (wanted,):
        reason = missing_for(tier)
        if reason is None:
            return tier
        reasons.append(f"{tier}: {reason}")
    raise NoIsolation("no jail on this machine.\n  " + "\n  ".join(reasons))


def _no_seccomp() -> str | None:
    try:
        import pyseccomp  # noqa: F401
    except ImportError:
        return "the package pyseccomp is missing: pip install -e '.[instructor]' -c constraints.txt"
    except RuntimeError:
        return "the system library libseccomp is missing: on Debian and Ubuntu, apt install libseccomp2"
    return None


def _no_landlock(least: int = 1) -> str | None:
    """Why there is no Landlock of at least this version of its interface."""
    try:
        import landlock
    except ImportError:
        return "the package landlock is missing: pip install -e '.[instructor]' -c constraints.txt"
    try:
        version = landlock.landlock_abi_version()
    except (OSError, landlock.LandlockError):
        return "this kernel has no Landlock (Linux 5.13 or newer, with landlock among its security modules)"
    if version < least:
        return f"this kernel's Landlock (version {version}) cannot forbid to empty files: Linux 6.2 or newer, or bwrap"
    return None


def _no_bwrap() -> str | None:
    if (reason := _no_landlock()) is not None:
        return reason
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed: on Debian and Ubuntu, apt install bubblewrap"
    command = [*bwrap_command(), sys.executable, "-I", "-c", "pass"]
    tried = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
    if tried.returncode != 0:
        lines = tried.stderr.strip().splitlines()
        return f"bubblewrap does not start here: {lines[-1] if lines else f'exit {tried.returncode}'}"
    return None


def clean_environment() -> dict[str, str]:
    """The whole environment of a zygote: nothing of the grader's."""
    return {
        "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC",
        "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0",
    }  # fmt: skip


def readable_paths() -> list[str]:
    """What a jail may read: the Python installation, its packages, system libraries, this package."""
    paths = sysconfig.get_paths()
    wanted = [
        *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        *(str(Path(prefix) / "lib") for prefix in (sys.prefix, sys.base_prefix)),
        str(Path(__file__).resolve().parents[1]),
        "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo",
    ]  # fmt: skip
    real = sorted({os.path.realpath(path) for path in wanted if os.path.exists(path)})
    return [path for path in real if not any(path.startswith(other + os.sep) for other in real)]


def bwrap_command() -> list[str]:
    """bubblewrap's arguments up to the program to run. Inside, all that can be written is a /tmp of its own."""
    command = ["bwrap", "--die-with-parent", "--new-session", "--unshare-ipc", "--unshare-pid", "--unshare-net"]
    command += ["--unshare-uts", "--unshare-cgroup-try", "--hostname", "jail"]
    if os.geteuid() == 0:  # the zygote becomes another user first of all, and needs leave to do so
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user"]
    command += ["--perms", "1777", "--size", str(256 * 2**20), "--tmpfs", "/tmp"]  # first: Python may be below /tmp
    interpreter = [os.path.realpath(sys.executable), sys.executable, str(Path(sys.prefix) / "pyvenv.cfg")]
    bound = [*readable_paths(), *(path for path in interpreter if os.path.exists(path))]
    for folder in sorted({str(parent) for path in bound for parent in Path(path).parents} - {"/", "/tmp"}):
        command += ["--perms", "0755", "--dir", folder]  # bubblewrap's own would be closed to the user we become
    for path in bound:
        command += ["--ro-bind", path, path]
    for link in ("/lib", "/lib64"):
        if os.path.islink(link):  # `/lib -> usr/lib`, where /usr is merged
            command += ["--symlink", os.readlink(link), link]
    return [*command, "--proc", "/proc", "--dev", "/dev", "--chdir", "/", "--remount-ro", "/"]


def seccomp_program() -> bytes:
    """The system call filter as the kernel's own program (classic BPF)."""
    import pyseccomp

    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in DENIED_CALLS:
        try:
            rules.add_rule(pyseccomp.ERRNO(errno.EPERM), DENIED_NUMBERS.get(name, name))
        except (OSError, ValueError):
            continue  # this processor has no such call
    for name, numbers in (("fcntl", DENIED_FCNTL), ("ioctl", DENIED_IOCTL)):
        for number in numbers.values():
            command = pyseccomp.Arg(1, pyseccomp.MASKED_EQ, LOW_HALF, number)
            rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name, command)
    other_process = pyseccomp.Arg(0, pyseccomp.NE, 0)
    rules.add_rule(pyseccomp.ERRNO(errno.EPERM), "prlimit64", other_process)
    # New threads are fine, new processes are not. clone3 hides its flags in memory: say that it does not exist.
    no_thread = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0)
    rules.add_rule(pyseccomp.ERRNO(errno.EPERM), "clone", no_thread)
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
