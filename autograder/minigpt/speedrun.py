"""The capstone: nanoGPT's loss on tinyshakespeare, in a fraction of its time. Beat it.

    result = run_speedrun(train_ids, validation_ids, vocab_size=65)      # SpeedrunResult(loss=..., seconds=..., ...)

It starts from the same size as the preset `shakespeare-char` (4 layers, 4 heads, 128 wide, windows of 64, batches of
12), and changes what is known to make small models learn faster:

- norms without weights, and a norm of queries and keys as well (Henry et al. 2020; Dehghani et al. 2023);
- RoPE (Su et al. 2021) in place of learned positions;
- a head of its own, and zeros as first weights wherever a sublayer ends: the model begins as a mere lookup;
- Muon (Jordan et al. 2024) for the matrices inside the blocks, Adam with a larger step for the rest;
- a learning rate that stays for a while and then falls in a straight line (Zhai et al. 2022, section 3.5).

Squared ReLU (So et al. 2021) in place of GELU is here to be tried, and not part of the recipe: it was slower and worse.

Everything is in this one file, to be read and changed. It does not use the course's slots: a student who wants to run
with parts of their own copies it. One process, a processor, float32.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

OnStep = Callable[[int, float], object]


@dataclass(frozen=True)
class Recipe:
    """The sizes, and the ingredients: each can be left out, to see what it buys."""

    steps: int = 350
    batch_size: int = 12
    context_length: int = 64
    d_model: int = 128
    n_layers: int = 4
    n_heads: int = 4
    muon_lr: float = 0.03
    adam_lr: float = 4e-3
    momentum: float = 0.95
    decay: float = 0.8  # the share of the steps in which the learning rate falls
    muon: bool = True
    rope: bool = True
    qk_norm: bool = True
    zero_init: bool = True
    squared_relu: bool = False
    seed: int = 0

    def without(self, ingredient: str) -> Recipe:
        """The same recipe, one ingredient less."""
        return replace(self, **{ingredient: False})


INGREDIENTS = ("muon", "rope", "qk_norm", "zero_init")


@dataclass(frozen=True)
class SpeedrunResult:
    """`loss`: nats per character over the whole validation text. `seconds`: of training, evaluation not included."""

    loss: float
    seconds: float
    steps: int
    parameters: int


# --- the model -------------------------------------------------------------------------------------------------------


def norm(x: Float[Tensor, "... features"]) -> Float[Tensor, "... features"]:
    """To mean 0 and variance 1, with nothing to learn in it. torch has it as one operation; its RMSNorm is several."""
    return F.layer_norm(x, (x.shape[-1],))


def rotate(
    x: Float[Tensor, "batch heads time head_dim"],
    cosines: Float[Tensor, "time half"],
    sines: Float[Tensor, "time half"],
) -> Float[Tensor, "batch heads time head_dim"]:
    """RoPE with pairs (i, i + half) instead of (2i, 2i + 1): the same idea, and two operations fewer."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cosines - right * sines, right * cosines + left * sines), dim=-1)


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and around a residual."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width = recipe.d_model
        self.recipe = recipe
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        if recipe.zero_init:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.down.weight)

    def forward(
        self, x: Float[Tensor, "batch time d_model"], cosines: Tensor, sines: Tensor
    ) -> Float[Tensor, "batch time d_model"]:
        batch, time, width = x.shape
        split = self.qkv(norm(x)).view(batch, time, 3, self.recipe.n_heads, -1)
        q, k, v = (part.transpose(1, 2) for part in split.unbind(2))  # (batch, heads, time, head_dim)
        if self.recipe.qk_norm:
            q, k = norm(q), norm(k)
        if self.recipe.rope:
            q, k = rotate(q, cosines, sines), rotate(k, cosines, sines)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, time, width))
        hidden = self.up(norm(x))
        hidden = F.relu(hidden).square() if self.recipe.squared_relu else F.gelu(hidden)
        result: Tensor = x + self.down(hidden)
        return result


class SpeedrunGPT(nn.Module):
    """Embedding, blocks, norm, head. `cosines` and `sines`: RoPE's, made once."""

    cosines: Float[Tensor, "time half"]
    sines: Float[Tensor, "time half"]

    def __init__(self, vocab_size: int, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.tokens = nn.Embedding(vocab_size, recipe.d_model)
        self.positions = None if recipe.rope else nn.Embedding(recipe.context_length, recipe.d_model)
        self.blocks = nn.ModuleList(Block(recipe) for _ in range(recipe.n_layers))
        self.head = nn.Linear(recipe.d_model, vocab_size, bias=False)
        nn.init.zeros_(self.head.weight)
        half = recipe.d_model // recipe.n_heads // 2
        angles = torch.outer(torch.arange(recipe.context_length), 10000.0 ** (-torch.arange(half) / half))
        self.register_buffer("cosines", angles.cos())  # (time, half)
        self.register_buffer("sines", angles.sin())

    def forward(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocab"]:
        time = ids.shape[1]
        x = self.tokens(ids)
        if self.positions is not None:
            x = x + self.positions.weight[:time]
        x = norm(x)
        for block in self.blocks:
            x = block(x, self.cosines[:time], self.sines[:time])
        logits: Tensor = self.head(norm(x))
        return logits


# --- Muon ------------------------------------------------------------------------------------------------------------


def orthogonalize(matrices: Float[Tensor, "... rows columns"], steps: int = 3) -> Float[Tensor, "... rows columns"]:
    """Brings all singular values near 1, and keeps the singular vectors, by Newton-Schulz iterations (Jordan 2024).

    The coefficients are Jordan's: they are chosen to be quick, and end anywhere between 0.7 and 1.2.
    """
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    for _ in range(steps):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    result: Tensor = x.mT if tall else x
    return result


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized: every direction of a matrix's step gets the same length. For matrices alone."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, momentum: float) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                by_shape.setdefault(parameter.shape, []).append(parameter)
            for shape, alike in by_shape.items():  # one batch of products in place of many small ones
                gradients = torch.stack([parameter.grad for parameter in alike if parameter.grad is not None])
                state = self.state[alike[0]]
                mean = state.setdefault("momentum", torch.zeros_like(gradients))
                mean.lerp_(gradients, 1 - group["momentum"])
                ahead = gradients.lerp_(mean, group["momentum"])  # Nesterov's: what the mean will be, nearly
                length = -group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for parameter, step in zip(alike, orthogonalize(ahead), strict=True):
                    parameter.add_(step, alpha=length)


# --- the run ---------------------------------------------------------------------------------------------------------


def run_speedrun(
    train_ids: Int[Tensor, " tokens"],
    validation_ids: Int[Tensor, " tokens"],
    vocab_size: int,
    recipe: Recipe | None = None,
    on_step: OnStep | None = None,
) -> SpeedrunResult:
    """Trains by the recipe, and measures the loss over the whole validation text."""
    recipe = recipe or Recipe()
    torch.manual_seed(recipe.seed)
    model = SpeedrunGPT(vocab_size, recipe)
    began = time.perf_counter()
    for step, loss in enumerate(updates(model, train_ids, recipe)):
        if on_step is not None:
            on_step(step, loss.item())
    seconds = time.perf_counter() - began
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return SpeedrunResult(whole_loss(model, validation_ids, recipe.context_length), seconds, recipe.steps, parameters)


def updates(model: SpeedrunGPT, train_ids: Int[Tensor, " tokens"], recipe: Recipe) -> Iterator[Tensor]:
    """Makes one step after the other, and gives each one's loss."""
    optimizers = make_optimizers(model, recipe)
    generator = torch.Generator().manual_seed(recipe.seed)
    for step in range(recipe.steps):
        for optimizer, lr in zip(optimizers, (recipe.adam_lr, recipe.muon_lr), strict=False):
            optimizer.param_groups[0]["lr"] = lr * share_of_lr(step, recipe)
        ids = windows(train_ids, recipe, generator)  # (batch, time + 1)
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
        yield loss.detach()


def make_optimizers(model: SpeedrunGPT, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Adam for embeddings and head, Muon for the matrices in between; Adam for all without Muon."""
    matrices = list(model.blocks.parameters())
    inside = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in inside]
    adam = torch.optim.Adam(others if recipe.muon else others + matrices, lr=recipe.adam_lr, betas=(0.9, 0.95))
    return [adam, Muon(matrices, recipe.muon_lr, recipe.momentum)] if recipe.muon else [adam]


def share_of_lr(step: int, recipe: Recipe) -> float:
    """Up in 10 steps, flat, then down in a straight line to 3 %."""
    left = (recipe.steps - step) / (recipe.decay * recipe.steps)
    return min((step + 1) / 10, 1.0, 0.03 + 0.97 * left)


def windows(ids: Tensor, recipe: Recipe, generator: torch.Generator) -> Int[Tensor, "batch time_and_one"]:
    """A batch of random places in the text, each with one token more than the model sees."""
    starts = torch.randint(len(ids) - recipe.context_length, (recipe.batch_size, 1), generator=generator)
    return ids[starts + torch.arange(recipe.context_length + 1)]


@torch.no_grad()
def whole_loss(model: nn.Module, ids: Int[Tensor, " tokens"], context_length: int, batch_size: int = 64) -> float:
    """The mean loss over a text in windows that follow each other, each without what stands before it."""
    count = (len(ids) - 1) // context_length
    if count < 1:
        raise ValueError(f"a text of {len(ids)} tokens is too short for windows of {context_length}")
    model.eval()
    x = ids[: count * context_length].view(count, context_length)
    y = ids[1 : count * context_length + 1].view(count, context_length)
    total = 0.0
    for ids_part, targets in zip(torch.split(x, batch_size), torch.split(y, batch_size), strict=True):
        total += F.cross_entropy(model(ids_part).flatten(0, 1), targets.flatten(), reduction="sum").item()
    model.train()
    mean = total / (count * context_length)
    return mean if math.isfinite(mean) else math.inf
