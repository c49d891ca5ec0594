"""`student.library`: helpers that run where the student's code runs.

A test never holds a student's object, only plain values and handles. What needs the object itself happens here, in the
same process as the student's code:

    grads = student.library.gradients(student.softmax, [x], dim=-1)     # d(sum of outputs) / d(x)
    rope = student.library.rope(theta=10000.0)                          # a callable to hand in
    model = student.library.GPT(student.library.config(vocab_size=11), student.library.parts())

Every library part is an attribute too, by its own name, and so is every probe of the package `autograder.probes`.
Nothing here may be trusted: under the grader it lives in the jail. It knows no expected value, no test and no score.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from autograder import probes
from autograder.minigpt.assemble import assemble_parts
from autograder.minigpt.config import GPTConfig
from autograder.minigpt.library import library_parts
from autograder.minigpt.parts import Parts
from autograder.minigpt.train import PRESETS, TrainResult, train_model


def _all_probes() -> dict[str, Any]:
    """What the modules of `autograder.probes` offer, by name. Now, as nothing can be imported in the jail later."""
    names = [f"{probes.__name__}.{found.name}" for found in pkgutil.iter_modules(probes.__path__)]
    modules = [importlib.import_module(name) for name in names]
    return {name: getattr(module, name) for module in modules for name in module.__all__}


PROBES = _all_probes()


def parts(**own: Any) -> Parts:
    """The library's parts, with those named replaced: `parts(CausalSelfAttention=...)`."""
    return replace(library_parts(), **own)


def config(**settings: Any) -> GPTConfig:
    """A `GPTConfig` on the student's side."""
    return GPTConfig(**settings)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def seed(number: int) -> None:
    """Sets torch's global random state, for tests of dropout."""
    torch.default_generator.manual_seed(number)


def rope(theta: float = 10000.0) -> Callable[[Tensor, Tensor], Tensor]:
    """The library's rotation as `(x, positions) -> x`."""
    return functools.partial(library_parts().apply_rope, theta=theta)


def gradients(
    function: Callable[..., Any],
    inputs: Sequence[Tensor],
    *,
    upstream: Tensor | None = None,
    output: int | None = None,
    **keywords: Any,
) -> list[Tensor | None]:
    """The gradient of `(function(*inputs) * upstream).sum()` for each input; None where nothing depends on it.

    upstream: weights of the outputs, of the output's shape; ones without it.
    output: which one, where the function gives a tuple.
    """
    leaves = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    result = function(*leaves, **keywords)
    if output is not None:
        result = result[output]
    total = result.sum() if upstream is None else (result * upstream).sum()
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    found = iter(torch.autograd.grad(total, wanted, allow_unused=True))
    return [next(found) if leaf.requires_grad else None for leaf in leaves]


def parameter_gradients(module: nn.Module, *inputs: Any, upstream: Tensor | None = None) -> dict[str, Tensor | None]:
    """The gradient of `(module(*inputs) * upstream).sum()` for every parameter, by name."""
    module.zero_grad(set_to_none=True)
    result = module(*inputs)
    (result.sum() if upstream is None else (result * upstream).sum()).backward()
    found = {name: None if p.grad is None else p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad(set_to_none=True)
    return found


def set_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copies values into the module's parameters by name; an unknown name or a wrong shape is an error."""
    found = dict(module.named_parameters())
    with torch.no_grad():
        for name, value in weights.items():
            if name not in found:
                raise AttributeError(f"there is no parameter {name!r}; the module has: {', '.join(found) or 'none'}")
            if found[name].shape != value.shape:
                raise ValueError(f"{name} has shape {list(found[name].shape)}, expected {list(value.shape)}")
            found[name].copy_(value)


class Trained:
    """A trained MiniGPT that stays here; what is asked of it comes out as plain values."""

    def __init__(self, result: TrainResult, own_parts: Parts) -> None:
        self.losses = [float(loss) for loss in result.losses]
        self._result = result
        self._parts = own_parts

    @torch.no_grad()
    def next_logits(self, ids: Tensor) -> Tensor:
        """Logits of the token after each row of ids: `[batch, time]` to `[batch, vocab]`."""
        self._result.model.eval()
        return torch.as_tensor(self._result.model(ids))[:, -1]

    def sample(self, prompt: str, new_tokens: int, temperature: float, seed: int) -> str:
        """The prompt, and what the model writes after it."""
        ids = torch.tensor([self._result.tokenizer.encode(prompt)])
        written = self._parts.generate(
            self._result.model,
            ids,
            new_tokens,
            context_length=self._result.config.context_length,
            temperature=temperature,
            generator=generator(seed),
        )
        return str(self._result.tokenizer.decode(written[0].tolist()))

    @torch.no_grad()
    def attention(self, text: str) -> list[Tensor]:
        """For every layer, who attends to whom: `[heads, queries, keys]`."""
        self._result.model.eval()
        ids = torch.tensor([self._result.tokenizer.encode(text)])
        _, weights = self._result.model(ids, return_weights=True)
        return [layer[0] for layer in weights]


def train_minigpt(
    own: Mapping[str, Any], train_text: str, validation_text: str, preset: str, steps: int | None
) -> Trained:
    """Trains a MiniGPT of the student's own symbols, and library parts where there is none."""
    chosen = PRESETS[preset]
    if steps is not None:
        warmup = min(chosen.training.warmup_steps, steps)
        chosen = replace(chosen, training=replace(chosen.training, steps=steps, warmup_steps=warmup))
    own_parts = assemble_parts(own)
    return Trained(train_model(train_text, validation_text, chosen, own_parts), own_parts)


def __getattr__(name: str) -> Any:
    if name in PROBES:
        return PROBES[name]
    if name in {field.name for field in fields(Parts)}:
        return getattr(library_parts(), name)
    raise AttributeError(f"student.library has no {name!r}")
