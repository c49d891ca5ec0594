"""What the benchmarks measure is what they say: the baseline is a GPT, turns are whole, tokenizers agree."""

from __future__ import annotations

import importlib
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import datasets

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmarks() -> Iterator[dict[str, ModuleType]]:
    """Some of the scripts, imported as they import each other. An assignment's module may have the same name."""
    names = ("plain_gpt", "training", "byte_pairs", "shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        aside = {name: sys.modules.pop(name) for name in names if name in sys.modules}
        yield {name: importlib.import_module(name) for name in names}
        for name in names:
            del sys.modules[name]
        sys.modules.update(aside)


def test_the_plain_gpt_learns_and_never_looks_ahead(benchmarks: dict[str, ModuleType]) -> None:
    plain = benchmarks["plain_gpt"]
    sizes = plain.Sizes(width=32, layers=2, heads=2, block=16, batch=4, steps=40)
    ids = torch.arange(500) % 7
    torch.manual_seed(0)
    model = plain.PlainGPT(7, sizes)
    losses = [loss.item() for loss in plain.updates(model, ids, sizes)]
    assert len(losses) == 40
    assert losses[0] == pytest.approx(math.log(7), abs=0.3)
    assert losses[-1] < 0.7 * losses[0]
    x = ids[:16][None]
    changed = x.clone()
    changed[0, 9:] = (changed[0, 9:] + 1) % 7
    assert torch.allclose(model(x)[0, :9], model(changed)[0, :9], atol=1e-5)
    assert not torch.allclose(model(x)[0, 9:], model(changed)[0, 9:])


def test_the_plain_gpts_learning_rate_is_nanogpts(benchmarks: dict[str, ModuleType]) -> None:
    rate = benchmarks["plain_gpt"].learning_rate
    assert rate(99, 2000) == pytest.approx(1e-3 * 100 / 101)
    assert (rate(100, 2000), rate(1050, 2000), rate(2000, 2000)) == pytest.approx((1e-3, 5.5e-4, 1e-4))


def test_turns_end_each_way_once_and_share_the_clock(benchmarks: dict[str, ModuleType]) -> None:
    """Also where a way has fewer steps than there are turns, or one was made before."""
    training, made = benchmarks["training"], []

    def steps(name: str, count: int) -> Iterator[None]:
        for _ in range(count):
            made.append(name)
            yield

    ways = {name: training.Way(steps(name, n), n, 10, nn.Module) for name, n in {"a": 40, "b": 7, "c": 3}.items()}
    ways["a"].first = training.seconds_of(ways["a"], 1, "cpu")
    assert training.take_turns(ways, 5, math.inf, "cpu")
    assert {name: made.count(name) for name in ways} == {"a": 40, "b": 7, "c": 3}
    assert {name: (way.done, len(way.rates)) for name, way in ways.items()} == {"a": (40, 5), "b": (7, 5), "c": (3, 3)}
    assert made.index("b") < 10  # the first turn is shared
    assert not training.take_turns(ways, 5, time.perf_counter(), "cpu")


def test_an_estimate_of_a_model_that_knows_nothing_is_known(benchmarks: dict[str, ModuleType]) -> None:
    class Uniform(nn.Module):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return torch.zeros(*ids.shape, 5)

    training, sizes = benchmarks["training"], benchmarks["plain_gpt"].Sizes(block=8, batch=3)
    found = training.estimates(Uniform(), torch.arange(100) % 5, sizes)
    assert found == [pytest.approx(math.log(5))] * training.ESTIMATES


def test_all_tokenizers_agree_and_a_table_of_tokens_gives_its_merges(benchmarks: dict[str, ModuleType]) -> None:
    byte_pairs = benchmarks["byte_pairs"]
    text = datasets.load("stories").train[:20_000] + "naïve 猫 \x00 42!!"
    seconds, merges, same = byte_pairs.learn(text, 1)
    assert seconds.keys() == {"reference", "tokenizers"}
    assert 20 < same <= len(merges)
    tokens = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    assert byte_pairs.merges_of({token: rank for rank, token in enumerate(tokens)}) == merges
    assert byte_pairs.encode(text, dict(enumerate(tokens)), merges, 1).keys() == set(byte_pairs.WAYS)  # or it fails
    assert byte_pairs.recounting(text[:3000], 300) == byte_pairs.reference_parts().train_bpe(text[:3000], 300)[1]
