"""The slots of MiniGPT, and `Parts`: what is plugged into them.

`Parts` has a field for every symbol that the chassis or another module is handed, by the symbol's own name. A slot is
the set of symbols that are replaced together. The name of a slot is what a manifest says in `part = "..."`.

| slot | symbols | what it does in MiniGPT |
|---|---|---|
| tokenizer | CharTokenizer | text to ids, one per character |
| merges | train_bpe | which byte pairs there are; the library's come ready-made |
| bpe | BPETokenizer | text to ids, one per byte-pair token |
| data | normalize_text, train_val_split, sliding_windows, get_batch | text to batches |
| embeddings | InputEmbedding | ids to vectors |
| rope | apply_rope | turns queries and keys by their positions, where the config says so |
| attention | CausalSelfAttention, KVCache | one student's attention works with the same student's cache |
| norm | LayerNorm, RMSNorm | the config says which |
| feed_forward | FeedForward, SwiGLU | the config says which |
| block | TransformerBlock | attention and feed-forward with their norms |
| model | GPT | the whole network |
| init | init_weights | the weights that it starts from |
| loss | cross_entropy | what training makes small |
| optimizer | AdamW | |
| schedule | cosine_schedule | |
| clip | clip_grad_norm | |
| loop | train_step, train | |
| evaluation | estimate_loss | the validation loss |
| checkpoint | save_checkpoint, load_checkpoint | |
| sampler | sample_token | |
| generate | generate | |
| perplexity | perplexity | |

Symbols that are not in the table (`softmax`, `TokenEmbedding`, `gelu`, `top_k_filter`, ...) are used inside a module
alone, so there is nothing to plug them into; they still count toward the slot that their task names.

    >>> slot_of("KVCache")
    'attention'

This module makes no parts: `library` does, and `assemble` mixes them with a student's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import protocols

SLOTS: dict[str, tuple[str, ...]] = {
    "tokenizer": ("CharTokenizer",),
    "merges": ("train_bpe",),
    "bpe": ("BPETokenizer",),
    "data": ("normalize_text", "train_val_split", "sliding_windows", "get_batch"),
    "embeddings": ("InputEmbedding",),
    "rope": ("apply_rope",),
    "attention": ("CausalSelfAttention", "KVCache"),
    "norm": ("LayerNorm", "RMSNorm"),
    "feed_forward": ("FeedForward", "SwiGLU"),
    "block": ("TransformerBlock",),
    "model": ("GPT",),
    "init": ("init_weights",),
    "loss": ("cross_entropy",),
    "optimizer": ("AdamW",),
    "schedule": ("cosine_schedule",),
    "clip": ("clip_grad_norm",),
    "loop": ("train_step", "train"),
    "evaluation": ("estimate_loss",),
    "checkpoint": ("save_checkpoint", "load_checkpoint"),
    "sampler": ("sample_token",),
    "generate": ("generate",),
    "perplexity": ("perplexity",),
}


@dataclass(frozen=True)
class Parts:
    """One part for every symbol of `SLOTS`, by the symbol's own name: `parts.CausalSelfAttention`, `parts.generate`."""

    CharTokenizer: protocols.CharTokenizerType
    train_bpe: protocols.TrainBPE
    BPETokenizer: protocols.BPETokenizerType
    normalize_text: protocols.NormalizeText
    train_val_split: protocols.TrainValSplit
    sliding_windows: protocols.SlidingWindows
    get_batch: protocols.GetBatch
    InputEmbedding: protocols.InputEmbeddingType
    apply_rope: protocols.Rope
    CausalSelfAttention: protocols.AttentionType
    KVCache: Callable[[], protocols.KVCache]
    LayerNorm: protocols.LayerNormType
    RMSNorm: protocols.RMSNormType
    FeedForward: protocols.FeedForwardType
    SwiGLU: protocols.SwiGLUType
    TransformerBlock: protocols.BlockType
    GPT: protocols.ModelType
    init_weights: protocols.InitWeights
    cross_entropy: protocols.Loss
    AdamW: protocols.OptimizerType
    cosine_schedule: protocols.Schedule
    clip_grad_norm: protocols.ClipGradNorm
    train_step: protocols.TrainStep
    train: protocols.Train
    estimate_loss: protocols.EstimateLoss
    save_checkpoint: protocols.SaveCheckpoint
    load_checkpoint: protocols.LoadCheckpoint
    sample_token: protocols.SampleToken
    generate: protocols.Generate
    perplexity: protocols.Perplexity


def slot_of(symbol: str) -> str | None:
    """The slot that a symbol is plugged into, or None where there is none.

    >>> slot_of("RMSNorm"), slot_of("softmax")
    ('norm', None)
    """
    return next((slot for slot, symbols in SLOTS.items() if symbol in symbols), None)
