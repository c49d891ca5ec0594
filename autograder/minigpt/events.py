"""The numbers of a run as event files, for TensorBoard.

    with event_writer(Path("runs/first/events"), steps_done=0) as events:
        events.write(row)

See them with `tensorboard --logdir runs`. The package `tensorboard` is needed, and imported only here, when asked for.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .curve import Row

TAGS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "lr": "learning_rate",
    "gradient_norm": "gradient_norm",
    "tokens_per_second": "tokens_per_second",
}


class Events:
    """Where rows of a curve go; `None` as the writer throws them away."""

    def __init__(self, writer: Any | None) -> None:
        self._writer = writer

    def write(self, row: Row) -> None:
        """One point for each number of the row that was taken."""
        for name, tag in TAGS.items():
            value = getattr(row, name)
            if self._writer is not None and value is not None:
                self._writer.add_scalar(tag, value, row.step)

    def flush(self) -> None:
        """What was written until now is on the disk."""
        if self._writer is not None:
            self._writer.flush()


def require_tensorboard() -> None:
    """Raise a ValueError that says what to install, where it is missing."""
    if importlib.util.find_spec("tensorboard") is None:
        raise ValueError("--tensorboard needs the package tensorboard: pip install tensorboard, or leave it out")


@contextmanager
def event_writer(folder: Path | None, steps_done: int) -> Iterator[Events]:
    """Events in a new file of the folder, or nowhere; points of older files after `steps_done` no longer count."""
    if folder is None:
        yield Events(None)
        return
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=steps_done + 1 if steps_done else 0)
    try:
        yield Events(writer)
    finally:
        writer.close()
