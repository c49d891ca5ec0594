"""Visible tests of assignment 07. Run them with `pytest assignments/07_sampling`.

Each test says in its first line what should hold. Inputs are drawn anew for every seed: try `--minigpt-seed 1`.
Where tokens are drawn at random, a right solution fails less than once in a million runs.
"""

import math

import pytest
import torch
from torch import Tensor

from autograder.minigpt.config import GPTConfig
from autograder.minigpt.library import library_parts
from autograder.testing import close, has_shape, hint, limit, points, require, task

AFTER_THE_CAT = torch.tensor([0.40, 0.30, 0.15, 0.10, 0.05])  # the handout's table: sat, ran, ate, hid, sang


def is_ids(actual, expected, hint=None):
    """`actual` is a tensor of int64 with exactly these ids."""
    expected = torch.as_tensor(expected)
    has_shape(actual, *expected.shape, hint=hint)
    require(actual.dtype == torch.int64, f"ids are torch.int64, got {actual.dtype}", hint)
    require(torch.equal(actual, expected), f"expected {expected.tolist()}, got {actual.tolist()}", hint)


def keeps(actual, logits, kept, hint=None):
    """`actual` has the logits as they were where `kept` is true, and −inf everywhere else."""
    has_shape(actual, *logits.shape, hint=hint)
    require(actual.dtype == logits.dtype, f"expected a tensor of {logits.dtype}, got {actual.dtype}", hint)
    expected = logits.masked_fill(~kept, -math.inf)
    for got, due in zip(actual.reshape(-1, logits.shape[-1]), expected.reshape(-1, logits.shape[-1]), strict=True):
        require(torch.equal(got, due), f"expected the row {due.tolist()}, got {got.tolist()}", hint)


def agree_with_chances(drawn, chances, hint=None):
    """Each token was drawn about as often as it should be, and never if it should not be.

    By Hoeffding's inequality, a share of n draws misses its chance by more than this in fewer than 1e-8 of all runs.
    """
    require(isinstance(drawn, Tensor) and drawn.dtype == torch.int64, "ids are a tensor of torch.int64", hint)
    require(bool(((drawn >= 0) & (drawn < len(chances))).all()), "an id is outside the vocabulary", hint)
    shares = torch.bincount(drawn.flatten(), minlength=len(chances)).double() / drawn.numel()
    allowed = math.sqrt(math.log(2 * len(chances) / 1e-8) / (2 * drawn.numel()))
    wrong = (shares - chances).abs() > allowed
    wrong |= (chances == 0) & (shares > 0)
    require(not bool(wrong.any()), f"drawn with shares {rounded(shares)}, expected about {rounded(chances)}", hint)


def rounded(values):
    return [round(value, 3) for value in values.tolist()]


def masses_before(logits):
    """Softmax of the logits, and for each token the mass of those that come before it: likelier, or equal and lower."""
    probabilities = torch.softmax(logits.double(), dim=-1)
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    return probabilities, torch.zeros_like(ordered).scatter(-1, order, ordered.cumsum(-1) - ordered)


def write_greedily(next_logits, ids, steps, context_length):
    """What greedy writing gives, and the smallest distance between a best logit and the next best."""
    margin = math.inf
    for _ in range(steps):
        best, places = next_logits(ids[:, -context_length:]).topk(2, dim=-1)
        margin = min(margin, (best[:, 0] - best[:, 1]).min().item())
        ids = torch.cat((ids, places[:, :1]), dim=1)
    return ids, margin


def draw_script(rng, vocab, ids, steps, context_length):
    """Tables for a `ScriptedModel`, and what it writes greedily, so that rounding cannot change a token."""
    while True:
        table, history = rng.normal(vocab, vocab, scale=2.0), rng.normal(vocab, vocab, scale=4.0)

        def next_logits(window, table=table, history=history):
            return table[window[:, -1]] + history[window].mean(dim=1)

        written, margin = write_greedily(next_logits, ids, steps, context_length)
        if margin > 0.02:
            return table, history, written


def draw_gpt(rng, student, ids, steps, **settings):
    """A GPT of library parts on the student's side with drawn weights, and what it writes greedily."""
    local = library_parts().GPT(GPTConfig(**settings), library_parts())
    while True:
        weights = {name: rng.normal(*value.shape, scale=0.4) for name, value in local.named_parameters()}
        local.load_state_dict(weights, strict=False)
        with torch.no_grad():
            written, margin = write_greedily(lambda x: local(x)[:, -1], ids, steps, settings["context_length"])
        if margin > 0.01:
            break
    model = student.library.GPT(student.library.config(**settings), student.library.parts())
    student.library.set_weights(model, weights)
    return model, written


def draw_chain(rng, vocab):
    """A table for a `ScriptedModel` that goes through all ids in a drawn order, again and again, and that order."""
    order = rng.permutation(vocab)
    table = torch.zeros(vocab, vocab)
    table[order, order.roll(-1)] = 12.0
    return table, order.tolist()


def fed_once(calls, prompt_length, total, hint=None):
    """With a cache, each position was fed once, in order; behind the prompt, one position in each call."""
    end = 0
    for call in calls:
        new = call["ids"].shape[1]
        require(call["cached"] == end, f"a call should find {end} cached positions, not {call['cached']}", hint)
        require(end < prompt_length or new == 1, f"a call behind the prompt feeds 1 new id, not {new}", hint)
        end += new
    require(end >= total, f"{total} positions should have been fed with the cache, not {end}", hint)


# --- greedy ----------------------------------------------------------------------------------------------------------


@task("greedy")
@points(1)
def test_greedy_takes_the_likeliest(student, rng):
    """Greedy gives the id of the largest logit of each row."""
    hint = "The vocabulary is the last axis: argmax with dim=-1."
    is_ids(student.greedy(torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 4.0]])), [1, 0], hint=hint)
    logits = rng.normal(2, 3, 7)
    is_ids(student.greedy(logits), logits.max(dim=-1).indices, hint=hint)


@task("greedy")
@points(1)
def test_greedy_takes_the_lowest_of_equals(student):
    """Of equally likely tokens, greedy takes the one with the lowest id."""
    logits = torch.tensor([[0.0, 2.0, 2.0, 2.0], [1.0, 1.0, 0.0, 1.0], [3.0, 3.0, 3.0, 3.0]])
    is_ids(student.greedy(logits), [1, 0, 0], hint="argmax takes the first of equals; sorting may not.")


@task("greedy")
@points(1)
def test_temperature_divides_the_logits(student, rng):
    """The logits are divided by the temperature; one that is not above 0 is a ValueError."""
    logits = rng.normal(2, 5)
    for temperature in (0.5, 2.0):
        close(student.apply_temperature(logits, temperature), logits / temperature, hint="Divide; do not multiply.")
    for bad in (0.0, -1.0):
        with pytest.raises(ValueError):
            student.apply_temperature(logits, bad)


# --- top_k -----------------------------------------------------------------------------------------------------------


@task("top_k")
@points(2)
def test_top_k_of_each_row(student, rng):
    """The k likeliest tokens of each row keep their logits, and all others get −inf."""
    row = torch.tensor([1.0, 3.0, 2.0, 0.0])
    keeps(student.top_k_filter(row, 2), row, torch.tensor([False, True, True, False]))
    logits = rng.normal(4, 9)
    places = logits.argsort(dim=-1, descending=True).argsort(dim=-1)
    hint = "Each row has a threshold of its own: its k-th largest logit, kept as an axis of 1."
    for k in (1, 3, 8):
        keeps(student.top_k_filter(logits, k), logits, places < k, hint=hint)


@task("top_k")
@points(1)
def test_top_k_keeps_ties(student):
    """Tokens as likely as the k-th stay, even if they are more than k."""
    logits = torch.tensor([[1.0, 3.0, 1.0, 0.0], [2.0, 2.0, 2.0, 2.0]])
    kept = torch.tensor([[True, True, True, False], [True, True, True, True]])
    keeps(student.top_k_filter(logits, 2), logits, kept, hint="Drop what is smaller than the k-th logit, not the rest.")


@task("top_k")
@points(1)
def test_top_k_at_its_ends(student, rng):
    """More than there are tokens keeps all of them; fewer than one is a ValueError."""
    logits = rng.normal(2, 5)
    everything = torch.ones(2, 5, dtype=torch.bool)
    for k in (5, 6, 1000):
        keeps(student.top_k_filter(logits, k), logits, everything, hint="Make k no larger than the vocabulary.")
    with pytest.raises(ValueError):
        student.top_k_filter(logits, 0)


# --- top_p -----------------------------------------------------------------------------------------------------------


@task("top_p")
@points(1)
def test_top_p_of_the_docstring(student):
    """Of 0.3, 0.5 and 0.2, the mass 0.7 takes the first two: the token that brings the mass over p stays."""
    logits = torch.tensor([0.3, 0.5, 0.2]).log()
    hint = "0.5 alone is below 0.7. 0.5 + 0.3 is above it, and 0.3 is needed for that."
    keeps(student.top_p_filter(logits, 0.7), logits, torch.tensor([True, True, False]), hint=hint)


@task("top_p")
@points(2)
def test_top_p_of_each_row(student, rng):
    """Each row keeps the shortest run of its likeliest tokens whose mass reaches p, in its own order."""
    logits = rng.normal(4, 9, scale=1.5)
    _, before = masses_before(logits)
    hint = (
        "Drop a token if the mass before it is at least p. Bring that back from sorted order to the order of the ids."
    )
    for low, high in ((0.1, 0.4), (0.4, 0.7), (0.7, 0.95)):
        drawn = rng.uniform(low, high, 40).double()
        p = drawn[(drawn[:, None] - before.flatten()).abs().amin(dim=1).argmax()].item()  # well away from every mass
        keeps(student.top_p_filter(logits, p), logits, before < p, hint=hint)


@task("top_p")
@points(1)
def test_top_p_at_its_ends(student, rng):
    """However small p is, one token stays; 1 keeps all; of equals the lowest ids come first."""
    logits = rng.normal(3, 6)
    best = torch.nn.functional.one_hot(logits.argmax(dim=-1), 6).bool()
    keeps(student.top_p_filter(logits, 1e-6), logits, best, hint="Before the first token there is no mass: it stays.")
    keeps(student.top_p_filter(logits, 1.0), logits, torch.ones(3, 6, dtype=torch.bool), hint="p = 1 keeps all.")
    equal = torch.zeros(8)
    hint = "Sort with stable=True, so that ties keep the order of their ids."
    keeps(student.top_p_filter(equal, 0.3), equal, torch.arange(8) < 3, hint=hint)


# --- min_p -----------------------------------------------------------------------------------------------------------


@task("min_p")
@points(1)
def test_min_p_of_the_docstring(student):
    """Of 0.3, 0.5 and 0.2, the share 0.5 keeps what has at least 0.25."""
    logits = torch.tensor([0.3, 0.5, 0.2]).log()
    hint = "The threshold is p times the largest probability: 0.5 · 0.5 = 0.25."
    keeps(student.min_p_filter(logits, 0.5), logits, torch.tensor([True, True, False]), hint=hint)


@task("min_p")
@points(2)
def test_min_p_of_each_row(student, rng):
    """Each row has a threshold of its own: p times the probability of its likeliest token."""
    logits = rng.normal(4, 9, scale=1.5)
    ratios = (logits - logits.amax(dim=-1, keepdim=True)).double().exp()
    for low, high in ((0.02, 0.1), (0.1, 0.4), (0.4, 0.9)):
        drawn = rng.uniform(low, high, 40).double()
        p = drawn[(drawn[:, None] - ratios.flatten()).abs().amin(dim=1).argmax()].item()  # well away from every ratio
        hint = "Compare probabilities with p times the row's largest one, and return logits."
        keeps(student.min_p_filter(logits, p), logits, ratios >= p, hint=hint)


# --- penalty ---------------------------------------------------------------------------------------------------------


@task("penalty")
@points(1)
def test_penalty_by_sign(student):
    """Logits above 0 are divided by the penalty, logits below 0 are multiplied by it, of the ids that are there."""
    logits = torch.tensor([3.0, -1.0, 4.0, -2.0, 0.0])
    penalized = student.repetition_penalty(logits, torch.tensor([0, 1, 4]), 2.0)
    hint = "A token gets less likely when its logit gets smaller: -1 must become -2, not -0.5."
    close(penalized, torch.tensor([1.5, -2.0, 4.0, -2.0, 0.0]), hint=hint)


@task("penalty")
@points(1)
def test_penalty_once_for_each_id(student, rng):
    """An id that is there several times is penalized once."""
    logits = rng.normal(6)
    ids = torch.tensor([2, 5, 2, 2, 5])
    once = torch.where(logits > 0, logits / 1.5, logits * 1.5)
    expected = torch.where(torch.tensor([False, False, True, False, False, True]), once, logits)
    close(student.repetition_penalty(logits, ids, 1.5), expected, hint="Compute from the old logits, then write.")


@task("penalty")
@points(1)
def test_penalty_of_each_row(student, rng):
    """Each row of logits is penalized for its own ids."""
    logits, ids = rng.normal(3, 7), torch.stack([rng.permutation(7)[:3] for _ in range(3)])
    expected = logits.clone()
    for row, present in zip(expected, ids, strict=True):
        row[present] = torch.where(row[present] > 0, row[present] / 1.3, row[present] * 1.3)
    close(student.repetition_penalty(logits, ids, 1.3), expected, hint="gather and scatter work row by row, dim=-1.")


# --- sample ----------------------------------------------------------------------------------------------------------


@task("sample")
@points(1)
def test_temperature_zero_is_greedy(student, rng):
    """At temperature 0 the likeliest token is taken; a negative temperature is a ValueError."""
    logits = rng.normal(2, 3, 6)
    hint = "Ask for temperature == 0 before you divide by it."
    is_ids(student.sample_token(logits, temperature=0), logits.argmax(dim=-1), hint=hint)
    is_ids(student.sample_token(logits, temperature=0.0, top_k=3, top_p=0.9), logits.argmax(dim=-1), hint=hint)
    with pytest.raises(ValueError):
        student.sample_token(logits, temperature=-1.0)


@task("sample")
@points(1)
@limit(20)  # for those who draw row by row
def test_tokens_are_drawn_by_their_chances(student, rng):
    """Each token is drawn as often as its probability says, with a temperature and without, in rows of their own."""
    order = rng.permutation(5)
    chances = AFTER_THE_CAT[order]
    rows = chances.log().repeat(4000, 1)
    drawn = student.sample_token(rows)
    has_shape(drawn, 4000, hint="One id for each row.")
    agree_with_chances(drawn, chances.double(), hint="Softmax, then draw. Each row is a draw of its own.")
    sharp = chances.double() ** 2 / (chances.double() ** 2).sum()
    agree_with_chances(student.sample_token(rows, temperature=0.5), sharp, hint="Divide by the temperature first.")
    top = torch.where(order < 2, chances.double(), 0.0) / 0.7
    agree_with_chances(student.sample_token(rows, top_k=2), top, hint="Draw from what the filters leave.")


@task("sample")
@points(1)
@hint("Reshape to (rows, vocab) before torch.multinomial, and back to logits.shape[:-1]. Softmax in float32.")
def test_sample_of_any_shape(student, rng):
    """Any leading axes or none, half and double precision, −inf and huge logits give ids that may be drawn."""
    for shape in ((), (1,), (3,), (2, 1, 3)):
        logits, best = torch.zeros(*shape, 9), rng.ids(9, *shape)
        logits.scatter_(-1, best[..., None], 60.0)
        for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
            is_ids(student.sample_token(logits.to(dtype)), best)
            is_ids(student.sample_token(logits.to(dtype), temperature=0), best)
    place = rng.integer(0, 3)
    for value, others in ((1e4, -1e4), (-1e4, -2e4), (3.0, -math.inf), (1e30, -1e30)):
        row = torch.full((4,), others)
        row[place] = value
        for options in ({}, {"top_k": 3}, {"top_p": 0.9}, {"min_p": 0.1}, {"temperature": 2.0}):
            is_ids(student.sample_token(row, **options), place)


@task("sample")
@points(1)
@limit(20)  # for those who draw row by row
def test_temperature_comes_before_the_filters(student, rng):
    """Temperature comes first, then top-k, then top-p, each on what the one before has left."""
    order = rng.permutation(5)
    rows = (AFTER_THE_CAT[order].log() + rng.normal(1)).repeat(4000, 1)
    flat = torch.where(order < 4, AFTER_THE_CAT[order].double().sqrt(), 0.0)
    hint = "At temperature 2 the first three tokens have the mass 0.744, so 0.75 takes four."
    agree_with_chances(student.sample_token(rows, temperature=2.0, top_p=0.75), flat / flat.sum(), hint=hint)
    two = torch.where(order < 2, AFTER_THE_CAT[order].double(), 0.0) / 0.7
    hint = "Behind top_k=3 the probabilities are 0.471, 0.353 and 0.176: two of them reach 0.8."
    agree_with_chances(student.sample_token(rows, top_k=3, top_p=0.8), two, hint=hint)


@task("sample")
@points(1)
def test_same_seed_same_tokens(student, rng):
    """The same seed gives the same tokens, and with a generator all randomness comes from it."""
    logits, seed = rng.normal(6, 10, 50), rng.integer(0, 10**6)
    generator = student.library.generator(seed)
    first = student.sample_token(logits, generator=generator)
    second = student.sample_token(logits, generator=generator)
    again = student.sample_token(logits, generator=student.library.generator(seed))
    has_shape(first, 6, 10, hint="torch.multinomial takes two axes at most: make the leading ones into one before it.")
    is_ids(again, first, hint="Hand `generator` to torch.multinomial.")
    require(not torch.equal(second, first), "the second draw from a generator gives other tokens")
    moved = student.library.uses_global_randomness(student.sample_token, logits, generator=generator)
    require(not moved, "with a generator, torch's global random state stays as it is")


# --- generate --------------------------------------------------------------------------------------------------------


@task("generate")
@points(1)
def test_generate_writes_on(student, rng):
    """The prompt comes back with as many tokens more as were asked for, each the likeliest after the ones before."""
    prompt = rng.ids(9, 2, 3)
    table, history, written = draw_script(rng, 9, prompt, steps=6, context_length=20)
    model = student.library.ScriptedModel(table, history)
    hint = "Take the logits at the last position, draw with sample_token, and join along time."
    is_ids(student.generate(model, prompt, 6, context_length=20, temperature=0), written, hint=hint)
    is_ids(student.generate(model, prompt, 1, context_length=20, temperature=0), written[:, :4], hint=hint)
    is_ids(student.generate(model, prompt, 0, context_length=20, temperature=0), prompt, hint="0 tokens: the prompt.")
    hint = "Hand **sampling on to sample_token."
    is_ids(student.generate(model, prompt, 6, context_length=20, top_k=1), written, hint=hint)
    best = rng.permutation(4)
    model = student.library.ScriptedModel(torch.tensor([3.0, 2.0, 1.8, 0.1])[best.argsort()].repeat(4, 1))
    expected = best[None, [3, 0, 1, 2, 0, 0]]  # 3, then 2 against 3/2, then 1.8 against 3/2, then 3/2 against 2/2
    options = {"context_length": 20, "temperature": 0, "penalty": 2.0}
    is_ids(student.generate(model, best[None, 3:], 5, **options), expected, hint="The penalty comes before the draw.")


@task("generate")
@points(1)
def test_the_model_sees_its_window(student, rng):
    """The model is fed the last `context_length` ids, never more."""
    prompt = rng.ids(9, 2, 3)
    table, history, written = draw_script(rng, 9, prompt, steps=7, context_length=5)
    model = student.library.ScriptedModel(table, history)
    is_ids(
        student.generate(model, prompt, 7, context_length=5, temperature=0), written, hint="ids[:, -context_length:]"
    )
    for time, call in enumerate(model.calls[:7], start=3):
        is_ids(
            call["ids"], written[:, max(0, time - 5) : time], hint="Feed ids[:, -context_length:], and nothing else."
        )


@task("generate")
@points(2)
def test_cache_changes_no_token(student, rng):
    """With a cache the tokens are those without one, also when the text gets longer than the window."""
    prompt = rng.ids(11, 2, 3)
    settings = {"vocab_size": 11, "context_length": 8, "d_model": 16, "n_layers": 2, "n_heads": 2}
    model, written = draw_gpt(rng, student, prompt, steps=10, **settings)
    is_ids(student.generate(model, prompt, 10, context_length=8, temperature=0), written)
    hint = (
        "With a cache feed only the ids that are new. When the text is longer than the window, feed all of the window."
    )
    is_ids(student.generate(model, prompt, 10, context_length=8, temperature=0, use_cache=True), written, hint=hint)
    scripted = student.library.ScriptedModel(rng.normal(11, 11))
    student.generate(scripted, prompt, 5, context_length=8, temperature=0, use_cache=True)
    fed_once(scripted.calls, 3, 7, hint)


@task("generate")
@points(1)
def test_rows_stop(student, rng):
    """A row that has drawn `stop_id` goes on with it; when every row has, writing ends."""
    table, order = draw_chain(rng, 8)
    model = student.library.ScriptedModel(table)
    prompt = torch.tensor([[order[5], order[3]], [order[0], order[1]]])
    expected = [[order[5], *order[3:6], order[5], order[5]], [order[0], *order[1:6]]]
    options = {"context_length": 8, "temperature": 0}
    hint = "Remember for each row whether it has drawn stop_id. Such a row gets stop_id whatever is drawn."
    is_ids(student.generate(model, prompt, 4, stop_id=order[5], **options), expected, hint=hint)  # also in a prompt
    is_ids(student.generate(model, prompt, 50, stop_id=order[5], **options), expected, hint="Stop when all have.")
    everything = [[order[5], *order[3:8]], [order[0], *order[1:6]]]
    is_ids(student.generate(model, prompt, 4, **options), everything, hint="Without a stop_id nothing stops.")


@task("generate")
@points(1)
def test_generate_evaluates(student, rng):
    """While it writes, the model is in evaluation mode and computes no gradients; then it has its mode back."""
    table, order = draw_chain(rng, 8)
    model = student.library.ScriptedModel(table, dropout=0.5)
    model.train()
    written = student.generate(model, torch.tensor([order[:1]]), 7, context_length=8, temperature=0)
    is_ids(written, [order], hint="Dropout must be off: model.eval().")
    require(not any(call["grad"] for call in model.calls), "gradients were computed", "with torch.no_grad():")
    require(not any(call["training"] for call in model.calls), "the model was in training mode", "model.eval()")
    require(student.library.modes(model) == {"": True, "inner": True}, "the model is in training mode again")


# --- perplexity ------------------------------------------------------------------------------------------------------


@task("perplexity")
@points(1)
def test_perplexity_on_paper(student, rng):
    """A model that knows nothing has the size of its vocabulary as perplexity; 1/2 and 1/8 make 4."""
    clueless = student.library.ScriptedModel(torch.zeros(13, 13))
    found = student.perplexity(clueless, rng.ids(13, 30), 8)
    require(type(found) is float, "perplexity is a plain float", "A tensor's item() is a float.")
    close(found, 13.0, rtol=1e-3, hint="exp of the mean of −log(1/13) is 13.")
    table = torch.tensor([[0.25, 0.5, 0.25], [0.5, 0.375, 0.125], [0.2, 0.3, 0.5]]).log()
    hint = "Each position is asked for the id behind it: 0.5 for 1 after 0, then 0.125 for 2 after 1."
    close(student.perplexity(student.library.ScriptedModel(table), torch.tensor([0, 1, 2]), 8), 4.0, hint=hint)


@task("perplexity")
@points(2)
def test_perplexity_in_windows(student, rng):
    """The text is read in windows that follow each other; every id but the first counts once, with equal weight."""
    table, history, ids = rng.normal(7, 7), rng.normal(7, 7, scale=3.0), rng.ids(7, 11)
    model = student.library.ScriptedModel(table, history)
    surprises = []
    for time in range(10):
        window = ids[time // 4 * 4 : time + 1]
        logits = (table[ids[time]] + history[window].mean(dim=0)).double()
        surprises.append(torch.logsumexp(logits, 0) - logits[ids[time + 1]])
    expected = torch.stack(surprises).mean().exp().item()
    hint = "Windows of 4 feed the ids 0-3, 4-7 and 8-9. Add up all surprises, and divide once by 10."
    close(student.perplexity(model, ids, 4), expected, rtol=1e-3, hint=hint)


@task("perplexity")
@points(1)
def test_perplexity_evaluates(student, rng):
    """The model is in evaluation mode without gradients while it reads, and has its mode back afterwards."""
    table, ids = rng.normal(5, 5), rng.ids(5, 20)
    model = student.library.ScriptedModel(table, dropout=0.5)
    model.train()
    expected = torch.nn.functional.cross_entropy(table[ids[:-1]].double(), ids[1:]).exp().item()
    close(student.perplexity(model, ids, 6), expected, rtol=1e-3, hint="Dropout must be off: model.eval().")
    require(not any(call["grad"] or call["training"] for call in model.calls), "in training mode, or with gradients")
    require(student.library.modes(model) == {"": True, "inner": True}, "the model is in training mode again")
