"""`minigpt train`: what the command line says reaches the run, is checked on resuming, and is told in sentences."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from autograder.manifest import CourseError
from autograder.minigpt.library import library_parts
from autograder.minigpt.library.transformer import count_parameters
from autograder.minigpt.train import PRESETS, start_session
from autograder.training_command import Overrides, train_command

REPOSITORY = Path(__file__).parents[1]
STORY = "Bo the fox met Ann. Ann had a pin! " * 60


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text(STORY)
    return path


def train(
    out: Path, corpus: Path, *, preset: str = "tiny", resume: bool = False, steps: int = 3, **more: object
) -> str:
    """What the command says; with library parts."""
    console = Console(record=True, width=200, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    train_command(out, preset, corpus, steps, resume, True, 1, console, **more)  # type: ignore[arg-type]
    return console.export_text()


def training_of(run: Path) -> dict[str, object]:
    return json.loads((run / "run.json").read_text())["training"]


def test_every_setting_reaches_the_run(tmp_path: Path, corpus: Path) -> None:
    wishes = Overrides(batch_size=3, accumulate=2, lr=2e-2, max_norm=0.0, seed=7, amp=True)
    said = train(tmp_path / "run", corpus, overrides=wishes)
    assert "validation loss" in said
    found = training_of(tmp_path / "run")
    expected = {"batch_size": 3, "accumulate": 2, "max_lr": 2e-2, "max_norm": 0.0, "seed": 7, "amp": True, "steps": 3}
    assert {name: found[name] for name in expected} == expected
    tiny = PRESETS["tiny"].training
    assert found["min_lr"] == pytest.approx(2e-2 * tiny.min_lr / tiny.max_lr)


def test_without_a_word_it_is_the_preset(tmp_path: Path, corpus: Path) -> None:
    train(tmp_path / "run", corpus)
    expected = {**json.loads(json.dumps(PRESETS["tiny"].training.__dict__)), "steps": 3, "warmup_steps": 3}
    assert training_of(tmp_path / "run") == expected


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"batch_size": 3}, "batch_size=8, not 3"),
        ({"accumulate": 2}, "accumulate=1, not 2"),
        ({"lr": 0.5}, "max_lr=0.01, not 0.5"),
        ({"max_norm": 0.0}, "max_norm=1.0, not 0.0"),
        ({"seed": 7}, "seed=0, not 7"),
        ({"amp": True}, "amp=False, not True"),
    ],
)
def test_a_run_goes_on_only_as_it_was_begun(tmp_path: Path, corpus: Path, other: dict[str, object], named: str) -> None:
    train(tmp_path / "run", corpus)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(CourseError, match=f"was started with {named}: resume with the same settings"):
        train(tmp_path / "run", corpus, resume=True, overrides=Overrides(**other))  # type: ignore[arg-type]
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_another_corpus_is_said(tmp_path: Path, corpus: Path) -> None:
    train(tmp_path / "run", corpus)
    corpus.write_text(STORY + "Bo")
    with pytest.raises(CourseError, match="trained on another text"):
        train(tmp_path / "run", corpus, resume=True)
    corpus.write_text(STORY + "ß")
    with pytest.raises(CourseError, match="another vocabulary"):
        train(tmp_path / "run", corpus, resume=True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"device": "toaster"}, "--device toaster is not there"),
        ({"preset": "huge"}, "no preset 'huge'"),
        ({"overrides": Overrides(lr=-1.0)}, "max_lr must be a number that is not negative"),
        ({"overrides": Overrides(batch_size=0)}, "batch_size must be at least 1"),
        ({"overrides": Overrides(seed=-1)}, "seed must be from 0"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_done(
    tmp_path: Path, corpus: Path, more: dict[str, object], said: str
) -> None:
    with pytest.raises(CourseError, match=said):
        train(tmp_path / "run", corpus, **more)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_each_preset_for_shakespeare_is_nanogpts() -> None:
    """Its README's options for a processor, and config/train_shakespeare_char.py for a GPU."""
    char, gpu = PRESETS["shakespeare-char"], PRESETS["gpu"]
    shape = ("n_layers", "n_heads", "d_model", "context_length")
    assert [char.model[name] for name in shape] == [4, 4, 128, 64]
    assert [gpu.model[name] for name in shape] == [6, 6, 384, 256]
    assert (char.model.get("dropout", 0.0), gpu.model["dropout"]) == (0.0, 0.2)
    assert (char.training.batch_size, char.training.steps) == (12, 2000)
    assert (gpu.training.batch_size, gpu.training.steps, gpu.training.amp) == (64, 5000, True)
    for training in (char.training, gpu.training):
        assert (training.max_lr, training.min_lr, training.warmup_steps) == (1e-3, 1e-4, 100)
        assert (training.betas, training.weight_decay, training.max_norm) == ((0.9, 0.99), 0.1, 1.0)
    config = gpu.config(65)
    assert library_parts().GPT(config, library_parts()).lm_head.weight.shape == (65, 384)
    assert 10.6e6 < count_parameters(config) < 10.8e6  # nanoGPT says 10.65M


def test_matrices_alone_decay() -> None:
    """As in nanoGPT: with no learning but decay, norms keep their gains of 1, and weights shrink."""
    parts, tiny = library_parts(), PRESETS["tiny"]
    session = start_session(STORY, None, replace(tiny, model={**tiny.model, "context_length": 16}), parts)
    before = {name: each.detach().clone() for name, each in session.model.named_parameters()}
    for parameter in session.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    session.optimizer.step()
    shrunk = {name for name, each in session.model.named_parameters() if not torch.equal(each, before[name])}
    assert shrunk == {name for name, each in before.items() if each.ndim == 2 and each.any()}
    assert any("norm" in name for name in before.keys() - shrunk)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_preset_for_a_gpu_says_what_to_do_without_one(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(CourseError, match=r"meant for a GPU.*--preset shakespeare-char.*--device cpu --steps 3"):
        train(tmp_path / "run", corpus, preset="gpu")
    assert not (tmp_path / "run").exists()


def small_gpu(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The preset `gpu` with a model that a processor can train. Gives what each run is told about compiling."""
    model = {"context_length": 16, "d_model": 16, "n_layers": 1, "n_heads": 2, "dropout": 0.2, "bias": False}
    monkeypatch.setitem(PRESETS, "gpu", replace(PRESETS["gpu"], model=model))
    asked: list[bool] = []

    def not_here(*arguments: object) -> str:
        asked.append(True)
        return "no compiler in this test"

    monkeypatch.setattr("autograder.minigpt.run.compile_model", not_here)
    return asked


def test_the_preset_for_a_gpu_runs_on_a_processor_if_asked(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = small_gpu(monkeypatch)
    said = train(tmp_path / "run", corpus, preset="gpu", device="cpu")
    assert "meant for a GPU: on a processor a step takes about 20 seconds, and there are 3" in said
    assert "could not be compiled" in said and asked == [True]
    assert training_of(tmp_path / "run")["amp"] is True
    assert "validation loss" in said


def test_attention_is_fused_where_the_preset_is_for_a_gpu(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A student's own attention steps back, and run.json says so; for other presets it is used."""
    used: list[str] = []

    class Attention(library_parts().CausalSelfAttention):  # type: ignore[misc]
        def forward(self, *arguments: Any, **options: Any) -> Any:
            used.append("own")
            return super().forward(*arguments, **options)

    own = {"CausalSelfAttention": Attention, "KVCache": library_parts().KVCache}
    monkeypatch.setattr("autograder.training_command.own_symbols", lambda: dict(own))
    small_gpu(monkeypatch)
    console = Console(record=True, width=200, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    for preset in ("gpu", "tiny"):
        train_command(tmp_path / preset, preset, corpus, 2, False, False, 1, console, device="cpu")
        own_parts = json.loads((tmp_path / preset / "run.json").read_text())["provenance"]["own"]
        assert own_parts == (["attention"] if preset == "tiny" else [])
        assert bool(used) == (preset == "tiny")
    assert console.export_text().count("attention is the library's for this preset") == 1


def test_byte_pairs_are_told_for_each_character_too(tmp_path: Path, corpus: Path) -> None:
    said = train(tmp_path / "run", corpus, preset="shakespeare-bpe")
    assert "byte pairs are the library's, learned from the stories" in said
    found = re.search(r"validation loss (\d\.\d+) nats per token, about (\d\.\d+) per character", said)
    assert found is not None, said
    assert 0.2 < float(found[2]) / float(found[1]) < 0.9  # a token is a few characters long


def test_a_file_in_place_of_the_folder_is_told_in_words(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(CourseError, match=r"^File exists \(.*corpus\.txt\)"):
        train(corpus, corpus)


def test_a_run_that_diverges_is_told_in_a_sentence(tmp_path: Path, corpus: Path) -> None:
    """A learning rate beyond all reason, and no clipping: the weights grow until a number is none any more."""
    with pytest.raises(CourseError, match="so training stopped.*smaller learning rate"):
        train(tmp_path / "run", corpus, steps=40, overrides=Overrides(lr=1e30, max_norm=0.0))


def test_ctrl_c_says_how_to_go_on_and_it_does(tmp_path: Path, corpus: Path) -> None:
    """A real SIGINT to the command, once the progress bar shows that it is at work."""
    program = (
        "import os, signal, sys\n"
        "from autograder.minigpt import run\n"
        "from autograder.cli import main\n"
        "updated = run.Recorder.updated\n"
        "def press(self, step, *more):\n"
        "    updated(self, step, *more)\n"
        "    if step == 1: os.kill(os.getpid(), signal.SIGINT)\n"
        "run.Recorder.updated = press\n"
        "sys.argv = ['minigpt', 'train', '--library', '--steps', '4', '--corpus', sys.argv[1], '--out', sys.argv[2]]\n"
        "main()\n"
    )
    stopped = subprocess.run(
        [sys.executable, "-c", program, str(corpus), str(tmp_path / "run")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert stopped.returncode == 130, stopped.stderr
    assert "stopped after step 2, which is saved: go on with --resume" in stopped.stdout
    assert stopped.stderr == ""
    train(tmp_path / "run", corpus, steps=4, resume=True)
    assert torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)["step"] == 4


def rows(run: Path) -> list[dict[str, float]]:
    with (run / "loss.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def together(out: Path, corpus: Path, overrides: str) -> subprocess.CompletedProcess[str]:
    """Two processes, as torchrun starts them."""
    program = out.with_suffix(".py")
    program.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from autograder.cli_common import console\n"
        "from autograder.training_command import Overrides, train_command\n"
        "out, corpus = map(Path, sys.argv[1:])\n"
        f"train_command(out, 'tiny', corpus, 8, False, True, 1, console, overrides={overrides})\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*launch, str(program), str(out), str(corpus)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_processes_train_as_one_does(tmp_path: Path, corpus: Path) -> None:
    """The same batches, each process half of each: the same losses, norms and weights, up to rounding."""
    train(tmp_path / "one", corpus, steps=8, overrides=Overrides(accumulate=2))
    result = together(tmp_path / "two", corpus, "Overrides(accumulate=2)")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("validation loss") == 1
    for one, two in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        assert one.keys() == two.keys()
        for name in one.keys() - {"tokens_per_second"}:
            assert two[name] == pytest.approx(one[name], rel=1e-3), (name, one, two)
    first, second = (torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("one", "two"))
    assert list(first["model"]) == list(second["model"])
    for name, weight in first["model"].items():
        assert torch.allclose(second["model"][name], weight, atol=1e-3), name
    again = train(tmp_path / "two", corpus, steps=8, resume=True, overrides=Overrides(accumulate=2))
    assert "validation loss" in again  # one goes on with what two began


def test_a_batch_that_cannot_be_shared_is_said(tmp_path: Path, corpus: Path) -> None:
    result = together(tmp_path / "two", corpus, "Overrides(batch_size=3)")
    assert result.returncode == 1
    assert "a batch of 3 cannot be shared by 2 processes" in result.stderr
