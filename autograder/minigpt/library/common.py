"""What several library parts need: checks of sizes, and a model in evaluation mode for a while.

No part of MiniGPT itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def at_least(minimum: int, **sizes: int) -> None:
    """Raise a ValueError that names the first size that is below `minimum`.

    >>> at_least(1, d_model=0)
    Traceback (most recent call last):
    ValueError: d_model must be at least 1, got 0
    """
    for name, value in sizes.items():
        if value < minimum:
            raise ValueError(f"{name} must be at least {minimum}, got {value}")


def divisible(d_model: int, n_heads: int) -> None:
    """Raise a ValueError if `n_heads` heads do not fill `d_model` columns."""
    at_least(1, d_model=d_model, n_heads=n_heads)
    if d_model % n_heads:
        raise ValueError(f"d_model must be divisible by n_heads, got d_model={d_model} and n_heads={n_heads}")


def probability(**values: float) -> None:
    """Raise a ValueError that names the first value outside 0 to 1."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be between 0 and 1, got {value}")


def wide(dtype: torch.dtype) -> torch.dtype:
    """The type to compute in: float32 for anything narrower, else the type itself."""
    return torch.promote_types(dtype, torch.float32)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """`model.eval()` without gradients; afterwards every submodule has the mode that it had."""
    in_training = [part for part in model.modules() if part.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part in in_training:
            part.training = True
