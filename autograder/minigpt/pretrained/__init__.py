"""A small model that ships with MiniGPT, so that it can write before anything was trained.

    model, tokenizer, config = load_pretrained(parts)

It knows the built-in stories, character by character, and is built from whatever parts it is handed: the weights are
loaded by their names, which all parts share. `weights.npz` holds one float array for each parameter, `model.json` the
rest. Nothing here trains it, and it has no optimizer to go on with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..config import GPTConfig
from ..model import build_model
from ..parts import Parts
from ..train import make_tokenizer

if TYPE_CHECKING:
    from ..protocols import Tokenizer

FOLDER, WEIGHTS, DESCRIPTION = Path(__file__).parent, "weights.npz", "model.json"


def describe_pretrained() -> dict[str, Any]:
    """The content of `model.json`: config, vocabulary, corpus and the loss that was reached, in nats per character."""
    content: dict[str, Any] = json.loads((FOLDER / DESCRIPTION).read_text(encoding="utf-8"))
    return content


def load_pretrained(parts: Parts, *, device: str = "cpu") -> tuple[nn.Module, Tokenizer, GPTConfig]:
    """Model, tokenizer and config, as `load_run` gives them for a run of one's own."""
    description = describe_pretrained()
    config = GPTConfig(**description["config"])
    tokenizer = make_tokenizer(description["vocabulary"], parts)
    with torch.random.fork_rng():  # the fresh weights that a model begins with are drawn
        model = build_model(config, parts)
    with np.load(FOLDER / WEIGHTS, allow_pickle=False) as arrays:
        fill(model, dict(arrays))
    return model.to(device), tokenizer, config


def fill(model: nn.Module, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Gives every parameter the value that is stored under its name; a tied one has two names, and needs one of them.

    >>> layer = nn.Linear(1, 1, bias=False)
    >>> fill(layer, {"weight": np.array([[2.0]])})
    >>> layer.weight.item()
    2.0
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    filled = {id(parameters[name]) for name in arrays if name in parameters}
    faults = [f"no weights for {name}" for name, parameter in parameters.items() if id(parameter) not in filled]
    faults += [f"no parameter {name}" for name in arrays if name not in parameters]
    faults += [
        f"{name} has the shape {tuple(parameter.shape)}, and {arrays[name].shape} is stored"
        for name, parameter in parameters.items()
        if name in arrays and parameter.shape != arrays[name].shape
    ]
    if faults:
        raise ValueError(f"the shipped model does not fit these parts: {'; '.join(faults[:3])}")
    with torch.no_grad():
        for name, array in arrays.items():
            parameters[name].copy_(torch.from_numpy(array))
