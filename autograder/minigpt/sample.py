"""Writing text with a trained MiniGPT, and measuring how well it reads one.

    model, tokenizer, config = load_run("runs/first", parts)
    print(generate_text(model, tokenizer, "Once", parts, context_length=config.context_length, seed=1))

It loads runs that `run.py` wrote, with the same parts that trained them or with others that fit the same checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .config import GPTConfig
from .model import build_model
from .parts import Parts
from .run import CHECKPOINT, config_of, read_run
from .train import make_tokenizer

if TYPE_CHECKING:
    from .protocols import Tokenizer


def load_run(folder: str | Path, parts: Parts, *, device: str = "cpu") -> tuple[nn.Module, Tokenizer, GPTConfig]:
    """Model, tokenizer and config of a run's folder, from its last checkpoint."""
    description = read_run(folder)
    checkpoint = Path(folder) / CHECKPOINT
    if not checkpoint.exists():
        raise FileNotFoundError(f"{folder} has no {CHECKPOINT} yet: train some steps first")
    tokenizer = make_tokenizer(description["vocabulary"], parts)
    config = config_of(description)
    if tokenizer.vocab_size != config.vocab_size:
        raise ValueError(f"{folder}: the vocabulary has {tokenizer.vocab_size} tokens, the model {config.vocab_size}")
    with torch.random.fork_rng():  # a checkpoint brings its random state, and every sample would start from that
        model = build_model(config, parts)
        parts.load_checkpoint(checkpoint, model)
    return model.to(device), tokenizer, config


def generate_text(
    model: nn.Module,
    tokenizer: Tokenizer,
    prompt: str,
    parts: Parts,
    *,
    context_length: int,
    max_new_tokens: int = 200,
    seed: int | None = None,
    use_cache: bool = True,
    **sampling: Any,
) -> str:
    """The prompt and what the model writes after it; `sampling`: temperature, top_k, top_p, min_p, penalty, stop_id."""
    if not prompt:
        raise ValueError("prompt must not be empty: the model needs a first character to go on from")
    device = next(model.parameters()).device
    ids = torch.tensor([tokenizer.encode(prompt)], dtype=torch.int64, device=device)
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)
    answer = parts.generate(
        model,
        ids,
        max_new_tokens,
        context_length=context_length,
        use_cache=use_cache,
        generator=generator,
        **sampling,
    )
    return tokenizer.decode(answer[0].tolist())


def text_perplexity(model: nn.Module, tokenizer: Tokenizer, text: str, parts: Parts, *, context_length: int) -> float:
    """How many tokens the model hesitates between, on average, when it reads a text: 1 is never."""
    device = next(model.parameters()).device
    ids = torch.tensor(tokenizer.encode(parts.normalize_text(text)), dtype=torch.int64, device=device)
    return parts.perplexity(model, ids, context_length)
