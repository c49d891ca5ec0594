"""Writing files so that nothing is ever half-written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autograder.manifest import CourseError


def write_atomically(path: Path, content: bytes) -> None:
    """Whole or not at all: written beside its place and renamed into it."""
    fresh = write_beside(path, content)
    try:
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def write_beside(path: Path, content: bytes) -> Path:
    """A new file with this content under a name of its own, beside the place that it is for; nothing if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Path(temporary)


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """A new folder beside the target, which takes its name if all goes well and is gone otherwise."""
    target = target.absolute()
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise CourseError(f"{target} is there already, and is no folder: name a new one")
    if target.is_dir() and any(target.iterdir()):
        raise CourseError(f"{target} is not empty: name a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        folder.chmod(0o755)
        yield folder
        folder.rename(target)  # an empty folder may be in its place
    finally:
        shutil.rmtree(folder, ignore_errors=True)
