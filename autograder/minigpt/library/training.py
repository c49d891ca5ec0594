"""Library part for assignment 06: loss, optimizer, schedule, clipping, the loop and checkpoints, from torch's own.

One process and one device. `loss`, `clip` and `step_function`, which the assignment's own functions do not have, are
where a student's loss or clipping is plugged into this loop.

    >>> round(cross_entropy(torch.zeros(2, 4), torch.tensor([1, 3])).item(), 4)      # log 4
    1.3863
"""

from __future__ import annotations

import copy
import io
import itertools
import math
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.random import fork_rng

from .. import protocols
from .common import at_least, evaluating, wide

__all__ = [
    "AdamW",
    "clip_grad_norm",
    "cosine_schedule",
    "cross_entropy",
    "estimate_loss",
    "load_checkpoint",
    "save_checkpoint",
    "train",
    "train_step",
]

Batch = tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]


def cross_entropy(
    logits: Float[Tensor, "... vocab"], targets: Int[Tensor, "..."], ignore_index: int = -100
) -> Float[Tensor, ""]:
    """torch's own over any leading axes, in at least float32."""
    flat = logits.reshape(-1, logits.shape[-1]).to(wide(logits.dtype))
    return F.cross_entropy(flat, targets.reshape(-1), ignore_index=ignore_index)


def cosine_schedule(step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int) -> float:
    """Up in a straight line, down along half a cosine, then flat (Loshchilov and Hutter 2017, equation 5).

    >>> [cosine_schedule(s, max_lr=1.0, min_lr=0.0, warmup_steps=2, total_steps=4) for s in (0, 1, 2, 4)]
    [0.0, 0.5, 1.0, 0.0]
    """
    at_least(0, step=step, warmup_steps=warmup_steps, max_lr=max_lr, min_lr=min_lr)  # type: ignore[arg-type]
    at_least(1, total_steps=total_steps)
    if warmup_steps > total_steps:
        raise ValueError(f"warmup_steps must not exceed total_steps, got {warmup_steps} and {total_steps}")
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    if step >= total_steps:
        return min_lr
    quarter_turns = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * math.cos(math.pi / 2 * quarter_turns) ** 2


def clip_grad_norm(parameters: Iterable[Tensor], max_norm: float) -> Float[Tensor, ""]:
    """Scale gradients down to `max_norm` in place; returns their norm from before as float32."""
    if max_norm < 0:
        raise ValueError(f"max_norm must not be negative, got {max_norm}")
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    gradients = [p.grad.to(wide(p.grad.dtype)) for p in listed if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients, error_if_nonfinite=True)
    nn.utils.clip_grads_with_norm_(listed, max_norm, norm)
    return norm.float()


def train_step(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Sequence[Batch],
    *,
    max_norm: float | None = None,
    amp_dtype: torch.dtype | None = None,
    loss: protocols.Loss = cross_entropy,
    clip: protocols.ClipGradNorm = clip_grad_norm,
) -> float:
    """One update, the same as from all batches in one; returns the mean loss over their targets."""
    if not batches:
        raise ValueError("batches must hold at least one (x, y)")
    if amp_dtype not in (None, torch.bfloat16):
        raise ValueError(f"amp_dtype must be None or torch.bfloat16, got {amp_dtype}")
    model.train()
    optimizer.zero_grad()
    counts = [_n_targets(y) for _, y in batches]
    share = 1 / max(sum(counts), 1)
    mean = 0.0
    for (x, y), count in zip(batches, counts, strict=True):
        if count == 0:  # the mean over no targets is not a number
            continue
        with torch.autocast(x.device.type, dtype=amp_dtype, enabled=amp_dtype is not None):
            weighted = loss(model(x), y) * (count * share)
        weighted.backward()  # type: ignore[no-untyped-call]
        mean += weighted.item()
    if max_norm is not None:
        clip(itertools.chain.from_iterable(group["params"] for group in optimizer.param_groups), max_norm)
    optimizer.step()
    return mean


def estimate_loss(model: nn.Module, batches: Iterable[Batch], *, loss: protocols.Loss = cross_entropy) -> float:
    """The mean loss over all targets, in evaluation mode. Modes and random state are as before."""
    total, seen, any_batch = 0.0, 0, False
    with fork_rng(), evaluating(model):
        for x, y in batches:
            any_batch = True
            if count := _n_targets(y):
                total += loss(model(x), y).item() * count
                seen += count
    if not any_batch:
        raise ValueError("batches must hold at least one (x, y)")
    return total / seen if seen else math.nan


def train(
    model: nn.Module,
    optimizer: Optimizer,
    next_batch: Callable[[], Batch],
    *,
    steps: int,
    schedule: Callable[[int], float],
    accumulate: int = 1,
    max_norm: float | None = 1.0,
    amp_dtype: torch.dtype | None = None,
    start: int = 0,
    on_step: Callable[[int, float, float], object] | None = None,
    step_function: protocols.TrainStep = train_step,
) -> list[float]:
    """`steps` updates, numbered from `start`; returns their losses."""
    at_least(0, steps=steps, start=start)
    at_least(1, accumulate=accumulate)
    losses: list[float] = []
    for step in range(start, start + steps):
        lr = schedule(step)
        for group in optimizer.param_groups:
            group.update(lr=lr)
        batches = [next_batch() for _ in range(accumulate)]
        losses += [step_function(model, optimizer, batches, max_norm=max_norm, amp_dtype=amp_dtype)]
        if on_step is not None:
            on_step(step, losses[-1], lr)
    return losses


def save_checkpoint(path: str | Path, model: nn.Module, optimizer: Optimizer | None, step: int) -> None:
    """Model, optimizer, steps done and random state in one file, which is there whole or not at all."""
    at_least(0, step=step)
    content = {
        "model": model.state_dict(),
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "step": step,
        "random_state": torch.get_rng_state(),
        "cuda_random_state": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(content, file)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_checkpoint(path: str | Path, model: nn.Module, optimizer: Optimizer | None = None) -> int:
    """Load what `save_checkpoint` wrote, and return the steps done. On an error nothing has changed."""
    content = _read(path)
    if optimizer is not None and content["optimizer"] is None:
        raise ValueError(f"{path}: this checkpoint has no optimizer")
    random_state = torch.get_rng_state()
    before = copy.deepcopy((model.state_dict(), None if optimizer is None else optimizer.state_dict()))
    try:
        _restore(content, model, optimizer)
    except Exception as error:
        model.load_state_dict(before[0])
        if optimizer is not None and before[1] is not None:
            optimizer.load_state_dict(before[1])
        torch.set_rng_state(random_state)
        raise ValueError(f"{path}: this checkpoint does not fit the model and optimizer: {error}") from error
    step: int = content["step"]
    return step


def _restore(content: dict[str, Any], model: nn.Module, optimizer: Optimizer | None) -> None:
    model.load_state_dict(content["model"])
    if optimizer is not None:
        optimizer.load_state_dict(content["optimizer"])
        for parameter, state in optimizer.state.items():
            for name in ("exp_avg", "exp_avg_sq"):
                if name in state and state[name].shape != parameter.shape:
                    raise ValueError(f"{name} has shape {state[name].shape}, its parameter {parameter.shape}")
    torch.set_rng_state(content["random_state"])
    if torch.cuda.is_available() and len(content["cuda_random_state"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(content["cuda_random_state"])


def _read(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint file, checked as far as it can be without a model."""
    data = Path(path).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            damaged = archive.testzip()  # torch.load does not compare the checksums
        if damaged:
            raise ValueError(f"its entry {damaged} is damaged")
        content = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:
        raise ValueError(f"{path}: not a checkpoint, or damaged: {error}") from error
    keys = {"model", "optimizer", "step", "random_state", "cuda_random_state"}
    if not isinstance(content, dict) or set(content) != keys:
        raise ValueError(f"{path}: not a checkpoint of this project")
    if type(content["step"]) is not int or content["step"] < 0:
        raise ValueError(f"{path}: this checkpoint says that {content['step']!r} steps were done")
    return content


def _n_targets(targets: Int[Tensor, "..."]) -> int:
    return int(targets.ne(-100).count_nonzero())
