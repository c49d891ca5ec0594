"""The losses of a run: collected, kept in a CSV file, drawn.

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
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Row:
    """One line of the CSV file, after `step` steps; that of step 0 has a validation loss alone."""

    step: int
    lr: float | None = None
    train_loss: float | None = None
    validation_loss: float | None = None


@dataclass
class Curve:
    """A row for every number of steps done, from 0."""

    rows: list[Row] = field(default_factory=lambda: [Row(0)])

    def add_validation(self, steps_done: int, loss: float) -> None:
        """The validation loss after `steps_done` steps. It may come before the step's own record."""
        self._row(steps_done).validation_loss = loss

    def add_step(self, step: int, loss: float, lr: float) -> None:
        """The loss of a step, counted from 0, as `on_step` is told it."""
        row = self._row(step + 1)
        row.train_loss, row.lr = loss, lr

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
    writer = csv.DictWriter(text, ["step", "lr", "train_loss", "validation_loss"], lineterminator="\n")
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


def draw_curve(curve: Curve, path: Path, floor: float | None = None) -> None:
    """Training and validation loss over steps as a PNG, and a dashed line at the floor."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([row.step for row in curve.rows if row.train_loss is not None], curve.train_losses, label="training")
    axes.plot(*zip(*curve.validation, strict=True), marker="o", label="validation")
    if floor is not None:
        axes.axhline(floor, linestyle="--", color="gray", label=f"floor {floor:.3f}")
    axes.set(xlabel="step", ylabel="loss (nats per token)", ylim=(0, None))
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_file(path, picture.getvalue())


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
