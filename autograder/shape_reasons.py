"""What makes one shape of another: the words at the end of an explanation.

    reason(["batch", "heads", "time"], (2, 3, 5), (2, 5, 3), {})        # "heads and time are swapped"

`due` may hold None for a size that is not known. Where no reason is plain, there are no words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Sizes = tuple[int | None, ...]


def same(expected: Sequence[int | None], got: Sequence[int]) -> bool:
    pairs = zip(expected, got, strict=False)
    return len(expected) == len(got) and all(due in (None, size) for due, size in pairs)


def reason(names: list[str], due: Sizes, got: tuple[int, ...], known: Mapping[str, int]) -> str:
    """What makes the one shape of the other, if that can be said; else nothing."""
    if len(got) == len(due):
        return _swapped(names, due, got) or _other_sizes(names, due, got)
    if not got:
        return "it was reduced over all of its axes"
    if len(got) == len(due) + 1:
        return _one_too_many(names, due, got, known)
    if len(got) == len(due) - 1:
        return _one_too_few(names, due, got)
    return f"it has {_counted(len(got))} instead of {len(due)}"


def _swapped(names: list[str], due: Sizes, got: tuple[int, ...]) -> str:
    if None in due:
        return ""
    wrong = [place for place, size in enumerate(got) if size != due[place]]
    if len(wrong) == 2 and (got[wrong[0]], got[wrong[1]]) == (due[wrong[1]], due[wrong[0]]):
        return f"{names[wrong[0]]} and {names[wrong[1]]} are swapped"
    first, second = due[wrong[0]], got[wrong[0]]
    traded = tuple(second if size == first else first if size == second else size for size in due)
    if traded == got and second in due and 1 in (due.count(first), due.count(second)):
        return f"{names[wrong[0]]} and {names[due.index(second)]} are swapped"
    return "the axes are in another order" if sorted(got) == sorted(size or 0 for size in due) else ""


def _other_sizes(names: list[str], due: Sizes, got: tuple[int, ...]) -> str:
    wrong = [
        f"{name} has size {size} instead of {expected}"
        for name, expected, size in zip(names, due, got, strict=True)
        if expected not in (None, size)
    ]
    return " and ".join(wrong) if len(wrong) <= 2 else ""


def _one_too_many(names: list[str], due: Sizes, got: tuple[int, ...], known: Mapping[str, int]) -> str:
    spare = [place for place in range(len(got)) if same(due, got[:place] + got[place + 1 :])]
    ones = [place for place in spare if got[place] == 1]
    if ones:
        return f"axis {ones[-1]}, of size 1, is too many (keepdim=True, or an unsqueeze?)"
    gone = [axis for axis, size in known.items() if axis not in names and spare and size == got[spare[-1]]]
    if gone and len(spare) == 1:
        return f"axis {spare[0]}, {gone[0]}, is still there"
    if spare:
        return f"it has one axis too many, of size {got[spare[-1]]}"
    for place, size in enumerate(due):
        cut = got[:place] + (math.prod(got[place : place + 2]),) + got[place + 2 :]
        if size is not None and same(due, cut):
            return f"{names[place]} is still cut into two axes, {got[place]} and {got[place + 1]}"
    return f"it has {_counted(len(got))} instead of {len(due)}"


def _one_too_few(names: list[str], due: Sizes, got: tuple[int, ...]) -> str:
    gone = [names[place] for place in range(len(due)) if same(due[:place] + due[place + 1 :], got)]
    if gone and None not in due:
        return f"{gone[0]} is missing" if len(gone) == 1 else f"one of {', '.join(gone)} is missing"
    for place in range(len(got)):
        first, second = due[place], due[place + 1]
        if first and second and same(due[:place] + (first * second,) + due[place + 2 :], got):
            return f"{names[place]} and {names[place + 1]} are still one axis"
    return f"it has {_counted(len(got))} instead of {len(due)}"


def _counted(axes: int) -> str:
    return "1 axis" if axes == 1 else f"{axes} axes"
