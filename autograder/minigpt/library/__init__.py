"""The library part of every slot: one module per assignment, made of torch's built-ins, NumPy and tiktoken.

They are what MiniGPT consists of on the first day, what stands in for a component that is not done, and what tests
compare with. Every symbol of the seven modules is here by its own name, but for `count_pairs` and `merge_pair`; and
`train_bpe` trains nothing: it gives the byte pairs that ship with the project.

    >>> library_parts().CausalSelfAttention(d_model=8, n_heads=2).n_heads
    2
"""

from __future__ import annotations

from dataclasses import fields

from ..parts import Parts
from .attention import (
    CausalSelfAttention,
    KVCache,
    causal_mask,
    merge_heads,
    scaled_dot_product_attention,
    softmax,
    split_heads,
)
from .data import (
    TokenDataset,
    get_batch,
    load_tokens,
    normalize_text,
    save_tokens,
    sliding_windows,
    train_val_split,
)
from .embeddings import InputEmbedding, LearnedPositions, TokenEmbedding, apply_rope, sinusoidal_positions
from .sampling import (
    apply_temperature,
    generate,
    greedy,
    min_p_filter,
    perplexity,
    repetition_penalty,
    sample_token,
    top_k_filter,
    top_p_filter,
)
from .tokenizer import BPETokenizer, CharTokenizer, WordTokenizer, pretokenize, stories_vocabulary, train_bpe
from .training import (
    AdamW,
    clip_grad_norm,
    cosine_schedule,
    cross_entropy,
    estimate_loss,
    load_checkpoint,
    save_checkpoint,
    train,
    train_step,
)
from .transformer import (
    GPT,
    FeedForward,
    LayerNorm,
    RMSNorm,
    SwiGLU,
    TransformerBlock,
    count_parameters,
    gelu,
    init_weights,
    silu,
)

__all__ = [
    "GPT",
    "AdamW",
    "BPETokenizer",
    "CausalSelfAttention",
    "CharTokenizer",
    "FeedForward",
    "InputEmbedding",
    "KVCache",
    "LayerNorm",
    "LearnedPositions",
    "RMSNorm",
    "SwiGLU",
    "TokenDataset",
    "TokenEmbedding",
    "TransformerBlock",
    "WordTokenizer",
    "apply_rope",
    "apply_temperature",
    "causal_mask",
    "clip_grad_norm",
    "cosine_schedule",
    "count_parameters",
    "cross_entropy",
    "estimate_loss",
    "gelu",
    "generate",
    "get_batch",
    "greedy",
    "init_weights",
    "library_parts",
    "load_checkpoint",
    "load_tokens",
    "merge_heads",
    "min_p_filter",
    "normalize_text",
    "perplexity",
    "pretokenize",
    "repetition_penalty",
    "sample_token",
    "save_checkpoint",
    "save_tokens",
    "scaled_dot_product_attention",
    "silu",
    "sinusoidal_positions",
    "sliding_windows",
    "softmax",
    "split_heads",
    "stories_vocabulary",
    "top_k_filter",
    "top_p_filter",
    "train",
    "train_bpe",
    "train_step",
    "train_val_split",
]


def library_parts() -> Parts:
    """A working part for every slot."""
    return Parts(**{field.name: globals()[field.name] for field in fields(Parts)})
