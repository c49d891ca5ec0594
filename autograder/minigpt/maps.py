"""Who looks at whom: the attention maps of every head for one text, and what each head looks at most.

    maps = attention_maps(model, tokenizer, "Once upon a time")
    maps.weights.shape                        # (layers, heads, time, time): rows are queries, columns keys
    habits(maps)[0].name                      # 'the token before'
    draw_maps(maps, Path("attention.png"))

A map shows where a head takes its values from, not why, and not what becomes of them. matplotlib is imported only when
a picture is drawn.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from .curve import write_file

if TYPE_CHECKING:
    from .protocols import Tokenizer

MOST_LABELS = 48  # more tokens than this cannot be told apart beside a map
SIGNS = {" ": "␣", "\n": "↵", "\t": "⇥"}


@dataclass(frozen=True)
class Maps:
    """`weights`: (layers, heads, queries, keys), each row a distribution. `tokens`: the text of each position."""

    tokens: tuple[str, ...]
    weights: Float[Tensor, "layers heads queries keys"]


@dataclass(frozen=True)
class Habit:
    """What a head looks at most. `share`: how much of its attention goes there, on average over the queries."""

    layer: int
    head: int
    name: str
    share: float


def attention_maps(model: nn.Module, tokenizer: Tokenizer, text: str, *, context_length: int) -> Maps:
    """The maps for the last `context_length` tokens of a text. ValueError: no text, or one that has no tokens."""
    ids = tokenizer.encode(text)[-context_length:]
    if not ids:
        raise ValueError("the text is empty: give the model something to look at")
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        _, weights = model(torch.tensor([ids], device=device), return_weights=True)
    stacked = torch.stack([layer[0] for layer in weights]).float().cpu()  # (layers, heads, queries, keys)
    return Maps(tuple(tokenizer.decode([number]) for number in ids), stacked)


def habits(maps: Maps) -> list[Habit]:
    """One for each head, in order. The first query is left out: it has nothing but itself to look at."""
    if len(maps.tokens) < 2:
        raise ValueError("one token has nothing but itself to look at: take a longer text")
    found = []
    for layer, heads in enumerate(maps.weights):
        for head, weights in enumerate(heads):
            shares = {name: float((weights * where)[1:].sum(-1).mean()) for name, where in _places(maps.tokens).items()}
            name = max(shares, key=shares.__getitem__)
            found.append(Habit(layer, head, name, shares[name]))
    return found


def _places(tokens: tuple[str, ...]) -> dict[str, Bool[Tensor, "queries keys"]]:
    """Where a head may look, for every query; no key is in two places."""
    time = torch.arange(len(tokens))
    back = time[:, None] - time[None, :]  # (queries, keys): how far back
    same = torch.tensor([[query == key for key in tokens] for query in tokens]) & (back > 1)
    first = (time == 0)[None, :] & (back > 1) & ~same
    rest = (back > 1) & ~same & ~first
    return {
        "itself": back == 0,
        "the token before": back == 1,
        "the same token, earlier": same,
        "the first token": first,
        "2 tokens back": rest & (back == 2),
        "3 or 4 tokens back": rest & (back >= 3) & (back <= 4),
        "5 to 8 tokens back": rest & (back >= 5) & (back <= 8),
        "further back": rest & (back > 8),
    }


def draw_maps(maps: Maps, path: Path) -> None:
    """A PNG with a row of maps for each layer: dark is much attention. Each has its head's habit above it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers, heads, time, _ = maps.weights.shape
    side = max(2.4, min(time, MOST_LABELS) * 0.14)
    figure = Figure(figsize=(heads * side, layers * (side + 0.5)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(layers, heads, squeeze=False)
    for habit in habits(maps):
        axis = axes[habit.layer][habit.head]
        axis.imshow(maps.weights[habit.layer, habit.head].numpy(), cmap="Blues", vmin=0, interpolation="nearest")
        axis.set_title(f"layer {habit.layer}, head {habit.head}\n{habit.name}: {habit.share:.0%}", fontsize=8)
        _label(axis, maps.tokens)
    figure.supxlabel("key: the token that is looked at", fontsize=9)
    figure.supylabel("query: the token that looks", fontsize=9)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_file(path, picture.getvalue())


def _label(axis: object, tokens: tuple[str, ...]) -> None:
    if len(tokens) > MOST_LABELS:
        axis.set(xticks=[], yticks=[])  # type: ignore[attr-defined]
        return
    labels = ["".join(SIGNS.get(sign, sign) for sign in token) for token in tokens]
    axis.set_xticks(range(len(tokens)), labels, fontsize=6, rotation=90, parse_math=False)  # type: ignore[attr-defined]
    axis.set_yticks(range(len(tokens)), labels, fontsize=6, parse_math=False)  # type: ignore[attr-defined]
