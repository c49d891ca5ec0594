"""A training run on disk: progress bar, checkpoints, loss curve, and going on after an interruption.

A run's folder holds

- `checkpoint.pt`: model, optimizer, steps done and random state, from `parts.save_checkpoint`;
- `loss.csv`: step, learning rate, training loss and, where it was taken, validation loss;
- `loss.png`: the same as a picture, with a dashed line at the best that can be reached where that is known;
- `run.json`: config, vocabulary, how it was trained and whose parts did it: all that sampling needs beside the
  checkpoint.

    run_training("runs/first", text, validation, PRESETS["tiny"], parts)
    run_training("runs/first", text, validation, PRESETS["tiny"], parts, resume=True)     # goes on where it was

A resumed run takes the same steps as one that was never interrupted. The folder is for one run at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .config import GPTConfig
from .curve import Curve, draw_curve, read_curve, write_curve, write_file
from .parts import Parts
from .train import OnStep, Preset, Session, TrainConfig, TrainResult, run_steps, start_session

CHECKPOINT, LOSSES, PICTURE, RUN = "checkpoint.pt", "loss.csv", "loss.png", "run.json"
SCHEMA = "minigpt/run/v1"


def run_training(
    out: str | Path,
    text_train: str,
    text_validation: str | None,
    preset: Preset,
    parts: Parts,
    *,
    provenance: Mapping[str, Any] | None = None,
    floor: float | None = None,
    resume: bool = False,
    save_every: int = 100,
    device: str = "cpu",
    quiet: bool = False,
    on_step: OnStep | None = None,
) -> TrainResult:
    """Train into the folder `out`, and return what `train_model` does; after `resume`, the whole curve.

    `floor` is the lowest loss that can be reached, in nats per token, for the picture; `provenance` goes into
    `run.json` as it is. `on_step` is called as in `train_model`, after the step is recorded.
    """
    folder = Path(out)
    if save_every < 1:
        raise ValueError(f"save_every must be at least 1, got {save_every}")
    if resume:
        read_run(folder)  # a folder without a run is an error before any work is done
        if not (folder / CHECKPOINT).exists():
            raise FileNotFoundError(f"{folder} has no {CHECKPOINT} yet: start it again without resume")
    elif (folder / CHECKPOINT).exists():
        raise FileExistsError(f"{folder} holds a run already: resume it, or choose another folder")
    session = start_session(text_train, text_validation, preset, parts, device=device)
    description = describe(session, preset, text_train, text_validation, provenance)
    curve = Curve()
    if resume:
        _check_same_run(folder, description)
        steps_done = parts.load_checkpoint(folder / CHECKPOINT, session.model, session.optimizer)
        curve = read_curve(folder / LOSSES, steps_done)
    write_file(folder / RUN, (json.dumps(description, indent=1) + "\n").encode())

    def save() -> None:
        write_curve(curve, folder / LOSSES)
        parts.save_checkpoint(folder / CHECKPOINT, session.model, session.optimizer, curve.steps_done)

    def record(step: int, loss: float, lr: float) -> None:
        curve.add_step(step, loss, lr)
        if (step + 1) % save_every == 0:
            save()
        show(curve)
        if on_step is not None:
            on_step(step, loss, lr)

    with _progress(preset.training.steps, quiet) as show:
        result = run_steps(
            session,
            preset.training,
            parts,
            start=curve.steps_done,
            on_step=record,
            on_validation=curve.add_validation,
        )
    save()
    draw_curve(curve, folder / PICTURE, floor)
    return replace(result, losses=curve.train_losses, validation=curve.validation)


def describe(
    session: Session,
    preset: Preset,
    text_train: str,
    text_validation: str | None,
    provenance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of `run.json`, as plain values."""
    return {
        "schema": SCHEMA,
        "config": asdict(session.config),
        "training": asdict(preset.training),
        "text_sha256": hashlib.sha256(f"{text_train}\0{text_validation}".encode(errors="surrogatepass")).hexdigest(),
        "vocabulary": session.vocabulary,
        "provenance": dict(provenance or {}),
    }


def read_run(folder: str | Path) -> dict[str, Any]:
    """The content of a run's `run.json`."""
    path = Path(folder) / RUN
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder} holds no run: {RUN} is missing") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    wanted = {"config", "training", "text_sha256", "vocabulary", "provenance"}
    if not isinstance(content, dict) or content.get("schema") != SCHEMA or not wanted <= content.keys():
        raise ValueError(f"{path} is not the description of a run ({SCHEMA})")
    return content


def preset_of(description: Mapping[str, Any]) -> Preset:
    """The preset that a run was started with."""
    model = {name: value for name, value in description["config"].items() if name != "vocab_size"}
    return Preset(model, TrainConfig(**description["training"]))


def config_of(description: Mapping[str, Any]) -> GPTConfig:
    """The config of a run's model."""
    return GPTConfig(**description["config"])


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[Curve], None]]:
    """A function that shows where a curve has got to on a progress bar; on nothing where `quiet`."""
    if quiet:
        yield lambda curve: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("training", total=total)

        def show(curve: Curve) -> None:
            losses = f"loss {curve.train_losses[-1]:.3f}, validation {curve.validation[-1][1]:.3f}"
            bar.update(task, completed=curve.steps_done, description=losses)

        yield show


def _check_same_run(folder: Path, description: Mapping[str, Any]) -> None:
    """Raise a ValueError that says what differs between the run in the folder and the one that is asked for."""
    before = read_run(folder)
    here = json.loads(json.dumps(description))
    if before["vocabulary"] != here["vocabulary"]:
        raise ValueError(f"{folder} was trained with another vocabulary: resume it with the text it was started with")
    if before["text_sha256"] != here["text_sha256"]:
        raise ValueError(f"{folder} was trained on another text: resume it with the text it was started with")
    for section in ("config", "training"):
        for name, value in here[section].items():
            if before[section].get(name) != value:
                raise ValueError(
                    f"{folder} was started with {name}={before[section].get(name)!r}, not {value!r}: "
                    "resume with the same settings, or choose another folder"
                )
