"""Library part for assignment 04: causal self-attention around `torch.nn.functional.scaled_dot_product_attention`.

Masks are boolean, and True means "may attend". There is no cross-attention, and no attention with fewer key heads than
query heads.

    >>> CausalSelfAttention(d_model=8, n_heads=2)(torch.zeros(1, 3, 8)).shape
    torch.Size([1, 3, 8])
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .. import protocols
from .common import at_least, divisible


def softmax(x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """torch's own."""
    return F.softmax(x, dim)


def causal_mask(n_queries: int, n_keys: int | None = None) -> Bool[Tensor, "queries keys"]:
    """True where a query may see a key; the queries are the last positions.

    >>> causal_mask(2, 3).tolist()
    [[True, True, False], [True, True, True]]
    """
    keys = n_queries if n_keys is None else n_keys
    at_least(1, n_queries=n_queries, n_keys=keys)
    if keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries, got n_keys={keys} and n_queries={n_queries}")
    return nn.Transformer.generate_square_subsequent_mask(keys)[-n_queries:].eq(0)


def scaled_dot_product_attention(
    q: Float[Tensor, "... queries d_k"],
    k: Float[Tensor, "... keys d_k"],
    v: Float[Tensor, "... keys d_v"],
    mask: Bool[Tensor, "... queries keys"] | None = None,
) -> tuple[Float[Tensor, "... queries d_v"], Float[Tensor, "... queries keys"]]:
    """torch's own, and its weights: what comes out when the values are the identity."""
    if mask is None:
        weights = F.scaled_dot_product_attention(q, k, _identity(k))
        return weights @ v, weights
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be boolean (True: may attend), got {mask.dtype}")
    blind = ~mask.any(-1, keepdim=True)  # queries that may attend to nothing
    allowed = torch.broadcast_to(mask | blind, (*q.shape[:-1], k.shape[-2]))
    weights = F.scaled_dot_product_attention(q, k, _identity(k), attn_mask=allowed).masked_fill(blind, 0)
    return weights @ v, weights


def split_heads(x: Float[Tensor, "... time d_model"], n_heads: int) -> Float[Tensor, "... heads time head_dim"]:
    divisible(x.shape[-1], n_heads)
    return torch.unflatten(x, -1, (n_heads, -1)).transpose(-3, -2)


def merge_heads(x: Float[Tensor, "... heads time head_dim"]) -> Float[Tensor, "... time d_model"]:
    return x.transpose(-3, -2).flatten(-2)


class KVCache:
    """Keys and values so far, with room for more: a new position is written into it, and nothing is copied.

    When the room is full, it is made twice as long as what is there. No gradients flow through it.
    """

    def __init__(self) -> None:
        self.length = 0
        self._room: list[Tensor] = []  # of keys and of values: (batch, heads, more than length, head_dim)

    def append(
        self, k: Float[Tensor, "batch heads time head_dim"], v: Float[Tensor, "batch heads time head_dim"]
    ) -> tuple[Float[Tensor, "batch heads keys head_dim"], Float[Tensor, "batch heads keys head_dim"]]:
        start, self.length = self.length, self.length + k.shape[-2]
        new = (k.detach(), v.detach())
        if not self._room or self._room[0].shape[-2] < self.length:
            old = [room[..., :start, :] for room in self._room] or [each[..., :0, :] for each in new]
            self._room = [F.pad(each, (0, 0, 0, 2 * self.length - start)) for each in old]
        for room, each in zip(self._room, new, strict=True):
            room[..., start : self.length, :] = each
        return self._room[0][..., : self.length, :], self._room[1][..., : self.length, :]


class CausalSelfAttention(nn.Module):
    """Every position attends to itself and to those before it. `rope` is a callable `(x, positions) -> x`."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        dropout: float = 0.0,
        bias: bool = True,
        rope: protocols.Rotate | None = None,
    ) -> None:
        super().__init__()
        divisible(d_model, n_heads)
        self.n_heads = n_heads
        self.rope = rope
        self.qkv_proj = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch time d_model"],
        *,
        positions: Int[Tensor, " time"] | None = None,
        cache: protocols.KVCache | None = None,
        return_weights: bool = False,
    ) -> protocols.AttentionOutput:
        q, k, v = torch.unflatten(self.qkv_proj(x), -1, (3, self.n_heads, -1)).movedim((-3, -2), (0, 2))
        if self.rope is not None:  # q, k, v: (batch, heads, time, head_dim)
            if positions is None:
                positions = torch.arange(x.shape[1], device=x.device) + (0 if cache is None else cache.length)
            q, k = self.rope(q, positions), self.rope(k, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        square = q.shape[-2] == k.shape[-2]
        alone = q.shape[-2] == 1  # the newest token sees all, so it needs no mask
        mask = None if square or alone else causal_mask(q.shape[-2], k.shape[-2]).to(x.device)
        attend = functools.partial(F.scaled_dot_product_attention, attn_mask=mask, is_causal=square)
        rate = self.dropout.p if self.training else 0.0
        mixed = attend(q, k, v, dropout_p=rate)
        output: Tensor = self.dropout(self.out_proj(merge_heads(mixed)))
        if not return_weights:
            return output
        return output, attend(q, k, _identity(k))


def _identity(k: Float[Tensor, "... keys d_k"]) -> Float[Tensor, "... keys keys"]:
    n_keys = k.shape[-2]
    return torch.eye(n_keys, dtype=k.dtype, device=k.device).expand(*k.shape[:-1], n_keys)
