"""Whole runs: training falls below what letter counts can do, resuming changes nothing, a run's folder is complete."""

import csv
import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import datasets
from autograder.minigpt.assemble import provenance
from autograder.minigpt.library import library_parts
from autograder.minigpt.run import run_training
from autograder.minigpt.sample import generate_text, load_run, text_perplexity
from autograder.minigpt.train import PRESETS, Preset, TrainConfig, train_model

PARTS = library_parts()
SHORT = Preset(
    {"context_length": 16, "d_model": 16, "n_layers": 1, "n_heads": 2, "dropout": 0.1},
    TrainConfig(steps=12, batch_size=4, accumulate=2, warmup_steps=2, eval_every=5, eval_windows=6),
)
TEXT = "Bo the fox met Ann. Ann had a pin! " * 40


class Interrupted(Exception):
    pass


def interrupt_at(step):
    def on_step(done, loss, lr):
        if done == step:
            raise Interrupted

    return on_step


def rows(folder):
    with (folder / "loss.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    result = run_training(folder, TEXT, None, SHORT, PARTS, quiet=True, floor=0.5, provenance=provenance({}).as_dict())
    return folder, result


def test_a_short_run_learns_more_than_how_often_each_letter_comes():
    stories = datasets.load("stories")
    counts = Counter(stories.train)
    unigram = -sum(n / counts.total() * math.log(n / counts.total()) for n in counts.values())
    tiny = PRESETS["tiny"]
    preset = replace(tiny, training=replace(tiny.training, steps=120, eval_every=120))
    result = train_model(stories.train, stories.validation, preset, PARTS)
    assert [step for step, _ in result.validation] == [0, 120]
    assert result.validation[0][1] == pytest.approx(math.log(result.tokenizer.vocab_size), rel=0.05)
    assert result.validation[-1][1] < unigram - 0.5
    assert len(result.losses) == 120 and result.tokens_per_second > 0


def test_training_twice_gives_the_same_to_the_bit_and_another_seed_something_else():
    other = replace(SHORT, training=replace(SHORT.training, seed=1))
    first, again, third = (train_model(TEXT, None, preset, PARTS) for preset in (SHORT, SHORT, other))
    assert (first.losses, first.validation) == (again.losses, again.validation)
    assert first.losses != third.losses


def test_training_does_not_hang_on_the_callers_random_state():
    torch.manual_seed(1)
    first = train_model(TEXT, None, SHORT, PARTS).losses
    torch.manual_seed(2)
    assert train_model(TEXT, None, SHORT, PARTS).losses == first


def test_a_fork_can_train():
    """The grader forks a process that has torch loaded, with one thread, and trains in the child."""
    code = (
        "import os, torch; torch.set_num_threads(1)\n"
        "from autograder.minigpt.library import library_parts\n"
        "from autograder.minigpt.train import PRESETS, TrainConfig, Preset, train_model\n"
        "preset = Preset({'context_length': 8, 'd_model': 8}, TrainConfig(steps=2, warmup_steps=0))\n"
        "run = lambda: train_model('a fox met Ann. ' * 40, None, preset, library_parts()).losses\n"
        "here, (read, write) = run(), os.pipe()\n"
        "if os.fork() == 0: os.write(write, repr(run()).encode()); os._exit(0)\n"
        "os.close(write); there = os.read(read, 1000).decode()\n"
        "raise SystemExit(None if there == repr(here) else (here, there))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1]).returncode == 0


def test_a_runs_folder_is_complete(finished):
    folder, result = finished
    assert sorted(entry.name for entry in folder.iterdir()) == ["checkpoint.pt", "loss.csv", "loss.png", "run.json"]
    assert [int(row["step"]) for row in rows(folder)] == list(range(13))
    assert [float(row["train_loss"]) for row in rows(folder)[1:]] == result.losses
    taken = [(int(row["step"]), float(row["validation_loss"])) for row in rows(folder) if row["validation_loss"]]
    assert taken == result.validation and [step for step, _ in taken] == [0, 5, 10, 12]
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    description = json.loads((folder / "run.json").read_text())
    assert description["config"]["vocab_size"] == len(set(TEXT))
    assert "attention" in description["provenance"]["library"]
    assert train_model(TEXT, None, SHORT, PARTS).losses == result.losses


@pytest.mark.parametrize(("save_every", "stop_at"), [(4, 3), (4, 6), (5, 9), (1, 11)])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(tmp_path, finished, save_every, stop_at):
    folder, whole = finished
    options = {"quiet": True, "save_every": save_every}
    with pytest.raises(Interrupted):
        run_training(tmp_path, TEXT, None, SHORT, PARTS, on_step=interrupt_at(stop_at), **options)
    resumed = run_training(tmp_path, TEXT, None, SHORT, PARTS, resume=True, **options)
    assert (resumed.losses, resumed.validation) == (whole.losses, whole.validation)
    assert (tmp_path / "loss.csv").read_bytes() == (folder / "loss.csv").read_bytes()
    for name, weight in resumed.model.state_dict().items():
        assert torch.equal(weight, whole.model.state_dict()[name]), name


def test_resuming_a_finished_run_changes_nothing(finished):
    folder, whole = finished
    again = run_training(folder, TEXT, None, SHORT, PARTS, quiet=True, resume=True)
    assert (again.losses, again.validation) == (whole.losses, whole.validation)


def test_what_does_not_fit_is_said(tmp_path, finished):
    folder, _ = finished

    def run(out, text=TEXT, preset=SHORT, **options):
        run_training(out, text, None, preset, PARTS, quiet=True, **options)

    with pytest.raises(FileExistsError, match="resume"):
        run(folder)
    with pytest.raises(ValueError, match="vocabulary"):
        run(folder, TEXT + "?", resume=True)
    with pytest.raises(ValueError, match="another text"):
        run(folder, TEXT + "fox", resume=True)
    with pytest.raises(ValueError, match="steps=12"):
        run(folder, preset=replace(SHORT, training=replace(SHORT.training, steps=13)), resume=True)
    with pytest.raises(FileNotFoundError, match="no run"):
        run(tmp_path / "none", resume=True)
    with pytest.raises(ValueError, match="training text has .* tokens"):
        run(tmp_path / "short", "a fox")
    with pytest.raises(ValueError, match="validation text has 4 tokens"):
        train_model(TEXT, "fox ", SHORT, PARTS)
    with pytest.raises(Interrupted):
        run(tmp_path / "early", on_step=interrupt_at(0))
    with pytest.raises(FileNotFoundError, match="without resume"):
        run(tmp_path / "early", resume=True)
    run(tmp_path / "early")


def test_a_damaged_run_is_said(tmp_path):
    run_training(tmp_path, TEXT, None, SHORT, PARTS, quiet=True)
    for name in ("loss.csv", "run.json", "checkpoint.pt"):
        good = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(good[: len(good) // 2])
        with pytest.raises(ValueError, match=name):
            run_training(tmp_path, TEXT, None, SHORT, PARTS, quiet=True, resume=True)
        (tmp_path / name).write_bytes(good)


def test_a_run_can_be_sampled_from(finished):
    folder, result = finished
    state = torch.get_rng_state()
    model, tokenizer, config = load_run(folder, PARTS)
    assert torch.equal(torch.get_rng_state(), state)
    assert config == result.config
    for name, weight in result.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)
    write = {"context_length": config.context_length, "max_new_tokens": 40, "temperature": 0.8}
    text = generate_text(model, tokenizer, "Bo", PARTS, seed=3, **write)
    assert text.startswith("Bo") and len(text) == 42
    assert text == generate_text(model, tokenizer, "Bo", PARTS, seed=3, use_cache=False, **write)
    perplexity = text_perplexity(model, tokenizer, TEXT[:300], PARTS, context_length=config.context_length)
    assert 1 < perplexity < config.vocab_size
    with pytest.raises(ValueError, match="'ß'"):
        generate_text(model, tokenizer, "ß", PARTS, **write)
    with pytest.raises(ValueError, match="prompt"):
        generate_text(model, tokenizer, "", PARTS, **write)
    with pytest.raises(FileNotFoundError, match="no run"):
        load_run(folder.parent, PARTS)


def test_byte_pairs_train_and_sample_too(tmp_path):
    preset = replace(SHORT, training=replace(SHORT.training, tokenizer="bpe"))
    run_training(tmp_path, TEXT, TEXT[:200], preset, PARTS, quiet=True)
    model, tokenizer, config = load_run(tmp_path, PARTS)
    assert config.vocab_size == tokenizer.vocab_size == 512
    assert generate_text(model, tokenizer, "Bo ß", PARTS, context_length=16, seed=1).startswith("Bo ß")


def test_the_progress_bar_is_drawn_unless_quiet(tmp_path, capsys):
    run_training(tmp_path / "quiet", TEXT, None, SHORT, PARTS, quiet=True)
    assert capsys.readouterr().out == ""
    run_training(tmp_path / "loud", TEXT, None, SHORT, PARTS)
    assert "12/12" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("bad", "named"),
    [({"batch_size": 0}, "batch_size"), ({"warmup_steps": 13}, "warmup"), ({"tokenizer": "word"}, "tokenizer"),
     ({"seed": -1}, "seed"), ({"eval_every": 0}, "eval_every")],
)  # fmt: skip
def test_bad_settings_are_named(bad, named):
    with pytest.raises(ValueError, match=named):
        replace(SHORT.training, **bad)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_a_config(name):
    assert PRESETS[name].config(65).vocab_size == 65
