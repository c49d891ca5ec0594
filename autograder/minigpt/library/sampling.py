"""Library part for assignment 07: choosing the next token, writing text, perplexity.

One sequence per row, no beam search. Filters are those of Fan et al. 2018 (top-k), Holtzman et al. 2020 (top-p) and
Nguyen et al. 2024 (min-p); the penalty is that of CTRL (Keskar et al. 2019, section 4.1).

    >>> top_k_filter(torch.tensor([1.0, 3.0, 2.0]), 2)
    tensor([-inf, 3., 2.])
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from .. import protocols
from .common import at_least, evaluating, probability, wide


def greedy(logits: Float[Tensor, "... vocab"]) -> Int[Tensor, "..."]:
    """The likeliest id; of several, the lowest."""
    return logits.max(-1, keepdim=True).values.eq(logits).int().argmax(-1)


def apply_temperature(logits: Float[Tensor, "... vocab"], temperature: float) -> Float[Tensor, "... vocab"]:
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive, got {temperature}")
    return logits.div(temperature)


def top_k_filter(logits: Float[Tensor, "... vocab"], k: int) -> Float[Tensor, "... vocab"]:
    """Keep the tokens at least as likely as the k-th."""
    at_least(1, k=k)
    place_from_below = max(logits.shape[-1] - k, 0) + 1
    return _keep(logits, logits.ge(logits.kthvalue(place_from_below, -1, keepdim=True).values))


def top_p_filter(logits: Float[Tensor, "... vocab"], p: float) -> Float[Tensor, "... vocab"]:
    """Keep the shortest run of the likeliest tokens whose mass reaches p."""
    probability(p=p)
    if p == 0:
        raise ValueError("p must be above 0, got 0")
    order = torch.sort(logits, dim=-1, descending=True, stable=True)
    mass = F.softmax(order.values, -1, dtype=wide(logits.dtype)).cumsum(-1)
    n_kept = mass.lt(p).sum(-1, keepdim=True) + 1
    place = order.indices.argsort(-1)  # each token's place in the order
    return _keep(logits, place.lt(n_kept))


def min_p_filter(logits: Float[Tensor, "... vocab"], p: float) -> Float[Tensor, "... vocab"]:
    """Keep the tokens with at least p times the greatest probability: those within log(1/p) of the greatest logit."""
    probability(p=p)
    values = logits.to(wide(logits.dtype))
    floor = values.amax(-1, keepdim=True) + (math.log(p) if p > 0 else -math.inf)
    return _keep(logits, values.ge(floor))


def repetition_penalty(
    logits: Float[Tensor, "... vocab"], ids: Int[Tensor, "... time"], penalty: float
) -> Float[Tensor, "... vocab"]:
    """Divide the positive logits of the ids that are there by `penalty`, multiply the negative ones."""
    if not 0 < penalty < math.inf:
        raise ValueError(f"penalty must be positive, got {penalty}")
    if ids.numel() and not (ids.min() >= 0 and ids.max() < logits.shape[-1]):
        raise IndexError(f"ids must be from 0 to {logits.shape[-1] - 1}, got {ids.min()} to {ids.max()}")
    everywhere = ids.expand(*logits.shape[:-1], ids.shape[-1])
    present = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, everywhere, True)
    return logits.where(~present, logits.relu() / penalty - (-logits).relu() * penalty)


def sample_token(
    logits: Float[Tensor, "... vocab"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "..."]:
    """Draw from what temperature, top-k, top-p and min-p leave, in that order; temperature 0 is `greedy`."""
    scaled = logits if temperature == 0 else apply_temperature(logits, temperature)
    scaled = scaled if top_k is None else top_k_filter(scaled, top_k)
    scaled = scaled if top_p is None else top_p_filter(scaled, top_p)
    scaled = scaled if min_p is None else min_p_filter(scaled, min_p)
    if temperature == 0:
        return greedy(scaled)
    chances = F.softmax(scaled, -1, dtype=wide(scaled.dtype)).reshape(-1, scaled.shape[-1])
    return torch.multinomial(chances, 1, generator=generator).reshape(scaled.shape[:-1])


def generate(
    model: nn.Module,
    ids: Int[Tensor, "batch time"],
    max_new_tokens: int,
    *,
    context_length: int,
    stop_id: int | None = None,
    use_cache: bool = False,
    generator: torch.Generator | None = None,
    penalty: float = 1.0,
    sample: protocols.SampleToken = sample_token,
    **sampling: Any,
) -> Int[Tensor, "batch longer"]:
    """The prompt and up to `max_new_tokens` more. `sample` is where a student's `sample_token` is plugged in."""
    at_least(1, context_length=context_length, prompt_length=ids.shape[1])
    at_least(0, max_new_tokens=max_new_tokens)
    inspect.signature(sample_token).bind(None, **sampling)  # an unknown option is a TypeError, whatever happens next
    running = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
    cache: list[protocols.KVCache] | None = None
    with evaluating(model):
        for _ in range(max_new_tokens):
            window = ids[:, -context_length:]
            if not use_cache or ids.shape[1] > context_length:
                logits = model(window)[:, -1]  # a full window moves on, and every position in it changes
            else:
                fresh = window if cache is None else window[:, -1:]
                cache = model.new_cache() if cache is None else cache  # type: ignore[operator]
                logits = model(fresh, cache=cache)[:, -1]
            if penalty != 1.0:
                logits = repetition_penalty(logits, window, penalty)
            drawn = sample(logits, generator=generator, **sampling)  # (batch,)
            if stop_id is not None:
                drawn = drawn.where(running, stop_id)
                running = drawn.ne(stop_id)
            ids = torch.cat([ids, drawn.unsqueeze(1)], dim=1)
            if not running.any():
                break
    return ids


def perplexity(model: nn.Module, ids: Int[Tensor, " time"], context_length: int) -> float:
    """`exp` of the mean loss over `ids[1:]`, in windows that follow each other without overlap."""
    at_least(1, context_length=context_length)
    if len(ids) < 2:
        raise ValueError(f"ids must hold at least two tokens, got {len(ids)}")
    total = torch.zeros((), dtype=torch.float64)
    with evaluating(model):
        for x, y in zip(*(torch.split(part, context_length) for part in (ids[:-1], ids[1:])), strict=True):
            logits = model(x.unsqueeze(0)).squeeze(0)
            total += F.cross_entropy(logits.to(wide(logits.dtype)), y, reduction="sum").cpu()
    return total.div(len(ids) - 1).exp().item()


def _keep(logits: Float[Tensor, "... vocab"], kept: Tensor) -> Float[Tensor, "... vocab"]:
    return logits.masked_fill(kept.logical_not(), -math.inf)
