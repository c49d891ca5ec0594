"""The solution regions of a source: what stands between nbgrader's two markers.

    find_regions("def two():\\n    ### BEGIN SOLUTION\\n    return 2\\n    ### END SOLUTION\\n")     # [Region(2, 4)]

nbgrader looks for the words of a marker anywhere in a line, and drops an END without a BEGIN silently. Here a marker is
a line of its own, and BEGIN and END come in turns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from autograder.manifest import CourseError

BEGIN = "### BEGIN SOLUTION"
END = "### END SOLUTION"
MARKER_WORDS = re.compile(r"(BEGIN|END) SOLUTION")  # what nbgrader looks for


@dataclass(frozen=True)
class Region:
    """The lines of a solution's two markers, counted from 1."""

    begin: int
    end: int


def find_regions(source: str) -> list[Region]:
    """The solution regions of a source, in order. Markers that do not fit together are a `CourseError` with a line."""
    regions = []
    begin = None
    for number, line in enumerate(source.split("\n"), start=1):
        if MARKER_WORDS.search(line) is None:
            continue
        if line.strip() == BEGIN:
            if begin is not None:
                raise CourseError(f"line {number}: a second '{BEGIN}' before the '{END}' of line {begin}'s")
            begin = number
        elif line.strip() == END:
            if begin is None:
                raise CourseError(f"line {number}: '{END}' without a '{BEGIN}' before it")
            regions.append(Region(begin, number))
            begin = None
        else:
            raise CourseError(f"line {number}: a marker is a line of its own, exactly '{BEGIN}' or '{END}'")
    if begin is not None:
        raise CourseError(f"line {begin}: '{BEGIN}' without an '{END}' after it")
    return regions
