"""Right versions of assignment 04 that differ from the reference. Each must get full marks.

Each takes the place of the reference's symbol of the name `replaces`; those with the same `name` go together. Nothing
in here is ever imported: `autograder.variants` reads it.
"""

import math

import torch
import torch.nn.functional as F
from attention import CausalSelfAttention, causal_mask, merge_heads, scaled_dot_product_attention, softmax
from torch import nn

from autograder.variants import alternative

# --- softmax, mask, heads --------------------------------------------------------------------------------------------


@alternative(replaces="softmax", says="subtracts the log of the sum of exponentials, and takes exp last")
def softmax_by_log_sum_exp(x, dim):
    wide = x if x.dtype == torch.float64 else x.float()
    return torch.exp(wide - torch.logsumexp(wide, dim, keepdim=True)).to(x.dtype)


@alternative(replaces="softmax", says="uses max(...).values and a detached shift")
def softmax_by_max(x, dim):
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    exponentials = (wide - wide.max(dim, keepdim=True).values.detach()).exp()
    return exponentials.div(exponentials.sum(dim, keepdim=True)).type_as(x)


@alternative(replaces="causal_mask", says="the lower triangle of a table of ones")
def mask_by_tril(n_queries, n_keys=None):
    if n_keys is None:
        n_keys = n_queries
    if n_queries < 1 or n_keys < n_queries:
        raise ValueError(f"need 1 <= n_queries <= n_keys, got n_queries={n_queries} and n_keys={n_keys}")
    return torch.tril(torch.ones(n_queries, n_keys), diagonal=n_keys - n_queries) == 1


@alternative(replaces="causal_mask", says="a list of rows, in plain Python")
def mask_by_rows(n_queries, n_keys=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_queries <= 0 or n_queries > n_keys:
        raise ValueError("n_queries must be positive and no larger than n_keys")
    rows = []
    for position in range(n_keys - n_queries, n_keys):
        rows.append([True] * (position + 1) + [False] * (n_keys - position - 1))
    return torch.tensor(rows)


@alternative(name="heads by chunks", replaces="split_heads", says="chunks of the features, stacked as heads")
def split_by_chunks(x, n_heads):
    if n_heads < 1 or x.size(-1) % n_heads:
        raise ValueError(f"the width {x.size(-1)} cannot be divided among n_heads={n_heads}")
    return torch.stack(x.chunk(n_heads, dim=-1), dim=1)


@alternative(name="heads by chunks", replaces="merge_heads", says="the heads joined along the features")
def merge_by_joining(x):
    return torch.cat(x.unbind(dim=1), dim=-1)


@alternative(name="heads by view", replaces="split_heads", says="view and permute")
def split_by_view(x, n_heads):
    batch, time, d_model = x.shape
    if n_heads < 1 or d_model % n_heads != 0:
        raise ValueError(f"d_model={d_model} is not divisible by n_heads={n_heads}")
    return x.reshape(batch, time, n_heads, d_model // n_heads).permute(0, 2, 1, 3).contiguous()


@alternative(name="heads by view", replaces="merge_heads", says="permute and a contiguous view")
def merge_by_view(x):
    batch, heads, time, head_dim = x.shape
    return x.permute(0, 2, 1, 3).contiguous().view(batch, time, heads * head_dim)


# --- sdpa ------------------------------------------------------------------------------------------------------------


@alternative(replaces="scaled_dot_product_attention", says="einsum, and a mask of −inf that is added")
def attention_by_einsum(q, k, v, mask=None):
    scores = torch.einsum("...qd,...kd->...qk", q, k) * q.size(-1) ** -0.5
    if mask is None:
        weights = softmax(scores, -1)
    else:
        sees = mask.any(-1, keepdim=True)
        bias = torch.zeros(mask.shape, dtype=q.dtype).masked_fill(~mask & sees, -math.inf)
        weights = softmax(scores + bias, -1) * sees
    return torch.einsum("...qk,...kv->...qv", weights, v), weights


@alternative(replaces="scaled_dot_product_attention", says="fills with −inf, zeros where softmax has no answer")
def attention_by_where(q, k, v, mask=None):
    scores = torch.matmul(q, k.mT) / k.shape[-1] ** 0.5
    if mask is not None:
        scores = torch.where(mask, scores, -torch.inf)
    weights = softmax(scores, dim=-1)
    if mask is not None:
        weights = torch.where(mask, weights, torch.zeros_like(weights))
    return torch.matmul(weights, v), weights


@alternative(replaces="scaled_dot_product_attention", says="scales queries, and multiplies weights by the mask")
def attention_by_scaled_queries(q, k, v, mask=None):
    scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2)
    if mask is None:
        weights = softmax(scores, -1)
        return weights @ v, weights
    allowed = mask.to(scores.dtype)
    weights = softmax(scores.masked_fill(mask.logical_not(), torch.finfo(scores.dtype).min), -1) * allowed
    return weights @ v, weights


@alternative(replaces="scaled_dot_product_attention", says="online softmax: one pass over the keys, block by block")
def attention_online(q, k, v, mask=None):
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = (q @ k.transpose(-2, -1)).to(wide) / math.sqrt(q.shape[-1])
    allowed = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.expand_as(scores)
    largest = torch.full_like(scores[..., :1], torch.finfo(wide).min)
    total = torch.zeros_like(largest)
    output = torch.zeros(*scores.shape[:-1], v.shape[-1], dtype=wide)
    for start in range(0, k.shape[-2], 2):
        block = slice(start, start + 2)
        part = scores[..., block].masked_fill(~allowed[..., block], torch.finfo(wide).min)
        new_largest = torch.maximum(largest, part.amax(-1, keepdim=True)).detach()
        exponentials = torch.exp(part - new_largest).masked_fill(~allowed[..., block], 0.0)
        shrink = torch.exp(largest - new_largest)
        total = total * shrink + exponentials.sum(-1, keepdim=True)
        output = output * shrink + exponentials @ v[..., block, :].to(wide)
        largest = new_largest
    total = torch.where(total == 0, torch.ones_like(total), total)
    scores = scores.masked_fill(~allowed, torch.finfo(wide).min)
    weights = torch.exp(scores - largest).masked_fill(~allowed, 0.0) / total
    return (output / total).to(q.dtype), weights.to(q.dtype)


# --- cache -----------------------------------------------------------------------------------------------------------


@alternative(replaces="KVCache", says="a list of chunks that is joined on demand")
class CacheOfChunks:
    def __init__(self):
        self.chunks = []
        self.length = 0

    def append(self, k, v):
        self.chunks.append((k.detach().clone(), v.detach().clone()))
        self.length += k.shape[2]
        keys, values = zip(*self.chunks, strict=True)
        return torch.cat(keys, dim=2), torch.cat(values, dim=2)


@alternative(replaces="KVCache", says="room that is made ahead, doubled when it is full, and returned as views")
class PreallocatedCache:
    def __init__(self):
        self._room = None
        self._used = 0

    @property
    def length(self):
        return self._used

    @torch.no_grad()
    def append(self, k, v):
        batch, heads, time, head_dim = k.shape
        end = self._used + time
        if self._room is None or end > self._room.shape[3]:
            bigger = k.new_zeros(2, batch, heads, max(4, 2 * end), head_dim)
            if self._room is not None:
                bigger[:, :, :, : self._used] = self._room[:, :, :, : self._used]
            self._room = bigger
        self._room[0, :, :, self._used : end], self._room[1, :, :, self._used : end] = k, v
        self._used = end
        return self._room[0, :, :, :end], self._room[1, :, :, :end]


# --- attention -------------------------------------------------------------------------------------------------------


@alternative(replaces="CausalSelfAttention", says="one head after the other, in a loop")
class HeadByHead(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        batch, time, d_model = x.shape
        start = cache.length if cache is not None else 0
        positions = torch.arange(start, start + time) if positions is None else positions
        heads = self.qkv_proj(x).view(batch, time, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = heads[0], heads[1], heads[2]
        if self.rope is not None:
            q, k = self.rope(q, positions), self.rope(k, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        mask = causal_mask(time, k.shape[2])
        outputs, weights = [], []
        for head in range(self.n_heads):
            _, own = scaled_dot_product_attention(q[:, head], k[:, head], v[:, head], mask)
            weights.append(own)
            outputs.append(self.dropout(own) @ v[:, head])
        output = self.dropout(self.out_proj(torch.cat(outputs, dim=-1)))
        return (output, torch.stack(weights, dim=1)) if return_weights else output


@alternative(replaces="CausalSelfAttention", says="rotates queries and keys together, before they are split into heads")
class RotatesBeforeSplitting(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        batch, time, d_model = x.shape
        q, k, v = self.qkv_proj(x).split(d_model, dim=-1)
        if self.rope is not None:
            if positions is None:
                positions = torch.arange(time) + (0 if cache is None else cache.length)
            q, k = self.rope(torch.cat((q, k)), positions).chunk(2)
        q, k, v = (part.reshape(batch, time, self.n_heads, -1).transpose(1, 2) for part in (q, k, v))
        if cache is not None:
            k, v = cache.append(k, v)
        _, weights = scaled_dot_product_attention(q, k, v, causal_mask(time, k.shape[2]))
        output = self.dropout(self.out_proj(merge_heads(self.dropout(weights) @ v)))
        return (output, weights) if return_weights else output


@alternative(replaces="CausalSelfAttention", says="two dropouts, biases by hand, a mask made for every head")
class SpelledOut(nn.Module):
    def __init__(self, d_model, n_heads, *, dropout=0.0, bias=True, rope=None):
        super().__init__()
        if d_model <= 0 or n_heads <= 0 or d_model % n_heads:
            raise ValueError(f"d_model={d_model} and n_heads={n_heads}: positive, and the heads divide the width")
        self.heads, self.width, self.p, self.rope = n_heads, d_model // n_heads, dropout, rope
        self.qkv_proj = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        batch, time, d_model = x.shape
        before = 0 if cache is None else cache.length
        shape = (batch, time, self.heads, self.width)
        weight, bias = self.qkv_proj.weight.split(d_model), self.qkv_proj.bias
        biases = (None, None, None) if bias is None else bias.split(d_model)
        q, k, v = (F.linear(x, w, b).reshape(shape).permute(0, 2, 1, 3) for w, b in zip(weight, biases, strict=True))
        if self.rope is not None:
            where = torch.arange(before, before + time) if positions is None else positions
            q, k = self.rope(q, where), self.rope(k, where)
        if cache is not None:
            k, v = cache.append(k, v)
        mask = causal_mask(time, before + time).expand(batch, self.heads, time, before + time)
        _, weights = scaled_dot_product_attention(q, k, v, mask)
        mixed = F.dropout(weights, self.p, self.training) @ v
        output = self.out_proj(mixed.permute(0, 2, 1, 3).reshape(batch, time, d_model))
        output = F.dropout(output, self.p, self.training)
        if return_weights:
            return output, weights
        return output
