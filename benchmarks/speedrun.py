"""The speedrun beside the plain GPT, and what each ingredient buys: python benchmarks/speedrun.py [--repetitions N] ...

Plain and speedrun take turns, each trained to its end on one thread, each with another seed in every repetition. Losses
are in nats per character over the whole validation text of tinyshakespeare. Then the recipe without each of its
ingredients, once, for as many steps. tinyshakespeare is downloaded on first use.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import torch
from plain_gpt import CPU, train_plain
from rich.console import Console
from rich.table import Table

import datasets
from autograder.minigpt.speedrun import INGREDIENTS, Recipe, run_speedrun, whole_loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--without", action="store_true", help="measure each ingredient too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = datasets.load("shakespeare")
    number = {character: index for index, character in enumerate(corpus.alphabet)}
    train, validation = (torch.tensor([number[each] for each in text]) for text in (corpus.train, corpus.validation))
    size = len(number)

    plain: list[tuple[float, float]] = []
    fast: list[tuple[float, float]] = []
    for seed in range(options.repetitions):
        model, seconds = train_plain(train, size, seed=seed)
        plain.append((seconds, whole_loss(model, validation, CPU.block)))
        result = run_speedrun(train, validation, size, Recipe(seed=seed))
        fast.append((result.seconds, result.loss))

    table = Table("", "seconds", "of plain", "validation loss", title="medians", title_justify="left")
    whole = statistics.median(seconds for seconds, _ in plain)
    for name, runs in {"plain GPT, 2000 steps": plain, f"speedrun, {Recipe().steps} steps": fast}.items():
        seconds = statistics.median(seconds for seconds, _ in runs)
        losses = ", ".join(f"{loss:.4f}" for _, loss in runs)
        table.add_row(name, f"{seconds:.1f}", f"{seconds / whole:.0%}", losses)
    if options.without:
        table.add_section()
        tries = {f"without {name}": Recipe().without(name) for name in INGREDIENTS}
        for name, recipe in {**tries, "with squared ReLU": replace(Recipe(), squared_relu=True)}.items():
            result = run_speedrun(train, validation, size, recipe)
            table.add_row(name, f"{result.seconds:.1f}", f"{result.seconds / whole:.0%}", f"{result.loss:.4f}")
    Console().print(table)


if __name__ == "__main__":
    main()
