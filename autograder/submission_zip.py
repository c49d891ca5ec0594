"""Reads a module out of a zip that anybody may have made. Nothing is unpacked: members are read into memory.

    files, ignored = read_zip(data, "04_attention.zip", assignment)      # ({"attention.py": b"..."}, ["conftest.py"])

The module may stand at the top, in `04_attention/` or in `assignments/04_attention/`. Only the members that are wanted
are looked into, each up to `MAX_SOURCE` bytes, so nested, overlapping and huge ones cost nothing. Members are stored or
deflated, as every system's own tools write them; others are refused, as their decoders may ask for gigabytes.
"""

from __future__ import annotations

import io
import re
import stat
import unicodedata
import zipfile
from pathlib import PurePosixPath

from autograder.manifest import Assignment

MAX_SOURCE = 1 << 20
MAX_ZIP = 8 << 20
MAX_MEMBERS = 2000
MAX_SHOWN = 60
ENTRY = b"PK\x01\x02"  # begins each entry of a zip's directory
ENCRYPTED = 0x1
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Refused(Exception):
    """A submission that cannot be taken as it is; says what is wrong with which file."""


def shown(name: str) -> str:
    """A name as it may be printed anywhere: what is not plain ASCII as an escape, and no more than a line of it."""
    text = ascii(name[: MAX_SHOWN + 1])[1:-1]
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def similar(name: str, right: str) -> bool:
    """Whether somebody may have meant `right`: "Attention.py", "attention (1).py", "attention.py.txt"."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1][:200]
    return last != right and _letters(last).removesuffix("txt") == _letters(right)


def _letters(name: str) -> str:
    return re.sub(r"[\W\d_]", "", unicodedata.normalize("NFKC", name).casefold())


def read_zip(data: bytes, name: str, assignment: Assignment) -> tuple[dict[str, bytes] | None, list[str]]:
    """The wanted files in a zip, and all other names in it. None for the files where the module is not there."""
    if data.count(ENTRY) > MAX_MEMBERS:  # before a ZipFile makes an object of each
        raise Refused(f"{name} holds more than {MAX_MEMBERS} files: hand in the assignment's own files only")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_members(archive, name, assignment)
    except Refused:
        raise
    except Exception as error:  # what zipfile and zlib raise on broken bytes is not a closed list
        reason = shown(str(error) or type(error).__name__)
        raise Refused(f"{name} is not a zip file that can be read: {reason}. Make it anew") from None


def _read_members(
    archive: zipfile.ZipFile, name: str, assignment: Assignment
) -> tuple[dict[str, bytes] | None, list[str]]:
    module = assignment.manifest.module
    wanted = (module, *assignment.manifest.files)
    members: dict[str, zipfile.ZipInfo] = {}
    ignored: list[str] = []
    for member in archive.infolist():
        if (file := _wanted(member, assignment.name, wanted)) is None:
            ignored.append(member.orig_filename)
        elif file in members:
            raise Refused(f"{file} is in {name} more than once: keep one")
        else:
            members[file] = member
    if module in members:
        return {
            file: _content(archive, members[file], f"{file} in {name}") for file in wanted if file in members
        }, ignored
    if alike := sorted(each for each in ignored if similar(each, module) or re.split(r"[/\\]", each)[-1] == module):
        raise Refused(
            f"there is no {module} where it should be in {name}; there is {shown(alike[0])}: "
            f"put it at {assignment.name}/{module}"
        )
    return None, ignored


def _wanted(member: zipfile.ZipInfo, assignment: str, wanted: tuple[str, ...]) -> str | None:
    """`attention.py`, from "attention.py", "04_attention/attention.py" or "assignments/04_attention/attention.py"."""
    path = PurePosixPath(member.orig_filename)  # `filename` ends at a NUL
    right_folder = path.parts[:-1] in ((), (assignment,), ("assignments", assignment))
    return path.name if right_folder and path.name in wanted and not member.orig_filename.endswith("/") else None


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, told: str) -> bytes:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise Refused(f"{told} is not an ordinary file: hand in the file itself, not a link")
    if member.flag_bits & ENCRYPTED:
        raise Refused(f"{told} is encrypted: make a zip without a password")
    if member.compress_type not in READABLE:
        raise Refused(f"{told} is compressed in an unusual way (method {member.compress_type}): use ordinary zip")
    if member.file_size > MAX_SOURCE:
        raise Refused(f"{told} is larger than {MAX_SOURCE >> 20} MB")
    with archive.open(member) as file:
        return file.read(MAX_SOURCE + 1)  # never more than the size that is declared
