"""Writing text with a trained MiniGPT, and measuring how well it reads one.

    model, tokenizer, config = load_run("runs/first", parts)
    print(generate_text(model, tokenizer, "Once", parts, context_length=config.context_length, seed=1))

It loads runs that `run.py` wrote, with the same parts that trained them or with others that fit the same checkpoint.
A text can be had while it is written, several at once, and up to a text that ends it; see `chat.py` for a conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .config import GPTConfig
from .model import build_model
from .parts import Parts
from .recording import CHECKPOINT
from .run import config_of, read_run
from .stream import Stopped, TextStream, Watch
from .train import make_tokenizer

if TYPE_CHECKING:
    from .protocols import Tokenizer

MOST_AT_ONCE = 64  # prompts; more only take more memory


def load_run(folder: str | Path, parts: Parts, *, device: str = "cpu") -> tuple[nn.Module, Tokenizer, GPTConfig]:
    """Model, tokenizer and config of a run's folder, from its last checkpoint."""
    description = read_run(folder)
    checkpoint = Path(folder) / CHECKPOINT
    if not checkpoint.exists():
        raise FileNotFoundError(f"{folder} has no {CHECKPOINT} yet: train some steps first")
    tokenizer = make_tokenizer(description["vocabulary"], parts)
    config = config_of(description)
    if tokenizer.vocab_size != config.vocab_size:
        raise ValueError(
            f"{folder} is damaged: its vocabulary has {tokenizer.vocab_size} tokens, its model {config.vocab_size}. "
            "Train it anew, in another folder"
        )
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
    stop: str | None = None,
    on_text: Callable[[str], object] | None = None,
    **sampling: Any,
) -> str:
    """The prompt and what the model writes after it; `sampling`: temperature, top_k, top_p, min_p, penalty, stop_id.

    The text ends where the model writes `stop`, which is not part of it. `on_text` is called with each new piece as
    soon as it is certain. The tokens are the same with and without it.
    """
    device = next(model.parameters()).device
    ids = _encode(tokenizer, [prompt], device)
    stream = TextStream(tokenizer, stop, on_text)
    watch = Watch(ids.shape[1], stream)
    wanted = on_text is not None or stop
    hook = model.register_forward_pre_hook(watch, with_kwargs=True) if wanted else nullcontext()
    with hook, suppress(Stopped):
        answer = parts.generate(
            model,
            ids,
            max_new_tokens,
            context_length=context_length,
            use_cache=use_cache,
            generator=None if seed is None else torch.Generator(device).manual_seed(seed),
            **sampling,
        )
        stream.write(answer[0, ids.shape[1] + watch.n_seen :].tolist())
        stream.finish()
    return tokenizer.decode(ids[0].tolist()) + stream.text


def generate_texts(
    model: nn.Module,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    parts: Parts,
    *,
    context_length: int,
    max_new_tokens: int = 200,
    seed: int | None = None,
    use_cache: bool = True,
    stop: str | None = None,
    **sampling: Any,
) -> list[str]:
    """The same for many prompts, in their order. Those with equally many tokens are written side by side.

    At temperature 0 each text is the one that `generate_text` gives. Otherwise all texts are drawn from one seed. What
    comes after `stop` is cut off at the end: one row of a batch cannot be left out.
    """
    device = next(model.parameters()).device
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)
    options = {"context_length": context_length, "use_cache": use_cache, "generator": generator, **sampling}
    texts = list(prompts)
    for places in _batches([len(tokenizer.encode(_not_empty(prompt))) for prompt in prompts]):
        ids = _encode(tokenizer, [prompts[place] for place in places], device)  # (batch, time)
        answer = parts.generate(model, ids, max_new_tokens, **options)  # (batch, longer)
        for place, begun, row in zip(places, ids.tolist(), answer.tolist(), strict=True):
            stream = TextStream(tokenizer, stop)
            stream.write(row[len(begun) :])
            stream.finish()
            texts[place] = tokenizer.decode(begun) + stream.text
    return texts


def text_perplexity(model: nn.Module, tokenizer: Tokenizer, text: str, parts: Parts, *, context_length: int) -> float:
    """How many tokens the model hesitates between, on average, when it reads a text: 1 is never."""
    device = next(model.parameters()).device
    ids = torch.tensor(tokenizer.encode(parts.normalize_text(text)), dtype=torch.int64, device=device)
    return parts.perplexity(model, ids, context_length)


def _not_empty(prompt: str) -> str:
    if not prompt:
        raise ValueError("prompt must not be empty: the model needs a first character to go on from")
    return prompt


def _encode(tokenizer: Tokenizer, prompts: Sequence[str], device: torch.device) -> torch.Tensor:
    """The ids of prompts that have equally many, one prompt in each row."""
    return torch.tensor(
        [tokenizer.encode(_not_empty(prompt)) for prompt in prompts], dtype=torch.int64, device=device
    )  # (batch, time)


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Places of equal lengths together, at most `MOST_AT_ONCE` of them.

    >>> _batches([4, 2, 4])
    [[0, 2], [1]]
    """
    alike: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        alike.setdefault(length, []).append(place)
    return [
        places[start : start + MOST_AT_ONCE]
        for places in alike.values()
        for start in range(0, len(places), MOST_AT_ONCE)
    ]
