"""`minigpt inspect` and `minigpt attention`: where a model's parameters are, and what its heads look at."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from autograder.manifest import CourseError
from autograder.minigpt.config import GPTConfig
from autograder.minigpt.maps import attention_maps, draw_maps, habits
from autograder.minigpt.run import config_of, read_run
from autograder.minigpt.sample import load_run
from autograder.minigpt.sizes import GPT2, GPT3, PARTS, sizes
from autograder.writing import parts_of


def inspect_command(run: Path, console: Console) -> None:
    """The table of a run's parameters beside GPT-2's and GPT-3's."""
    try:
        config = config_of(read_run(run))
    except (ValueError, OSError) as error:
        raise CourseError(f"{error}. Train one first: minigpt train --out {run}") from error
    console.print(parameter_table({str(run): config, "GPT-2": GPT2, "GPT-3": GPT3}))


def parameter_table(configs: dict[str, GPTConfig]) -> Table:
    """A column for each config: first what it is, then how many parameters each part has, and their share."""
    table = Table(title="parameters", title_justify="left")
    table.add_column("")
    for name in configs:
        table.add_column(name, justify="right")
    for label, field in {
        "layers": "n_layers",
        "heads": "n_heads",
        "width": "d_model",
        "context": "context_length",
        "vocabulary": "vocab_size",
    }.items():
        table.add_row(label, *(f"{getattr(config, field):,}" for config in configs.values()))
    table.add_section()
    counted = [sizes(config) for config in configs.values()]
    for part in PARTS:
        table.add_row(part, *(f"{each.by_part[part]:,} {each.by_part[part] / each.total:4.0%}" for each in counted))
    table.add_section()
    table.add_row("total", *(f"{each.total:,} 100%" for each in counted))
    return table


def attention_command(text: str, run: Path, out: Path, console: Console) -> None:
    """Draws the maps of every head, and says what each of them looks at most."""
    try:
        model, tokenizer, config = load_run(run, parts_of(run))
        maps = attention_maps(model, tokenizer, text, context_length=config.context_length)
        table = Table()
        for column in ("layer", "head", "looks most at", "share"):
            table.add_column(column, justify="left" if column == "looks most at" else "right")
        for habit in habits(maps):
            table.add_row(str(habit.layer), str(habit.head), habit.name, f"{habit.share:.0%}")
        draw_maps(maps, out)
    except (ValueError, OSError) as error:
        raise CourseError(str(error)) from error
    console.print(table)
    console.print(f"wrote {out}: rows look at columns, dark is much", markup=False)
