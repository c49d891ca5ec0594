"""Hidden tests of assignment 03. A student sees a test's title and its hint, and nothing else."""

import pytest
import torch

from autograder.minigpt.config import GPTConfig
from autograder.minigpt.library import library_parts
from autograder.testing import close, has_shape, hint, points, require, task

KINDS = ("learned", "sinusoidal", "rope")


def make_table(student, name, weight):
    """The student's TokenEmbedding or LearnedPositions, holding this table."""
    layer = getattr(student, name)(*weight.shape)
    student.library.set_weights(layer, {"weight": weight})
    return layer


def rows_of(weight, ids):
    """The rows of a table for ids of any shape, one id at a time."""
    rows = [weight[token_id] for token_id in ids.flatten().tolist()]
    return (torch.stack(rows) if rows else weight[:0]).reshape(*ids.shape, weight.shape[-1])


def sums_of_rows(rows, ids, upstream):
    """The gradient of a table: for each row, the sum of `upstream` over the places where it was looked up."""
    expected = torch.zeros(rows, upstream.shape[-1], dtype=upstream.dtype)
    for token_id, gradient in zip(ids.flatten().tolist(), upstream.flatten(0, -2), strict=True):
        expected[token_id] += gradient
    return expected


def is_normal(table, wrong="the table does not start as N(0, 0.02^2)"):
    """N(0, 0.02²), for 32,000 numbers. A right table fails once in more than 10^8 runs: 6 standard errors and more."""
    hint = "nn.init.normal_(self.weight, std=0.02): the mean is 0 and the standard deviation, not the variance, 0.02."
    has_shape(table, 500, 64)
    require(abs(table.mean().item()) < 7e-4, wrong, hint)
    require(abs(table.std().item() / 0.02 - 1) < 0.03, wrong, hint)
    beyond = (table.abs() > 0.04).double().mean().item()  # 4.55 % of a normal distribution, ± 0.12 %
    require(0.035 < beyond < 0.056, wrong, hint)


def sinusoids(n_positions, d_model):
    """The formula in float64, hand by hand."""
    positions = torch.arange(n_positions, dtype=torch.float64)
    columns = []
    for i in range(d_model // 2):
        angles = positions / 10000 ** (2 * i / d_model)
        columns += [angles.sin(), angles.cos()]
    return torch.stack(columns, dim=-1)


def rotated(x, positions, theta=10000.0):
    """RoPE in float64 by a product of complex numbers; positions are (time,)."""
    i = torch.arange(x.shape[-1] // 2, dtype=torch.float64)
    angles = positions.double()[:, None] / theta ** (2 * i / x.shape[-1])  # (time, pairs)
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


def draw_embedding(student, rng, kind, vocab_size=9, d_model=6, max_positions=7, dropout=0.0):
    """The student's InputEmbedding in evaluation mode, its table of tokens, and what it should add at each position."""
    embedding = student.InputEmbedding(vocab_size, d_model, max_positions, positions=kind, dropout=dropout)
    weights = {"tokens.weight": rng.normal(vocab_size, d_model)}
    if kind == "learned":
        weights["positions.weight"] = rng.normal(max_positions, d_model)
    student.library.set_weights(embedding, weights)
    embedding.eval()
    added = {
        "learned": weights.get("positions.weight"),
        "sinusoidal": sinusoids(max_positions, d_model + d_model % 2)[:, :d_model].float(),
        "rope": torch.zeros(max_positions, d_model),
    }
    return embedding, weights["tokens.weight"], added[kind]


# --- token_embedding -------------------------------------------------------------------------------------------------


@task("token_embedding")
@points(2)
@hint("Let torch index with the whole tensor: that works for one id, for none, and for any number of axes.")
def test_ids_of_any_shape(student, rng):
    """One id without an axis, no ids at all, one row or many axes: the result has the axes of the ids and one more."""
    vocab_size, d_model = rng.integer(2, 9), rng.integer(1, 5)
    weight = rng.normal(vocab_size, d_model)
    layer = make_table(student, "TokenEmbedding", weight)
    for shape in ((), (1,), (0,), (2, 0), (1, 1), (4, 1, 3), (2, 3, 1, 2)):
        ids = rng.ids(vocab_size, *shape)
        close(layer(ids), rows_of(weight, ids))
    single = make_table(student, "TokenEmbedding", rng.normal(1, 1))
    has_shape(single(torch.zeros(3, dtype=torch.int64)), 3, 1)


@task("token_embedding")
@points(2)
def test_table_is_drawn_from_a_normal(student, rng):
    """A new table is N(0, 0.02²), and is drawn anew each time, from torch's global random state."""
    first, seed = student.TokenEmbedding(500, 64).weight, rng.integer(0, 10**6)
    is_normal(first)
    drawn = []
    for number in (seed, seed, seed + 1):
        student.library.seed(number)
        drawn.append(student.TokenEmbedding(500, 64).weight)
    hint = "Draw from torch's global random state: no seed and no generator of your own."
    require(torch.equal(drawn[0], drawn[1]), "the same seed gives different tables", hint)
    require(not torch.equal(drawn[0], drawn[2]), "different seeds give the same table", hint)


@task("token_embedding")
@points(2)
@hint("The gradient goes to the parameter itself, and no row is special, id 0 neither.")
def test_gradients_of_drawn_ids(student, rng):
    """Each row's gradient is the sum over all places where it was looked up, for batches of any size."""
    for shape in ((12,), (3, 5), (1, 2, 4)):
        vocab_size = rng.integer(3, 8)
        ids, upstream = rng.ids(vocab_size, *shape), rng.normal(*shape, 3)
        ids.flatten()[:2] = 0
        layer = make_table(student, "TokenEmbedding", rng.normal(vocab_size, 3))
        gradient = student.library.parameter_gradients(layer, ids, upstream=upstream)["weight"]
        close(gradient, sums_of_rows(vocab_size, ids, upstream))


@task("token_embedding")
@points(1)
@hint("Look up in the table as it is, and only read the ids.")
def test_embedding_keeps_dtype_and_ids(student, rng):
    """Vectors have the dtype of the table, half and double precision too, and the ids are left as they were."""
    weight, ids = rng.normal(6, 4), rng.ids(6, 2, 3)
    for name, dtype in (("half", torch.float16), ("bfloat16", torch.bfloat16), ("double", torch.float64)):
        layer = make_table(student, "TokenEmbedding", weight)
        getattr(layer, name)()
        vectors = layer(ids)
        require(vectors.dtype == dtype, "the dtype changed")
        close(vectors, rows_of(weight, ids), rtol=0.01, atol=0.01)
        require(student.library.leaves_arguments_alone(layer, ids.clone()), "the ids changed")


@task("token_embedding")
@points(1)
@hint("Check both sizes: 1 is the least. Ids below 0 and ids from vocab_size on raise IndexError, wherever they stand.")
def test_tables_and_ids_that_cannot_be(student, rng):
    """Sizes below 1 are a ValueError, ids outside the table an IndexError, and their neighbours neither."""
    for bad, good in (((0, 3), (1, 3)), ((3, 0), (3, 1)), ((-2, 3), (2, 3)), ((3, -1), (3, 1))):
        with pytest.raises(ValueError):
            student.TokenEmbedding(*bad)
        layer = student.TokenEmbedding(*good)
        has_shape(layer(torch.tensor([0, good[0] - 1])), 2, good[1])
        for outside in (good[0], good[0] + 50, -1, -good[0], -50):
            with pytest.raises(IndexError):
                layer(torch.tensor([[0, 0], [outside, 0]]))


# --- sinusoids -------------------------------------------------------------------------------------------------------


@task("sinusoids")
@points(2)
@hint("Compute the angles in float32 or float64, never in half precision, and from the formula for each position.")
def test_sinusoids_of_large_positions(student, rng):
    """Thousands of positions on, the numbers still follow the formula, and every pair of columns has length 1."""
    n_positions, d_model = rng.integer(4000, 5000), rng.choice([8, 32, 50])
    table = student.sinusoidal_positions(n_positions, d_model)
    has_shape(table, n_positions, d_model)
    close(table, sinusoids(n_positions, d_model), rtol=0.0, atol=5e-3)
    close(table[:, 0::2] ** 2 + table[:, 1::2] ** 2, torch.ones(n_positions, d_model // 2))


@task("sinusoids")
@points(2)
@hint("One position, or two columns, are sizes like any other. The first hand turns by one radian for each position.")
def test_sinusoids_of_any_size(student, rng):
    """One position, two columns, many of either: the formula holds for all sizes."""
    for n_positions, d_model in ((1, 2), (1, 12), (rng.integer(2, 50), 2), (3, 128), (rng.integer(2, 9), 14)):
        table = student.sinusoidal_positions(n_positions, d_model)
        close(table, sinusoids(n_positions, d_model))
        require(table.dtype == torch.float32, "the dtype is not float32")


@task("sinusoids")
@points(2)
@hint("Each pair is (sin, cos) of one angle, and the angle grows by the same amount from each position to the next.")
def test_a_shift_is_a_rotation(student, rng):
    """Going on by some positions turns every pair by the same angle, wherever one starts."""
    shift, d_model = rng.integer(1, 12), 2 * rng.integer(2, 10)
    table = student.sinusoidal_positions(40, d_model)
    pairs = torch.view_as_complex(table.double().unflatten(-1, (-1, 2)).flip(-1).contiguous())  # cos + i sin
    i = torch.arange(d_model // 2, dtype=torch.float64)
    angles = shift / 10000 ** (2 * i / d_model)
    due = torch.view_as_real(torch.polar(torch.ones_like(angles), angles)).expand(40 - shift, -1, -1)
    close(torch.view_as_real(pairs[shift:] / pairs[:-shift]), due, atol=1e-4)


@task("sinusoids")
@points(1)
@hint("A position's row does not depend on how many positions there are.")
def test_longer_tables_begin_alike(student, rng):
    """A longer table begins with the shorter one, and no two rows are alike."""
    d_model = 2 * rng.integer(2, 10)
    short, long = student.sinusoidal_positions(10, d_model), student.sinusoidal_positions(rng.integer(20, 60), d_model)
    close(long[:10], short)
    close(short, sinusoids(10, d_model))
    apart = torch.cdist(long, long) + torch.eye(len(long))
    require(apart.min().item() > 1e-3, "two positions have the same row")


@task("sinusoids")
@points(1)
@hint("Check that n_positions is at least 1, and that d_model is even and at least 2.")
def test_sinusoids_that_cannot_be(student):
    """Sizes below 1 and odd widths are a ValueError, and the nearest sizes that make sense are not."""
    for bad, good in (((0, 4), (1, 4)), ((-1, 4), (1, 4)), ((3, 0), (3, 2)), ((3, 1), (3, 2)), ((3, 7), (3, 8))):
        with pytest.raises(ValueError):
            student.sinusoidal_positions(*bad)
        close(student.sinusoidal_positions(*good), sinusoids(*good))
    with pytest.raises(ValueError):
        student.sinusoidal_positions(3, -2)


# --- learned_positions -----------------------------------------------------------------------------------------------


@task("learned_positions")
@points(2)
@hint("Let torch index with the whole tensor of positions, whatever its shape.")
def test_positions_of_any_shape(student, rng):
    """Positions of any shape and in any order get their rows, repeated ones too."""
    max_positions, d_model = rng.integer(2, 9), rng.integer(1, 5)
    weight = rng.normal(max_positions, d_model)
    layer = make_table(student, "LearnedPositions", weight)
    for shape in ((), (1,), (12,), (2, 5), (2, 3, 2)):
        positions = rng.ids(max_positions, *shape)
        close(layer(positions), rows_of(weight, positions))
    last = torch.tensor([[max_positions - 1]])
    close(layer(last), weight[last])


@task("learned_positions")
@points(1)
def test_positions_start_as_a_normal(student):
    """The table of positions starts as N(0, 0.02²), like that of the tokens."""
    is_normal(student.LearnedPositions(500, 64).weight)


@task("learned_positions")
@points(1)
@hint("The table is learned like that of the tokens: what is looked up often adds up.")
def test_gradients_of_positions(student, rng):
    """In a batch, the gradient of a position's row is the sum over the rows of the batch."""
    positions, upstream = torch.arange(2, 6).expand(3, 4).clone(), rng.normal(3, 4, 5)
    layer = make_table(student, "LearnedPositions", rng.normal(8, 5))
    gradient = student.library.parameter_gradients(layer, positions, upstream=upstream)["weight"]
    close(gradient, sums_of_rows(8, positions, upstream))


@task("learned_positions")
@points(1)
@hint("Check both sizes: 1 is the least. Positions below 0 and from max_positions on raise IndexError.")
def test_positions_that_cannot_be(student):
    """Sizes below 1 are a ValueError, positions outside the table an IndexError, and their neighbours neither."""
    for bad, good in (((0, 3), (1, 3)), ((3, 0), (3, 1)), ((-2, 3), (2, 3))):
        with pytest.raises(ValueError):
            student.LearnedPositions(*bad)
        layer = student.LearnedPositions(*good)
        has_shape(layer(torch.tensor([0, good[0] - 1])), 2, good[1])
        for outside in (good[0], 2 * good[0] + 50, -1, -good[0], -50):
            with pytest.raises(IndexError):
                layer(torch.tensor([[0], [outside]]))


@task("learned_positions")
@points(1)
@hint("Look up in the table as it is, and only read the positions.")
def test_positions_keep_dtype_and_arguments(student, rng):
    """Vectors have the dtype of the table, and the positions are left as they were."""
    weight, positions = rng.normal(6, 4), rng.permutation(6)
    for name, dtype in (("half", torch.float16), ("bfloat16", torch.bfloat16), ("double", torch.float64)):
        layer = make_table(student, "LearnedPositions", weight)
        getattr(layer, name)()
        vectors = layer(positions)
        require(vectors.dtype == dtype, "the dtype changed")
        close(vectors, weight[positions], rtol=0.01, atol=0.01)
        require(student.library.leaves_arguments_alone(layer, positions.clone()), "the positions changed")


# --- rope ------------------------------------------------------------------------------------------------------------


@task("rope")
@points(2)
@hint("Positions (batch, time) give angles (batch, time, pairs): put an axis of length 1 in the heads' place.")
def test_each_row_has_its_own_positions(student, rng):
    """With positions (batch, time), every row of the batch turns by its own, and its heads share them."""
    for batch, heads, time in ((2, 3, 4), (3, 3, 3), (1, 2, 5), (4, 1, 2)):
        x, positions = rng.normal(batch, heads, time, 6), rng.ids(40, batch, time)
        expected = torch.stack([rotated(x[row], positions[row]) for row in range(batch)])
        close(student.apply_rope(x, positions), expected, atol=1e-4)


@task("rope")
@points(1)
@hint("theta is the base in position / theta^(2i / dim). Use the argument, not 10000.")
def test_theta_sets_the_speeds(student, rng):
    """Another theta gives other speeds, small and large ones, by position and by name."""
    x, positions = rng.normal(2, 5, 8), rng.ids(30, 5)
    for theta in (10.0, 500.0, 500000.0):
        close(student.apply_rope(x, positions, theta), rotated(x, positions, theta), atol=1e-4)
        close(student.apply_rope(x, positions, theta=theta), rotated(x, positions, theta), atol=1e-4)
    close(student.apply_rope(x, positions), rotated(x, positions), atol=1e-4)


@task("rope")
@points(2)
@hint("Compute positions, speeds and angles in at least float32; convert the result at the end.")
def test_half_precision_far_out(student, rng):
    """The dtype of x comes back, and around position 5000 half precision still turns by the right angle."""
    positions = torch.cat((5000 + rng.permutation(40)[:8], torch.tensor([0, 1])))
    for dtype in (torch.bfloat16, torch.float16, torch.float64, torch.float32):
        x = rng.normal(2, 2, 10, 8).to(dtype)
        turned = student.apply_rope(x, positions)
        require(turned.dtype == dtype, "the dtype changed", hint="Convert the result to the dtype of x.")
        close(turned, rotated(x, positions), rtol=0.03, atol=0.06)


@task("rope")
@points(2)
@hint("Use torch's functions on tensors from beginning to end, and detach nothing of x.")
def test_gradient_of_a_turn(student, rng):
    """The gradient of x is the gradient of the result, turned back."""
    x, upstream = rng.normal(2, 3, 5, 6, dtype=torch.float64), rng.normal(2, 3, 5, 6, dtype=torch.float64)
    for positions in (torch.arange(5), torch.arange(5) + rng.integer(1, 12)):
        found = student.library.gradients(student.apply_rope, [x, positions], upstream=upstream)
        close(found[0], rotated(upstream, -positions), atol=1e-4)


@task("rope")
@points(1)
@hint("Count axes from the end, and give positions axes only where they have a batch axis.")
def test_x_with_any_number_of_axes(student, rng):
    """x may be (time, dim), or have a batch, heads and more before it; two numbers are a pair, one token a sequence."""
    for shape in ((5, 6), (3, 5, 6), (2, 3, 5, 6), (2, 2, 3, 5, 6), (1, 2), (2, 1, 2), (1, 1, 1, 64)):
        x, positions = rng.normal(*shape), rng.ids(50, shape[-2])
        close(student.apply_rope(x, positions), rotated(x, positions), atol=1e-4)
    hint = "Positions (batch, time) need as many axes between as x has there: none for (batch, time, dim)."
    for shape in ((3, 4, 6), (3, 2, 1, 2, 4, 6)):
        x, positions = rng.normal(*shape), rng.ids(50, 3, 4)
        expected = torch.stack([rotated(x[row], positions[row]) for row in range(3)])
        close(student.apply_rope(x, positions), expected, atol=1e-4, hint=hint)


@task("rope")
@points(1)
@hint("Attention hands you x as a view that was transposed: use reshape or flatten where view does not work.")
def test_rope_inside_attention(student, rng):
    """An attention layer that is known to be right gives the same with this rotation, with a cache and without."""
    oracle = library_parts().CausalSelfAttention(8, 2, rope=library_parts().apply_rope)
    weights = {name: rng.normal(*value.shape, scale=0.4) for name, value in oracle.named_parameters()}
    oracle.load_state_dict(weights)
    layer = student.library.CausalSelfAttention(8, 2, rope=student.apply_rope)
    student.library.set_weights(layer, weights)
    x = rng.normal(2, 6, 8)
    close(layer(x), oracle(x), atol=1e-4)
    cache = student.library.KVCache()
    pieces = [layer(chunk, cache=cache) for chunk in (x[:, :3], x[:, 3:4], x[:, 4:])]
    close(torch.cat(pieces, dim=1), oracle(x), atol=1e-4)


@task("rope")
@points(1)
@hint("x[..., 0::2] = ... writes into the caller's tensor. Make a new one.")
def test_rope_leaves_its_arguments_alone(student, rng):
    """Neither x nor the positions change, and nothing is random."""
    for dtype in (torch.float32, torch.float64):
        x, positions = rng.normal(2, 3, 4, 6, dtype=dtype), rng.ids(50, 2, 4)
        function = student.apply_rope
        require(student.library.leaves_arguments_alone(function, x.clone(), positions.clone()), "an argument changed")
        require(student.library.leaves_arguments_alone(function, x.clone(), positions[0].clone()), "one changed")
        require(not student.library.uses_global_randomness(function, x, positions[0]), "it uses random numbers")
        close(student.apply_rope(x, positions[0]), rotated(x, positions[0]), atol=1e-4)


@task("rope")
@points(1)
@hint("Rotating adds angles: nothing but the position and the pair decides how far a pair turns.")
def test_turns_add_up(student, rng):
    """Turning by m and then by n is turning by m + n, and each position turns by itself, whatever stands beside it."""
    x, m, n = rng.normal(2, 6, 8), rng.ids(20, 6), rng.ids(20, 6)
    close(student.apply_rope(student.apply_rope(x, m), n), rotated(x, m + n), atol=1e-4)
    shuffle = rng.permutation(6)
    close(student.apply_rope(x[:, shuffle], m[shuffle]), rotated(x, m)[:, shuffle], atol=1e-4)


@task("rope")
@points(1)
@hint("dim must be even: check it before you cut it into pairs.")
def test_widths_without_pairs(student, rng):
    """Any odd width is a ValueError, whatever the axes, and the even one beside it is not."""
    for shape, positions in (((3, 1), torch.arange(3)), ((2, 3, 7), torch.arange(3)), ((2, 2, 3, 5), rng.ids(9, 2, 3))):
        with pytest.raises(ValueError):
            student.apply_rope(rng.normal(*shape), positions)
        even = (*shape[:-1], shape[-1] + 1)
        has_shape(student.apply_rope(rng.normal(*even), positions), *even)


# --- input_embedding -------------------------------------------------------------------------------------------------


@task("input_embedding")
@points(2)
@hint("Positions count along the last axis of the ids, and are the same for every row of the batch.")
def test_embeddings_of_any_size(student, rng):
    """All three kinds give token plus position for any batch, length and start."""
    for kind in KINDS:
        for batch, time, d_model in ((1, 1, 2), (rng.integer(2, 4), rng.integer(5, 8), 8), (8, 2, 4)):
            start = rng.integer(1, 9)
            embedding, tokens, added = draw_embedding(
                student, rng, kind, d_model=d_model, max_positions=start + time + rng.integer(0, 3)
            )
            ids = rng.ids(9, batch, time)
            close(embedding(ids), tokens[ids] + added[:time])
            close(embedding(ids, start=start), tokens[ids] + added[start : start + time])


@task("input_embedding")
@points(2)
@hint("register_buffer, named positions, persistent=False: no parameter, moved along, not in the state_dict.")
def test_sinusoids_are_a_buffer(student, rng):
    """The sinusoids are a buffer that goes along to another dtype, is not saved, and is not learned."""
    ids = rng.ids(9, 2, 5)
    for name, dtype in (("double", torch.float64), ("bfloat16", torch.bfloat16), ("half", torch.float16)):
        embedding, tokens, added = draw_embedding(student, rng, "sinusoidal")
        buffers = student.library.buffer_values(embedding)
        require("positions" in buffers, "there is no buffer `positions`")
        close(buffers["positions"], added)
        close(embedding.positions, added)
        require(sorted(student.library.state(embedding)) == ["tokens.weight"], "the state_dict holds more than tokens")
        require(list(student.library.parameter_shapes(embedding)) == ["tokens.weight"], "sinusoids are no parameters")
        getattr(embedding, name)()
        output = embedding(ids)
        require(output.dtype == dtype, "the sinusoids did not go along to the other dtype")
        close(output, tokens[ids] + added[:5], rtol=0.03, atol=0.03)


@task("input_embedding")
@points(2)
@hint("tokens and positions are your own classes, and with rope there is nothing for positions to learn.")
def test_what_an_embedding_is_made_of(student):
    """Each kind has the parameters that it needs and no others, of the right shapes, and its tables start small."""
    for kind in KINDS:
        embedding = student.InputEmbedding(500, 64, 11, positions=kind)
        expected = {"tokens.weight": [500, 64]}
        if kind == "learned":
            expected["positions.weight"] = [11, 64]
        require(student.library.parameter_shapes(embedding) == expected, "there are other parameters than expected")
        require(sorted(student.library.state(embedding)) == sorted(expected), "the state_dict holds something else")
        is_normal(embedding.tokens.weight)
    parameters = student.library.parameter_shapes(student.InputEmbedding(500, 64, 11))
    require("positions.weight" in parameters, "without `positions`, they are learned")


@task("input_embedding")
@points(2)
@hint("Dropout is the last step, on the sum of token and position, with the probability `dropout`, by nn.Dropout.")
def test_dropout_comes_last(student, rng):
    """In training, dropout zeroes numbers of the sum and scales up the others; in evaluation nothing is random."""
    ids = rng.ids(9, 50, 20)
    for kind in KINDS:
        embedding, _, added = draw_embedding(student, rng, kind, d_model=8, max_positions=20, dropout=0.25)
        tokens = rng.uniform(9, 10, 9, 8)  # far from 0, with any position added
        student.library.set_weights(embedding, {"tokens.weight": tokens})
        expected = tokens[ids] + added
        close(embedding(ids), expected, hint="In evaluation mode, dropout does nothing.")
        require(not student.library.uses_global_randomness(embedding, ids), "evaluation uses random numbers")
        embedding.train()
        output = embedding(ids)
        has_shape(output, 50, 20, 8)
        kept = output != 0
        close(output.masked_select(kept), (expected / 0.75).masked_select(kept))
        dropped = 1 - kept.double().mean().item()  # of 8,000: 0.25 ± 0.005; outside once in far more than 10^12 runs
        require(0.2 < dropped < 0.3, "dropout has a wrong probability")


@task("input_embedding")
@points(2)
@hint("A slice is silently short where the table ends, and a single row left over is added everywhere.")
def test_where_positions_end(student, rng):
    """The last position is max_positions - 1 for learned and sinusoidal ones, and there is no last one with rope."""
    end = rng.integer(4, 9)
    ids = rng.ids(9, 2, end + 1)
    for kind in ("learned", "sinusoidal"):
        embedding, tokens, added = draw_embedding(student, rng, kind, max_positions=end)
        close(embedding(ids[:, :end]), tokens[ids[:, :end]] + added)
        for start, time in ((0, end + 1), (1, end), (end - 1, 2), (end - 2, 3), (end, 1), (end + 7, 1), (9 * end, 2)):
            with pytest.raises(IndexError):
                embedding(ids[:, :time], start=start)
            first = end - time if time <= end else 0
            fitting = ids[:, : min(time, end)]
            close(embedding(fitting, start=first), tokens[fitting] + added[first:end])
    embedding, tokens, _ = draw_embedding(student, rng, "rope", max_positions=1)
    for start in (0, 1, 10**6):
        close(embedding(ids, start=start), tokens[ids])


@task("input_embedding")
@points(1)
@hint("Both tables are learned: look up in the parameters themselves, and detach nothing.")
def test_gradients_of_both_tables(student, rng):
    """The gradient reaches the tokens that were there, and the positions from the first one used to the last."""
    ids, upstream = rng.ids(9, 3, 5), rng.normal(3, 5, 6)
    for kind in KINDS:
        embedding, _, _ = draw_embedding(student, rng, kind)
        found = student.library.parameter_gradients(embedding, ids, upstream=upstream)
        close(found["tokens.weight"], sums_of_rows(9, ids, upstream))
        if kind == "learned":
            close(found["positions.weight"], torch.cat((upstream.sum(0), torch.zeros(2, 6))))


@task("input_embedding")
@points(2)
@hint("The model reads tokens.weight for its head, and with a cache hands in `start`, the number of cached positions.")
def test_embedding_in_a_whole_model(student, rng):
    """A GPT with this embedding gives what a GPT of library parts gives, for whole texts and token by token."""
    ids = rng.ids(11, 2, 8)
    sizes = {"vocab_size": 11, "context_length": 8, "d_model": 8, "n_layers": 1, "n_heads": 2}
    for kind in KINDS:
        settings = sizes | {"positions": kind}
        oracle = library_parts().GPT(GPTConfig(**settings), library_parts())
        weights = {name: rng.normal(*value.shape, scale=0.5) for name, value in oracle.named_parameters()}
        with torch.no_grad():
            for name, value in oracle.named_parameters():
                value.copy_(weights[name])
        oracle.eval()
        parts = student.library.parts(InputEmbedding=student.InputEmbedding)
        model = student.library.GPT(student.library.config(**settings), parts)
        student.library.set_weights(model, weights)
        model.eval()
        close(model(ids), oracle(ids), atol=1e-4)
        cache = model.new_cache()
        pieces = [model(chunk, cache=cache) for chunk in (ids[:, :4], ids[:, 4:5], ids[:, 5:])]
        close(torch.cat(pieces, dim=1), oracle(ids), atol=1e-4)


@task("input_embedding")
@points(1)
@hint("Check `positions` against the three kinds, and `start` against 0 for every kind, rope too.")
def test_embeddings_that_cannot_be(student, rng):
    """Unknown kinds, sizes that do not suit, negative starts and unknown ids are errors; their neighbours are not."""
    ids = rng.ids(9, 1, 3)
    for bad, good in (
        ((9, 6, 5, "Learned"), (9, 6, 5, "learned")),
        ((9, 6, 5, "none"), (9, 6, 5, "rope")),
        ((9, 6, 5, "sinusoids"), (9, 6, 5, "sinusoidal")),
        ((9, 5, 5, "sinusoidal"), (9, 5, 5, "learned")),
        ((0, 6, 5, "rope"), (9, 6, 5, "sinusoidal")),
        ((9, 6, 0, "learned"), (9, 5, 5, "rope")),
    ):
        with pytest.raises(ValueError):
            student.InputEmbedding(*bad)
        has_shape(student.InputEmbedding(*good)(ids), 1, 3, good[1])
    for kind in KINDS:
        embedding, tokens, added = draw_embedding(student, rng, kind)
        for start in (-1, -3):
            with pytest.raises(ValueError):
                embedding(ids, start=start)
        for outside in (9, -1):
            with pytest.raises(IndexError):
                embedding(torch.tensor([[0, outside]]))
        close(embedding(ids, start=0), tokens[ids] + added[:3])
