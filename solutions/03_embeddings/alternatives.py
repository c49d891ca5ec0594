"""Right versions of assignment 03 that differ from the reference. Each must get full marks.

Each takes the place of the reference's symbol of the name `replaces`; those with the same `name` go together. Nothing
in here is ever imported: `autograder.variants` reads it.
"""

import math

import torch
import torch.nn.functional as F
from embeddings import InputEmbedding, LearnedPositions, TokenEmbedding, sinusoidal_positions
from torch import nn

from autograder.variants import alternative


class NoSuchRow(IndexError):
    """What some of these raise: an IndexError of their own."""


# --- token_embedding, learned_positions ------------------------------------------------------------------------------


@alternative(replaces="TokenEmbedding", says="a product of one-hot rows and the table")
class OneHotTimesTable(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        if vocab_size <= 0 or d_model <= 0:
            raise ValueError(f"vocab_size={vocab_size} and d_model={d_model} must be positive")
        self.weight = nn.Parameter(torch.randn(vocab_size, d_model) * 0.02)

    def forward(self, ids):
        rows = self.weight.shape[0]
        if bool(torch.any(ids < 0)) or bool(torch.any(ids >= rows)):
            raise NoSuchRow(f"there are {rows} rows")
        one_hot = ids.unsqueeze(-1) == torch.arange(rows)  # (..., vocab_size)
        return one_hot.to(self.weight.dtype) @ self.weight


@alternative(name="tables by index_select", replaces="TokenEmbedding", says="index_select over the flattened ids")
class SelectsRows(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        if min(vocab_size, d_model) < 1:
            raise ValueError("vocab_size and d_model: at least 1")
        self.weight = nn.Parameter(torch.normal(0.0, 0.02, size=(vocab_size, d_model)))

    def forward(self, ids):
        rows = torch.index_select(self.weight, 0, ids.reshape(-1))  # negative ids are an IndexError here
        return rows.reshape(*ids.shape, self.weight.shape[1])


@alternative(name="tables by index_select", replaces="LearnedPositions", says="derived from TokenEmbedding")
class PositionsAreTokens(TokenEmbedding):
    def __init__(self, max_positions, d_model):
        super().__init__(vocab_size=max_positions, d_model=d_model)


@alternative(replaces="TokenEmbedding", says="checks each id in plain Python, keeps its sizes, uses trunc_normal_")
class ChecksOneByOne(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        if vocab_size < 1:
            raise ValueError(f"vocab_size is {vocab_size}")
        if d_model < 1:
            raise ValueError(f"d_model is {d_model}")
        self.vocab_size, self.d_model = vocab_size, d_model
        self.register_parameter("weight", nn.Parameter(torch.zeros(vocab_size, d_model)))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, ids):
        for token_id in ids.flatten().tolist():
            if token_id not in range(self.vocab_size):
                raise IndexError(token_id)
        return self.weight[ids, :]


@alternative(replaces="LearnedPositions", says="asks for the least and the largest position, if there is any")
class LeastAndLargest(nn.Module):
    def __init__(self, max_positions, d_model):
        super().__init__()
        if not (max_positions >= 1 and d_model >= 1):
            raise ValueError("at least one position and one column, please")
        self.weight = nn.Parameter(torch.empty(max_positions, d_model).normal_(0, 0.02))

    def forward(self, positions):
        if positions.numel() and (positions.min() < 0 or positions.max() >= len(self.weight)):
            raise NoSuchRow("position out of range")
        return self.weight[positions.long()]


@alternative(replaces="LearnedPositions", says="holds a TokenEmbedding's parameter, and calls it")
class BorrowsATable(nn.Module):
    def __init__(self, max_positions, d_model):
        super().__init__()
        self.weight = TokenEmbedding(max_positions, d_model).weight

    def forward(self, positions):
        rows = range(len(self.weight))
        if not all(position in rows for position in positions.flatten().tolist()):
            raise IndexError("no such position")
        flat = self.weight.gather(0, positions.reshape(-1, 1).expand(-1, self.weight.shape[1]))
        return flat.unflatten(0, positions.shape) if positions.ndim > 1 else flat.reshape(*positions.shape, -1)


# --- sinusoids -------------------------------------------------------------------------------------------------------


@alternative(replaces="sinusoidal_positions", says="float32 throughout, the power by exp and log, one buffer filled")
def sinusoids_in_float32(n_positions, d_model):
    if n_positions < 1 or d_model < 1 or d_model % 2:
        raise ValueError("n_positions: at least 1; d_model: even and positive")
    table = torch.zeros(n_positions, d_model)
    position = torch.arange(n_positions).float().unsqueeze(1)
    speed = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
    table[:, 0::2] = torch.sin(position * speed)
    table[:, 1::2] = torch.cos(position * speed)
    return table


@alternative(replaces="sinusoidal_positions", says="complex numbers on the unit circle")
def sinusoids_by_complex_numbers(n_positions, d_model):
    if min(n_positions, d_model) < 1:
        raise ValueError("sizes must be positive")
    if d_model & 1:
        raise ValueError("d_model must be even")
    speeds = torch.pow(10000.0, -torch.arange(0, d_model, 2).double() / d_model)
    angles = torch.outer(torch.arange(n_positions).double(), speeds)
    circle = torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(circle).flip(-1).reshape(n_positions, d_model).to(torch.float32)


@alternative(replaces="sinusoidal_positions", says="plain Python, one number at a time")
def sinusoids_one_by_one(n_positions, d_model):
    if n_positions <= 0 or d_model <= 0 or d_model % 2 == 1:
        raise ValueError(f"impossible sizes {n_positions} and {d_model}")
    rows = []
    for position in range(n_positions):
        angles = [position / 10000 ** (2 * (column // 2) / d_model) for column in range(d_model)]
        rows.append([math.cos(a) if column % 2 else math.sin(a) for column, a in enumerate(angles)])
    return torch.tensor(rows)


@alternative(replaces="sinusoidal_positions", says="all columns are sines, the odd ones a quarter turn ahead")
def sinusoids_by_phase(n_positions, d_model):
    if n_positions < 1 or d_model < 1 or d_model % 2:
        raise ValueError("no such table")
    columns = torch.arange(d_model)
    angles = torch.arange(n_positions)[:, None].double() / 10000 ** ((columns - columns % 2) / d_model).double()
    return torch.sin(angles + (columns % 2) * (math.pi / 2)).float()


@alternative(replaces="sinusoidal_positions", says="each row is the last one, turned a little further")
def sinusoids_by_turning(n_positions, d_model):
    if n_positions < 1 or d_model < 2 or d_model % 2:
        raise ValueError("n_positions must be at least 1, d_model even and at least 2")
    speeds = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    step = torch.polar(torch.ones_like(speeds), speeds)
    rows = [torch.ones_like(step)]
    for _ in range(n_positions - 1):
        rows.append(rows[-1] * step)
    circle = torch.stack(rows)
    return torch.stack((circle.imag, circle.real), dim=-1).flatten(1).float()


# --- rope ------------------------------------------------------------------------------------------------------------


@alternative(replaces="apply_rope", says="complex numbers: torch.view_as_complex")
def rope_by_complex_numbers(x, positions, theta=10000.0):
    dim = x.size(-1)
    if dim % 2:
        raise ValueError(f"the width {dim} is odd")
    speeds = 1.0 / (theta ** (torch.arange(0, dim, 2).float() / dim))
    turns = torch.polar(torch.ones(1), positions.float().unsqueeze(-1) * speeds)
    if positions.dim() == 2:
        while turns.dim() < x.dim():
            turns = turns.unsqueeze(1)
    wide = x if x.dtype == torch.float64 else x.float()
    pairs = torch.view_as_complex(wide.reshape(*x.shape[:-1], dim // 2, 2))
    return torch.view_as_real(pairs * turns).reshape(x.shape).to(x.dtype)


@alternative(replaces="apply_rope", says="x cos + (x turned by a quarter) sin, with every angle repeated")
def rope_by_quarter_turns(x, positions, theta=10000.0):
    if x.shape[-1] % 2 == 1:
        raise ValueError("dim must be even")
    speeds = theta ** -(torch.arange(0, x.shape[-1], 2, dtype=torch.float64) / x.shape[-1])
    angles = (positions.double().unsqueeze(-1) * speeds).repeat_interleave(2, dim=-1)
    for _ in range(x.ndim - 3 if positions.ndim > 1 else 0):
        angles = angles.unsqueeze(1)
    quarter = torch.stack((-x[..., 1::2], x[..., 0::2]), dim=-1).flatten(-2)
    return (x * angles.cos() + quarter * angles.sin()).type_as(x)


@alternative(replaces="apply_rope", says="2 by 2 rotation matrices, by einsum")
def rope_by_matrices(x, positions, theta=10000.0):
    dim = x.shape[-1]
    if dim % 2 != 0:
        raise ValueError("odd")
    wide = torch.promote_types(x.dtype, torch.float32)
    angles = torch.einsum("...t,p->...tp", positions.to(wide), theta ** (-torch.arange(0, dim, 2).to(wide) / dim))
    cos, sin = torch.cos(angles), torch.sin(angles)
    matrices = torch.stack((torch.stack((cos, -sin), -1), torch.stack((sin, cos), -1)), -2)
    if positions.ndim == 2 and x.ndim > 3:
        matrices = matrices[(slice(None), *[None] * (x.ndim - 3))]
    pairs = x.to(wide).unflatten(-1, (dim // 2, 2))
    return (matrices @ pairs.unsqueeze(-1)).squeeze(-1).flatten(-2).to(x.dtype)


@alternative(replaces="apply_rope", says="the cosines and sines in the dtype of x, the result filled into a new tensor")
def rope_into_a_new_tensor(x, positions, theta=10000.0):
    *_, time, dim = x.shape
    if dim % 2:
        raise ValueError(f"{dim} columns cannot be paired")
    result = torch.empty_like(x)
    for pair in range(dim // 2):
        angles = positions.float() * theta ** (-2 * pair / dim)  # (time,) or (batch, time)
        if positions.ndim == 2:
            angles = angles.view(len(positions), *[1] * (x.ndim - 3), time)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        result[..., 2 * pair] = x[..., 2 * pair] * cos - x[..., 2 * pair + 1] * sin
        result[..., 2 * pair + 1] = x[..., 2 * pair] * sin + x[..., 2 * pair + 1] * cos
    return result


@alternative(replaces="apply_rope", says="a table of all positions up to the largest, made anew and then looked up")
def rope_by_a_table(x, positions, theta=10000.0):
    if x.shape[-1] % 2:
        raise ValueError("x must have an even width")
    speeds = torch.tensor([theta ** (-column / x.shape[-1]) for column in range(0, x.shape[-1], 2)])
    table = torch.outer(torch.arange(int(positions.max()) + 1).float(), speeds)
    angles = table[positions]
    if positions.ndim == 2:
        angles = angles.view(angles.shape[:1] + (1,) * (x.ndim - 3) + angles.shape[1:])
    turned = x.clone().to(torch.promote_types(x.dtype, torch.float32))
    turned[..., ::2] = x[..., ::2] * angles.cos() - x[..., 1::2] * angles.sin()
    turned[..., 1::2] = x[..., ::2] * angles.sin() + x[..., 1::2] * angles.cos()
    return turned.to(x.dtype)


# --- input_embedding -------------------------------------------------------------------------------------------------


@alternative(replaces="InputEmbedding", says="checks the end itself and slices; F.dropout that is told the mode")
class SlicesWithCare(nn.Module):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        super().__init__()
        if positions not in {"learned", "sinusoidal", "rope"}:
            raise ValueError(f"positions={positions!r} is unknown")
        self.positions = None
        if positions == "sinusoidal":
            del self.positions
            self.register_buffer("positions", sinusoidal_positions(max_positions, d_model), persistent=False)
        elif positions == "learned":
            self.positions = LearnedPositions(max_positions, d_model)
        self.tokens = TokenEmbedding(vocab_size, d_model)
        self.end = math.inf if positions == "rope" else max_positions
        self.p = dropout

    def forward(self, ids, *, start=0):
        batch, time = ids.shape
        if start < 0:
            raise ValueError("a negative start")
        if start + time > self.end:
            raise NoSuchRow(f"position {start + time - 1} is too far out")
        x = self.tokens(ids)
        if isinstance(self.positions, torch.Tensor):
            x = x + self.positions[start : start + time].unsqueeze(0)
        elif self.positions is not None:
            x = x + self.positions(torch.arange(time).expand(batch, time) + start)
        return F.dropout(x, p=self.p, training=self.training)


@alternative(replaces="InputEmbedding", says="looks the sinusoids up with F.embedding, which knows where a table ends")
class LooksUpWithTorch(nn.Module):
    def __init__(self, vocab_size, d_model, max_positions, positions="learned", dropout=0.0):
        super().__init__()
        self.tokens = TokenEmbedding(vocab_size, d_model)
        self.dropout = nn.Dropout(p=dropout)
        match positions:
            case "learned":
                self.positions = LearnedPositions(max_positions, d_model)
            case "sinusoidal":
                self.register_buffer("positions", sinusoidal_positions(max_positions, d_model), persistent=False)
            case "rope":
                self.register_module("positions", None)
            case _:
                raise ValueError("positions is learned, sinusoidal or rope")

    def forward(self, ids, *, start=0):
        if start < 0:
            raise ValueError(f"start={start}")
        x = self.tokens(ids)
        where = start + torch.arange(ids.shape[1], device=ids.device)
        if isinstance(self.positions, nn.Module):
            x += self.positions(where)
        elif self.positions is not None:
            x += F.embedding(where, self.positions)
        return self.dropout(x)


@alternative(replaces="InputEmbedding", says="finds what to add in a method, counts in plain Python")
class AddsInAMethod(InputEmbedding):
    def added(self, where):
        if self.kind == "rope":
            return torch.zeros(1, dtype=self.tokens.weight.dtype)
        return self.positions(where) if callable(self.positions) else torch.index_select(self.positions, 0, where)

    def forward(self, ids, *, start=0):
        if int(start) < 0:
            raise ValueError("start counts from 0")
        where = torch.tensor([start + t for t in range(ids.shape[-1])], dtype=torch.int64)
        return self.dropout(torch.add(self.added(where), self.tokens(ids)))
