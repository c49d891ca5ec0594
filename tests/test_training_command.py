"""`minigpt train`: what the command line says reaches the run, is checked on resuming, and is told in sentences."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

from autograder.manifest import CourseError
from autograder.minigpt.train import PRESETS
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
