"""`minigpt sample` and `minigpt chat`: text that a MiniGPT writes, all at once or while it writes.

The model is that of a run's folder, with the parts that trained it. With no folder named and none at `runs/minigpt`, it
is the small one that ships with the project, with your own parts where their visible tests pass.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from autograder.manifest import Course, CourseError
from autograder.mine import load_symbols, own_symbols
from autograder.minigpt.assemble import assemble_parts, provenance
from autograder.minigpt.chat import chat
from autograder.minigpt.config import GPTConfig
from autograder.minigpt.parts import Parts
from autograder.minigpt.pretrained import describe_pretrained, load_pretrained
from autograder.minigpt.protocols import Tokenizer
from autograder.minigpt.run import RUN, read_run
from autograder.minigpt.sample import generate_text, generate_texts, load_run

USUAL_RUN = Path("runs/minigpt")
BETWEEN_TEXTS = "\n---\n"


@dataclass(frozen=True)
class Options:
    """How to write. `stop` is a text that ends it, with \\n for the end of a line."""

    tokens: int = 300
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | None = None

    def arguments(self) -> dict[str, Any]:
        """The same by the names that `generate_text` has for it."""
        return {
            "max_new_tokens": self.tokens,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": self.stop.replace("\\n", "\n") if self.stop else None,
        }


@dataclass(frozen=True)
class Ready:
    """A model that is ready to write."""

    model: nn.Module
    tokenizer: Tokenizer
    config: GPTConfig
    parts: Parts


def write_command(
    prompts: list[str], file: Path | None, run: Path | None, library: bool, options: Options, notes: Console
) -> str:
    """Every prompt and what the model writes after it. `notes` is told where the model comes from, if that is open."""
    prompts = [*prompts, *(read_prompts(file) if file is not None else [])] or ["Once"]
    try:
        ready = open_model(run, library, notes)
        write = partial(
            generate_texts, ready.model, ready.tokenizer, parts=ready.parts, context_length=ready.config.context_length
        )
        return BETWEEN_TEXTS.join(write(prompts=prompts, **options.arguments()))
    except (ValueError, FileNotFoundError) as error:
        raise CourseError(str(error)) from error


def chat_command(run: Path | None, library: bool, options: Options, notes: Console) -> None:
    """Writes to standard output, in turns, what goes on from each line of standard input."""
    try:
        ready = open_model(run, library, notes)
    except (ValueError, FileNotFoundError) as error:
        raise CourseError(str(error)) from error
    write = partial(
        generate_text,
        ready.model,
        ready.tokenizer,
        parts=ready.parts,
        context_length=ready.config.context_length,
        **options.arguments(),
    )
    at_a_terminal = sys.stdin.isatty()
    if at_a_terminal:
        notes.print("Type a beginning; an empty line goes on. Ctrl-C stops the text, Ctrl-D ends.", highlight=False)
    try:
        chat(
            write,
            ask=partial(input, "> " if at_a_terminal else ""),
            show=partial(print, end="", flush=True),
            complain=lambda reason: notes.print(f"minigpt: {reason}", markup=False, highlight=False, soft_wrap=True),
        )
    except UnicodeDecodeError as error:
        raise CourseError(f"standard input is not UTF-8 text: {error}") from error


def read_prompts(path: Path) -> list[str]:
    """A prompt on each line; lines with nothing on them are left out."""
    try:
        prompts = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"the prompts cannot be read from {path}: {error}") from error
    if not prompts:
        raise CourseError(f"{path} has no prompts: write one on each line")
    return prompts


def open_model(run: Path | None, library: bool, notes: Console) -> Ready:
    """The model of a run; that of `runs/minigpt` if None, or the one that ships if there is none either."""
    if run is None and not (USUAL_RUN / RUN).is_file():
        return _shipped_model(library, notes)
    folder = run or USUAL_RUN
    parts = parts_of(folder)
    return Ready(*load_run(folder, parts), parts)


def parts_of(run: Path) -> Parts:
    """The parts that a run was trained with."""
    description = run / RUN
    if not description.is_file():
        raise CourseError(f"{run} holds no trained model: run `minigpt train --out {run}` first")
    own = set(read_run(run)["provenance"].get("own", ()))
    return assemble_parts(load_symbols(Course.find(), own) if own else {})


def _shipped_model(library: bool, notes: Console) -> Ready:
    symbols = {} if library else own_symbols()
    told, own = describe_pretrained(), ", ".join(provenance(symbols).own) or "none"
    notes.print(
        f"no model in {USUAL_RUN} yet: this is the small one that ships, trained on the {told['corpus']} "
        f"(validation loss {told['validation_loss']:.3f}); your own parts in it: {own}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    parts = assemble_parts(symbols)
    return Ready(*load_pretrained(parts), parts)
