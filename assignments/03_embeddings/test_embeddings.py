"""Visible tests of assignment 03. Run them with `pytest assignments/03_embeddings`.

Each test says in its first line what should hold. Inputs are drawn anew for every seed: try `--minigpt-seed 1`.
"""

import math

import pytest
import torch

from autograder.minigpt.library import library_parts
from autograder.testing import close, has_shape, points, require, task


def make_table(student, name, weight):
    """The student's TokenEmbedding or LearnedPositions, holding this table."""
    layer = getattr(student, name)(*weight.shape)
    student.library.set_weights(layer, {"weight": weight})
    return layer


def sums_of_rows(rows, ids, upstream):
    """The gradient of a table: for each row, the sum of `upstream` over the places where it was looked up."""
    expected = torch.zeros(rows, upstream.shape[-1])
    for token_id, gradient in zip(ids.flatten().tolist(), upstream.flatten(0, -2), strict=True):
        expected[token_id] += gradient
    return expected


def sinusoids(n_positions, d_model):
    """The formula, one number at a time."""
    table = torch.empty(n_positions, d_model)
    for position in range(n_positions):
        for i in range(d_model // 2):
            angle = position / 10000 ** (2 * i / d_model)
            table[position, 2 * i], table[position, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return table


def make_embedding(student, tokens, max_positions, kind, dropout=0.0):
    """The student's InputEmbedding with this table of tokens, in evaluation mode."""
    embedding = student.InputEmbedding(*tokens.shape, max_positions, kind, dropout)
    student.library.set_weights(embedding, {"tokens.weight": tokens})
    embedding.eval()
    return embedding


# --- token_embedding -------------------------------------------------------------------------------------------------


@task("token_embedding")
@points(2)
def test_each_id_gets_its_row(student, rng):
    """Each id is replaced by its row of the table, whatever the shape of the ids."""
    weight = rng.normal(7, 4)
    layer = make_table(student, "TokenEmbedding", weight)
    for ids in (rng.ids(7, 5), rng.ids(7, 2, 3)):
        vectors = layer(ids)
        has_shape(vectors, *ids.shape, 4, hint="The result has the shape of the ids and one axis more.")
        expected = torch.stack([weight[i] for i in ids.flatten().tolist()]).reshape(*ids.shape, 4)
        close(vectors, expected, hint="The row as it stands in the table: nothing is scaled, no id is special.")


@task("token_embedding")
@points(2)
def test_gradient_of_a_lookup(student, rng):
    """Only rows that were looked up get a gradient, and a row that was looked up twice gets the sum."""
    layer = make_table(student, "TokenEmbedding", rng.normal(5, 3))
    ids, upstream = torch.tensor([[3, 0, 3], [1, 3, 1]]), rng.normal(2, 3, 3)
    gradient = student.library.parameter_gradients(layer, ids, upstream=upstream)["weight"]
    hint = "Index the parameter itself, and all ids at once: self.weight[ids]. Torch does the rest."
    close(gradient, sums_of_rows(5, ids, upstream), hint=hint)


@task("token_embedding")
@points(1)
def test_ids_outside_the_table(student, rng):
    """An id behind the last row, or a negative one, is an IndexError; the first and the last row are not."""
    weight = rng.normal(4, 3)
    layer = make_table(student, "TokenEmbedding", weight)
    for bad in (4, -1):
        with pytest.raises(IndexError):
            layer(torch.tensor([1, bad]))
    close(layer(torch.tensor([0, 3])), weight[[0, 3]], hint="Ids from 0 to vocab_size - 1 are right.")


@task("token_embedding")
@points(1)
def test_table_starts_small(student):
    """The table is a parameter of shape (vocab_size, d_model), and starts with a standard deviation of 0.02."""
    layer = student.TokenEmbedding(300, 40)
    shapes = student.library.parameter_shapes(layer)
    hint = "self.weight = nn.Parameter(...), of shape (vocab_size, d_model)."
    require(shapes == {"weight": [300, 40]}, "the parameters are not one `weight` of (vocab_size, d_model)", hint)
    spread = layer.weight.std().item()  # of 12,000 numbers: between 0.018 and 0.022 but for one in 10^50 runs
    require(0.018 < spread < 0.022, f"the standard deviation is {spread:.4f}", "nn.init.normal_(weight, std=0.02)")


# --- sinusoids -------------------------------------------------------------------------------------------------------


@task("sinusoids")
@points(2)
def test_first_rows_of_four_columns(student):
    """The rows of positions 0, 1 and 2 with four columns are those on paper."""
    rows = [
        [0.0, 1.0, 0.0, 1.0],
        [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)],
        [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)],
    ]
    hint = "Even columns hold sines, odd ones cosines; two neighbours share an angle. Position 0 comes first."
    close(student.sinusoidal_positions(3, 4), torch.tensor(rows), hint=hint)


@task("sinusoids")
@points(2)
def test_sinusoids_by_the_formula(student, rng):
    """For drawn sizes every number is the sine or the cosine of position / 10000^(2i / d_model)."""
    n_positions, d_model = rng.integer(5, 40), 2 * rng.integer(3, 12)
    table = student.sinusoidal_positions(n_positions, d_model)
    close(table, sinusoids(n_positions, d_model), hint="The exponent is 2i / d_model in the columns 2i and 2i + 1.")
    require(table.dtype == torch.float32, f"expected float32, got {table.dtype}", "Return a float32 table.")


@task("sinusoids")
@points(1)
def test_dot_products_know_the_distance(student, rng):
    """The dot product of two rows is the sum of cos(distance · frequency): it depends on their distance only."""
    d_model = 2 * rng.integer(4, 16)
    table = student.sinusoidal_positions(20, d_model)
    distances = torch.arange(20.0)[:, None] - torch.arange(20.0)  # (20, 20)
    frequencies = [10000 ** (-2 * i / d_model) for i in range(d_model // 2)]
    expected = torch.stack([torch.cos(distances * frequency) for frequency in frequencies]).sum(0)
    close(table @ table.T, expected, atol=1e-3, hint="sin a sin b + cos a cos b = cos(a - b), pair by pair.")


@task("sinusoids")
@points(1)
def test_odd_widths_have_no_sinusoids(student):
    """An odd width is a ValueError, and an even one is not."""
    with pytest.raises(ValueError):
        student.sinusoidal_positions(4, 5)
    close(student.sinusoidal_positions(4, 6), sinusoids(4, 6))


# --- learned_positions -----------------------------------------------------------------------------------------------


@task("learned_positions")
@points(1)
def test_positions_get_their_rows(student, rng):
    """Positions get the rows with their numbers, also when they begin late or come in another order."""
    weight = rng.normal(6, 4)
    layer = make_table(student, "LearnedPositions", weight)
    for positions in (torch.arange(6), torch.tensor([3, 4, 5]), rng.permutation(6), rng.ids(6, 2, 3)):
        expected = torch.stack([weight[p] for p in positions.flatten().tolist()]).reshape(*positions.shape, 4)
        close(layer(positions), expected, hint="Look up the positions that come in, not the first so many rows.")


@task("learned_positions")
@points(2)
def test_positions_end(student, rng):
    """A position behind the last row, or a negative one, is an IndexError; the first and the last row are not."""
    weight = rng.normal(5, 4)
    layer = make_table(student, "LearnedPositions", weight)
    for bad in (5, 11, -1):
        with pytest.raises(IndexError):
            layer(torch.tensor([2, bad]))
    close(layer(torch.tensor([4, 0])), weight[[4, 0]], hint="Positions from 0 to max_positions - 1 are right.")


@task("learned_positions")
@points(1)
def test_positions_are_learned(student, rng):
    """The table is a parameter: the rows that were looked up get their gradients, the others get none."""
    layer = student.LearnedPositions(6, 3)
    shapes = student.library.parameter_shapes(layer)
    hint = "self.weight = nn.Parameter(...), of shape (max_positions, d_model)."
    require(shapes == {"weight": [6, 3]}, "the parameters are not one `weight` of (max_positions, d_model)", hint)
    positions, upstream = torch.tensor([1, 2, 4, 2]), rng.normal(4, 3)
    gradient = student.library.parameter_gradients(layer, positions, upstream=upstream)["weight"]
    close(gradient, sums_of_rows(6, positions, upstream), hint="Index the parameter itself; no .data, no .detach().")


# --- rope ------------------------------------------------------------------------------------------------------------


@task("rope")
@points(2)
def test_one_pair_turns(student):
    """A single pair turns by one radian for each position, counter-clockwise."""
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    c, s = math.cos(1), math.sin(1)
    expected = torch.tensor([[1.0, 0.0], [c, s], [-s, c], [2 * math.cos(3), 2 * math.sin(3)]])
    hint = "(a, b) becomes (a cos - b sin, a sin + b cos), with the angle of its own position."
    close(student.apply_rope(x, torch.tensor([0, 1, 1, 3])), expected, hint=hint)


@task("rope")
@points(2)
def test_pairs_turn_at_their_own_speeds(student, rng):
    """Pair i is columns 2i and 2i + 1, and turns by position / theta^(2i / dim): it is multiplied by e^(i · angle)."""
    x, positions = rng.normal(2, 3, 5, 8), rng.ids(30, 5)
    expected = torch.empty(2, 3, 5, 8)
    for i in range(4):
        for time, position in enumerate(positions.tolist()):
            angle = torch.tensor(position / 10000 ** (2 * i / 8))
            turn = torch.complex(angle.cos(), angle.sin())
            pair = torch.complex(x[..., time, 2 * i], x[..., time, 2 * i + 1]) * turn
            expected[..., time, 2 * i], expected[..., time, 2 * i + 1] = pair.real, pair.imag
    hint = "Pairs are neighbours: x[..., 0::2] with x[..., 1::2]. Interleave the results again, at the end."
    close(student.apply_rope(x, positions), expected, atol=1e-4, hint=hint)


@task("rope")
@points(2)
def test_scores_depend_on_the_distance(student, rng):
    """The dot product of a rotated query and a rotated key depends on how far apart they stand, and on that alone."""
    q, k = rng.normal(1, 8), rng.normal(1, 8)
    near, far = rng.integer(0, 9), rng.integer(10, 19)
    turned = library_parts().apply_rope(q, torch.tensor([far - near]))
    starts = torch.tensor([0, 1, 7, 20])
    queries = student.apply_rope(q.expand(4, 8).clone(), starts + far)
    keys = student.apply_rope(k.expand(4, 8).clone(), starts + near)
    hint = "Queries and keys turn the same way round, each by its own position."
    close((queries * keys).sum(-1), (turned * k).sum().expand(4), rtol=1e-3, atol=1e-3, hint=hint)


@task("rope")
@points(1)
def test_a_turn_keeps_every_length(student, rng):
    """At position 0 nothing happens, and at any position every pair keeps its length."""
    x = rng.normal(3, 6, 8)
    close(student.apply_rope(x, torch.zeros(6, dtype=torch.int64)), x, hint="Position 0 is an angle of 0.")
    turned = student.apply_rope(x, torch.arange(1, 7))
    has_shape(turned, 3, 6, 8)
    lengths = x.unflatten(-1, (4, 2)).norm(dim=-1)
    close(turned.unflatten(-1, (4, 2)).norm(dim=-1), lengths, hint="Mind the signs: a cos - b sin, a sin + b cos.")
    hint = "At position 1 every pair has moved, the last one just a little."
    moved = (turned - x).unflatten(-1, (4, 2)).norm(dim=-1)  # (3, 6, 4)
    require(bool((moved[:, 0] > 1e-5 * lengths[:, 0]).all()), "a pair was not turned at all", hint)


@task("rope")
@points(1)
def test_odd_widths_have_no_pairs(student, rng):
    """An odd width is a ValueError, and an even one is not."""
    with pytest.raises(ValueError):
        student.apply_rope(rng.normal(2, 3, 5), torch.arange(3))
    has_shape(student.apply_rope(rng.normal(2, 3, 6), torch.arange(3)), 2, 3, 6)


# --- input_embedding -------------------------------------------------------------------------------------------------


@task("input_embedding")
@points(1)
def test_tokens_plus_learned_positions(student, rng):
    """By default the vector of a position, which is learned, is added to the vector of the token."""
    tokens, table, ids = rng.normal(9, 6), rng.normal(5, 6), rng.ids(9, 2, 4)
    embedding = student.InputEmbedding(9, 6, 5)
    student.library.set_weights(embedding, {"tokens.weight": tokens, "positions.weight": table})
    hint = "self.tokens is a TokenEmbedding, self.positions a LearnedPositions. Nothing is scaled."
    close(embedding(ids), tokens[ids] + table[:4], hint=hint)


@task("input_embedding")
@points(1)
def test_tokens_plus_sinusoids(student, rng):
    """With "sinusoidal" the sinusoids are added, and the only thing to learn is the table of the tokens."""
    tokens, ids = rng.normal(9, 6), rng.ids(9, 2, 4)
    embedding = make_embedding(student, tokens, 5, "sinusoidal")
    close(embedding(ids), tokens[ids] + sinusoids(4, 6), hint="Add a position's row to every token at this position.")
    names = sorted(student.library.parameter_shapes(embedding))
    require(names == ["tokens.weight"], f"the parameters are {', '.join(names)}", "register_buffer makes no parameter.")


@task("input_embedding")
@points(1)
def test_rope_adds_nothing(student, rng):
    """With "rope" the vectors are those of the tokens alone, for texts of any length."""
    tokens, ids = rng.normal(9, 6), rng.ids(9, 2, 30)
    embedding = make_embedding(student, tokens, 5, "rope")
    close(embedding(ids), tokens[ids], hint="RoPE rotates in attention: add nothing here, and scale nothing.")
    close(embedding(ids, start=1000), tokens[ids], hint="With rope there is no last position.")


@task("input_embedding")
@points(2)
def test_positions_go_on_from_start(student, rng):
    """Fed in pieces, each with its `start`, a text gets the vectors that it gets as a whole."""
    tokens, ids = rng.normal(9, 6), rng.ids(9, 2, 7)
    table = rng.normal(7, 6)
    hint = "The tokens stand at start, start + 1, ...; not at 0, 1, ... again."
    for kind, positions in (("learned", table), ("sinusoidal", sinusoids(7, 6)), ("rope", torch.zeros(7, 6))):
        embedding = make_embedding(student, tokens, 7, kind)
        if kind == "learned":
            student.library.set_weights(embedding, {"positions.weight": table})
        pieces = [embedding(ids[:, a:b], start=a) for a, b in ((0, 3), (3, 4), (4, 7))]
        close(torch.cat(pieces, dim=1), tokens[ids] + positions, hint=hint)


@task("input_embedding")
@points(1)
def test_embedding_ends_with_its_positions(student, rng):
    """A token at max_positions or later is an IndexError; a text that just fits is not."""
    tokens, ids = rng.normal(9, 6), rng.ids(9, 1, 6)
    for kind in ("learned", "sinusoidal"):
        embedding = make_embedding(student, tokens, 5, kind)
        with pytest.raises(IndexError):
            embedding(ids)
        with pytest.raises(IndexError):
            embedding(ids[:, :2], start=4)
        has_shape(embedding(ids[:, :5]), 1, 5, 6)
        has_shape(embedding(ids[:, :1], start=4), 1, 1, 6)


@task("input_embedding")
@points(1)
def test_embedding_is_still_in_evaluation(student, rng):
    """In evaluation mode dropout does nothing; in training mode it does something."""
    tokens, ids = rng.normal(9, 6), rng.ids(9, 2, 5)
    embedding = make_embedding(student, tokens, 5, "sinusoidal", dropout=0.5)
    expected = tokens[ids] + sinusoids(5, 6)
    hint = "nn.Dropout knows whether the module is in training; F.dropout has to be told: training=self.training."
    close(embedding(ids), expected, hint=hint)
    embedding.train()
    require(not torch.allclose(embedding(ids), expected), "with dropout=0.5, training changes the output")


@task("input_embedding")
@points(1)
def test_unknown_kinds_and_negative_starts(student, rng):
    """An unknown kind of positions, or a negative start, is a ValueError; their legal neighbours are not."""
    tokens, ids = rng.normal(9, 6), rng.ids(9, 1, 3)
    with pytest.raises(ValueError):
        student.InputEmbedding(9, 6, 5, positions="sinus")
    embedding = make_embedding(student, tokens, 5, "sinusoidal")
    with pytest.raises(ValueError):
        embedding(ids, start=-1)
    close(embedding(ids, start=0), tokens[ids] + sinusoids(3, 6))
