"""Finds pairs of submissions that have more in common than the assignment explains.

    pairs, left_out = alike_pairs({"ada": source, "ben": source}, known=(stub, reference))
    pairs[0].first, pairs[0].second, pairs[0].first_share          # "ada", "ben", 0.93

`copydetect` does the comparing: it puts one sign for every name, leaves out comments and layout, and looks for runs of
`RUN` signs that both have (winnowing: Schleimer, Wilkerson and Aiken, SIGMOD 2003, with windows of one, which keeps
every run). Other names, other comments and another order of functions hide nothing. What explains itself is taken away
first: runs of the stub, of the library's parts, the reference and every known variant, and runs that many in the class
share. So two untouched stubs have nothing in common, nor have two takes of the obvious solution.

A pair is a reason to look, and no proof: both may have read the same blog. Nor does it find everything. A copy of a few
lines is too short, one rewritten statement by statement is another text, and a ring larger than `COMMON_AT_LEAST` hides
if each of its members changes something.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from copydetect import CodeFingerprint, compare_files
from copydetect.utils import get_token_coverage
from numpy.typing import NDArray

from autograder.alike_pair import Pair, Passage
from autograder.manifest import Assignment
from autograder.variants import read_alternatives, read_mistakes

RUN = 25  # copydetect's own "noise threshold", in signs
LEAST_SHARED = 250  # signs: about ten lines
LEAST_SHARE = 0.5
COMMON_AT_LEAST = 10  # how many may have a run before it tells nothing, as in MOSS, or
COMMON_SHARE = 0.1  # so much of the class, if that is more
MOST_SHOWN = 100  # pairs, with passages of each
MOST_PASSAGES = 3
MOST_PLACES = 20  # of a run that is repeated over and over
LARGEST = 64 << 10  # beyond these a lexer made of regular expressions can take minutes
LONGEST_LINE = 500


def alike_pairs(sources: Mapping[str, bytes], known: Iterable[str] = ()) -> tuple[list[Pair], dict[str, str]]:
    """The pairs, those most alike first; and who could not be compared, with the reason. The first pairs have passages.

    known: texts that everybody may have from somewhere honest.
    """
    texts = {student: _text(source) for student, source in sorted(sources.items())}
    left_out = {student: reason for student, text in texts.items() if (reason := _why_not(text)) is not None}
    made: dict[str, CodeFingerprint] = {}
    prints = {
        student: made[text] if text in made else made.setdefault(text, _fingerprint(text))
        for student, text in texts.items()
        if student not in left_out
    }
    honest = _runs_of(known) | _common(made.values(), len(prints))
    for fingerprint in made.values():
        _keep_own(fingerprint, honest)
    found = [
        pair
        for first, second in combinations(prints, 2)
        if len(prints[first].hashes & prints[second].hashes) >= LEAST_SHARED // RUN
        and (pair := _compared(first, second, prints)) is not None
    ]
    found.sort(key=_rank)
    shown = [replace(pair, passages=_passages(prints[pair.first], prints[pair.second])) for pair in found[:MOST_SHOWN]]
    return shown + found[MOST_SHOWN:], left_out


def known_texts(assignment: Assignment) -> list[str]:
    """What students have been given, and the takes on each task that the course's authors know of."""
    given = [assignment.stub, assignment.visible_tests, assignment.reference, *_library()]
    texts = [path.read_text(encoding="utf-8") for path in given if path.is_file()]
    if assignment.reference.is_file():
        reference = assignment.reference.read_text(encoding="utf-8")
        for name, read in (("alternatives.py", read_alternatives), ("mistakes.py", read_mistakes)):
            if (assignment.solution_folder / name).is_file():
                texts += [variant.source.removeprefix(reference) for variant in read(assignment)]
    return texts


def _library() -> list[Path]:
    return sorted((Path(__file__).parent / "minigpt/library").glob("*.py"))


def _text(source: bytes) -> str:
    """As copydetect's lexer will see it, so that places in the one are places in the other."""
    lines = source.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).rstrip("\n") + "\n"


def _why_not(text: str) -> str | None:
    if len(text) > LARGEST:
        return f"larger than {LARGEST >> 10} KB"
    if any(len(line) > LONGEST_LINE for line in text.split("\n")):
        return f"a line of more than {LONGEST_LINE} characters"
    return None


def _fingerprint(text: str) -> CodeFingerprint:
    fingerprint = CodeFingerprint("submission.py", RUN, 1, language="python", fp=io.StringIO(text.lstrip("\n")))
    fingerprint.raw_code = text
    fingerprint.offsets = np.maximum.accumulate(fingerprint.offsets)  # 0.5.0 forgets the sum at a class's name
    fingerprint.offsets[:, 1] += len(text) - len(text.lstrip("\n"))
    return fingerprint


def _runs_of(texts: Iterable[str]) -> set[int]:
    return {run for text in texts for run in _fingerprint(_text(text.encode())).hashes}


def _common(prints: Iterable[CodeFingerprint], students: int) -> set[int]:
    """Runs that so many have that they tell nothing. Copies that only differ in names count once."""
    distinct = {each.filtered_code: each.hashes for each in prints}
    counts = Counter(run for hashes in distinct.values() for run in hashes)
    most = max(COMMON_AT_LEAST, COMMON_SHARE * students)
    return {run for run, count in counts.items() if count > most}


def _keep_own(fingerprint: CodeFingerprint, honest: set[int]) -> None:
    """Takes away what is somebody else's: as copydetect's `boilerplate`, which cannot be given in two steps."""
    own = {int(run): places for run, places in fingerprint.hash_idx.items() if run not in honest}
    fingerprint.hash_idx = own
    fingerprint.hashes = set(own)
    fingerprint.token_coverage = get_token_coverage(own, RUN, len(fingerprint.filtered_code))


def _compared(first: str, second: str, prints: Mapping[str, CodeFingerprint]) -> Pair | None:
    shared, shares, _ = compare_files(prints[first], prints[second])
    if shared < LEAST_SHARED or max(shares) < LEAST_SHARE:
        return None
    first_share, second_share = (round(min(float(share), 1.0), 3) for share in shares)
    return Pair(first, second, first_share, second_share, int(shared))


def _rank(pair: Pair) -> tuple[float, float, int, str, str]:
    shares = pair.first_share, pair.second_share
    return -max(shares), -min(shares), -pair.shared, pair.first, pair.second


# --- what to show ----------------------------------------------------------------------------------------------------


def _passages(one: CodeFingerprint, other: CodeFingerprint) -> tuple[Passage, ...]:
    """The longest stretches that both have, in the order of the first one's lines."""
    stretches: list[tuple[int, int, int]] = []  # where in the one, where in the other, how long
    end = 0
    shared = one.hashes & other.hashes
    for start, run in sorted((at, each) for each in shared for at in one.hash_idx[each]):
        if start < end:
            continue
        length, there = max(
            (_length_of(one, other, start, place), -place) for place in other.hash_idx[run][:MOST_PLACES]
        )
        stretches.append((start, -there, length))
        end = start + length
    longest = sorted(stretches, key=lambda stretch: (-stretch[2], stretch[0]))[:MOST_PASSAGES]
    return tuple(
        Passage(*_lines(one, start, length), *_lines(other, there, length)) for start, there, length in sorted(longest)
    )


def _length_of(one: CodeFingerprint, other: CodeFingerprint, start: int, there: int) -> int:
    """How far the two say the same from here on."""
    left, right = one.filtered_code[start:], other.filtered_code[there:]
    return next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def _lines(fingerprint: CodeFingerprint, start: int, length: int) -> tuple[int, str]:
    """The whole lines of the source that a stretch of the filtered code is made of, and the number of the first."""
    text = fingerprint.raw_code
    begin, last = _place(fingerprint.offsets, start), _place(fingerprint.offsets, start + length - 1)
    first_line, last_line = text.count("\n", 0, begin), text.count("\n", 0, last)
    return first_line + 1, "\n".join(text.split("\n")[first_line : last_line + 1])


def _place(offsets: NDArray[np.int64], at: int) -> int:
    """Where in the source the sign at this place of the filtered code begins."""
    row = min(int(np.searchsorted(offsets[:, 0], at)), len(offsets) - 1)
    return at + int(offsets[row, 1])
