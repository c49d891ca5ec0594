"""Wrong versions of assignment 07, the ones that people make. The suites must catch each of them in its own task.

Each takes the place of the reference's symbol of the name `replaces`; everything else stays as in the reference. `says`
is what a student is told who makes the mistake. Nothing in here is ever imported: `autograder.variants` reads it.
"""

import math
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from sampling import (
    apply_temperature,
    evaluating,
    greedy,
    min_p_filter,
    next_logits,
    repetition_penalty,
    sample_token,
    top_k_filter,
    top_p_filter,
)

from autograder.variants import mistake


def probabilities_of(logits):
    return torch.softmax(logits, dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))


def drop(logits, dropped):
    return logits.masked_fill(dropped, -math.inf)


def sorted_masses(logits):
    """The likeliest first: probabilities, the mass up to and with each, and where each came from."""
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = probabilities_of(ordered)
    return probabilities, probabilities.cumsum(dim=-1), order


def unsorted(dropped, order):
    return torch.zeros_like(dropped).scatter(-1, order, dropped)


def check_share(p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got {p}")


def draw(logits, generator=None):
    rows = probabilities_of(logits).reshape(-1, logits.shape[-1])
    return torch.multinomial(rows, 1, generator=generator).reshape(logits.shape[:-1])


def check_text(ids, max_new_tokens, context_length):
    if ids.shape[1] < 1 or max_new_tokens < 0 or context_length < 1:
        raise ValueError("prompt, max_new_tokens or context_length is too small")


# --- greedy ----------------------------------------------------------------------------------------------------------


@mistake("greedy", replaces="greedy", says="Your greedy looks along the first axis; the vocabulary is the last one.")
def greedy_along_the_first_axis(logits):
    return logits.argmax(dim=0)


@mistake("greedy", replaces="greedy", says="Your greedy looks for the largest logit of all rows together.")
def greedy_over_everything(logits):
    return logits.argmax()


@mistake("greedy", replaces="greedy", says="Your greedy gives the largest logit; its place was asked for.")
def greedy_gives_the_logit(logits):
    return logits.max(dim=-1).values


@mistake("greedy", replaces="greedy", says="Of equally likely tokens your greedy takes the last.")
def greedy_takes_the_last(logits):
    return logits.shape[-1] - 1 - logits.flip(-1).argmax(dim=-1)


@mistake("greedy", replaces="greedy", says="Your greedy leaves an axis of 1 where the vocabulary was.")
def greedy_keeps_the_axis(logits):
    return logits.argmax(dim=-1, keepdim=True)


@mistake("greedy", replaces="apply_temperature", says="You multiply by the temperature: hot becomes cold.")
def temperature_multiplies(logits, temperature):
    if not temperature > 0:
        raise ValueError("temperature must be above 0")
    return logits * temperature


@mistake("greedy", replaces="apply_temperature", says="A temperature of 0 divides by zero, and you let it.")
def temperature_zero_divides(logits, temperature):
    if temperature < 0:
        raise ValueError("temperature must not be negative")
    return logits / temperature


@mistake("greedy", replaces="apply_temperature", says="You give probabilities; the logits were asked for.")
def temperature_gives_probabilities(logits, temperature):
    if not temperature > 0:
        raise ValueError("temperature must be above 0")
    return torch.softmax(logits / temperature, dim=-1)


@mistake("greedy", replaces="apply_temperature", says="You divide in place, so the caller's logits change.")
def temperature_in_place(logits, temperature):
    if not temperature > 0:
        raise ValueError("temperature must be above 0")
    logits /= temperature
    return logits


# --- top_k -----------------------------------------------------------------------------------------------------------


def checked_k(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return min(k, logits.shape[-1])


@mistake("top_k", replaces="top_k_filter", says="Your top-k drops some of the tokens that are as likely as the k-th.")
def top_k_cuts_ties(logits, k):
    best = logits.topk(checked_k(logits, k), dim=-1)
    return torch.full_like(logits, -math.inf).scatter(-1, best.indices, best.values)


@mistake("top_k", replaces="top_k_filter", says="Your top-k drops the k-th token itself.")
def top_k_drops_the_kth(logits, k):
    return drop(logits, logits <= logits.topk(checked_k(logits, k), dim=-1).values[..., -1:])


@mistake("top_k", replaces="top_k_filter", says="Your top-k keeps one token too many.")
def top_k_keeps_one_more(logits, k):
    k = min(checked_k(logits, k) + 1, logits.shape[-1])
    return drop(logits, logits < logits.topk(k, dim=-1).values[..., -1:])


@mistake("top_k", replaces="top_k_filter", says="Your top-k has one threshold for all rows.")
def top_k_of_all_rows(logits, k):
    k = checked_k(logits, k)
    return drop(logits, logits < logits.topk(k, dim=-1).values[..., -1:].max())


@mistake("top_k", replaces="top_k_filter", says="Your top-k fails when k is larger than the vocabulary.")
def top_k_above_the_vocabulary(logits, k):
    checked_k(logits, k)
    return drop(logits, logits < logits.topk(k, dim=-1).values[..., -1:])


@mistake("top_k", replaces="top_k_filter", says="Your top-k takes a k below 1 for 'keep all'.")
def top_k_zero_keeps_all(logits, k):
    if k < 1:
        return logits.clone()
    return drop(logits, logits < logits.topk(checked_k(logits, k), dim=-1).values[..., -1:])


@mistake(
    "top_k", replaces="top_k_filter", says="Your top-k keeps the unlikeliest tokens: sort gives the smallest first."
)
def top_k_sorts_upwards(logits, k):
    return drop(logits, logits > logits.sort(dim=-1).values[..., checked_k(logits, k) - 1, None])


@mistake("top_k", replaces="top_k_filter", says="A logit of 0 is not 'dropped': softmax gives it a probability.")
def top_k_fills_with_zero(logits, k):
    return logits.masked_fill(logits < logits.topk(checked_k(logits, k), dim=-1).values[..., -1:], 0.0)


@mistake("top_k", replaces="top_k_filter", says="Your top-k writes into the logits that it was given.")
def top_k_in_place(logits, k):
    return logits.masked_fill_(logits < logits.topk(checked_k(logits, k), dim=-1).values[..., -1:], -math.inf)


# --- top_p -----------------------------------------------------------------------------------------------------------


@mistake("top_p", replaces="top_p_filter", says="Your top-p drops the token that brings the mass over p.")
def top_p_drops_the_crossing_token(logits, p):
    check_share(p)
    _, mass, order = sorted_masses(logits)
    return drop(logits, unsorted(mass > p, order))


@mistake("top_p", replaces="top_p_filter", says="Your top-p stops before the mass reaches p, but for the first token.")
def top_p_stops_early(logits, p):
    check_share(p)
    _, mass, order = sorted_masses(logits)
    dropped = mass > p
    dropped[..., 0] = False
    return drop(logits, unsorted(dropped, order))


@mistake("top_p", replaces="top_p_filter", says="Your top-p keeps one token more than the mass needs.")
def top_p_keeps_one_more(logits, p):
    check_share(p)
    _, mass, order = sorted_masses(logits)
    dropped = (mass >= p).roll(2, dims=-1)
    dropped[..., :2] = False
    return drop(logits, unsorted(dropped, order))


@mistake("top_p", replaces="top_p_filter", says="Your decisions are in sorted order, and the logits are not.")
def top_p_stays_sorted(logits, p):
    check_share(p)
    probabilities, mass, _ = sorted_masses(logits)
    return drop(logits, mass - probabilities >= p)


@mistake("top_p", replaces="top_p_filter", says="You bring decisions back with the order itself, not with its inverse.")
def top_p_gathers_by_the_order(logits, p):
    check_share(p)
    probabilities, mass, order = sorted_masses(logits)
    return drop(logits, (mass - probabilities >= p).gather(-1, order))


@mistake("top_p", replaces="top_p_filter", says="Your top-p adds up from the unlikeliest token on.")
def top_p_sorts_upwards(logits, p):
    check_share(p)
    ordered, order = logits.sort(dim=-1, stable=True)
    probabilities = probabilities_of(ordered)
    return drop(logits, unsorted(probabilities.cumsum(dim=-1) - probabilities >= p, order))


@mistake("top_p", replaces="top_p_filter", says="Of equally likely tokens your top-p takes the highest ids first.")
def top_p_highest_first(logits, p):
    check_share(p)
    ordered, order = logits.sort(dim=-1, stable=True)
    probabilities = probabilities_of(ordered)
    before = probabilities.flip(-1).cumsum(dim=-1).flip(-1) - probabilities
    return drop(logits, unsorted(before >= p, order))


@mistake("top_p", replaces="top_p_filter", says="Your top-p takes the first row's order for every row.")
def top_p_by_the_first_row(logits, p):
    check_share(p)
    probabilities, mass, order = sorted_masses(logits)
    first = order.reshape(-1, logits.shape[-1])[0].expand_as(order)
    return drop(logits, unsorted(mass - probabilities >= p, first))


@mistake("top_p", replaces="top_p_filter", says="Your top-p refuses p = 1, which keeps all.")
def top_p_refuses_one(logits, p):
    if not 0 < p < 1:
        raise ValueError("p must be between 0 and 1")
    probabilities, mass, order = sorted_masses(logits)
    return drop(logits, unsorted(mass - probabilities >= p, order))


@mistake("top_p", replaces="top_p_filter", says="Your top-p accepts p = 0.")
def top_p_accepts_zero(logits, p):
    if not 0 <= p <= 1:
        raise ValueError("p must be between 0 and 1")
    probabilities, mass, order = sorted_masses(logits)
    dropped = mass - probabilities >= p
    dropped[..., 0] = False
    return drop(logits, unsorted(dropped, order))


@mistake("top_p", replaces="top_p_filter", says="Your top-p adds up in half precision, which is too coarse.")
def top_p_sums_in_half_precision(logits, p):
    check_share(p)
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = torch.softmax(ordered, dim=-1)
    return drop(logits, unsorted(probabilities.cumsum(dim=-1) - probabilities >= p, order))


@mistake("top_p", replaces="top_p_filter", says="Your top-p gives NaN for large logits: exp overflows.")
def top_p_overflows(logits, p):
    check_share(p)
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    exponentials = ordered.to(torch.promote_types(logits.dtype, torch.float32)).exp()
    probabilities = exponentials / exponentials.sum(dim=-1, keepdim=True)
    return drop(logits, unsorted(~(probabilities.cumsum(dim=-1) - probabilities < p), order))


# --- min_p -----------------------------------------------------------------------------------------------------------


def check_min_p(p):
    if not 0 <= p <= 1:
        raise ValueError(f"p must be from 0 to 1, got {p}")


@mistake("min_p", replaces="min_p_filter", says="You compare with p itself; it is a share of the largest probability.")
def min_p_is_absolute(logits, p):
    check_min_p(p)
    return drop(logits, probabilities_of(logits) < p)


@mistake("min_p", replaces="min_p_filter", says="You compare logits; the share is one of probabilities.")
def min_p_of_logits(logits, p):
    check_min_p(p)
    return drop(logits, logits < p * logits.amax(dim=-1, keepdim=True))


@mistake("min_p", replaces="min_p_filter", says="Your largest probability is that of all rows together.")
def min_p_of_all_rows(logits, p):
    check_min_p(p)
    probabilities = probabilities_of(logits)
    return drop(logits, probabilities < p * probabilities.max())


@mistake("min_p", replaces="min_p_filter", says="You return probabilities; the logits were asked for.")
def min_p_gives_probabilities(logits, p):
    check_min_p(p)
    probabilities = probabilities_of(logits)
    return probabilities.masked_fill(probabilities < p * probabilities.amax(dim=-1, keepdim=True), 0.0)


@mistake("min_p", replaces="min_p_filter", says="You drop what is exactly at the threshold, the likeliest at p = 1.")
def min_p_drops_the_threshold(logits, p):
    check_min_p(p)
    probabilities = probabilities_of(logits)
    return drop(logits, probabilities <= p * probabilities.amax(dim=-1, keepdim=True))


@mistake("min_p", replaces="min_p_filter", says="You drop tokens that are below 1 − p, not p, of the largest.")
def min_p_turned_around(logits, p):
    check_min_p(p)
    probabilities = probabilities_of(logits)
    return drop(logits, probabilities < (1 - p) * probabilities.amax(dim=-1, keepdim=True))


@mistake("min_p", replaces="min_p_filter", says="Your min-p gives NaN for large logits: exp overflows.")
def min_p_overflows(logits, p):
    check_min_p(p)
    exponentials = logits.to(torch.promote_types(logits.dtype, torch.float32)).exp()
    probabilities = exponentials / exponentials.sum(dim=-1, keepdim=True)
    return drop(logits, ~(probabilities >= p * probabilities.amax(dim=-1, keepdim=True)))


# --- penalty ---------------------------------------------------------------------------------------------------------


@mistake("penalty", replaces="repetition_penalty", says="You divide negative logits, too: that makes them likelier.")
def penalty_always_divides(logits, ids, penalty):
    return logits.scatter(-1, ids, logits.gather(-1, ids) / penalty)


@mistake("penalty", replaces="repetition_penalty", says="Your penalty works the wrong way round.")
def penalty_rewards(logits, ids, penalty):
    present = logits.gather(-1, ids)
    return logits.scatter(-1, ids, torch.where(present > 0, present * penalty, present / penalty))


@mistake("penalty", replaces="repetition_penalty", says="You penalize a token once for each time that it is there.")
def penalty_for_each_occurrence(logits, ids, penalty):
    result = logits.clone()
    for time in range(ids.shape[-1]):
        place = ids[..., time : time + 1]
        present = result.gather(-1, place)
        result = result.scatter(-1, place, torch.where(present > 0, present / penalty, present * penalty))
    return result


@mistake("penalty", replaces="repetition_penalty", says="You penalize each row for the ids of all rows.")
def penalty_for_all_rows(logits, ids, penalty):
    result = logits.clone()
    everywhere = ids.unique()
    present = result[..., everywhere]
    result[..., everywhere] = torch.where(present > 0, present / penalty, present * penalty)
    return result


@mistake("penalty", replaces="repetition_penalty", says="You subtract the penalty. That is another one, of an API.")
def penalty_subtracts(logits, ids, penalty):
    return logits.scatter(-1, ids, logits.gather(-1, ids) - penalty)


@mistake("penalty", replaces="repetition_penalty", says="You write into the logits that you were given.")
def penalty_in_place(logits, ids, penalty):
    present = logits.gather(-1, ids)
    return logits.scatter_(-1, ids, torch.where(present > 0, present / penalty, present * penalty))


@mistake("penalty", replaces="repetition_penalty", says="Your penalty turns −inf into NaN.")
def penalty_with_nan(logits, ids, penalty):
    present = logits.gather(-1, ids)
    positive = (present > 0).to(logits.dtype)
    return logits.scatter(-1, ids, positive * present / penalty + (1 - positive) * present * penalty)


# --- sample ----------------------------------------------------------------------------------------------------------


def filters(logits, top_k, top_p, min_p):
    logits = logits if top_k is None else top_k_filter(logits, top_k)
    logits = logits if top_p is None else top_p_filter(logits, top_p)
    return logits if min_p is None else min_p_filter(logits, min_p)


@mistake("sample", replaces="sample_token", says="Your temperature comes after the filters.")
def temperature_comes_last(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    return draw(apply_temperature(filters(logits, top_k, top_p, min_p), temperature), generator)


@mistake("sample", replaces="sample_token", says="Your top-p comes before top-k.")
def top_p_comes_before_top_k(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    logits = filters(apply_temperature(logits, temperature), None, top_p, None)
    return draw(filters(logits, top_k, None, min_p), generator)


@mistake("sample", replaces="sample_token", says="Your min-p comes before top-p.")
def min_p_comes_before_top_p(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    logits = filters(apply_temperature(logits, temperature), top_k, None, min_p)
    return draw(filters(logits, None, top_p, None), generator)


@mistake("sample", replaces="sample_token", says="Each filter must see what the one before has left.")
def filters_see_all_logits(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    logits = apply_temperature(logits, temperature)
    apart = (filters(logits, top_k, None, None), filters(logits, None, top_p, None), filters(logits, None, None, min_p))
    return draw(torch.stack(apart).amin(dim=0), generator)


@mistake("sample", replaces="sample_token", says="You do not hand the generator on.")
def generator_is_dropped(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    return draw(filters(apply_temperature(logits, temperature), top_k, top_p, min_p))


@mistake("sample", replaces="sample_token", says="Without a generator you draw the same tokens each time.")
def generator_of_its_own(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    return draw(filters(apply_temperature(logits, temperature), top_k, top_p, min_p), generator)


@mistake("sample", replaces="sample_token", says="All rows share one random number, so they are not drawn apart.")
def rows_share_a_number(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    logits = filters(apply_temperature(logits, temperature), top_k, top_p, min_p)
    number = torch.rand(1, generator=generator)
    return (probabilities_of(logits).cumsum(dim=-1) <= number).sum(dim=-1).clamp(max=logits.shape[-1] - 1)


@mistake("sample", replaces="sample_token", says="torch.multinomial takes no logits with three axes: flatten them.")
def multinomial_of_any_shape(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    logits = filters(apply_temperature(logits, temperature), top_k, top_p, min_p)
    return torch.multinomial(probabilities_of(logits), 1, generator=generator)[..., 0]


@mistake("sample", replaces="sample_token", says="squeeze() removes every axis of 1, that of a batch of one as well.")
def squeezes_too_much(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    return draw(filters(apply_temperature(logits, temperature), top_k, top_p, min_p), generator).squeeze()


@mistake("sample", replaces="sample_token", says="Temperature 0 is division by zero to you.")
def temperature_zero_fails(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    return draw(filters(apply_temperature(logits, temperature), top_k, top_p, min_p), generator)


@mistake("sample", replaces="sample_token", says="You take 0, and what is below it, for a small temperature.")
def temperature_is_clamped(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    logits = apply_temperature(logits, max(temperature, 1e-6))
    return draw(filters(logits, top_k, top_p, min_p), generator)


@mistake("sample", replaces="sample_token", says="You always take the likeliest of what is left.")
def never_draws(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    return greedy(filters(apply_temperature(logits, temperature), top_k, top_p, min_p))


@mistake("sample", replaces="sample_token", says="You draw from exp(logits), which overflows for large logits.")
def draws_from_exp(logits, *, temperature=1.0, top_k=None, top_p=None, min_p=None, generator=None):
    if temperature == 0:
        return greedy(logits)
    logits = filters(apply_temperature(logits, temperature), top_k, top_p, min_p)
    rows = logits.float().exp().reshape(-1, logits.shape[-1])
    return torch.multinomial(rows, 1, generator=generator).reshape(logits.shape[:-1])


# --- generate --------------------------------------------------------------------------------------------------------


@mistake("generate", replaces="evaluating", says="You leave the model in the mode that it is in: dropout is on.")
@contextmanager
def leaves_dropout_on(model):
    with torch.no_grad():
        yield


@mistake("generate", replaces="evaluating", says="You leave the model in evaluation mode.")
@contextmanager
def leaves_evaluation_mode(model):
    model.eval()
    with torch.no_grad():
        yield


@mistake("generate", replaces="evaluating", says="You put every submodule into training mode at the end.")
@contextmanager
def trains_everything_afterwards(model):
    model.eval()
    with torch.no_grad():
        yield
    model.train()


@mistake("generate", replaces="evaluating", says="You give every submodule the mode of the whole model.")
@contextmanager
def gives_all_the_same_mode(model):
    training = model.training
    model.eval()
    with torch.no_grad():
        yield
    model.train(training)


@mistake("generate", replaces="evaluating", says="Gradients are computed while the model writes.")
@contextmanager
def computes_gradients(model):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    yield
    for module, training in modes:
        module.training = training


@mistake("generate", replaces="next_logits", says="The model is fed more than context_length ids.")
def feeds_everything(model, ids, context_length, cache):
    if cache is None:
        return model(ids)[:, -1]
    return model(ids[:, cache[0].length :], cache=cache)[:, -1]


@mistake("generate", replaces="next_logits", says="The model is fed the first ids of the text; the last ones count.")
def feeds_the_beginning(model, ids, context_length, cache):
    if cache is None or ids.shape[1] > context_length:
        return model(ids[:, :context_length])[:, -1]
    return model(ids[:, cache[0].length :], cache=cache)[:, -1]


@mistake("generate", replaces="next_logits", says="You take the logits of the first position; the last one counts.")
def takes_the_first_position(model, ids, context_length, cache):
    if cache is None or ids.shape[1] > context_length:
        return model(ids[:, -context_length:])[:, 0]
    return model(ids[:, cache[0].length :], cache=cache)[:, 0]


@mistake("generate", replaces="next_logits", says="With a cache you feed ids again that it holds already.")
def feeds_the_cache_twice(model, ids, context_length, cache):
    if cache is None or ids.shape[1] > context_length:
        return model(ids[:, -context_length:])[:, -1]
    return model(ids, cache=cache)[:, -1]


@mistake("generate", replaces="next_logits", says="You go on with the cache when the window is full.")
def caches_beyond_the_window(model, ids, context_length, cache):
    if cache is None:
        return model(ids[:, -context_length:])[:, -1]
    fresh = ids[:, -context_length:] if cache[0].length == 0 else ids[:, -1:]
    return model(fresh, cache=cache)[:, -1]


@mistake("generate", replaces="next_logits", says="You never use the cache.")
def never_caches(model, ids, context_length, cache):
    return model(ids[:, -context_length:])[:, -1]


@mistake("generate", replaces="next_logits", says="You feed one id too few when the text is longer than the window.")
def window_is_too_short(model, ids, context_length, cache):
    if cache is None or ids.shape[1] > context_length:
        return model(ids[:, -max(1, context_length - 1) :])[:, -1]
    return model(ids[:, cache[0].length :], cache=cache)[:, -1]


def write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, after=lambda ids, drawn: (drawn, False)):
    """Right writing on, with two steps open to change: what is drawn, and what happens to it."""
    cache = model.new_cache() if use_cache else None
    with evaluating(model):
        for _ in range(max_new_tokens):
            drawn = draw_from(next_logits(model, ids, context_length, cache), ids)
            drawn, done = after(ids, drawn)
            ids = torch.cat((ids, drawn[:, None]), dim=1)
            if done:
                break
    return ids


def stopper(finished, stop_id):
    """Right stopping, from rows that are `finished` at the beginning."""

    def stop(ids, drawn):
        nonlocal finished
        if stop_id is None:
            return drawn, False
        drawn = drawn.masked_fill(finished, stop_id)
        finished = drawn == stop_id
        return drawn, bool(finished.all())

    return stop


def none_of(ids):
    return torch.zeros(len(ids), dtype=torch.bool)


@mistake("generate", replaces="generate", says="A row that has drawn stop_id writes other tokens after it.")
def writes_on_after_stopping(
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
    check_text(ids, max_new_tokens, context_length)
    stopped = none_of(ids)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits, generator=generator, **sampling)

    def after(ids, drawn):
        stopped.logical_or_(drawn == stop_id) if stop_id is not None else None
        return drawn, bool(stopped.all())

    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, after)


@mistake("generate", replaces="generate", says="You end as soon as one row has drawn stop_id.")
def first_stop_ends_all(
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
    check_text(ids, max_new_tokens, context_length)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits, generator=generator, **sampling)

    def after(ids, drawn):
        return drawn, stop_id is not None and bool((drawn == stop_id).any())

    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, after)


@mistake("generate", replaces="generate", says="You end only when all rows draw stop_id at the same time.")
def all_must_stop_at_once(
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
    check_text(ids, max_new_tokens, context_length)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits, generator=generator, **sampling)

    def after(ids, drawn):
        return drawn, stop_id is not None and bool((drawn == stop_id).all())

    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, after)


@mistake("generate", replaces="generate", says="You write to the end though every row has stopped.")
def never_ends_early(
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
    check_text(ids, max_new_tokens, context_length)
    stop = stopper(none_of(ids), stop_id)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits, generator=generator, **sampling)

    def after(ids, drawn):
        return stop(ids, drawn)[0], False

    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, after)


@mistake("generate", replaces="generate", says="A stop_id in the prompt stops a row before it has drawn anything.")
def prompts_stop_rows(
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
    check_text(ids, max_new_tokens, context_length)
    finished = none_of(ids) if stop_id is None else (ids == stop_id).any(dim=1)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits, generator=generator, **sampling)

    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, stopper(finished, stop_id))


@mistake("generate", replaces="generate", says="`if stop_id:` is false for the id 0.")
def zero_never_stops(
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
    check_text(ids, max_new_tokens, context_length)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits, generator=generator, **sampling)

    stop = stopper(none_of(ids), stop_id or None)
    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, stop)


@mistake("generate", replaces="generate", says="You return only what is new; the prompt belongs to it.")
def leaves_the_prompt_out(
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
    check_text(ids, max_new_tokens, context_length)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits, generator=generator, **sampling)

    stop = stopper(none_of(ids), stop_id)
    written = write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, stop)
    return written[:, ids.shape[1] :]


@mistake("generate", replaces="generate", says="You count the prompt among the new tokens.")
def counts_the_prompt(
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
    check_text(ids, max_new_tokens, context_length)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits, generator=generator, **sampling)

    stop = stopper(none_of(ids), stop_id)
    return write_on(model, ids, max_new_tokens - ids.shape[1], context_length, use_cache, draw_from, stop)


@mistake("generate", replaces="generate", says="You penalize tokens that the window has left long ago.")
def penalizes_the_whole_text(
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
    check_text(ids, max_new_tokens, context_length)

    def draw_from(logits, ids):
        return sample_token(repetition_penalty(logits, ids, penalty), generator=generator, **sampling)

    stop = stopper(none_of(ids), stop_id)
    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, stop)


@mistake("generate", replaces="generate", says="You do not penalize the tokens of the prompt.")
def spares_the_prompt(
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
    check_text(ids, max_new_tokens, context_length)
    prompt_length = ids.shape[1]

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, prompt_length:][:, -context_length:], penalty)
        return sample_token(logits, generator=generator, **sampling)

    stop = stopper(none_of(ids), stop_id)
    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, stop)


@mistake("generate", replaces="generate", says="Your generate takes a penalty and does nothing with it.")
def forgets_the_penalty(
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
    check_text(ids, max_new_tokens, context_length)

    def draw_from(logits, ids):
        return sample_token(logits, generator=generator, **sampling)

    stop = stopper(none_of(ids), stop_id)
    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, stop)


@mistake("generate", replaces="generate", says="You do not hand the generator to sample_token.")
def drops_the_generator(
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
    check_text(ids, max_new_tokens, context_length)

    def draw_from(logits, ids):
        return sample_token(repetition_penalty(logits, ids[:, -context_length:], penalty), **sampling)

    stop = stopper(none_of(ids), stop_id)
    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, stop)


@mistake("generate", replaces="generate", says="You hand on the temperature alone, and swallow every other option.")
def hands_on_the_temperature_alone(
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
    check_text(ids, max_new_tokens, context_length)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits, generator=generator, temperature=sampling.get("temperature", 1.0))

    stop = stopper(none_of(ids), stop_id)
    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, stop)


@mistake("generate", replaces="generate", says="You take an empty prompt, and begin with token 0.")
def accepts_empty_prompts(
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
    if max_new_tokens < 0 or context_length < 1:
        raise ValueError("max_new_tokens or context_length is too small")
    ids = ids if ids.shape[1] else torch.zeros(len(ids), 1, dtype=torch.int64)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits, generator=generator, **sampling)

    stop = stopper(none_of(ids), stop_id)
    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, stop)


@mistake("generate", replaces="generate", says="Every row gets the token that was drawn for the first.")
def all_rows_get_the_first_token(
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
    check_text(ids, max_new_tokens, context_length)

    def draw_from(logits, ids):
        logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
        return sample_token(logits[0], generator=generator, **sampling).expand(len(ids))

    stop = stopper(none_of(ids), stop_id)
    return write_on(model, ids, max_new_tokens, context_length, use_cache, draw_from, stop)


# --- perplexity ------------------------------------------------------------------------------------------------------


def check_reading(ids, context_length):
    if len(ids) < 2 or context_length < 1:
        raise ValueError("at least two ids and a context_length of 1 are needed")


def surprise(model, x, y):
    """The sum of the surprise at y after x, in double precision."""
    return F.cross_entropy(model(x[None])[0].double(), y, reduction="sum")


@mistake(
    "perplexity", replaces="perplexity", says="You take the mean of the windows' means: a short one counts too much."
)
def mean_of_means(model, ids, context_length):
    check_reading(ids, context_length)
    with evaluating(model):
        pieces = zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True)
        means = [surprise(model, x, y) / len(y) for x, y in pieces]
    return torch.stack(means).mean().exp().item()


@mistake("perplexity", replaces="perplexity", says="You feed the whole text at once, whatever context_length is.")
def reads_everything_at_once(model, ids, context_length):
    check_reading(ids, context_length)
    with evaluating(model):
        return (surprise(model, ids[:-1], ids[1:]) / (len(ids) - 1)).exp().item()


@mistake("perplexity", replaces="perplexity", says="You leave out the last window when it is short.")
def drops_the_last_window(model, ids, context_length):
    check_reading(ids, context_length)
    total, count = torch.zeros((), dtype=torch.float64), 0
    with evaluating(model):
        for x, y in zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True):
            if len(x) == min(context_length, len(ids) - 1):
                total, count = total + surprise(model, x, y), count + len(y)
    return (total / count).exp().item()


@mistake("perplexity", replaces="perplexity", says="The first token of each window is never asked for.")
def asks_within_windows(model, ids, context_length):
    check_reading(ids, context_length)
    total, count = torch.zeros((), dtype=torch.float64), 0
    with evaluating(model):
        for window in ids.split(context_length):
            if len(window) > 1:
                total, count = total + surprise(model, window[:-1], window[1:]), count + len(window) - 1
    return (total / max(count, 1)).exp().item()


@mistake("perplexity", replaces="perplexity", says="Your windows overlap; each begins where the one before ended.")
def windows_overlap(model, ids, context_length):
    check_reading(ids, context_length)
    total = torch.zeros((), dtype=torch.float64)
    with evaluating(model):
        for time in range(1, len(ids)):
            window = ids[max(0, time - context_length) : time]
            total += F.cross_entropy(model(window[None])[0, -1:].double(), ids[time : time + 1])
    return (total / (len(ids) - 1)).exp().item()


@mistake("perplexity", replaces="perplexity", says="You forget exp: that is the mean surprise.")
def forgets_exp(model, ids, context_length):
    check_reading(ids, context_length)
    with evaluating(model):
        pieces = zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True)
        return (sum(surprise(model, x, y) for x, y in pieces) / (len(ids) - 1)).item()


@mistake("perplexity", replaces="perplexity", says="You take 2 to the power of a natural logarithm.")
def two_to_the_power(model, ids, context_length):
    check_reading(ids, context_length)
    with evaluating(model):
        pieces = zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True)
        return 2 ** (sum(surprise(model, x, y) for x, y in pieces) / (len(ids) - 1)).item()


@mistake("perplexity", replaces="perplexity", says="You divide by the number of ids; one less was asked for.")
def divides_by_all_ids(model, ids, context_length):
    check_reading(ids, context_length)
    with evaluating(model):
        pieces = zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True)
        return (sum(surprise(model, x, y) for x, y in pieces) / len(ids)).exp().item()


@mistake("perplexity", replaces="perplexity", says="Each position is asked for its own id, not for the next.")
def asks_for_the_same_id(model, ids, context_length):
    check_reading(ids, context_length)
    with evaluating(model):
        total = sum(surprise(model, x, x) for x in ids[:-1].split(context_length))
    return (total / (len(ids) - 1)).exp().item()


@mistake("perplexity", replaces="perplexity", says="You read in training mode, and dropout is on.")
def reads_in_training_mode(model, ids, context_length):
    check_reading(ids, context_length)
    with torch.no_grad():
        pieces = zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True)
        return (sum(surprise(model, x, y) for x, y in pieces) / (len(ids) - 1)).exp().item()


@mistake("perplexity", replaces="perplexity", says="You leave the model in training mode, however it was before.")
def trains_after_reading(model, ids, context_length):
    check_reading(ids, context_length)
    model.eval()
    with torch.no_grad():
        pieces = zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True)
        found = (sum(surprise(model, x, y) for x, y in pieces) / (len(ids) - 1)).exp().item()
    model.train()
    return found


@mistake("perplexity", replaces="perplexity", says="You return a tensor; a plain float was asked for.")
def returns_a_tensor(model, ids, context_length):
    check_reading(ids, context_length)
    with evaluating(model):
        pieces = zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True)
        return (sum(surprise(model, x, y) for x, y in pieces) / (len(ids) - 1)).exp()


@mistake("perplexity", replaces="perplexity", says="You take the loss in half precision where the logits are.")
def loss_in_half_precision(model, ids, context_length):
    check_reading(ids, context_length)
    total = 0.0
    with evaluating(model):
        for x, y in zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True):
            total += F.cross_entropy(model(x[None])[0], y, reduction="sum").item()
    return math.exp(total / (len(ids) - 1))


@mistake("perplexity", replaces="perplexity", says="A text of a single id gives NaN; it should be a ValueError.")
def accepts_a_single_id(model, ids, context_length):
    if context_length < 1:
        raise ValueError("context_length must be at least 1")
    with evaluating(model):
        pieces = zip(ids[:-1].split(context_length), ids[1:].split(context_length), strict=True)
        total = sum((surprise(model, x, y) for x, y in pieces if len(y)), torch.zeros((), dtype=torch.float64))
    return (total / (len(ids) - 1)).exp().item() if len(ids) > 1 else math.nan
