"""Library part for assignment 05: norms, feed-forward layers, blocks and the whole model, around `torch.nn`.

A block and a model are handed `parts` and build themselves from those, so that a student's attention or norm can stand
in for the library's. A fresh `GPT` has torch's own initial weights: `init_weights` sets the usual ones.

    >>> from autograder.minigpt.library import library_parts
    >>> config = GPTConfig(vocab_size=11, d_model=8, n_heads=2, n_layers=1)
    >>> GPT(config, library_parts())(torch.zeros(2, 5, dtype=torch.int64)).shape
    torch.Size([2, 5, 11])
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from .. import protocols
from ..config import GPTConfig
from .attention import CausalSelfAttention, KVCache
from .common import at_least, wide
from .embeddings import InputEmbedding, apply_rope


class LayerNorm(nn.LayerNorm):
    """`nn.LayerNorm`, computed in at least float32."""

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True) -> None:
        at_least(1, d_model=d_model)
        super().__init__(d_model, eps=eps, bias=bias)

    def forward(self, input: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        kind = wide(input.dtype)
        bias = None if self.bias is None else self.bias.to(kind)
        normed = F.layer_norm(input.to(kind), self.normalized_shape, self.weight.to(kind), bias, self.eps)
        return normed.to(input.dtype)


class RMSNorm(nn.RMSNorm):
    """`nn.RMSNorm`, computed in at least float32."""

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        at_least(1, d_model=d_model)
        super().__init__(d_model, eps=eps)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        kind = wide(x.dtype)
        return F.rms_norm(x.to(kind), self.normalized_shape, self.weight.to(kind), self.eps).to(x.dtype)


def gelu(x: Float[Tensor, "..."], approximate: Literal["none", "tanh"] = "none") -> Float[Tensor, "..."]:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be none or tanh, got {approximate!r}")
    return F.gelu(x, approximate=approximate)


def silu(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    return F.silu(x)


class FeedForward(nn.Module):
    """Up, exact GELU, down, dropout."""

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        at_least(1, d_model=d_model, d_ff=d_ff)
        self.up = nn.Linear(d_model, d_ff, bias=bias)
        self.down = nn.Linear(d_ff, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        lowered: Tensor = self.down(F.gelu(self.up(x)))
        return F.dropout(lowered, self.dropout.p, self.training)


class SwiGLU(nn.Module):
    """A feed-forward layer whose SiLU half gates the other (Shazeer 2020, section 2)."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        at_least(1, d_model=d_model, d_ff=d_ff)
        self.gate, self.up = (nn.Linear(d_model, d_ff, bias=False) for _ in range(2))
        self.down = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        lowered: Tensor = self.down(torch.mul(F.silu(self.gate(x)), self.up(x)))
        return lowered


class TransformerBlock(nn.Module):
    """Attention and feed-forward, each with a norm and a way around."""

    def __init__(self, config: GPTConfig, parts: protocols.ModelParts) -> None:
        super().__init__()
        self.pre_norm = config.norm_position == "pre"
        self.norm1, self.norm2 = make_norm(config, parts), make_norm(config, parts)
        rotates = config.positions == "rope"
        self.attention = parts.CausalSelfAttention(
            config.d_model,
            config.n_heads,
            dropout=config.dropout,
            bias=config.bias,
            rope=functools.partial(parts.apply_rope, theta=config.rope_theta) if rotates else None,
        )
        if config.ffn == "swiglu":
            self.feed_forward = parts.SwiGLU(config.d_model, config.d_ff)
        else:
            self.feed_forward = parts.FeedForward(config.d_model, config.d_ff, config.dropout, config.bias)

    def forward(
        self,
        x: Float[Tensor, "batch time d_model"],
        *,
        cache: protocols.KVCache | None = None,
        return_weights: bool = False,
    ) -> protocols.AttentionOutput:
        weights: list[Tensor] = []

        def attend(value: Tensor) -> Tensor:
            answer = self.attention(value, cache=cache, return_weights=return_weights)
            output: Tensor = answer[0] if return_weights else answer
            weights.extend(answer[1:] if return_weights else ())
            return output

        x = self._around(x, self.norm1, attend)
        x = self._around(x, self.norm2, self.feed_forward)
        return (x, weights[0]) if return_weights else x

    def _around(self, x: Tensor, norm: nn.Module, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        result: Tensor = x.add(sublayer(norm(x))) if self.pre_norm else norm(x.add(sublayer(x)))
        return result


class GPT(nn.Module):
    """Input embedding, blocks, a final norm, and a linear head over the vocabulary."""

    def __init__(self, config: GPTConfig, parts: protocols.ModelParts) -> None:
        super().__init__()
        self.config = config
        self.embedding = parts.InputEmbedding(
            config.vocab_size, config.d_model, config.context_length, config.positions, config.dropout
        )
        self.blocks = nn.ModuleList([parts.TransformerBlock(config, parts) for _ in range(config.n_layers)])
        self.final_norm = make_norm(config, parts)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.embedding.get_submodule("tokens").weight  # type: ignore[assignment]
        self._make_cache = parts.KVCache

    def new_cache(self) -> list[protocols.KVCache]:
        """An empty cache for every block."""
        return [self._make_cache() for _ in self.blocks]

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        *,
        cache: list[protocols.KVCache] | None = None,
        return_weights: bool = False,
    ) -> Float[Tensor, "batch time vocab"] | tuple[Float[Tensor, "batch time vocab"], list[Tensor]]:
        start = cache[0].length if cache is not None else 0
        if start + ids.shape[1] > self.config.context_length:
            raise ValueError(
                f"context_length is {self.config.context_length}, got {ids.shape[1]} ids after {start} cached ones"
            )
        x = self.embedding(ids, start=start)  # (batch, time, d_model)
        weights: list[Tensor] = []
        for block, layer_cache in zip(self.blocks, cache or itertools.repeat(None), strict=False):
            x = block(x, cache=layer_cache, return_weights=return_weights)
            if return_weights:
                x, layer_weights = x
                weights.append(layer_weights)
        logits: Tensor = self.lm_head(self.final_norm(x))
        return (logits, weights) if return_weights else logits


def make_norm(config: GPTConfig, parts: protocols.ModelParts) -> nn.Module:
    """The norm that the config asks for."""
    if config.norm == "rmsnorm":
        return parts.RMSNorm(config.d_model)
    return parts.LayerNorm(config.d_model, bias=config.bias)


def init_weights(
    model: nn.Module, n_layers: int, scheme: Literal["gpt2", "xavier"] = "gpt2", std: float = 0.02
) -> None:
    """Fresh weights, in place: N(0, std^2), but smaller where a layer writes to the residual stream (GPT-2, 2.3)."""
    at_least(1, n_layers=n_layers)
    if scheme not in ("gpt2", "xavier"):
        raise ValueError(f"scheme must be gpt2 or xavier, got {scheme!r}")
    if std < 0:
        raise ValueError(f"std must not be negative, got {std}")
    tables = {module.weight for module in model.modules() if _is_table(module)}
    for name, parameter in model.named_parameters():  # a tied head comes once, under the embedding's name
        if parameter.ndim < 2:
            nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)
        elif scheme == "xavier" and parameter not in tables:
            nn.init.xavier_uniform_(parameter)
        elif scheme == "gpt2" and name.endswith(("out_proj.weight", "down.weight")):
            nn.init.normal_(parameter, std=std / math.sqrt(2 * n_layers))
        else:
            nn.init.normal_(parameter, std=std)


def _is_table(module: nn.Module) -> bool:
    """Whether a module holds a table of embeddings: a weight with two axes, and not a linear layer."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, nn.Parameter) and weight.ndim == 2 and not isinstance(module, nn.Linear)


def count_parameters(config: GPTConfig) -> int:
    """Counted on a model without memory. GPT-2's smallest has 124,439,808."""
    own = (InputEmbedding, apply_rope, CausalSelfAttention, KVCache, LayerNorm, RMSNorm, FeedForward, SwiGLU)
    parts = SimpleNamespace(TransformerBlock=TransformerBlock, **{part.__name__: part for part in own})
    with torch.device("meta"):
        model = GPT(config, cast(protocols.ModelParts, parts))
    return sum(parameter.numel() for parameter in model.parameters())
