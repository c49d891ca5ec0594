"""The baseline: a plain GPT in PyTorch, as one would write it, with fused attention and torch's own modules.

Sizes, schedule and optimizer are nanoGPT's. `CPU` is what its README gives for a processor, on top of
config/train_shakespeare_char.py; `GPU` is that file itself. No biases, weight decay on matrices only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_LR, MIN_LR, WARMUP = 1e-3, 1e-4, 100


@dataclass(frozen=True)
class Sizes:
    width: int = 128
    layers: int = 4
    heads: int = 4
    block: int = 64
    batch: int = 12
    steps: int = 2000
    dropout: float = 0.0


CPU = Sizes()
GPU = Sizes(width=384, layers=6, heads=6, block=256, batch=64, steps=5000, dropout=0.2)


class PlainBlock(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.sizes = sizes
        self.norm1, self.norm2 = (nn.LayerNorm(width, bias=False) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x: Tensor) -> Tensor:  # (batch, time, width)
        batch, time, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (part.view(batch, time, self.sizes.heads, -1).transpose(1, 2) for part in parts)
        rate = self.sizes.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=rate)
        x = x + self.dropout(self.out(attended.transpose(1, 2).reshape(batch, time, width)))
        return x + self.dropout(self.down(F.gelu(self.up(self.norm2(x)))))


class PlainGPT(nn.Module):
    def __init__(self, vocab_size: int, sizes: Sizes = CPU) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, sizes.width), nn.Embedding(sizes.block, sizes.width)
        self.dropout = nn.Dropout(sizes.dropout)
        self.blocks = nn.ModuleList(PlainBlock(sizes) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(sizes.width, bias=False)
        self.head = nn.Linear(sizes.width, vocab_size, bias=False)
        self.head.weight = self.tokens.weight
        for name, parameter in self.named_parameters():
            ends = name.endswith(("out.weight", "down.weight"))
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * sizes.layers) if ends else 0.02)

    def forward(self, ids: Tensor) -> Tensor:  # (batch, time)
        x = self.dropout(self.tokens(ids) + self.positions.weight[: ids.shape[1]])
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def train_plain(train_ids: Tensor, vocab_size: int, sizes: Sizes = CPU, seed: int = 0) -> tuple[PlainGPT, float]:
    """The trained model, and the seconds that the steps took."""
    torch.manual_seed(seed)
    model = PlainGPT(vocab_size, sizes)
    began = time.perf_counter()
    for _ in updates(model, train_ids, sizes, seed):
        pass
    return model, time.perf_counter() - began


def updates(model: PlainGPT, train_ids: Tensor, sizes: Sizes, seed: int = 0, amp: bool = False) -> Iterator[Tensor]:
    """Makes one step after the other, and gives each one's loss. Model and ids are on one device."""
    device = train_ids.device
    decayed = [parameter for parameter in model.parameters() if parameter.dim() == 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() != 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=MAX_LR, betas=(0.9, 0.99), fused=device.type == "cuda")
    generator = torch.Generator().manual_seed(seed)
    for step in range(sizes.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, sizes.steps)
        starts = torch.randint(len(train_ids) - sizes.block, (sizes.batch, 1), generator=generator)
        ids = train_ids[(starts + torch.arange(sizes.block + 1)).to(device)]
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=amp):
            loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield loss.detach()


def learning_rate(step: int, steps: int) -> float:
    """Linear warmup, then half a cosine."""
    warmup = min(WARMUP, steps // 2)
    if step < warmup:
        return MAX_LR * (step + 1) / (warmup + 1)
    return MIN_LR + (MAX_LR - MIN_LR) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
