"""MB/s of learning byte pairs and of encoding, beside tiktoken and tokenizers: python benchmarks/byte_pairs.py

    reference     01_tokenizer, in Python
    tiktoken      OpenAI's, in Rust; it only encodes
    tokenizers    Hugging Face's, in Rust

All take turns on the same text, with one thread. They learn up to 1024 tokens from the whole of it, and encode it with
the pairs that the reference learned. All must give the same ids, or this ends with an error. Pairs that are equally
frequent are taken in another order by tokenizers, so its pairs are others after the first such case: printed is how
many are the same. A text is encoded in one call, and without any memory of pieces met before.

The texts are the stories and, where it was downloaded before, tinyshakespeare. `--gpt2` encodes them with GPT-2's
vocabulary of 50,257 too, which tiktoken downloads on first use, or finds in TIKTOKEN_CACHE_DIR. `--recounting` also
times the reference beside counting all pairs anew for each of 500 merges, on 130,000 characters.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before tokenizers is imported

import tiktoken
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from shared import machine, reference_parts, wide_console
from tiktoken_ext.openai_public import r50k_pat_str
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import datasets
from autograder.minigpt.library import pretokenize
from datasets.shakespeare import NAME, cache_folder

VOCAB_SIZE = 1024
SAMPLE, SAMPLE_MERGES = 130_000, 500
WAYS = ("reference", "tiktoken", "tokenizers")

Pair = tuple[bytes, bytes]
Encode = Callable[[str], list[int]]


def texts() -> dict[str, str]:
    """The training texts that are here already."""
    names = ["stories", *(["shakespeare"] if (cache_folder() / NAME).is_file() else [])]
    return {name: datasets.load(name).train for name in names}


def in_turns(ways: dict[str, Callable[[], Any]], repetitions: int) -> tuple[dict[str, float], dict[str, Any]]:
    """The median seconds of each way, and what its last turn gave."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    gave: dict[str, Any] = {}
    for _ in range(repetitions):
        for name, way in ways.items():
            began = time.perf_counter()
            gave[name] = way()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}, gave


# --- the others' ways ------------------------------------------------------------------------------------------------


def letters_of_bytes() -> dict[int, str]:
    """GPT-2's way to write any byte as one printable character: 256 + n for the n-th that is not printable."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


LETTERS = letters_of_bytes()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


def written(token: bytes) -> str:
    return "".join(LETTERS[byte] for byte in token)


def learn_with_tokenizers(text: str) -> list[Pair]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([text], trainer)
    vocab = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    ranks = {bytes(BYTES[letter] for letter in token): rank for rank, (token, _) in enumerate(vocab)}
    return merges_of(ranks)


def tokenizers_encode(vocab: dict[int, bytes], merges: list[Pair]) -> Encode:
    pairs = [(written(left), written(right)) for left, right in merges]
    tokenizer = Tokenizer(models.BPE({written(token): number for number, token in vocab.items()}, pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return lambda text: tokenizer.encode(text).ids


def tiktoken_encode(vocab: dict[int, bytes]) -> Encode:
    ranks = {token: number for number, token in vocab.items()}
    encoding = tiktoken.Encoding("benchmark", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
    return encoding.encode_ordinary


def merges_of(ranks: dict[bytes, int]) -> list[Pair]:
    """The merges, in order, of a table that only says which tokens there are."""
    merges = []
    for token in sorted((token for token in ranks if len(token) > 1), key=ranks.__getitem__):
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:  # join neighbours by rising rank, up to the last pair
            places = range(len(parts) - 1)
            place = min(places, key=lambda i: ranks.get(parts[i] + parts[i + 1], ranks[token]))  # noqa: B023
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        merges.append((parts[0], parts[1]))
    return merges


def recounting(text: str, vocab_size: int) -> list[Pair]:
    """Byte pairs as one would write them first."""
    words = {tuple(bytes([b]) for b in piece.encode()): n for piece, n in Counter(pretokenize(text)).items()}
    merges: list[Pair] = []
    while len(merges) < vocab_size - 256:
        counts: Counter[Pair] = Counter()
        for word, n in words.items():
            for pair in pairwise(word):
                counts[pair] += n
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        words = {merged(word, best): n for word, n in words.items()}
        merges.append(best)
    return merges


def merged(word: tuple[bytes, ...], pair: Pair) -> tuple[bytes, ...]:
    """The word with the pair joined, from left to right."""
    out, i = [], 0
    while i < len(word):
        width = 2 if word[i : i + 2] == pair else 1
        out.append(b"".join(word[i : i + width]))
        i += width
    return tuple(out)


# --- all of it -------------------------------------------------------------------------------------------------------


def learn(text: str, repetitions: int) -> tuple[dict[str, float], list[Pair], int]:
    """Seconds of each way, the reference's pairs, and how many of them tokenizers learns too before the first other."""
    train_bpe = reference_parts().train_bpe
    ways: dict[str, Callable[[], Any]] = {
        "reference": lambda: train_bpe(text, VOCAB_SIZE)[1],
        "tokenizers": lambda: learn_with_tokenizers(text),
    }
    seconds, gave = in_turns(ways, repetitions)
    same = 0
    for own, other in zip(gave["reference"], gave["tokenizers"], strict=False):
        if own != other:
            break
        same += 1
    return seconds, gave["reference"], same


def encode(text: str, vocab: dict[int, bytes], merges: list[Pair], repetitions: int) -> dict[str, float]:
    """Seconds of each way to encode the text. All give the same ids."""
    tokenizer = reference_parts().BPETokenizer
    makers: dict[str, Callable[[], Encode]] = {
        "reference": lambda: tokenizer(vocab, merges).encode,
        "tiktoken": lambda: tiktoken_encode(vocab),
        "tokenizers": lambda: tokenizers_encode(vocab, merges),
    }
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(repetitions):
        fresh = {name: make() for name, make in makers.items()}  # none remembers what it met in the turn before
        times, ids = in_turns({name: lambda way=way: way(text) for name, way in fresh.items()}, 1)
        assert ids["reference"] == ids["tiktoken"] == ids["tokenizers"], "the ids differ"
        for name, taken in times.items():
            seconds[name].append(taken)
    return {name: statistics.median(times) for name, times in seconds.items()}


def add_row(table: Table, what: str, text: str, seconds: dict[str, float]) -> None:
    megabytes = len(text.encode()) / 1e6
    speeds = [f"{megabytes / seconds[name]:.2f}" if name in seconds else "-" for name in WAYS]
    table.add_row(what, f"{megabytes:.2f}", *speeds)


def gpt2_vocabulary() -> tuple[dict[int, bytes], list[Pair]]:
    ranks = tiktoken.get_encoding("gpt2")._mergeable_ranks
    return {number: token for token, number in ranks.items()}, merges_of(ranks)


def show_recounting(console: Console, text: str, repetitions: int) -> None:
    """The reference's merges and those of counting anew are the same, and take so long."""
    sample, train_bpe = text[:SAMPLE], reference_parts().train_bpe
    ways: dict[str, Callable[[], Any]] = {
        "reference": lambda: train_bpe(sample, 256 + SAMPLE_MERGES)[1],
        "recounting": lambda: recounting(sample, 256 + SAMPLE_MERGES),
    }
    seconds, gave = in_turns(ways, repetitions)
    assert gave["reference"] == gave["recounting"], "the two ways give different merges"
    own, anew = seconds["reference"], seconds["recounting"]
    console.print(
        f"{len(gave['reference'])} merges of {len(sample):,} characters: {own:.2f} s, and {anew:.2f} s when all pairs "
        f"are counted anew for each: {anew / own:.0f} times as long",
        soft_wrap=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--gpt2", action="store_true", help="encode with GPT-2's vocabulary too")
    parser.add_argument("--recounting", action="store_true", help="beside the plainest way to learn")
    given = parser.parse_args()
    console = wide_console()
    console.print(machine(), soft_wrap=True)
    table = Table("", title=f"MB/s, one thread, medians of {given.repetitions} turns", box=MARKDOWN)
    for column in ("MB", *WAYS):
        table.add_column(column, justify="right")
    notes = []
    found = texts()
    for name, text in found.items():
        seconds, merges, same = learn(text, given.repetitions)
        add_row(table, f"{name}: learn {len(merges)} merges", text, seconds)
        notes.append(f"{name}: of {len(merges)} merges, the first {same} are those of tokenizers too")
        tokens = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
        vocab = dict(enumerate(tokens))
        add_row(table, f"{name}: encode with these", text, encode(text, vocab, merges, given.repetitions))
        if given.gpt2:
            add_row(table, f"{name}: encode with GPT-2's", text, encode(text, *gpt2_vocabulary(), given.repetitions))
    console.print(table)
    console.print("\n".join(notes))
    if given.recounting:
        show_recounting(console, list(found.values())[-1], given.repetitions)


if __name__ == "__main__":
    main()
