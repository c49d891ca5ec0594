"""From a text back to the picks that wrote it: an exact scorer, and a proof that there is only one way back.

`parse` follows every derivation that agrees with the text. `undecided` reads the grammar alone and looks for a
place where the next characters would not settle which pick was made. A grammar without such a place is
unambiguous, and the probability of a text is then the product of its picks' probabilities.

What it does not handle: parts of a story, and correction of texts that are nearly right.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log
from typing import NamedTuple

from .grammar import Choice, Draw, Node, Recall, Sequence, State, Table


class Derivation(NamedTuple):
    """The picks made so far, their log-probability, and how far in the text they lead."""

    end: int
    state: State
    picks: tuple[int, ...]
    log_probability: float

    def read(self, text: str, word: str) -> Iterator[Derivation]:
        """Go on over `word`, if it is what the text has next."""
        if text.startswith(word, self.end):
            yield self._replace(end=self.end + len(word))

    def picked(self, index: int, probability: float) -> Derivation:
        return self._replace(picks=(*self.picks, index), log_probability=self.log_probability + log(probability))


def parse(node: Node, text: str) -> Derivation:
    """The one derivation of `text` from `node`.

    Raises `ValueError` when there is none, or (a fault in the grammar) more than one.
    """
    complete = [found for found in derivations(node, text) if found.end == len(text)]
    if len(complete) == 1:
        return complete[0]
    how_many = "cannot be written" if not complete else f"can be written in {len(complete)} ways"
    raise ValueError(f"this text {how_many} by the grammar: {text!r}")


def derivations(node: Node, text: str, so_far: Derivation | None = None) -> Iterator[Derivation]:
    """Every way in which `node` can write what `text` has next, from where `so_far` ended."""
    so_far = so_far or Derivation(0, {}, (), 0.0)
    match node:
        case str():
            yield from so_far.read(text, node)
        case Recall(table, field):
            yield from so_far.read(text, so_far.state[table.name][field])
        case Draw(table, field):
            for index, row in enumerate(table.rows):
                for after in so_far.read(text, row[field]):
                    drawn = after._replace(state={**after.state, table.name: row})
                    yield drawn.picked(index, 1 / len(table.rows))
        case Choice(weights, options):
            for index, option in enumerate(options):
                chosen = so_far.picked(index, weights[index] / sum(weights))
                yield from derivations(option, text, chosen)
        case Sequence(parts):
            yield from _in_order(parts, text, so_far)


def _in_order(parts: tuple[Node, ...], text: str, so_far: Derivation) -> Iterator[Derivation]:
    if not parts:
        yield so_far
        return
    for after in derivations(parts[0], text, so_far):
        yield from _in_order(parts[1:], text, after)


def undecided(node: Node, look_ahead: int = 16) -> set[str]:
    """Beginnings of text after which two picks are both possible, at a place where a pick is made.

    An empty set proves that the grammar is unambiguous: wherever a pick is made, the next `look_ahead`
    characters agree with one row or option only, so a text determines its first pick, then its second, and so on.
    (Recalls count as if they could write any row. That can only add clashes, never hide one.)

    >>> undecided(one_of("a cat", "a cattle bell"))
    {'a cat'}
    """
    match node:
        case Draw(table, field):
            return _clashes([{row[field]} for row in table.rows])
        case Choice(_, options):
            clashes = _clashes([_beginnings(option, look_ahead) for option in options])
            return clashes.union(*(undecided(option, look_ahead) for option in options))
        case Sequence(parts):
            return set().union(*(undecided(part, look_ahead) for part in parts))
        case _:
            return set()


def _clashes(alternatives: list[set[str]]) -> set[str]:
    """Texts of one alternative that another one's texts begin with, or equal."""
    owners: dict[str, set[int]] = {}
    for index, texts in enumerate(alternatives):
        for text in texts:
            owners.setdefault(text, set()).add(index)
    return {
        text[:cut]
        for index, texts in enumerate(alternatives)
        for text in texts
        for cut in range(len(text) + 1)
        if owners.get(text[:cut], {index}) != {index}
    }


def _beginnings(node: Node, length: int) -> set[str]:
    """Every beginning, `length` characters or the whole if shorter, of what `node` can write."""
    match node:
        case str():
            return {node[:length]}
        case Draw(table, field) | Recall(table, field):
            return _column(table, field, length)
        case Choice(_, options):
            return {text for option in options for text in _beginnings(option, length)}
        case Sequence(parts):
            begun = {""}
            for part in parts:
                begun = {text + more for text in begun for more in _beginnings(part, length - len(text))}
                if all(len(text) == length for text in begun):
                    break
            return begun


def _column(table: Table, field: str, length: int) -> set[str]:
    return {row[field][:length] for row in table.rows}
