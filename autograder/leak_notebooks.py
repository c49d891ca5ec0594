"""Notebooks in the leak check: what is secret in a source notebook, and what no released one may hold.

    secret, shown = secrets_of_notebook(Path("solutions/04_attention/attention.ipynb"))

Secret are solutions, hidden tests and marking schemes: code as in a module, and prose line by line. A cell that
nbgrader clears as a whole, because it has no region, is secret as a whole.

Does not see: prose that is wrapped in another way, or told in other words.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autograder.leak_lines import is_distinctive, is_sentence, squeeze
from autograder.manifest import CourseError

PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
BEGINS = re.compile(r"BEGIN (SOLUTION|HIDDEN TESTS|MARK SCHEME)")
ENDS = re.compile(r"END (SOLUTION|HIDDEN TESTS|MARK SCHEME)")


def secrets_of_notebook(path: Path) -> tuple[set[str], set[str]]:
    """The squeezed lines that are secret, as far as each of them says enough, and those that the notebook shows."""
    secret: set[str] = set()
    shown: set[str] = set()
    try:
        cells = list(json.loads(path.read_text(encoding="utf-8"))["cells"])
    except (ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{path} is not a notebook: {error}") from error
    for cell in cells:
        lines = _source(cell).split("\n")
        inside = _marked(lines)
        if not inside and cell.get("metadata", {}).get("nbgrader", {}).get("solution", False):
            inside = set(range(len(lines)))
        tells = is_distinctive if cell.get("cell_type") == "code" else _tells_in_prose
        secret |= {squeeze(line) for index, line in enumerate(lines) if index in inside and tells(line)}
        shown |= {squeeze(line) for index, line in enumerate(lines) if index not in inside}
    return secret, shown


def faults_of_notebook(text: str) -> Iterator[str]:
    """What no notebook ships with: outputs, and attachments that cannot be looked into."""
    try:
        cells = json.loads(text)["cells"]
        for number, cell in enumerate(cells, start=1):
            if cell.get("outputs") or cell.get("execution_count") is not None:
                yield f"cell {number} has been run, and its output would ship"
            for name, bundle in cell.get("attachments", {}).items():
                if not all(_is_picture(data) for data in bundle.values()):
                    yield f"the attachment {name!r} of cell {number}, which is no picture"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"not a notebook that can be looked into ({type(error).__name__})"


def _marked(lines: list[str]) -> set[int]:
    """The lines between nbgrader's markers, which may bear other comment signs than '###'."""
    inside: set[int] = set()
    open_at = None
    for index, line in enumerate(lines):
        if BEGINS.search(line):
            open_at = index + 1
        elif open_at is not None and ENDS.search(line):
            inside |= set(range(open_at, index))
            open_at = None
    return inside


def _tells_in_prose(line: str) -> bool:
    return is_distinctive(line) or is_sentence(line)


def _source(cell: dict[str, Any]) -> str:
    """The format allows a text, or a list of its lines."""
    return "".join(cell.get("source", ""))


def _is_picture(data: object) -> bool:
    try:
        return isinstance(data, str) and base64.b64decode("".join(data.split())).startswith(PICTURES)
    except binascii.Error:
        return False
