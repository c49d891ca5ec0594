"""A model compiled with `torch.compile`, where that is possible.

    reason = compile_model(model, batch)
    if reason is not None:
        print(f"not compiled: {reason}")

The model stays the same object with the same parameters and the same names in its `state_dict`; only calling it is
faster. One shape is compiled at a time (`dynamic=False`), so that what is compiled does not hang on what came before,
and a resumed run computes the same as one that was not interrupted. Rounding differs from the uncompiled model's.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from .protocols import Batch


def compile_model(model: nn.Module, batch: Batch, amp_dtype: torch.dtype | None = None) -> str | None:
    """Compile a model in place; or leave it as it is, and say why.

    It is tried on a copy first: forward and backward on a batch, then forward alone in evaluation mode. There may be no
    C++ compiler, or a student's part may do what cannot be compiled. The random state stays as it was.
    """
    trial = copy.deepcopy(model)
    ids, targets = batch
    try:
        with torch.random.fork_rng():
            trial.compile(dynamic=False)
            with torch.autocast(ids.device.type, dtype=amp_dtype, enabled=amp_dtype is not None):
                logits = trial.train()(ids)
            logits.float().flatten(0, -2).gather(1, targets.reshape(-1, 1)).sum().backward()
            with torch.no_grad():
                trial.eval()(ids)
    except Exception as error:  # what a compiler may raise has no common class
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}" if str(error) else type(error).__name__
    model.compile(dynamic=False)
    return None
