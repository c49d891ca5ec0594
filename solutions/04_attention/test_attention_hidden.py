"""Hidden tests of assignment 04. A student sees a test's title and its hint, and nothing else."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autograder.minigpt.library import library_parts
from autograder.testing import close, has_shape, hint, points, require, task


def same_mask(actual, expected):
    """`actual` is a boolean tensor, equal to `expected`."""
    has_shape(actual, *expected.shape)
    require(actual.dtype == torch.bool, "the mask is not boolean", "A mask is a tensor of dtype torch.bool.")
    require(torch.equal(actual, expected), "the mask has wrong entries")


def draw_weights(rng, d_model, bias=True, dtype=torch.float32):
    """Weights for a layer, large enough that every part of it shows."""
    weights = {
        "qkv_proj.weight": rng.normal(3 * d_model, d_model, scale=d_model**-0.5, dtype=dtype),
        "out_proj.weight": rng.normal(d_model, d_model, scale=d_model**-0.5, dtype=dtype),
    }
    if bias:
        weights |= {
            "qkv_proj.bias": rng.normal(3 * d_model, dtype=dtype),
            "out_proj.bias": rng.normal(d_model, dtype=dtype),
        }
    return weights


def make_layer(student, weights, d_model, n_heads, **options):
    """The student's layer with these weights, in evaluation mode."""
    layer = student.CausalSelfAttention(d_model, n_heads, **options)
    student.library.set_weights(layer, weights)
    layer.eval()
    return layer


def torchs_layer(weights, n_heads):
    """`torch.nn.MultiheadAttention` with the same weights."""
    d_model = weights["out_proj.weight"].shape[0]
    oracle = nn.MultiheadAttention(d_model, n_heads, bias="out_proj.bias" in weights, batch_first=True)
    oracle.load_state_dict({name.replace("qkv_proj.", "in_proj_"): value for name, value in weights.items()})
    return oracle.to(weights["out_proj.weight"].dtype)


def torchs_attention(oracle, x):
    """Output and weights of `oracle` under a causal mask; torch's says True for "may not attend"."""
    future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(diagonal=1)
    return oracle(x, x, x, attn_mask=future, average_attn_weights=False)


def one_head_with_rope(x, weights, positions):
    """What a layer of a single head gives with RoPE, from its formula."""
    rotate = library_parts().apply_rope
    q, k, v = F.linear(x, weights["qkv_proj.weight"], weights["qkv_proj.bias"]).chunk(3, -1)
    mixed = F.scaled_dot_product_attention(rotate(q, positions), rotate(k, positions), v, is_causal=True)
    return F.linear(mixed, weights["out_proj.weight"], weights["out_proj.bias"])


# --- softmax ---------------------------------------------------------------------------------------------------------


@task("softmax")
@points(2)
@hint("Take away the maximum along `dim`, not the maximum of everything, and keep the axis.")
def test_softmax_of_extremes(student, rng):
    """Ties share equally, −inf gets exactly 0, and rows that lie thousands apart do not disturb each other."""
    ties = torch.full((2, 5), rng.choice([-1e4, 0.0, 1e4]))
    close(student.softmax(ties, dim=1), torch.full((2, 5), 0.2), rtol=0.01)
    x = rng.normal(4, 4) + torch.tensor([3e4, 0.0, -3e4, 1e4])
    close(student.softmax(x, dim=0), torch.softmax(x, 0), rtol=0.01, atol=1e-3)
    x = rng.normal(4, 4)
    x[1:3, 2] = -torch.inf
    close(student.softmax(x, dim=0), torch.softmax(x, 0), hint="exp(−inf) is 0, without a special case.")
    close(student.softmax(rng.normal(3, 1, scale=100.0), dim=1), torch.ones(3, 1))


@task("softmax")
@points(2)
def test_softmax_keeps_the_dtype(student, rng):
    """Half precision comes back as half precision, double as double, and the sum is taken in at least float32."""
    x = rng.normal(3, 7)
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        result = student.softmax(x.to(dtype), dim=-1)
        close(result, torch.softmax(x.to(dtype), -1), atol=1e-2)
        require(result.dtype == dtype, "the dtype changed", hint="Go back to the dtype of x at the end.")
    wide = torch.zeros(70000, dtype=torch.float16)
    hint = "float16 ends at 65504. Add up in float32."
    close(student.softmax(wide, dim=0), torch.full((70000,), 1 / 70000), rtol=0.05, atol=0.0, hint=hint)


@task("softmax")
@points(1)
@hint("Use torch's functions on tensors from beginning to end; .item(), .tolist() or .data lose the gradient.")
def test_softmax_gradient(student, rng):
    """The gradient of softmax agrees with torch's."""
    x, upstream = rng.normal(3, 4, dtype=torch.float64), rng.normal(3, 4, dtype=torch.float64)
    (gradient,) = student.library.gradients(student.softmax, [x], upstream=upstream, dim=0)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad((torch.softmax(leaf, 0) * upstream).sum(), leaf)
    close(gradient, expected)


@task("softmax")
@points(1)
@hint("x -= ..., exp_() and the like write into the caller's tensor. Make new tensors.")
def test_softmax_leaves_its_argument_alone(student, rng):
    """Softmax does not change the tensor that it is given."""
    x = rng.normal(3, 4)
    require(student.library.leaves_arguments_alone(student.softmax, x.clone(), dim=1), "the argument changed")
    close(student.softmax(x, dim=1), torch.softmax(x, 1))


# --- mask ------------------------------------------------------------------------------------------------------------


@task("mask")
@points(2)
@hint("The queries are the last of the positions: query i stands at n_keys − n_queries + i.")
def test_mask_of_any_size(student, rng):
    """For any numbers of queries and keys, query i sees the keys up to its own position, in a boolean tensor."""
    n_queries, earlier = rng.integer(2, 9), rng.integer(1, 9)
    for queries, keys in ((n_queries, n_queries), (n_queries, n_queries + earlier), (1, earlier), (1, 1)):
        rows = [[key <= keys - queries + query for key in range(keys)] for query in range(queries)]
        same_mask(student.causal_mask(queries, keys), torch.tensor(rows))


@task("mask")
@points(1)
@hint("What a chunk of the sequence may see does not depend on whether the earlier tokens come along as queries.")
def test_mask_of_a_chunk(student, rng):
    """The mask of the last queries is the last rows of the mask of all of them."""
    n_keys = rng.integer(4, 9)
    whole = student.causal_mask(n_keys)
    same_mask(whole, torch.ones(n_keys, n_keys).tril().bool())
    for n_queries in range(1, n_keys + 1):
        same_mask(student.causal_mask(n_queries, n_keys), whole[n_keys - n_queries :])


@task("mask")
@points(2)
@hint("Raise ValueError below 1 query, and when there are fewer keys than queries. As many keys as queries are fine.")
def test_mask_of_impossible_sizes(student):
    """Sizes that make no sense are a ValueError, and the nearest sizes that do are not."""
    for sizes, neighbour in (((0,), (1,)), ((-1,), (1,)), ((0, 3), (1, 3)), ((3, 2), (3, 3))):
        with pytest.raises(ValueError):
            student.causal_mask(*sizes)
        n_queries, n_keys = neighbour[0], neighbour[-1]
        full = torch.ones(n_queries, n_keys).tril(n_keys - n_queries).bool()
        same_mask(student.causal_mask(*neighbour), full)


# --- sdpa ------------------------------------------------------------------------------------------------------------


@task("sdpa")
@points(2)
@hint("Count axes from the end: -1 and -2. Let torch broadcast the mask; do not reshape it.")
def test_attention_with_any_leading_axes(student, rng):
    """Any number of leading axes will do, and a mask broadcasts over those that it lacks."""
    for leading in ((), (3,), (2, 3), (2, 1, 3)):
        q, k, v = rng.normal(*leading, 4, 6), rng.normal(*leading, 5, 6), rng.normal(*leading, 5, 3)
        one_row = rng.uniform(0, 1, 1, 5) < 0.5
        own = rng.uniform(0, 1, *leading, 4, 5) < 0.5
        for mask in (one_row, own):
            mask[..., rng.integer(0, 4)] = True
            output, weights = student.scaled_dot_product_attention(q, k, v, mask)
            has_shape(weights, *leading, 4, 5)
            close(output, F.scaled_dot_product_attention(q, k, v, attn_mask=mask))
            close(weights @ v, output, hint="The output is made with the weights that you return.")


@task("sdpa")
@points(2)
@hint("What is masked must be gone before softmax, however large its score, and however low the others are.")
def test_attention_with_extreme_scores(student, rng):
    """Scores of tens of thousands give no NaN, and a masked key has no influence even if it matches best."""
    q, k, v = (x.double() for x in rng.qkv(batch=1, heads=2, time=4, dim=4))
    q = q + 300 * torch.sign(q)
    mask = torch.ones(4, 4, dtype=torch.bool).tril()
    k[..., -1, :] = 0.0
    for scaled in (300 * k, -300 * k.abs() * torch.sign(q[..., :1, :])):
        output, weights = student.scaled_dot_product_attention(q, scaled, v, mask)
        close(output, F.scaled_dot_product_attention(q, scaled, v, attn_mask=mask))
        has_shape(weights, 1, 2, 4, 4)
        close(weights.sum(-1), torch.ones(1, 2, 4))
        close(weights.masked_select(~mask), torch.zeros(12))


@task("sdpa")
@points(2)
@hint("Torch's functions pass gradients on by themselves. A masked weight passes none, and never NaN.")
def test_attention_gradients(student, rng):
    """Gradients agree with torch's; what is masked for every query, and a query without keys, get the gradient 0."""
    q, k, v = (rng.normal(2, 4, 3, dtype=torch.float64) for _ in range(3))
    upstream = rng.normal(2, 4, 3, dtype=torch.float64)
    mask = torch.tensor([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0]], dtype=torch.bool)
    attend = student.scaled_dot_product_attention
    found = student.library.gradients(attend, [q, k, v, mask], upstream=upstream, output=0)
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    seeing = torch.tensor([0, 2, 3])
    output = F.scaled_dot_product_attention(leaves[0][:, seeing], *leaves[1:], attn_mask=mask[seeing])
    expected = torch.autograd.grad((output * upstream[:, seeing]).sum(), leaves)
    for actual, due in zip(found[:3], expected, strict=True):
        close(actual, due)


@task("sdpa")
@points(2)
@hint("Only the mask knows an order. Compare each query with each key, and nothing by its place.")
def test_attention_knows_no_order(student, rng):
    """Shuffling keys and values together changes no output; shuffling the queries shuffles the outputs alike."""
    q, k, v = rng.qkv(batch=2, heads=1, time=6, dim=4)
    mask = rng.uniform(0, 1, 6, 6) < 0.6
    mask[:, 0] = True
    shuffle = rng.permutation(6)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    output, _ = student.scaled_dot_product_attention(q, k[..., shuffle, :], v[..., shuffle, :], mask[:, shuffle])
    close(output, expected)
    output, weights = student.scaled_dot_product_attention(q[..., shuffle, :], k, v, mask[shuffle])
    close(output, expected[..., shuffle, :])
    has_shape(weights, 2, 1, 6, 6)
    close(weights.sum(-1), torch.ones(2, 1, 6))


@task("sdpa")
@points(1)
def test_attention_to_equal_keys(student, rng):
    """Equal keys share the weight equally, and a single key gets all of it."""
    q, k, v = rng.normal(2, 3, 4), rng.normal(2, 1, 4), rng.normal(2, 5, 4)
    output, weights = student.scaled_dot_product_attention(q, k.expand(2, 5, 4).clone(), v)
    close(weights, torch.full((2, 3, 5), 0.2), hint="Equal scores give equal weights.")
    close(output, v.mean(1, keepdim=True).expand(2, 3, 4))
    output, _ = student.scaled_dot_product_attention(q, k, v[:, :1])
    close(output, v[:, :1].expand(2, 3, 4), hint="With one key, every query gets its value.")


@task("sdpa")
@points(1)
@hint("Every step keeps the dtype, softmax too. A mask value such as −1e9 does not fit into float16: ask torch.finfo.")
def test_attention_keeps_the_dtype(student, rng):
    """Output and weights have the dtype of the inputs, half and double precision too, with a mask and without."""
    mask = torch.ones(4, 4, dtype=torch.bool).tril()
    q, k, v = rng.qkv(batch=1, heads=2, time=4, dim=4)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        narrow = [x.to(dtype) for x in (q, k, v)]
        output, weights = student.scaled_dot_product_attention(*narrow, mask)
        require(output.dtype == dtype and weights.dtype == dtype, "the dtype changed")
        close(output, expected, rtol=0.05, atol=0.1)
        require(student.scaled_dot_product_attention(*narrow)[0].dtype == dtype, "the dtype changed without a mask")


@task("sdpa")
@points(1)
@hint("masked_fill makes a new tensor, masked_fill_ writes into the old one. The mask is the caller's, too.")
def test_attention_leaves_its_arguments_alone(student, rng):
    """Queries, keys, values and the mask are as they were before the call."""
    q, k, v = rng.qkv(batch=1, heads=2, time=3, dim=4)
    mask = torch.ones(3, 3, dtype=torch.bool).tril()
    copies = [x.clone() for x in (q, k, v, mask)]
    unchanged = student.library.leaves_arguments_alone(student.scaled_dot_product_attention, *copies)
    require(unchanged, "an argument changed")
    output, _ = student.scaled_dot_product_attention(q, k, v, mask)
    close(output, F.scaled_dot_product_attention(q, k, v, is_causal=True))


# --- heads -----------------------------------------------------------------------------------------------------------


@task("heads")
@points(2)
@hint("Follow one number: feature f of token t belongs to head f // head_dim, and there to token t.")
def test_heads_of_any_size(student, rng):
    """Splitting and merging put every number where it belongs, for any sizes, odd ones and 1 among them."""
    for batch in (1, rng.integer(2, 3)):
        time, heads, head_dim = rng.integer(1, 7), rng.integer(2, 5), rng.choice([1, 3, 4])
        x = rng.normal(batch, time, heads * head_dim)
        expected = torch.stack(x.split(head_dim, dim=-1), dim=1)
        close(student.split_heads(x, heads), expected)
        close(student.merge_heads(expected), x)


@task("heads")
@points(1)
@hint("One head is the whole vector with one more axis; as many heads as features have a width of 1.")
def test_heads_at_the_ends(student, rng):
    """One head holds everything, as many heads as features hold one number each, and merging undoes both."""
    x = rng.normal(2, 3, 6)
    whole, single = student.split_heads(x, 1), student.split_heads(x, 6)
    close(whole, x[:, None])
    close(single, torch.stack(x.unbind(-1), dim=1)[..., None])
    close(student.merge_heads(whole), x)
    close(student.merge_heads(single), x)


@task("heads")
@points(2)
@hint("Check that n_heads is at least 1 and divides the width, before you reshape.")
def test_heads_that_do_not_fit(student, rng):
    """A number of heads that is below 1 or does not divide the width is a ValueError; one that does is not."""
    x = rng.normal(1, 2, 6)
    for bad, good in ((4, 3), (0, 1), (-2, 2), (12, 6)):
        with pytest.raises(ValueError):
            student.split_heads(x, bad)
        has_shape(student.split_heads(x, good), 1, good, 2, 6 // good)


# --- cache -----------------------------------------------------------------------------------------------------------


@task("cache")
@points(2)
@hint("Each call joins along time, dim=-2, what was there and what is new, in this order, for keys and values apart.")
def test_cache_of_many_chunks(student, rng):
    """Chunks of any sizes come back in order and in full, and `length` is right after each of them."""
    sizes = [1, rng.integer(2, 4), 1, rng.integer(1, 5), 1, 1]
    k, v = rng.normal(2, 3, sum(sizes), 4), rng.normal(2, 3, sum(sizes), 4)
    cache, end = student.KVCache(), 0
    for size in sizes:
        start, end = end, end + size
        all_k, all_v = cache.append(k[:, :, start:end], v[:, :, start:end])
        close(all_k, k[:, :, :end])
        close(all_v, v[:, :, :end])
        require(cache.length == end, "wrong length", hint="length counts positions, not calls.")


@task("cache")
@points(1)
@hint("Keep what you are given; make no tensor of a fixed dtype, and write into none that you were handed.")
def test_cache_keeps_dtype_and_arguments(student, rng):
    """What comes back has the dtype of what went in, and what went in is as it was."""
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        k, v = rng.normal(1, 2, 3, 4, dtype=dtype), rng.normal(1, 2, 3, 4, dtype=dtype)
        cache = student.KVCache()
        cache.append(k[:, :, :2], v[:, :, :2])
        require(student.library.leaves_arguments_alone(cache.append, k[:, :, 2:], v[:, :, 2:]), "an argument changed")
        all_k, all_v = cache.append(k[:, :, :1], v[:, :, :1])
        require(all_k.dtype == dtype and all_v.dtype == dtype, "the dtype changed")
        close(all_k, torch.cat((k, k[:, :, :1]), dim=2))
        close(all_v, torch.cat((v, v[:, :, :1]), dim=2))


@task("cache")
@points(2)
@hint("Attention asks for `length` before it appends, and attends to what `append` returns.")
def test_cache_in_the_library_layer(student, rng):
    """An attention layer that is known to be right gives the same with this cache, chunk by chunk, as without one."""
    x = rng.normal(2, 7, 8)
    layer = student.library.CausalSelfAttention(8, 2, rope=student.library.rope())
    layer.eval()
    cache = student.KVCache()
    pieces = [layer(chunk, cache=cache) for chunk in (x[:, :3], x[:, 3:4], x[:, 4:6], x[:, 6:])]
    close(torch.cat(pieces, dim=1), layer(x))
    require(cache.length == 7, "wrong length")


# --- attention -------------------------------------------------------------------------------------------------------


@task("attention")
@points(3)
@hint("The layer works for one token, for one sequence, for one head and without biases: all three places need `bias`.")
def test_layer_of_any_size(student, rng):
    """With the same weights the layer gives what torch's gives, for any sizes, with biases and without."""
    for batch, time, n_heads, head_dim, bias in (
        (1, 1, 1, 4, True),
        (1, rng.integer(2, 9), 3, 1, True),
        (rng.integer(2, 3), 1, 2, 5, False),
        (rng.integer(2, 3), rng.integer(2, 9), 4, rng.integer(2, 5), False),
    ):
        d_model = n_heads * head_dim
        weights, x = draw_weights(rng, d_model, bias=bias), rng.normal(batch, time, d_model)
        layer = make_layer(student, weights, d_model, n_heads, bias=bias)
        expected, expected_weights = torchs_attention(torchs_layer(weights, n_heads), x)
        output, attention_weights = layer(x, return_weights=True)
        close(output, expected)
        close(attention_weights, expected_weights)
        require((layer.qkv_proj.bias is None) is not bias, "bias=False leaves a bias", hint="Hand `bias` to nn.Linear.")


@task("attention")
@points(3)
@hint("Every step must let gradients through, and there are no parameters but those of qkv_proj and out_proj.")
def test_layer_gradients(student, rng):
    """The gradients of the input and of every parameter agree with torch's."""
    weights = draw_weights(rng, 6, dtype=torch.float64)
    x, upstream = rng.normal(2, 4, 6, dtype=torch.float64), rng.normal(2, 4, 6, dtype=torch.float64)
    layer = student.CausalSelfAttention(6, 2)
    layer.double()
    student.library.set_weights(layer, weights)
    oracle, leaf = torchs_layer(weights, 2), x.clone().requires_grad_()
    (torchs_attention(oracle, leaf)[0] * upstream).sum().backward()
    close(student.library.gradients(layer, [x], upstream=upstream)[0], leaf.grad)
    found = student.library.parameter_gradients(layer, x, upstream=upstream)
    expected = {name.replace("in_proj_", "qkv_proj."): p.grad for name, p in oracle.named_parameters()}
    require(sorted(found) == sorted(expected), "the layer's parameters are not those of qkv_proj and out_proj")
    for name, gradient in expected.items():
        close(found[name], gradient)


@task("attention")
@points(2)
@hint("Inside a chunk the later tokens are hidden, too. Use your causal_mask with as many keys as `append` returned.")
def test_chunks_with_a_cache(student, rng):
    """Fed in chunks of any sizes, with its own cache, the layer gives outputs and weights as for the whole sequence."""
    sizes = [rng.integer(2, 4), 1, rng.integer(2, 3), 1]
    weights, x = draw_weights(rng, 8), rng.normal(2, sum(sizes), 8)
    expected, expected_weights = torchs_attention(torchs_layer(weights, 2), x)
    layer, cache, end = make_layer(student, weights, 8, 2), student.KVCache(), 0
    for size in sizes:
        start, end = end, end + size
        output, seen = layer(x[:, start:end], cache=cache, return_weights=True)
        close(output, expected[:, start:end])
        close(seen, expected_weights[:, :, start:end, :end])


@task("attention")
@points(2)
@hint("Keys are rotated once, by their own positions, before they are cached; queries by theirs; values never.")
def test_rope_with_positions_of_its_own(student, rng):
    """Positions that are handed in are those that count, with gaps and with a cache as well."""
    weights, x = draw_weights(rng, 8), rng.normal(2, 6, 8)
    first = rng.integer(0, 3)
    positions = first + torch.tensor([0, 1, 2, 9, 10, 30])
    layer = make_layer(student, weights, 8, 1, rope=student.library.rope())
    expected = one_head_with_rope(x, weights, positions)
    close(layer(x, positions=positions), expected)
    cache = student.library.KVCache()
    pieces = [layer(x[:, a:b], positions=positions[a:b], cache=cache) for a, b in ((0, 3), (3, 5), (5, 6))]
    close(torch.cat(pieces, dim=1), expected)


@task("attention")
@points(2)
@hint("Without `positions`, tokens stand behind those in the cache, or begin at 0.")
def test_rope_positions_by_default(student, rng):
    """Positions go on after the cache; moving all of them along changes nothing, and spreading them does."""
    weights, x = draw_weights(rng, 8), rng.normal(2, 6, 8)
    rope = student.library.Watched(student.library.rope(theta=100.0))
    layer = make_layer(student, weights, 8, 2, rope=rope)
    whole = layer(x)
    asked = [call["positions"].reshape(-1, 6) for call in rope.calls]
    require(all(bool((each == torch.arange(6)).all()) for each in asked), "positions do not begin at 0")
    close(layer(x, positions=torch.arange(6)), whole)
    close(layer(x, positions=torch.arange(6) + rng.integer(1, 50)), whole, rtol=1e-3, atol=1e-4)
    require(not torch.allclose(layer(x, positions=3 * torch.arange(6)), whole), "positions have no influence")
    cache = student.KVCache()
    pieces = [layer(chunk, cache=cache) for chunk in (x[:, :1], x[:, 1:4], x[:, 4:])]
    close(torch.cat(pieces, dim=1), whole)


@task("attention")
@points(1)
@hint("Return the weights as they were before dropout.")
def test_weights_before_dropout(student, rng):
    """The weights that are returned are those from before dropout, in training too: they sum to 1."""
    weights, x = draw_weights(rng, 8), rng.normal(2, 6, 8)
    layer = make_layer(student, weights, 8, 2, dropout=0.5)
    layer.train()
    output, seen = layer(x, return_weights=True)
    expected, expected_weights = torchs_attention(torchs_layer(weights, 2), x)
    close(seen, expected_weights)
    require(not torch.allclose(output, expected), "there is no dropout in training")


@task("attention")
@points(1)
@hint("n_heads is at least 1 and divides d_model, which is at least 1. Check before you make the layers.")
def test_layers_that_cannot_be(student, rng):
    """Sizes that make no sense are a ValueError, and the nearest sizes that do are not."""
    for bad, good in (((8, 3), (8, 4)), ((8, 0), (8, 1)), ((8, -2), (8, 2)), ((0, 1), (1, 1)), ((4, 8), (8, 8))):
        with pytest.raises(ValueError):
            student.CausalSelfAttention(*bad)
        layer = student.CausalSelfAttention(*good)
        has_shape(layer(rng.normal(1, 3, good[0])), 1, 3, good[0])


@task("attention")
@points(1)
@hint("Make what you need with the dtype of x, or let torch do it: no float32 tensors of your own.")
def test_layer_keeps_the_dtype(student, rng):
    """A layer in half or double precision gives output and weights in the same precision."""
    weights, x = draw_weights(rng, 8), rng.normal(2, 4, 8)
    expected, _ = torchs_attention(torchs_layer(weights, 2), x)
    for name, dtype in (("half", torch.float16), ("bfloat16", torch.bfloat16), ("double", torch.float64)):
        layer = make_layer(student, weights, 8, 2)
        getattr(layer, name)()
        output, seen = layer(x.to(dtype), return_weights=True)
        require(output.dtype == dtype and seen.dtype == dtype, "the dtype changed")
        close(output, expected, rtol=0.1, atol=0.15)


@task("attention")
@points(1)
@hint("In evaluation mode nothing is random, and x is only read.")
def test_evaluation_leaves_no_trace(student, rng):
    """In evaluation mode the layer uses no random numbers, and it never changes its input."""
    x = rng.normal(2, 4, 8)
    weights = draw_weights(rng, 8)
    layer = make_layer(student, weights, 8, 2, dropout=0.5)
    close(layer(x), torchs_attention(torchs_layer(weights, 2), x)[0])
    require(not student.library.uses_global_randomness(layer, x), "evaluation uses random numbers")
    require(student.library.leaves_arguments_alone(layer, x), "the input changed")
    layer.train()
    require(student.library.uses_global_randomness(layer, x), "training with dropout uses no random numbers")
