"""Library part for assignment 01: characters and words with NumPy, byte pairs with tiktoken.

It trains no merges: `train_bpe` gives those that ship with the project, in `stories.tiktoken`, whatever the text is.
Text with lone surrogates has no UTF-8 form and cannot be byte-pair encoded.

    >>> tokenizer = CharTokenizer.from_text("hello")
    >>> tokenizer.encode("hole"), tokenizer.decode([2, 0])
    ([1, 3, 2, 0], 'le')
"""

from __future__ import annotations

import base64
import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import regex
import tiktoken
from tiktoken_ext.openai_public import r50k_pat_str

from .common import at_least

_GPT2_PIECES = regex.compile(r50k_pat_str)  # GPT-2's pattern, as tiktoken writes it


class CharTokenizer:
    """One id per character, ascending by code point. Made with `from_text`."""

    def __init__(self, code_points: np.ndarray[Any, np.dtype[np.uint32]]) -> None:
        self._code_points = code_points

    @classmethod
    def from_text(cls, text: str) -> CharTokenizer:
        return cls(np.unique(_code_points(text)))

    @property
    def vocab_size(self) -> int:
        return len(self._code_points)

    def encode(self, text: str) -> list[int]:
        wanted = _code_points(text)
        unknown = np.flatnonzero(~np.isin(wanted, self._code_points))
        if len(unknown):
            index = int(unknown[0])
            raise ValueError(f"unknown character {text[index]!r} at index {index}")
        ids: list[int] = np.searchsorted(self._code_points, wanted).tolist()
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        _check_ids(ids, range(self.vocab_size))
        return self._code_points[np.asarray(ids, dtype=np.int64)].tobytes().decode("utf-32-le", "surrogatepass")


class WordTokenizer:
    """Words, runs of white space and single marks; `<unk>` is id 0. Made with `from_text`."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces
        self._ids = dict(zip(pieces[1:], itertools.count(1)))

    @classmethod
    def from_text(cls, text: str, max_vocab: int | None = None) -> WordTokenizer:
        if max_vocab is not None:
            at_least(1, max_vocab=max_vocab)
        found = np.array(re.findall(r"\w+|\s+|[^\w\s]", text), dtype=object)
        pieces, counts = np.unique(found, return_counts=True) if len(found) else (found, found)
        by_count = pieces[np.argsort(-counts, kind="stable")]  # np.unique sorted them, so ties stay in order
        return cls(["<unk>", *by_count.tolist()][:max_vocab])

    @property
    def vocab_size(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(match[0], 0) for match in re.finditer(r"\w+|\s+|[^\w\s]", text)]

    def decode(self, ids: Sequence[int]) -> str:
        _check_ids(ids, range(self.vocab_size))
        return "".join(self._pieces[i] for i in ids)


def pretokenize(text: str) -> list[str]:
    """Cut text into GPT-2's pieces, inside which byte pairs are merged.

    >>> pretokenize("It's 42!")
    ['It', "'s", ' 42', '!']
    """
    pieces: list[str] = _GPT2_PIECES.findall(text)
    return pieces


class BPETokenizer:
    """Byte pairs by a `tiktoken.Encoding` whose ranks are the bytes, then the merges in order."""

    def __init__(
        self,
        vocab: dict[int, bytes],
        merges: Sequence[tuple[bytes, bytes]],
        special_tokens: Sequence[str] = (),
    ) -> None:
        if len(set(special_tokens)) < len(special_tokens) or "" in special_tokens:
            raise ValueError(f"special_tokens must be distinct and not empty, got {list(special_tokens)}")
        self._vocab = dict(vocab)
        ordinary = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
        self._encoding = _encoding(ordinary)
        lowest = {token: token_id for token_id, token in sorted(vocab.items(), reverse=True)}
        missing = [token for token in ordinary if token not in lowest]
        if missing:
            raise ValueError(f"vocab lacks {missing[0]!r}, which is a byte or comes out of a merge")
        self._ids = [lowest[token] for token in ordinary]  # tiktoken's rank to the vocabulary's id
        taken = set(self._ids)
        left = {token: token_id for token_id, token in vocab.items() if token_id not in taken}
        self._special: dict[str, int] = {}
        for token in special_tokens:
            self._special[token] = left.get(token.encode(), max(self._vocab) + 1)
            self._vocab[self._special[token]] = token.encode()
        longest_first = sorted(special_tokens, key=len, reverse=True)
        self._longest_special = max(map(len, special_tokens), default=0)
        self._special_pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @property
    def vocab_size(self) -> int:
        return len(self._vocab)

    def encode(self, text: str) -> list[int]:
        return list(itertools.chain.from_iterable(map(self._encode_piece, self._cut(text))))

    def decode(self, ids: Sequence[int]) -> str:
        _check_ids(ids, self._vocab)
        return b"".join(map(self._vocab.__getitem__, ids)).decode(errors="replace")

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        """The ids of the joined chunks, as soon as no later chunk can change them."""
        held = ""
        for chunk in chunks:
            pieces, held = self._settled(held + chunk)
            for piece in pieces:
                yield from self._encode_piece(piece)
        for piece in self._cut(held):
            yield from self._encode_piece(piece)

    def _cut(self, text: str) -> Iterator[str]:
        """Special tokens, and the pre-tokens between them."""
        end = 0
        for match in self._special_pattern.finditer(text):
            yield from pretokenize(text[end : match.start()])
            yield match[0]
            end = match.end()
        yield from pretokenize(text[end:])

    def _settled(self, text: str) -> tuple[list[str], str]:
        """The pieces that stay whatever follows, and the text that they leave."""
        safe = self._first_open_special(text)
        last_special = max((match.end() for match in self._special_pattern.finditer(text[:safe])), default=0)
        pieces = pretokenize(text[last_special:safe])
        held = "".join(pieces[-2:]) + text[safe:]  # "'l" is two pieces, and "'ll" is one
        return [*self._cut(text[:last_special]), *pieces[:-2]], held

    def _first_open_special(self, text: str) -> int:
        """Where the first special token begins that the next chunk could complete or make longer."""
        tail = max(len(text) - self._longest_special + 1, 0)  # what begins before is complete
        before = [match.end() for match in self._special_pattern.finditer(text) if match.start() < tail]
        position = max([tail, *before])
        while position < len(text):
            rest = text[position:]
            if any(special.startswith(rest) and special != rest for special in self._special):
                return position
            match = self._special_pattern.match(text, position)
            position = match.end() if match else position + 1
        return len(text)

    def _encode_piece(self, piece: str) -> list[int]:
        if piece in self._special:
            return [self._special[piece]]
        return [self._ids[rank] for rank in self._encoding.encode_ordinary(piece)]


@functools.cache
def stories_vocabulary() -> tuple[dict[int, bytes], list[tuple[bytes, bytes]]]:
    """The byte-pair vocabulary that ships with the project, and its merges. Ranks are in tiktoken's own format."""
    lines = Path(__file__).with_name("stories.tiktoken").read_bytes().splitlines()
    tokens = [base64.b64decode(line.split()[0]) for line in lines]
    merges: list[tuple[bytes, bytes]] = []
    for rank in range(256, len(tokens)):
        encoding = _encoding(tokens[:rank])  # one merge short of the token, it falls into the pair that makes it
        left, right = encoding._encode_bytes(tokens[rank])
        merges.append((tokens[left], tokens[right]))
    return dict(enumerate(tokens)), merges


def train_bpe(
    text: str, vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[tuple[bytes, bytes]]]:
    """Byte pairs without training: the first of those that ship with the project, whatever the text.

    They come from the stories, so other texts fall into more tokens than they would have to. There are 256 of them:
    a larger `vocab_size` gives no more.
    """
    at_least(256 + len(special_tokens), vocab_size=vocab_size)
    vocab, merges = stories_vocabulary()
    n_tokens = min(vocab_size - len(special_tokens), len(vocab))
    tokens = [vocab[i] for i in range(n_tokens)] + [token.encode() for token in special_tokens]
    return dict(enumerate(tokens)), merges[: n_tokens - 256]


def _encoding(tokens: Sequence[bytes]) -> tiktoken.Encoding:
    """A tiktoken encoding of one piece at a time."""
    ranks = {token: rank for rank, token in enumerate(tokens)}
    return tiktoken.Encoding("minigpt", pat_str=r"(?s:.+)", mergeable_ranks=ranks, special_tokens={})


def _code_points(text: str) -> np.ndarray[Any, np.dtype[np.uint32]]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _check_ids(ids: Sequence[int], known: range | dict[int, bytes]) -> None:
    unknown = next((i for i in ids if i not in known), None)
    if unknown is not None:
        raise ValueError(f"unknown id {unknown}: the vocabulary has {len(known)} ids")
