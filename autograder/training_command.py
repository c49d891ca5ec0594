"""`minigpt train`: a MiniGPT of your own parts where they pass, of library parts elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import datasets
from autograder.manifest import CourseError
from autograder.mine import own_symbols
from autograder.minigpt.assemble import assemble_parts, provenance
from autograder.minigpt.run import run_training
from autograder.minigpt.train import PRESETS, Preset


@dataclass(frozen=True)
class Overrides:
    """What the command line says about training in place of the preset; None is as the preset has it.

    `lr` is the highest learning rate; the lowest keeps its ratio to it. `max_norm` 0 is no clipping.
    """

    batch_size: int | None = None
    accumulate: int | None = None
    lr: float | None = None
    max_norm: float | None = None
    seed: int | None = None
    amp: bool = False


def train_command(
    out: Path,
    preset: str,
    corpus: Path | None,
    steps: int | None,
    resume: bool,
    library: bool,
    threads: int,
    console: Console,
    *,
    overrides: Overrides | None = None,
    device: str = "cpu",
    compiled: bool = False,
    tensorboard: bool = False,
) -> None:
    """Trains into the folder `out`, and says what was reached."""
    torch.set_num_threads(threads)
    if os.environ.get("RANK", "0") != "0":  # torchrun numbers its processes: one is enough to say what is done
        console = Console(quiet=True)
    chosen = _preset(preset, steps, overrides or Overrides())
    _check_device(device)
    text = _corpus(chosen, corpus)
    floor = text.floor if chosen.training.tokenizer == "char" else None  # known per character, not per token
    if not library:
        console.print("running the visible tests, to see which parts are yours ...")
    symbols = {} if library else own_symbols()
    made_of = provenance(symbols)
    console.print(
        f"corpus: {text.name}, {len(text.train):,} characters. your own parts: {', '.join(made_of.own) or 'none'}"
    )
    try:
        result = run_training(
            out,
            text.train,
            text.validation,
            chosen,
            assemble_parts(symbols),
            provenance=made_of.as_dict(),
            floor=floor,
            resume=resume,
            device=device,
            compiled=compiled,
            tensorboard=tensorboard,
            tell=lambda line: console.print(line, markup=False),
        )
    except (ValueError, OSError, FloatingPointError) as error:
        raise CourseError(str(error)) from error
    except KeyboardInterrupt as stopped:
        console.print(str(stopped) or "stopped", markup=False)
        raise
    reached = f"validation loss {result.validation[-1][1]:.3f} nats per token"
    best = f"; no model of this text can go below {floor:.3f}" if floor is not None else ""
    console.print(f"{reached}{best}\nwrote checkpoint.pt, loss.csv and loss.png to {out}", markup=False)
    if tensorboard:
        console.print(f"see the events with: tensorboard --logdir {out}", markup=False)


def _corpus(preset: Preset, path: Path | None) -> datasets.Corpus:
    try:
        return datasets.load(preset.corpus) if path is None else datasets.load_file(path)
    except (ValueError, OSError) as error:
        raise CourseError(str(error)) from error


def _preset(name: str, steps: int | None, overrides: Overrides) -> Preset:
    if name not in PRESETS:
        raise CourseError(f"there is no preset {name!r}; there are: {', '.join(PRESETS)}")
    training = PRESETS[name].training
    changes: dict[str, Any] = {
        wish: value
        for wish in ("batch_size", "accumulate", "max_norm", "seed")
        if (value := getattr(overrides, wish)) is not None
    }
    if steps is not None:
        changes |= {"steps": steps, "warmup_steps": min(training.warmup_steps, steps)}
    if overrides.lr is not None:
        changes |= {"max_lr": overrides.lr, "min_lr": overrides.lr * training.min_lr / training.max_lr}
    try:
        return replace(PRESETS[name], training=replace(training, amp=training.amp or overrides.amp, **changes))
    except ValueError as error:
        raise CourseError(str(error)) from error


def _check_device(device: str) -> None:
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA raises an AssertionError
        reason = str(error).partition("\n")[0]
        raise CourseError(f"--device {device} is not there: {reason}") from error
