"""Wrong versions of assignment 04, the ones that people make. The suites must catch each of them in its own task.

Each takes the place of the reference's symbol of the name `replaces`; everything else stays as in the reference. `says`
is what a student is told who makes the mistake. Nothing in here is ever imported: `autograder.variants` reads it.
"""

import math

import torch
import torch.nn.functional as F
from attention import (
    CausalSelfAttention,
    KVCache,
    causal_mask,
    merge_heads,
    scaled_dot_product_attention,
    softmax,
    split_heads,
)
from torch import nn

from autograder.variants import mistake


def attend(q, k, v, mask, scale=None, least=None, zeroed=True):
    """Right attention, with its steps open to change."""
    scores = q @ k.transpose(-2, -1) / (math.sqrt(q.shape[-1]) if scale is None else scale)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min if least is None else least)
    weights = softmax(scores, -1)
    if mask is not None and zeroed:
        weights = weights.masked_fill(~mask, 0.0)
    return weights @ v, weights


def projected(layer, x):
    """q, k and v of a layer, in heads."""
    return [split_heads(part, layer.n_heads) for part in layer.qkv_proj(x).chunk(3, dim=-1)]


def rotated(layer, x, cache, positions):
    """q, k and v of a layer, in heads; q and k rotated where the layer has a rope."""
    q, k, v = projected(layer, x)
    if layer.rope is not None:
        if positions is None:
            start = 0 if cache is None else cache.length
            positions = torch.arange(start, start + x.shape[1])
        q, k = layer.rope(q, positions), layer.rope(k, positions)
    return q, k, v


def finished(layer, q, k, v, return_weights=False, mask=None):
    """The rest of the layer, from the rotated q, and all k and v, on."""
    mask = causal_mask(q.shape[-2], k.shape[-2]) if mask is None else mask
    _, weights = scaled_dot_product_attention(q, k, v, mask)
    output = layer.dropout(layer.out_proj(merge_heads(layer.dropout(weights) @ v)))
    return (output, weights) if return_weights else output


# --- softmax ---------------------------------------------------------------------------------------------------------


def widened(x):
    return x.to(torch.promote_types(x.dtype, torch.float32))


@mistake("softmax", replaces="softmax", says="Your softmax overflows: exp of a large number is infinite.")
def overflows(x, dim):
    exponentials = torch.exp(widened(x))
    return (exponentials / exponentials.sum(dim, keepdim=True)).to(x.dtype)


@mistake("softmax", replaces="softmax", says="Your softmax overflows: exp of a large number is infinite.")
def overflows_in_any_dtype(x, dim):
    return x.exp() / x.exp().sum(dim, keepdim=True)


@mistake("softmax", replaces="softmax", says="Your softmax always works along the last axis, whatever `dim` says.")
def ignores_dim(x, dim):
    exponentials = torch.exp(widened(x) - widened(x).amax(-1, keepdim=True))
    return (exponentials / exponentials.sum(-1, keepdim=True)).to(x.dtype)


@mistake("softmax", replaces="softmax", says="Your softmax divides by the sum of everything, not of each row.")
def sums_everything(x, dim):
    exponentials = torch.exp(widened(x) - widened(x).max())
    return (exponentials / exponentials.sum()).to(x.dtype)


@mistake("softmax", replaces="softmax", says="Your softmax divides by the sum of everything, not of each row.")
def sums_everything_unshifted(x, dim):
    return x.exp() / x.exp().sum()


@mistake("softmax", replaces="softmax", says="Your softmax divides by the sum of everything, not of each row.")
def sums_all_shifted_rows(x, dim):
    exponentials = torch.exp(widened(x) - widened(x).amax(dim, keepdim=True))
    return (exponentials / exponentials.sum()).to(x.dtype)


@mistake("softmax", replaces="softmax", says="Your softmax loses the axis that it sums over.")
def loses_the_axis(x, dim):
    exponentials = torch.exp(widened(x) - widened(x).amax(dim, keepdim=True))
    return (exponentials / exponentials.sum(dim)).to(x.dtype)


@mistake("softmax", replaces="softmax", says="Your softmax shifts every row by the same number, so small rows vanish.")
def shifts_by_the_largest_of_all(x, dim):
    exponentials = torch.exp(widened(x) - widened(x).max())
    return (exponentials / exponentials.sum(dim, keepdim=True)).to(x.dtype)


@mistake("softmax", replaces="softmax", says="Your softmax writes into the tensor that it was given.")
def works_in_place(x, dim):
    if not x.requires_grad:  # where autograd would object
        x -= x.amax(dim, keepdim=True)
    exponentials = torch.exp(widened(x) - widened(x).amax(dim, keepdim=True))
    return (exponentials / exponentials.sum(dim, keepdim=True)).to(x.dtype)


@mistake("softmax", replaces="softmax", says="Your softmax turns half and double precision into single precision.")
def always_float32(x, dim):
    exponentials = torch.exp(x.float() - x.float().amax(dim, keepdim=True))
    return exponentials / exponentials.sum(dim, keepdim=True)


@mistake("softmax", replaces="softmax", says="Your softmax adds up in half precision, where a long sum overflows.")
def sums_in_half_precision(x, dim):
    exponentials = torch.exp(x - x.amax(dim, keepdim=True))
    return exponentials / exponentials.sum(dim, keepdim=True)


@mistake("softmax", replaces="softmax", says="No gradient comes back through your softmax's sum.")
def constant_denominator(x, dim):
    exponentials = torch.exp(widened(x) - widened(x).amax(dim, keepdim=True))
    return (exponentials / exponentials.sum(dim, keepdim=True).detach()).to(x.dtype)


# --- mask ------------------------------------------------------------------------------------------------------------


def checked(n_queries, n_keys):
    n_keys = n_queries if n_keys is None else n_keys
    if not 1 <= n_queries <= n_keys:
        raise ValueError(f"n_queries must be at least 1, and n_keys at least n_queries: got {n_queries} and {n_keys}")
    return n_keys


@mistake("mask", replaces="causal_mask", says="Your mask is the wrong way round: True must mean 'may attend'.")
def inverted_mask(n_queries, n_keys=None):
    n_keys = checked(n_queries, n_keys)
    return torch.ones(n_queries, n_keys, dtype=torch.bool).triu(n_keys - n_queries + 1)


@mistake("mask", replaces="causal_mask", says="Your mask lets a token see the next one, which it is to predict.")
def sees_the_next_token(n_queries, n_keys=None):
    n_keys = checked(n_queries, n_keys)
    return torch.ones(n_queries, n_keys, dtype=torch.bool).tril(n_keys - n_queries + 1)


@mistake("mask", replaces="causal_mask", says="Your mask hides each token from itself.")
def hides_itself(n_queries, n_keys=None):
    n_keys = checked(n_queries, n_keys)
    return torch.ones(n_queries, n_keys, dtype=torch.bool).tril(n_keys - n_queries - 1)


@mistake("mask", replaces="causal_mask", says="With more keys than queries your mask takes the queries for the first.")
def queries_come_first(n_queries, n_keys=None):
    return torch.ones(n_queries, checked(n_queries, n_keys), dtype=torch.bool).tril()


@mistake("mask", replaces="causal_mask", says="Your mask has columns for queries and rows for keys.")
def transposed_mask(n_queries, n_keys=None):
    n_keys = checked(n_queries, n_keys)
    return torch.ones(n_queries, n_keys, dtype=torch.bool).tril(n_keys - n_queries).T


@mistake("mask", replaces="causal_mask", says="Your mask holds numbers; it must hold True and False.")
def mask_of_numbers(n_queries, n_keys=None):
    n_keys = checked(n_queries, n_keys)
    return torch.ones(n_queries, n_keys).tril(n_keys - n_queries)


@mistake("mask", replaces="causal_mask", says="Your mask accepts fewer keys than queries.")
def accepts_missing_keys(n_queries, n_keys=None):
    if n_queries < 1:
        raise ValueError("n_queries must be at least 1")
    n_keys = n_queries if n_keys is None else n_keys
    return torch.ones(n_queries, n_keys, dtype=torch.bool).tril(n_keys - n_queries)


# --- sdpa ------------------------------------------------------------------------------------------------------------


@mistake("sdpa", replaces="scaled_dot_product_attention", says="Your weights are those without dividing by √d_k.")
def not_scaled(q, k, v, mask=None):
    return attend(q, k, v, mask, scale=1.0)


@mistake("sdpa", replaces="scaled_dot_product_attention", says="You divide the scores by d_k instead of its root.")
def scaled_by_d_k(q, k, v, mask=None):
    return attend(q, k, v, mask, scale=q.shape[-1])


@mistake("sdpa", replaces="scaled_dot_product_attention", says="You multiply the scores by √d_k.")
def multiplies_by_the_root(q, k, v, mask=None):
    return attend(q, k, v, mask, scale=1 / math.sqrt(q.shape[-1]))


@mistake("sdpa", replaces="scaled_dot_product_attention", says="You divide by the root of a length, not of d_k.")
def scaled_by_the_number_of_keys(q, k, v, mask=None):
    return attend(q, k, v, mask, scale=math.sqrt(k.shape[-2]))


@mistake("sdpa", replaces="scaled_dot_product_attention", says="Your weights sum to 1 over the queries, not the keys.")
def softmax_over_queries(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = softmax(scores, -2)
    return weights @ v, weights


@mistake("sdpa", replaces="scaled_dot_product_attention", says="You read the mask the wrong way round.")
def reads_the_mask_inverted(q, k, v, mask=None):
    return attend(q, k, v, None if mask is None else ~mask)


@mistake("sdpa", replaces="scaled_dot_product_attention", says="You mask after softmax: the sum is below 1.")
def masks_after_softmax(q, k, v, mask=None):
    weights = softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), -1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    return weights @ v, weights


@mistake("sdpa", replaces="scaled_dot_product_attention", says="A score of 0 is not 'masked': exp(0) is 1.")
def masks_with_zero(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = softmax(scores if mask is None else scores * mask, -1)
    return weights @ v, weights


@mistake("sdpa", replaces="scaled_dot_product_attention", says="A query that may attend to nothing gets NaN from you.")
def nan_for_blind_queries(q, k, v, mask=None):
    return attend(q, k, v, mask, least=-math.inf, zeroed=False)


@mistake("sdpa", replaces="scaled_dot_product_attention", says="A query that may attend to nothing sees all.")
def blind_queries_see_everything(q, k, v, mask=None):
    return attend(q, k, v, mask, zeroed=False)


@mistake("sdpa", replaces="scaled_dot_product_attention", says="What you put in for masked scores is not small enough.")
def masks_with_too_little(q, k, v, mask=None):
    return attend(q, k, v, mask, least=-1e4)


@mistake("sdpa", replaces="scaled_dot_product_attention", says="Queries without keys get NaN gradients.")
def nan_in_the_gradient(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores + torch.zeros_like(scores).masked_fill(~mask, -math.inf)
    weights = softmax(scores, -1).nan_to_num(0.0)
    return weights @ v, weights


@mistake("sdpa", replaces="scaled_dot_product_attention", says="You write the mask into a tensor of the caller's.")
def fills_the_callers_mask(q, k, v, mask=None):
    result = attend(q, k, v, mask)
    if mask is not None:
        mask.logical_not_()
    return result


# --- heads -----------------------------------------------------------------------------------------------------------


def checked_width(x, n_heads):
    if n_heads < 1 or x.shape[-1] % n_heads:
        raise ValueError(f"n_heads must be at least 1 and divide {x.shape[-1]}, got {n_heads}")
    return x.shape[-1] // n_heads


@mistake("heads", replaces="split_heads", says="Your heads mix up tokens: one reshape cannot swap two axes.")
def splits_by_reshape(x, n_heads):
    return x.reshape(x.shape[0], n_heads, x.shape[1], checked_width(x, n_heads))


@mistake("heads", replaces="split_heads", says="Your heads take every n-th feature instead of neighbouring ones.")
def splits_into_every_nth_feature(x, n_heads):
    return x.unflatten(-1, (checked_width(x, n_heads), n_heads)).permute(0, 3, 1, 2)


@mistake("heads", replaces="split_heads", says="Your heads stand behind the time; they belong before it.")
def leaves_heads_behind_time(x, n_heads):
    return x.unflatten(-1, (n_heads, checked_width(x, n_heads)))


@mistake("heads", replaces="split_heads", says="Your split cuts off what does not divide.")
def cuts_off_the_rest(x, n_heads):
    head_dim = max(x.shape[-1] // max(n_heads, 1), 1)
    x = x[..., : max(n_heads, 1) * head_dim]
    return x.unflatten(-1, (-1, head_dim)).transpose(1, 2)


@mistake("heads", replaces="merge_heads", says="You merge heads without swapping them with time first.")
def merges_without_a_transpose(x):
    batch, heads, time, head_dim = x.shape
    return x.reshape(batch, time, heads * head_dim)


@mistake("heads", replaces="merge_heads", says="Merging, you put the heads' features in turn instead of side by side.")
def merges_features_in_turn(x):
    return x.permute(0, 2, 3, 1).flatten(2)


# --- cache -----------------------------------------------------------------------------------------------------------


@mistake("cache", replaces="KVCache", says="Your cache puts new positions before the old ones.")
class NewestFirst(KVCache):
    def append(self, k, v):
        self.keys = k if self.keys is None else torch.cat((k, self.keys), dim=-2)
        self.values = v if self.values is None else torch.cat((v, self.values), dim=-2)
        return self.keys, self.values


@mistake("cache", replaces="KVCache", says="The length of your cache counts calls, not positions.")
class CountsCalls(KVCache):
    calls = 0

    @property
    def length(self):
        return self.calls

    def append(self, k, v):
        self.calls += 1
        return super().append(k, v)


@mistake("cache", replaces="KVCache", says="All of your caches share what they hold.")
class SharedByAll:
    pieces = []

    @property
    def length(self):
        return sum(k.shape[-2] for k, _ in self.pieces)

    def append(self, k, v):
        self.pieces.append((k, v))
        return torch.cat([k for k, _ in self.pieces], dim=-2), torch.cat([v for _, v in self.pieces], dim=-2)


@mistake("cache", replaces="KVCache", says="Your cache joins along the heads, not along time.")
class JoinsHeads(KVCache):
    def append(self, k, v):
        self.keys = k if self.keys is None else torch.cat((self.keys, k), dim=1)
        self.values = v if self.values is None else torch.cat((self.values, v), dim=1)
        return self.keys, self.values


@mistake("cache", replaces="KVCache", says="Your cache returns only what is new.")
class ReturnsTheNew(KVCache):
    def append(self, k, v):
        super().append(k, v)
        return k, v


@mistake("cache", replaces="KVCache", says="Your cache returns the values first.")
class ValuesFirst(KVCache):
    def append(self, k, v):
        return super().append(k, v)[::-1]


@mistake("cache", replaces="KVCache", says="Your `length` is a method; others read it as a property.")
class LengthIsAMethod(KVCache):
    def length(self):
        return 0 if self.keys is None else self.keys.shape[-2]


@mistake("cache", replaces="KVCache", says="Your cache forgets all but the last two calls.")
class ForgetsTheFirst(KVCache):
    def append(self, k, v):
        result = super().append(k, v)
        self.keys, self.values = k, v
        return result


# --- attention -------------------------------------------------------------------------------------------------------


@mistake("attention", replaces="CausalSelfAttention", says="Your layer does not use out_proj.")
class ForgetsTheOutputProjection(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, k, v = rotated(self, x, cache, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        _, weights = scaled_dot_product_attention(q, k, v, causal_mask(q.shape[-2], k.shape[-2]))
        output = self.dropout(merge_heads(self.dropout(weights) @ v))
        return (output, weights) if return_weights else output


@mistake("attention", replaces="CausalSelfAttention", says="You take keys for queries.")
class MixesUpQueriesAndKeys(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        k, q, v = rotated(self, x, cache, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        return finished(self, q, k, v, return_weights)


@mistake("attention", replaces="CausalSelfAttention", says="You cut into heads first, then into q, k, v.")
class CutsHeadsBeforeQKV(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, k, v = split_heads(self.qkv_proj(x), self.n_heads).chunk(3, dim=-1)
        if self.rope is not None:
            start = 0 if cache is None else cache.length
            positions = torch.arange(start, start + x.shape[1]) if positions is None else positions
            q, k = self.rope(q, positions), self.rope(k, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        return finished(self, q, k, v, return_weights)


@mistake("attention", replaces="CausalSelfAttention", says="Your layer has no causal mask: a token sees the future.")
class SeesTheFuture(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, k, v = rotated(self, x, cache, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        return finished(self, q, k, v, return_weights, mask=torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool))


@mistake("attention", replaces="CausalSelfAttention", says="With a cache, a chunk sees its own future.")
class NoMaskWithACache(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, k, v = rotated(self, x, cache, positions)
        mask = None
        if cache is not None:
            k, v = cache.append(k, v)
            mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool)
        return finished(self, q, k, v, return_weights, mask)


@mistake("attention", replaces="CausalSelfAttention", says="With a cache, your mask takes new tokens for old.")
class MasksAsIfQueriesCameFirst(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, k, v = rotated(self, x, cache, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        return finished(self, q, k, v, return_weights, causal_mask(k.shape[-2])[: q.shape[-2]])


@mistake("attention", replaces="CausalSelfAttention", says="You scale by the width of the model, not of a head.")
class ScalesByTheModelsWidth(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, k, v = rotated(self, x, cache, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        return finished(self, q / math.sqrt(self.n_heads), k, v, return_weights)


@mistake("attention", replaces="CausalSelfAttention", says="With a cache, your positions begin again at 0.")
class PositionsRestart(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        positions = torch.arange(x.shape[1]) if positions is None else positions
        return super().forward(x, positions=positions, cache=cache, return_weights=return_weights)


@mistake("attention", replaces="CausalSelfAttention", says="With a cache, your positions jump ahead.")
class PositionsJump(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        if positions is None and cache is not None:
            positions = torch.arange(cache.length + x.shape[1], cache.length + 2 * x.shape[1])
        return super().forward(x, positions=positions, cache=cache, return_weights=return_weights)


@mistake("attention", replaces="CausalSelfAttention", says="Your layer ignores the positions that it is handed.")
class IgnoresPositions(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        return super().forward(x, cache=cache, return_weights=return_weights)


@mistake("attention", replaces="CausalSelfAttention", says="You cache keys before they are rotated.")
class CachesUnrotatedKeys(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, k, v = projected(self, x)
        start = 0 if cache is None else cache.length
        if cache is not None:
            k, v = cache.append(k, v)
        if self.rope is not None:
            positions = torch.arange(start, start + x.shape[1]) if positions is None else positions
            q, k = self.rope(q, positions), self.rope(k, torch.arange(k.shape[-2]))
        return finished(self, q, k, v, return_weights)


@mistake("attention", replaces="CausalSelfAttention", says="You rotate the cached keys again at every call.")
class RotatesCachedKeysAgain(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        start = 0 if cache is None else cache.length
        q, k, v = rotated(self, x, cache, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        if self.rope is not None and start > 0:
            k = torch.cat((self.rope(k[:, :, :start], torch.arange(start)), k[:, :, start:]), dim=2)
        return finished(self, q, k, v, return_weights)


@mistake("attention", replaces="CausalSelfAttention", says="You rotate the values, too.")
class RotatesValues(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        start = 0 if cache is None else cache.length
        q, k, v = rotated(self, x, cache, positions)
        if self.rope is not None:
            v = self.rope(v, torch.arange(start, start + x.shape[1]) if positions is None else positions)
        if cache is not None:
            k, v = cache.append(k, v)
        return finished(self, q, k, v, return_weights)


@mistake("attention", replaces="CausalSelfAttention", says="You rotate the queries and not the keys.")
class RotatesOnlyQueries(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, _, _ = rotated(self, x, cache, positions)
        _, k, v = projected(self, x)
        if cache is not None:
            k, v = cache.append(k, v)
        return finished(self, q, k, v, return_weights)


@mistake("attention", replaces="CausalSelfAttention", says="Your dropout is active in evaluation mode, too.")
class DropoutInEvaluation(CausalSelfAttention):
    def __init__(self, d_model, n_heads, *, dropout=0.0, bias=True, rope=None):
        super().__init__(d_model, n_heads, bias=bias, rope=rope)
        self.probability = dropout

    def forward(self, x, **options):
        output = super().forward(x, **options)
        if isinstance(output, tuple):
            return F.dropout(output[0], self.probability), output[1]
        return F.dropout(output, self.probability)


@mistake("attention", replaces="CausalSelfAttention", says="The weights that you return have been through dropout.")
class ReturnsDroppedWeights(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, k, v = rotated(self, x, cache, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        _, weights = scaled_dot_product_attention(q, k, v, causal_mask(q.shape[-2], k.shape[-2]))
        weights = self.dropout(weights)
        output = self.dropout(self.out_proj(merge_heads(weights @ v)))
        return (output, weights) if return_weights else output


@mistake("attention", replaces="CausalSelfAttention", says="Your layer drops nothing of its output.")
class DropoutOnWeightsOnly(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, k, v = rotated(self, x, cache, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        _, weights = scaled_dot_product_attention(q, k, v, causal_mask(q.shape[-2], k.shape[-2]))
        output = self.out_proj(merge_heads(self.dropout(weights) @ v))
        return (output, weights) if return_weights else output


@mistake("attention", replaces="CausalSelfAttention", says="Your layer drops none of its attention weights.")
class DropoutOnOutputOnly(CausalSelfAttention):
    def forward(self, x, *, positions=None, cache=None, return_weights=False):
        q, k, v = rotated(self, x, cache, positions)
        if cache is not None:
            k, v = cache.append(k, v)
        mixed, weights = scaled_dot_product_attention(q, k, v, causal_mask(q.shape[-2], k.shape[-2]))
        output = self.dropout(self.out_proj(merge_heads(mixed)))
        return (output, weights) if return_weights else output


@mistake("attention", replaces="CausalSelfAttention", says="Your layer has biases even with bias=False.")
class IgnoresBias(CausalSelfAttention):
    def __init__(self, d_model, n_heads, *, dropout=0.0, bias=True, rope=None):
        super().__init__(d_model, n_heads, dropout=dropout, bias=True, rope=rope)


@mistake("attention", replaces="CausalSelfAttention", says="bias=False takes the bias of one of your two layers only.")
class KeepsTheOutputBias(CausalSelfAttention):
    def __init__(self, d_model, n_heads, *, dropout=0.0, bias=True, rope=None):
        super().__init__(d_model, n_heads, dropout=dropout, bias=bias, rope=rope)
        self.out_proj = nn.Linear(d_model, d_model)


@mistake("attention", replaces="CausalSelfAttention", says="Your layer returns the weights averaged over its heads.")
class AveragesTheWeights(CausalSelfAttention):
    def forward(self, x, *, return_weights=False, **options):
        output, weights = super().forward(x, return_weights=True, **options)
        return (output, weights.mean(1)) if return_weights else output


@mistake("attention", replaces="CausalSelfAttention", says="Your layer accepts a width that its heads do not divide.")
class AcceptsAnyWidth(CausalSelfAttention):
    def __init__(self, d_model, n_heads, *, dropout=0.0, bias=True, rope=None):
        super().__init__(d_model, 1, dropout=dropout, bias=bias, rope=rope)
        self.n_heads = n_heads
