"""Right versions of assignment 05 that differ from the reference. Each must get full marks.

Each takes the place of the reference's symbol of the name `replaces`; those with the same `name` go together. Nothing
in here is ever imported: `autograder.variants` reads it.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from transformer import (
    GPT,
    TransformerBlock,
    gelu,
    silu,
)

from autograder.variants import alternative

# --- norms, activations ----------------------------------------------------------------------------------------------


@alternative(
    name="norms by torch's statistics", replaces="LayerNorm", says="var_mean and rsqrt, None registered as bias"
)
class LayerNormByVarMean(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        if d_model <= 0:
            raise ValueError("d_model must be positive")
        self.epsilon = eps
        self.weight = nn.Parameter(torch.empty(d_model).fill_(1.0))
        self.register_parameter("bias", nn.Parameter(torch.zeros(d_model)) if bias else None)

    def forward(self, x):
        dtype = x.dtype
        if dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
        y = (x - mean) * torch.rsqrt(variance + self.epsilon)
        y = torch.mul(y, self.weight)
        if self.bias is not None:
            y = y + self.bias
        return y.to(dtype)


@alternative(name="norms by torch's statistics", replaces="RMSNorm", says="rsqrt of a power, cast before the weight")
class RMSNormByPowers(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        if d_model < 1:
            raise ValueError(f"a width of {d_model} makes no sense")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        wide = x if x.dtype == torch.float64 else x.float()
        y = wide * (wide.pow(2).mean(-1, keepdim=True) + self.eps).pow(-0.5)
        return (y.type_as(x) * self.weight.type_as(x)).type_as(x)


@alternative(name="norms by dot products", replaces="LayerNorm", says="everything by einsum and addcmul")
class LayerNormByEinsum(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        if d_model < 1:
            raise ValueError("d_model")
        super().__init__()
        self.d_model, self.eps = d_model, torch.tensor(eps)
        self.weight, self.bias = nn.Parameter(torch.ones((d_model,))), None
        if bias:
            self.bias = nn.Parameter(torch.zeros((d_model,)))

    def forward(self, x):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        centered = wide - wide.sum(-1).div(self.d_model)[..., None]
        variance = torch.einsum("...d,...d->...", centered, centered)[..., None] / self.d_model
        scaled = centered.div((variance + self.eps.to(variance)).sqrt())
        weight = self.weight.to(scaled.dtype)
        if self.bias is None:
            return (scaled * weight).to(x.dtype)
        return torch.addcmul(self.bias.to(scaled.dtype), scaled, weight).to(x.dtype)


@alternative(name="norms by dot products", replaces="RMSNorm", says="the length of the vector, eps scaled alike")
class RMSNormByLength(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        if d_model < 1:
            raise ValueError("d_model")
        self.eps = d_model * eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        squares = (wide * wide).sum(-1, keepdim=True)
        return (wide * self.weight * math.sqrt(x.shape[-1]) / torch.sqrt(squares + self.eps)).to(x.dtype)


@alternative(
    name="activations by other functions", replaces="gelu", says="the distribution function; a sigmoid for tanh"
)
def gelu_by_ndtr(x, approximate="none"):
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    match approximate:
        case "none":
            return (wide * torch.special.ndtr(wide)).to(x.dtype)
        case "tanh":
            inner = wide * (1 + 0.044715 * wide.square()) * (2 / math.pi) ** 0.5
            return (wide * torch.sigmoid(2 * inner)).to(x.dtype)
    raise ValueError(f"unknown approximation: {approximate}")


@alternative(name="activations by other functions", replaces="silu", says="a sigmoid by tanh")
def silu_by_tanh(x):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (0.5 * wide * (1.0 + torch.tanh(0.5 * wide))).to(x.dtype)


@alternative(name="activations without widening", replaces="gelu", says="erfc, in the dtype of x; pow for the cube")
def gelu_by_erfc(x, approximate="none"):
    if approximate == "none":
        return 0.5 * x * torch.erfc(-x * 2**-0.5)
    if approximate == "tanh":
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))
    raise ValueError("approximate: none or tanh")


@alternative(name="activations without widening", replaces="silu", says="expit, in the dtype of x")
def silu_by_expit(x):
    return torch.special.expit(x).mul(x)


# --- feed-forward networks -------------------------------------------------------------------------------------------


@alternative(name="networks by functions", replaces="FeedForward", says="F.linear and F.dropout")
class FeedForwardByFunctions(nn.Module):
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        for name, size in (("d_model", d_model), ("d_ff", d_ff)):
            if size < 1:
                raise ValueError(f"{name} is {size}")
        self.down = nn.Linear(d_ff, d_model, bias)
        self.up = nn.Linear(d_model, d_ff, bias)
        self.rate = dropout

    def forward(self, x):
        hidden = gelu(F.linear(x, self.up.weight, self.up.bias), approximate="none")
        return F.dropout(F.linear(hidden, self.down.weight, self.down.bias), p=self.rate, training=self.training)


@alternative(name="networks by functions", replaces="SwiGLU", says="gate and up in one matrix product")
class SwiGLUInOneProduct(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        if min(d_model, d_ff) < 1:
            raise ValueError(f"widths must be positive: {d_model}, {d_ff}")
        self.down = nn.Linear(d_ff, d_model, False)
        self.up = nn.Linear(d_model, d_ff, False)
        self.gate = nn.Linear(d_model, d_ff, False)

    def forward(self, x):
        gate, up = (x @ torch.cat((self.gate.weight, self.up.weight)).T).chunk(2, dim=-1)
        return F.linear(silu(gate) * up, self.down.weight)


@alternative(replaces="FeedForward", says="the same layers a second time, in an nn.Sequential that is not registered")
class FeedForwardInSequence(nn.Module):
    def __init__(self, d_model, d_ff, dropout=0.0, bias=True):
        super().__init__()
        if not (d_model >= 1 and d_ff >= 1):
            raise ValueError("sizes")
        self.up, self.down = nn.Linear(d_model, d_ff, bias=bias), nn.Linear(d_ff, d_model, bias=bias)
        self.drop = nn.Dropout(p=dropout)

    def forward(self, x):
        for step in (self.up, gelu, self.down, self.drop):
            x = step(x)
        return x


# --- block -----------------------------------------------------------------------------------------------------------


@alternative(
    replaces="TransformerBlock", says="a lambda as rope, keywords everywhere, in-place sums on tensors of its own"
)
class BlockOfKeywords(nn.Module):
    def __init__(self, config, parts):
        super().__init__()
        self.position, width = config.norm_position, config.d_model
        self.feed_forward = (
            parts.SwiGLU(d_model=width, d_ff=config.d_ff)
            if config.ffn == "swiglu"
            else parts.FeedForward(d_model=width, d_ff=config.d_ff, bias=config.bias, dropout=config.dropout)
        )
        rope = None
        if config.positions == "rope":
            rope = lambda x, positions: parts.apply_rope(x, positions, config.rope_theta)  # noqa: E731
        self.attention = parts.CausalSelfAttention(
            d_model=width, n_heads=config.n_heads, rope=rope, bias=config.bias, dropout=config.dropout
        )
        makers = {
            "rmsnorm": lambda: parts.RMSNorm(d_model=width),
            "layernorm": lambda: parts.LayerNorm(d_model=width, eps=1e-5, bias=config.bias),
        }
        self.norm2, self.norm1 = makers[config.norm](), makers[config.norm]()

    def forward(self, x, *, cache=None, return_weights=False):
        first = self.norm1(x) if self.position == "pre" else x
        if return_weights:
            y, weights = self.attention(first, cache=cache, return_weights=True)
        else:
            y, weights = self.attention(first, cache=cache), None
        y = y + x
        if self.position == "post":
            y = self.norm1(y)
            y = self.norm2(self.feed_forward(y) + y)
        else:
            y = torch.add(self.feed_forward(self.norm2(y)), y)
        if return_weights:
            return y, weights
        return y


@alternative(replaces="TransformerBlock", says="always asks for weights, two forwards chosen when it is made")
class BlockOfTwoForwards(TransformerBlock):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        self.way = self.before if config.norm_position == "pre" else self.after

    def before(self, x, norm, layer):
        return x + layer(norm(x))

    def after(self, x, norm, layer):
        return norm(x + layer(x))

    def forward(self, x, *, cache=None, return_weights=False):
        seen = []

        def attend(value):
            output, weights = self.attention(value, cache=cache, return_weights=True)
            seen.append(weights)
            return output

        x = self.way(self.way(x, self.norm1, attend), self.norm2, self.feed_forward)
        return (x, seen.pop()) if return_weights else x


# --- gpt, init, count ------------------------------------------------------------------------------------------------


@alternative(replaces="GPT", says="ties the other way round, makes the head first, zips blocks and caches")
class GPTFromTheHead(nn.Module):
    def __init__(self, config, parts):
        super().__init__()
        self.config, self.parts = config, parts
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.final_norm = (
            parts.RMSNorm(config.d_model)
            if config.norm == "rmsnorm"
            else parts.LayerNorm(config.d_model, 1e-5, config.bias)
        )
        self.blocks = nn.Sequential(*(parts.TransformerBlock(config, parts) for _ in range(config.n_layers)))
        self.embedding = parts.InputEmbedding(
            vocab_size=config.vocab_size,
            d_model=config.d_model,
            max_positions=config.context_length,
            positions=config.positions,
            dropout=config.dropout,
        )
        if config.tie_weights:
            self.embedding.tokens.weight = self.lm_head.weight

    def new_cache(self):
        caches = []
        while len(caches) < self.config.n_layers:
            caches.append(self.parts.KVCache())
        return caches

    def forward(self, ids, *, cache=None, return_weights=False):
        caches = [None] * len(self.blocks) if cache is None else cache
        start = caches[-1].length if cache is not None else 0
        if start + ids.size(-1) > self.config.context_length:
            raise ValueError("the text is longer than the context")
        x, weights = self.embedding(ids, start=start), ()
        for block, own in zip(self.blocks, caches, strict=True):
            if return_weights:
                x, found = block(x, cache=own, return_weights=True)
                weights += (found,)
            else:
                x = block(x, cache=own)
        logits = F.linear(self.final_norm(x), self.lm_head.weight)
        return (logits, list(weights)) if return_weights else logits


@alternative(replaces="GPT", says="draws weights of its own when it is made, and always collects attention's")
class GPTThatInitializesItself(GPT):
    def __init__(self, config, parts):
        super().__init__(config, parts)
        self.apply(self.draw)

    def draw(self, module):
        if isinstance(module, nn.Linear):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, ids, *, cache=None, return_weights=False):
        logits, weights = super().forward(ids, cache=cache, return_weights=True)
        return (logits, weights) if return_weights else logits


@alternative(replaces="init_weights", says="by modules, under no_grad, with bounds worked out by hand")
def init_by_modules(model, n_layers, scheme="gpt2", std=0.02):
    if n_layers <= 0:
        raise ValueError("n_layers must be positive")
    if std < 0:
        raise ValueError("std must be at least 0")
    if scheme not in {"gpt2", "xavier"}:
        raise ValueError("scheme must be gpt2 or xavier")
    tables = []
    with torch.no_grad():
        for path, module in model.named_modules():
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim == 1:
                    parameter.fill_(0 if name == "bias" else 1)
                elif not isinstance(module, nn.Linear):
                    tables.append(parameter)
                elif scheme == "xavier":
                    bound = math.sqrt(6 / (module.in_features + module.out_features))
                    parameter.uniform_(-bound, bound)
                else:
                    shrink = (2 * n_layers) ** -0.5 if path.split(".")[-1] in ("out_proj", "down") else 1.0
                    parameter.copy_(torch.randn(parameter.shape) * std * shrink)
        for table in tables:  # last, as a tied head was taken for a linear layer above
            table.normal_(0, std)


@alternative(replaces="init_weights", says="everything normal first, then the exceptions")
def init_by_exceptions(model, n_layers, scheme="gpt2", std=0.02):
    if scheme != "gpt2" and scheme != "xavier":
        raise ValueError(f"unknown scheme {scheme}")
    if n_layers < 1 or std < 0:
        raise ValueError(f"n_layers={n_layers}, std={std}")
    for parameter in model.parameters():
        torch.nn.init.trunc_normal_(parameter, std=std, a=-8 * std, b=8 * std) if std else parameter.data.zero_()
    tables = {
        id(module.weight)
        for module in model.modules()
        if isinstance(getattr(module, "weight", None), nn.Parameter) and not isinstance(module, nn.Linear)
    }
    for module in model.modules():
        if isinstance(module, nn.Linear) and scheme == "xavier" and id(module.weight) not in tables:
            nn.init.xavier_uniform_(module.weight)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter.data = torch.zeros_like(parameter) if name.endswith(".bias") else torch.ones_like(parameter)
        elif scheme == "gpt2" and name.split(".")[-2] in ("out_proj", "down"):
            parameter.data.div_(math.sqrt(2 * n_layers))


@alternative(replaces="count_parameters", says="a list of shapes, multiplied out one by one")
def count_by_shapes(config):
    width, inner = config.d_model, config.d_ff
    norm = [(width,)] * (2 if config.norm == "layernorm" and config.bias else 1)
    layer = norm + norm + [(3 * width, width), (width, width)]
    if config.ffn == "swiglu":
        layer += [(inner, width), (inner, width), (width, inner)]
    else:
        layer += [(inner, width), (width, inner)] + [(inner,), (width,)] * config.bias
    if config.bias:
        layer += [(3 * width,), (width,)]
    once = [(config.vocab_size, width), *norm]
    if config.positions == "learned":
        once.append((config.context_length, width))
    if not config.tie_weights:
        once.append((config.vocab_size, width))
    return sum(math.prod(shape) for shape in once) + config.n_layers * sum(math.prod(shape) for shape in layer)


@alternative(replaces="count_parameters", says="layers on torch's meta device, which have shapes and no memory")
def count_on_meta(config):
    def size(*layers):
        return sum(parameter.numel() for layer in layers for parameter in layer.parameters())

    width, bias = config.d_model, config.bias
    with torch.device("meta"):
        ends = size(nn.Linear(width, config.vocab_size, bias=False)) * (1 if config.tie_weights else 2)
        if config.positions == "learned":
            ends += size(nn.Linear(width, config.context_length, bias=False))
        norm = width if config.norm == "rmsnorm" or not bias else 2 * width
        layers = [nn.Linear(width, 3 * width, bias=bias), nn.Linear(width, width, bias=bias)]
        if config.ffn == "swiglu":
            layers += [nn.Linear(width, config.d_ff, bias=False) for _ in range(3)]
        else:
            layers += [nn.Linear(width, config.d_ff, bias=bias), nn.Linear(config.d_ff, width, bias=bias)]
    return ends + norm + config.n_layers * (size(*layers) + 2 * norm)
