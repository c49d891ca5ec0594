"""Embeddings and positions: ids become vectors, and each vector is told where its token stands.

    embedding = InputEmbedding(vocab_size=65, d_model=8, max_positions=16)
    embedding(torch.tensor([[3, 1, 4, 1, 5]])).shape   # (batch, time, d_model) = (1, 5, 8)

From small to large: `TokenEmbedding`, a table of vectors; `sinusoidal_positions` and `LearnedPositions`, vectors that
are added to those; `apply_rope`, which adds nothing but turns queries and keys inside attention; and `InputEmbedding`,
which puts the first three together.

Does not handle: padding, token types, or stretching RoPE to longer texts.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class TokenEmbedding(nn.Module):
    """A table with a vector for every token id: embedding a token means looking up its row (Bengio et al. 2003).

        embedding = TokenEmbedding(vocab_size=3, d_model=2)
        embedding.weight                                         # say it is [[1., 2.], [3., 4.], [5., 6.]]
        embedding(torch.tensor([2, 0, 2]))                       # tensor([[5., 6.], [1., 2.], [5., 6.]])

    Only the rows that were looked up get a gradient, and a row that was looked up twice gets the sum of both.

    Raises ValueError if `vocab_size` or `d_model` is below 1.
    """

    def __init__(self, vocab_size: int, d_model: int) -> None:
        """Makes the table. Other modules rely on it, by this name:

        weight: an nn.Parameter of shape (vocab_size, d_model). Each number of it is drawn from a normal distribution
            with mean 0 and standard deviation 0.02, as in GPT-2, with torch's global random state.

        Steps:
        1. Check the sizes.
        2. Make the parameter and fill it.
        """
        super().__init__()
        ### BEGIN SOLUTION
        for name, size in (("vocab_size", vocab_size), ("d_model", d_model)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
        nn.init.normal_(self.weight, std=0.02)
        ### END SOLUTION

    def forward(self, ids: Int[Tensor, "..."]) -> Float[Tensor, "... d_model"]:
        """Gives each id its vector, the row of `weight` with that number, as it is: it is not scaled.

        ids: any shape, also one id without an axis, or no ids at all. The result has one axis more, d_model long.
        Raises IndexError if an id is not from 0 to vocab_size - 1. A negative id is no exception: to torch, -1 is the
        last row, so `weight[ids]` alone would take a wrong id for a right one.

        Steps:
        1. Look for ids below 0, or from vocab_size on.
        2. Index the table with all ids at once.
        """
        ### BEGIN SOLUTION
        vocab_size = self.weight.shape[0]
        outside = ids[(ids < 0) | (ids >= vocab_size)]
        if outside.numel() > 0:
            raise IndexError(f"token id {outside[0].item()} is not from 0 to {vocab_size - 1}")
        return self.weight[ids]  # (..., d_model)
        ### END SOLUTION


def sinusoidal_positions(n_positions: int, d_model: int) -> Float[Tensor, "n_positions d_model"]:
    """Makes a fixed vector for every position, of sines and cosines (Vaswani et al. 2017, section 3.5).

    Two neighbouring columns are one clock hand. Hand i, in the columns 2i and 2i + 1, has at `position` the angle
    position / 10000^(2i / d_model), in radians: the first hand is fast, the last is slow. The even column holds the
    angle's sine, the odd column its cosine. With d_model = 4, hand 0 has the angle `position`, and hand 1 a hundredth
    of it, as 10000^(2/4) = 100. At position 1 that is sin 1, cos 1, sin 0.01, cos 0.01:

        sinusoidal_positions(2, 4)                               # tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                                                                 #         [0.8415, 0.5403, 0.0100, 0.9999]])

    Returns a float32 tensor; row p belongs to position p, from 0 on.
    Raises ValueError if `n_positions` or `d_model` is below 1, or d_model is odd: a hand needs two columns.

    Steps:
    1. Check the sizes.
    2. Make the angles: a row for each position, a column for each hand. In float64 they stay exact far out.
    3. Put the sines into the even columns of a table, and the cosines into the odd ones.
    """
    ### BEGIN SOLUTION
    if n_positions < 1:
        raise ValueError(f"n_positions must be at least 1, got {n_positions}")
    if d_model < 1 or d_model % 2 != 0:
        raise ValueError(f"d_model must be even and at least 2, got {d_model}")
    positions = torch.arange(n_positions, dtype=torch.float64)[:, None]  # (n_positions, 1)
    exponents = torch.arange(0, d_model, 2, dtype=torch.float64) / d_model  # (hands,)
    angles = positions / 10000.0**exponents  # (n_positions, hands)
    table = torch.empty(n_positions, d_model, dtype=torch.float32)
    table[:, 0::2] = angles.sin()
    table[:, 1::2] = angles.cos()
    return table
    ### END SOLUTION


class LearnedPositions(nn.Module):
    """A table with a vector for every position, learned in training like the tokens' (GPT-2).

        positions = LearnedPositions(max_positions=3, d_model=2)
        positions.weight                                         # say it is [[1., 2.], [3., 4.], [5., 6.]]
        positions(torch.tensor([1, 2]))                          # tensor([[3., 4.], [5., 6.]])

    What stands at position 3 or later has no vector, and never will have one: the table ends.

    Raises ValueError if `max_positions` or `d_model` is below 1.
    """

    def __init__(self, max_positions: int, d_model: int) -> None:
        """Makes the table. Other modules rely on it, by this name:

        weight: an nn.Parameter of shape (max_positions, d_model), drawn as in TokenEmbedding.

        Steps:
        1. Check the sizes.
        2. Make the parameter and fill it.
        """
        super().__init__()
        ### BEGIN SOLUTION
        for name, size in (("max_positions", max_positions), ("d_model", d_model)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        self.weight = nn.Parameter(torch.empty(max_positions, d_model))
        nn.init.normal_(self.weight, std=0.02)
        ### END SOLUTION

    def forward(self, positions: Int[Tensor, "..."]) -> Float[Tensor, "... d_model"]:
        """Gives each position its vector: the row of `weight` with that number.

        positions: any shape, in any order. The result has one axis more, d_model long.
        Raises IndexError if a position is not from 0 to max_positions - 1, be it negative or too large.

        Steps:
        1. Look for positions below 0, or from max_positions on.
        2. Index the table with all positions at once.
        """
        ### BEGIN SOLUTION
        max_positions = self.weight.shape[0]
        outside = positions[(positions < 0) | (positions >= max_positions)]
        if outside.numel() > 0:
            raise IndexError(f"position {outside[0].item()} is not from 0 to {max_positions - 1}")
        return self.weight[positions]  # (..., d_model)
        ### END SOLUTION


def apply_rope(
    x: Float[Tensor, "... time dim"], positions: Int[Tensor, "... time"], theta: float = 10000.0
) -> Float[Tensor, "... time dim"]:
    """Rotates each vector by its position, two neighbouring numbers at a time (Su et al. 2021, sections 3.2 and 3.4.2).

    Pair i, the columns 2i and 2i + 1, is a point in the plane. At position m it turns by m / theta^(2i / dim), in
    radians. A turn by `angle` takes (a, b) to (a cos angle - b sin angle, a sin angle + b cos angle). The first pair
    turns by one radian for each position, so with dim = 2:

        x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        apply_rope(x, torch.tensor([0, 1, 1]))                   # tensor([[ 1.0000, 0.0000],
                                                                 #         [ 0.5403, 0.8415],
                                                                 #         [-0.8415, 0.5403]])

    The dot product of two vectors that were rotated so depends on how far apart they stand, and not on where.

    x: any number of axes, from (time, dim) on; (batch, heads, time, dim) in attention.
    positions: (time,), the same for everything before the time axis; or (batch, time), where the first axis of x is
        the batch. Then all axes between batch and time, such as the heads, share them. They may be any positions in
        any order, and there is no largest one.
    theta: how much slower the last pairs turn than the first.
    Returns the shape and dtype of x. At position 5000, bfloat16 cannot tell 5000 from 4992, and 8 radians are more
    than a whole turn: whatever the dtype of x, compute the angles in at least float32.
    Raises ValueError if dim is odd.

    Steps:
    1. Check dim.
    2. Make the angles: one for each position and each pair.
    3. If positions have a batch axis, give the angles an axis of length 1 for each axis of x between batch and time.
    4. Take the even and the odd columns of x, and turn each pair.
    5. Put the columns back where they came from, and go back to the dtype of x.
    """
    ### BEGIN SOLUTION
    dim = x.shape[-1]
    if dim % 2 != 0:
        raise ValueError(f"dim, the last axis of x, must be even, got {dim}")
    wide = torch.promote_types(x.dtype, torch.float32)
    exponents = torch.arange(0, dim, 2, dtype=wide, device=x.device) / dim  # (pairs,)
    angles = positions.to(wide)[..., None] / theta**exponents  # (time, pairs) or (batch, time, pairs)
    if positions.ndim == 2:
        between = [1] * (x.ndim - 3)  # one for each axis between batch and time
        angles = angles.reshape(positions.shape[0], *between, *angles.shape[1:])  # (batch, 1, time, pairs)
    cos, sin = angles.cos(), angles.sin()
    even, odd = x[..., 0::2], x[..., 1::2]  # (..., time, pairs)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)  # (..., time, pairs, 2)
    return turned.flatten(start_dim=-2).to(x.dtype)  # (..., time, dim)
    ### END SOLUTION


class InputEmbedding(nn.Module):
    """What a transformer reads: each token's vector plus its position's (Vaswani et al. 2017, sections 3.4 and 3.5).

        embedding = InputEmbedding(vocab_size=65, d_model=8, max_positions=16, positions="sinusoidal")
        ids = torch.tensor([[3, 1, 4, 1, 5]])
        x = embedding(ids)                                       # (1, 5, 8); the two 1s have different vectors
        embedding(ids[:, 3:], start=3)                           # x[:, 3:]: the same tokens at the same positions

    positions: "learned" adds LearnedPositions, "sinusoidal" adds sinusoidal_positions. "rope" adds nothing, because the
        attention layers rotate instead.
    max_positions: how many positions there are. "rope" has no end, and ignores it.
    dropout: how likely each number of the sum is to be zeroed in training.
    Raises ValueError if `positions` is none of the three, or a size does not suit the parts that are made.
    """

    def __init__(
        self, vocab_size: int, d_model: int, max_positions: int, positions: str = "learned", dropout: float = 0.0
    ) -> None:
        """Makes the parts. Other modules rely on two of them, by these names:

        tokens: a TokenEmbedding.
        positions: LearnedPositions for "learned". For "sinusoidal" a buffer, which moves with the module to another
            dtype or device and is no parameter. It is not persistent: what can be computed again need not be in
            checkpoints. For "rope" there is neither.

        Steps:
        1. Make the tokens' table.
        2. Make what `positions` asks for, or raise. register_buffer has an argument `persistent`.
        3. Make the dropout.
        """
        super().__init__()
        ### BEGIN SOLUTION
        self.kind = positions
        self.tokens = TokenEmbedding(vocab_size, d_model)
        if positions == "learned":
            self.positions = LearnedPositions(max_positions, d_model)
        elif positions == "sinusoidal":
            self.register_buffer("positions", sinusoidal_positions(max_positions, d_model), persistent=False)
        elif positions != "rope":
            raise ValueError(f"positions must be learned, sinusoidal or rope, got {positions!r}")
        self.dropout = nn.Dropout(dropout)
        ### END SOLUTION

    def forward(self, ids: Int[Tensor, "batch time"], *, start: int = 0) -> Float[Tensor, "batch time d_model"]:
        """Looks up the tokens, adds the positions, and applies dropout last. Nothing is scaled.

        start: the position of the first token of each row; the others follow it. It is above 0 when the tokens before
            are in a cache.
        Raises ValueError if `start` is negative, whatever the kind of positions; and IndexError if an id is not in the
        table, or a token stands at max_positions or later (with "rope", no position is too large).

        Steps:
        1. Check `start`, and look up the tokens.
        2. List their positions: start, start + 1, and so on, as many as there are tokens in a row.
        3. Add what stands in the table at these positions, unless there is none. A slice such as table[3:9] is short
           and silent where the table ends; indexing with a tensor of positions raises IndexError.
        4. Apply dropout.
        """
        ### BEGIN SOLUTION
        if start < 0:
            raise ValueError(f"start must be at least 0, got {start}")
        vectors = self.tokens(ids)  # (batch, time, d_model)
        where = torch.arange(start, start + ids.shape[-1], device=ids.device)  # (time,)
        if self.kind == "learned":
            vectors = vectors + self.positions(where)
        elif self.kind == "sinusoidal":
            vectors = vectors + self.positions[where]
        return self.dropout(vectors)
        ### END SOLUTION
