"""The judge of trained models: what it asks, and that nothing of what it asks gives an answer away."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from autograder.minigpt.train import PRESETS
from autograder.outcome import Fault
from autograder.showcase import JUDGED_WINDOWS, LONGEST_STORY, PRESET, Judge, attention_of
from autograder.testing import derived_seed
from datasets.stories import SEPARATOR, write_stories

SEED = 1234


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.draw(SEED)


def texts(judge: Judge) -> list[str]:
    windows = torch.cat([judge.contexts, judge.answers[:, None]], dim=1)
    return ["".join(judge.alphabet[number] for number in row) for row in windows.tolist()]


def test_no_window_shows_how_the_story_of_an_answer_goes_on(judge: Judge) -> None:
    """Between the end of each window and the beginning of the next, a story ends and another one begins."""
    windows = texts(judge)
    assert len(windows) == JUDGED_WINDOWS
    text = write_stories(derived_seed(SEED, "judge"), JUDGED_WINDOWS * (len(windows[0]) + LONGEST_STORY))
    end = 0
    for window in windows:
        begin = text.index(window, end)
        assert end == 0 or SEPARATOR in text[end - 1 : begin]
        end = begin + len(window)


def test_no_story_is_longer_than_the_judge_believes() -> None:
    assert max(map(len, write_stories(SEED, 2_000_000).split(SEPARATOR))) < LONGEST_STORY


def test_another_seed_asks_something_else(judge: Judge) -> None:
    others = set(texts(Judge.draw(SEED + 1)))
    assert not others & set(texts(judge))


class Answering:
    """Stands for a trained model: gives the logits that a function makes of the contexts."""

    def __init__(self, logits: Any) -> None:
        self.next_logits = logits


def test_the_loss_is_that_of_the_true_next_characters(judge: Judge) -> None:
    size = len(judge.alphabet)
    uniform = judge.loss(Answering(lambda contexts: torch.zeros(len(contexts), size)))
    assert uniform == pytest.approx(torch.log(torch.tensor(float(size))).item(), abs=1e-6)
    known = {
        tuple(context): answer for context, answer in zip(judge.contexts.tolist(), judge.answers.tolist(), strict=True)
    }
    perfect = judge.loss(
        Answering(lambda contexts: torch.stack([torch.eye(size)[known[tuple(row)]] * 50 for row in contexts.tolist()]))
    )
    assert perfect < 1e-6


@pytest.mark.parametrize(
    "logits",
    [
        lambda contexts: torch.zeros(len(contexts), 3),
        lambda contexts: torch.full((len(contexts), 66), torch.nan),
        lambda contexts: torch.full((len(contexts), 66), torch.inf),
        lambda contexts: [0.0] * 66,
        lambda contexts: torch.zeros(0),
        lambda contexts: torch.zeros(len(contexts), 66, dtype=torch.bool),
    ],
)
def test_useless_logits_are_the_models_own_fault(judge: Judge, logits: Any) -> None:
    with pytest.raises(Fault, match="logits"):
        judge.loss(Answering(logits))


# --- the attention maps ----------------------------------------------------------------------------------------------

TEXT = "a fox met a fox"


def maps(*heads: torch.Tensor) -> list[torch.Tensor]:
    """A layer's maps for every layer: the heads that are given, and heads that look at themselves."""
    model = PRESETS[PRESET].model
    rest = [torch.eye(len(TEXT))] * (int(model["n_heads"]) - len(heads))
    return [torch.stack([*heads, *rest])] * int(model["n_layers"])


def test_every_head_has_its_map_and_its_habit() -> None:
    before = torch.eye(len(TEXT)).roll(-1, 1).tril()  # each looks at the one before it, the first at nothing
    before[0, 0] = 1
    found = attention_of(maps(before), TEXT)
    assert found is not None and found.tokens == tuple(TEXT)
    places = [(head.layer, head.head) for head in found.heads]
    assert places == sorted(places) and len(set(places)) == len(maps()) * len(maps()[0])
    assert (found.heads[0].habit, found.heads[0].share) == ("the character before", 1.0)
    assert (found.heads[1].habit, found.heads[1].share) == ("itself", 1.0)
    assert list(found.heads[0].weights) == (255 * before).int().flatten().tolist()


def test_maps_of_no_numbers_or_no_weights_are_told_within_bounds() -> None:
    """What comes from the jail may be anything of the right shape."""
    size = len(TEXT)
    for value in (float("nan"), float("inf"), float("-inf"), -3.0, 1e30, True):
        found = attention_of(maps(torch.full((size, size), value)), TEXT)
        assert found is not None
        assert 0 <= found.heads[0].share <= 1 and len(found.heads[0].weights) == size * size


@pytest.mark.parametrize(
    "layers",
    [
        None,
        [],
        [3, 3],
        maps()[:1],
        [layer[:, 1:] for layer in maps()],
        [layer[:1] for layer in maps()],
        [layer[0] for layer in maps()],
        maps() * 1000,
    ],
)
def test_what_is_no_maps_of_the_text_is_left_out(layers: Any) -> None:
    assert attention_of(layers, TEXT) is None
