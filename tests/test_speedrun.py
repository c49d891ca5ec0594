"""The speedrun's recipe and its leaderboard: what each ingredient does, and that no run is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from rich.console import Console

from autograder import speedrun_command
from autograder.manifest import CourseError
from autograder.minigpt.speedrun import (
    INGREDIENTS,
    Muon,
    Recipe,
    SpeedrunGPT,
    orthogonalize,
    rotate,
    run_speedrun,
    share_of_lr,
    whole_loss,
)
from autograder.speedrun_command import LEADERBOARD, TARGET, Entry, read_leaderboard, show_leaderboard

SMALL = Recipe(steps=30, batch_size=4, context_length=16, d_model=32, n_layers=2, n_heads=2)
ENTRY = Entry("ada", "2026-09-01T10:00:00+00:00", 1.88, 30.0, 400, 803_072, 1, "Linux", "2.13", "ab" * 32)


@pytest.mark.parametrize("recipe", [SMALL, replace(SMALL, squared_relu=True), *map(SMALL.without, INGREDIENTS)])
def test_the_model_learns_and_never_looks_ahead(recipe: Recipe) -> None:
    """A text that repeats every 7 characters, with each ingredient and without it."""
    ids = torch.arange(2000) % 7
    losses: list[float] = []
    result = run_speedrun(ids, ids[:500], 7, recipe, lambda step, loss: losses.append(loss))
    assert len(losses) == result.steps == 30
    assert losses[0] == pytest.approx(torch.tensor(7.0).log().item(), abs=0.6)
    assert result.loss < 0.5 * losses[0]
    model = SpeedrunGPT(7, recipe)
    torch.nn.init.normal_(model.head.weight)
    for parameter in model.blocks.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x = ids[:16][None]
    changed = x.clone()
    changed[0, 9:] = (changed[0, 9:] + 1) % 7
    assert torch.allclose(model(x)[0, :9], model(changed)[0, :9], atol=1e-5)
    assert not torch.allclose(model(x)[0, 9:], model(changed)[0, 9:])


def test_the_same_seed_gives_the_same_run() -> None:
    ids = torch.randint(5, (500,), generator=torch.Generator().manual_seed(0))
    recipe = Recipe(steps=3, batch_size=2, context_length=8, d_model=16, n_layers=1, n_heads=2)
    first, second = (run_speedrun(ids, ids, 5, recipe).loss for _ in range(2))
    assert first == second


@pytest.mark.parametrize("shape", [(8, 8), (4, 16), (16, 4), (3, 8, 24)])
def test_orthogonalize_keeps_directions_and_evens_out_lengths(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    lengths = u.mT @ orthogonalize(matrices, steps=6) @ vh.mT
    diagonal = lengths.diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(lengths, torch.diag_embed(diagonal), atol=1e-3)
    assert ((diagonal > 0.5) & (diagonal < 1.5)).all()


def test_muon_moves_matrices_of_one_shape_each_by_its_own_gradient() -> None:
    """In one batch, or alone: the same step. And the first step goes against the gradient."""
    gradients = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(2))
    together = [torch.nn.Parameter(torch.zeros(6, 4)) for _ in range(2)]
    for parameter, gradient in zip(together, gradients, strict=True):
        parameter.grad = gradient.clone()
    Muon(together, lr=0.1, momentum=0.9).step()
    for parameter, gradient in zip(together, gradients, strict=True):
        alone = torch.nn.Parameter(torch.zeros(6, 4))
        alone.grad = gradient.clone()
        Muon([alone], lr=0.1, momentum=0.9).step()
        assert torch.allclose(alone, parameter, atol=1e-6)
        assert (parameter * gradient).sum() < 0


def test_rope_sees_distances_only() -> None:
    """The product of a rotated query and key is the same wherever the two stand, if they are as far apart."""
    angles = torch.outer(torch.arange(10.0), torch.tensor([1.0, 0.1]))
    q, k = torch.randn(2, 1, 1, 1, 4, generator=torch.Generator().manual_seed(3))
    at = [(angles[place : place + 1].cos(), angles[place : place + 1].sin()) for place in range(10)]
    products = [(rotate(q, *at[place + 3]) * rotate(k, *at[place])).sum() for place in range(6)]
    assert torch.allclose(torch.stack(products), products[0].expand(6), atol=1e-5)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(steps=100, decay=0.5)
    shares = [share_of_lr(step, recipe) for step in range(100)]
    assert shares[0] == pytest.approx(0.1) and shares[9:51] == [1.0] * 42
    assert shares[51:] == sorted(shares[51:], reverse=True) and 0.03 < shares[-1] < 0.06


def test_the_whole_text_is_measured() -> None:
    """A model that always says the same has the text's own frequencies' cross entropy, over all windows."""

    class Constant(torch.nn.Module):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return torch.tensor([0.75, 0.25]).log().expand(*ids.shape, 2)

    ids = torch.tensor([0, 0, 0, 1] * 25 + [0])
    expected = -(0.75 * torch.tensor(0.75).log() + 0.25 * torch.tensor(0.25).log()).item()
    assert whole_loss(Constant(), ids, context_length=4, batch_size=3) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="too short"):
        whole_loss(Constant(), ids[:4], context_length=4)


def test_the_leaderboard_has_the_fastest_first_of_those_that_reach_the_loss(tmp_path: Path) -> None:
    entries = [
        msgspec.structs.replace(ENTRY, who="slow", seconds=50.0),
        msgspec.structs.replace(ENTRY, who="quick", seconds=20.0),
        msgspec.structs.replace(ENTRY, who="[bold]short[/]", seconds=5.0, loss=TARGET + 0.001),
        msgspec.structs.replace(ENTRY, who="shorter", seconds=1.0, loss=2.5),
    ]
    for entry in entries:
        speedrun_command._add(tmp_path / LEADERBOARD, entry)
    assert list(read_leaderboard(tmp_path / LEADERBOARD)) == entries
    console = Console(width=160, record=True)
    show_leaderboard(tmp_path, console)
    told = console.export_text()
    order = [told.index(who) for who in ("quick", "slow", "[bold]short[/]", "shorter")]
    assert order == sorted(order)


def test_a_leaderboard_that_is_damaged_or_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="--preset speedrun"):
        show_leaderboard(tmp_path, Console())
    (tmp_path / LEADERBOARD).write_bytes(msgspec.json.encode(ENTRY) + b"\n{}\n")
    with pytest.raises(CourseError, match=r"leaderboard.jsonl, line 2"):
        show_leaderboard(tmp_path, Console())
