"""The sizes and options of a MiniGPT, checked when they are put together.

    >>> config = GPTConfig(vocab_size=65, d_model=64, n_heads=4)
    >>> config.d_ff, config.head_dim
    (256, 16)

It does not build a model (see `model.py`), knows nothing of training, and does not need torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

Positions = Literal["learned", "sinusoidal", "rope"]
Norm = Literal["layernorm", "rmsnorm"]
NormPosition = Literal["pre", "post"]
FeedForwardKind = Literal["gelu", "swiglu"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "positions": get_args(Positions),
    "norm": get_args(Norm),
    "norm_position": get_args(NormPosition),
    "ffn": get_args(FeedForwardKind),
}
_SIZES = ("vocab_size", "context_length", "d_model", "n_layers", "n_heads", "d_ff")
_SWITCHES = ("bias", "tie_weights")


@dataclass(frozen=True)
class GPTConfig:
    """Everything that decides the shape of a MiniGPT.

    - `vocab_size`: number of token ids; the only field without a default.
    - `context_length`: the most positions that the model can see at once.
    - `d_model`, `n_layers`, `n_heads`: width, number of blocks, attention heads per block.
    - `d_ff`: width inside the feed-forward layer. Left out, it is `4 * d_model`.
    - `dropout`: probability with which activations are dropped while training.
    - `bias`: whether linear layers and LayerNorm have a bias (SwiGLU, RMSNorm and the LM head never do).
    - `positions`, `rope_theta`: how the model learns where a token stands; theta is RoPE's base.
    - `norm`, `norm_position`, `ffn`: which norm, before or after each sublayer, which feed-forward layer.
    - `tie_weights`: whether the LM head shares the token embedding's table.

    >>> GPTConfig(vocab_size=65, d_model=64, n_heads=5)
    Traceback (most recent call last):
    ValueError: d_model must be divisible by n_heads, got d_model=64 and n_heads=5
    """

    vocab_size: int
    context_length: int = 128
    d_model: int = 128
    n_layers: int = 4
    n_heads: int = 4
    d_ff: int = cast(int, None)  # None stands for 4 * d_model; always a number once the config exists
    dropout: float = 0.0
    bias: bool = True
    positions: Positions = "learned"
    rope_theta: float = 10000.0
    norm: Norm = "layernorm"
    norm_position: NormPosition = "pre"
    ffn: FeedForwardKind = "gelu"
    tie_weights: bool = True

    def __post_init__(self) -> None:
        if self.d_ff is None and _is_int(self.d_model):
            object.__setattr__(self, "d_ff", 4 * self.d_model)
        for name in _SIZES:
            value = getattr(self, name)
            if not _is_int(value) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if not _is_number(self.dropout) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout!r}")
        if not _is_number(self.rope_theta) or not 0 < self.rope_theta < float("inf"):
            raise ValueError(f"rope_theta must be a positive number, got {self.rope_theta!r}")
        self._check_widths()

    def _check_widths(self) -> None:
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model must be divisible by n_heads, got d_model={self.d_model} and n_heads={self.n_heads}"
            )
        if self.positions == "sinusoidal" and self.d_model % 2:
            raise ValueError(f"d_model must be even for sinusoidal positions, got {self.d_model}")
        if self.positions == "rope" and self.head_dim % 2:
            raise ValueError(
                f"d_model / n_heads must be even for rope, got {self.d_model} / {self.n_heads} = {self.head_dim}"
            )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
