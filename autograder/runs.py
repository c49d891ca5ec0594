"""The runs that `minigpt train` left in a folder: of which parts each was made, and what it reached.

    runs_in(Path("runs"))[0]        # the newest
    # Run(folder=Path("runs/minigpt"), own=frozenset({"attention"}), preset="tiny", steps=1200, loss=0.375, ...)

Reads `run.json` and `loss.csv` and loads no model. A folder that is no run, or a damaged one, is passed over.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import datasets
from autograder.minigpt.recording import LOSSES
from autograder.minigpt.run import RUN, config_of, read_run
from autograder.minigpt.train import PRESETS, TrainConfig


@dataclass(frozen=True)
class Run:
    """`own`: the slots that were the student's. `preset`: its name, where nothing of it was changed.

    `began` is seconds since 1970. `kind` is the same for runs whose losses can be compared: one text, one setting.
    """

    folder: Path
    own: frozenset[str]
    preset: str | None
    characters: bool
    steps: int
    planned: int
    loss: float
    began: float
    text_sha256: str
    kind: str

    @property
    def finished(self) -> bool:
        return self.steps == self.planned


def runs_in(folder: Path) -> list[Run]:
    """The newest first. Those that ended before they had a loss to show are not among them."""
    if not folder.is_dir():
        return []
    found = (_read(path.parent) for path in folder.glob(f"*/{RUN}"))
    return sorted((run for run in found if run is not None), key=lambda run: run.began, reverse=True)


def floor_of(run: Run) -> float | None:
    """The lowest loss that any model can have on the run's text, where somebody knows it."""
    stories = datasets.load("stories")
    return stories.floor if run.characters and run.text_sha256 == text_digest(stories) else None


def text_digest(corpus: datasets.Corpus) -> str:
    """The `text_sha256` of a run that was trained on this corpus."""
    return hashlib.sha256(f"{corpus.train}\0{corpus.validation}".encode(errors="surrogatepass")).hexdigest()


def _read(folder: Path) -> Run | None:
    try:
        told = read_run(folder)
        training = TrainConfig(**told["training"])
        steps, loss = _last_validation(folder / LOSSES)
        config = config_of(told)
        settings = json.dumps([told["config"], told["training"], told["text_sha256"]], sort_keys=True)
        presets = (
            name
            for name, preset in PRESETS.items()
            if preset.training == training and preset.config(config.vocab_size) == config
        )
        return Run(
            folder=folder,
            own=frozenset(told["provenance"].get("own", ())),
            preset=next(presets, None),
            characters=training.tokenizer == "char",
            steps=steps,
            planned=training.steps,
            loss=loss,
            began=(folder / RUN).stat().st_mtime,
            text_sha256=told["text_sha256"],
            kind=hashlib.sha256(settings.encode()).hexdigest(),
        )
    except (OSError, ValueError, TypeError, AttributeError):  # of another version, or damaged: not ours to mend here
        return None


def _last_validation(path: Path) -> tuple[int, float]:
    """The last validation loss, and after how many steps it was taken."""
    with path.open(newline="", encoding="utf-8") as file:
        taken = [(row["step"], row["validation_loss"]) for row in csv.DictReader(file) if row.get("validation_loss")]
    if not taken:
        raise ValueError(f"{path} has no validation loss")
    return int(taken[-1][0]), float(taken[-1][1])
