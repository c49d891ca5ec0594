"""The library's sampling, at the edges that the conventions name."""

import math

import pytest
import torch
import torch.nn.functional as F

from autograder.minigpt import library as lib
from autograder.minigpt.config import GPTConfig
from autograder.minigpt.model import build_model

INF = math.inf


@pytest.fixture(autouse=True, params=[0], ids="seed{}".format)
def seed(request):
    torch.manual_seed(request.param)


@pytest.fixture
def model():
    config = GPTConfig(vocab_size=13, context_length=6, d_model=16, n_layers=2, n_heads=2, dropout=0.5)
    model = build_model(config, lib.library_parts())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(30 if parameter.ndim == 2 else 1)  # so that the likeliest token is clear
    return model


def kept(logits):
    return logits.isfinite().tolist()


def logs(*probabilities):
    return torch.tensor(probabilities).log()


def test_greedy_takes_the_lowest_of_the_likeliest():
    assert lib.greedy(torch.tensor([[0.0, 2.0, 2.0], [1.0, 1.0, 1.0]])).tolist() == [1, 0]
    assert lib.greedy(torch.tensor([-INF, -INF, 3.0])).item() == 2
    assert lib.greedy(torch.zeros(2, 3, 4)).shape == (2, 3)


def test_temperature():
    assert lib.apply_temperature(torch.tensor([1.0, -2.0]), 0.5).tolist() == [2.0, -4.0]
    for bad in (0, -1, math.nan):
        with pytest.raises(ValueError, match="temperature"):
            lib.apply_temperature(torch.zeros(2), bad)
    with pytest.raises(ValueError, match="temperature"):
        lib.sample_token(torch.zeros(2), temperature=-1.0)


@pytest.mark.parametrize(
    ("k", "expected"),
    [(1, [0, 1, 0, 0, 0]), (2, [0, 1, 1, 1, 0]), (3, [0, 1, 1, 1, 0]), (4, [1, 1, 1, 1, 0]), (9, [1, 1, 1, 1, 1])],
)
def test_top_k_keeps_ties(k, expected):
    logits = torch.tensor([1.0, 3.0, 2.0, 2.0, 0.0])
    filtered = lib.top_k_filter(logits.expand(2, 3, 5), k)
    assert kept(filtered[1, 2]) == list(map(bool, expected))
    assert torch.equal(filtered[0, 0].where(filtered[0, 0].isfinite(), logits), logits)
    assert logits.isfinite().all()


def test_top_k_after_another_filter():
    assert kept(lib.top_k_filter(torch.tensor([1.0, -INF, -INF]), 2)) == [True, False, False]
    with pytest.raises(ValueError, match="k must"):
        lib.top_k_filter(torch.zeros(3), 0)


@pytest.mark.parametrize(
    ("p", "expected"),
    [(1e-9, [0, 1, 0, 0]), (0.35, [0, 1, 0, 0]), (0.45, [1, 1, 0, 0]), (0.7, [1, 1, 1, 0]), (1.0, [1, 1, 1, 1])],
)
def test_top_p_keeps_the_shortest_run_lowest_id_first(p, expected):
    assert kept(lib.top_p_filter(logs(0.25, 0.4, 0.25, 0.1).expand(2, 4), p)[1]) == list(map(bool, expected))


def test_top_p_of_equals():
    assert kept(lib.top_p_filter(torch.zeros(100), 0.295)) == [True] * 30 + [False] * 70
    for bad in (0, -0.1, 1.1):
        with pytest.raises(ValueError, match="p must"):
            lib.top_p_filter(torch.zeros(3), bad)


@pytest.mark.parametrize(
    ("p", "expected"), [(0, [1, 1, 1, 1]), (0.2, [1, 1, 1, 0]), (0.5, [0, 1, 1, 0]), (1, [0, 1, 0, 0])]
)
def test_min_p_keeps_a_share_of_the_greatest(p, expected):
    logits = logs(0.15, 0.45, 0.35, 0.05)
    assert kept(lib.min_p_filter(logits, p)) == list(map(bool, expected))
    assert lib.min_p_filter(torch.tensor([1.0, -INF]), 0).tolist() == [1.0, -INF]
    for bad in (-0.1, 1.1):
        with pytest.raises(ValueError, match="p must"):
            lib.min_p_filter(logits, bad)


def test_the_penalty_counts_once_for_each_id_that_is_there():
    logits = torch.tensor([[2.0, -2.0, 0.0, 2.0, -INF], [2.0, -2.0, 0.0, 2.0, 1.0]])
    ids = torch.tensor([[0, 0, 1, 4], [3, 3, 3, 3]])
    expected = [[1.0, -4.0, 0.0, 2.0, -INF], [2.0, -2.0, 0.0, 1.0, 1.0]]
    assert lib.repetition_penalty(logits, ids, 2.0).tolist() == expected
    assert torch.equal(lib.repetition_penalty(logits, ids, 1.0), logits)
    assert lib.repetition_penalty(logits[1], torch.tensor([3]), 2.0).tolist() == expected[1]
    with pytest.raises(ValueError, match="penalty"):
        lib.repetition_penalty(logits, ids, 0)
    with pytest.raises(IndexError):
        lib.repetition_penalty(logits, ids + 1, 2.0)


def test_filters_work_one_after_the_other_on_what_is_left():
    logits = logs(0.4, 0.3, 0.2, 0.1).expand(4000, 4)
    drawn = lib.sample_token(logits, top_k=3, top_p=0.7)  # 0.444 + 0.333 reach 0.7 only after renormalizing
    assert set(drawn.tolist()) == {0, 1}
    drawn = lib.sample_token(logits, temperature=0.5, min_p=0.3)  # squared: 0.16, 0.09, 0.04, 0.01
    assert set(drawn.tolist()) == {0, 1}
    share = (drawn == 0).float().mean().item()
    assert share == pytest.approx(16 / 25, abs=0.04)


def test_drawing_keeps_the_leading_axes_and_the_generator():
    logits = torch.randn(2, 3, 7)
    state = torch.get_rng_state()
    first = lib.sample_token(logits, generator=torch.Generator().manual_seed(4))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.shape == (2, 3) and first.dtype == torch.int64
    assert torch.equal(first, lib.sample_token(logits, generator=torch.Generator().manual_seed(4)))
    assert torch.equal(lib.sample_token(logits, temperature=0), lib.greedy(logits))
    assert lib.sample_token(logits[0, 0]).shape == ()


@pytest.mark.parametrize("prompt_length", [1, 4, 6, 9])
def test_with_a_cache_come_the_same_tokens_beyond_the_window_too(model, prompt_length):
    ids = torch.randint(13, (3, prompt_length))
    options = {"context_length": 6, "temperature": 0}
    plain = lib.generate(model, ids, 12, **options)
    assert plain.shape == (3, prompt_length + 12)
    assert torch.equal(plain[:, :prompt_length], ids)
    assert torch.equal(lib.generate(model, ids, 12, use_cache=True, **options), plain)
    model.eval()
    for end in (prompt_length, prompt_length + 11):
        assert torch.equal(model(plain[:, max(0, end - 6) : end])[:, -1].argmax(-1), plain[:, end])


def test_the_cache_is_used(model):
    lengths = []
    model.register_forward_pre_hook(lambda module, args: lengths.append(args[0].shape[1]))
    lib.generate(model, torch.zeros(1, 2, dtype=torch.int64), 8, context_length=6, use_cache=True)
    assert lengths[:4] == [2, 1, 1, 1] and set(lengths[5:]) == {6}


def test_the_same_seed_gives_the_same_tokens_and_modes_come_back(model):
    model.blocks[0].eval()
    modes = [module.training for module in model.modules()]
    ids = torch.zeros(2, 1, dtype=torch.int64)
    draws = [
        lib.generate(model, ids, 9, context_length=6, generator=torch.Generator().manual_seed(s), temperature=3.0)
        for s in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert [module.training for module in model.modules()] == modes


class Scripted(torch.nn.Module):
    """Says `script[row][time]` with certainty at every position."""

    def __init__(self, script, vocab_size=8):
        super().__init__()
        self.script = torch.tensor(script)
        self.vocab_size = vocab_size

    def forward(self, ids):
        time = self.seen = ids.shape[1]
        return F.one_hot(self.script[: len(ids), :time], self.vocab_size).float() * 50


def test_a_row_that_stopped_goes_on_with_the_stop_id_and_the_last_one_ends_it():
    model = Scripted([[5, 2, 6, 7, 6, 6], [5, 6, 6, 2, 6, 6]])
    ids = torch.tensor([[2], [1]])  # a stop id in the prompt stops nothing
    answer = lib.generate(model, ids, 5, context_length=6, stop_id=2, temperature=0)
    assert answer.tolist() == [[2, 5, 2, 2, 2], [1, 5, 6, 6, 2]]


def test_the_penalty_is_for_what_the_model_sees():
    model = Scripted([[1, 1, 1]])  # always 1, unless it is punished for the 1 in its window: then anything
    ids = torch.tensor([[1, 3, 3]])

    def drawn(context_length):
        options = {"context_length": context_length, "penalty": 1e9}
        return {lib.generate(model, ids, 1, **options)[0, -1].item() for _ in range(30)}

    assert drawn(2) == {1}
    assert len(drawn(3)) > 1


def test_bad_arguments_of_generate_are_named(model):
    ids = torch.zeros(1, 2, dtype=torch.int64)
    assert torch.equal(lib.generate(model, ids, 0, context_length=6), ids)
    with pytest.raises(ValueError, match="prompt"):
        lib.generate(model, ids[:, :0], 1, context_length=6)
    with pytest.raises(ValueError, match="max_new_tokens"):
        lib.generate(model, ids, -1, context_length=6)
    with pytest.raises(ValueError, match="context_length"):
        lib.generate(model, ids, 1, context_length=0)
    with pytest.raises(TypeError):
        lib.generate(model, ids, 0, context_length=6, topk=3)


@pytest.mark.parametrize("length", [2, 6, 7, 8, 16])
def test_perplexity_over_windows_that_follow_each_other(model, length):
    ids = torch.randint(13, (length,))
    actual = lib.perplexity(model, ids, 6)
    assert model.training
    model.eval()
    total = 0.0
    for i in range(1, length):
        start = (i - 1) // 6 * 6
        total -= model(ids[None, start:i])[0, -1].log_softmax(-1)[ids[i]].item()
    assert actual == pytest.approx(math.exp(total / (length - 1)), rel=1e-3)
    assert isinstance(actual, float)


def test_perplexity_of_a_fresh_model_is_about_the_vocabulary():
    model = build_model(GPTConfig(vocab_size=50, context_length=8, d_model=16), lib.library_parts())
    assert lib.perplexity(model, torch.randint(50, (200,)), 8) == pytest.approx(50, rel=0.05)
    with pytest.raises(ValueError, match="ids"):
        lib.perplexity(model, torch.zeros(1, dtype=torch.int64), 8)
