"""Visible tests of assignment 04. Run them with `pytest assignments/04_attention`.

Each test says in its first line what should hold. Inputs are drawn anew for every seed: try `--minigpt-seed 1`.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autograder.minigpt.library import library_parts
from autograder.testing import close, has_shape, hint, points, require, task


def is_mask(actual, rows, hint=None):
    """`actual` is a boolean tensor with exactly these rows."""
    expected = torch.tensor(rows, dtype=torch.bool)
    has_shape(actual, *expected.shape, hint=hint)
    require(actual.dtype == torch.bool, f"expected a tensor of torch.bool, got {actual.dtype}", hint)
    require(torch.equal(actual, expected), f"expected {expected.int().tolist()}, got {actual.int().tolist()}", hint)


def draw_weights(rng, d_model, bias=True):
    """Weights for a layer, large enough that every part of it shows."""
    weights = {
        "qkv_proj.weight": rng.normal(3 * d_model, d_model, scale=d_model**-0.5),
        "out_proj.weight": rng.normal(d_model, d_model, scale=d_model**-0.5),
    }
    if bias:
        weights |= {"qkv_proj.bias": rng.normal(3 * d_model), "out_proj.bias": rng.normal(d_model)}
    return weights


def make_layer(student, weights, d_model, n_heads, **options):
    """The student's layer with these weights, in evaluation mode."""
    layer = student.CausalSelfAttention(d_model, n_heads, **options)
    student.library.set_weights(layer, weights)
    layer.eval()
    return layer


def torchs_attention(x, weights, n_heads):
    """The same layer made of `torch.nn.MultiheadAttention`, whose mask says True for "may not attend"."""
    oracle = nn.MultiheadAttention(x.shape[-1], n_heads, batch_first=True)
    renamed = {"in_proj_weight": weights["qkv_proj.weight"], "in_proj_bias": weights["qkv_proj.bias"]}
    oracle.load_state_dict(renamed | {name: weights[name] for name in ("out_proj.weight", "out_proj.bias")})
    future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(diagonal=1)
    return oracle(x, x, x, attn_mask=future, average_attn_weights=False)


# --- softmax ---------------------------------------------------------------------------------------------------------


@task("softmax")
@points(2)
def test_softmax_of_any_axis(student, rng):
    """Softmax gives probabilities along the axis that was asked for, whichever it is."""
    x = rng.normal(2, 3, 4, scale=2.0)
    close(student.softmax(torch.tensor([0.0, 1.0986123]), dim=0), torch.tensor([0.25, 0.75]))
    for dim in (0, 1, 2, -1, -2):
        close(student.softmax(x, dim=dim), torch.softmax(x, dim), hint="Reduce along `dim`, with keepdim=True.")


@task("softmax")
@points(2)
def test_softmax_of_large_numbers(student, rng):
    """Numbers around ten thousand, or around minus ten thousand, give no infinity and no NaN."""
    x = rng.normal(3, 6) + torch.tensor([[1e4], [0.0], [-1e4]])
    hint = "Take away the largest number of each row before exp: it changes nothing in the result."
    close(student.softmax(x, dim=-1), torch.softmax(x, -1), rtol=0.01, atol=1e-3, hint=hint)


# --- mask ------------------------------------------------------------------------------------------------------------


@task("mask")
@points(2)
def test_mask_of_three_tokens(student):
    """A token may attend to itself and to what came before it, and to nothing later."""
    is_mask(student.causal_mask(1), [[1]], hint="A token may attend to itself.")
    rows = [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    is_mask(student.causal_mask(3), rows, hint="Rows are queries, columns are keys, True means 'may attend'.")


@task("mask")
@points(1)
def test_mask_with_more_keys_than_queries(student):
    """With more keys than queries, the queries are the last positions."""
    rows = [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    is_mask(student.causal_mask(2, 5), rows, hint="With 5 keys, the 2 queries stand at positions 3 and 4.")


# --- sdpa ------------------------------------------------------------------------------------------------------------


@task("sdpa")
@points(1)
def test_attention_of_the_docstring(student):
    """The docstring's example comes out: weights 1/4 and 3/4, output 7."""
    q = torch.tensor([[2.0, 0.0, 0.0, 0.0]])
    k = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0986123, 0.0, 0.0, 0.0]])
    output, weights = student.scaled_dot_product_attention(q, k, torch.tensor([[4.0], [8.0]]))
    close(weights, torch.tensor([[0.25, 0.75]]), hint="The scores before softmax are 0 and 1.0986: divided by √4.")
    close(output, torch.tensor([[7.0]]), hint="The output is the average of the values under the weights.")


@task("sdpa")
@points(2)
def test_attention_without_a_mask(student, rng):
    """Without a mask, output and weights agree with torch's own attention on drawn queries, keys and values."""
    q, k, v = rng.normal(2, 3, 4, 8), rng.normal(2, 3, 6, 8), rng.normal(2, 3, 6, 5)
    output, weights = student.scaled_dot_product_attention(q, k, v)
    has_shape(weights, 2, 3, 4, 6, hint="One weight for each query and each key.")
    close(weights.sum(-1), torch.ones(2, 3, 4), hint="Softmax goes over the keys: dim=-1.")
    close(output, F.scaled_dot_product_attention(q, k, v), hint="Divide the dot products by √d_k before softmax.")


@task("sdpa")
@points(2)
def test_attention_with_a_mask(student, rng):
    """A key whose mask is False gets the weight 0, and the other keys share the whole weight."""
    q, k, v = rng.normal(2, 4, 8), rng.normal(2, 6, 8), rng.normal(2, 6, 8)
    mask = rng.uniform(0, 1, 4, 6) < 0.5
    mask[:, 0], mask[:, 1] = True, False
    output, weights = student.scaled_dot_product_attention(q, k, v, mask)
    has_shape(weights, 2, 4, 6, hint="One weight for each query and each key.")
    zeros = torch.zeros(2, 4, 6).masked_select(~mask)
    close(weights.masked_select(~mask), zeros, hint="True means 'may attend': fill the scores where the mask is False.")
    close(weights.sum(-1), torch.ones(2, 4), hint="Mask the scores before softmax, so that the weights still sum to 1.")
    close(output, F.scaled_dot_product_attention(q, k, v, attn_mask=mask))


@task("sdpa")
@points(2)
def test_query_that_may_attend_to_nothing(student, rng):
    """A query that may attend to nothing gets zero weights and a zero output, and the others are not disturbed."""
    q, k, v = rng.qkv(batch=2, heads=1, time=3, dim=4)
    mask = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    output, weights = student.scaled_dot_product_attention(q, k, v, mask)
    hint = "Softmax over a row without an allowed key gives NaN or equal weights. Set masked weights to 0."
    close(weights[..., 1, :], torch.zeros(2, 1, 3), hint=hint)
    close(output[..., 1, :], torch.zeros(2, 1, 4), hint=hint)
    others = F.scaled_dot_product_attention(q[..., [0, 2], :], k, v, attn_mask=mask[[0, 2]])
    close(output[..., [0, 2], :], others)


# --- heads -----------------------------------------------------------------------------------------------------------


@task("heads")
@points(2)
def test_split_gives_each_head_its_features(student, rng):
    """Head 0 gets the first features of every token, head 1 the next ones, and so on."""
    x = rng.normal(2, 5, 12)
    heads = student.split_heads(x, 3)
    has_shape(heads, 2, 3, 5, 4, hint="The result is (batch, heads, time, head_dim).")
    for head in range(3):
        features = x[:, :, 4 * head : 4 * head + 4]
        close(heads[:, head], features, hint="Cut the last axis in two first, then swap time and heads.")


@task("heads")
@points(1)
def test_merge_undoes_split(student, rng):
    """Merging puts the heads' pieces of each token side by side again, so it undoes splitting."""
    heads = torch.tensor([[[[1.0, 2.0], [5.0, 6.0]], [[3.0, 4.0], [7.0, 8.0]]]])
    tokens = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]])
    close(student.merge_heads(heads), tokens, hint="Swap heads and time back before you join the last two axes.")
    x = rng.normal(3, 4, 6)
    close(student.merge_heads(student.split_heads(x, 2)), x)


# --- cache -----------------------------------------------------------------------------------------------------------


@task("cache")
@points(2)
def test_cache_returns_everything_so_far(student, rng):
    """Appending returns all keys and all values so far, the old ones first, and `length` counts the positions."""
    k, v = rng.normal(2, 3, 4, 5), rng.normal(2, 3, 4, 5)
    cache = student.KVCache()
    first_k, first_v = cache.append(k[:, :, :3], v[:, :, :3])
    close(first_k, k[:, :, :3])
    close(first_v, v[:, :, :3])
    all_k, all_v = cache.append(k[:, :, 3:], v[:, :, 3:])
    close(all_k, k, hint="Join old and new along the time axis, dim=-2, with the old ones first.")
    close(all_v, v, hint="Values are kept like keys, and apart from them.")
    require(cache.length == 4, "after 3 positions and 1 more, length is 4")


@task("cache")
@points(1)
def test_cache_starts_empty(student, rng):
    """A new cache has length 0, also when another one is in use."""
    busy = student.KVCache()
    busy.append(rng.normal(1, 2, 3, 4), rng.normal(1, 2, 3, 4))
    fresh = student.KVCache()
    hint = "length is a number, not a method. What a cache keeps belongs to it alone: make it in __init__."
    require(fresh.length == 0, "the length of a new cache is 0", hint)
    require(busy.length == 3, "the length of a cache is that of its own contents", hint)


# --- attention -------------------------------------------------------------------------------------------------------


@task("attention")
@points(2)
def test_layer_agrees_with_torch(student, rng):
    """With the same weights, the layer gives what torch's multi-head attention gives."""
    weights, x = draw_weights(rng, 12), rng.normal(2, 5, 12)
    expected, _ = torchs_attention(x, weights, n_heads=3)
    output = make_layer(student, weights, 12, 3)(x)
    hint = "Check in turn: q, k, v in that order; the heads; the causal mask; √head_dim; out_proj at the end."
    close(output, expected, hint=hint)


@task("attention")
@points(2)
def test_the_future_changes_nothing(student, rng):
    """What comes later in the sequence has no influence on earlier outputs."""
    layer = make_layer(student, draw_weights(rng, 8), 8, 2)
    x = rng.normal(1, 6, 8)
    changed = torch.cat((x[:, :4], rng.normal(1, 2, 8)), dim=1)
    before, after = layer(x), layer(changed)
    close(after[:, :4], before[:, :4], hint="Pass the causal mask to scaled_dot_product_attention.")
    require(not torch.allclose(after[:, 4], before[:, 4]), "a token's own vector does change its output")


@task("attention")
@points(1)
def test_weights_are_returned_on_request(student, rng):
    """`return_weights=True` gives the output and each head's weights; without it the output comes alone."""
    weights, x = draw_weights(rng, 8), rng.normal(2, 5, 8)
    layer = make_layer(student, weights, 8, 4)
    output, seen = layer(x, return_weights=True)
    has_shape(seen, 2, 4, 5, 5, hint="The weights are (batch, heads, time, keys).")
    _, expected = torchs_attention(x, weights, n_heads=4)
    close(seen, expected, hint="Return the weights of scaled_dot_product_attention as they are.")
    close(layer(x), output)


@task("attention")
@points(2)
def test_one_token_at_a_time(student, rng):
    """Fed one token at a time, with a cache, the layer gives what it gives for the whole sequence."""
    weights, x = draw_weights(rng, 8), rng.normal(2, 5, 8)
    layer = make_layer(student, weights, 8, 2)
    expected, _ = torchs_attention(x, weights, n_heads=2)
    cache = student.library.KVCache()
    pieces = [layer(x[:, t : t + 1], cache=cache) for t in range(5)]
    hint = "Attend to all that append returns. The mask has as many columns as there are keys."
    close(torch.cat(pieces, dim=1), expected, hint=hint)
    require(cache.length == 5, "each call appends the new positions to the cache once")


@task("attention")
@points(1)
def test_rope_turns_queries_and_keys(student, rng):
    """A `rope` that is handed in turns queries and keys by their positions, which go on after the cache."""
    weights, x = draw_weights(rng, 8), rng.normal(2, 5, 8)
    oracle = library_parts().CausalSelfAttention(8, 1, rope=library_parts().apply_rope)
    oracle.load_state_dict(weights)
    layer = make_layer(student, weights, 8, 1, rope=student.library.rope())
    close(layer(x), oracle(x), hint="Rotate q and k, not v, by positions 0, 1, 2, ...")
    cache = student.library.KVCache()
    pieces = [layer(x[:, :3], cache=cache), layer(x[:, 3:], cache=cache)]
    hint = "The first new token stands at position cache.length. Rotate the new keys alone, then append them."
    close(torch.cat(pieces, dim=1), oracle(x), hint=hint)


@task("attention")
@points(1)
def test_no_dropout_in_evaluation(student, rng):
    """In evaluation mode dropout does nothing; in training mode it does something."""
    weights, x = draw_weights(rng, 8), rng.normal(2, 6, 8)
    expected, _ = torchs_attention(x, weights, n_heads=2)
    layer = make_layer(student, weights, 8, 2, dropout=0.5)
    hint = "nn.Dropout knows whether the layer is in training; F.dropout has to be told: training=self.training."
    close(layer(x), expected, hint=hint)
    layer.train()
    require(not torch.allclose(layer(x), expected), "with dropout=0.5, training changes the output")


@task("attention")
@points(2)
@hint("Two places: on the attention weights, and on the output behind out_proj, with the same probability.")
def test_dropout_in_training(student, rng):
    """In training, dropout acts on the attention weights and on the output, and scales up what it leaves."""
    identity = torch.eye(4)
    weights = {
        "qkv_proj.weight": torch.cat((rng.normal(8, 4), identity)),  # values are the input
        "out_proj.weight": identity,
    }
    layer = make_layer(student, weights, 4, 1, bias=False, dropout=0.25)
    x = rng.uniform(1, 2, 2000, 1, 4)  # one token, so its only weight is 1: kept and scaled by 4/3, or dropped
    close(layer(x), x, hint="In evaluation mode, dropout does nothing.")
    layer.train()
    output = layer(x)
    has_shape(output, 2000, 1, 4)
    kept = output != 0
    close(output.masked_select(kept), (x / 0.75**2).masked_select(kept))
    empty_rows = (~kept).all(-1).double().mean().item()  # 0.25 of the rows, and a few by chance: 0.253
    require(0.18 < empty_rows < 0.33, "dropout on the attention weights is missing, or has a wrong probability")
    alive = kept.any(-1).squeeze(-1)
    zeros = (~kept)[alive].double().mean().item()  # about 0.247
    require(0.18 < zeros < 0.32, "dropout on the output is missing, or has a wrong probability")


@task("attention")
@points(1)
def test_heads_must_divide_the_width(student, rng):
    """A width that the heads do not divide is a ValueError; one that they divide is not."""
    with pytest.raises(ValueError):
        student.CausalSelfAttention(8, 3)
    has_shape(student.CausalSelfAttention(9, 3)(rng.normal(1, 2, 9)), 1, 2, 9)
