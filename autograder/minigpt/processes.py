"""One run on several processes, as `torchrun` starts them: each takes its share of every batch.

    torchrun --nproc-per-node 2 --no-python minigpt train

All begin with the same weights. After each `backward` a parameter's gradient is averaged over the processes
(`torch.distributed`: gloo between processors, NCCL between GPUs), before it is clipped and whoever wrote the loop, so
that all make the same step: that of the whole batch, up to rounding. The first process alone writes files.

Dropout draws the same masks in every process, for different windows. More machines than one are torchrun's business.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """How many there are, and which of them this one is, from 0."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def shares(self) -> tuple[int, int]:
        """As `run_steps` takes it."""
        return self.rank, self.size

    def mean(self, number: float) -> float:
        """The mean of what each process has."""
        if self.size == 1:
            return number
        shared = torch.tensor(number, dtype=torch.float64, device=self.device)
        dist.all_reduce(shared)
        return shared.item() / self.size

    @contextmanager
    def averaging(self, parameters: Iterable[Tensor]) -> Iterator[None]:
        """Within this block gradients are those of all processes.

        Where several batches are added up before a step, the sum so far is the same everywhere, and its mean is itself.
        """
        hooks = [
            each.register_post_accumulate_grad_hook(self._average)  # type: ignore[no-untyped-call]
            for each in parameters
            if self.size > 1 and each.requires_grad
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _average(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad.div_(self.size)


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that `torchrun` started; without it, this one alone. Each has a GPU of its own for `cuda`."""
    if not dist.is_torchelastic_launched():
        yield Processes(device=device)
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()
