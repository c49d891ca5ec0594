"""What the kernel does not count for a single worker: its threads, and the files in its folder. Run by the zygote.

    excess(pid, folder, limits)         # "more than 64 threads", or None where all is well

Also `remove`, for whatever a worker left in its folder. Both read what hostile code made: trees deeper than Python's
stack, names of any bytes, folders that are changed at the same time.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from autograder.jail.isolation import Limits

BLOCK = 512  # the unit of st_blocks, whatever the file system's own is


def excess(pid: int, folder: str, limits: Limits) -> str | None:
    """What the worker has too much of, in words; None where it has not, or is gone."""
    if threads_of(pid) > limits.threads:
        return f"more than {limits.threads} threads"
    size, entries, depth = measure(folder, limits)
    if size > limits.folder_size:
        return f"more than {limits.folder_size >> 20} MB of files"
    if entries > limits.folder_entries:
        return f"more than {limits.folder_entries} files"
    return f"folders more than {limits.folder_depth} deep" if depth > limits.folder_depth else None


def threads_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("Threads:"):
                return int(line.split()[1])
    return 0


def measure(folder: str, limits: Limits) -> tuple[int, int, int]:
    """Bytes on disk, files and folders, and depth, of all below the folder. Stops counting where it is too much."""
    size = entries = deepest = 0
    waiting = [(folder, 1)]
    while waiting:
        path, depth = waiting.pop()
        deepest = max(deepest, depth)
        with contextlib.suppress(OSError), os.scandir(path) as found:  # what has gone meanwhile counts nothing
            for entry in found:
                entries += 1
                if size > limits.folder_size or entries > limits.folder_entries or deepest > limits.folder_depth:
                    return size, entries, deepest
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * BLOCK
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
    return size, entries, deepest


def remove(folder: str) -> None:
    """Removes a folder and all in it, once no process works there any more. What cannot be removed is left.

    Subfolders are moved up to the top first: so no path gets long, and nothing is as deep as the tree was.
    """
    emptied: list[str] = []
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        with contextlib.suppress(OSError):
            os.chmod(path, 0o700)
            emptied.append(path)
            for name in os.listdir(path):
                inside = os.path.join(path, name)
                if os.path.isdir(inside) and not os.path.islink(inside):
                    top = os.path.join(folder, f"-{len(emptied)}-{len(waiting)}")
                    os.rename(inside, top)
                    waiting.append(top)
                else:
                    os.unlink(inside)
    for path in reversed(emptied):
        with contextlib.suppress(OSError):
            os.rmdir(path)
