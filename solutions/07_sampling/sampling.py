"""Sampling: from the model's numbers to the next token, from there to a whole text, and how well a model reads one.

    logits = torch.tensor([2.0794, 1.7918, 1.0986, 0.6931, 0.0])     # probabilities 0.40, 0.30, 0.15, 0.10, 0.05
    sample_token(logits, temperature=0.8, top_p=0.9)                 # tensor(0), or tensor(1), ...
    generate(model, ids, 100, context_length=128, temperature=0.8)   # the prompt and 100 tokens more

From small to large: `greedy` and `apply_temperature`, three filters (`top_k_filter`, `top_p_filter`, `min_p_filter`),
`repetition_penalty`, `sample_token`, which uses most of them, `generate`, and `perplexity`. Logits are `[..., vocab]`,
with any number of axes in front, and what has been filtered out is −inf: softmax gives it the probability 0.

Does not handle: beam search, prompts of different lengths in one batch, logits of a row that are all −inf.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def greedy(logits: Float[Tensor, "... vocab"]) -> Int[Tensor, "..."]:
    """The likeliest token of each row; where several are equally likely, the one with the lowest id.

        greedy(torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 5.0]]))     # tensor([1, 0])

    Returns ids as int64, in the shape of the logits without their last axis.

    Steps:
    1. Find the place of the largest logit along the last axis.
    """
    ### BEGIN SOLUTION
    return logits.argmax(dim=-1)  # (...); of equal ones, torch takes the first
    ### END SOLUTION


def apply_temperature(logits: Float[Tensor, "... vocab"], temperature: float) -> Float[Tensor, "... vocab"]:
    """Divides the logits by the temperature: below 1 the likely tokens gain, above 1 the unlikely ones do.

    On paper: the logits [0, ln 3] stand for the probabilities [1/4, 3/4]. At temperature 0.5 they become [0, 2 ln 3]:
    [1/10, 9/10]. (Ackley, Hinton and Sejnowski 1985, section 2, where it still is a temperature.)

        apply_temperature(torch.tensor([0.0, 1.0986]), 0.5)          # tensor([0.0000, 2.1972])

    Returns the shape and dtype of the logits. What is −inf stays −inf.
    Raises ValueError if the temperature is not above 0. (0 would be `greedy`; `sample_token` takes care of that.)

    Steps:
    1. Check the temperature.
    2. Divide.
    """
    ### BEGIN SOLUTION
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    return logits / temperature
    ### END SOLUTION


def top_k_filter(logits: Float[Tensor, "... vocab"], k: int) -> Float[Tensor, "... vocab"]:
    """Keeps the k likeliest tokens of each row, and those as likely as the k-th (Fan et al. 2018, section 5.4).

        top_k_filter(torch.tensor([1.0, 3.0, 2.0, 0.0]), 2)          # tensor([-inf, 3., 2., -inf])
        top_k_filter(torch.tensor([1.0, 3.0, 1.0, 0.0]), 2)          # tensor([1., 3., 1., -inf]): a tie stays

    k: at least 1. More than there are tokens keeps all.
    Returns the shape and dtype of the logits: what is kept is as it was, all else is −inf.
    Raises ValueError if `k` is below 1.

    Steps:
    1. Check k. Make it no larger than the vocabulary.
    2. Find each row's k-th largest logit. Keep its axis, so that you can compare it with the row.
    3. Where a logit is smaller than that, put −inf.
    """
    ### BEGIN SOLUTION
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    k = min(k, logits.shape[-1])
    smallest_kept = logits.topk(k, dim=-1).values[..., -1:]  # (..., 1)
    return logits.masked_fill(logits < smallest_kept, float("-inf"))
    ### END SOLUTION


def top_p_filter(logits: Float[Tensor, "... vocab"], p: float) -> Float[Tensor, "... vocab"]:
    """Keeps the fewest tokens that have the mass p together, likeliest first (Holtzman et al. 2020, section 3.1).

    On paper: the probabilities are 0.3, 0.5 and 0.2, and p is 0.7. From the likeliest down, 0.5 is not enough, and
    0.5 + 0.3 = 0.8 is. So two tokens stay, and the one that brings the mass over p is one of them:

        logits = torch.tensor([0.3, 0.5, 0.2]).log()
        top_p_filter(logits, 0.7)                                    # tensor([-1.2040, -0.6931, -inf])

    p: above 0 and at most 1. 1 keeps all. However small it is, the likeliest token stays.
    Of tokens that are equally likely, the one with the lowest id comes first.
    Returns the shape and dtype of the logits: what is kept is as it was, all else is −inf. float16 and bfloat16 are too
    coarse to add up many small numbers: take softmax and its sums in float32 for them.
    Raises ValueError if `p` is not above 0 and at most 1.

    Steps:
    1. Check p.
    2. Sort each row, the largest first; `stable=True` leaves ties in the order of their ids. Keep where each came from.
    3. Take softmax of the sorted rows, and for each token the mass of all that come before it.
    4. Drop a token if the mass before it has reached p already. Before the first there is none, so it stays.
    5. Bring the decisions back to the places that the tokens came from, and put −inf where a token is dropped.
    """
    ### BEGIN SOLUTION
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got {p}")
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    wide = torch.promote_types(logits.dtype, torch.float32)
    probabilities = torch.softmax(ordered, dim=-1, dtype=wide)  # (..., vocab), likeliest first
    mass_before = probabilities.cumsum(dim=-1) - probabilities
    dropped = mass_before >= p
    dropped = torch.zeros_like(dropped).scatter(-1, order, dropped)  # (..., vocab), in the order of the ids
    return logits.masked_fill(dropped, float("-inf"))
    ### END SOLUTION


def min_p_filter(logits: Float[Tensor, "... vocab"], p: float) -> Float[Tensor, "... vocab"]:
    """Keeps the tokens that have at least p times the probability of the likeliest (Nguyen et al. 2024, section 3).

    On paper: the probabilities are 0.3, 0.5 and 0.2, and p is 0.5. Half of the largest is 0.25, so 0.2 goes:

        logits = torch.tensor([0.3, 0.5, 0.2]).log()
        min_p_filter(logits, 0.5)                                    # tensor([-1.2040, -0.6931, -inf])

    Where the model is sure, few tokens stay; where it hesitates, many do.

    p: from 0 to 1. 0 keeps all; 1 keeps the likeliest and its equals.
    Returns the shape and dtype of the logits: what is kept is as it was, all else is −inf. Probabilities of float16 and
    bfloat16 logits are computed in float32.
    Raises ValueError if `p` is not from 0 to 1.

    Steps:
    1. Check p.
    2. Take softmax, and each row's largest probability. Keep its axis.
    3. Where a probability is below p times the largest, put −inf.
    """
    ### BEGIN SOLUTION
    if not 0 <= p <= 1:
        raise ValueError(f"p must be from 0 to 1, got {p}")
    wide = torch.promote_types(logits.dtype, torch.float32)
    probabilities = torch.softmax(logits, dim=-1, dtype=wide)
    largest = probabilities.amax(dim=-1, keepdim=True)  # (..., 1)
    return logits.masked_fill(probabilities < p * largest, float("-inf"))
    ### END SOLUTION


def repetition_penalty(
    logits: Float[Tensor, "... vocab"], ids: Int[Tensor, "... time"], penalty: float
) -> Float[Tensor, "... vocab"]:
    """Makes tokens less likely that are there already (Keskar et al. 2019, CTRL, section 4.1, as libraries do it).

    A logit above 0 is divided by the penalty, one below 0 is multiplied by it, so that both get smaller. That happens
    once for each token that is there, however often it is there:

        logits = torch.tensor([3.0, -1.0, 4.0, 0.5])
        repetition_penalty(logits, torch.tensor([1, 0, 1]), 2.0)     # tensor([1.5000, -2.0000, 4.0000, 0.5000])

    ids: the tokens so far. Their leading axes are those of the logits: each row of logits has a row of ids of its own.
    penalty: above 0; 1 changes nothing, above 1 makes repeating less likely.
    Returns the shape and dtype of the logits. What is −inf stays −inf.
    Raises ValueError if the penalty is not above 0.

    Steps:
    1. Check the penalty.
    2. Fetch the logits of the ids (`gather`).
    3. Divide those above 0, multiply the others.
    4. Put them back in the same places, in a copy (`scatter`). An id that is there twice gets the same number twice.
    """
    ### BEGIN SOLUTION
    if not penalty > 0:
        raise ValueError(f"penalty must be above 0, got {penalty}")
    present = logits.gather(-1, ids)  # (..., time)
    penalized = torch.where(present > 0, present / penalty, present * penalty)
    return logits.scatter(-1, ids, penalized)  # (..., vocab)
    ### END SOLUTION


def sample_token(
    logits: Float[Tensor, "... vocab"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "..."]:
    """Draws a token for each row, with the probabilities that temperature and filters leave.

        logits = torch.tensor([0.3, 0.5, 0.2]).log()
        sample_token(logits)                                         # tensor(1) in half of all cases
        sample_token(logits, top_k=2)                                # tensor(0) or tensor(1), never tensor(2)
        sample_token(logits, temperature=0)                          # tensor(1), always

    The order is fixed: temperature, top-k, top-p, min-p. Each works on what the one before has left. What is left sums
    to 1 again, because softmax does not count −inf.

    temperature: 0 means `greedy`, with nothing random about it.
    top_k, top_p, min_p: None leaves that filter out.
    generator: where randomness comes from, and then from there alone; None is torch's global generator.
    Returns ids as int64, in the shape of the logits without their last axis. Each row is a draw of its own.
    Raises ValueError if the temperature is negative, or as the filters do.

    Steps:
    1. At temperature 0, take the likeliest token.
    2. Otherwise apply the temperature, then each filter that is asked for, in that order.
    3. Take softmax, in float32 at least.
    4. Draw. `torch.multinomial` wants two axes: make the leading ones into one, and restore them at the end.
    """
    ### BEGIN SOLUTION
    if temperature == 0:
        return greedy(logits)
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = top_k_filter(logits, top_k)
    if top_p is not None:
        logits = top_p_filter(logits, top_p)
    if min_p is not None:
        logits = min_p_filter(logits, min_p)
    wide = torch.promote_types(logits.dtype, torch.float32)
    probabilities = torch.softmax(logits, dim=-1, dtype=wide)  # (..., vocab)
    rows = probabilities.reshape(-1, logits.shape[-1])  # (rows, vocab)
    drawn = torch.multinomial(rows, num_samples=1, generator=generator)  # (rows, 1)
    return drawn.reshape(logits.shape[:-1])  # (...)
    ### END SOLUTION


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts the model into evaluation mode, without gradients, as long as a `with` lasts.

        with evaluating(model):
            logits = model(ids)                                      # no dropout, no gradients

    Afterwards every submodule has the mode that it had before. Some may be in evaluation mode while the model as a
    whole is in training mode, so `model.train()` at the end would not do.

    What stands before `yield` happens at the beginning of the `with`, what stands behind it at the end. In between,
    the lines of the `with` run. `try` and `finally` around the `yield` see to the end even if these lines raise.

    Steps:
    1. Note the mode (`training`) of the model and of every submodule: `model.modules()` goes through all of them.
    2. Switch to evaluation mode.
    3. Turn gradients off, and `yield`.
    4. Give each of them its mode back.
    """
    ### BEGIN SOLUTION
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
    ### END SOLUTION


def next_logits(
    model: nn.Module, ids: Int[Tensor, "batch time"], context_length: int, cache: list[Any] | None
) -> Float[Tensor, "batch vocab"]:
    """What the model says of the token that comes after the ids: its logits at the last position.

    The model can look at `context_length` ids and not more. Those are its window: the last ones of the text.

    cache: None, or what `model.new_cache()` gave: one cache per layer. They fill up together, and `cache[0].length` is
        the number of ids that the model has been fed with this cache. As long as the text fits into the window, the
        model is fed only the ids that are new: all of the prompt at first, later one. It is called as
        `model(new_ids, cache=cache)`.

    When the text is longer than the window, the cache is of no use any more. The window moves by one, so every token in
    it stands one place further left than before, and none of them may know the token that dropped out. Cached keys and
    values belong to the old places, and were computed with that token. So the model is fed the whole window, as it is
    without a cache.

    Steps:
    1. Without a cache, or when the text is longer than the window: feed the window to the model.
    2. Otherwise feed the ids that the cache does not hold yet, and the cache.
    3. Return the logits of the last position.
    """
    ### BEGIN SOLUTION
    if cache is None or ids.shape[1] > context_length:
        logits = model(ids[:, -context_length:])  # (batch, window, vocab)
    else:
        logits = model(ids[:, cache[0].length :], cache=cache)  # (batch, new, vocab)
    return logits[:, -1]
    ### END SOLUTION


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
    **sampling: Any,
) -> Int[Tensor, "batch longer"]:
    """Writes on: a token for each row of the batch, again and again, each drawn from what the model says then.

        generate(model, torch.tensor([[5, 2, 8]]), 2, context_length=128, top_k=10)        # tensor([[5, 2, 8, 1, 4]])

    ids: the prompts, one per row, all of the same length. They are left as they are.
    context_length: the most ids that the model may see in one call, those in the cache included. It sees the last ones.
    stop_id: a row that has drawn this token is finished, and goes on with `stop_id` as long as others are not. When
        every row is finished, it ends. Only drawn tokens finish a row: in the prompt, `stop_id` means nothing.
    use_cache: whether to keep keys and values in `model.new_cache()`. The tokens are the same, only sooner.
    generator: as in `sample_token`.
    penalty: for `repetition_penalty`, over the ids that the model sees. It comes before everything else.
    sampling: the options of `sample_token`: temperature, top_k, top_p, min_p. Any other is a TypeError.
    Returns the prompt and at most `max_new_tokens` more, which may be 0. Meanwhile the model is in evaluation mode and
    computes no gradients; afterwards every submodule has the mode that it had.
    Raises ValueError if the prompt is empty, `max_new_tokens` is negative, or `context_length` is below 1.

    Steps:
    1. Check the arguments. Make a cache if one is wanted. No row is finished. What follows is `evaluating` the model.
    2. Up to `max_new_tokens` times: get the next logits, apply the penalty with the window's ids, and draw a token.
    3. Rows that are finished get `stop_id` instead of what was drawn. Rows whose token is `stop_id` are finished now.
    4. Join the tokens to the ids along time. Stop if every row is finished.
    """
    ### BEGIN SOLUTION
    if ids.shape[1] < 1:
        raise ValueError("the prompt must have at least one token, got an empty one")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative, got {max_new_tokens}")
    if context_length < 1:
        raise ValueError(f"context_length must be at least 1, got {context_length}")
    cache = model.new_cache() if use_cache else None
    finished = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)  # (batch,)
    with evaluating(model):
        for _ in range(max_new_tokens):
            logits = next_logits(model, ids, context_length, cache)  # (batch, vocab)
            logits = repetition_penalty(logits, ids[:, -context_length:], penalty)
            drawn = sample_token(logits, generator=generator, **sampling)  # (batch,)
            if stop_id is not None:
                drawn = drawn.masked_fill(finished, stop_id)
                finished = drawn == stop_id
            ids = torch.cat((ids, drawn[:, None]), dim=1)  # (batch, time + 1)
            if finished.all():
                break
    return ids
    ### END SOLUTION


def perplexity(model: nn.Module, ids: Int[Tensor, " time"], context_length: int) -> float:
    """How many tokens the model hesitates between, on average, when it reads a text (Jelinek et al. 1977).

    It is exp of the mean surprise −log p over all tokens but the first, which nothing comes before. On paper: the model
    gives the tokens that come the probabilities 1/2 and 1/8. The mean of ln 2 and ln 8 is ln 4, so the perplexity is 4.
    A model that knows nothing has the size of its vocabulary as perplexity; one that is always right and sure has 1:

        perplexity(model, torch.tensor([5, 2, 8]), context_length=128)                     # a float, such as 4.0

    ids: one text, longer than `context_length` or not. It is read in windows that follow each other without overlap:
        the first feeds the ids 0 to context_length − 1, each asked for the id behind it, the next goes on where that
        one ended. The last window may be shorter. So each token but the first is asked for exactly once.
    The model is in evaluation mode meanwhile and computes no gradients; afterwards every submodule has its mode back.
    Returns a plain float. The surprise is computed in float32 at least.
    Raises ValueError if there are fewer than two ids, or `context_length` is below 1.

    Steps:
    1. Check the arguments. All that follows is `evaluating` the model.
    2. For each window: feed its ids, with a batch axis of 1, and add up the surprise at the ids that come next, which
       are those one place further on. `F.cross_entropy(logits, targets, reduction="sum")` is such a sum.
    3. Divide by the number of ids that were asked for, and take exp.
    """
    ### BEGIN SOLUTION
    if len(ids) < 2:
        raise ValueError(f"ids must hold at least two tokens, got {len(ids)}")
    if context_length < 1:
        raise ValueError(f"context_length must be at least 1, got {context_length}")
    inputs, targets = ids[:-1], ids[1:]
    surprise = torch.zeros((), dtype=torch.float64)
    with evaluating(model):
        for start in range(0, len(inputs), context_length):
            window = slice(start, start + context_length)
            logits = model(inputs[window][None])[0]  # (window, vocab)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            surprise += F.cross_entropy(logits, targets[window], reduction="sum").cpu()
    return (surprise / len(targets)).exp().item()
    ### END SOLUTION
