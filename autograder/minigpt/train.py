"""Training a MiniGPT: text in, losses and a model out.

Everything that does the work is a part. Nothing here prints, draws or writes a file, so it runs in a sandbox as well;
`run.py` adds the progress bar, the checkpoints and the loss curve.

    result = train_model(text, validation, PRESETS["tiny"], library_parts())      # about 15 seconds
    result.losses[0], result.validation[-1]

One device. The weights are float32; with `amp` the model computes in bfloat16. `shares` is for several processes that
each take their part of every batch; adding up their gradients is `processes.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from .config import GPTConfig
from .model import build_model
from .parts import Parts

if TYPE_CHECKING:
    from .protocols import Batch, Ids, Tokenizer

TokenizerKind = Literal["char", "bpe"]
Vocabulary = str | list[tuple[str, str]]
OnStep = Callable[[int, float, float], object]
OnUpdate = Callable[[int, float, float, float], object]  # step, loss, learning rate, seconds
OnValidation = Callable[[int, float], object]

BPE_CHARACTERS = 1_000_000  # more text makes hardly any difference to which pairs are frequent


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    - `steps`, `batch_size`, `accumulate`: updates, windows per batch, batches per update.
    - `max_lr`, `min_lr`, `warmup_steps`: the learning rate's schedule; it ends with the last step.
    - `weight_decay` (of matrices alone), `betas`, `eps`: for the optimizer. `max_norm`: for clipping, 0 for none.
    - `amp`: whether the model computes in bfloat16 while it trains (automatic mixed precision).
    - `eval_every`, `eval_windows`: the validation loss is taken before the first step, every so many steps and after
      the last, over that many windows spread evenly over the validation text.
    - `tokenizer`: `char`, or `bpe` for byte pairs, of which `vocab_size` says how many tokens they make at most.
    - `val_fraction`: how much of the text is for validation, where no validation text is given.
    - `seed`: decides weights, batches and dropout.
    """

    steps: int = 1000
    batch_size: int = 16
    accumulate: int = 1
    max_lr: float = 1e-3
    min_lr: float = 1e-4
    warmup_steps: int = 50
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    max_norm: float = 1.0
    eval_every: int = 250
    eval_windows: int = 64
    tokenizer: TokenizerKind = "char"
    vocab_size: int = 512
    val_fraction: float = 0.1
    seed: int = 0
    amp: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))  # JSON has no tuples
        for name in ("batch_size", "accumulate", "eval_every", "eval_windows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("max_lr", "min_lr", "max_norm"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} must be a number that is not negative, got {getattr(self, name)}")
        if not 0 <= self.warmup_steps <= self.steps:
            raise ValueError(f"warmup_steps must be from 0 to steps, got {self.warmup_steps} and steps={self.steps}")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must be from 0 to 2**31 - 1, got {self.seed}")
        if self.tokenizer not in ("char", "bpe"):
            raise ValueError(f"tokenizer must be char or bpe, got {self.tokenizer!r}")

    @property
    def amp_dtype(self) -> torch.dtype | None:
        """As `parts.train` takes it."""
        return torch.bfloat16 if self.amp else None


@dataclass(frozen=True)
class Preset:
    """A model's fields, all but `vocab_size`, how to train it, and the name of the corpus that this is meant for.

    `gpu` says that it is meant for a GPU: the model is compiled, and attention is the library's, which is fused.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    training: TrainConfig = field(default_factory=TrainConfig)
    corpus: str = "stories"
    gpu: bool = False

    def config(self, vocab_size: int) -> GPTConfig:
        return GPTConfig(vocab_size=vocab_size, **self.model)


PRESETS: dict[str, Preset] = {
    "tiny": Preset(
        model={"context_length": 128, "d_model": 64, "n_layers": 2, "n_heads": 4, "positions": "rope"},
        training=TrainConfig(
            steps=1200, batch_size=8, max_lr=1e-2, min_lr=1e-4, warmup_steps=30, eval_every=200, eval_windows=32
        ),
    ),
    "small": Preset(
        model={"context_length": 256, "d_model": 96, "n_layers": 3, "n_heads": 4, "positions": "rope"},
        training=TrainConfig(
            steps=1200, batch_size=8, max_lr=6e-3, min_lr=1e-4, warmup_steps=50, eval_every=100, eval_windows=64
        ),
    ),
    "bpe": Preset(
        model={"context_length": 64, "d_model": 64, "n_layers": 2, "n_heads": 4, "positions": "rope"},
        training=TrainConfig(
            steps=1200, batch_size=16, max_lr=1e-2, min_lr=1e-4, warmup_steps=30, eval_every=200, tokenizer="bpe"
        ),
    ),
    "python": Preset(
        model={"context_length": 128, "d_model": 96, "n_layers": 3, "n_heads": 4, "positions": "rope"},
        training=TrainConfig(
            steps=1500,
            batch_size=12,
            max_lr=6e-3,
            min_lr=1e-4,
            warmup_steps=50,
            eval_every=250,
            tokenizer="bpe",
            vocab_size=1024,
        ),
        corpus="python",
    ),
    # nanoGPT's configuration for a processor, from its README, with config/train_shakespeare_char.py behind it
    "shakespeare-char": Preset(
        model={"context_length": 64, "d_model": 128, "n_layers": 4, "n_heads": 4, "bias": False},
        training=TrainConfig(steps=2000, batch_size=12, warmup_steps=100, eval_every=250),
        corpus="shakespeare",
    ),
    # the same size on byte pairs, with RoPE
    "shakespeare-bpe": Preset(
        model={"context_length": 64, "d_model": 128, "n_layers": 4, "n_heads": 4, "bias": False, "positions": "rope"},
        training=TrainConfig(
            steps=2000,
            batch_size=12,
            max_lr=2e-3,
            warmup_steps=100,
            eval_every=250,
            tokenizer="bpe",
            vocab_size=1024,
        ),
        corpus="shakespeare",
    ),
    # nanoGPT's config/train_shakespeare_char.py, for a GPU
    "gpu": Preset(
        model={
            "context_length": 256,
            "d_model": 384,
            "n_layers": 6,
            "n_heads": 6,
            "dropout": 0.2,
            "bias": False,
        },
        training=TrainConfig(steps=5000, batch_size=64, warmup_steps=100, eval_every=250, eval_windows=256, amp=True),
        corpus="shakespeare",
        gpu=True,
    ),
}


@dataclass(frozen=True)
class TrainResult:
    """What training gives.

    `losses` has one training loss per step, `validation` pairs of steps done and loss, both in nats per token.
    """

    losses: list[float]
    validation: list[tuple[int, float]]
    seconds: float
    tokens_per_second: float
    model: nn.Module
    tokenizer: Tokenizer
    config: GPTConfig


@dataclass(frozen=True)
class Session:
    """All that a run works on. `train_ids` and `validation_ids` are one-dimensional.

    `vocabulary` is what `make_tokenizer` makes the tokenizer from.
    """

    tokenizer: Tokenizer
    vocabulary: Vocabulary
    train_ids: Ids
    validation_ids: Ids
    config: GPTConfig
    model: nn.Module
    optimizer: torch.optim.Optimizer


def train_model(
    text_train: str,
    text_validation: str | None,
    preset: Preset,
    parts: Parts,
    *,
    device: str = "cpu",
    on_step: OnStep | None = None,
) -> TrainResult:
    """Train a fresh model on a text. Without a validation text, the tail of the text is kept for it.

    `on_step(step, loss, lr)` is called after each update; an exception from it ends the training and comes through.
    """
    session = start_session(text_train, text_validation, preset, parts, device=device)
    on_update = None if on_step is None else lambda step, loss, lr, seconds: on_step(step, loss, lr)
    return run_steps(session, preset.training, parts, on_update=on_update)


def start_session(
    text_train: str, text_validation: str | None, preset: Preset, parts: Parts, *, device: str = "cpu"
) -> Session:
    """Tokenizer, ids, model and optimizer for a run, from the preset's seed."""
    training = preset.training
    text_train = parts.normalize_text(text_train)
    text_validation = None if text_validation is None else parts.normalize_text(text_validation)
    vocabulary = learn_vocabulary(training, text_train, text_validation or "", parts)
    tokenizer = make_tokenizer(vocabulary, parts)
    config = preset.config(tokenizer.vocab_size)
    train_ids: Ids = torch.tensor(tokenizer.encode(text_train), dtype=torch.int64)
    if text_validation is None:
        train_ids, validation_ids = parts.train_val_split(train_ids, training.val_fraction)
    else:
        validation_ids = torch.tensor(tokenizer.encode(text_validation), dtype=torch.int64)
    for name, ids in (("training", train_ids), ("validation", validation_ids)):
        if len(ids) < config.context_length + 1:
            raise ValueError(
                f"the {name} text has {len(ids)} tokens, and a context_length of {config.context_length} "
                f"needs at least {config.context_length + 1}: use a longer text or a shorter context"
            )
    torch.manual_seed(training.seed)
    model = build_model(config, parts).to(device)
    optimizer = parts.AdamW(
        decayed_apart(model, training.weight_decay),
        lr=training.max_lr,
        betas=training.betas,
        eps=training.eps,
        weight_decay=training.weight_decay,
    )
    return Session(tokenizer, vocabulary, train_ids, validation_ids, config, model, optimizer)


def decayed_apart(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters in two groups for an optimizer: matrices decay, gains and biases do not (as in nanoGPT)."""
    parameters = list(model.parameters())
    matrices = [each for each in parameters if each.ndim >= 2]
    others = [each for each in parameters if each.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def learn_vocabulary(training: TrainConfig, text_train: str, text_validation: str, parts: Parts) -> Vocabulary:
    """What a tokenizer has to know, as plain values: all characters in order, or the byte pairs in Latin-1.

    Byte pairs are learned from the beginning of the training text alone; characters that only validation has would
    have no id, so they come from both texts.
    """
    if training.tokenizer == "char":
        return "".join(sorted(set(text_train) | set(text_validation)))
    _, merges = parts.train_bpe(text_train[:BPE_CHARACTERS], training.vocab_size)
    return [(left.decode("latin-1"), right.decode("latin-1")) for left, right in merges]


def make_tokenizer(vocabulary: Vocabulary, parts: Parts) -> Tokenizer:
    """The tokenizer that knows what `learn_vocabulary` found out."""
    if isinstance(vocabulary, str):
        return parts.CharTokenizer.from_text(vocabulary)
    merges = [(left.encode("latin-1"), right.encode("latin-1")) for left, right in vocabulary]
    vocab = {byte: bytes([byte]) for byte in range(256)}
    vocab |= {256 + rank: left + right for rank, (left, right) in enumerate(merges)}
    return parts.BPETokenizer(vocab, merges)


def run_steps(
    session: Session,
    training: TrainConfig,
    parts: Parts,
    *,
    start: int = 0,
    on_update: OnUpdate | None = None,
    on_validation: OnValidation | None = None,
    shares: tuple[int, int] = (0, 1),
) -> TrainResult:
    """The steps from `start` to the end. A batch depends on the seed and its number alone, so a run can go on.

    `on_update(step, loss, lr, seconds)` is called after each update, and after the validation loss where one is taken;
    the seconds are the step's own. `shares` says which part of every batch is trained on here, and how many there are.
    """
    batches = validation_batches(session, training, parts)
    validation: list[tuple[int, float]] = []
    step_began = 0.0

    def validate(steps_done: int) -> None:
        validation.append((steps_done, parts.estimate_loss(session.model, batches)))
        if on_validation is not None:
            on_validation(*validation[-1])

    def after_step(step: int, loss: float, lr: float) -> None:
        nonlocal step_began
        seconds = time.perf_counter() - step_began
        if (step + 1) % training.eval_every == 0 or step + 1 == training.steps:
            validate(step + 1)
        if on_update is not None:
            on_update(step, loss, lr, seconds)
        step_began = time.perf_counter()

    if start == 0:
        validate(0)
    began = step_began = time.perf_counter()
    losses = parts.train(
        session.model,
        session.optimizer,
        batch_source(session, training, parts, start, shares),
        steps=training.steps - start,
        schedule=partial(
            parts.cosine_schedule,
            max_lr=training.max_lr,
            min_lr=training.min_lr,
            warmup_steps=training.warmup_steps,
            total_steps=max(training.steps, 1),
        ),
        accumulate=training.accumulate,
        max_norm=training.max_norm or None,
        amp_dtype=training.amp_dtype,
        start=start,
        on_step=after_step,
    )
    seconds = time.perf_counter() - began
    tokens = len(losses) * training.accumulate * training.batch_size * session.config.context_length
    return TrainResult(losses, validation, seconds, tokens / seconds, session.model, session.tokenizer, session.config)


def batch_source(
    session: Session, training: TrainConfig, parts: Parts, start: int, shares: tuple[int, int] = (0, 1)
) -> Callable[[], Batch]:
    """`next_batch` for `parts.train`, beginning with step `start`: this share of every batch, out of so many."""
    share, n_shares = shares
    device = str(next(session.model.parameters()).device)
    number = start * training.accumulate

    def next_batch() -> Batch:
        nonlocal number
        generator = torch.Generator().manual_seed((training.seed << 32) + number)
        number += 1
        x, y = parts.get_batch(
            session.train_ids,
            training.batch_size,
            session.config.context_length,
            generator=generator,
            device=device,
        )
        return x[share::n_shares], y[share::n_shares]

    return next_batch


def validation_batches(session: Session, training: TrainConfig, parts: Parts) -> list[Batch]:
    """At most `eval_windows` windows, spread evenly over the validation text, in batches."""
    block = session.config.context_length
    device = next(session.model.parameters()).device
    stride = max(block, (len(session.validation_ids) - 1) // training.eval_windows)
    x, y = parts.sliding_windows(session.validation_ids, block, stride)
    x, y = x[: training.eval_windows].to(device), y[: training.eval_windows].to(device)
    return list(zip(*(torch.split(part, training.batch_size) for part in (x, y)), strict=True))
