"""Library part for assignment 03: token and position vectors, from `torch.nn.Embedding` and complex numbers.

Token vectors are not scaled by the square root of `d_model`. RoPE adds nothing to the embedding: it turns queries and
keys inside attention (Su et al. 2021, RoFormer, section 3.2.2). The sinusoids are those of Vaswani et al. 2017,
section 3.5.

    >>> InputEmbedding(vocab_size=65, d_model=8, max_positions=16)(torch.zeros(2, 5, dtype=torch.int64)).shape
    torch.Size([2, 5, 8])
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

from ..config import Positions
from .common import at_least, wide


class TokenEmbedding(nn.Embedding):
    """`nn.Embedding` that starts as N(0, 0.02^2); ids of any shape get a last axis of `d_model`."""

    def __init__(self, vocab_size: int, d_model: int) -> None:
        at_least(1, vocab_size=vocab_size, d_model=d_model)
        super().__init__(vocab_size, d_model)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.02)


class LearnedPositions(TokenEmbedding):
    """A vector to learn for every position below `max_positions`."""

    def __init__(self, max_positions: int, d_model: int) -> None:
        at_least(1, max_positions=max_positions)
        super().__init__(max_positions, d_model)


def sinusoidal_positions(n_positions: int, d_model: int) -> Float[Tensor, "positions d_model"]:
    """Sines at even columns, cosines at odd ones."""
    at_least(1, n_positions=n_positions, d_model=d_model)
    if d_model % 2:
        raise ValueError(f"d_model must be even for sinusoidal positions, got {d_model}")
    unit = _unit_circle(torch.arange(n_positions), d_model, 10000.0, torch.float64)  # (positions, d_model / 2)
    return torch.view_as_real(unit).flip(-1).flatten(-2).float()


def apply_rope(
    x: Float[Tensor, "... time dim"], positions: Int[Tensor, "... time"], theta: float = 10000.0
) -> Float[Tensor, "... time dim"]:
    """Turn each pair (2i, 2i+1) of a vector at position m by the angle `m / theta**(2i/dim)`.

    Positions are `[time]`, or `[batch, time]`; the heads of an `x` of `[batch, heads, time, dim]` share them.
    """
    dim = x.shape[-1]
    if dim % 2:
        raise ValueError(f"dim, the last axis of x, must be even for RoPE, got {dim}")
    turns = _unit_circle(positions.to(x.device), dim, theta, wide(x.dtype))  # (time, pairs) or (batch, time, pairs)
    if positions.ndim > 1:
        turns = torch.unflatten(turns, 0, (-1,) + (1,) * (x.ndim - turns.ndim))  # (batch, 1, time, pairs)
    pairs = torch.view_as_complex(torch.unflatten(x.to(wide(x.dtype)), -1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)


class InputEmbedding(nn.Module):
    """Token vectors, plus positions where those are added, then dropout."""

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        max_positions: int,
        positions: Positions = "learned",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.tokens = TokenEmbedding(vocab_size, d_model)
        self.positions: LearnedPositions | Tensor | None
        if positions == "learned":
            self.positions = LearnedPositions(max_positions, d_model)
        elif positions == "sinusoidal":
            self.register_buffer("positions", sinusoidal_positions(max_positions, d_model), persistent=False)
        elif positions == "rope":
            self.positions = None
        else:
            raise ValueError(f"positions must be learned, sinusoidal or rope, got {positions!r}")
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Int[Tensor, "batch time"], *, start: int = 0) -> Float[Tensor, "batch time d_model"]:
        at_least(0, start=start)
        vectors: Tensor = self.tokens(ids)
        if self.positions is not None:
            where = torch.arange(start, start + ids.shape[-1], device=ids.device)
            table = self.positions if isinstance(self.positions, Tensor) else self.positions.weight
            vectors = vectors + F.embedding(where, table)  # a position past the table's end is an IndexError
        dropped: Tensor = self.dropout(vectors)
        return dropped


def _unit_circle(
    positions: Int[Tensor, "... time"], dim: int, theta: float, dtype: torch.dtype
) -> Complex[Tensor, "... time pairs"]:
    """e^(i * angle) for every position and every pair of columns."""
    if theta <= 0:
        raise ValueError(f"theta must be positive, got {theta}")
    exponents = torch.arange(0, dim, 2, device=positions.device, dtype=dtype) / dim
    angles = positions.to(dtype).unsqueeze(-1) * torch.pow(theta, -exponents)  # (..., time, pairs)
    return torch.polar(torch.ones_like(angles), angles)
