"""Parts to hand in: one that notes how it is called, and plain ones that are no class of torch's.

    watched = student.library.Watched(student.library.CausalSelfAttention)
    student.TransformerBlock(config, student.library.parts(CausalSelfAttention=watched))
    watched.calls[0]["dropout"]               # what the block asked for

They say whether a model is really built from what it was handed. None of them is of use in a model that is to learn.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from autograder.minigpt.config import Positions

__all__ = ["PlainEmbedding", "PlainNorm", "Watched"]


class Watched:
    """Stands in for a class or a function. `calls` has the arguments of each call by name, defaults among them."""

    def __init__(self, part: Callable[..., Any]) -> None:
        self.calls: list[dict[str, Any]] = []
        self._part = part
        self._signature = inspect.signature(part)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        bound = self._signature.bind(*arguments, **keywords)
        bound.apply_defaults()
        self.calls.append(dict(bound.arguments))
        return self._part(*arguments, **keywords)


class PlainNorm(nn.Module):
    """Scales and shifts, and normalizes nothing: `x * weight + bias`. Fits where LayerNorm or RMSNorm does."""

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((d_model,), 2.0))
        self.bias = nn.Parameter(torch.ones(d_model)) if bias else None

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        return x * self.weight if self.bias is None else x * self.weight + self.bias


class _Table(nn.Module):
    """A row for every id, as in assignment 03: a parameter, and no `nn.Embedding`."""

    def __init__(self, rows: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(rows, d_model))

    def forward(self, ids: Int[Tensor, "..."]) -> Float[Tensor, "... d_model"]:
        return nn.functional.embedding(ids, self.weight)


class PlainEmbedding(nn.Module):
    """An `InputEmbedding` with learned positions, whatever is asked for, made of tables that are no `nn.Embedding`."""

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        max_positions: int,
        positions: Positions = "learned",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.tokens = _Table(vocab_size, d_model)
        self.positions = _Table(max_positions, d_model)

    def forward(self, ids: Int[Tensor, "batch time"], *, start: int = 0) -> Float[Tensor, "batch time d_model"]:
        vectors: Tensor = self.tokens(ids) + self.positions(torch.arange(start, start + ids.shape[-1]))
        return vectors
