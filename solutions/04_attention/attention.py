"""Causal self-attention: every token looks back at the tokens before it, and at itself.

    layer = CausalSelfAttention(d_model=8, n_heads=2)
    layer(torch.randn(1, 5, 8)).shape            # (batch, time, d_model) = (1, 5, 8), the shape that went in

From small to large: `softmax`, `causal_mask`, `scaled_dot_product_attention`, `split_heads` and `merge_heads`,
`KVCache`, and `CausalSelfAttention`, which uses all of them. A mask is boolean, and True means "may attend".

Does not handle: attention from one sequence to another, padding, or a different number of heads for keys and queries.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def softmax(x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """Turns numbers into probabilities along the axis `dim`: exp(x) divided by the sum of exp(x).

    On paper: exp(0) = 1 and exp(ln 3) = 3, so [0, ln 3] becomes [1/4, 3/4]:

        softmax(torch.tensor([0.0, 1.0986]), dim=0)              # tensor([0.2500, 0.7500])

    exp(1000) is infinite in float32, and infinity divided by infinity is NaN. Taking the same number away from every
    x along `dim` changes nothing in the result, so take away the largest: then the largest exponent is 0.

    x: any shape. dim: the axis that shall sum to 1; negative counts from the end.
    Returns the shape and dtype of x. float16 and bfloat16 are too coarse to add up many small numbers: compute in
    float32 for them, and go back at the end.

    Steps:
    1. Widen x to float32 if it is narrower than that. float64 stays float64.
    2. Subtract the largest value along `dim`, and take exp.
    3. Divide by the sum along `dim`, and go back to the dtype of x.
    """
    ### BEGIN SOLUTION
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    largest = wide.detach().amax(dim=dim, keepdim=True)  # it cancels out, so no gradient has to go through it
    # exp(x) is 2 to the power of x · log₂ e. torch is quick at that, and slow at exp where the result is nearly 0.
    exponentials = torch.exp2((wide - largest) * math.log2(math.e))
    return (exponentials / exponentials.sum(dim=dim, keepdim=True)).to(x.dtype)
    ### END SOLUTION


def causal_mask(n_queries: int, n_keys: int | None = None) -> Bool[Tensor, "n_queries n_keys"]:
    """Says which keys each query may attend to: those at its own position and before it. True means "may attend".

    With as many keys as queries, this is the lower triangle (Vaswani et al. 2017, section 3.2.3). With more keys than
    queries, the queries are the last positions: the other keys came earlier, from a cache. So for 2 queries and
    4 keys the queries stand at positions 2 and 3:

        causal_mask(2, 4)                                        # tensor([[True, True, True, False],
                                                                 #         [True, True, True, True]])

    n_keys: as many as `n_queries` if it is None.
    Raises ValueError if `n_queries` is below 1, or `n_keys` below `n_queries`.

    Steps:
    1. Check the two numbers.
    2. List the positions of the keys, from 0, and of the queries, which are the last ones of these.
    3. Compare each query's position with each key's: a key that is not later may be attended to.
    """
    ### BEGIN SOLUTION
    n_keys = n_queries if n_keys is None else n_keys
    if n_queries < 1:
        raise ValueError(f"n_queries must be at least 1, got {n_queries}")
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries = {n_queries}, got {n_keys}")
    key_positions = torch.arange(n_keys)  # (n_keys,)
    query_positions = key_positions[-n_queries:, None]  # (n_queries, 1)
    return key_positions <= query_positions  # (n_queries, n_keys)
    ### END SOLUTION


def scaled_dot_product_attention(
    q: Float[Tensor, "... queries d_k"],
    k: Float[Tensor, "... keys d_k"],
    v: Float[Tensor, "... keys d_v"],
    mask: Bool[Tensor, "..."] | None = None,
) -> tuple[Float[Tensor, "... queries d_v"], Float[Tensor, "... queries keys"]]:
    """Computes softmax(q kᵀ / √d_k) v (Vaswani et al. 2017, section 3.2.1).

    Each query is compared with every key. The weights say how well they match, and the output is the average of the
    values under these weights. On paper, with d_k = 4: the dot products are 0 and 2 ln 3; divided by √4 they are 0 and
    ln 3; the weights are 1/4 and 3/4; and 1/4 · 4 + 3/4 · 8 = 7:

        q = torch.tensor([[2.0, 0.0, 0.0, 0.0]])
        k = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0986, 0.0, 0.0, 0.0]])
        v = torch.tensor([[4.0], [8.0]])
        scaled_dot_product_attention(q, k, v)                    # (tensor([[7.0]]), tensor([[0.25, 0.75]]))

    q, k, v: any number of leading axes, the same for all three; keys and values belong together one by one.
    mask: boolean, True where a query may attend to a key; its shape broadcasts to (..., queries, keys).
    Returns (output, weights), both in the dtype of the inputs. A key that is masked has weight 0. A query that may
    attend to nothing has zero weights and a zero output, and passes no gradient on. There is never a NaN.

    Steps:
    1. Take the dot product of every query with every key, and divide by √d_k.
    2. Where the mask is False, put in the most negative number that the dtype has. (−inf would do as well, until a
       query may attend to nothing: then softmax would meet nothing but −inf.)
    3. Apply your softmax over the keys.
    4. Where the mask is False, set the weight to 0. This matters for a query that may attend to nothing.
    5. Average the values under the weights.
    """
    ### BEGIN SOLUTION
    scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)  # (..., queries, keys)
    if mask is not None:
        wide = torch.promote_types(scores.dtype, torch.float32)
        bias = (~mask).to(wide) * torch.finfo(wide).min  # 0 or the most negative number: added, it drowns the score
        scores = scores + bias
    weights = softmax(scores, dim=-1).to(q.dtype)  # (..., queries, keys)
    if mask is not None:
        weights = weights * mask.to(q.dtype)
    return weights @ v, weights
    ### END SOLUTION


def split_heads(x: Float[Tensor, "batch time d_model"], n_heads: int) -> Float[Tensor, "batch heads time head_dim"]:
    """Cuts each token's vector into `n_heads` pieces of the same size: head 0 gets the first features, and so on.

    Then the heads stand before the time, so that attention treats them as one more leading axis
    (Vaswani et al. 2017, section 3.2.2). Two tokens, four features, two heads:

        x = torch.tensor([[[1., 2., 3., 4.], [5., 6., 7., 8.]]])
        split_heads(x, 2)                                        # tensor([[[[1., 2.], [5., 6.]],     head 0
                                                                 #          [[3., 4.], [7., 8.]]]])   head 1

    Returns shape (batch, heads, time, head_dim), with head_dim = d_model / n_heads.
    Raises ValueError if `n_heads` is below 1, or d_model is not divisible by it.

    Steps:
    1. Check `n_heads`.
    2. Give the last axis two axes: (heads, head_dim).
    3. Swap time and heads.
    """
    ### BEGIN SOLUTION
    d_model = x.shape[-1]
    if n_heads < 1 or d_model % n_heads != 0:
        raise ValueError(f"n_heads must be at least 1 and divide d_model = {d_model}, got {n_heads}")
    heads = x.unflatten(-1, (n_heads, d_model // n_heads))  # (batch, time, heads, head_dim)
    return heads.transpose(1, 2)  # (batch, heads, time, head_dim)
    ### END SOLUTION


def merge_heads(x: Float[Tensor, "batch heads time head_dim"]) -> Float[Tensor, "batch time d_model"]:
    """Undoes `split_heads`: puts the heads' pieces of each token side by side again, head 0 first.

        merge_heads(split_heads(x, 2))                           # x

    Returns shape (batch, time, d_model), with d_model = heads · head_dim.

    Steps:
    1. Swap heads and time back.
    2. Make one axis of the last two.
    """
    ### BEGIN SOLUTION
    return x.transpose(1, 2).flatten(start_dim=2)  # (batch, time, d_model)
    ### END SOLUTION


class KVCache:
    """Keeps the keys and values of the tokens so far, so that each new token costs only its own.

        cache = KVCache()
        cache.length                                             # 0
        k, v = cache.append(k, v)                                # 3 new positions in, 3 out
        k, v = cache.append(next_k, next_v)                      # 1 new position in, 4 out: the old ones come first
        cache.length                                             # 4

    When a model writes text, the keys and values of earlier tokens do not change: a token never sees what comes after
    it. Every layer has a cache of its own. It grows without an end.
    """

    def __init__(self) -> None:
        """Starts empty. What you keep, and how, is up to you: others use only `append` and `length`."""
        ### BEGIN SOLUTION
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        ### END SOLUTION

    @property
    def length(self) -> int:
        """The number of positions in the cache; 0 at first."""
        ### BEGIN SOLUTION
        return 0 if self.keys is None else self.keys.shape[-2]
        ### END SOLUTION

    def append(
        self, k: Float[Tensor, "batch heads time head_dim"], v: Float[Tensor, "batch heads time head_dim"]
    ) -> tuple[Float[Tensor, "batch heads length head_dim"], Float[Tensor, "batch heads length head_dim"]]:
        """Adds the keys and values of new positions behind the old ones, and returns all so far as (k, v).

        k, v: one position or several, shape (batch, heads, time, head_dim). They are left as they are.

        Steps:
        1. If the cache is empty, what is new is all there is.
        2. Otherwise join old and new along the time axis, old first. Keep the result for the next call.
        """
        ### BEGIN SOLUTION
        self.keys = k if self.keys is None else torch.cat((self.keys, k), dim=-2)
        self.values = v if self.values is None else torch.cat((self.values, v), dim=-2)
        return self.keys, self.values  # (batch, heads, length, head_dim)
        ### END SOLUTION


class CausalSelfAttention(nn.Module):
    """Multi-head attention of a sequence to its own past (Vaswani et al. 2017, section 3.2.2; GPT-2).

        layer = CausalSelfAttention(d_model=8, n_heads=2)
        output, weights = layer(torch.randn(1, 5, 8), return_weights=True)
        output.shape, weights.shape                              # (1, 5, 8), (1, 2, 5, 5)

    d_model: the width of a token's vector. Each of the `n_heads` heads works with d_model / n_heads of it.
    dropout: how likely each attention weight, and each number of the output, is to be zeroed in training.
    bias: whether the two projections have a bias.
    rope: a callable `(x, positions) -> x` that rotates queries and keys (Su et al. 2021), or None.
    Raises ValueError if `d_model` or `n_heads` is below 1, or d_model is not divisible by n_heads.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        dropout: float = 0.0,
        bias: bool = True,
        rope: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        """Makes the parts. Other modules rely on two of them, by these names:

        qkv_proj: a linear layer from d_model to 3 · d_model. Its output holds the queries, then the keys, then the
            values, d_model numbers each.
        out_proj: a linear layer from d_model to d_model.

        Steps:
        1. Check the sizes.
        2. Make the two linear layers and the dropout. Keep what `forward` needs.
        """
        super().__init__()
        ### BEGIN SOLUTION
        if d_model < 1:
            raise ValueError(f"d_model must be at least 1, got {d_model}")
        if n_heads < 1 or d_model % n_heads != 0:
            raise ValueError(f"n_heads must be at least 1 and divide d_model = {d_model}, got {n_heads}")
        self.n_heads = n_heads
        self.rope = rope
        self.qkv_proj = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        ### END SOLUTION

    def forward(
        self,
        x: Float[Tensor, "batch time d_model"],
        *,
        positions: Int[Tensor, " time"] | None = None,
        cache: KVCache | None = None,
        return_weights: bool = False,
    ) -> Float[Tensor, "batch time d_model"] | tuple[Tensor, Tensor]:
        """Lets each token of x attend to itself, to the tokens before it, and to those in the cache.

        x: with a cache, only the new tokens.
        positions: where the tokens of x stand, for `rope`. None: they follow the cache, or begin at 0 without one.
        cache: has `append(k, v)` and `length`, as KVCache does. Use nothing else of it.
        Returns the output, (batch, time, d_model); or (output, weights) if `return_weights`, with the weights as they
        were before dropout, (batch, heads, time, keys).

        Steps:
        1. Project x, and cut the result into q, k and v. Split each into heads.
        2. With `rope`, rotate q and k (never v) by their positions.
        3. With `cache`, append k and v, and go on with all keys and values so far. What goes in is rotated already.
        4. Attend, with a causal mask for as many queries and keys as there are now.
        5. Apply dropout to the weights, and average the values under what is left.
        6. Merge the heads, project, and apply dropout again.
        """
        ### BEGIN SOLUTION
        q, k, v = (split_heads(part, self.n_heads) for part in self.qkv_proj(x).chunk(3, dim=-1))
        if self.rope is not None:
            if positions is None:
                start = 0 if cache is None else cache.length
                positions = torch.arange(start, start + x.shape[1], device=x.device)
            q, k = self.rope(q, positions), self.rope(k, positions)
        if cache is not None:
            k, v = cache.append(k, v)  # (batch, heads, keys, head_dim)
        mask = causal_mask(q.shape[-2], k.shape[-2]).to(x.device)  # (time, keys)
        attended, weights = scaled_dot_product_attention(q, k, v, mask)  # weights: (batch, heads, time, keys)
        if self.dropout.p > 0:
            attended = self.dropout(weights) @ v  # (batch, heads, time, head_dim)
        output = self.dropout(self.out_proj(merge_heads(attended)))  # (batch, time, d_model)
        return (output, weights) if return_weights else output
        ### END SOLUTION
