"""Times the training of 500 byte-pair merges on 130 KB of English: python benchmarks/train_bpe.py [--text FILE]

Printed, as medians over runs that alternate between the two ways:

    incremental    the reference of 01_tokenizer: after a merge, only the words that contain the pair are counted anew
    recounting     the same merges by counting all pairs of all words anew for every merge, written plainly below

The text is FILE, or `shared/data/tinyshakespeare.txt` beside the repository where that is there, or else the stories.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.table import Table

import datasets
from autograder.minigpt.library import pretokenize

REPOSITORY = Path(__file__).parents[1]
SHAKESPEARE = REPOSITORY.parent / "shared" / "data" / "tinyshakespeare.txt"
CHARACTERS, MERGES = 130_000, 500

Merges = list[tuple[bytes, bytes]]


def recounting(text: str, vocab_size: int) -> tuple[dict[int, bytes], Merges]:
    """Byte pairs as one would write them first."""
    words = {tuple(bytes([b]) for b in piece.encode()): n for piece, n in Counter(pretokenize(text)).items()}
    merges: Merges = []
    while len(merges) < vocab_size - 256:
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for word, n in words.items():
            for pair in pairwise(word):
                counts[pair] += n
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        words = {merged(word, best): n for word, n in words.items()}
        merges.append(best)
    tokens = [bytes([b]) for b in range(256)] + [left + right for left, right in merges]
    return dict(enumerate(tokens)), merges


def merged(word: tuple[bytes, ...], pair: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    """The word with the pair joined, from left to right."""
    out, i = [], 0
    while i < len(word):
        width = 2 if word[i : i + 2] == pair else 1
        out.append(b"".join(word[i : i + width]))
        i += width
    return tuple(out)


def reference() -> ModuleType:
    """The reference of 01_tokenizer, under a name that is in nobody's way."""
    path = REPOSITORY / "solutions" / "01_tokenizer" / "tokenizer.py"
    spec = importlib.util.spec_from_file_location("reference_tokenizer", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_text(path: Path | None) -> tuple[str, str]:
    """The name of a text, and its first 130,000 characters."""
    if path is None and not SHAKESPEARE.is_file():
        return "stories", datasets.load("stories").train[:CHARACTERS]
    path = path or SHAKESPEARE
    return path.name, path.read_text(encoding="utf-8")[:CHARACTERS]


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the training of byte pairs.")
    parser.add_argument("--text", type=Path, help="a UTF-8 text file")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    name, text = read_text(arguments.text)
    ways: dict[str, Callable[[str, int], tuple[dict[int, bytes], Merges]]] = {
        "incremental": reference().train_bpe,
        "recounting": recounting,
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.runs):
        results = []
        for way, train in ways.items():
            started = time.perf_counter()
            results.append(train(text, 256 + MERGES))
            times[way].append(time.perf_counter() - started)
        assert results[0] == results[1], "the two ways give different merges"
    show(name, len(text), len(results[0][1]), times)


def show(name: str, characters: int, merges: int, times: dict[str, list[float]]) -> None:
    runs = len(times["incremental"])
    table = Table(title=f"{name}, {runs} runs")
    for column in ("", "median s", "min", "max"):
        table.add_column(column, justify="left" if not column else "right")
    middles = {way: statistics.median(seconds) for way, seconds in times.items()}
    for way, seconds in times.items():
        table.add_row(way, *(f"{value:.2f}" for value in (middles[way], min(seconds), max(seconds))))
    console = Console()
    console.print(f"{merges} merges on {characters} characters")
    console.print(table)
    console.print(f"recounting takes {middles['recounting'] / middles['incremental']:.1f} times as long")


if __name__ == "__main__":
    main()
