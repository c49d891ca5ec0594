"""What each slot of MiniGPT must be able to do, with the shapes of what goes in and out.

One `typing.Protocol` per slot. A part fits when it can be called like this; it does not have to inherit from anything
here. Where a slot is filled by a class, `XType` is how the class is called to make a part, and `X` is the part.

    >>> def stand_still(x, positions, theta=10000.0):      # fits `Rope`: the same shape out as in
    ...     return x

Nothing in this module does any work, and it does not check a part: the tests of the assignments do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from .config import GPTConfig, Positions

if TYPE_CHECKING:
    import numpy as np
    import torch
    from jaxtyping import Float, Int
    from torch import Tensor, nn

    Ids: TypeAlias = Int[Tensor, " tokens"] | np.ndarray[Any, Any]
    Batch: TypeAlias = tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]
    AttentionOutput: TypeAlias = (
        Float[Tensor, "batch time d_model"]
        | tuple[Float[Tensor, "batch time d_model"], Float[Tensor, "batch heads time keys"]]
    )

# --- tokenizer, merges, bpe ------------------------------------------------------------------------------------------


class Tokenizer(Protocol):
    """Text to token ids and back. `decode(encode(text)) == text` for text that the vocabulary covers."""

    @property
    def vocab_size(self) -> int: ...
    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...


class CharTokenizerType(Protocol):
    """Slot `tokenizer`: a class that makes a tokenizer of a text's characters."""

    def from_text(self, text: str) -> Tokenizer: ...


class BPETokenizerType(Protocol):
    """Slot `bpe`: a byte-pair tokenizer from a trained vocabulary and its merges, in order."""

    def __call__(
        self, vocab: dict[int, bytes], merges: list[tuple[bytes, bytes]], special_tokens: Sequence[str] = ()
    ) -> Tokenizer: ...


class TrainBPE(Protocol):
    """Slot `merges`: the vocabulary, and the byte pairs to merge, in order. They need not be learned from `text`."""

    def __call__(
        self, text: str, vocab_size: int, special_tokens: Sequence[str] = ()
    ) -> tuple[dict[int, bytes], list[tuple[bytes, bytes]]]: ...


# --- data -----------------------------------------------------------------------------------------------------------


class NormalizeText(Protocol):
    """Slot `data`: the same text with one kind of line end, no stray control characters, composed accents."""

    def __call__(self, text: str) -> str: ...


class TrainValSplit(Protocol):
    """Slot `data`: ids cut in two; the validation part is the tail."""

    def __call__(self, ids: Ids, val_fraction: float) -> tuple[Ids, Ids]: ...


class SlidingWindows(Protocol):
    """Slot `data`: all full windows, `stride` apart, and the same windows one token later."""

    def __call__(self, ids: Ids, block_size: int, stride: int) -> Batch: ...


class GetBatch(Protocol):
    """Slot `data`: windows drawn at random, `[batch, time]`, and the same windows one token later."""

    def __call__(
        self,
        ids: Ids,
        batch_size: int,
        block_size: int,
        *,
        generator: torch.Generator | None = None,
        device: str = "cpu",
    ) -> Batch: ...


# --- embeddings, rope -----------------------------------------------------------------------------------------------


class InputEmbedding(Protocol):
    """Token vectors with positions added; `tokens` is the embedding whose `weight` a tied LM head shares."""

    def __call__(self, ids: Int[Tensor, "batch time"], *, start: int = 0) -> Float[Tensor, "batch time d_model"]: ...


class InputEmbeddingType(Protocol):
    """Slot `embeddings`."""

    def __call__(
        self,
        vocab_size: int,
        d_model: int,
        max_positions: int,
        positions: Positions = "learned",
        dropout: float = 0.0,
    ) -> nn.Module: ...


class Rotate(Protocol):
    """What attention is handed as `rope`: vectors turned by their positions."""

    def __call__(
        self, x: Float[Tensor, "... time dim"], positions: Int[Tensor, "... time"]
    ) -> Float[Tensor, "... time dim"]: ...


class Rope(Protocol):
    """Slot `rope`: `Rotate` with its base still open. Pairs (2i, 2i+1) turn by `position / theta**(2i/dim)`."""

    def __call__(
        self, x: Float[Tensor, "... time dim"], positions: Int[Tensor, "... time"], theta: float = 10000.0
    ) -> Float[Tensor, "... time dim"]: ...


# --- attention ------------------------------------------------------------------------------------------------------


class KVCache(Protocol):
    """Keys and values of the positions seen so far; `append` returns all of them, `length` counts them."""

    @property
    def length(self) -> int: ...
    def append(
        self, k: Float[Tensor, "batch heads time head_dim"], v: Float[Tensor, "batch heads time head_dim"]
    ) -> tuple[Float[Tensor, "batch heads keys head_dim"], Float[Tensor, "batch heads keys head_dim"]]: ...


class Attention(Protocol):
    """Slot `attention`, with `KVCache`. `(output, weights)` with `return_weights`, else the output alone."""

    def __call__(
        self,
        x: Float[Tensor, "batch time d_model"],
        *,
        positions: Int[Tensor, " time"] | None = None,
        cache: KVCache | None = None,
        return_weights: bool = False,
    ) -> AttentionOutput: ...


class AttentionType(Protocol):
    """How an attention layer is made. It has `qkv_proj` and `out_proj`, both `nn.Linear`."""

    def __call__(
        self,
        d_model: int,
        n_heads: int,
        *,
        dropout: float = 0.0,
        bias: bool = True,
        rope: Rotate | None = None,
    ) -> nn.Module: ...


# --- norm, feed_forward, block, model, init -------------------------------------------------------------------------


class NormLayer(Protocol):
    """Slot `norm`: each vector rescaled on its own; the shape stays."""

    def __call__(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]: ...


class LayerNormType(Protocol):
    def __call__(self, d_model: int, eps: float = 1e-5, bias: bool = True) -> nn.Module: ...


class RMSNormType(Protocol):
    def __call__(self, d_model: int, eps: float = 1e-5) -> nn.Module: ...


class FeedForwardLayer(Protocol):
    """Slot `feed_forward`: each position on its own, through a wider layer and back; the shape stays."""

    def __call__(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]: ...


class FeedForwardType(Protocol):
    def __call__(self, d_model: int, d_ff: int, dropout: float = 0.0, bias: bool = True) -> nn.Module: ...


class SwiGLUType(Protocol):
    def __call__(self, d_model: int, d_ff: int) -> nn.Module: ...


class Block(Protocol):
    """Slot `block`: attention and feed-forward with their norms. Called by the model, with the layer's own cache."""

    def __call__(
        self,
        x: Float[Tensor, "batch time d_model"],
        *,
        cache: KVCache | None = None,
        return_weights: bool = False,
    ) -> AttentionOutput: ...


class BlockType(Protocol):
    """How a block is made. It has `norm1`, `attention`, `norm2` and `feed_forward`."""

    def __call__(self, config: GPTConfig, parts: ModelParts) -> nn.Module: ...


class Model(Protocol):
    """Slot `model`: ids to logits over the next token. A `torch.nn.Module` with `new_cache`."""

    def __call__(
        self,
        ids: Int[Tensor, "batch time"],
        *,
        cache: list[KVCache] | None = None,
        return_weights: bool = False,
    ) -> Any: ...

    def new_cache(self) -> list[KVCache]: ...


class ModelType(Protocol):
    """How a model is made. It has `embedding`, `blocks`, `final_norm` and `lm_head`."""

    def __call__(self, config: GPTConfig, parts: ModelParts) -> nn.Module: ...


class InitWeights(Protocol):
    """Slot `init`: fresh weights for a whole model, in place."""

    def __call__(
        self, model: nn.Module, n_layers: int, scheme: Literal["gpt2", "xavier"] = "gpt2", std: float = 0.02
    ) -> None: ...


class ModelParts(Protocol):
    """What a block and a model are handed as `parts`: the classes and functions to build themselves from."""

    @property
    def InputEmbedding(self) -> InputEmbeddingType: ...
    @property
    def apply_rope(self) -> Rope: ...
    @property
    def CausalSelfAttention(self) -> AttentionType: ...
    @property
    def KVCache(self) -> Callable[[], KVCache]: ...
    @property
    def LayerNorm(self) -> LayerNormType: ...
    @property
    def RMSNorm(self) -> RMSNormType: ...
    @property
    def FeedForward(self) -> FeedForwardType: ...
    @property
    def SwiGLU(self) -> SwiGLUType: ...
    @property
    def TransformerBlock(self) -> BlockType: ...


# --- loss, optimizer, schedule, clip, loop, evaluation, checkpoint --------------------------------------------------


class Loss(Protocol):
    """Slot `loss`: the mean over the targets that are not `ignore_index`."""

    def __call__(
        self, logits: Float[Tensor, "... vocab"], targets: Int[Tensor, "..."], ignore_index: int = -100
    ) -> Float[Tensor, ""]: ...


class OptimizerType(Protocol):
    """Slot `optimizer`: a `torch.optim.Optimizer`."""

    def __call__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = ...,
        betas: tuple[float, float] = ...,
        eps: float = ...,
        weight_decay: float = ...,
    ) -> torch.optim.Optimizer: ...


class Schedule(Protocol):
    """Slot `schedule`: the learning rate of a step, counted from 0."""

    def __call__(self, step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int) -> float: ...


class ClipGradNorm(Protocol):
    """Slot `clip`: gradients scaled down in place; returns their norm from before."""

    def __call__(self, parameters: Iterable[Tensor], max_norm: float) -> Float[Tensor, ""]: ...


class TrainStep(Protocol):
    """Slot `loop`: one update from several batches, as from one big batch; returns the mean loss."""

    def __call__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        batches: Sequence[Batch],
        *,
        max_norm: float | None = None,
        amp_dtype: torch.dtype | None = None,
    ) -> float: ...


class Train(Protocol):
    """Slot `loop`: many updates; `on_step(step, loss, lr)` is called after each, counting from `start`."""

    def __call__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        next_batch: Callable[[], Batch],
        *,
        steps: int,
        schedule: Callable[[int], float],
        accumulate: int = 1,
        max_norm: float | None = 1.0,
        amp_dtype: torch.dtype | None = None,
        start: int = 0,
        on_step: Callable[[int, float, float], object] | None = None,
    ) -> list[float]: ...


class EstimateLoss(Protocol):
    """Slot `evaluation`: the mean loss over batches, in evaluation mode, leaving no trace."""

    def __call__(self, model: nn.Module, batches: Iterable[Batch]) -> float: ...


class SaveCheckpoint(Protocol):
    """Slot `checkpoint`: everything that a run needs to go on, in one file that is there whole or not at all."""

    def __call__(
        self, path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer | None, step: int
    ) -> None: ...


class LoadCheckpoint(Protocol):
    """Slot `checkpoint`: the way back; returns the number of steps done."""

    def __call__(self, path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> int: ...


# --- sampler, generate, perplexity ----------------------------------------------------------------------------------


class SampleToken(Protocol):
    """Slot `sampler`: one token id per row of logits."""

    def __call__(
        self,
        logits: Float[Tensor, "... vocab"],
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "..."]: ...


class Generate(Protocol):
    """Slot `generate`: the prompt and up to `max_new_tokens` more. `sampling`: `penalty`, `SampleToken`'s options."""

    def __call__(
        self,
        model: nn.Module,
        ids: Int[Tensor, "batch time"],
        max_new_tokens: int,
        *,
        context_length: int,
        stop_id: int | None = None,
        use_cache: bool = False,
        generator: torch.Generator | None = None,
        **sampling: Any,
    ) -> Int[Tensor, "batch longer"]: ...


class Perplexity(Protocol):
    """Slot `perplexity`: `exp` of the mean negative log-likelihood of `ids[1:]`."""

    def __call__(self, model: nn.Module, ids: Int[Tensor, " time"], context_length: int) -> float: ...
