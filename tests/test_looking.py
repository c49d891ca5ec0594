"""`minigpt inspect` and `minigpt attention`: the numbers are a model's own, and a head's habit is what it does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from autograder.cli import app
from autograder.minigpt.config import GPTConfig
from autograder.minigpt.library import library_parts
from autograder.minigpt.maps import Maps, attention_maps, draw_maps, habits
from autograder.minigpt.model import build_model
from autograder.minigpt.run import run_training
from autograder.minigpt.sizes import GPT2, GPT3, PARTS, sizes
from autograder.minigpt.train import Preset, TrainConfig

SMALL = {"context_length": 16, "d_model": 8, "n_layers": 2, "n_heads": 2}
TEXT = "ab" * 200


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    preset = Preset(SMALL, TrainConfig(steps=2, batch_size=2, warmup_steps=0, eval_every=2, eval_windows=2))
    run_training(folder, TEXT, TEXT, preset, library_parts(), quiet=True)
    return folder


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_the_published_totals_come_out() -> None:
    """GPT-2 small as its released weights have it; GPT-3 with the biases and norms that 175 billion rounds over."""
    assert sizes(GPT2).total == 124_439_808
    assert sizes(GPT3).total == 174_604_259_328


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rope"])
@pytest.mark.parametrize("tie_weights", [True, False])
def test_the_parts_add_up_to_the_model(positions: str, tie_weights: bool) -> None:
    config = GPTConfig(
        vocab_size=11, **SMALL, positions=positions, tie_weights=tie_weights, norm="rmsnorm", ffn="swiglu"
    )
    found = sizes(config)
    assert found.total == sum(parameter.numel() for parameter in build_model(config, library_parts()).parameters())
    assert tuple(found.by_part) == PARTS
    assert found.by_part["token embedding"] == 11 * 8
    assert found.by_part["positions"] == (16 * 8 if positions == "learned" else 0)
    assert found.by_part["head"] == (0 if tie_weights else 11 * 8)
    assert found.by_part["attention"] == 2 * (8 * 24 + 24 + 8 * 8 + 8)
    assert found.by_part["norms"] == 5 * 8


def test_inspect_prints_the_runs_own_column(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained.parent)
    monkeypatch.setenv("COLUMNS", "120")
    told = CliRunner().invoke(app, ["inspect", "--run", "first"])
    total = sizes(GPTConfig(vocab_size=2, **SMALL)).total
    assert told.exit_code == 0
    assert "first" in told.output and f"{total:,} 100%" in told.output and "124,439,808 100%" in told.output


# --- attention -------------------------------------------------------------------------------------------------------


def maps_of(tokens: str, *heads: torch.Tensor) -> Maps:
    return Maps(tuple(tokens), torch.stack(heads)[None])


def test_a_heads_habit_is_where_its_attention_goes() -> None:
    tokens = "abcabcdefghijkl"
    time = torch.arange(len(tokens))
    look_at = {
        "itself": time,
        "the token before": (time - 1).clamp(min=0),
        "the same token, earlier": torch.where((time >= 3) & (time < 6), time - 3, time),
        "the first token": 0 * time,
        "2 tokens back": (time - 2).clamp(min=0),
        "further back": torch.where(time > 9, time - 9, time),
    }
    heads = [torch.nn.functional.one_hot(keys, len(tokens)).float() for keys in look_at.values()]
    found = habits(maps_of(tokens, *heads))
    assert [(habit.layer, habit.head) for habit in found] == [(0, head) for head in range(len(heads))]
    by_name = dict(zip(look_at, found, strict=True))
    for name in ("itself", "the token before", "the first token", "2 tokens back"):
        assert by_name[name].name == name
    assert by_name["itself"].share == pytest.approx(1.0)
    # for "b" the first token is the one before, for the second "a" it is its like: both count there
    assert by_name["the first token"].share == pytest.approx(12 / 14)


def test_every_places_share_adds_up_to_all() -> None:
    """No key is counted twice or left out: uniform attention's shares sum to 1, so the largest is at least 1/8."""
    uniform = torch.ones(12, 12).tril()
    found = habits(maps_of("abcabcabcabc", uniform / uniform.sum(-1, keepdim=True)))
    assert 1 / 8 <= found[0].share < 1


def test_the_maps_are_the_models_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=2, **SMALL)
    parts = library_parts()
    model = build_model(config, parts).train()
    tokenizer = parts.CharTokenizer.from_text("ab")
    maps = attention_maps(model, tokenizer, "abba" * 10, context_length=16)
    assert maps.weights.shape == (2, 2, 16, 16) and "".join(maps.tokens) == "abba" * 4
    assert torch.allclose(maps.weights.sum(-1), torch.ones(2, 2, 16))
    assert not maps.weights.triu(1).any()
    draw_maps(maps, tmp_path / "maps.png")
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_names_a_habit_for_every_head(trained: Path, tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["attention", "abab$", "--run", str(trained), "--out", str(tmp_path / "a.png")])
    assert told.exit_code != 0 and not (tmp_path / "a.png").exists()  # $ is no character of this model's
    told = CliRunner().invoke(app, ["attention", "abab", "--run", str(trained), "--out", str(tmp_path / "a.png")])
    assert told.exit_code == 0, told.output
    assert told.output.count("%") == 4 and (tmp_path / "a.png").is_file()


@pytest.mark.parametrize(("text", "message"), [("", "empty"), ("a", "one token"), ("abc", "unknown character 'c'")])
def test_a_text_that_cannot_be_looked_at_is_told(trained: Path, tmp_path: Path, text: str, message: str) -> None:
    told = CliRunner().invoke(app, ["attention", text, "--run", str(trained), "--out", str(tmp_path / "a.png")])
    assert message in str(told.exception)


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    for command in (["inspect"], ["attention", "ab"]):
        told = CliRunner().invoke(app, [*command, "--run", str(tmp_path)])
        assert "no" in str(told.exception) and "minigpt train" in str(told.exception)
