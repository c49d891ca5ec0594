"""Puts a new file in the place of an old one, and keeps the old one: a student's line is never lost.

    replace_keeping(Path("attention.py"), b"...", Path(".minigpt/backups"))
    # Path(".minigpt/backups/attention-2026-11-21-093000.py"), where the old one is now

The new file is written as a whole first, so a full disk changes nothing. Then the old one is moved, whatever an editor
has just saved in it included. Then the new one takes the name, unless somebody has put a file there in that moment:
that one stays. If anything fails half-way, or Ctrl-C is pressed, the old file goes back.
"""

from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path

from autograder.files import write_beside
from autograder.manifest import CourseError

MAX_PER_SECOND = 1000


def replace_keeping(path: Path, content: bytes, backups: Path) -> Path | None:
    """Writes a file and gives where the one before it is kept, None if there was none. `CourseError`: nothing is done.

    An error says where the old file is, should it not be in its place.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise CourseError(f"{path} is a link or a folder, so it was left alone: remove it, and run this again")
    try:
        fresh = write_beside(path, content)
    except OSError as error:
        raise CourseError(f"{path} could not be written, and is as it was: {reason(error)}") from error
    try:
        return _exchange(fresh, path, backups)
    finally:
        fresh.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """Why the system refused, with the file if it named one, and what helps where that is plain."""
    told = error.strerror or str(error)
    named = f"{told} ({error.filename})" if error.filename else told
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):  # Windows has no quotas
        return f"{named}: the disk is full, so make room and try again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{named}: look at who owns it and who may write there"
    return named


def _exchange(fresh: Path, path: Path, backups: Path) -> Path | None:
    try:
        backup = keep_aside(path, backups)
    except OSError as error:
        raise CourseError(f"{path} could not be kept, so it is as it was: {reason(error)}") from error
    try:
        _put(fresh, path)
    except FileExistsError:
        kept = f" The version before that is kept in {backup}." if backup else ""
        raise CourseError(f"another program wrote {path} just now, so that file was left alone.{kept}") from None
    except BaseException as error:  # Ctrl-C as well
        where = _back_again(backup, path)
        if isinstance(error, OSError):
            raise CourseError(f"{path} could not be written: {reason(error)}.{where}") from error
        raise
    return backup


def keep_aside(path: Path, backups: Path) -> Path | None:
    """Moves a file into the folder of backups, under a name with the time in it; None if there is no such file.

    attention.py -> backups/attention-2026-11-21-093000.py; a second one in the same second ends with -2.py.
    """
    if not os.path.lexists(path):
        return None
    backups.mkdir(parents=True, exist_ok=True)
    stem = f"{path.stem}-{datetime.now():%Y-%m-%d-%H%M%S}"
    for number in range(1, MAX_PER_SECOND):
        backup = backups / f"{stem}{'' if number == 1 else f'-{number}'}{path.suffix}"
        try:
            backup.open("xb").close()  # from here on the name is ours
        except FileExistsError:
            continue
        try:
            _move(path, backup)
        except BaseException:
            if backup.stat().st_size == 0:  # nothing was moved: another process may have been quicker
                backup.unlink()
            elif not os.path.lexists(path):  # Ctrl-C came a moment after the move
                _back_again(backup, path)
            raise
        return backup
    raise CourseError(f"{backups} has a thousand backups of this second: wait for the next one")


def _move(path: Path, backup: Path) -> None:
    """In one step; from one file system to another by a copy, which must be whole before the file goes."""
    try:
        os.replace(path, backup)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        content = path.read_bytes()
        with backup.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.read_bytes() != content:
            raise CourseError(f"{path} is being written by another program: try again") from None
        path.unlink()


def _put(source: Path, target: Path) -> None:
    """Gives a file its name, or a `FileExistsError` where that is taken."""
    try:
        os.link(source, target)  # looks and takes in one step
    except FileExistsError:
        raise
    except OSError:  # a file system without links, such as that of a memory stick
        content = source.read_bytes()
        with target.open("xb") as file:
            file.write(content)


def _back_again(backup: Path | None, path: Path) -> str:
    """Puts the old file back; what to tell of it, where that did not work."""
    if backup is None:
        return ""
    try:
        _put(backup, path)
    except OSError:
        return f" Your version is in {backup}."
    backup.unlink(missing_ok=True)
    return " Your version is back in its place."
