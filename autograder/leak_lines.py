"""What counts as the same line, and which lines give something away, for the leak check.

squeeze("> 1. `x = f(y)`,")                     # "x=f(y)"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

LEADING_MARKS = re.compile(r"^(?:[#>]+\s*|(?:[-+*|]|\.\.\.|\d+[.)])\s+)*")  # comments, quotes, lists, diffs, doctests
TRAILING_COMMENT = re.compile(r"\s+#.*$")
QUOTES = "`'\",;. "
WORD = re.compile(r"\w+")
COMMONPLACE = re.compile(
    r"(?:raise|if|elif|else|for|while|with|try|except|def|class|assert|import|from)\b|@|self\.(\w+) = \1$"
    r"|self\.dropout = nn\.Dropout\((?:p=)?dropout\)$|[\w.]+\.mkdir\(parents=True, exist_ok=True\)$"
    r"|\w+\.load_state_dict\(\w+\)$"
)
RUN = 3


def squeeze(line: str) -> str:
    """What is compared of a line: no white space, no marks around it, no comment behind it.

    squeeze("> 1. `x = f(y)`,")                     # "x=f(y)"
    """
    text = LEADING_MARKS.sub("", line.strip(), count=1)
    return "".join(TRAILING_COMMENT.sub("", text).strip(QUOTES).split())


def is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def is_distinctive(line: str) -> bool:
    """Whether the line alone gives something away: long enough, with a call or an operator, and no mere idiom."""
    squeezed = squeeze(line)
    if len(squeezed) < 20 or COMMONPLACE.match(line.strip()):
        return False
    if not re.search(r"[=(@*/+<>%\[&|~-]", squeezed):
        return False
    return len(WORD.findall(squeezed)) >= 3 or re.search(r"[@*/+<>%&|~-]", squeezed) is not None


def is_sentence(line: str) -> bool:
    """Whether the line is a piece of an author's prose that nobody writes by chance."""
    return len(squeeze(line)) >= 30 and len(WORD.findall(line)) >= 6


def joined(numbered: Iterable[tuple[int, str]]) -> str:
    """The lines as one text to search in, or for, without blank lines and comments."""
    squeezed = (squeeze(line) for _, line in numbered if not is_comment(line))
    return "\n" + "".join(f"{line}\n" for line in squeezed if line)


def runs(numbered: Iterable[tuple[int, str]], public: set[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every three lines that follow each other, after dropping those that say nothing or are public."""
    significant = []
    for number, line in numbered:
        squeezed = squeeze(line)
        if len(squeezed) >= 8 and squeezed not in public and not re.match(r"(?:import|from|@\w+)\b", line.strip()):
            significant.append((number, squeezed))
    for start in range(len(significant) - RUN + 1):
        run = significant[start : start + RUN]
        yield run[0][0], tuple(text for _, text in run)
