"""What is done after each step of a run: it is looked at, written down and, every so many steps, saved.

    recorder.updated(step, loss, lr, seconds)

A loss, a gradient or a weight that is no finite number ends the run, and so does a disk that is full. Then the error
says so, and the last good checkpoint and its curve stay as they are: each file is replaced as a whole or not at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from .curve import Curve, write_curve
from .events import Events
from .gradients import GradientNorm
from .parts import Parts
from .processes import Processes
from .train import Session

CHECKPOINT, LOSSES = "checkpoint.pt", "loss.csv"


@dataclass
class Recorder:
    """`saved` is the number of steps in the checkpoint, None where there is none yet."""

    folder: Path
    session: Session
    parts: Parts
    curve: Curve
    norm: GradientNorm
    events: Events
    tokens_per_step: int
    save_every: int
    saved: int | None
    processes: Processes

    def validated(self, steps_done: int, loss: float) -> None:
        """`on_validation` of `run_steps`."""
        if not math.isfinite(loss):
            raise self.diverged(f"the validation loss after {steps_done} steps is {loss}")
        self.curve.add_validation(steps_done, loss)
        if steps_done == 0:
            self.events.write(self.curve.rows[0])

    def updated(self, step: int, loss: float, lr: float, seconds: float) -> float:
        """`on_update` of `run_steps`; gives the loss of all processes."""
        norm, loss = self.norm.take(), self.processes.mean(loss)
        if not math.isfinite(loss):
            raise self.diverged(f"the loss of step {step + 1} is {loss}")
        if not math.isfinite(norm):
            raise self.diverged(f"the gradient norm of step {step + 1} is {norm}")
        self.curve.add_step(step, loss, lr, norm, self.tokens_per_step / max(seconds, 1e-9))
        self.events.write(self.curve.rows[-1])
        if (step + 1) % self.save_every == 0:
            self.save()
        return loss

    def gave_up(self, error: RuntimeError) -> None:
        """Where the loop itself gave up because of a gradient that is no number, as clipping does: raise that."""
        norm = self.norm.take()
        if not math.isfinite(norm):
            raise self.diverged(f"the gradient norm of step {self.curve.steps_done + 1} is {norm}") from error

    def save(self) -> None:
        """Curve and checkpoint, in this order: what the curve has more than the checkpoint is left out on resuming."""
        for name, parameter in self.session.model.named_parameters():
            if not parameter.isfinite().all():
                raise self.diverged(f"after {self.curve.steps_done} steps {name} holds numbers that are not finite")
        if self.processes.rank > 0:
            return
        try:
            self.events.flush()
            write_curve(self.curve, self.folder / LOSSES)
            self.parts.save_checkpoint(
                self.folder / CHECKPOINT, self.session.model, self.session.optimizer, self.curve.steps_done
            )
        except (OSError, RuntimeError) as error:  # torch's own writer raises a RuntimeError where a disk is full
            raise OSError(
                f"the state after {self.curve.steps_done} steps could not be saved: {error}. {self.what_is_kept()}: "
                "make room on the disk, and go on with --resume"
            ) from error
        self.saved = self.curve.steps_done

    def diverged(self, what: str) -> FloatingPointError:
        return FloatingPointError(
            f"{what}, so training stopped. {self.what_is_kept()}. "
            "Train into another folder with a smaller learning rate, or with clipping if there is none"
        )

    def what_is_kept(self) -> str:
        if self.saved is None:
            return f"There is no checkpoint in {self.folder} yet"
        return f"The last good checkpoint, of {self.saved} steps, is still in {self.folder}"
