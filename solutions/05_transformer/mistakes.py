"""Wrong versions of assignment 05, the ones that people make. The suites must catch each of them in its own task.

Each takes the place of the reference's symbol of the name `replaces`; everything else stays as in the reference. `says`
is what a student is told who makes the mistake. Nothing in here is ever imported: `autograder.variants` reads it.
"""

import functools
import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn
from transformer import (
    GPT,
    FeedForward,
    LayerNorm,
    RMSNorm,
    SwiGLU,
    TransformerBlock,
    gelu,
    silu,
)

from autograder.variants import mistake


def widened(x):
    return x.to(torch.promote_types(x.dtype, torch.float32))


# --- layer_norm ------------------------------------------------------------------------------------------------------


def affine(layer, normalized, dtype):
    """The last step of a norm: weight, bias, and the way back to the dtype."""
    scaled = normalized * layer.weight
    return (scaled if layer.bias is None else scaled + layer.bias).to(dtype)


def normalized_over(x, dim, eps):
    centered = widened(x) - widened(x).mean(dim, keepdim=True)
    return centered / torch.sqrt(centered.square().mean(dim, keepdim=True) + eps)


@mistake("layer_norm", replaces="LayerNorm", says="You divide the sum of squares by d_model - 1.")
class UnbiasedVariance(LayerNorm):
    def forward(self, x):
        wide = widened(x)
        centered = wide - wide.mean(-1, keepdim=True)
        variance = wide.var(-1, keepdim=True) if x.shape[-1] > 1 else torch.zeros_like(centered)
        return affine(self, centered / torch.sqrt(variance + self.eps), x.dtype)


@mistake("layer_norm", replaces="LayerNorm", says="Your eps stands behind the root, not under it.")
class EpsBehindTheRoot(LayerNorm):
    def forward(self, x):
        wide = widened(x)
        centered = wide - wide.mean(-1, keepdim=True)
        deviation = centered.square().mean(-1, keepdim=True).sqrt()
        return affine(self, centered / (deviation + self.eps), x.dtype)


@mistake("layer_norm", replaces="LayerNorm", says="You divide by the variance, not by its root.")
class DividesByTheVariance(LayerNorm):
    def forward(self, x):
        wide = widened(x)
        centered = wide - wide.mean(-1, keepdim=True)
        return affine(self, centered / (centered.square().mean(-1, keepdim=True) + self.eps), x.dtype)


@mistake("layer_norm", replaces="LayerNorm", says="You normalize over all tokens together, not each by itself.")
class NormalizesEverythingAtOnce(LayerNorm):
    def forward(self, x):
        return affine(self, normalized_over(x, tuple(range(x.ndim)), self.eps), x.dtype)


@mistake("layer_norm", replaces="LayerNorm", says="You normalize along the first axis: that is batch normalization.")
class NormalizesTheBatch(LayerNorm):
    def forward(self, x):
        return affine(self, normalized_over(x, 0, self.eps), x.dtype)


@mistake("layer_norm", replaces="LayerNorm", says="Your layer has a weight and a bias, and does not use them.")
class LearnsNothing(LayerNorm):
    def forward(self, x):
        return normalized_over(x, -1, self.eps).to(x.dtype)


@mistake("layer_norm", replaces="LayerNorm", says="Your layer always takes 1e-5 for eps.")
class IgnoresEps(LayerNorm):
    def forward(self, x):
        return affine(self, normalized_over(x, -1, 1e-5), x.dtype)


@mistake("layer_norm", replaces="LayerNorm", says="The mean of x² minus the squared mean is noise when x is large.")
class VarianceAsADifference(LayerNorm):
    def forward(self, x):
        wide = widened(x)
        mean = wide.mean(-1, keepdim=True)
        variance = (wide.square().mean(-1, keepdim=True) - mean.square()).clamp(min=0)
        return affine(self, (wide - mean) / torch.sqrt(variance + self.eps), x.dtype)


@mistake("layer_norm", replaces="LayerNorm", says="You square in half precision, where 300² is infinite.")
class ComputesInHalfPrecision(LayerNorm):
    def forward(self, x):
        centered = x - x.mean(-1, keepdim=True)
        variance = centered.square().mean(-1, keepdim=True)
        return affine(self, centered / torch.sqrt(variance + self.eps), x.dtype)


@mistake("layer_norm", replaces="LayerNorm", says="Your layer turns half precision into single precision.")
class StaysInFloat32(LayerNorm):
    def forward(self, x):
        return affine(self, normalized_over(x, -1, self.eps), torch.float32)


@mistake("layer_norm", replaces="LayerNorm", says="No gradient flows through your mean and your variance.")
class DetachedStatistics(LayerNorm):
    def forward(self, x):
        wide = widened(x)
        mean = wide.mean(-1, keepdim=True).detach()
        variance = (wide - mean).square().mean(-1, keepdim=True).detach()
        return affine(self, (wide - mean) / torch.sqrt(variance + self.eps), x.dtype)


@mistake("layer_norm", replaces="LayerNorm", says="Your layer has a bias even with bias=False.")
class AlwaysHasABias(LayerNorm):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__(d_model, eps, True)


# --- rms_norm --------------------------------------------------------------------------------------------------------


@mistake("rms_norm", replaces="RMSNorm", says="You take the mean away: that is LayerNorm.")
class SubtractsTheMean(RMSNorm):
    def forward(self, x):
        return (normalized_over(x, -1, self.eps) * self.weight).to(x.dtype)


@mistake("rms_norm", replaces="RMSNorm", says="You divide by the length of the vector, not by the root of the mean.")
class DividesByTheLength(RMSNorm):
    def forward(self, x):
        wide = widened(x)
        return (wide / torch.sqrt(wide.square().sum(-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


@mistake("rms_norm", replaces="RMSNorm", says="You divide by the mean of the squares. Take its root first.")
class DividesByTheMeanSquare(RMSNorm):
    def forward(self, x):
        wide = widened(x)
        return (wide / (wide.square().mean(-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


@mistake("rms_norm", replaces="RMSNorm", says="Your eps stands behind the root, not under it.")
class RootThenEps(RMSNorm):
    def forward(self, x):
        wide = widened(x)
        return (wide / (wide.square().mean(-1, keepdim=True).sqrt() + self.eps) * self.weight).to(x.dtype)


@mistake("rms_norm", replaces="RMSNorm", says="You forget eps: a vector of zeros becomes NaN.")
class ForgetsEps(RMSNorm):
    def forward(self, x):
        wide = widened(x)
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True)) * self.weight).to(x.dtype)


@mistake("rms_norm", replaces="RMSNorm", says="Your layer has a weight, and does not use it.")
class RMSNormWithoutItsWeight(RMSNorm):
    def forward(self, x):
        wide = widened(x)
        return (wide / torch.sqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)


@mistake("rms_norm", replaces="RMSNorm", says="You take the mean square of all tokens together.")
class MeanSquareOfEverything(RMSNorm):
    def forward(self, x):
        wide = widened(x)
        return (wide / torch.sqrt(wide.square().mean() + self.eps) * self.weight).to(x.dtype)


@mistake("rms_norm", replaces="RMSNorm", says="You square in half precision, where 300² is infinite.")
class SquaresInHalfPrecision(RMSNorm):
    def forward(self, x):
        return (x / torch.sqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


@mistake("rms_norm", replaces="RMSNorm", says="RMSNorm has no bias.")
class RMSNormWithABias(RMSNorm):
    def __init__(self, d_model, eps=1e-5):
        super().__init__(d_model, eps)
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        return super().forward(x) + self.bias.to(x.dtype)


# --- activations -----------------------------------------------------------------------------------------------------


def known(approximate):
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be none or tanh, got {approximate!r}")
    return approximate


def gelu_from(x, share_of):
    wide = widened(x)
    return (wide * share_of(wide)).to(x.dtype)


def exact_share(x):
    return (1 + torch.erf(x / math.sqrt(2))) / 2


def tanh_share(x, factor=0.044715):
    return (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + factor * x**3))) / 2


@mistake("activations", replaces="gelu", says="Your gelu uses the form with tanh, whatever `approximate` says.")
def always_tanh(x, approximate="none"):
    known(approximate)
    return gelu_from(x, tanh_share)


@mistake("activations", replaces="gelu", says="Your gelu ignores `approximate`.")
def never_tanh(x, approximate="none"):
    known(approximate)
    return gelu_from(x, exact_share)


@mistake("activations", replaces="gelu", says="erf belongs to x / √2, not to x.")
def erf_of_x(x, approximate="none"):
    if known(approximate) == "tanh":
        return gelu_from(x, tanh_share)
    return gelu_from(x, lambda wide: (1 + torch.erf(wide)) / 2)


@mistake("activations", replaces="gelu", says="x · σ(1.702 x) is a third form, and not close enough.")
def gelu_by_sigmoid(x, approximate="none"):
    known(approximate)
    return gelu_from(x, lambda wide: torch.sigmoid(1.702 * wide))


@mistake("activations", replaces="gelu", says="The factor of x³ is 0.044715.")
def slipped_factor(x, approximate="none"):
    if known(approximate) == "none":
        return gelu_from(x, exact_share)
    return gelu_from(x, lambda wide: tanh_share(wide, factor=0.44715))


@mistake(
    "activations", replaces="gelu", says="Your gelu takes any `approximate` that it does not know for one it knows."
)
def accepts_any_name(x, approximate="none"):
    return gelu_from(x, exact_share if approximate == "none" else tanh_share)


@mistake("activations", replaces="gelu", says="Your gelu turns half precision into single precision.")
def gelu_in_float32(x, approximate="none"):
    return gelu_from(x.float(), exact_share if known(approximate) == "none" else tanh_share)


@mistake("activations", replaces="silu", says="Your silu is the sigmoid alone: it must be multiplied by x.")
def only_the_sigmoid(x):
    return torch.sigmoid(x)


@mistake("activations", replaces="silu", says="Your silu is NaN where exp(x) is infinite.")
def silu_that_overflows(x):
    wide = widened(x)
    return (wide * torch.exp(wide) / (1 + torch.exp(wide))).to(x.dtype)


@mistake("activations", replaces="silu", says="The gradient of your silu is NaN where exp(-x) is infinite.")
def nan_in_the_slope(x):
    wide = widened(x)
    return (wide / (1 + torch.exp(-wide))).to(x.dtype)


@mistake("activations", replaces="silu", says="Your silu cuts negative numbers off: that is ReLU with a bend.")
def silu_of_positive_numbers(x):
    wide = widened(x)
    return (wide.clamp(min=0) * torch.sigmoid(wide)).to(x.dtype)


# --- feed_forward ----------------------------------------------------------------------------------------------------


@mistake("feed_forward", replaces="FeedForward", says="Your network has no dropout.")
class NoDropout(FeedForward):
    def forward(self, x):
        return self.down(gelu(self.up(x)))


@mistake("feed_forward", replaces="FeedForward", says="Your dropout comes before `down`.")
class DropsTheHiddenNumbers(FeedForward):
    def forward(self, x):
        return self.down(self.dropout(gelu(self.up(x))))


@mistake("feed_forward", replaces="FeedForward", says="You apply dropout twice.")
class DropsTwice(FeedForward):
    def forward(self, x):
        return self.dropout(self.down(self.dropout(gelu(self.up(x)))))


@mistake("feed_forward", replaces="FeedForward", says="Your dropout is active in evaluation mode, too.")
class NeverSleeps(FeedForward):
    def forward(self, x):
        return F.dropout(self.down(gelu(self.up(x))), self.dropout.p)


@mistake("feed_forward", replaces="FeedForward", says="Your network uses the form of gelu with tanh.")
class ApproximateGelu(FeedForward):
    def forward(self, x):
        return self.dropout(self.down(gelu(self.up(x), approximate="tanh")))


@mistake("feed_forward", replaces="FeedForward", says="Your network uses ReLU, as the first transformer did.")
class WithRelu(FeedForward):
    def forward(self, x):
        return self.dropout(self.down(torch.relu(self.up(x))))


@mistake("feed_forward", replaces="FeedForward", says="Your network has nothing between up and down.")
class WithoutActivation(FeedForward):
    def forward(self, x):
        return self.dropout(self.down(self.up(x)))


@mistake("feed_forward", replaces="FeedForward", says="Your network applies gelu at the end as well.")
class ActivatesTheOutput(FeedForward):
    def forward(self, x):
        return self.dropout(gelu(self.down(gelu(self.up(x)))))


@mistake("feed_forward", replaces="FeedForward", says="Your layers have biases even with bias=False.")
class BiasInAnyCase(FeedForward):
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__(d_model, d_ff, dropout, True)


@mistake("feed_forward", replaces="FeedForward", says="Your network is always 4 · d_model wide.")
class FourTimesAsWide(FeedForward):
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__(d_model, 4 * d_model, dropout, bias)


@mistake("feed_forward", replaces="FeedForward", says="Your network accepts a width of 0.")
class AcceptsNoWidth(nn.Module):
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        self.up, self.down = nn.Linear(d_model, d_ff, bias=bias), nn.Linear(d_ff, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.down(gelu(self.up(x))))


# --- swiglu ----------------------------------------------------------------------------------------------------------


@mistake("swiglu", replaces="SwiGLU", says="You apply silu to `up` and not to the gate.")
class ActivatesTheWrongHalf(SwiGLU):
    def forward(self, x):
        return self.down(self.gate(x) * silu(self.up(x)))


@mistake("swiglu", replaces="SwiGLU", says="Your gate is a sigmoid: that is GLU.")
class PlainGLU(SwiGLU):
    def forward(self, x):
        return self.down(torch.sigmoid(self.gate(x)) * self.up(x))


@mistake("swiglu", replaces="SwiGLU", says="Your gate is a gelu: that is GEGLU.")
class GEGLU(SwiGLU):
    def forward(self, x):
        return self.down(gelu(self.gate(x)) * self.up(x))


@mistake("swiglu", replaces="SwiGLU", says="You add the gate to `up`; it must be multiplied.")
class AddsTheGate(SwiGLU):
    def forward(self, x):
        return self.down(silu(self.gate(x)) + self.up(x))


@mistake("swiglu", replaces="SwiGLU", says="You apply silu to the product, not to the gate.")
class ActivatesTheProduct(SwiGLU):
    def forward(self, x):
        return self.down(silu(self.gate(x) * self.up(x)))


@mistake("swiglu", replaces="SwiGLU", says="Your layers have biases.")
class WithBiases(SwiGLU):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.gate, self.up, self.down = nn.Linear(d_model, d_ff), nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)


@mistake("swiglu", replaces="SwiGLU", says="You shrink d_ff to two thirds; that is for whoever makes the config.")
class TwoThirds(SwiGLU):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, max(1, 2 * d_ff // 3))


@mistake("swiglu", replaces="SwiGLU", says="No gradient flows through your gate.")
class DetachedGate(SwiGLU):
    def forward(self, x):
        return self.down(silu(self.gate(x)).detach() * self.up(x))


# --- block -----------------------------------------------------------------------------------------------------------


def through(block, x, cache, return_weights, wire):
    """A block's forward pass: `wire(x, attend)` says how the layers are put together."""
    kept = []

    def attend(value):
        found = block.attention(value, cache=cache, return_weights=return_weights)
        kept.extend(found[1:] if return_weights else ())
        return found[0] if return_weights else found

    output = wire(x, attend)
    return (output, kept[0]) if return_weights else output


def usual_wiring(block, x, attend):
    if block.pre_norm:
        x = x + attend(block.norm1(x))
        return x + block.feed_forward(block.norm2(x))
    x = block.norm1(x + attend(x))
    return block.norm2(x + block.feed_forward(x))


@mistake("block", replaces="TransformerBlock", says="Your block has pre-norm where post-norm was asked for.")
class AlwaysPreNorm(TransformerBlock):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        self.pre_norm = True


@mistake("block", replaces="TransformerBlock", says="Your block has post-norm where pre-norm was asked for.")
class AlwaysPostNorm(TransformerBlock):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        self.pre_norm = False


@mistake("block", replaces="TransformerBlock", says="There is no way around your feed-forward network.")
class NoWayAroundFeedForward(TransformerBlock):
    def forward(self, x, *, cache=None, return_weights=False):
        def wire(x, attend):
            if not self.pre_norm:
                return usual_wiring(self, x, attend)
            x = x + attend(self.norm1(x))
            return self.feed_forward(self.norm2(x))

        return through(self, x, cache, return_weights, wire)


@mistake("block", replaces="TransformerBlock", says="What goes around your layers is normalized; it must be x itself.")
class NormalizesTheWayAround(TransformerBlock):
    def forward(self, x, *, cache=None, return_weights=False):
        def wire(x, attend):
            if not self.pre_norm:
                return usual_wiring(self, x, attend)
            x = self.norm1(x)
            x = x + attend(x)
            x = self.norm2(x)
            return x + self.feed_forward(x)

        return through(self, x, cache, return_weights, wire)


@mistake(
    "block", replaces="TransformerBlock", says="Both of your layers read the block's input; they follow each other."
)
class LayersSideBySide(TransformerBlock):
    def forward(self, x, *, cache=None, return_weights=False):
        def wire(x, attend):
            if not self.pre_norm:
                return usual_wiring(self, x, attend)
            return x + attend(self.norm1(x)) + self.feed_forward(self.norm2(x))

        return through(self, x, cache, return_weights, wire)


@mistake("block", replaces="TransformerBlock", says="You use norm1 in both places.")
class OneNormForBoth(TransformerBlock):
    def forward(self, x, *, cache=None, return_weights=False):
        def wire(x, attend):
            if not self.pre_norm:
                return usual_wiring(self, x, attend)
            x = x + attend(self.norm1(x))
            return x + self.feed_forward(self.norm1(x))

        return through(self, x, cache, return_weights, wire)


@mistake("block", replaces="TransformerBlock", says="Your block does not hand the cache on.")
class LosesTheCache(TransformerBlock):
    def forward(self, x, *, cache=None, return_weights=False):
        return super().forward(x, return_weights=return_weights)


@mistake("block", replaces="TransformerBlock", says="Your block does not return attention's weights.")
class LosesTheWeights(TransformerBlock):
    def forward(self, x, *, cache=None, return_weights=False):
        return super().forward(x, cache=cache)


@mistake("block", replaces="TransformerBlock", says="`x += ...` writes into the vectors that your block was given.")
class AddsInPlace(TransformerBlock):
    def forward(self, x, *, cache=None, return_weights=False):
        def wire(x, attend):
            if not self.pre_norm or x.requires_grad:  # where autograd would object
                return usual_wiring(self, x, attend)
            x += attend(self.norm1(x)).detach()
            x += self.feed_forward(self.norm2(x)).detach()
            return x

        return through(self, x, cache, return_weights, wire)


@mistake(
    "block", replaces="TransformerBlock", says="Your block takes the norms of your own module, not those of `parts`."
)
class OwnNorms(TransformerBlock):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        if config.norm == "layernorm":
            self.norm1, self.norm2 = (LayerNorm(config.d_model, bias=config.bias) for _ in range(2))


@mistake("block", replaces="TransformerBlock", says="Your rotation always has the base 10000.")
class IgnoresTheta(TransformerBlock):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        if config.positions == "rope":
            self.attention.rope = functools.partial(parts.apply_rope)


@mistake("block", replaces="TransformerBlock", says="Your block rotates whatever config.positions says.")
class AlwaysRotates(TransformerBlock):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        self.attention.rope = functools.partial(parts.apply_rope, theta=config.rope_theta)


@mistake("block", replaces="TransformerBlock", says="You do not hand config.dropout on.")
class ForgetsDropout(TransformerBlock):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        rope = functools.partial(parts.apply_rope, theta=config.rope_theta) if config.positions == "rope" else None
        self.attention = parts.CausalSelfAttention(config.d_model, config.n_heads, bias=config.bias, rope=rope)
        if config.ffn == "gelu":
            self.feed_forward = parts.FeedForward(config.d_model, config.d_ff, bias=config.bias)


@mistake("block", replaces="TransformerBlock", says="You do not hand config.bias on to the norms.")
class NormsWithABias(TransformerBlock):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        if config.norm == "layernorm":
            self.norm1, self.norm2 = parts.LayerNorm(config.d_model), parts.LayerNorm(config.d_model)


# --- gpt -------------------------------------------------------------------------------------------------------------


def longer_than(model, ids, seen=0):
    if seen + ids.shape[1] > model.context_length:
        raise ValueError(f"context_length is {model.context_length}, got {seen + ids.shape[1]} ids")


def run(model, ids, start, cache, return_weights):
    """A GPT's forward pass behind the check of the length."""
    x, found = model.embedding(ids, start=start), []
    for layer, block in enumerate(model.blocks):
        x = block(x, cache=None if cache is None else cache[layer], return_weights=return_weights)
        if return_weights:
            found.append(x[1])
            x = x[0]
    logits = model.lm_head(model.final_norm(x))
    return (logits, found) if return_weights else logits


@mistake("gpt", replaces="GPT", says="With a cache, your positions begin again at 0.")
class PositionsRestart(GPT):
    def forward(self, ids, *, cache=None, return_weights=False):
        longer_than(self, ids, 0 if cache is None else cache[0].length)
        return run(self, ids, 0, cache, return_weights)


@mistake("gpt", replaces="GPT", says="Your model has no final norm in front of the head.")
class ForgetsTheFinalNorm(GPT):
    def forward(self, ids, *, cache=None, return_weights=False):
        start = 0 if cache is None else cache[0].length
        longer_than(self, ids, start)
        x = self.embedding(ids, start=start)
        for block, own in zip(self.blocks, cache or [None] * len(self.blocks), strict=True):
            x = block(x, cache=own)
        return self.lm_head(x)


@mistake("gpt", replaces="GPT", says="Your model leaves the final norm out with post-norm.")
class FinalNormWithPreNormAlone(GPT):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        if config.norm_position == "post":
            self.final_norm = nn.Identity()


@mistake("gpt", replaces="GPT", says="Your model takes any number of ids.")
class NeverTooLong(GPT):
    def forward(self, ids, *, cache=None, return_weights=False):
        return run(self, ids, 0 if cache is None else cache[0].length, cache, return_weights)


@mistake("gpt", replaces="GPT", says="You forget what is in the cache when you check the length.")
class ChecksNewIdsOnly(GPT):
    def forward(self, ids, *, cache=None, return_weights=False):
        longer_than(self, ids)
        return run(self, ids, 0 if cache is None else cache[0].length, cache, return_weights)


@mistake("gpt", replaces="GPT", says="You check the length when the caches have taken the ids in already.")
class ChecksTooLate(GPT):
    def forward(self, ids, *, cache=None, return_weights=False):
        if cache is None:
            longer_than(self, ids)
            return run(self, ids, 0, None, return_weights)
        start = cache[0].length
        try:
            result = run(self, ids, start, cache, return_weights)
        except IndexError as error:
            raise ValueError("more than context_length ids") from error
        if cache[0].length > self.context_length:
            raise ValueError("more than context_length ids")
        return result


@mistake("gpt", replaces="GPT", says="Your model refuses as many ids as context_length.")
class RefusesTheLastPosition(GPT):
    def forward(self, ids, *, cache=None, return_weights=False):
        if (0 if cache is None else cache[0].length) + ids.shape[1] >= self.context_length:
            raise ValueError("too many ids")
        return super().forward(ids, cache=cache, return_weights=return_weights)


@mistake("gpt", replaces="GPT", says="Your head starts as a copy of the embedding, and they drift apart.")
class TiesACopy(GPT):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        if config.tie_weights:
            self.lm_head.weight = nn.Parameter(self.embedding.tokens.weight.detach().clone())


@mistake("gpt", replaces="GPT", says="Your head is tied whatever config.tie_weights says.")
class AlwaysTied(GPT):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        self.lm_head.weight = self.embedding.tokens.weight


@mistake("gpt", replaces="GPT", says="Your head has a bias.")
class HeadWithABias(GPT):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        self.lm_head.bias = nn.Parameter(torch.zeros(config.vocab_size))


@mistake("gpt", replaces="GPT", says="Your blocks are all one and the same block.")
class OneBlockForAll(GPT):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        self.blocks = nn.ModuleList([self.blocks[0]] * config.n_layers)


@mistake("gpt", replaces="GPT", says="Your blocks are in a plain list, where torch does not find them.")
class BlocksInAPlainList(GPT):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        blocks = list(self.blocks)
        del self.blocks
        self.blocks = blocks


@mistake("gpt", replaces="GPT", says="All of your blocks share one cache.")
class OneCacheForAll(GPT):
    def new_cache(self):
        return [self.make_cache()] * len(self.blocks)


@mistake("gpt", replaces="GPT", says="You make the caches once; each call of new_cache must make new ones.")
class CachesMadeOnce(GPT):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        self.caches = [parts.KVCache() for _ in self.blocks]

    def new_cache(self):
        return self.caches


@mistake("gpt", replaces="GPT", says="You return the weights of the last layer only.")
class WeightsOfTheLastLayer(GPT):
    def forward(self, ids, *, cache=None, return_weights=False):
        result = super().forward(ids, cache=cache, return_weights=return_weights)
        return (result[0], result[1][-1:]) if return_weights else result


@mistake("gpt", replaces="GPT", says="Your model is made of your own blocks, not of those in `parts`.")
class OwnBlocks(GPT):
    def __init__(self, config, parts):
        super().__init__(config, replace(parts, TransformerBlock=TransformerBlock))


# --- init ------------------------------------------------------------------------------------------------------------


def checked(n_layers, scheme, std):
    if n_layers < 1 or scheme not in ("gpt2", "xavier") or std < 0:
        raise ValueError(f"n_layers={n_layers}, scheme={scheme!r}, std={std}")


def filled(model, n_layers, scheme, std, shrink=None, last=("out_proj.weight", "down.weight"), tables=None):
    """A right initialization, with its steps open to change."""
    if tables is None:
        others = [module for module in model.modules() if not isinstance(module, nn.Linear)]
        tables = {parameter for module in others for parameter in module.parameters(recurse=False)}
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)
        elif scheme == "xavier" and parameter not in tables:
            nn.init.xavier_uniform_(parameter)
        elif scheme == "gpt2" and name.endswith(last):
            nn.init.normal_(parameter, std=std / (math.sqrt(2 * n_layers) if shrink is None else shrink))
        else:
            nn.init.normal_(parameter, std=std)


@mistake("init", replaces="init_weights", says="You scale nothing: `out_proj` and `down` should get less.")
def scales_nothing(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std, shrink=1.0)


@mistake("init", replaces="init_weights", says="Each layer writes into the stream twice: √(2 · n_layers).")
def scales_by_the_number_of_layers(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std, shrink=math.sqrt(n_layers))


@mistake("init", replaces="init_weights", says="You divide by 2 · n_layers, not by its root.")
def scales_without_a_root(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std, shrink=2 * n_layers)


@mistake("init", replaces="init_weights", says="You scale `out_proj` and forget `down`.")
def forgets_down(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std, last=("out_proj.weight",))


@mistake("init", replaces="init_weights", says="You scale every linear layer, not just those that write.")
def scales_every_layer(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std, last=("_proj.weight", "up.weight", "down.weight", "gate.weight"))


@mistake("init", replaces="init_weights", says="You scale what you drew by Glorot's rule as well.")
def scales_xavier_too(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std)
    for name, parameter in model.named_parameters():
        if scheme == "xavier" and name.endswith(("out_proj.weight", "down.weight")):
            parameter.data /= math.sqrt(2 * n_layers)


@mistake("init", replaces="init_weights", says="You leave the embeddings as they were.")
def linear_layers_only(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    tables = {name: value.clone() for name, value in model.named_parameters() if name.startswith("embedding")}
    filled(model, n_layers, scheme, std)
    for name, value in tables.items():
        model.get_parameter(name).data.copy_(value)


@mistake("init", replaces="init_weights", says="You leave embeddings and norms alone that are not torch's.")
def classes_of_torch_only(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    shrunk = std / math.sqrt(2 * n_layers)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and not (name == "lm_head" and scheme == "xavier"):
            last = name.endswith(("out_proj", "down"))
            if scheme == "xavier":
                nn.init.xavier_uniform_(module.weight)
            else:
                nn.init.normal_(module.weight, std=shrunk if last else std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
            nn.init.ones_(module.weight)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
    head, table = model.lm_head.weight, model.embedding.tokens.weight
    if scheme == "xavier" and head is not table:
        nn.init.xavier_uniform_(head)


@mistake("init", replaces="init_weights", says='A tied head is an embedding, also under "xavier".')
def xavier_for_a_tied_head(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std)
    if scheme == "xavier":
        nn.init.xavier_uniform_(model.lm_head.weight)


@mistake("init", replaces="init_weights", says='Embeddings stay normal under "xavier".')
def xavier_for_tables(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std, tables=set())


@mistake("init", replaces="init_weights", says="Glorot's rule is meant here with uniform draws, not with normal ones.")
def xavier_from_a_normal(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std)
    if scheme == "xavier":
        for module in model.modules():
            if isinstance(module, nn.Linear) and module.weight is not model.embedding.tokens.weight:
                nn.init.xavier_normal_(module.weight)


@mistake("init", replaces="init_weights", says="You leave biases as they were.")
def leaves_biases(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    biases = {name: value.clone() for name, value in model.named_parameters() if name.endswith("bias")}
    filled(model, n_layers, scheme, std)
    for name, value in biases.items():
        model.get_parameter(name).data.copy_(value)


@mistake("init", replaces="init_weights", says="You draw the norms' weights, too; they start as 1.")
def draws_the_gains(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1 and not name.endswith("bias"):
            nn.init.normal_(parameter, std=std)


@mistake("init", replaces="init_weights", says="Your std is 0.02, whatever is asked for.")
def ignores_std(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, 0.02)


@mistake("init", replaces="init_weights", says="You take an unknown scheme for the usual one.")
def accepts_any_scheme(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, "gpt2", std)
    filled(model, n_layers, "xavier" if scheme == "xavier" else "gpt2", std)


@mistake(
    "init", replaces="init_weights", says="You put new parameters in the place of the old ones, and untie the head."
)
def makes_new_parameters(model, n_layers, scheme="gpt2", std=0.02):
    checked(n_layers, scheme, std)
    filled(model, n_layers, scheme, std)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(parameter.detach().clone()))


# --- count -----------------------------------------------------------------------------------------------------------


def counted(config, norms=None, positions=None, head=None, swiglu=3, norm_bias=None, d_ff=None):
    """A right count, with its steps open to change."""
    d_model, d_ff, bias = config.d_model, config.d_ff if d_ff is None else d_ff, int(config.bias)
    norm = d_model if config.norm == "rmsnorm" else d_model * (1 + (bias if norm_bias is None else norm_bias))
    feed_forward = 2 * d_model * d_ff + bias * (d_ff + d_model)
    if config.ffn == "swiglu":
        feed_forward = swiglu * d_model * d_ff
    blocks = config.n_layers * (4 * d_model * (d_model + bias) + feed_forward)
    table = config.context_length * d_model
    learned = config.positions == "learned" if positions is None else config.positions in positions
    head = (0 if config.tie_weights else config.vocab_size * d_model) if head is None else head
    norms = 2 * config.n_layers + 1 if norms is None else norms
    return config.vocab_size * d_model + (table if learned else 0) + blocks + norms * norm + head


@mistake("count", replaces="count_parameters", says="You count a tied head a second time.")
def counts_a_tied_head(config):
    return counted(config, head=config.vocab_size * config.d_model)


@mistake("count", replaces="count_parameters", says="You take every head for a tied one.")
def forgets_an_untied_head(config):
    return counted(config, head=0)


@mistake("count", replaces="count_parameters", says="You forget the final norm.")
def forgets_the_last_norm(config):
    return counted(config, norms=2 * config.n_layers)


@mistake("count", replaces="count_parameters", says="You count one norm for each layer; there are two.")
def one_norm_for_each_layer(config):
    return counted(config, norms=config.n_layers + 1)


@mistake("count", replaces="count_parameters", says="Sinusoids are not learned: they do not count.")
def counts_sinusoids(config):
    return counted(config, positions=("learned", "sinusoidal"))


@mistake("count", replaces="count_parameters", says="Rotation has no table of positions.")
def counts_positions_always(config):
    return counted(config, positions=("learned", "sinusoidal", "rope"))


@mistake("count", replaces="count_parameters", says="SwiGLU has three layers.")
def two_layers_in_swiglu(config):
    return counted(config, swiglu=2)


@mistake("count", replaces="count_parameters", says="Without bias, LayerNorm has none either.")
def norms_keep_their_bias(config):
    return counted(config, norm_bias=1)


@mistake("count", replaces="count_parameters", says="d_ff need not be 4 · d_model.")
def four_times_the_width(config):
    return counted(config, d_ff=4 * config.d_model)


@mistake("count", replaces="count_parameters", says="Your count is a float: it loses the last digits.")
def counts_in_floats(config):
    return float(counted(config))
