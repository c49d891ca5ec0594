"""What training has to do with: parameters and gradients, optimizers, batches, schedules, checkpoint files.

    optimization = student.library.Optimization(student.AdamW, [weights], lr=0.1)
    optimization.step([gradient])
    optimization.weights()                    # the weights after the step, as plain tensors

Nothing in here trains by itself: losses, steps and files are the student's.
"""

from __future__ import annotations

import copy
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = [
    "Batches",
    "Bomb",
    "ListSchedule",
    "OpenFile",
    "Optimization",
    "Parameters",
    "StepRecorder",
    "TinyModel",
    "UnsaveableModel",
    "dtype",
    "gradient_values",
    "optimizer_state",
    "random_state",
    "save_object",
    "set_gradients",
    "sgd",
]

Batch = tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]


# --- parameters, gradients, optimizers -------------------------------------------------------------------------------


class Parameters:
    """Parameters of these values, with these gradients; None for one that has none."""

    def __init__(self, values: Sequence[Tensor], gradients: Sequence[Tensor | None] | None = None) -> None:
        self._parameters = [nn.Parameter(value.clone()) for value in values]
        self.set_gradients([None] * len(values) if gradients is None else gradients)

    def set_gradients(self, gradients: Sequence[Tensor | None]) -> None:
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else gradient.clone()

    def values(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self._parameters]

    def gradients(self) -> list[Tensor | None]:
        return [None if parameter.grad is None else parameter.grad.clone() for parameter in self._parameters]

    def __iter__(self) -> Iterator[nn.Parameter]:
        return iter(self._parameters)

    def stream(self) -> Iterator[nn.Parameter]:
        """An iterator: it can be gone through once."""
        yield from self._parameters

    def give_to(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """`function(list of the parameters, *arguments, **keywords)`."""
        return function(list(self._parameters), *arguments, **keywords)


class Optimization:
    """An optimizer with parameters of its own, moved by gradients that come from outside.

    groups: settings for groups of parameters; in each, "params" holds the numbers of the weights that belong to it.
    """

    def __init__(
        self,
        optimizer_class: Callable[..., torch.optim.Optimizer],
        weights: Sequence[Tensor],
        groups: Sequence[Mapping[str, Any]] | None = None,
        **settings: Any,
    ) -> None:
        self.parameters = Parameters(weights)
        held: list[Any] = list(self.parameters)
        if groups is not None:
            held = [{**group, "params": [held[number] for number in group["params"]]} for group in groups]
        self.optimizer = optimizer_class(held, **settings)

    def step(self, gradients: Sequence[Tensor | None]) -> Any:
        """One step with these gradients; None leaves a parameter without."""
        self.parameters.set_gradients(gradients)
        return self.optimizer.step()

    def step_with_closure(self, gradients: Sequence[Tensor]) -> tuple[Any, list[bool]]:
        """One step whose closure sets these gradients and returns 0.25.

        Returns what `step` returned and, for each call of the closure, whether gradients were enabled.
        """
        calls: list[bool] = []

        def closure() -> float:
            calls.append(torch.is_grad_enabled())
            self.parameters.set_gradients(gradients)
            return 0.25

        returned: Any = self.optimizer.step(closure)
        return returned, calls

    def weights(self) -> list[Tensor]:
        return self.parameters.values()

    def set_lr(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def state(self) -> list[dict[str, Any]]:
        """What the optimizer remembers of each weight, by name; nothing of one that has not moved yet."""
        return [copy.deepcopy(dict(self.optimizer.state.get(parameter, {}))) for parameter in self.parameters]

    def state_dict(self) -> dict[str, Any]:
        return copy.deepcopy(self.optimizer.state_dict())

    def load_state_dict(self, content: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(copy.deepcopy(content))


def sgd(
    module: nn.Module, groups: Sequence[Sequence[str]] | None = None, *, lr: float = 1.0, more: Parameters | None = None
) -> torch.optim.SGD:
    """Plain gradient descent, which moves a weight by -lr times its gradient.

    groups: names of the module's parameters, one list for each group; without it, one group of all.
    more: parameters that are not the module's, as a last group.
    """
    named = dict(module.named_parameters())
    held: list[dict[str, Any]] = [{"params": [named[name] for name in names]} for names in groups or [list(named)]]
    if more is not None:
        held.append({"params": list(more)})
    return torch.optim.SGD(held, lr=lr)


def set_gradients(module: nn.Module, gradients: Mapping[str, Tensor]) -> None:
    """Gives parameters gradients that were left behind by something else."""
    for name, gradient in gradients.items():
        module.get_parameter(name).grad = gradient.clone()


def gradient_values(module: nn.Module) -> dict[str, Tensor | None]:
    return {name: None if p.grad is None else p.grad.clone() for name, p in module.named_parameters()}


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The `state_dict`, as a copy that goes on being what it is now."""
    return copy.deepcopy(optimizer.state_dict())


# --- a model, and what the loop is handed ----------------------------------------------------------------------------


class TinyModel(nn.Module):
    """An embedding, dropout and a linear layer, which write down how they are called.

    `calls` has for each call: "training", "grad" (whether gradients were enabled) and "dtype", that of the logits.
    """

    def __init__(self, vocab_size: int, d_model: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.dropout = nn.Dropout(p=dropout)
        self.head = nn.Linear(d_model, vocab_size)
        self.calls: list[dict[str, Any]] = []

    def forward(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocab"]:
        logits: Tensor = self.head(self.dropout(self.embedding(ids)))
        name = str(logits.dtype).removeprefix("torch.")
        self.calls.append({"training": self.training, "grad": torch.is_grad_enabled(), "dtype": name})
        return logits


class Batches:
    """Batches that count how many were asked for: `asked`. A `next_batch` that goes round and round, and an iterable.

    draws: whether each costs a random number from torch's global state, as batches that are drawn do.
    """

    def __init__(self, batches: Sequence[Batch], draws: bool = False) -> None:
        self.asked = 0
        self._batches = list(batches)
        self._draws = draws

    def __call__(self) -> Batch:
        batch = self._batches[self.asked % len(self._batches)]
        self.asked += 1
        if self._draws:
            torch.rand(())
        return batch

    def __iter__(self) -> Iterator[Batch]:
        return (self() for _ in self._batches)

    def stream(self) -> Iterator[Batch]:
        """An iterator: it can be gone through once."""
        return iter(self)


class ListSchedule:
    """A schedule that reads the learning rate of a step off a list, and notes the `steps` that it was asked for."""

    def __init__(self, learning_rates: Sequence[float]) -> None:
        self.steps: list[int] = []
        self._learning_rates = list(learning_rates)

    def __call__(self, step: int) -> float:
        self.steps.append(step)
        return self._learning_rates[step]


class StepRecorder:
    """An `on_step` that notes its arguments in `calls`, and the module's parameters at that time in `weights`."""

    def __init__(self, module: nn.Module) -> None:
        self.calls: list[tuple[int, float, float]] = []
        self.weights: list[dict[str, Tensor]] = []
        self._module = module

    def __call__(self, step: int, loss: float, lr: float) -> None:
        self.calls.append((step, loss, lr))
        self.weights.append({name: value.detach().clone() for name, value in self._module.named_parameters()})


def dtype(name: str) -> torch.dtype:
    """A dtype by its name, such as "bfloat16": dtypes themselves do not cross the boundary."""
    found = getattr(torch, name)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"{name!r} is no dtype")
    return found


def random_state() -> Tensor:
    """torch's global random state."""
    return torch.get_rng_state()


# --- checkpoint files ------------------------------------------------------------------------------------------------


class OpenFile:
    """Someone who has opened a file and goes on reading it, whatever happens to its name."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def read(self) -> bytes:
        """All that is in the file that was opened."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return os.read(self._descriptor, os.fstat(self._descriptor).st_size)


class _FullDisk(Tensor):
    """A tensor that fails while it is written."""

    def __reduce_ex__(self, protocol: object) -> Any:
        raise OSError(28, "No space left on device")


class UnsaveableModel(TinyModel):
    """A `TinyModel` whose state looks like any other, and fails while it is written: its last tensor does."""

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__(vocab_size, d_model)
        self.register_buffer("last", torch.zeros(3).as_subclass(_FullDisk))


class Bomb:
    """A file as `torch.save` writes it that runs code when it is unpickled without care: it makes a folder.

    content: what else is in the file.
    """

    def __init__(self, path: str, content: Mapping[str, Any]) -> None:
        self._crater = f"{path}.exploded"
        torch.save({**content, "step": _Trigger(self._crater)}, path)

    def exploded(self) -> bool:
        return os.path.isdir(self._crater)


class _Trigger:
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self._folder,)


def save_object(value: object, path: str) -> None:
    """Writes anything as `torch.save` does."""
    torch.save(value, path)
