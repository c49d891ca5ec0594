"""The numbers of a run, step by step: collected, kept in a CSV file, drawn.

    >>> curve = Curve()
    >>> curve.add_validation(0, 4.1)
    >>> curve.add_step(0, 4.2, lr=0.01)
    >>> curve.train_losses, curve.validation, curve.steps_done
    ([4.2], [(0, 4.1)], 1)

matplotlib is imported only when a picture is drawn.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from dataclasses import asdict, dataclass, field, fields
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


@dataclass
class Row:
    """One line of the CSV file, after `step` steps; that of step 0 has a validation loss alone."""

    step: int
    lr: float | None = None
    train_loss: float | None = None
    validation_loss: float | None = None
    gradient_norm: float | None = None
    tokens_per_second: float | None = None


COLUMNS = [column.name for column in fields(Row)]


@dataclass
class Curve:
    """A row for every number of steps done, from 0."""

    rows: list[Row] = field(default_factory=lambda: [Row(0)])

    def add_validation(self, steps_done: int, loss: float) -> None:
        """The validation loss after `steps_done` steps. It may come before the step's own record."""
        self._row(steps_done).validation_loss = loss

    def add_step(
        self,
        step: int,
        loss: float,
        lr: float,
        gradient_norm: float | None = None,
        tokens_per_second: float | None = None,
    ) -> None:
        """What is known of a step, counted from 0, as `on_step` is told it. The norm is that before clipping."""
        row = self._row(step + 1)
        row.train_loss, row.lr = loss, lr
        row.gradient_norm, row.tokens_per_second = gradient_norm, tokens_per_second

    def _row(self, steps_done: int) -> Row:
        if steps_done == self.steps_done + 1:
            self.rows.append(Row(steps_done))
        return self.rows[steps_done]

    @property
    def steps_done(self) -> int:
        return self.rows[-1].step

    @property
    def train_losses(self) -> list[float]:
        return [row.train_loss for row in self.rows if row.train_loss is not None]

    @property
    def validation(self) -> list[tuple[int, float]]:
        """Pairs of steps done and loss."""
        return [(row.step, row.validation_loss) for row in self.rows if row.validation_loss is not None]


def write_curve(curve: Curve, path: Path) -> None:
    """One line per row; what was not taken is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in curve.rows)
    write_file(path, text.getvalue().encode())


def read_curve(path: Path, steps_done: int) -> Curve:
    """The curve up to `steps_done` steps; what comes later in the file is left out."""
    try:
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
        rows = [Row(int(line.pop("step")), **{k: float(v) if v else None for k, v in line.items()}) for line in lines]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    kept = [row for row in rows if row.step <= steps_done]
    if [row.step for row in kept] != list(range(steps_done + 1)):
        raise ValueError(f"{path} does not reach the {steps_done} steps of the checkpoint")
    return Curve(kept)


def draw_curve(curve: Curve, path: Path, floor: float | None = None, max_norm: float | None = None) -> None:
    """A PNG with four panels over the steps: loss, learning rate, gradient norm, tokens per second.

    Dashed lines are the lowest loss that can be reached, `floor`, and the norm that gradients are clipped to.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2).flat
    for axes, name, title in zip(
        panels,
        ("train_loss", "lr", "gradient_norm", "tokens_per_second"),
        ("loss (nats per token)", "learning rate", "gradient norm, before clipping", "tokens per second"),
        strict=True,
    ):
        _draw_column(axes, curve, name)
        axes.set(xlabel="step", title=title)
        if name == "train_loss":
            axes.plot(*zip(*curve.validation, strict=True), marker="o", color="tab:orange", label="validation")
            _dashed(axes, floor, "floor")
            axes.legend()
        elif name == "gradient_norm" and max_norm is not None:
            _dashed(axes, max_norm, "clipped to")
            axes.legend()
        if name != "train_loss":
            axes.set_ylim(bottom=0)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_file(path, picture.getvalue())


def _draw_column(axes: Axes, curve: Curve, name: str) -> None:
    """One number over the steps where it was taken: every value in a light line, their running mean in a dark one."""
    points = [(row.step, value) for row in curve.rows if (value := getattr(row, name)) is not None]
    steps, values = [step for step, _ in points], [value for _, value in points]
    if name == "lr":
        axes.plot(steps, values)
        return
    axes.plot(steps, values, color="tab:blue", alpha=0.3, linewidth=0.8)
    axes.plot(steps, smooth(values), color="tab:blue", label="training" if name == "train_loss" else None)


def _dashed(axes: Axes, height: float | None, label: str) -> None:
    if height is not None:
        axes.axhline(height, linestyle="--", color="gray", label=f"{label} {height:.4g}")


def smooth(values: Sequence[float]) -> list[float]:
    """The mean of each value and its neighbours on both sides, a 50th of the series on each; at the ends, of fewer.

    >>> smooth([4.0, 2.0, 3.0, 7.0])
    [4.0, 3.0, 4.0, 7.0]
    """
    sums = list(accumulate(values, initial=0.0))
    widest, last = max(1, len(values) // 50), len(values) - 1
    reach = [min(widest, index, last - index) for index in range(len(values))]
    return [(sums[i + each + 1] - sums[i - each]) / (2 * each + 1) for i, each in enumerate(reach)]


def write_file(path: Path, data: bytes) -> None:
    """The whole file or none: written under a temporary name, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
