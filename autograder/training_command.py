"""`minigpt train` and `minigpt sample`: a MiniGPT of your own parts where they pass, of library parts elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

import datasets
from autograder.manifest import Course, CourseError
from autograder.mine import load_symbols, own_slots
from autograder.minigpt.assemble import assemble_parts, provenance
from autograder.minigpt.parts import Parts
from autograder.minigpt.run import RUN, run_training
from autograder.minigpt.sample import generate_text, load_run
from autograder.minigpt.train import PRESETS, Preset


def train_command(
    out: Path,
    preset: str,
    corpus: Path | None,
    steps: int | None,
    resume: bool,
    library: bool,
    threads: int,
    console: Console,
) -> None:
    """Trains into the folder `out`, and says what was reached."""
    torch.set_num_threads(threads)
    chosen = _preset(preset, steps)
    text = _corpus(chosen, corpus)
    floor = text.floor if chosen.training.tokenizer == "char" else None  # known per character, not per token
    if not library:
        console.print("running the visible tests, to see which parts are yours ...")
    symbols = {} if library else _own_symbols()
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
        )
    except (ValueError, FileNotFoundError, FileExistsError) as error:
        raise CourseError(str(error)) from error
    reached = f"validation loss {result.validation[-1][1]:.3f} nats per token"
    best = f"; no model of this text can go below {floor:.3f}" if floor is not None else ""
    console.print(f"{reached}{best}\nwrote checkpoint.pt, loss.csv and loss.png to {out}", markup=False)


def sample_command(run: Path, prompt: str, tokens: int, temperature: float, seed: int | None) -> str:
    """The prompt and what the model in the folder `run` writes after it."""
    try:
        parts = parts_of(run)
        model, tokenizer, config = load_run(run, parts)
        return generate_text(
            model,
            tokenizer,
            prompt,
            parts,
            context_length=config.context_length,
            max_new_tokens=tokens,
            temperature=temperature,
            seed=seed,
        )
    except (ValueError, FileNotFoundError) as error:
        raise CourseError(str(error)) from error


def _corpus(preset: Preset, path: Path | None) -> datasets.Corpus:
    try:
        return datasets.load(preset.corpus) if path is None else datasets.load_file(path)
    except (ValueError, OSError) as error:
        raise CourseError(str(error)) from error


def _preset(name: str, steps: int | None) -> Preset:
    if name not in PRESETS:
        raise CourseError(f"there is no preset {name!r}; there are: {', '.join(PRESETS)}")
    preset = PRESETS[name]
    if steps is None:
        return preset
    warmup_steps = min(preset.training.warmup_steps, steps)
    return replace(preset, training=replace(preset.training, steps=steps, warmup_steps=warmup_steps))


def _own_symbols() -> dict[str, object]:
    """Outside of a course there are none, and the library's parts do."""
    try:
        course = Course.find()
    except CourseError:
        return {}
    return load_symbols(course, own_slots(course))


def parts_of(run: Path) -> Parts:
    """The parts that a run was trained with."""
    description = run / RUN
    if not description.is_file():
        raise CourseError(f"{run} holds no trained model: run `minigpt train --out {run}` first")
    own = set((json.loads(description.read_text(encoding="utf-8")).get("provenance") or {}).get("own", ()))
    return assemble_parts(load_symbols(Course.find(), own) if own else {})
