"""The standard library's own Python sources as a corpus, read from the interpreter that runs this.

    load("python").train[:60]            # the beginning of __future__.py, or whatever comes first in this Python

The text is larger than the stories, and nobody knows its floor. It differs between versions of Python, so losses on it
compare only on the same one. Tests, and packages that were installed later, are left out.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

CHARACTERS = 3_000_000
LEFT_OUT = {"__pycache__", "idlelib", "lib2to3", "site-packages", "dist-packages", "test", "tests", "turtledemo"}


def read_sources(characters: int = CHARACTERS) -> str:
    """The sources in order of their paths, one after another, up to so many characters."""
    found: list[str] = []
    length = 0
    for path in _source_files(Path(sysconfig.get_paths()["stdlib"])):
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue  # a few files show what other encodings look like
        found.append(text)
        length += len(text)
        if length >= characters:
            break
    if not found:
        raise ValueError("this Python came without the sources of its standard library: use a text file instead")
    return "".join(found)[:characters]


def _source_files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*.py")):
        if not LEFT_OUT & set(path.relative_to(root).parts):
            yield path
