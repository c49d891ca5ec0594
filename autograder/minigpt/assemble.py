"""A student's own symbols, plugged into the slots of MiniGPT; the library's parts stand in everywhere else.

    >>> class LayerNorm: ...
    >>> provenance({"LayerNorm": LayerNorm}).incomplete       # the slot `norm` is LayerNorm and RMSNorm
    {'norm': ('RMSNorm',)}

A slot is replaced as a whole or not at all. This module copies no files and runs no tests: who calls it decides which
symbols may be plugged in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from . import library
from .parts import SLOTS, Parts


@dataclass(frozen=True)
class Provenance:
    """Which slots are the student's (`own`) and which the library's, in the order of `SLOTS`.

    `incomplete` names, for slots of the library, what is missing: some of the slot's symbols are there, not all.
    """

    own: tuple[str, ...]
    library: tuple[str, ...]
    incomplete: dict[str, tuple[str, ...]]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for a JSON file."""
        return asdict(self)


def provenance(own: Mapping[str, object]) -> Provenance:
    """Whose each slot is, when the student has the symbols of `own`. Names that belong to no slot change nothing."""
    complete = tuple(slot for slot, symbols in SLOTS.items() if all(symbol in own for symbol in symbols))
    missing = {
        slot: tuple(symbol for symbol in symbols if symbol not in own)
        for slot, symbols in SLOTS.items()
        if slot not in complete and any(symbol in own for symbol in symbols)
    }
    return Provenance(complete, tuple(slot for slot in SLOTS if slot not in complete), missing)


def assemble_parts(own: Mapping[str, object]) -> Parts:
    """The library's parts, with every slot that `own` fills replaced.

    Where the loop or the generator is the library's, it works with the student's loss, clipping and sampler.
    """
    own_slots = provenance(own).own
    chosen: dict[str, Any] = {symbol: own[symbol] for slot in own_slots for symbol in SLOTS[slot]}
    for symbol, part in chosen.items():
        if not callable(part):
            raise ValueError(f"{symbol} must be a class or a function, got {type(part).__name__}")
    parts = replace(library.library_parts(), **chosen)
    if "loop" not in own_slots and {"loss", "clip"} & set(own_slots):
        step = partial(library.train_step, loss=parts.cross_entropy, clip=parts.clip_grad_norm)
        parts = replace(parts, train_step=step, train=partial(library.train, step_function=step))
    if "evaluation" not in own_slots and "loss" in own_slots:
        parts = replace(parts, estimate_loss=partial(library.estimate_loss, loss=parts.cross_entropy))
    if "generate" not in own_slots and "sampler" in own_slots:
        parts = replace(parts, generate=partial(library.generate, sample=parts.sample_token))
    return parts
