"""How long the gradient of a step was, whoever wrote the training loop.

    with GradientNorm(model.parameters()) as norm:
        loss.backward()
        norm.take()                                  # as clip_grad_norm would say, before it clips

torch tells after each `backward` that a parameter's gradient has grown (`register_post_accumulate_grad_hook`). The norm
of that parameter's gradient is noted then, and a later `backward` of the same step overwrites it, so that what stays is
the sum over all batches of the step. Clipping and the update come later and change nothing here. A loop that divides
its gradients after the last `backward` is measured before it does.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

import torch
from torch import Tensor


class GradientNorm:
    """The norm of all gradients together, in float32. On leaving the block the hooks are gone."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self._norms: dict[int, Tensor] = {}

    def __enter__(self) -> GradientNorm:
        self._hooks = [
            each.register_post_accumulate_grad_hook(self._note)  # type: ignore[no-untyped-call]
            for each in self._parameters
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def _note(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self._norms[id(parameter)] = torch.linalg.vector_norm(parameter.grad, dtype=torch.float32)

    def take(self) -> float:
        """The norm since it was last taken; 0 where nothing had a gradient."""
        norms, self._norms = list(self._norms.values()), {}
        return torch.linalg.vector_norm(torch.stack(norms)).item() if norms else 0.0
