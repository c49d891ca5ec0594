"""Where a MiniGPT's parameters are: a table of numbers by part, beside GPT-2's and GPT-3's.

    sizes(GPT2).total                   # 124439808
    sizes(GPT2).by_part["attention"]    # 28348416, of all twelve layers

Counted on a model without memory, made of library parts: whose parts they are changes nothing in their sizes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch

from .config import GPTConfig
from .library import library_parts

GPT2 = GPTConfig(vocab_size=50257, context_length=1024, d_model=768, n_layers=12, n_heads=12)
"""Radford et al. 2019, the smallest of table 2; vocabulary and context as in section 2.3."""
GPT3 = GPTConfig(vocab_size=50257, context_length=2048, d_model=12288, n_layers=96, n_heads=96)
"""Brown et al. 2020, table 2.1. Its alternating sparse attention has the same parameters."""

PARTS = ("token embedding", "positions", "attention", "feed-forward", "norms", "head")


@dataclass(frozen=True)
class Sizes:
    """Numbers of parameters, by the names of `PARTS`. A head that is tied to the embedding has none of its own."""

    by_part: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_part.values())


def sizes(config: GPTConfig) -> Sizes:
    """How many parameters each part has, in all layers together."""
    parts = library_parts()
    with torch.device("meta"):
        model = parts.GPT(config, parts)
    counted = Counter(dict.fromkeys(PARTS, 0))
    for name, parameter in model.named_parameters():  # one that is shared comes once, where it is first
        counted[_part_of(name)] += parameter.numel()
    return Sizes(dict(counted))


def _part_of(name: str) -> str:
    """blocks.3.attention.qkv_proj.weight -> attention"""
    if ".attention." in name:
        return "attention"
    if ".feed_forward." in name:
        return "feed-forward"
    if "norm" in name:
        return "norms"
    if name.startswith("lm_head"):
        return "head"
    return "token embedding" if ".token" in name else "positions"
