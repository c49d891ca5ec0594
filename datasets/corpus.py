"""A corpus: text to train on, text to validate on, and the best loss that any model can have on it.

    load("stories")             built in, no download
    load("python")              the sources of this Python's standard library
    load("shakespeare")         tinyshakespeare, downloaded on first use
    load_file("my_book.txt")    a text file of your own

What it does not handle: tokens (a corpus is characters), files too big for memory, encodings other than UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from . import entropy, python_sources, shakespeare, stories
from .grammar import alphabet

TRAIN_SEED, VALIDATION_SEED = 1, 2
TRAIN_CHARACTERS, VALIDATION_CHARACTERS = 1_000_000, 100_000


@dataclass(frozen=True)
class Corpus:
    """Two texts and what is known about them.

    `floor` is in nats per character, and None where nobody knows it. `alphabet` has every character, in order.
    """

    name: str
    train: str = field(repr=False)
    validation: str = field(repr=False)
    floor: float | None
    alphabet: str


def load(name: str) -> Corpus:
    """A corpus by its name. "stories" is the same text on every machine, "python" depends on the version of Python.

    >>> load("stories").train[:13]
    'Leo the snail'
    """
    if name not in BUILT_IN:
        raise ValueError(f"there is no corpus {name!r}; there are: {', '.join(sorted(BUILT_IN))}")
    return BUILT_IN[name]()


def load_file(path: str | Path) -> Corpus:
    """A corpus from a UTF-8 text file: the last tenth of its characters is for validation, the rest for training."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no text file {str(path)!r}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{str(path)!r} is not UTF-8 text (byte {error.start}); save it as UTF-8 and try again"
        ) from error
    if len(text) < 10:
        raise ValueError(f"{str(path)!r} has {len(text)} characters; a corpus needs 10 or more")
    return _without_floor(path.stem, text)


def _without_floor(name: str, text: str) -> Corpus:
    """The last tenth is for validation."""
    held_out = len(text) // 10
    return Corpus(name, text[:-held_out], text[-held_out:], floor=None, alphabet="".join(sorted(set(text))))


@lru_cache(maxsize=1)
def _stories() -> Corpus:
    """Training and validation stories are drawn alike, and none is thrown away, so the floor holds for both.

    None occurs in both either. The chance of any repeat is below
    training stories * validation stories * entropy.repeat_probability(STORY), less than one in a million.
    """
    return Corpus(
        name="stories",
        train=stories.write_stories(TRAIN_SEED, TRAIN_CHARACTERS),
        validation=stories.write_stories(VALIDATION_SEED, VALIDATION_CHARACTERS),
        floor=entropy.floor(),
        alphabet=alphabet(stories.STORY),
    )


@lru_cache(maxsize=1)
def _python() -> Corpus:
    return _without_floor("python", python_sources.read_sources())


@lru_cache(maxsize=1)
def _shakespeare() -> Corpus:
    text = shakespeare.read_shakespeare()
    train, validation = shakespeare.split(text)
    return Corpus("shakespeare", train, validation, floor=None, alphabet="".join(sorted(set(text))))


BUILT_IN: dict[str, Callable[[], Corpus]] = {"stories": _stories, "python": _python, "shakespeare": _shakespeare}
