"""Tokens per second with and without the KV cache, side by side: python benchmarks/generation.py [--repetitions N]

Writes at temperature 0 with a fresh model of context 256, by turns with the cache and without it: first with all
library parts, then with all reference parts. Without options the model has the width and depth of nanoGPT's
configuration for a processor; `--layers 6 --heads 6 --width 384` is that for a GPU. What is written:

    from the first token    254 tokens after a prompt of one and a first token: the window grows from 2 to 256
    the window nearly full  the last 30 tokens of the window
    beyond the context      8 tokens after a full window: every token moves it, so the cache cannot help
    8 prompts at once       the last 30 tokens of the window, for a batch of 8; tokens of all eight are counted

The first token is not counted: both ways read the prompt for it. Both must write the same tokens, or this ends with
an error; the weights are far enough apart that rounding does not matter. Behind the table stands how much of a token's
time with the cache, the window nearly full, is a call of the model, and not the choosing and joining of tokens. One
thread of torch; figures are medians.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from rich.box import MARKDOWN
from rich.progress import Progress
from rich.table import Table
from shared import machine, reference_parts, wide_console
from torch import Tensor, nn

from autograder.minigpt.config import GPTConfig
from autograder.minigpt.library import library_parts
from autograder.minigpt.model import build_model
from autograder.minigpt.parts import Parts

CONTEXT = 256
WAYS = {
    "from the first token": (1, 1, 254),
    "the window nearly full": (1, 225, 30),
    "beyond the context": (1, 256, 8),
    "8 prompts at once": (8, 225, 30),
}  # name: prompts, tokens in each, tokens to write after the first


def sharp_model(config: GPTConfig, parts: Parts) -> nn.Module:
    """A model whose weights are drawn, and so far apart that rounding does not change the likeliest token."""
    torch.manual_seed(0)
    model = build_model(config, parts)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)
    return model.eval()


def measure(model: nn.Module, parts: Parts, way: tuple[int, int, int], repetitions: int) -> tuple[float, float]:
    """Tokens per second with the cache and without, in turns. The first turn of each is not counted."""
    n_prompts, n_given, n_new = way
    prompts = torch.randint(65, (n_prompts, n_given), generator=torch.Generator().manual_seed(1))
    times: dict[bool, list[float]] = {True: [], False: []}

    def write(count: int, use_cache: bool) -> tuple[Tensor, float]:
        started = time.perf_counter()
        ids = parts.generate(model, prompts, count, context_length=CONTEXT, use_cache=use_cache, temperature=0)
        return ids, time.perf_counter() - started

    for repetition in range(repetitions + 1):
        written = {}
        for use_cache in (True, False):
            _, first = write(1, use_cache)
            written[use_cache], whole = write(n_new + 1, use_cache)
            if repetition > 0:
                times[use_cache].append(whole - first)
        assert torch.equal(written[True], written[False]), "the two ways write different tokens"
    cached, plain = (n_prompts * n_new / statistics.median(times[use_cache]) for use_cache in (True, False))
    return cached, plain


def step_seconds(model: nn.Module, repetitions: int) -> float:
    """Of a call of the model with one token, while its cache grows to a full window."""
    ids = torch.zeros(1, 226, dtype=torch.int64)
    seconds = []
    with torch.no_grad():
        for _ in range(repetitions):
            cache = model.new_cache()  # type: ignore[operator]
            model(ids, cache=cache)
            for _ in range(30):
                started = time.perf_counter()
                model(ids[:, -1:], cache=cache)
                seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    options = parser.parse_args()
    config = GPTConfig(
        vocab_size=65,
        context_length=CONTEXT,
        d_model=options.width,
        n_layers=options.layers,
        n_heads=options.heads,
        bias=False,
    )
    torch.set_num_threads(1)
    console = wide_console()
    console.print(machine(), soft_wrap=True)
    table = Table(
        title=f"tokens per second, {config.n_layers} layers, {config.d_model} wide, context {CONTEXT}, "
        f"{options.repetitions} repetitions",
        box=MARKDOWN,
    )
    for column in ("parts", "", "with the cache", "recomputing", "times"):
        table.add_column(column, justify="left" if column in ("parts", "") else "right")
    notes = []
    with Progress(transient=True) as progress:
        bar = progress.add_task("", total=2 * len(WAYS))
        for whose, parts in {"library": library_parts(), "reference": reference_parts()}.items():
            model = sharp_model(config, parts)
            for name, way in WAYS.items():
                progress.update(bar, description=f"{whose}: {name}")
                cached, plain = measure(model, parts, way, options.repetitions)
                table.add_row(whose, name, f"{cached:,.0f}", f"{plain:,.0f}", f"{cached / plain:.1f}")
                if name == "the window nearly full":
                    share = step_seconds(model, options.repetitions) * cached
                    notes.append(f"{whose}: {1000 / cached:.2f} ms a token with the cache, {share:.0%} in the model")
                progress.advance(bar)
    console.print(table)
    console.print("\n".join(notes))


if __name__ == "__main__":
    main()
