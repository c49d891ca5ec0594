"""Train the small model that ships with the project, so that there is something to sample from before any training.

    OMP_NUM_THREADS=1 python solutions/tools/train_pretrained.py

trains `PRESET` on `datasets.load("stories")`, all of it with the reference parts, and writes
`autograder/minigpt/pretrained/`: `weights.npz`, one float16 array for each parameter, and `model.json`, its config, its
characters, how it was trained, and the loss that it has with these weights. It takes three minutes of one core. Run it
from the root of the repository, again whenever the corpus, the preset or a parameter's name has changed.

The same parts on the same machine give the same weights; on another machine they differ by rounding.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import datasets
from autograder.files import write_atomically
from autograder.in_process import load_module
from autograder.manifest import Course
from autograder.minigpt.assemble import assemble_parts, provenance
from autograder.minigpt.parts import SLOTS
from autograder.minigpt.pretrained import DESCRIPTION, FOLDER, WEIGHTS
from autograder.minigpt.train import Preset, Session, TrainConfig, run_steps, start_session, validation_batches

PRESET = Preset(
    model={
        "context_length": 192,
        "d_model": 96,
        "n_layers": 3,
        "n_heads": 4,
        "bias": False,
        "positions": "rope",
        "norm": "rmsnorm",
    },
    training=TrainConfig(steps=1500, batch_size=5, max_lr=8e-3, min_lr=1e-4, warmup_steps=50, eval_every=300),
)


def reference_symbols() -> dict[str, object]:
    """The objects that fill every slot, from the reference solutions."""
    symbols: dict[str, object] = {}
    for assignment in Course.find(Path(__file__).parent).assignments():
        module = load_module(assignment.reference)
        slots = {task.part for task in assignment.manifest.tasks if task.part is not None}
        symbols |= {name: getattr(module, name) for slot in slots for name in SLOTS[slot]}
    return symbols


def weights_file(model: nn.Module) -> bytes:
    """Every parameter once, by its name: a tied head is the token embedding's."""
    arrays = {name: parameter.detach().numpy().astype(np.float16) for name, parameter in model.named_parameters()}
    written = BytesIO()
    np.savez_compressed(written, **arrays)
    return written.getvalue()


def description(session: Session, corpus: datasets.Corpus, loss: float) -> dict[str, Any]:
    """What `model.json` says. Losses are in nats per character."""
    return {
        "corpus": corpus.name,
        "training": asdict(PRESET.training),
        "validation_loss": round(loss, 4),
        "floor": None if corpus.floor is None else round(corpus.floor, 4),
        "config": asdict(session.config),
        "vocabulary": session.vocabulary,
    }


def main() -> None:
    torch.set_num_threads(1)
    symbols = reference_symbols()
    assert not provenance(symbols).library, "a part would be the library's"
    parts, corpus = assemble_parts(symbols), datasets.load(PRESET.corpus)
    session = start_session(corpus.train, corpus.validation, PRESET, parts)
    result = run_steps(session, PRESET.training, parts, on_validation=lambda steps, loss: print(f"{steps} {loss:.4f}"))
    write_atomically(FOLDER / WEIGHTS, weights_file(session.model))
    session.model.half().float()  # the weights as they ship
    loss = parts.estimate_loss(session.model, validation_batches(session, PRESET.training, parts))
    told = description(session, corpus, loss)
    write_atomically(FOLDER / DESCRIPTION, (json.dumps(told, indent=1) + "\n").encode())
    print(f"{result.seconds:.0f} s, validation loss {loss:.4f}; wrote {FOLDER}")


if __name__ == "__main__":
    main()
