"""A model whose every call is written down, and what a test may ask of any module: modes, parameters, state.

    model = student.library.ScriptedModel(table)          # logits of the next token: row `id` of the table
    student.perplexity(model, ids, context_length=4)
    model.calls[0]["training"]                            # False: it was in evaluation mode

It is no transformer: it has nothing to learn with but its tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = [
    "ScriptedModel",
    "buffer_values",
    "modes",
    "parameter_shapes",
    "parameter_values",
    "set_modes",
    "state",
]


class TokenCache:
    """The ids that a `ScriptedModel` has seen so far."""

    def __init__(self) -> None:
        self.ids: Int[Tensor, "batch time"] | None = None

    @property
    def length(self) -> int:
        return 0 if self.ids is None else self.ids.shape[1]

    def append(self, ids: Int[Tensor, "batch time"]) -> Int[Tensor, "batch longer"]:
        self.ids = ids if self.ids is None else torch.cat((self.ids, ids), dim=1)
        return self.ids


class ScriptedModel(nn.Module):
    """Logits by table: those of a position are the row of the id there, plus the mean of `history`'s rows so far.

    table, history: `[vocab, vocab]`, parameters of these names. Without `history` only the last id counts.
    dropout: of the submodule `inner`, which the logits go through.
    """

    def __init__(
        self,
        table: Float[Tensor, "vocab vocab"],
        history: Float[Tensor, "vocab vocab"] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.table = nn.Parameter(table.clone())
        self.history = None if history is None else nn.Parameter(history.clone())
        self.inner = nn.Dropout(dropout)
        self.calls: list[dict[str, Any]] = []

    def new_cache(self) -> list[TokenCache]:
        return [TokenCache()]

    def forward(
        self, ids: Int[Tensor, "batch time"], *, cache: list[TokenCache] | None = None
    ) -> Float[Tensor, "batch time vocab"]:
        self.calls.append(
            {
                "ids": ids.clone(),
                "training": self.training,
                "grad": torch.is_grad_enabled(),
                "cached": None if cache is None else cache[0].length,
            }
        )
        seen = ids if cache is None else cache[0].append(ids)  # (batch, seen)
        logits = self.table[ids]
        if self.history is not None:
            so_far = self.history[seen].cumsum(dim=1)  # (batch, seen, vocab)
            counts = torch.arange(1, seen.shape[1] + 1, device=ids.device)[:, None]
            logits = logits + (so_far / counts)[:, -ids.shape[1] :]
        dropped: Tensor = self.inner(logits)
        return dropped


def modes(module: nn.Module) -> dict[str, bool]:
    """Whether each submodule is in training mode, by its name; "" is the module itself."""
    return {name: part.training for name, part in module.named_modules()}


def set_modes(module: nn.Module, wanted: Mapping[str, bool]) -> None:
    """Sets the mode of the submodules that are named, and of no other."""
    for name, training in wanted.items():
        module.get_submodule(name).training = training


def parameter_values(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter by name; a shared one comes once."""
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def parameter_shapes(module: nn.Module) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in module.named_parameters()}


def buffer_values(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_buffers()}


def state(module: nn.Module) -> dict[str, Tensor]:
    """The `state_dict`, as a plain dict of copies: what a checkpoint would hold."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
