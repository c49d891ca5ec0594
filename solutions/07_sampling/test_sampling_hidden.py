"""Hidden tests of assignment 07. A student sees a test's title and its hint, and nothing else.

Where tokens are drawn at random, a right solution fails less than once in a million runs.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.minigpt.config import GPTConfig
from autograder.minigpt.library import library_parts
from autograder.testing import close, has_shape, hint, limit, points, require, task

HALVES = (torch.float16, torch.bfloat16)
CHANCES = torch.tensor([0.40, 0.30, 0.15, 0.10, 0.05], dtype=torch.float64)


def is_ids(actual, expected):
    """`actual` is a tensor of int64 with exactly these ids."""
    expected = torch.as_tensor(expected)
    has_shape(actual, *expected.shape)
    require(actual.dtype == torch.int64, "ids are torch.int64")
    require(torch.equal(actual, expected), "wrong ids")


def keeps(actual, logits, kept):
    """`actual` has the logits as they were where `kept` is true, and −inf everywhere else."""
    has_shape(actual, *logits.shape)
    require(actual.dtype == logits.dtype, "the dtype changed")
    require(not bool(actual.isnan().any()), "there is a NaN")
    require(torch.equal(actual, logits.masked_fill(~kept, -math.inf)), "wrong tokens are kept, or logits changed")


def agree_with_chances(drawn, chances):
    """Each token was drawn about as often as it should be, and never if it should not be.

    By Hoeffding's inequality, a share of n draws misses its chance by more than this in fewer than 1e-8 of all runs.
    """
    require(isinstance(drawn, Tensor) and drawn.dtype == torch.int64, "ids are a tensor of torch.int64")
    require(bool(((drawn >= 0) & (drawn < len(chances))).all()), "an id is outside the vocabulary")
    shares = torch.bincount(drawn.flatten(), minlength=len(chances)).double() / drawn.numel()
    allowed = math.sqrt(math.log(2 * len(chances) / 1e-8) / (2 * drawn.numel()))
    wrong = (shares - chances).abs() > allowed
    wrong |= (chances == 0) & (shares > 0)
    require(not bool(wrong.any()), "tokens are not drawn by their chances")


def rank(logits):
    """Each token's place from the likeliest down; of equals the lowest id first."""
    return logits.sort(dim=-1, descending=True, stable=True).indices.argsort(dim=-1)


def mass_before(logits):
    """The mass of the tokens that are likelier, or as likely with a lower id."""
    ordered, order = logits.double().softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    return torch.zeros_like(ordered).scatter(-1, order, ordered.cumsum(dim=-1) - ordered)


def ratio(logits):
    """Each token's probability, divided by that of the likeliest."""
    wide = logits.double()
    return (wide - wide.amax(dim=-1, keepdim=True)).exp()


def draw_p(rng, low, high, values):
    """A number between `low` and `high` that is as far as can be from all of the values."""
    drawn = rng.uniform(low, high, 60).double()
    return drawn[(drawn[:, None] - values.flatten()).abs().amin(dim=1).argmax()].item()


def filtered_row(rng, vocab=9):
    """A row of which some tokens have been filtered out already, and which those are."""
    gone = torch.zeros(vocab, dtype=torch.bool)
    gone[rng.permutation(vocab)[:3]] = True
    return rng.normal(vocab).masked_fill(gone, -math.inf), gone


def write_greedily(next_logits, ids, steps, context_length, penalize=lambda logits, ids: logits):
    """What greedy writing gives, and the smallest distance between a best logit and the next best."""
    margin = math.inf
    for _ in range(steps):
        logits = penalize(next_logits(ids[:, -context_length:]), ids)
        best, places = logits.topk(2, dim=-1)
        margin = min(margin, (best[:, 0] - best[:, 1]).min().item())
        ids = torch.cat((ids, places[:, :1]), dim=1)
    return ids, margin


def scripted(table, history):
    """What a `ScriptedModel` says of the next token."""
    return lambda window: table[window[:, -1]] + history[window].mean(dim=1)


def draw_script(rng, vocab, ids, steps, context_length):
    """Tables for a `ScriptedModel`, and what it writes greedily, so that rounding cannot change a token."""
    while True:
        table, history = rng.normal(vocab, vocab, scale=2.0), rng.normal(vocab, vocab, scale=4.0)
        written, margin = write_greedily(scripted(table, history), ids, steps, context_length)
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
    return model, local, written


def draw_chain(rng, vocab):
    """A table for a `ScriptedModel` that goes through all ids in a drawn order, again and again, and that order."""
    order = rng.permutation(vocab)
    table = torch.zeros(vocab, vocab)
    table[order, order.roll(-1)] = 12.0
    return table, order.tolist()


def check_windows(calls, written, prompt_length, context_length):
    """With a cache: each position once and in order, then one in each call; behind the window, all of the window."""
    fed, windows = 0, []
    for call in calls:
        new = call["ids"].shape[1]
        if prompt_length <= context_length and call["cached"] == fed and fed + new <= context_length:
            require(fed < prompt_length or new == 1, "a call behind the prompt feeds one position")
            require(torch.equal(call["ids"], written[:, fed : fed + new]), "the ids that are fed are not the next ones")
            fed += new
        else:
            require(call["cached"] in (None, 0), "the cache is used though the window is full")
            windows.append(call["ids"])
    if prompt_length < context_length:
        require(fed >= min(context_length, written.shape[1]) - 1, "the cache is not used up to the window's end")
    for last in (written.shape[1] - 1, written.shape[1]):  # the model may have been asked once more than it must
        due = [written[:, max(0, end - context_length) : end] for end in range(last - len(windows) + 1, last + 1)]
        if all(map(torch.equal, windows, due)):
            return
    require(False, "the calls behind the window's end do not feed the last context_length ids")


def surprise_in_windows(next_logits, ids, context_length):
    """The surprise at each of ids[1:], in windows without overlap, one position after the other."""
    surprises = []
    for time in range(len(ids) - 1):
        window = ids[time // context_length * context_length : time + 1]
        surprises.append(F.cross_entropy(next_logits(window[None]).double(), ids[None, time + 1]))
    return torch.stack(surprises)


# --- greedy ----------------------------------------------------------------------------------------------------------


@task("greedy")
@points(1)
@hint("Reduce the last axis, dim=-1, whatever stands before it. One row alone gives a tensor without axes.")
def test_greedy_of_any_shape(student, rng):
    """Greedy works for one row alone, for any leading axes, and for a vocabulary of one."""
    for shape in ((), (1,), (4,), (2, 3), (2, 1, 3, 2)):
        logits = rng.normal(*shape, rng.integer(2, 30))
        is_ids(student.greedy(logits), (logits == logits.amax(dim=-1, keepdim=True)).int().argmax(dim=-1))
        is_ids(student.greedy(logits[..., :1]), torch.zeros(shape, dtype=torch.int64))


@task("greedy")
@points(1)
@hint("Compare the logits as they are: no exp and no softmax. Of equals, the lowest id.")
def test_greedy_of_extreme_logits(student, rng):
    """Huge numbers, −inf, half precision and ties among them change nothing."""
    place = rng.integer(1, 6)
    row = torch.full((8,), -math.inf)
    row[place] = -1e30
    is_ids(student.greedy(row), place)
    row[place], row[place + 1] = 3e38, 3e38
    is_ids(student.greedy(row), place)
    for dtype in HALVES:
        ties = torch.tensor([0.25, -1.0, 0.5, 0.5, 0.0, 0.5], dtype=dtype)[rng.permutation(6)]
        is_ids(student.greedy(ties), ties.tolist().index(0.5))
    is_ids(student.greedy(torch.tensor([[100.0, 100.0 + 1e-5 * 2, 99.0]])), [1])


@task("greedy")
@points(1)
@hint("One division, of a new tensor. −inf divided by a positive number is −inf.")
def test_temperature_of_any_shape(student, rng):
    """Any leading axes, −inf, half and double precision come out divided, and the argument is left as it was."""
    temperature = rng.uniform(0.2, 3.0, 1).item()
    for shape in ((5,), (2, 1, 4)):
        logits = rng.normal(*shape)
        logits[..., 0] = -math.inf
        close(student.apply_temperature(logits, temperature), logits / temperature)
        require(student.library.leaves_arguments_alone(student.apply_temperature, logits, temperature), "it changed")
    for dtype in (*HALVES, torch.float64):
        logits = rng.normal(3, 4, dtype=dtype)
        cooled = student.apply_temperature(logits, 2.0)
        require(cooled.dtype == dtype, "the dtype changed")
        close(cooled, logits.double() / 2, rtol=0.01)
    close(student.apply_temperature(logits, 1.0), logits)


@task("greedy")
@points(1)
@hint("Below 1, differences between logits must grow. Dividing does that, multiplying does the opposite.")
def test_temperature_sharpens_and_flattens(student, rng):
    """The higher the temperature, the more even the probabilities; near 0 all mass is on the likeliest token."""
    logits = rng.normal(6, scale=2.0)
    entropies = []
    for temperature in (0.25, 0.5, 1, 2, 4, 1000.0):
        log_chances = torch.log_softmax(student.apply_temperature(logits, temperature).double(), dim=-1)
        entropies.append(-(log_chances.exp() * log_chances).sum().item())
    require(all(a < b for a, b in zip(entropies, entropies[1:], strict=False)), "the entropy does not grow")
    close(entropies[-1], math.log(6), rtol=1e-3)
    cold = torch.softmax(student.apply_temperature(torch.tensor([1.0, 1.5, 0.5]), 0.01), dim=-1)
    close(cold, torch.tensor([0.0, 1.0, 0.0]))


@task("greedy")
@points(1)
@hint("Check that the temperature is above 0: neither 0 nor less.")
def test_temperatures_that_cannot_be(student, rng):
    """A temperature of 0 or less is a ValueError, a small one above 0 is not."""
    logits = rng.normal(2, 3)
    for bad in (0, 0.0, -0.5, -3):
        with pytest.raises(ValueError):
            student.apply_temperature(logits, bad)
    close(student.apply_temperature(logits, 1e-3), logits * 1000)


# --- top_k -----------------------------------------------------------------------------------------------------------


@task("top_k")
@points(2)
@hint("topk along the last axis; its last column, kept as an axis of 1, is each row's threshold.")
def test_top_k_of_any_shape(student, rng):
    """Any leading axes, any k, rows that share a number with others: each row keeps its own k likeliest."""
    for shape in ((), (1,), (3,), (2, 1, 3)):
        vocab = rng.integer(5, 20)
        logits = rng.normal(*shape, vocab) + rng.normal(*shape, 1, scale=10.0)
        for k in (1, rng.integer(2, vocab - 1), vocab):
            keeps(student.top_k_filter(logits, k), logits, rank(logits) < k)


@task("top_k")
@points(1)
@hint("If fewer than k tokens are left, the k-th logit is −inf: nothing is smaller. There is nothing to subtract.")
def test_top_k_of_filtered_logits(student, rng):
    """What is −inf already stays −inf, whether k is larger or smaller than the number of tokens left."""
    row, gone = filtered_row(rng)
    for k in (1, 4, 6):
        keeps(student.top_k_filter(row, k), row, rank(row) < k)
    for k in (7, 9, 50):
        keeps(student.top_k_filter(row, k), row, ~gone)
    keeps(student.top_k_filter(torch.stack((row, -row.abs())), 8), torch.stack((row, -row.abs())), ~gone.expand(2, 9))


@task("top_k")
@points(1)
@hint("Compare logits with a logit, in their own dtype, and make a new tensor: masked_fill, not masked_fill_.")
def test_top_k_keeps_dtype_and_arguments(student, rng):
    """Half and double precision stay what they are, ties in them too, and the argument is left as it was."""
    for dtype in (*HALVES, torch.float64):
        logits = torch.tensor([0.5, 2.0, 2.0, -1.0, 2.0, 3.0], dtype=dtype)[rng.permutation(6)]
        keeps(student.top_k_filter(logits, 2), logits, logits >= 2)
        require(student.library.leaves_arguments_alone(student.top_k_filter, logits, 2), "the argument changed")
    logits = torch.tensor([1e30, -1e30, 3e38, 0.0])
    keeps(student.top_k_filter(logits, 3), logits, logits > -1)


@task("top_k")
@points(1)
@hint("k is at least 1. 1 keeps the likeliest, with all that are as likely.")
def test_top_k_that_cannot_be(student, rng):
    """A k below 1 is a ValueError, and 1 is not."""
    logits = rng.normal(2, 5)
    for bad in (0, -1, -5):
        with pytest.raises(ValueError):
            student.top_k_filter(logits, bad)
    keeps(student.top_k_filter(logits, 1), logits, rank(logits) < 1)
    equal = torch.zeros(4)
    keeps(student.top_k_filter(equal, 1), equal, torch.ones(4, dtype=torch.bool))


# --- top_p -----------------------------------------------------------------------------------------------------------


@task("top_p")
@points(2)
@hint("Each row is sorted by itself, and each decision goes back to the place in its own row that its token came from.")
def test_top_p_of_any_shape(student, rng):
    """Any leading axes and any p: each row keeps the fewest of its likeliest tokens that reach the mass."""
    for shape in ((), (1,), (4,), (2, 1, 3)):
        logits = rng.normal(*shape, rng.integer(3, 8), scale=1.5) + rng.normal(*shape, 1, scale=10.0)
        before = mass_before(logits)
        for low, high in ((0.05, 0.4), (0.4, 0.8), (0.8, 0.98)):
            p = draw_p(rng, low, high, before)
            keeps(student.top_p_filter(logits, p), logits, before < p)


@task("top_p")
@points(1)
@hint("The mass before a token decides. It is below p for the token that brings the sum over p, so that one stays.")
def test_top_p_crossing_token_stays(student, rng):
    """The token that brings the mass over p stays, and the next one goes, for p on both sides of each mass."""
    order = rng.permutation(5)
    logits = CHANCES[order].log().float()
    for reached, kept in ((0.40, 1), (0.70, 2), (0.85, 3), (0.95, 4)):
        keeps(student.top_p_filter(logits, reached - 0.01), logits, order < kept)
        keeps(student.top_p_filter(logits, reached + 0.01), logits, order < kept + 1)


@task("top_p")
@points(1)
@hint("p is above 0 and at most 1. 1 is allowed, and keeps all.")
def test_top_p_that_cannot_be(student, rng):
    """A p of 0, below it or above 1 is a ValueError; 1 and tiny ones are not."""
    logits = rng.normal(3, 6)
    for bad in (0, 0.0, -0.1, 1.01, 2):
        with pytest.raises(ValueError):
            student.top_p_filter(logits, bad)
    for whole in (1, 1.0):
        keeps(student.top_p_filter(logits, whole), logits, torch.ones(3, 6, dtype=torch.bool))
    for tiny in (1e-3, 1e-9, 1e-30):
        keeps(student.top_p_filter(logits, tiny), logits, rank(logits) < 1)


@task("top_p")
@points(1)
@hint("Sort with stable=True and descending=True. Sorting the negated or the reversed row may turn ties around.")
def test_top_p_takes_the_lowest_of_equals(student, rng):
    """Of equally likely tokens, those with the lowest ids come first, in long rows too."""
    equal = torch.full((2, 40), rng.normal(1).item())
    kept = rng.integer(2, 38)
    keeps(student.top_p_filter(equal, (kept - 0.5) / 40), equal, (torch.arange(40) < kept).expand(2, 40))
    order = rng.permutation(7)
    logits = torch.tensor([4.0, 2.0, 2.0, 2.0, 2.0, 2.0, -3.0])[order]  # e^2 against 1 five times: 0.60, 0.08 each
    keeps(student.top_p_filter(logits, 0.72), logits, rank(logits) < 3)


@task("top_p")
@points(1)
@hint("exp(−inf) is 0, so filtered tokens take no part. Let softmax see the logits, and no difference of two −inf.")
def test_top_p_of_filtered_and_extreme_logits(student, rng):
    """What is −inf stays so and has no mass; huge logits give no NaN; a shift of all logits changes nothing."""
    row, gone = filtered_row(rng)
    p = draw_p(rng, 0.2, 0.9, mass_before(row))
    keeps(student.top_p_filter(row, p), row, mass_before(row) < p)
    keeps(student.top_p_filter(row, 1.0), row, ~gone)
    alone = torch.tensor([-math.inf, 2.0, -math.inf])
    keeps(student.top_p_filter(alone, 0.5), alone, torch.tensor([False, True, False]))
    order = rng.permutation(4)
    for logits in ([1e30, 0.0, -1e30, -math.inf], [1000.0, 900.0, 0.0, -900.0], [-2e4, -3e4, -3e4, -4e4]):
        huge = torch.tensor(logits)[order]
        keeps(student.top_p_filter(huge, 0.9), huge, order < 1)
    shift = rng.choice([-64.0, 128.0])
    logits = (rng.normal(3, 6) * 64).round() / 64  # so that adding the shift is exact
    p = draw_p(rng, 0.3, 0.9, mass_before(logits))
    keeps(student.top_p_filter(logits + shift, p), logits + shift, mass_before(logits) < p)


@task("top_p")
@points(1)
@hint("Take softmax and cumsum in float32 for float16 and bfloat16: softmax(..., dtype=torch.float32). Return logits.")
def test_top_p_in_half_precision(student, rng):
    """Half precision is summed in float32: of 2048 equal tokens exactly as many stay as p needs."""
    kept = rng.integer(1100, 1900)
    for dtype in (*HALVES, torch.float32, torch.float64):
        equal = torch.zeros(2048, dtype=dtype)
        keeps(student.top_p_filter(equal, (kept - 0.5) / 2048), equal, torch.arange(2048) < kept)
        logits = rng.normal(2, 6, dtype=dtype)
        p = draw_p(rng, 0.3, 0.9, mass_before(logits))
        keeps(student.top_p_filter(logits, p), logits, mass_before(logits) < p)
        require(student.library.leaves_arguments_alone(student.top_p_filter, logits, p), "the argument changed")


# --- min_p -----------------------------------------------------------------------------------------------------------


@task("min_p")
@points(1)
@hint("Softmax along the last axis, and each row's own largest probability, kept as an axis of 1.")
def test_min_p_of_any_shape(student, rng):
    """Any leading axes and any p: each row keeps what has at least p times its greatest probability."""
    for shape in ((), (1,), (4,), (2, 1, 3)):
        logits = rng.normal(*shape, rng.integer(3, 9), scale=1.5) + rng.normal(*shape, 1, scale=10.0)
        for low, high in ((0.01, 0.1), (0.1, 0.5), (0.5, 0.95)):
            p = draw_p(rng, low, high, ratio(logits))
            keeps(student.min_p_filter(logits, p), logits, ratio(logits) >= p)


@task("min_p")
@points(1)
@hint("The threshold is a share of the greatest probability. A p that is itself compared is another filter.")
def test_min_p_follows_the_likeliest(student, rng):
    """The same p keeps many tokens where all are alike, and one where the model is sure."""
    flat = rng.uniform(0, 0.5, 50)
    keeps(student.min_p_filter(flat, 0.5), flat, torch.ones(50, dtype=torch.bool))
    sure = flat.clone()
    place = rng.integer(0, 49)
    sure[place] = 9.0
    both = torch.stack((sure, flat))
    keeps(student.min_p_filter(both, 0.1), both, (torch.arange(50) == place) | torch.tensor([[False], [True]]))


@task("min_p")
@points(1)
@hint("p is from 0 to 1, both included. 0 keeps all; 1 keeps the likeliest and its equals.")
def test_min_p_at_its_ends(student, rng):
    """0 keeps all, 1 keeps the likeliest and its equals; anything outside is a ValueError."""
    logits = rng.normal(3, 6)
    for bad in (-0.1, 1.01, 5):
        with pytest.raises(ValueError):
            student.min_p_filter(logits, bad)
    for nothing in (0, 0.0):
        keeps(student.min_p_filter(logits, nothing), logits, torch.ones(3, 6, dtype=torch.bool))
    for whole in (1, 1.0):
        keeps(student.min_p_filter(logits, whole), logits, rank(logits) < 1)
    ties = torch.tensor([1.0, 3.0, -2.0, 3.0])
    keeps(student.min_p_filter(ties, 1.0), ties, ties == 3)


@task("min_p")
@points(1)
@hint("Softmax in float32 for half precision; return the logits as they were, in a new tensor. −inf has probability 0.")
def test_min_p_of_filtered_and_extreme_logits(student, rng):
    """−inf stays −inf, huge logits give no NaN, dtypes stay, and the argument is left as it was."""
    row, gone = filtered_row(rng)
    p = draw_p(rng, 0.05, 0.9, ratio(row))
    keeps(student.min_p_filter(row, p), row, ratio(row) >= p)
    keeps(student.min_p_filter(row, 0.0), row, ~gone)
    order = rng.permutation(4)
    for logits in ([1e30, 0.0, -1e30, -math.inf], [1000.0, 900.0, 0.0, -900.0], [-2e4, -3e4, -3e4, -4e4]):
        huge = torch.tensor(logits)[order]
        keeps(student.min_p_filter(huge, 0.3), huge, order < 1)
    for dtype in (*HALVES, torch.float64):
        logits = rng.normal(2, 6, dtype=dtype)
        p = draw_p(rng, 0.05, 0.9, ratio(logits))
        keeps(student.min_p_filter(logits, p), logits, ratio(logits) >= p)
        require(student.library.leaves_arguments_alone(student.min_p_filter, logits, p), "the argument changed")


# --- penalty ---------------------------------------------------------------------------------------------------------


def penalized(logits, ids, penalty):
    """The penalty by hand: one row and one id after the other."""
    result = logits.clone()
    rows = result.view(-1, logits.shape[-1])
    for row, present in zip(rows, ids.reshape(len(rows), ids.shape[-1]), strict=True):
        for token in set(present.tolist()):
            row[token] = row[token] / penalty if row[token] > 0 else row[token] * penalty
    return result


@task("penalty")
@points(2)
@hint("gather along dim=-1, change, scatter along dim=-1. An id that comes twice gets the same new number twice.")
def test_penalty_of_any_shape(student, rng):
    """Any leading axes, any number of ids with repetitions: each row's own ids are penalized once."""
    for shape in ((), (1,), (3,), (2, 3)):
        vocab, time, penalty = rng.integer(4, 12), rng.integer(1, 15), rng.uniform(1.1, 2.0, 1).item()
        logits, ids = rng.normal(*shape, vocab, scale=2.0), rng.ids(vocab, *shape, time)
        close(student.repetition_penalty(logits, ids, penalty), penalized(logits, ids, penalty))


@task("penalty")
@points(1)
@hint("−inf times a positive number is −inf, and so is −inf divided by it. A penalty of 1 changes nothing.")
def test_penalty_of_filtered_logits(student, rng):
    """−inf stays −inf without a NaN, 0 stays 0, and a penalty of 1 changes nothing."""
    row, _ = filtered_row(rng)
    row[rng.permutation(9)[0]] = 0.0
    ids = rng.permutation(9).repeat(2)
    close(student.repetition_penalty(row, ids, 1.7), torch.where(row > 0, row / 1.7, row * 1.7))
    close(student.repetition_penalty(row, ids, 1.0), row)


@task("penalty")
@points(1)
@hint("Work on a copy: scatter and not scatter_, or a clone first. A Python number does not change the dtype.")
def test_penalty_keeps_dtype_and_arguments(student, rng):
    """Half and double precision stay what they are; logits and ids are left as they were."""
    for dtype in (*HALVES, torch.float64):
        logits, ids = rng.normal(2, 6, dtype=dtype), rng.ids(6, 2, 4)
        result = student.repetition_penalty(logits, ids, 1.5)
        require(result.dtype == dtype, "the dtype changed")
        close(result, penalized(logits.double(), ids, 1.5), rtol=0.02)
        call = student.repetition_penalty
        require(student.library.leaves_arguments_alone(call, logits, ids, 1.5), "an argument changed")


@task("penalty")
@points(1)
@hint("No ids, nothing to do: the result is the logits. An id that is not there is left alone.")
def test_penalty_of_no_ids(student, rng):
    """Without any ids the logits come back as they are; with all of them every logit gets smaller."""
    logits = rng.normal(2, 5)
    close(student.repetition_penalty(logits, torch.zeros(2, 0, dtype=torch.int64), 2.0), logits)
    everything = torch.arange(5).expand(2, 5).clone()
    result = student.repetition_penalty(logits, everything, 2.0)
    close(result, torch.where(logits > 0, logits / 2, logits * 2))


# --- sample ----------------------------------------------------------------------------------------------------------


def left_over(order, temperature=1.0, top_k=None, top_p=None, min_p=None):
    """The exact chances that temperature and filters leave of CHANCES, one after the other; tokens in drawn order."""
    chances = CHANCES ** (1 / temperature)
    chances = chances / chances.sum()
    if top_k is not None:
        chances = torch.where(torch.arange(5) < top_k, chances, 0.0)
        chances = chances / chances.sum()
    if top_p is not None:
        chances = torch.where(chances.cumsum(0) - chances < top_p, chances, 0.0)
        chances = chances / chances.sum()
    if min_p is not None:
        chances = torch.where(chances >= min_p * chances[0], chances, 0.0)
        chances = chances / chances.sum()
    return chances[order]


@task("sample")
@points(2)
@hint("Temperature, top-k, top-p, min-p, in this order. Each is given the logits that the one before returned.")
@limit(20)  # for those who draw row by row
def test_order_of_the_filters(student, rng):
    """Temperature, top-k, top-p and min-p work one after the other, each on what is left; chances are exact."""
    order = rng.permutation(5)
    rows = CHANCES[order].log().float().repeat(4000, 1) + rng.normal(1)
    for options in (
        {"temperature": 2.0, "top_p": 0.75},  # top-p first would leave three tokens, not four
        {"top_k": 2, "top_p": 0.5},  # top-p first, or without renormalizing, would leave two, not one
        {"top_p": 0.5, "min_p": 0.5},  # min-p first would leave one, not two
        {"temperature": 0.5, "min_p": 0.2},  # min-p first would leave four, not two
        {"temperature": 1.5, "top_k": 4, "top_p": 0.9, "min_p": 0.3},
    ):
        agree_with_chances(student.sample_token(rows, **options), left_over(order, **options))


@task("sample")
@points(2)
@hint("Flatten the leading axes into one, draw for each row by itself, and restore them at the end.")
@limit(20)  # for those who draw row by row
def test_rows_are_drawn_apart(student, rng):
    """Rows with different chances, in several leading axes, are drawn independently of each other."""
    order = rng.permutation(3)
    left = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)[order]
    right = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)[order]
    logits = torch.stack((left, right)).log().float().repeat(20, 200, 1, 1)  # (20, 200, 2, 3)
    drawn = student.sample_token(logits)
    has_shape(drawn, 20, 200, 2)
    agree_with_chances(drawn[..., 0], left)
    agree_with_chances(drawn[..., 1], right)
    agree_with_chances(3 * drawn[..., 0] + drawn[..., 1], torch.outer(left, right).flatten())
    agree_with_chances(3 * drawn[0::2, :, 0] + drawn[1::2, :, 0], torch.outer(left, left).flatten())


@task("sample")
@points(1)
@hint("Hand the generator on. Without one, torch.multinomial takes torch's global generator by itself.")
def test_where_randomness_comes_from(student, rng):
    """With a generator, from it alone; without one, from torch's global generator. Seeds give the tokens again."""
    logits, seed = rng.normal(60, 50, scale=0.5), rng.integer(0, 10**6)
    options = {"temperature": 1.3, "top_k": 40, "top_p": 0.95, "min_p": 0.01}
    generator = student.library.generator(seed)
    first = student.sample_token(logits, generator=generator, **options)
    moved = student.library.uses_global_randomness(student.sample_token, logits, generator=generator, **options)
    require(not moved, "the global random state moved")
    is_ids(student.sample_token(logits, generator=student.library.generator(seed), **options), first)
    other = student.sample_token(logits, generator=student.library.generator(seed + 1), **options)
    require(not torch.equal(other, first), "another seed gave the same tokens")
    require(student.library.uses_global_randomness(student.sample_token, logits), "the global random state stayed")
    student.library.seed(seed)
    first = student.sample_token(logits)
    require(not torch.equal(student.sample_token(logits), first), "two draws gave the same tokens")
    student.library.seed(seed)
    is_ids(student.sample_token(logits), first)


@task("sample")
@points(1)
@hint("Compare with 0 before you divide. At 0 ties go to the lowest id; None leaves a filter out.")
def test_temperature_zero_in_any_company(student, rng):
    """Temperature 0 takes the lowest of the likeliest ids with any filters; the argument is left as it was."""
    logits = torch.tensor([[0.5, 2.0, 2.0, 1.0], [3.0, -math.inf, 3.0, 3.0]])
    for options in ({}, {"top_k": 1}, {"top_p": 0.1}, {"min_p": 1.0}, {"top_k": 2, "top_p": 0.9, "min_p": 0.1}):
        for zero in (0, 0.0):
            is_ids(student.sample_token(logits, temperature=zero, **options), [1, 0])
    row = rng.normal(3, 8)
    options = {"temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.1}
    require(student.library.leaves_arguments_alone(student.sample_token, row, **options), "the argument changed")
    has_shape(student.sample_token(row, **options), 3)


@task("sample")
@points(1)
@hint("The filters and apply_temperature check their numbers already: let their errors through.")
def test_options_that_cannot_be(student, rng):
    """A negative temperature, a k below 1 and a p out of range are ValueErrors; their neighbours are not."""
    logits = rng.normal(2, 5)
    for bad, good in (
        ({"temperature": -1}, {"temperature": 0.1}),
        ({"temperature": -0.001}, {"temperature": 0}),
        ({"top_k": 0}, {"top_k": 1}),
        ({"top_p": 0.0}, {"top_p": 0.001}),
        ({"top_p": 1.5}, {"top_p": 1.0}),
        ({"min_p": -0.5}, {"min_p": 0.0}),
        ({"min_p": 1.5}, {"min_p": 1.0}),
    ):
        with pytest.raises(ValueError):
            student.sample_token(logits, **bad)
        has_shape(student.sample_token(logits, **good), 2)


# --- generate --------------------------------------------------------------------------------------------------------


@task("generate")
@points(2)
@hint("Each call sees the last context_length ids: fewer at first, or the end of a long prompt, then a moving window.")
def test_windows_of_any_size(student, rng):
    """Prompts shorter than the window, as long as it, and longer: the model sees the window, and the prompt stays."""
    for prompt_length, context_length in ((1, 1), (1, 4), (4, 4), (7, 4), (3, 50)):
        prompt = rng.ids(9, rng.integer(1, 3), prompt_length)
        table, history, written = draw_script(rng, 9, prompt, steps=8, context_length=context_length)
        for use_cache in (False, True):
            model = student.library.ScriptedModel(table, history)
            options = {"context_length": context_length, "use_cache": use_cache, "temperature": 0}
            is_ids(student.generate(model, prompt, 8, **options), written)
            for call in model.calls:
                require((call["cached"] or 0) + call["ids"].shape[1] <= context_length, "more than the window was fed")
            if use_cache:
                check_windows(model.calls, written, prompt_length, context_length)
            else:
                require(all(call["cached"] is None for call in model.calls), "a cache was used without use_cache")
        require(student.library.leaves_arguments_alone(student.generate, model, prompt, 3, **options), "ids changed")


@task("generate")
@points(2)
@hint("Compare ids.shape[1] with context_length before each call. When the window is full, the cache is of no use.")
def test_cache_in_a_gpt(student, rng):
    """With every kind of positions, a GPT writes the same tokens with a cache as without, past the window's end."""
    for positions in ("learned", "sinusoidal", "rope"):
        context_length, prompt_length = rng.integer(5, 7), rng.integer(1, 8)
        settings = {"vocab_size": 13, "d_model": 16, "n_layers": 2, "n_heads": 2, "context_length": context_length}
        prompt = rng.ids(13, rng.integer(1, 3), prompt_length)
        model, _, written = draw_gpt(rng, student, prompt, steps=9, positions=positions, **settings)
        for use_cache in (True, False):
            options = {"context_length": context_length, "use_cache": use_cache, "temperature": 0}
            is_ids(student.generate(model, prompt, 9, **options), written)
    plain = student.library.TinyModel(11, 4)  # it has no cache at all
    has_shape(student.generate(plain, rng.ids(11, 2, 3), 4, context_length=3), 2, 7)


@task("generate")
@points(2)
@hint("`if stop_id is not None`, as 0 is an id, too. A row is finished by what it draws, not by what is in its prompt.")
def test_rows_stop_on_their_own(student, rng):
    """Rows stop one by one, at once or late, for id 0 as well; a `stop_id` in the prompt stops nothing."""
    table, order = draw_chain(rng, 7)
    for use_cache in (False, True):
        options = {"context_length": 20, "use_cache": use_cache, "temperature": 0}
        model = student.library.ScriptedModel(table)
        zero = order.index(0)
        after = [order[(zero + step) % 7] for step in range(1, 8)]  # all ids, 0 comes last
        prompt = torch.tensor([[0, after[1]], [after[0], after[5]], [after[2], 0]])
        expected = torch.tensor(
            [
                [0, after[1], after[2], after[3], after[4], after[5], 0, 0, 0],
                [after[0], after[5], 0, 0, 0, 0, 0, 0, 0],
                [after[2], 0, *after],
            ]
        )
        is_ids(student.generate(model, prompt, 30, stop_id=0, **options), expected)
        is_ids(student.generate(model, prompt, 3, stop_id=0, **options), expected[:, :5])
        is_ids(student.generate(model, prompt[1:2], 9, stop_id=0, **options), expected[1:2, :3])
        never = torch.cat((prompt[:1], torch.tensor([after[2:] + after[:2]])), dim=1)
        is_ids(student.generate(model, prompt[:1], 7, stop_id=None, **options), never)


@task("generate")
@points(1)
@hint("The penalty comes before sample_token and gets the ids of the window, of the prompt too, and no others.")
def test_penalty_over_the_window(student, rng):
    """The penalty counts the ids that the model sees, those of the prompt too, and none that the window has left."""
    prompt = rng.ids(8, 2, 2)
    while True:
        table, history = rng.normal(8, 8, scale=2.0), rng.normal(8, 8, scale=2.0)

        def write(ids_that_count, steps=9, table=table, history=history):
            def penalize(logits, ids):
                return penalized(logits, ids_that_count(ids), 1.6)

            return write_greedily(scripted(table, history), prompt, steps, 4, penalize)

        expected, margin = write(lambda ids: ids[:, -4:])
        others = [write(rule)[0] for rule in (lambda ids: ids, lambda ids: ids[:, 2:][:, -4:], lambda ids: ids[:, :0])]
        if margin > 0.02 and not any(torch.equal(other, expected) for other in others):
            break
    for use_cache in (False, True):
        model = student.library.ScriptedModel(table, history)
        for sampling in ({"temperature": 0}, {"top_k": 1}):
            options = {"context_length": 4, "use_cache": use_cache, "penalty": 1.6, **sampling}
            is_ids(student.generate(model, prompt, 9, **options), expected)


@task("generate")
@points(1)
@hint("Hand generator and **sampling to sample_token. Each row of the batch is drawn by itself.")
@limit(20)  # for those who draw row by row
def test_options_reach_the_sampler(student, rng):
    """Every option of the sampler counts, rows are drawn apart, a seed gives the text again, others are TypeErrors."""
    order = rng.permutation(5)
    model = student.library.ScriptedModel(CHANCES[order].log().float().repeat(5, 1))
    prompt, seed = rng.ids(5, 2000, 1), rng.integer(0, 10**6)
    for options in ({"temperature": 2.0, "top_p": 0.75}, {"top_k": 3, "min_p": 0.6}):
        drawn = student.generate(model, prompt, 2, context_length=4, **options)
        has_shape(drawn, 2000, 3)
        agree_with_chances(drawn[:, 1:], left_over(order, **options))
    options = {"context_length": 4, "temperature": 1.5}
    few = prompt[:50]
    generator = student.library.generator(seed)
    first = student.generate(model, few, 3, generator=generator, **options)
    is_ids(student.generate(model, few, 3, generator=student.library.generator(seed), **options), first)
    generator = student.library.generator(seed)
    moved = student.library.uses_global_randomness(
        student.generate, model, few, 3, generator=generator, use_cache=True, **options
    )
    require(not moved, "the global random state moved")
    with pytest.raises(TypeError):
        student.generate(model, few, 3, top_q=0.9, **options)
    with pytest.raises(ValueError):
        student.generate(model, few, 3, context_length=4, temperature=-1.0)


@task("generate")
@points(1)
@hint("Check the prompt, max_new_tokens and context_length at the beginning. 0 new tokens are allowed.")
def test_texts_that_cannot_be(student, rng):
    """An empty prompt, a negative number of tokens or an empty window is a ValueError; one, none and one are not."""
    table, order = draw_chain(rng, 6)
    model = student.library.ScriptedModel(table)
    empty, one = torch.zeros(2, 0, dtype=torch.int64), torch.tensor([order[:1], order[1:2]])
    next_ones = torch.tensor([order[:2], order[1:3]])
    for use_cache in (False, True):
        options = {"use_cache": use_cache, "temperature": 0}
        with pytest.raises(ValueError):
            student.generate(model, empty, 1, context_length=4, **options)
        with pytest.raises(ValueError):
            student.generate(model, one, -1, context_length=4, **options)
        with pytest.raises(ValueError):
            student.generate(model, one, 1, context_length=0, **options)
        is_ids(student.generate(model, one, 1, context_length=1, **options), next_ones)
        is_ids(student.generate(model, one, 0, context_length=4, **options), one)


@task("generate")
@points(1)
@hint("Note each submodule's own mode, and give it back to each: model.train() at the end sets them all alike.")
def test_generate_gives_modes_back(student, rng):
    """Each submodule has its own mode again, also where they differ, with a cache and when rows stop early."""
    table, order = draw_chain(rng, 6)
    for modes in ({"": True, "inner": False}, {"": False, "inner": True}, {"": False, "inner": False}):
        for options in ({}, {"use_cache": True}, {"stop_id": order[2]}):
            model = student.library.ScriptedModel(table, dropout=0.5)
            student.library.set_modes(model, modes)
            written = student.generate(model, torch.tensor([order[:1]]), 5, context_length=3, temperature=0, **options)
            is_ids(written, [order[:3] if "stop_id" in options else order])
            require(not any(call["training"] or call["grad"] for call in model.calls), "not in evaluation")
            require(student.library.modes(model) == modes, "a submodule has another mode than before")


# --- perplexity ------------------------------------------------------------------------------------------------------


@task("perplexity")
@points(2)
@hint("Cut ids[:-1] and ids[1:] at the same places. The last piece may hold a single id, and counts for one.")
def test_perplexity_of_any_length(student, rng):
    """Texts that fill their windows, that end with a single token or a short window, or are shorter than one."""
    table, history = rng.normal(7, 7, scale=2.0), rng.normal(7, 7, scale=3.0)
    for time, context_length in ((2, 1), (2, 5), (9, 4), (10, 4), (12, 4), (6, 5), (7, 5), (8, 1), (5, 50)):
        ids = rng.ids(7, time)
        expected = surprise_in_windows(scripted(table, history), ids, context_length).mean().exp().item()
        model = student.library.ScriptedModel(table, history)
        close(student.perplexity(model, ids, context_length), expected, rtol=1e-3)
        windows = [row for call in model.calls for row in call["ids"]]
        require(max(len(window) for window in windows) <= context_length, "a window is longer than context_length")
        fed = torch.cat(windows)  # the last id may be fed, as long as nothing is asked behind it
        require(len(fed) in (time - 1, time) and torch.equal(fed, ids[: len(fed)]), "windows overlap, or leave ids out")


@task("perplexity")
@points(1)
@hint("At least two ids: the first is asked for by nothing. Check context_length as well.")
def test_perplexity_that_cannot_be(student, rng):
    """Fewer than two ids, or an empty window, is a ValueError; two ids and a window of one are enough."""
    table = rng.normal(5, 5)
    model = student.library.ScriptedModel(table)
    ids = rng.ids(5, 2)
    for short in (ids[:0], ids[:1]):
        with pytest.raises(ValueError):
            student.perplexity(model, short, 4)
    with pytest.raises(ValueError):
        student.perplexity(model, ids, 0)
    expected = 1 / torch.softmax(table[ids[0]].double(), dim=-1)[ids[1]].item()
    for context_length in (1, 4):
        close(student.perplexity(model, ids, context_length), expected, rtol=1e-3)


@task("perplexity")
@points(1)
@hint(
    "Note each submodule's mode and give it back. model.eval() and torch.no_grad() in between. A plain float comes out."
)
def test_perplexity_gives_modes_back(student, rng):
    """Each submodule has its own mode again, nothing random is used, ids stay as they are, and a float comes out."""
    table, ids = rng.normal(5, 5), rng.ids(5, 12)
    expected = F.cross_entropy(table[ids[:-1]].double(), ids[1:]).exp().item()
    for modes in ({"": True, "inner": False}, {"": False, "inner": True}, {"": True, "inner": True}):
        model = student.library.ScriptedModel(table, dropout=0.5)
        student.library.set_modes(model, modes)
        found = student.perplexity(model, ids, 5)
        require(type(found) is float, "perplexity is not a plain float")
        close(found, expected, rtol=1e-3)
        require(not any(call["training"] or call["grad"] for call in model.calls), "not in evaluation")
        require(student.library.modes(model) == modes, "a submodule has another mode than before")
        require(student.library.leaves_arguments_alone(student.perplexity, model, ids, 5), "ids changed")


@task("perplexity")
@points(1)
@hint("Make logits float32 before the loss if they are narrower. Subtract the largest before exp, or let torch do it.")
def test_perplexity_of_a_gpt_and_of_extremes(student, rng):
    """A GPT, logits in half precision and logits in the thousands give what exact arithmetic gives."""
    settings = {"vocab_size": 13, "context_length": 8, "d_model": 16, "n_layers": 1, "n_heads": 2}
    ids = rng.ids(13, 30)
    model, local, _ = draw_gpt(rng, student, ids[None, :3], steps=1, **settings)
    with torch.no_grad():
        expected = surprise_in_windows(lambda x: local(x)[:, -1], ids, 8).mean().exp().item()
    close(student.perplexity(model, ids, 8), expected, rtol=1e-3)
    for dtype in HALVES:
        table = rng.normal(13, 13, scale=2.0, dtype=dtype)
        expected = F.cross_entropy(table.double()[ids[:-1]], ids[1:]).exp().item()
        close(student.perplexity(student.library.ScriptedModel(table), ids, 8), expected, rtol=2e-3)
    clueless = student.library.ScriptedModel(
        torch.zeros(11, 11, dtype=torch.bfloat16)
    )  # where log 11 is 2.39, not 2.40
    close(student.perplexity(clueless, rng.ids(11, 17), 8), 11.0, rtol=2e-3)
    chain, order = draw_chain(rng, 6)
    sure = student.library.ScriptedModel(chain * 1000.0)
    close(student.perplexity(sure, torch.tensor(order * 3), 4), 1.0)
