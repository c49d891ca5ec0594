"""The transformer: norms, feed-forward networks, a block of both with attention, and a stack of blocks, a GPT.

    model = GPT(config, parts)
    model(ids).shape                             # (batch, time, vocab): a score for every token that may come next

From small to large: `LayerNorm` and `RMSNorm`, `gelu` and `silu`, `FeedForward` and `SwiGLU`, `TransformerBlock`,
`GPT`; then `init_weights`, which sets the weights of a fresh model, and `count_parameters`, which needs no model.

`config` is a `GPTConfig`: sizes and options, checked when it was made. `parts` holds the classes and functions to
build from: yours where they are finished, the library's where not. A block and a GPT take no layer from elsewhere.

Does not handle: an encoder, a mixture of experts, or training. What attention does is assignment 04.
"""

import functools
import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from autograder.minigpt.config import GPTConfig
from autograder.minigpt.protocols import KVCache, ModelParts


class LayerNorm(nn.Module):
    """Shifts and scales each token's vector to mean 0 and variance 1, then as it learns (Ba et al. 2016, section 3).

    On paper: [1, 3] has mean 2, so [-1, 1] is left. The variance is the mean of the squares, (1 + 1) / 2 = 1, and its
    root is 1. The rest is rounding, and eps:

        LayerNorm(2)(torch.tensor([1.0, 3.0]))                   # tensor([-1.0000, 1.0000])

    With γ for `weight` and β for `bias`, and both mean and variance over the last axis:

        y = (x - mean) / √(variance + eps) · γ + β
    """

    def __init__(self, d_model: int, eps: float = 1e-5, bias: bool = True) -> None:
        """Makes the parameters. Other modules rely on their names:

        weight: d_model ones, one for each feature.
        bias: d_model zeros; None if `bias` is False.

        Raises ValueError if `d_model` is below 1.
        """
        super().__init__()
        ### BEGIN SOLUTION
        if d_model < 1:
            raise ValueError(f"d_model must be at least 1, got {d_model}")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        ### END SOLUTION

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Normalizes along the last axis. Each vector counts for itself: no other token has an influence.

        x: any number of leading axes. Returns the shape and dtype of x. float16 ends at 65504, and 300² is more than
        that: compute in float32 for float16 and bfloat16, and go back at the end.

        Steps:
        1. Widen x to float32 if it is narrower than that. float64 stays float64.
        2. Take away the mean.
        3. The variance is the mean of what is left, squared: divide by d_model, not by d_model - 1. (The mean of x²
           minus the squared mean is the same on paper. In float32 it is noise when the mean is large.)
        4. Divide by the root of the variance plus eps. The eps is under the root.
        5. Multiply by `weight`, add `bias` if there is one, and go back to the dtype of x.
        """
        ### BEGIN SOLUTION
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        d_model = x.shape[-1]
        centered = wide - wide.sum(dim=-1, keepdim=True) / d_model
        variance = (centered * centered).sum(dim=-1, keepdim=True) / d_model  # (..., 1)
        scaled = centered * torch.rsqrt(variance + self.eps) * self.weight
        return (scaled if self.bias is None else scaled + self.bias).to(x.dtype)
        ### END SOLUTION


class RMSNorm(nn.Module):
    """Scales each token's vector to a mean square of 1, then as it learns (Zhang & Sennrich 2019, section 4).

    LayerNorm without its first half: nothing is taken away, and there is no bias. On paper: the mean square of [1, 7]
    is (1 + 49) / 2 = 25, and its root is 5:

        RMSNorm(2)(torch.tensor([1.0, 7.0]))                     # tensor([0.2000, 1.4000])

    With γ for `weight`, and the mean over the last axis:

        y = x / √(mean(x²) + eps) · γ
    """

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        """Makes the only parameter, `weight`: d_model ones.

        Raises ValueError if `d_model` is below 1.
        """
        super().__init__()
        ### BEGIN SOLUTION
        if d_model < 1:
            raise ValueError(f"d_model must be at least 1, got {d_model}")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        ### END SOLUTION

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Normalizes along the last axis.

        x: any number of leading axes. Returns the shape and dtype of x; float16 and bfloat16 are computed in float32.

        Steps:
        1. Widen x to float32 if it is narrower than that.
        2. Take the mean of the squares, add eps, and take the root.
        3. Divide x by it, multiply by `weight`, and go back to the dtype of x.
        """
        ### BEGIN SOLUTION
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean_square = (wide * wide).sum(dim=-1, keepdim=True) / x.shape[-1]  # (..., 1)
        return (wide * torch.rsqrt(mean_square + self.eps) * self.weight).to(x.dtype)
        ### END SOLUTION


def gelu(x: Float[Tensor, "..."], approximate: Literal["none", "tanh"] = "none") -> Float[Tensor, "..."]:
    """The activation of GPT-2: x · Φ(x), where Φ(x) is the share of a normal distribution that lies below x.

    Large numbers pass, negative ones do not, and in between it is smooth. On paper: 84.13 % of a normal distribution
    lie below 1, and 15.87 % below -1:

        gelu(torch.tensor([-1.0, 0.0, 1.0]))                     # tensor([-0.1587, 0.0000, 0.8413])

    approximate: how to compute Φ (Hendrycks & Gimpel 2016, section 2).
        "none": exactly, Φ(x) = (1 + erf(x / √2)) / 2.
        "tanh": nearly, Φ(x) ≈ (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2. GPT-2's weights were trained with it.
    Returns the shape and dtype of x; float16 and bfloat16 are computed in float32.
    Raises ValueError if `approximate` is anything else.

    Steps:
    1. Check `approximate`. Widen x to float32 if it is narrower than that.
    2. Compute Φ, by torch.erf or by torch.tanh.
    3. Multiply by x, and go back to the dtype of x.
    """
    ### BEGIN SOLUTION
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got {approximate!r}')
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if approximate == "none":
        share = torch.erf(wide / math.sqrt(2)).add_(1).div_(2)  # in place: no tensor of the model is larger
    else:
        share = (1 + torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))) / 2
    return (wide * share).to(x.dtype)
    ### END SOLUTION


def silu(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The activation inside SwiGLU, also called swish: x · σ(x), with σ(x) = 1 / (1 + exp(-x)).

    It looks much like gelu. On paper: exp(-ln 3) is 1/3, so σ(ln 3) is 3/4, and ln 3 = 1.0986:

        silu(torch.tensor([0.0, 1.09861]))                       # tensor([0.0000, 0.8240])

    exp(10000) is infinite in float32. Written out with exp, the result or its gradient is NaN for some x. torch.sigmoid
    knows how to avoid that. silu(-10000) is 0, and so is its slope there.

    Returns the shape and dtype of x; float16 and bfloat16 are computed in float32.
    Source: Hendrycks & Gimpel 2016, section 2; Ramachandran et al. 2017.

    Steps:
    1. Widen x to float32 if it is narrower than that.
    2. Multiply x by its sigmoid, and go back to the dtype of x.
    """
    ### BEGIN SOLUTION
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.sigmoid(wide)).to(x.dtype)
    ### END SOLUTION


class FeedForward(nn.Module):
    """The network behind attention: each token's vector by itself, into a wider layer and back.

        FeedForward(d_model=8, d_ff=32)(torch.randn(1, 5, 8)).shape     # (1, 5, 8), the shape that went in

        y = dropout(down(gelu(up(x))))

    Source: Vaswani et al. 2017, section 3.3, which has ReLU where GPT has GELU.
    """

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0, bias: bool = True) -> None:
        """Makes the layers. Other modules rely on two of them, by these names:

        up: an nn.Linear from d_model to d_ff.
        down: an nn.Linear from d_ff to d_model.

        dropout: how likely each number of the output is to be zeroed in training.
        bias: whether the two linear layers have a bias.
        Raises ValueError if `d_model` or `d_ff` is below 1.
        """
        super().__init__()
        ### BEGIN SOLUTION
        if d_model < 1 or d_ff < 1:
            raise ValueError(f"d_model and d_ff must be at least 1, got d_model={d_model} and d_ff={d_ff}")
        self.up = nn.Linear(d_model, d_ff, bias=bias)
        self.down = nn.Linear(d_ff, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        ### END SOLUTION

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Returns the shape of x.

        Steps:
        1. Go up, apply your exact gelu, and go down again.
        2. Apply dropout, to the output alone.
        """
        ### BEGIN SOLUTION
        hidden = gelu(self.up(x))  # (..., d_ff)
        return self.dropout(self.down(hidden))  # (..., d_model)
        ### END SOLUTION


class SwiGLU(nn.Module):
    """A feed-forward network with a gate: a second layer says how much of each number passes (Shazeer 2020, section 2).

        y = down(silu(gate(x)) · up(x))

    The product is number by number. On paper: where the gate says ln 3 and `up` says 4, the gate lets 0.824 · 4 = 3.296
    pass; where the gate says 0, nothing. There are no biases and there is no dropout.
    """

    def __init__(self, d_model: int, d_ff: int) -> None:
        """Makes three linear layers without bias. Other modules rely on their names:

        gate, up: each an nn.Linear from d_model to d_ff.
        down: an nn.Linear from d_ff to d_model.

        Raises ValueError if `d_model` or `d_ff` is below 1.
        """
        super().__init__()
        ### BEGIN SOLUTION
        if d_model < 1 or d_ff < 1:
            raise ValueError(f"d_model and d_ff must be at least 1, got d_model={d_model} and d_ff={d_ff}")
        self.gate = nn.Linear(d_model, d_ff, bias=False)
        self.up = nn.Linear(d_model, d_ff, bias=False)
        self.down = nn.Linear(d_ff, d_model, bias=False)
        ### END SOLUTION

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Returns the shape of x.

        Steps:
        1. Apply your silu to the gate, and multiply by `up`.
        2. Go down.
        """
        ### BEGIN SOLUTION
        hidden = silu(self.gate(x)) * self.up(x)  # (..., d_ff)
        return self.down(hidden)  # (..., d_model)
        ### END SOLUTION


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward network, each with a norm and with a way around it.

    The way around is the sum: what a layer finds is added to what was there. So a stack of blocks is a stream of
    vectors, to which each layer adds its part (He et al. 2015).

        pre-norm, as in GPT-2:                       post-norm, as in the first transformer:
            x = x + attention(norm1(x))                  x = norm1(x + attention(x))
            x = x + feed_forward(norm2(x))               x = norm2(x + feed_forward(x))

    Source: Radford et al. 2019, section 2.3; Vaswani et al. 2017, section 3.1; Xiong et al. 2020 compare the two.
    """

    def __init__(self, config: GPTConfig, parts: ModelParts) -> None:
        """Makes four layers from `parts`. Other modules rely on their names:

        norm1, norm2: parts.LayerNorm(d_model, bias=...), or parts.RMSNorm(d_model) if config.norm is "rmsnorm".
        attention: parts.CausalSelfAttention(d_model, n_heads, dropout=..., bias=..., rope=...). `rope` is None, unless
            config.positions is "rope": then it is a callable (x, positions) -> x, parts.apply_rope with its third
            argument, theta, set to config.rope_theta.
        feed_forward: parts.FeedForward(d_model, d_ff, dropout=..., bias=...), or parts.SwiGLU(d_model, d_ff) if
            config.ffn is "swiglu".

        Steps:
        1. Make the two norms.
        2. Make attention. functools.partial sets an argument of a function.
        3. Make the feed-forward network, and keep what `forward` needs to know of the config.
        """
        super().__init__()
        ### BEGIN SOLUTION
        self.pre_norm = config.norm_position == "pre"
        if config.norm == "rmsnorm":
            self.norm1, self.norm2 = parts.RMSNorm(config.d_model), parts.RMSNorm(config.d_model)
        else:
            self.norm1 = parts.LayerNorm(config.d_model, bias=config.bias)
            self.norm2 = parts.LayerNorm(config.d_model, bias=config.bias)
        rope = functools.partial(parts.apply_rope, theta=config.rope_theta) if config.positions == "rope" else None
        self.attention = parts.CausalSelfAttention(
            config.d_model, config.n_heads, dropout=config.dropout, bias=config.bias, rope=rope
        )
        if config.ffn == "swiglu":
            self.feed_forward = parts.SwiGLU(config.d_model, config.d_ff)
        else:
            self.feed_forward = parts.FeedForward(config.d_model, config.d_ff, dropout=config.dropout, bias=config.bias)
        ### END SOLUTION

    def forward(
        self, x: Float[Tensor, "batch time d_model"], *, cache: KVCache | None = None, return_weights: bool = False
    ) -> Float[Tensor, "batch time d_model"] | tuple[Tensor, Tensor]:
        """Sends the vectors through both layers. `config.norm_position` says where the norms are: "pre" or "post".

        cache: the attention layer's, or None. Hand it on, and do nothing else with it.
        Returns the output, with the shape of x; or (output, weights) if `return_weights`. The weights are attention's.
        Leaves x as it is.

        Steps:
        1. Call attention, on the normalized x if the norm comes first. Hand on `cache` and `return_weights`.
        2. With `return_weights`, attention returns a pair: take it apart.
        3. Add what attention found to x. Normalize the sum if the norm comes last.
        4. Do the same with the feed-forward network and norm2.
        """
        ### BEGIN SOLUTION
        found = self.attention(self.norm1(x) if self.pre_norm else x, cache=cache, return_weights=return_weights)
        attended, weights = found if return_weights else (found, None)
        if self.pre_norm:
            x = x + attended
            x = x + self.feed_forward(self.norm2(x))
        else:
            x = self.norm1(x + attended)
            x = self.norm2(x + self.feed_forward(x))
        return (x, weights) if return_weights else x
        ### END SOLUTION


class GPT(nn.Module):
    """The whole model: ids to vectors, a stack of blocks, a last norm, and a score for every token of the vocabulary.

        model = GPT(config, parts)               # config.vocab_size = 11
        model(torch.tensor([[3, 1, 4]])).shape   # (1, 3, 11): what comes after 3, after 3 1, and after 3 1 4

    Source: Radford et al. 2019, section 2.3.
    """

    def __init__(self, config: GPTConfig, parts: ModelParts) -> None:
        """Makes the layers from `parts`. Other modules rely on their names:

        embedding: parts.InputEmbedding(vocab_size, d_model, context_length, positions, dropout), in this order.
        blocks: an nn.ModuleList of n_layers times parts.TransformerBlock(config, parts).
        final_norm: parts.LayerNorm(d_model, bias=...), or parts.RMSNorm(d_model) if config.norm is "rmsnorm"; with
            pre-norm and with post-norm.
        lm_head: an nn.Linear from d_model to vocab_size, without bias. If config.tie_weights, its weight is the
            embedding's, `embedding.tokens.weight`: one and the same parameter, not a copy (Press & Wolf 2017).

        Leave the weights as the parts make them: `init_weights` comes later.

        Steps:
        1. Make the four, in this order.
        2. Tie the head, if the config says so.
        3. Keep what the other methods need: the length of the context, and how to make a cache.
        """
        super().__init__()
        ### BEGIN SOLUTION
        self.embedding = parts.InputEmbedding(
            config.vocab_size, config.d_model, config.context_length, config.positions, config.dropout
        )
        self.blocks = nn.ModuleList([parts.TransformerBlock(config, parts) for _ in range(config.n_layers)])
        if config.norm == "rmsnorm":
            self.final_norm = parts.RMSNorm(config.d_model)
        else:
            self.final_norm = parts.LayerNorm(config.d_model, bias=config.bias)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.lm_head.weight = self.embedding.tokens.weight
        self.context_length = config.context_length
        self.make_cache = parts.KVCache
        ### END SOLUTION

    def new_cache(self) -> list[KVCache]:
        """An empty cache for each block, in order: a list of parts.KVCache(), each one an object of its own."""
        ### BEGIN SOLUTION
        return [self.make_cache() for _ in self.blocks]
        ### END SOLUTION

    def forward(
        self, ids: Int[Tensor, "batch time"], *, cache: list[KVCache] | None = None, return_weights: bool = False
    ) -> Float[Tensor, "batch time vocab"] | tuple[Tensor, list[Tensor]]:
        """Computes the scores of the next token (the logits) at each position of `ids`.

        ids: with a cache, only the new ones. They stand behind those in the cache: embedding(ids, start=...).
        cache: as `new_cache` makes it, one for each block; or None. A cache knows its `length`.
        Returns the logits, (batch, time, vocab); or (logits, weights) if `return_weights`, with a list of each block's
        attention weights.
        Raises ValueError if cached and new ids together are more than `context_length`, before any layer has run: the
        cache must be as it was before.

        Steps:
        1. Find out how many ids the cache has seen, and check the length.
        2. Embed the ids, from that position on.
        3. Send them through the blocks. Hand each its own cache, and collect the weights if they are asked for.
        4. Normalize, and apply the head.
        """
        ### BEGIN SOLUTION
        seen = 0 if cache is None else cache[0].length
        if seen + ids.shape[1] > self.context_length:
            raise ValueError(
                f"context_length is {self.context_length}, got {ids.shape[1]} ids after {seen} in the cache"
            )
        x = self.embedding(ids, start=seen)  # (batch, time, d_model)
        all_weights = []
        for layer, block in enumerate(self.blocks):
            x = block(x, cache=None if cache is None else cache[layer], return_weights=return_weights)
            if return_weights:
                x, weights = x
                all_weights.append(weights)
        logits = self.lm_head(self.final_norm(x))  # (batch, time, vocab)
        return (logits, all_weights) if return_weights else logits
        ### END SOLUTION


def init_weights(
    model: nn.Module, n_layers: int, scheme: Literal["gpt2", "xavier"] = "gpt2", std: float = 0.02
) -> None:
    """Gives every parameter of a model a fresh value, in place.

    N(0, s²) is a normal distribution with mean 0 and standard deviation s. `out_proj` and `down` are the layers that
    write into the stream: there are 2 · n_layers of them, so with "gpt2" each is to write less.

        parameter                                  "gpt2"                       "xavier"
        a linear layer's weight                    N(0, std²)                   uniform in ±√(6 / (inputs + outputs))
        ... that of `out_proj` or `down`           N(0, (std / √(2·n_layers))²)   the same
        an embedding's table                       N(0, std²)                   N(0, std²)
        a bias                                     0                            0
        a norm's weight                            1                            1

    On paper: with std = 0.02 and 8 layers, `down` gets 0.02 / √16 = 0.005. A linear layer of 4 inputs and 2 outputs is
    uniform between -1 and 1 under "xavier".

    Embeddings and norms are modules of your own or of somebody else, so do not look for nn.Embedding or nn.LayerNorm.
    Weights with two axes are a linear layer's if their module is an nn.Linear, and an embedding's if not. Parameters
    with one axis are biases if their name ends in "bias", and a norm's weight if not. A head that is tied to an
    embedding is one tensor: it counts as an embedding, and stays tied.

    Raises ValueError if `scheme` is anything else, `n_layers` is below 1, or `std` is negative.
    Source: Radford et al. 2019, section 2.3, and GPT-2's code for 0.02; Glorot & Bengio 2010, equation 16.

    Steps:
    1. Check the arguments.
    2. Find the parameters that belong to a module other than nn.Linear: with two axes, they are tables.
    3. Go through `model.named_parameters()`, where a tied head comes once, and fill each by the table above: nn.init
       has normal_, xavier_uniform_ and constant_.
    """
    ### BEGIN SOLUTION
    if n_layers < 1:
        raise ValueError(f"n_layers must be at least 1, got {n_layers}")
    if scheme not in ("gpt2", "xavier"):
        raise ValueError(f'scheme must be "gpt2" or "xavier", got {scheme!r}')
    if std < 0:
        raise ValueError(f"std must not be negative, got {std}")
    others = [module for module in model.modules() if not isinstance(module, nn.Linear)]
    not_linear = {parameter for module in others for parameter in module.parameters(recurse=False)}
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)
        elif scheme == "xavier" and parameter not in not_linear:
            nn.init.xavier_uniform_(parameter)
        elif scheme == "gpt2" and name.endswith(("out_proj.weight", "down.weight")):
            nn.init.normal_(parameter, std=std / math.sqrt(2 * n_layers))
        else:
            nn.init.normal_(parameter, std=std)
    ### END SOLUTION


def count_parameters(config: GPTConfig) -> int:
    """How many numbers `GPT(config, parts)` learns, by arithmetic. No model is made: GPT-3 would not fit into memory.

    On paper, for a vocabulary of 10, a context of 4, d_model = 2 and one layer (so d_ff = 8), and all else as usual:

        tokens          10 · 2                    20
        positions       4 · 2                      8        only if they are learned
        attention       2 · 6 + 6 + 2 · 2 + 2     24        qkv_proj and out_proj, with their biases
        feed-forward    2 · 8 + 8 + 8 · 2 + 2     42        up and down, with their biases
        three norms     3 · (2 + 2)               12        two in the layer, and the last one
        head            tied to the tokens         0        else 2 · 10 more
                                                 106

    Whatever `config.bias` says, RMSNorm, SwiGLU and the head have no bias. SwiGLU has three layers.

    Steps:
    1. Count one norm, one attention layer and one feed-forward network.
    2. Count what stands before and behind the blocks.
    3. Add up: all blocks, and the rest.
    """
    ### BEGIN SOLUTION
    d_model, d_ff, bias = config.d_model, config.d_ff, int(config.bias)
    norm = d_model if config.norm == "rmsnorm" else d_model * (1 + bias)
    attention = 4 * d_model * (d_model + bias)
    feed_forward = 2 * d_model * d_ff + bias * (d_ff + d_model)
    if config.ffn == "swiglu":
        feed_forward = 3 * d_model * d_ff
    blocks = config.n_layers * (attention + feed_forward + 2 * norm)
    positions = config.context_length * d_model if config.positions == "learned" else 0
    head = 0 if config.tie_weights else config.vocab_size * d_model
    return config.vocab_size * d_model + positions + blocks + norm + head
    ### END SOLUTION
