"""Right versions of assignment 07 that differ from the reference. Each must get full marks.

Each takes the place of the reference's symbol of the name `replaces`; those with the same `name` go together. Nothing
in here is ever imported: `autograder.variants` reads it.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from sampling import (
    apply_temperature,
    evaluating,
    greedy,
    min_p_filter,
    repetition_penalty,
    sample_token,
    top_k_filter,
    top_p_filter,
)

from autograder.variants import alternative


def filtered(logits, temperature, top_k, top_p, min_p):
    """The logits that are left to draw from, by the module's own filters."""
    for choose, setting in ((top_k_filter, top_k), (top_p_filter, top_p), (min_p_filter, min_p)):
        if choose is top_k_filter:
            logits = apply_temperature(logits, temperature)
        if setting is not None:
            logits = choose(logits, setting)
    return logits


# --- greedy and temperature ------------------------------------------------------------------------------------------


@alternative(name="greedy by comparing", replaces="greedy", says="the first place where the largest logit is")
def greedy_by_comparing(logits):
    return (logits == logits.max(dim=-1, keepdim=True).values).float().argmax(dim=-1)


@alternative(name="greedy by comparing", replaces="apply_temperature", says="multiplies by one over the temperature")
def temperature_as_a_factor(logits, temperature):
    if temperature <= 0:
        raise ValueError("use greedy for temperature 0; negative temperatures do not exist")
    return torch.mul(logits, 1 / temperature)


@alternative(name="greedy by sorting", replaces="greedy", says="a stable sort; the first one wins")
def greedy_by_sorting(logits):
    return torch.sort(logits, dim=-1, descending=True, stable=True).indices[..., 0]


@alternative(name="greedy by sorting", replaces="apply_temperature", says="divides a copy in place")
def temperature_of_a_copy(logits, temperature):
    if temperature > 0:
        cooled = logits.clone()
        cooled /= temperature
        return cooled
    raise ValueError(f"a temperature of {temperature} is not positive")


# --- filters ---------------------------------------------------------------------------------------------------------


@alternative(replaces="top_k_filter", says="kthvalue, counted from below")
def top_k_by_kthvalue(logits, k):
    if k <= 0:
        raise ValueError(f"top_k keeps at least one token, not k={k}")
    vocab = logits.shape[-1]
    if k >= vocab:
        return logits
    threshold = logits.kthvalue(vocab - k + 1, dim=-1, keepdim=True).values
    return torch.where(logits >= threshold, logits, -torch.inf)


@alternative(replaces="top_k_filter", says="counts, for each token, how many are likelier")
def top_k_by_counting(logits, k):
    if not k >= 1:
        raise ValueError("k")
    likelier = (logits.unsqueeze(-2) > logits.unsqueeze(-1)).sum(dim=-1)
    result = logits.clone()
    result[likelier >= k] = -math.inf
    return result


@alternative(replaces="top_p_filter", says="the inverse of the order, and the number of tokens that stay")
def top_p_by_ranks(logits, p):
    if p <= 0 or p > 1:
        raise ValueError(f"p={p} is no share: 0 < p <= 1")
    order = torch.argsort(logits, dim=-1, descending=True, stable=True)
    chances = torch.softmax(logits.double(), dim=-1).gather(-1, order)
    kept = (chances.cumsum(dim=-1) < p).sum(dim=-1, keepdim=True) + 1
    return torch.where(order.argsort(dim=-1) < kept, logits, -torch.inf)


@alternative(replaces="top_p_filter", says="the filtered row, sorted, is scattered back")
def top_p_by_scattering_logits(logits, p):
    if not (0 < p <= 1):
        raise ValueError("p must lie in (0, 1]")
    ordered, order = torch.sort(logits, descending=True, stable=True)
    mass = torch.cumsum(torch.softmax(ordered.double(), -1), -1)
    before = F.pad(mass[..., :-1], (1, 0))  # the mass of those in front
    kept = torch.where(before < p, ordered, torch.full_like(ordered, -math.inf))
    return torch.empty_like(logits).scatter_(-1, order, kept)


@alternative(replaces="top_p_filter", says="row after row in plain Python")
def top_p_row_by_row(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"top-p needs 0 < p <= 1, not {p}")
    rows = logits.reshape(-1, logits.shape[-1])
    result = torch.full_like(rows, float("-inf"))
    for row, new in zip(rows, result, strict=True):
        chances = torch.softmax(row.double(), dim=0).tolist()
        mass = 0.0
        for token in sorted(range(len(chances)), key=lambda token: (-row[token].item(), token)):
            new[token] = row[token]
            mass += chances[token]
            if mass >= p:
                break
    return result.reshape(logits.shape)


@alternative(replaces="top_p_filter", says="NumPy's sort of the negated row")
def top_p_by_numpy(logits, p):
    if not 0 < p <= 1:
        raise ValueError("p")
    wide = logits.detach().double().numpy()
    order = np.argsort(-wide, axis=-1, kind="stable")
    exponentials = np.exp(wide - wide.max(axis=-1, keepdims=True))
    chances = exponentials / exponentials.sum(axis=-1, keepdims=True)
    ordered = np.take_along_axis(chances, order, axis=-1)
    kept = np.empty(wide.shape, dtype=bool)
    np.put_along_axis(kept, order, ordered.cumsum(axis=-1) - ordered < p, axis=-1)
    return logits.masked_fill(~torch.from_numpy(kept), -math.inf)


@alternative(replaces="min_p_filter", says="logarithms: within log(1/p) of the largest logit")
def min_p_by_logarithms(logits, p):
    if p < 0 or p > 1:
        raise ValueError(f"min_p={p} is no probability")
    if p == 0:
        return logits
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits.masked_fill(wide < wide.amax(-1, keepdim=True) + math.log(p), -torch.inf)


@alternative(replaces="min_p_filter", says="softmax divided by its largest, in double precision")
def min_p_by_ratios(logits, p):
    if not 0.0 <= p <= 1.0:
        raise ValueError("p")
    chances = logits.double().softmax(-1)
    return torch.where(chances / chances.max(-1, keepdim=True)[0] >= p, logits, -math.inf)


# --- penalty ---------------------------------------------------------------------------------------------------------


@alternative(replaces="repetition_penalty", says="a table of which ids are there, and where")
def penalty_by_mask(logits, ids, penalty):
    present = F.one_hot(ids, logits.shape[-1]).sum(dim=-2) > 0
    changed = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(present, changed, logits)


@alternative(replaces="repetition_penalty", says="row after row, one distinct id after the other")
def penalty_row_by_row(logits, ids, penalty):
    result = logits.clone().reshape(-1, logits.shape[-1])
    for row, present in zip(result, ids.reshape(len(result), ids.shape[-1]), strict=True):
        for token in present.unique():
            row[token] = row[token] * (penalty if row[token] <= 0 else 1 / penalty)
    return result.reshape(logits.shape)


# --- sample ----------------------------------------------------------------------------------------------------------


@alternative(replaces="sample_token", says="Gumbel noise and argmax")
def sample_by_gumbel(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    left = filtered(logits, temperature, top_k, top_p, min_p).float()
    noise = torch.rand(left.shape, generator=generator)
    return (left - torch.log(-torch.log(noise))).argmax(dim=-1)


@alternative(replaces="sample_token", says="a race of exponential clocks, in double precision")
def sample_by_clocks(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if not temperature:
        return logits.argmax(-1)
    chances = torch.softmax(filtered(logits, temperature, top_k, top_p, min_p).double(), dim=-1)
    clocks = torch.empty_like(chances).exponential_(generator=generator)
    return torch.argmax(chances / clocks, dim=-1)


@alternative(replaces="sample_token", says="one random number for each row, and the sums of the chances")
def sample_by_inversion(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    chances = torch.softmax(filtered(logits, temperature, top_k, top_p, min_p).double(), dim=-1)
    sums = chances.cumsum(dim=-1)
    numbers = torch.rand(logits.shape[:-1], generator=generator, dtype=torch.float64)[..., None] * sums[..., -1:]
    return torch.searchsorted(sums, numbers, right=True).squeeze(-1)


@alternative(replaces="sample_token", says="filters at temperature 0, too; draws row after row")
def sample_row_by_row(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature {temperature} is negative")
    left = filtered(logits, temperature or 1.0, top_k, top_p, min_p)
    if temperature == 0:
        return greedy(left)
    chances = torch.softmax(left.float(), dim=-1)
    if chances.ndim == 1:
        return torch.multinomial(chances, 1, generator=generator)[0]
    return torch.stack([torch.multinomial(row, 1, generator=generator)[0] for row in chances.flatten(0, -2)]).reshape(
        logits.shape[:-1]
    )


# --- generate --------------------------------------------------------------------------------------------------------


@alternative(replaces="evaluating", says="a class with __enter__ and __exit__, inference mode")
class Evaluating:
    def __init__(self, model):
        self.model = model

    def __enter__(self):
        self.training = {name: module.training for name, module in self.model.named_modules()}
        self.model.train(False)
        self.inference = torch.inference_mode()
        self.inference.__enter__()

    def __exit__(self, *error):
        self.inference.__exit__(*error)
        for name, module in self.model.named_modules():
            module.training = self.training[name]


@alternative(replaces="generate", says="feeds the prompt to the cache ahead of the loop; room for the text made ahead")
@torch.no_grad()
def generate_with_prefill(
    model,
    ids,
    max_new_tokens,
    *,
    context_length,
    stop_id=None,
    use_cache=False,
    generator=None,
    penalty=1.0,
    **sampling,
):
    batch, length = ids.shape
    if length == 0 or max_new_tokens < 0 or context_length <= 0:
        raise ValueError("prompt, max_new_tokens and context_length must make sense")
    modes = [module.training for module in model.modules()]
    model.eval()
    text = torch.cat((ids, ids.new_zeros(batch, max_new_tokens)), dim=1)
    cache = model.new_cache() if use_cache and length < context_length else None
    if cache is not None and length > 1:
        model(text[:, : length - 1], cache=cache)
    stopped = torch.zeros(batch, 1, dtype=torch.bool)
    end = length
    while end < length + max_new_tokens and not stopped.all():
        start = max(0, end - context_length)
        if cache is not None and end < context_length:
            logits = model(text[:, end - 1 : end], cache=cache)[:, -1, :]
        else:
            logits = model(text[:, start:end])[:, -1, :]
        logits = repetition_penalty(logits, text[:, start:end], penalty)
        token = sample_token(logits, generator=generator, **sampling).unsqueeze(1)
        if stop_id is not None:
            token = torch.where(stopped, torch.full_like(token, stop_id), token)
            stopped = stopped | (token == stop_id)
        text[:, end : end + 1] = token
        end += 1
    for module, training in zip(model.modules(), modes, strict=True):
        module.training = training
    return text[:, :end]


@alternative(
    replaces="generate", says="lists of tokens, a fresh cache for each full window, one call of the model more"
)
def generate_with_lists(
    model,
    ids,
    max_new_tokens,
    *,
    context_length,
    stop_id=None,
    use_cache=False,
    generator=None,
    penalty=1.0,
    temperature=1.0,
    top_k=None,
    top_p=None,
    min_p=None,
):
    if ids.shape[-1] == 0:
        raise ValueError("an empty prompt gives the model nothing to go on from")
    if context_length < 1 or max_new_tokens < 0:
        raise ValueError(f"context_length={context_length}, max_new_tokens={max_new_tokens}")
    chosen = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    rows = ids.tolist()
    done = [False] * len(rows)
    with evaluating(model):
        window = ids[:, -context_length:]
        cache = model.new_cache() if use_cache else None
        logits = model(window, cache=cache) if use_cache else model(window)
        for _ in range(max_new_tokens):
            weighed = repetition_penalty(logits[:, -1], window, penalty)
            drawn = sample_token(weighed, generator=generator, **chosen).tolist()
            for number, token in enumerate(drawn):
                rows[number].append(stop_id if done[number] else token)
                done[number] = done[number] or (stop_id is not None and token == stop_id)
            if all(done):
                break
            window = torch.tensor(rows)[:, -context_length:]
            if not use_cache:
                logits = model(window)
            elif len(rows[0]) <= context_length:
                logits = model(window[:, -1:], cache=cache)
            else:
                logits = model(window, cache=model.new_cache())
    return torch.tensor(rows)


@alternative(name="generate without helpers", replaces="evaluating", says="a helper that nobody uses")
def unused_evaluating(model):
    raise NotImplementedError


@alternative(name="generate without helpers", replaces="next_logits", says="a helper that nobody uses")
def unused_next_logits(model, ids, context_length, cache):
    raise NotImplementedError


@alternative(
    name="generate without helpers", replaces="generate", says="everything in one place, rows unfinished counted"
)
def generate_in_one(
    model, ids, max_new_tokens, *, context_length, stop_id=None, use_cache=False, generator=None, **sampling
):
    if ids.size(1) == 0:
        raise ValueError("empty prompt")
    if max_new_tokens < 0:
        raise ValueError("max_new_tokens < 0")
    if context_length < 1:
        raise ValueError("context_length < 1")
    penalty = sampling.pop("penalty", 1.0)
    state = {module: module.training for module in model.modules()}
    model.eval()
    cache, length = None, ids.size(1)
    alive = torch.ones(ids.size(0), dtype=torch.bool)
    try:
        while ids.size(1) < length + max_new_tokens and bool(alive.any()):
            visible = ids[:, max(0, ids.size(1) - context_length) :]
            with torch.no_grad():
                if use_cache and ids.size(1) < context_length:
                    fresh = visible[:, -1:] if cache else visible
                    cache = cache or model.new_cache()
                    logits = model(fresh, cache=cache)[:, -1]
                else:
                    logits = model(visible)[:, -1]
            token = sample_token(repetition_penalty(logits, visible, penalty), generator=generator, **sampling)
            if stop_id is not None:
                token = torch.where(alive, token, stop_id)
                alive = alive & (token != stop_id)
            ids = torch.hstack((ids, token.view(-1, 1)))
    finally:
        for module, training in state.items():
            module.training = training
    return ids


@alternative(name="generate without helpers", replaces="perplexity", says="full windows in one batch, then the rest")
def perplexity_in_a_batch(model, ids, context_length):
    if ids.numel() < 2 or context_length < 1:
        raise ValueError("perplexity needs two ids and a context")
    state = [(module, module.training) for module in model.modules()]
    model.eval()
    n = ids.numel() - 1
    full = n // context_length * context_length
    losses = []
    with torch.inference_mode():
        for start, end, width in ((0, full, context_length), (full, n, n - full)):
            if end > start:
                logits = model(ids[start:end].view(-1, width)).double()
                losses.append(F.cross_entropy(logits.flatten(0, 1), ids[start + 1 : end + 1], reduction="none"))
    for module, training in state:
        module.training = training
    return float(torch.cat(losses).mean().exp())


# --- perplexity ------------------------------------------------------------------------------------------------------


@alternative(replaces="perplexity", says="log-probabilities, and the last window is fed the last id as well")
def perplexity_by_log_softmax(model, ids, context_length):
    if len(ids) <= 1:
        raise ValueError("there is nothing to predict")
    if context_length <= 0:
        raise ValueError("context_length must be positive")
    found = []
    with evaluating(model):
        for start in range(0, len(ids) - 1, context_length):
            following = ids[start + 1 : start + 1 + context_length]
            logits = model(ids[start : start + context_length].unsqueeze(0)).squeeze(0)[: len(following)]
            chances = torch.log_softmax(logits.float(), dim=-1)
            found += chances[torch.arange(len(following)), following].tolist()
    return math.exp(-sum(found) / len(found))


@alternative(replaces="perplexity", says="means weighted by their numbers")
def perplexity_by_weighted_means(model, ids, context_length):
    if ids.shape[0] < 2:
        raise ValueError(f"ids: {ids.shape[0]} is too few")
    if context_length < 1:
        raise ValueError(f"context_length: {context_length} is too small")
    mean = 0.0
    with evaluating(model):
        for x, y in zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True):
            mean += F.cross_entropy(model(x[None]).float().squeeze(0), y).item() * (len(y) / (len(ids) - 1))
    return math.exp(mean)
