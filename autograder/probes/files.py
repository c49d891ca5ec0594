"""Files on the student's side: a folder that the student's code may write to, and what is in it.

    folder = student.library.folder()
    student.save_tokens([1, 2], f"{folder}/ids.npy")
    student.library.list_files(folder)        # ["ids.npy"]

Paths go in and out as text; `path` makes a `pathlib.Path` of one.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

__all__ = ["folder", "list_files", "path", "read_file", "write_file"]


def folder() -> str:
    """A fresh, empty folder; it is gone when the process ends."""
    made = tempfile.mkdtemp(prefix="minigpt-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def path(name: str) -> Path:
    """The path as an object, for functions that must take one."""
    return Path(name)


def write_file(name: str, content: bytes) -> None:
    Path(name).write_bytes(content)


def read_file(name: str) -> bytes:
    return Path(name).read_bytes()


def list_files(name: str) -> list[str]:
    """Every file at or below a folder, hidden ones too, relative to it, in order."""
    root = Path(name)
    return sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if not file.is_dir())
