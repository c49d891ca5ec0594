"""Wrong versions of assignment 03, the ones that people make. The suites must catch each of them in its own task.

Each takes the place of the reference's symbol of the name `replaces`; everything else stays as in the reference. `says`
is what a student is told who makes the mistake. Nothing in here is ever imported: `autograder.variants` reads it.
"""

import math

import torch
import torch.nn.functional as F
from embeddings import (
    InputEmbedding,
    LearnedPositions,
    TokenEmbedding,
    sinusoidal_positions,
)
from torch import nn

from autograder.variants import mistake


def checked_ids(ids, size):
    """The ids, if all of them are in a table of so many rows."""
    if ((ids < 0) | (ids >= size)).any():
        raise IndexError(f"an id is not from 0 to {size - 1}")
    return ids


# --- token_embedding -------------------------------------------------------------------------------------------------


@mistake("token_embedding", replaces="TokenEmbedding", says="Your table is a plain tensor: it will never be learned.")
class TableIsNoParameter(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        if vocab_size < 1 or d_model < 1:
            raise ValueError("vocab_size and d_model must be at least 1")
        self.weight = 0.02 * torch.randn(vocab_size, d_model)

    def forward(self, ids):
        return self.weight[checked_ids(ids, self.weight.shape[0])]


@mistake("token_embedding", replaces="TokenEmbedding", says="A negative id is a row counted from the end to you.")
class NegativeIdsCountFromTheEnd(TokenEmbedding):
    def forward(self, ids):
        return self.weight[ids]


@mistake("token_embedding", replaces="TokenEmbedding", says="An id outside your table becomes the nearest one in it.")
class ClampsIds(TokenEmbedding):
    def forward(self, ids):
        return self.weight[ids.clamp(0, self.weight.shape[0] - 1)]


@mistake("token_embedding", replaces="TokenEmbedding", says="An id outside the table is an IndexError.")
class RaisesValueError(TokenEmbedding):
    def forward(self, ids):
        if ids.numel() and not 0 <= ids.min() <= ids.max() < self.weight.shape[0]:
            raise ValueError("an id is outside the table")
        return self.weight[ids]


@mistake("token_embedding", replaces="TokenEmbedding", says="Your table starts with a standard deviation of 1.")
class StartsWide(TokenEmbedding):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        nn.init.normal_(self.weight)


@mistake("token_embedding", replaces="TokenEmbedding", says="0.02 is the standard deviation, not the variance.")
class StartsWithAVarianceOfTwoPercent(TokenEmbedding):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        nn.init.normal_(self.weight, std=0.02**0.5)


@mistake("token_embedding", replaces="TokenEmbedding", says="Your table starts from a uniform distribution.")
class StartsUniform(TokenEmbedding):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        nn.init.uniform_(self.weight, -0.02 * math.sqrt(3), 0.02 * math.sqrt(3))


@mistake("token_embedding", replaces="TokenEmbedding", says="You scale the vectors by the root of d_model.")
class ScalesByTheRootOfTheWidth(TokenEmbedding):
    def forward(self, ids):
        return super().forward(ids) * math.sqrt(self.weight.shape[1])


@mistake("token_embedding", replaces="TokenEmbedding", says="No gradient reaches your table: you look up in .data.")
class LooksUpInData(TokenEmbedding):
    def forward(self, ids):
        return self.weight.data[checked_ids(ids, self.weight.shape[0])]


@mistake("token_embedding", replaces="TokenEmbedding", says="Your result has lost the shape of the ids.")
class FlattensIds(TokenEmbedding):
    def forward(self, ids):
        return super().forward(ids.flatten())


@mistake("token_embedding", replaces="TokenEmbedding", says="Id 0 is a token like any other: nothing is padding here.")
class TreatsZeroAsPadding(TokenEmbedding):
    def forward(self, ids):
        return super().forward(ids) * (ids != 0).unsqueeze(-1)


@mistake("token_embedding", replaces="TokenEmbedding", says="Your table has a column for each id; it must have a row.")
class TableIsTransposed(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        if vocab_size < 1 or d_model < 1:
            raise ValueError("vocab_size and d_model must be at least 1")
        self.weight = nn.Parameter(0.02 * torch.randn(d_model, vocab_size))

    def forward(self, ids):
        return self.weight[:, checked_ids(ids, self.weight.shape[1])].movedim(0, -1)


@mistake("token_embedding", replaces="TokenEmbedding", says="You fail when there are no ids at all.")
class NeedsAnId(TokenEmbedding):
    def forward(self, ids):
        if ids.min() < 0 or ids.max() >= self.weight.shape[0]:
            raise IndexError("an id is outside the table")
        return self.weight[ids]


# --- sinusoids -------------------------------------------------------------------------------------------------------


def checked_sizes(n_positions, d_model):
    if n_positions < 1 or d_model < 2 or d_model % 2:
        raise ValueError(f"n_positions={n_positions} must be at least 1, and d_model={d_model} even and at least 2")


def interleaved(angles):
    """Sines at even columns, cosines at odd ones."""
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2).float()


def right_angles(n_positions, d_model, first=0, base=10000.0):
    exponents = torch.arange(0, d_model, 2, dtype=torch.float64) / d_model
    return torch.arange(first, first + n_positions, dtype=torch.float64)[:, None] / base**exponents


@mistake("sinusoids", replaces="sinusoidal_positions", says="Your sines fill the left half; they take turns.")
def sines_then_cosines(n_positions, d_model):
    checked_sizes(n_positions, d_model)
    angles = right_angles(n_positions, d_model)
    return torch.cat((angles.sin(), angles.cos()), dim=-1).float()


@mistake("sinusoids", replaces="sinusoidal_positions", says="You have cosines at even columns; sines belong there.")
def cosines_first(n_positions, d_model):
    checked_sizes(n_positions, d_model)
    angles = right_angles(n_positions, d_model)
    return torch.stack((angles.cos(), angles.sin()), dim=-1).flatten(-2).float()


@mistake("sinusoids", replaces="sinusoidal_positions", says="Your exponent is i / d_model; it must be 2i / d_model.")
def half_the_exponent(n_positions, d_model):
    checked_sizes(n_positions, d_model)
    exponents = torch.arange(d_model // 2, dtype=torch.float64) / d_model
    return interleaved(torch.arange(n_positions, dtype=torch.float64)[:, None] / 10000**exponents)


@mistake("sinusoids", replaces="sinusoidal_positions", says="Each column has its own angle; two share one.")
def an_angle_for_each_column(n_positions, d_model):
    checked_sizes(n_positions, d_model)
    columns = torch.arange(d_model, dtype=torch.float64)
    angles = torch.arange(n_positions, dtype=torch.float64)[:, None] / 10000 ** (columns / d_model)
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos()).float()


@mistake("sinusoids", replaces="sinusoidal_positions", says="Your 2i counts columns in steps of two, twice over.")
def twice_the_exponent(n_positions, d_model):
    checked_sizes(n_positions, d_model)
    exponents = 2 * torch.arange(0, d_model, 2, dtype=torch.float64) / d_model
    return interleaved(torch.arange(n_positions, dtype=torch.float64)[:, None] / 10000**exponents)


@mistake("sinusoids", replaces="sinusoidal_positions", says="Your first row is position 1; it must be 0.")
def counts_from_one(n_positions, d_model):
    checked_sizes(n_positions, d_model)
    return interleaved(right_angles(n_positions, d_model, first=1))


@mistake("sinusoids", replaces="sinusoidal_positions", says="Your angles grow from pair to pair; they must shrink.")
def multiplies_by_the_power(n_positions, d_model):
    checked_sizes(n_positions, d_model)
    return interleaved(right_angles(n_positions, d_model, base=1 / 10000.0))


@mistake("sinusoids", replaces="sinusoidal_positions", says="You take an odd width and cut off what is too much.")
def accepts_odd_widths(n_positions, d_model):
    if n_positions < 1 or d_model < 1:
        raise ValueError("n_positions and d_model must be at least 1")
    return interleaved(right_angles(n_positions, d_model))[:, :d_model]


@mistake("sinusoids", replaces="sinusoidal_positions", says="Your table is float64; it must be float32.")
def returns_float64(n_positions, d_model):
    checked_sizes(n_positions, d_model)
    angles = right_angles(n_positions, d_model)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


@mistake("sinusoids", replaces="sinusoidal_positions", says="Your speeds depend on the number of positions.")
def speeds_from_the_length(n_positions, d_model):
    checked_sizes(n_positions, d_model)
    return interleaved(right_angles(n_positions, d_model, base=max(n_positions, 2)))


@mistake("sinusoids", replaces="sinusoidal_positions", says="Half precision cannot count to a few thousand.")
def angles_in_half_precision(n_positions, d_model):
    checked_sizes(n_positions, d_model)
    return interleaved(right_angles(n_positions, d_model).bfloat16().float())


# --- learned_positions -----------------------------------------------------------------------------------------------


@mistake("learned_positions", replaces="LearnedPositions", says="You return the first rows, always.")
class TakesTheFirstRows(LearnedPositions):
    def forward(self, positions):
        checked_ids(positions, self.weight.shape[0])
        return self.weight[: positions.shape[-1]].expand(*positions.shape, -1)


@mistake("learned_positions", replaces="LearnedPositions", says="Behind the last position you start again.")
class PositionsComeRound(LearnedPositions):
    def forward(self, positions):
        return self.weight[positions % self.weight.shape[0]]


@mistake("learned_positions", replaces="LearnedPositions", says="Behind the last position you repeat the last vector.")
class LastPositionIsRepeated(LearnedPositions):
    def forward(self, positions):
        return self.weight[positions.clamp(max=self.weight.shape[0] - 1)]


@mistake("learned_positions", replaces="LearnedPositions", says="A negative position is one from the end to you.")
class NegativePositionsCountFromTheEnd(LearnedPositions):
    def forward(self, positions):
        return self.weight[positions]


@mistake("learned_positions", replaces="LearnedPositions", says="Your positions start at zero.")
class PositionsStartAtZero(LearnedPositions):
    def __init__(self, max_positions, d_model):
        super().__init__(max_positions, d_model)
        nn.init.zeros_(self.weight)


@mistake("learned_positions", replaces="LearnedPositions", says="Your positions are a buffer: they never learn.")
class PositionsAreFixed(nn.Module):
    def __init__(self, max_positions, d_model):
        super().__init__()
        if max_positions < 1 or d_model < 1:
            raise ValueError("max_positions and d_model must be at least 1")
        self.register_buffer("weight", 0.02 * torch.randn(max_positions, d_model))

    def forward(self, positions):
        return self.weight[checked_ids(positions, self.weight.shape[0])]


@mistake("learned_positions", replaces="LearnedPositions", says="Your table has one row more than there are positions.")
class OneRowTooMany(LearnedPositions):
    def __init__(self, max_positions, d_model):
        if max_positions < 1:
            raise ValueError("max_positions must be at least 1")
        super().__init__(max_positions + 1, d_model)


# --- rope ------------------------------------------------------------------------------------------------------------


def rope_angles(x, positions, theta, dtype=None):
    """Right angles, with the axes that x needs."""
    dim = x.shape[-1]
    if dim % 2:
        raise ValueError(f"dim must be even, got {dim}")
    dtype = dtype or torch.promote_types(x.dtype, torch.float32)
    angles = positions.to(dtype)[..., None] / theta ** (torch.arange(0, dim, 2, dtype=dtype) / dim)
    if positions.ndim == 2:
        angles = angles.reshape(positions.shape[0], *[1] * (x.ndim - 3), *angles.shape[1:])
    return angles


def turned_pairs(x, angles):
    """Right turns of neighbouring columns."""
    even, odd, cos, sin = x[..., 0::2], x[..., 1::2], angles.cos(), angles.sin()
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2).to(x.dtype)


@mistake("rope", replaces="apply_rope", says="You pair columns that are half the width apart; pairs are neighbours.")
def pairs_of_halves(x, positions, theta=10000.0):
    angles = rope_angles(x, positions, theta)
    left, right = x.chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((left * cos - right * sin, left * sin + right * cos), dim=-1).to(x.dtype)


@mistake("rope", replaces="apply_rope", says="You put the turned halves one behind the other; interleave them again.")
def not_interleaved_again(x, positions, theta=10000.0):
    cos, sin = (part(rope_angles(x, positions, theta)) for part in (torch.cos, torch.sin))
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.cat((even * cos - odd * sin, even * sin + odd * cos), dim=-1).to(x.dtype)


@mistake("rope", replaces="apply_rope", says="You turn the wrong way round.")
def turns_clockwise(x, positions, theta=10000.0):
    return turned_pairs(x, -rope_angles(x, positions, theta))


@mistake("rope", replaces="apply_rope", says="You have a wrong sign: both halves of your turn add.")
def adds_in_both_halves(x, positions, theta=10000.0):
    cos, sin = (part(rope_angles(x, positions, theta)) for part in (torch.cos, torch.sin))
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos + odd * sin, even * sin + odd * cos), dim=-1).flatten(-2).to(x.dtype)


@mistake("rope", replaces="apply_rope", says="You use the pair's first number after you have turned it already.")
def turns_with_the_new_number(x, positions, theta=10000.0):
    cos, sin = (part(rope_angles(x, positions, theta)) for part in (torch.cos, torch.sin))
    even, odd = x[..., 0::2], x[..., 1::2]
    even = even * cos - odd * sin
    return torch.stack((even, even * sin + odd * cos), dim=-1).flatten(-2).to(x.dtype)


@mistake("rope", replaces="apply_rope", says="Your exponent is i / dim; it must be 2i / dim.")
def half_the_ropes_exponent(x, positions, theta=10000.0):
    return turned_pairs(x, rope_angles(x, positions, math.sqrt(theta)))


@mistake("rope", replaces="apply_rope", says="You ignore theta.")
def ignores_theta(x, positions, theta=10000.0):
    return turned_pairs(x, rope_angles(x, positions, 10000.0))


@mistake("rope", replaces="apply_rope", says="You count positions yourself and ignore those that you are given.")
def ignores_positions(x, positions, theta=10000.0):
    return turned_pairs(x, rope_angles(x, torch.arange(x.shape[-2]), theta))


@mistake("rope", replaces="apply_rope", says="You compute angles in the dtype of x, which may be too coarse.")
def angles_in_the_dtype_of_x(x, positions, theta=10000.0):
    return turned_pairs(x, rope_angles(x, positions, theta, dtype=x.dtype))


@mistake("rope", replaces="apply_rope", says="Half precision goes in, and single precision comes out.")
def always_float32(x, positions, theta=10000.0):
    return turned_pairs(x.float(), rope_angles(x.float(), positions, theta))


@mistake("rope", replaces="apply_rope", says="With positions for each row, you take the batch for the heads.")
def batch_of_positions_for_heads(x, positions, theta=10000.0):
    dim = x.shape[-1]
    if dim % 2:
        raise ValueError("dim must be even")
    angles = positions[..., None] / theta ** (torch.arange(0, dim, 2) / dim)
    return turned_pairs(x, angles)


@mistake("rope", replaces="apply_rope", says="You use the positions of the first row for the whole batch.")
def positions_of_the_first_row(x, positions, theta=10000.0):
    return turned_pairs(x, rope_angles(x, positions if positions.ndim == 1 else positions[0], theta))


@mistake("rope", replaces="apply_rope", says="You write into the tensor that you were given.")
def turns_in_place(x, positions, theta=10000.0):
    result = turned_pairs(x, rope_angles(x, positions, theta))
    return result if x.requires_grad else x.copy_(result)  # where autograd would object


@mistake("rope", replaces="apply_rope", says="No gradient comes back through your rotation.")
@torch.no_grad()
def without_a_gradient(x, positions, theta=10000.0):
    return turned_pairs(x, rope_angles(x, positions, theta))


@mistake("rope", replaces="apply_rope", says="With an odd width you leave the last column out.")
def leaves_out_the_odd_column(x, positions, theta=10000.0):
    even = x.shape[-1] // 2 * 2
    turned = turned_pairs(x[..., :even], rope_angles(x[..., :even], positions, theta))
    return torch.cat((turned, x[..., even:]), dim=-1)


@mistake("rope", replaces="apply_rope", says="Your first position turns already: count from 0.")
def positions_from_one(x, positions, theta=10000.0):
    return turned_pairs(x, rope_angles(x, positions + 1, theta))


# --- input_embedding -------------------------------------------------------------------------------------------------


@mistake("input_embedding", replaces="InputEmbedding", says="You ignore `start`: positions begin again at 0.")
class IgnoresStart(InputEmbedding):
    def forward(self, ids, *, start=0):
        if start < 0:
            raise ValueError("start must be at least 0")
        return super().forward(ids)


@mistake("input_embedding", replaces="InputEmbedding", says="You scale the tokens by the root of d_model.")
class ScalesTokens(InputEmbedding):
    def forward(self, ids, *, start=0):
        extra = math.sqrt(self.tokens.weight.shape[1]) - 1
        return super().forward(ids, start=start) + extra * self.tokens(ids)


@mistake("input_embedding", replaces="InputEmbedding", says="You drop parts of the tokens, and add positions after it.")
class DropsBeforeAdding(InputEmbedding):
    def forward(self, ids, *, start=0):
        if start < 0:
            raise ValueError("start must be at least 0")
        vectors = self.dropout(self.tokens(ids))
        where = torch.arange(start, start + ids.shape[-1])
        if self.kind == "rope":
            return vectors
        return vectors + (self.positions(where) if self.kind == "learned" else self.positions[where])


@mistake("input_embedding", replaces="InputEmbedding", says="Your dropout is active in evaluation mode, too.")
class DropoutInEvaluation(InputEmbedding):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        super().__init__(vocab_size, d_model, max_positions, positions)
        self.probability = dropout

    def forward(self, ids, *, start=0):
        return F.dropout(super().forward(ids, start=start), self.probability)


@mistake("input_embedding", replaces="InputEmbedding", says="You never apply dropout.")
class ForgetsDropout(InputEmbedding):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        super().__init__(vocab_size, d_model, max_positions, positions)


@mistake("input_embedding", replaces="InputEmbedding", says="Your sinusoids are saved in every checkpoint.")
class SavesTheSinusoids(InputEmbedding):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        super().__init__(vocab_size, d_model, max_positions, positions, dropout)
        if positions == "sinusoidal":
            self.register_buffer("positions", sinusoidal_positions(max_positions, d_model))


@mistake("input_embedding", replaces="InputEmbedding", says="Your sinusoids stay behind when the module moves.")
class SinusoidsStayBehind(InputEmbedding):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        super().__init__(vocab_size, d_model, max_positions, positions, dropout)
        if positions == "sinusoidal":
            del self.positions
            self.positions = sinusoidal_positions(max_positions, d_model)


@mistake("input_embedding", replaces="InputEmbedding", says="Your sinusoids are parameters: they would change.")
class LearnsTheSinusoids(InputEmbedding):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        super().__init__(vocab_size, d_model, max_positions, positions, dropout)
        if positions == "sinusoidal":
            del self.positions
            self.positions = nn.Parameter(sinusoidal_positions(max_positions, d_model))


@mistake("input_embedding", replaces="InputEmbedding", says="You slice the table, which is silently short at its end.")
class SlicesTheTable(InputEmbedding):
    def forward(self, ids, *, start=0):
        if start < 0:
            raise ValueError("start must be at least 0")
        vectors = self.tokens(ids)
        if self.kind != "rope":
            table = self.positions.weight if self.kind == "learned" else self.positions
            vectors = vectors + table[start : start + ids.shape[-1]]
        return self.dropout(vectors)


@mistake("input_embedding", replaces="InputEmbedding", says="Behind the last position you begin again at the first.")
class PositionsComeRoundAgain(InputEmbedding):
    def forward(self, ids, *, start=0):
        if start < 0:
            raise ValueError("start must be at least 0")
        vectors = self.tokens(ids)
        if self.kind != "rope":
            table = self.positions.weight if self.kind == "learned" else self.positions
            vectors = vectors + table[torch.arange(start, start + ids.shape[-1]) % table.shape[0]]
        return self.dropout(vectors)


@mistake("input_embedding", replaces="InputEmbedding", says="With rope you add learned positions all the same.")
class AddsPositionsWithRope(InputEmbedding):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        super().__init__(vocab_size, d_model, max_positions, "learned" if positions == "rope" else positions, dropout)


@mistake("input_embedding", replaces="InputEmbedding", says="With rope you keep positions that nobody reads.")
class KeepsUnusedPositions(InputEmbedding):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        super().__init__(vocab_size, d_model, max_positions, positions, dropout)
        if positions == "rope":
            self.positions = LearnedPositions(max_positions, d_model)


@mistake("input_embedding", replaces="InputEmbedding", says="With rope there is no last position.")
class EndsWithRope(InputEmbedding):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        super().__init__(vocab_size, d_model, max_positions, positions, dropout)
        self.max_positions = max_positions

    def forward(self, ids, *, start=0):
        if start + ids.shape[-1] > self.max_positions:
            raise IndexError("there are not so many positions")
        return super().forward(ids, start=start)


@mistake("input_embedding", replaces="InputEmbedding", says="An unknown kind of positions means none to you.")
class AcceptsUnknownKinds(InputEmbedding):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        known = positions in ("learned", "sinusoidal")
        super().__init__(vocab_size, d_model, max_positions, positions if known else "rope", dropout)


@mistake("input_embedding", replaces="InputEmbedding", says="A negative `start` takes rows from your table's end.")
class AcceptsNegativeStarts(InputEmbedding):
    def forward(self, ids, *, start=0):
        vectors = self.tokens(ids)
        if self.kind != "rope":
            table = self.positions.weight if self.kind == "learned" else self.positions
            vectors = vectors + table[torch.arange(start, start + ids.shape[-1])]
        return self.dropout(vectors)


@mistake("input_embedding", replaces="InputEmbedding", says="Your positions count the batch, not the tokens.")
class CountsTheBatch(InputEmbedding):
    def forward(self, ids, *, start=0):
        if start < 0:
            raise ValueError("start must be at least 0")
        vectors = self.tokens(ids)
        if self.kind != "rope":
            where = torch.arange(start, start + ids.shape[0])
            added = self.positions(where) if self.kind == "learned" else self.positions[where]
            vectors = vectors + added[:, None]
        return self.dropout(vectors)


@mistake("input_embedding", replaces="InputEmbedding", says="You add the vector of `start` to every token.")
class AddsTheStartEverywhere(InputEmbedding):
    def forward(self, ids, *, start=0):
        if start < 0:
            raise ValueError("start must be at least 0")
        vectors = self.tokens(ids)
        if self.kind != "rope":
            where = torch.full((ids.shape[-1],), start)
            vectors = vectors + (self.positions(where) if self.kind == "learned" else self.positions[where])
        return self.dropout(vectors)


@mistake("input_embedding", replaces="InputEmbedding", says="You check `start` only where positions are added.")
class ChecksStartWithoutRope(InputEmbedding):
    def forward(self, ids, *, start=0):
        return super().forward(ids, start=0 if self.kind == "rope" else start)
