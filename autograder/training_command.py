"""`minigpt train`: a MiniGPT of your own parts where they pass, of library parts elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import datasets
from autograder.keeping import reason
from autograder.manifest import CourseError
from autograder.mine import own_symbols
from autograder.minigpt.assemble import Provenance, assemble_parts, provenance
from autograder.minigpt.devices import choose_device, slow_on
from autograder.minigpt.parts import SLOTS
from autograder.minigpt.run import run_training
from autograder.minigpt.train import PRESETS, Preset, TrainResult


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
    device: str | None = None,
    compiled: bool = False,
    tensorboard: bool = False,
) -> None:
    """Trains into the folder `out`, and says what was reached. Without a device, it is the preset's."""
    torch.set_num_threads(threads)
    if os.environ.get("RANK", "0") != "0":  # torchrun numbers its processes: one is enough to say what is done
        console = Console(quiet=True)
    chosen = _preset(preset, steps, overrides or Overrides())
    device = _device(device, chosen)
    text = _corpus(chosen, corpus)
    floor = text.floor if chosen.training.tokenizer == "char" else None  # known per character, not per token
    symbols = _own(chosen, library, console)
    made_of = provenance(symbols)
    console.print(
        f"corpus: {text.name}, {len(text.train):,} characters. your own parts: {', '.join(made_of.own) or 'none'}"
    )
    for line in _worth_knowing(chosen, made_of, text.name, device):
        console.print(line)
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
            compiled=compiled or chosen.gpu,
            tensorboard=tensorboard,
            tell=lambda line: console.print(line, markup=False),
        )
    except OSError as error:
        raise CourseError(str(error) if error.errno is None else reason(error)) from error
    except (ValueError, FloatingPointError) as error:
        raise CourseError(str(error)) from error
    except KeyboardInterrupt as stopped:
        console.print(str(stopped) or "stopped", markup=False)
        raise
    reached = _reached(result, chosen, text.validation)
    best = f"; no model of this text can go below {floor:.3f}" if floor is not None else ""
    console.print(f"{reached}{best}\nwrote checkpoint.pt, loss.csv and loss.png to {out}", markup=False)
    if tensorboard:
        console.print(f"see the events with: tensorboard --logdir {out}", markup=False)


def _own(preset: Preset, library: bool, console: Console) -> dict[str, object]:
    """The symbols of the student's own that this run takes."""
    if library:
        return {}
    console.print("running the visible tests, to see which parts are yours ...")
    symbols = own_symbols()
    if preset.gpu and "attention" in provenance(symbols).own:
        console.print("attention is the library's for this preset: it is fused, which makes a GPU much faster")
        return {name: part for name, part in symbols.items() if name not in SLOTS["attention"]}
    return symbols


def _worth_knowing(preset: Preset, made_of: Provenance, corpus: str, device: str) -> Iterator[str]:
    """What would otherwise surprise."""
    if preset.training.tokenizer == "bpe" and "merges" not in made_of.own and corpus != "stories":
        yield "byte pairs are the library's, learned from the stories: your own train_bpe learns them from this text"
    if (warning := slow_on(device, preset)) is not None:
        yield warning


def _reached(result: TrainResult, preset: Preset, validation: str) -> str:
    """The validation loss; of byte pairs for each character too, since only that compares with other tokenizers."""
    loss = result.validation[-1][1]
    reached = f"validation loss {loss:.3f} nats per token"
    if preset.training.tokenizer == "char" or not validation:
        return reached
    per_character = len(result.tokenizer.encode(validation)) / len(validation)
    return f"{reached}, about {loss * per_character:.3f} per character"


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


def _device(wish: str | None, preset: Preset) -> str:
    try:
        return choose_device(wish, preset)
    except ValueError as error:
        raise CourseError(str(error)) from error
