"""What the reports draw: the parts of a MiniGPT, the loss curve, the attention maps. Numbers in, coordinates out.

    curve = loss_curve([(0, 4.0), (10, 2.0)], floor=0.5, baselines={"5-gram": 1.5})
    curve.points[0]                              # the first loss, in units of the SVG that the template writes

The templates `minigpt.html.j2`, `curve.html.j2` and `attention.html.j2` draw what stands here. Values may come from a
student's process: what is no number is left out, what is off the scale is drawn at its edge. Makes no colours, no
markup and no decisions about what a loss means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from autograder.result import Attention

WIDTH, HEIGHT = 480.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 352.0, 26.0, 258.0  # the plot's own rectangle; labels stand outside it
HIGHEST_LOSS = 10.0  # a diverged training must not squash everything else into one line
LABEL_GAP = 16.0
CELL = 16.0
MOST_TOKENS = 40
MOST_HEADS = 64
LONGEST_TOKEN = 4
SHADES = 10  # so many strengths of colour can be told apart in a map, about
FAR = 4  # positions back: closer than that, nearly every head looks
WHITE_SPACE = {" ": "␣", "\n": "↵", "\t": "⇥"}

# The slots of `autograder.minigpt.parts`, in the order in which text goes through a MiniGPT.
STAGES: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "Text to numbers",
        {"tokenizer": "tokenizer", "merges": "byte pairs", "bpe": "byte-pair tokenizer", "data": "batches"},
    ),
    (
        "The network",
        {
            "embeddings": "embeddings",
            "rope": "rotary positions",
            "attention": "attention",
            "norm": "normalization",
            "feed_forward": "feed-forward",
            "block": "block",
            "model": "GPT",
            "init": "first weights",
        },
    ),
    (
        "Training",
        {
            "loss": "loss",
            "optimizer": "optimizer",
            "schedule": "learning rate",
            "clip": "clipping",
            "loop": "training loop",
            "evaluation": "evaluation",
            "checkpoint": "checkpoints",
        },
    ),
    ("Numbers to text", {"sampler": "next token", "generate": "generation", "perplexity": "perplexity"}),
)
PART_NAMES = {slot: name for _, names in STAGES for slot, name in names.items()}


@dataclass(frozen=True)
class Part:
    name: str
    own: bool


@dataclass(frozen=True)
class Stage:
    name: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


Kind = Literal["floor", "baseline", "own", "before"]


@dataclass(frozen=True)
class Level:
    """A loss that is drawn as a level line with a label beside it. `label_y` keeps clear of the other labels."""

    label: str
    value: float
    y: float
    label_y: float
    kind: Kind


@dataclass(frozen=True)
class Curve:
    """The loss curve: its points, what stands at the axes, and the level lines from top to bottom.

    `before` has the points of the last time, if there was one.
    """

    points: tuple[tuple[float, float], ...]
    before: tuple[tuple[float, float], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    levels: tuple[Level, ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM


@dataclass(frozen=True)
class Shade:
    """All cells of about the same weight, as the path of an SVG: strokes of width 1, one for each run in a row."""

    opacity: float
    path: str


@dataclass(frozen=True)
class HeadMap:
    """One head's square, a unit for each cell, and what it looks at most."""

    layer: int
    head: int
    habit: str
    share: float
    shades: tuple[Shade, ...]


@dataclass(frozen=True)
class HeatMaps:
    """The maps of all heads, the one that is worth a large picture, and `labels` for the axes of that.

    `size` is the large square's, `total` that of the square with its labels. `whole` says whether no token was left
    out, `upright` whether every label is a single character, which needs no turning at the upper axis.
    """

    heads: tuple[HeadMap, ...]
    chosen: HeadMap
    labels: tuple[str, ...]
    margin: float
    size: float
    total: float
    whole: bool
    upright: bool
    cell: float = CELL


def stages_of(parts: Mapping[str, bool]) -> tuple[Stage, ...]:
    """The parts by stage, and whether they are the student's own; slots that no stage knows come last."""
    others = {slot: slot.replace("_", " ") for slot in parts if slot not in PART_NAMES}
    found = (
        Stage(title, tuple(Part(name, parts[slot]) for slot, name in names.items() if slot in parts))
        for title, names in (*STAGES, ("More", others))
    )
    return tuple(stage for stage in found if stage.parts)


def loss_curve(
    losses: Iterable[tuple[int, float]],
    *,
    floor: float | None = None,
    baselines: Mapping[str, float] | None = None,
    final: float | None = None,
    before: Iterable[tuple[int, float]] = (),
    final_before: float | None = None,
) -> Curve | None:
    """The curve over the steps, and levels for the floor, the baselines and the final loss. None without losses.

    before, final_before: the same of the last time, drawn beside it.
    """
    finite, earlier = _finite(losses), _finite(before)
    if not finite:
        return None
    named = _named_levels(floor, baselines or {}, final, final_before)
    everything = [loss for _, loss in (*finite, *earlier)] + [value for _, value, _ in named]
    y_ticks = ticks(min(HIGHEST_LOSS, max(everything)), 5)
    last = max([step for step, _ in (*finite, *earlier)] + [1])
    x_ticks = ticks(last, 4, whole=True)

    def points(curve: list[tuple[int, float]]) -> tuple[tuple[float, float], ...]:
        return tuple((_between(step / last, LEFT, RIGHT), height_of(loss, y_ticks[-1])) for step, loss in curve)

    return Curve(
        points=points(finite),
        before=points(earlier),
        x_ticks=tuple(Tick(_between(step / last, LEFT, RIGHT), f"{step:,.0f}") for step in x_ticks if step <= last),
        y_ticks=tuple(Tick(height_of(loss, y_ticks[-1]), f"{loss:g}") for loss in y_ticks),
        levels=_levels(named, y_ticks[-1]),
    )


def _finite(losses: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    return sorted((step, loss) for step, loss in losses if step >= 0 and math.isfinite(loss))


def ticks(highest: float, count: int, *, whole: bool = False) -> list[float]:
    """Round numbers from 0 to the first that is not below `highest`, about `count` steps apart.

    >>> ticks(3.7, 4)
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    highest = max(highest, 1e-6)
    rough = highest / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    if whole:
        step = max(step, 1.0)
    return [index * step for index in range(math.ceil(highest / step - 1e-9) + 1)]


def height_of(loss: float, highest: float) -> float:
    """The y coordinate of a loss: 0 at the plot's lower edge, `highest` at the upper one."""
    return _between(loss / highest, BOTTOM, TOP)


def _between(share: float, start: float, end: float) -> float:
    return round(start + min(max(share, 0.0), 1.0) * (end - start), 2)


def _named_levels(
    floor: float | None, baselines: Mapping[str, float], final: float | None, before: float | None
) -> list[tuple[str, float, Kind]]:
    found: list[tuple[str, float | None, Kind]] = [(name, value, "baseline") for name, value in baselines.items()]
    found += [("floor", floor, "floor"), ("last time", before, "before"), ("yours", final, "own")]
    return [(name, value, kind) for name, value, kind in found if value is not None and math.isfinite(value)]


def _levels(named: Sequence[tuple[str, float, Kind]], highest: float) -> tuple[Level, ...]:
    """From top to bottom, so that labels which would overlap can be moved apart in that order."""
    ordered = sorted(named, key=lambda level: -level[1])
    places = [height_of(value, highest) for _, value, _ in ordered]
    return tuple(
        Level(label, value, y, label_y, kind)
        for (label, value, kind), y, label_y in zip(ordered, places, spread(places), strict=True)
    )


def spread(places: Sequence[float], gap: float = LABEL_GAP, lowest: float = BOTTOM) -> list[float]:
    """Ascending places, moved as little as needed to be `gap` apart, and none below the plot.

    >>> spread([10.0, 12.0], gap=16.0)
    [10.0, 26.0]
    """
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    limit = lowest
    for index in reversed(range(len(moved))):
        moved[index] = round(min(moved[index], limit), 2)
        limit = moved[index] - gap
    return moved


def heat_maps(attention: Attention) -> HeatMaps | None:
    """Squares of at most `MOST_TOKENS` tokens; None where there is no head, or one that holds no whole square."""
    size = len(attention.tokens)
    heads = attention.heads[:MOST_HEADS]
    if size == 0 or not heads or any(len(head.weights) != size * size for head in heads):
        return None
    shown = min(size, MOST_TOKENS)
    squares = [[head.weights[row * size : row * size + shown] for row in range(shown)] for head in heads]
    maps = tuple(
        HeadMap(head.layer, head.head, head.habit, head.share, _shades(rows))
        for head, rows in zip(heads, squares, strict=True)
    )
    chosen = max(range(len(maps)), key=lambda index: _decision(squares[index]))
    labels = tuple(token_label(token) for token in attention.tokens[:shown])
    longest = max(len(label) for label in labels)
    margin = 12.0 + 9.0 * longest
    total = margin + shown * CELL + 1
    return HeatMaps(maps, maps[chosen], labels, margin, shown * CELL, total, shown == size, longest == 1)


def _shades(rows: Sequence[bytes]) -> tuple[Shade, ...]:
    """From faint to strong. What is too faint to be seen is left out.

    >>> _shades([bytes([255, 0]), bytes([64, 64])])
    (Shade(opacity=0.5, path='M0 1.5h2'), Shade(opacity=1.0, path='M0 0.5h1'))
    """
    paths: dict[int, list[str]] = {}
    for y, row in enumerate(rows):
        x = 0
        for level, run in groupby(round(SHADES * opacity_of(weight / 255)) for weight in row):
            length = len(list(run))
            if level:
                paths.setdefault(level, []).append(f"M{x} {y + 0.5}h{length}")
            x += length
    return tuple(Shade(level / SHADES, "".join(path)) for level, path in sorted(paths.items()))


def _decision(rows: Sequence[bytes]) -> int:
    """How decidedly a head looks back at something particular, some way off, that is not the very first token."""
    return sum(max(row[1 : query - FAR + 1], default=0) for query, row in enumerate(rows) if query >= FAR)


def opacity_of(weight: float) -> float:
    """How strongly a weight is drawn. The square root lets small weights be seen too.

    >>> opacity_of(0.25), opacity_of(float("nan"))
    (0.5, 0.0)
    """
    if not math.isfinite(weight) or weight < 0.0004:
        return 0.0
    return round(math.sqrt(min(weight, 1.0)), 2)


def token_label(token: str) -> str:
    """A token as it stands at an axis: white space as a sign that can be seen, anything unprintable as a dot.

    >>> token_label(" "), token_label("the\\n")
    ('␣', 'the↵')
    """
    cut = token if len(token) <= LONGEST_TOKEN else token[: LONGEST_TOKEN - 1] + "…"
    return "".join(WHITE_SPACE.get(sign, sign if sign.isprintable() else "·") for sign in cut)
