"""Train the byte pairs that ship with the project, and write them in tiktoken's own rank format.

    python solutions/tools/train_ranks.py

reads `datasets.load("stories").train` and writes `autograder/minigpt/library/stories.tiktoken`: one line per token, its
bytes in base64 and its rank. Run it from the root of the repository, again whenever the corpus has changed.

It stands under `solutions/` because training merges is a task of assignment 01. It is naive: it counts all pairs anew
after every merge, over unique pre-tokens, which is quick enough for a few hundred merges.
"""

from __future__ import annotations

import base64
from collections import Counter
from itertools import pairwise
from pathlib import Path

from autograder.minigpt.library import pretokenize

VOCAB_SIZE = 512
TARGET = Path(__file__).parents[2] / "autograder/minigpt/library/stories.tiktoken"


def train_ranks(text: str, vocab_size: int) -> list[bytes]:
    """The bytes, then the merged tokens in order. Of pairs that are equally frequent the greatest wins."""
    words = {tuple(bytes([b]) for b in piece.encode()): n for piece, n in Counter(pretokenize(text)).items()}
    tokens = [bytes([b]) for b in range(256)]
    while len(tokens) < vocab_size:
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for word, n in words.items():
            for pair in pairwise(word):
                counts[pair] += n
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        tokens.append(best[0] + best[1])
        words = {_merged(word, best): n for word, n in words.items()}
    return tokens


def rank_file(tokens: list[bytes]) -> bytes:
    """The content of a `.tiktoken` file."""
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


def _merged(word: tuple[bytes, ...], pair: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    out: list[bytes] = []
    for symbol in word:
        # A symbol that was merged just now is longer than pair[0] unless pair[1] is empty, so it never merges again.
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return tuple(out)


def main() -> None:
    import datasets

    tokens = train_ranks(datasets.load("stories").train, VOCAB_SIZE)
    TARGET.write_bytes(rank_file(tokens))
    print(f"{TARGET}: {len(tokens)} tokens, the last one {tokens[-1]!r}")


if __name__ == "__main__":
    main()
