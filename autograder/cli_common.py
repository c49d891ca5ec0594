"""What all commands of `minigpt` share: the app that they belong to, the terminal, and options that several have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

app = typer.Typer(
    help="MiniGPT coursework: build a language model from small parts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
console = Console(highlight=False)
CourseOption = Annotated[Path | None, typer.Option("--course", help="The course's folder, if not this one.")]
RunOption = Annotated[Path, typer.Option("--run", help="The folder that `minigpt train` wrote.")]
IsolationOption = Annotated[Literal["auto", "bwrap", "landlock", "none"], typer.Option(help="The jail.")]


class Wrong(typer.Exit):
    """Ends the command with exit code 2 and the reason."""

    def __init__(self, reason: str) -> None:
        Console(stderr=True, highlight=False).print(f"minigpt: {reason}", markup=False, soft_wrap=True)
        super().__init__(2)
