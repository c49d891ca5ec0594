"""Train the byte pairs that ship with the project, and write them in tiktoken's own rank format.

    python solutions/tools/train_ranks.py

reads `datasets.load("stories").train` and writes `autograder/minigpt/library/stories.tiktoken`: one line per token, its
bytes in base64 and its rank. Run it from the root of the repository, again whenever the corpus has changed.

The training is assignment 01's reference. That is why this stands under `solutions/`.
"""

from __future__ import annotations

import base64
from pathlib import Path

import datasets
from autograder.files import write_atomically
from autograder.in_process import load_module
from autograder.manifest import Course

VOCAB_SIZE = 512
TARGET = Path(__file__).parents[2] / "autograder/minigpt/library/stories.tiktoken"


def train_ranks(text: str, vocab_size: int) -> list[bytes]:
    """The bytes, then the merged tokens in order."""
    reference = load_module(Course.find(Path(__file__).parent).assignment("01_tokenizer").reference)
    vocab, _ = reference.train_bpe(text, vocab_size)
    return [vocab[rank] for rank in range(len(vocab))]


def rank_file(tokens: list[bytes]) -> bytes:
    """The content of a `.tiktoken` file."""
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


def main() -> None:
    write_atomically(TARGET, rank_file(train_ranks(datasets.load("stories").train, VOCAB_SIZE)))
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
