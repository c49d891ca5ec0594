"""A training run on disk: progress bar, checkpoints, curves, and going on after an interruption.

A run's folder holds

- `checkpoint.pt`: model, optimizer, steps done and random state, from `parts.save_checkpoint`;
- `loss.csv`: a line per step: learning rate, training loss, validation loss where it was taken, the gradient's norm
  before clipping, tokens per second;
- `loss.png`: the same as a picture, with a dashed line at the best that can be reached where that is known;
- `run.json`: config, vocabulary, how it was trained and whose parts did it: all that sampling needs beside the
  checkpoint;
- `events/`, if asked for: the same numbers for TensorBoard.

    run_training("runs/first", text, validation, PRESETS["tiny"], parts)
    run_training("runs/first", text, validation, PRESETS["tiny"], parts, resume=True)     # goes on where it was

A resumed run takes the same steps as one that was never interrupted, to the bit on the same machine, wherever it was
killed; its tokens per second alone differ. Ctrl-C ends a run after the step that it is at, and saves that. The folder
is for one run at a time.
"""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .compiling import compile_model
from .config import GPTConfig
from .curve import Curve, draw_curve, read_curve, write_file
from .events import event_writer, require_tensorboard
from .gradients import GradientNorm
from .parts import Parts
from .processes import Processes, joined
from .recording import CHECKPOINT, LOSSES, Recorder
from .train import OnStep, Preset, Session, TrainConfig, TrainResult, batch_source, run_steps, start_session

PICTURE, RUN, EVENTS = "loss.png", "run.json", "events"
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
    compiled: bool = False,
    tensorboard: bool = False,
    picture: bool = True,
    quiet: bool = False,
    on_step: OnStep | None = None,
    tell: Callable[[str], object] = print,
) -> TrainResult:
    """Train into the folder `out`, and return what `train_model` does; after `resume`, the whole curve.

    `floor` is the lowest loss that can be reached, in nats per token, for the picture; `provenance` goes into
    `run.json` as it is. `on_step` is called as in `train_model`, after the step is recorded. With `compiled` the model
    is compiled where that is possible; where it is not, `tell` is told so. Device and compiling may be others when a
    run goes on, at the price of another rounding; everything in the preset must be the same. Without `picture` there
    is no `loss.png`, and matplotlib is not needed.
    """
    folder, training = Path(out), preset.training
    _check_wishes(folder, resume, save_every, tensorboard)
    with ExitStack() as stack:
        processes = stack.enter_context(joined(device))
        _check_shares(training, processes)
        first = processes.rank == 0
        session = start_session(text_train, text_validation, preset, parts, device=processes.device)
        description = describe(session, preset, text_train, text_validation, provenance)
        curve, saved = _take_up(folder, description, session, parts) if resume else (Curve(), None)
        if first:
            _sweep(folder)
            write_file(folder / RUN, (json.dumps(description, indent=1) + "\n").encode())
        if compiled:
            batch = batch_source(session, training, parts, 0, processes.shares)()
            reason = compile_model(session.model, batch, training.amp_dtype)
            if reason is not None and first:
                tell(f"the model could not be compiled, so it trains as it is ({reason})")
        events = folder / EVENTS if tensorboard and first else None
        stack.enter_context(processes.averaging(session.model.parameters()))
        recorder = Recorder(
            folder,
            session,
            parts,
            curve,
            norm=stack.enter_context(GradientNorm(session.model.parameters())),
            events=stack.enter_context(event_writer(events, curve.steps_done)),
            tokens_per_step=training.accumulate * training.batch_size * session.config.context_length,
            save_every=save_every,
            saved=saved,
            processes=processes,
        )
        pressed = stack.enter_context(_ctrl_c())
        show = stack.enter_context(_progress(training.steps, quiet or not first))
        result = _make_steps(recorder, training, show, pressed, on_step)
    if first and picture:
        draw_curve(curve, folder / PICTURE, floor, training.max_norm or None)
    return replace(result, losses=curve.train_losses, validation=curve.validation)


def _make_steps(
    recorder: Recorder,
    training: TrainConfig,
    show: Callable[[Curve], None],
    pressed: Callable[[], bool],
    on_step: OnStep | None,
) -> TrainResult:
    """The steps that are left, each recorded, and the last one saved."""
    curve = recorder.curve

    def after_update(step: int, loss: float, lr: float, seconds: float) -> None:
        loss = recorder.updated(step, loss, lr, seconds)
        show(curve)
        if on_step is not None:
            on_step(step, loss, lr)
        if pressed() and curve.steps_done < training.steps:
            recorder.save()
            raise KeyboardInterrupt(f"stopped after step {curve.steps_done}, which is saved: go on with --resume")

    try:
        result = run_steps(
            recorder.session,
            training,
            recorder.parts,
            start=curve.steps_done,
            on_update=after_update,
            on_validation=recorder.validated,
            shares=recorder.processes.shares,
        )
    except RuntimeError as error:
        recorder.gave_up(error)
        raise
    recorder.save()
    return result


def _take_up(folder: Path, description: Mapping[str, Any], session: Session, parts: Parts) -> tuple[Curve, int | None]:
    """Where the run in the folder was, loaded into the session: its curve, and the steps of its checkpoint, if any."""
    _check_same_run(folder, description)
    if not (folder / CHECKPOINT).exists():  # it ended before its first one, and begins again
        return Curve(), None
    saved = _load(folder, session, parts)
    return read_curve(folder / LOSSES, saved), saved


def _check_wishes(folder: Path, resume: bool, save_every: int, tensorboard: bool) -> None:
    """Raise what can be known to be wrong before any work is done."""
    if save_every < 1:
        raise ValueError(f"save_every must be at least 1, got {save_every}")
    if tensorboard:
        require_tensorboard()
    if resume:
        read_run(folder)
    elif (folder / CHECKPOINT).exists():
        raise FileExistsError(f"{folder} holds a run already: resume it, or choose another folder")


def _load(folder: Path, session: Session, parts: Parts) -> int:
    """The steps done of the checkpoint, which is loaded into the session."""
    try:
        return parts.load_checkpoint(folder / CHECKPOINT, session.model, session.optimizer)
    except ValueError as error:
        raise ValueError(
            f"{folder / CHECKPOINT} is damaged, or it is not that of {RUN} beside it, whose model has a vocabulary of "
            f"{session.config.vocab_size} tokens: {error}"
        ) from error


def _check_shares(training: TrainConfig, processes: Processes) -> None:
    if training.batch_size % processes.size:
        raise ValueError(
            f"a batch of {training.batch_size} cannot be shared by {processes.size} processes: "
            "use another batch_size, a multiple of their number"
        )


def _sweep(folder: Path) -> None:
    """Remove the half-written files of a run that was killed."""
    for name in (CHECKPOINT, LOSSES, PICTURE, RUN):
        for path in folder.glob(f"{name}*.tmp"):
            path.unlink()


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
def _ctrl_c() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed. The first one is only noted, so that a step is not left half done; a second acts."""
    pressed = False

    def note(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
    defaults = json.loads(json.dumps(asdict(TrainConfig())))  # for what a run of an older version does not have
    for section, known in (("config", before["config"]), ("training", defaults | before["training"])):
        for name, value in here[section].items():
            if known.get(name) != value:
                raise ValueError(
                    f"{folder} was started with {name}={known.get(name)!r}, not {value!r}: "
                    "resume with the same settings, or choose another folder"
                )
