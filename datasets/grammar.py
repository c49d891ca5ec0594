"""A small probabilistic grammar with state: the pieces that stories are made of, and a writer.

A grammar is plain data. Five kinds of node are enough:

    "found "                    text, written as it stands
    Draw(HERO, "name")          pick a row of a table, remember it, write one field of it
    Recall(HERO, "name")        write a field of the row that was picked last
    Choice(weights, options)    pick one of several nodes
    Sequence(parts)             one node after the other

Draws and choices are the only random events, and no weight depends on what came before. So one description
serves three readers: `write` here, the closed forms in `entropy.py`, and the exact scorer in `parser.py`.

What it does not handle: weights that depend on the state, and recursion (a node inside itself).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import TypeAlias

Row: TypeAlias = Mapping[str, str]
State: TypeAlias = dict[str, Row]  # the row picked last, by the table's name
Picker: TypeAlias = Callable[[tuple[int, ...]], int]  # weights in, the index of the winner out


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of words that belong together; a `Draw` takes each row with the same chance.

    >>> PET = Table("pet", ({"name": "cat", "a": "a cat"}, {"name": "owl", "a": "an owl"}))
    """

    name: str
    rows: tuple[Row, ...]

    @property
    def weights(self) -> tuple[int, ...]:
        return (1,) * len(self.rows)


@dataclass(frozen=True)
class Draw:
    table: Table
    field: str


@dataclass(frozen=True)
class Recall:
    table: Table
    field: str


@dataclass(frozen=True)
class Choice:
    weights: tuple[int, ...]
    options: tuple[Node, ...]


@dataclass(frozen=True)
class Sequence:
    parts: tuple[Node, ...]


Node: TypeAlias = "str | Draw | Recall | Choice | Sequence"


def one_of(*options: Node) -> Choice:
    """A choice among nodes that are equally likely."""
    return Choice((1,) * len(options), options)


def template(pattern: str, tables: Mapping[str, Table], **parts: Node) -> Sequence:
    """A sequence, written as it will read.

    `{+pet.a}` draws from the table `pet` and writes the field `a`; `{pet.name}` recalls what was drawn;
    `{rest}`, without a dot, puts in the node that was given as `rest`.

    >>> meeting = template("I saw {+pet.a}. The {pet.name} saw me.", {"pet": PET})
    >>> write(meeting, seeded_picker(1), {})
    'I saw a cat. The cat saw me.'
    """
    nodes: list[Node] = []
    for literal, name, _, _ in Formatter().parse(pattern):
        if literal:
            nodes.append(literal)
        if name is None:
            continue
        table, dot, field = name.lstrip("+").partition(".")
        if not dot:
            nodes.append(parts[table])
        elif name.startswith("+"):
            nodes.append(Draw(tables[table], field))
        else:
            nodes.append(Recall(tables[table], field))
    return Sequence(tuple(nodes))


def seeded_picker(seed: int) -> Picker:
    """A picker that makes the same picks from the same seed on every platform and every Python version.

    It uses `random()` alone, the one method whose stream Python promises to keep, and compares whole numbers.
    """
    source = random.Random(seed)

    def pick(weights: tuple[int, ...]) -> int:
        ticket = int(source.random() * sum(weights))
        for index, weight in enumerate(weights):
            ticket -= weight
            if ticket < 0:
                return index
        raise AssertionError("a ticket is always below the sum of the weights")

    return pick


def write(node: Node, pick: Picker, state: State) -> str:
    """The text of `node`. Rows that are drawn on the way are left in `state`."""
    match node:
        case str():
            return node
        case Draw(table, field):
            state[table.name] = table.rows[pick(table.weights)]
            return state[table.name][field]
        case Recall(table, field):
            return state[table.name][field]
        case Choice(weights, options):
            return write(options[pick(weights)], pick, state)
        case Sequence(parts):
            return "".join([write(part, pick, state) for part in parts])


def alphabet(node: Node) -> str:
    """Every character that `node` can write, in order.

    >>> alphabet(one_of("ab", "ca"))
    'abc'
    """
    match node:
        case str():
            return "".join(sorted(set(node)))
        case Draw(table, field) | Recall(table, field):
            return "".join(sorted({character for row in table.rows for character in row[field]}))
        case Choice(_, below) | Sequence(below):
            return "".join(sorted({character for part in below for character in alphabet(part)}))
