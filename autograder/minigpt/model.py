"""A MiniGPT from its config and parts.

    >>> from autograder.minigpt.library import library_parts
    >>> model = build_model(GPTConfig(vocab_size=65, n_layers=1), library_parts())

The weights come from torch's global random state: call `torch.manual_seed` first to get the same model twice.
"""

from __future__ import annotations

from torch import nn

from .config import GPTConfig
from .parts import Parts


def build_model(config: GPTConfig, parts: Parts) -> nn.Module:
    """The model of `config`, built from `parts`, with fresh weights."""
    model = parts.GPT(config, parts)
    parts.init_weights(model, config.n_layers)
    return model
