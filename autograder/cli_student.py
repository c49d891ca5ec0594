"""The commands of `minigpt` for students, and for anybody with a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autograder.cli_common import CourseOption, RunOption, Wrong, app, console
from autograder.manifest import Course


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Assignments or tasks.")] = None,
    course: CourseOption = None,
) -> None:
    """Run the visible tests of an assignment or a task on your own code."""
    from autograder import check as checking

    results = []
    for assignment, tasks in checking.select(Course.find(course), names or []):
        results.append(checking.check(assignment, tasks))
        checking.show(results[-1], console)
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


@app.command()
def status(course: CourseOption = None) -> None:
    """Show which parts of the MiniGPT are your own, and what to do next."""
    from autograder.status import show_status

    show_status(Course.find(course), console)


@app.command()
def hint(
    task: Annotated[str, typer.Argument(help="The task's id, as `minigpt check` shows it.")],
    course: CourseOption = None,
) -> None:
    """Show the next hint of a task: first a nudge, at last nearly the answer."""
    from autograder.hints import next_hint

    found = Course.find(course)
    number, total, text = next_hint(found, task)
    console.print(f"Hint {number} of {total} for {task}: {text}", markup=False)


@app.command("reset")
def reset_command(
    name: Annotated[str, typer.Argument(help="The assignment.")],
    course: CourseOption = None,
) -> None:
    """Put a stub back as it was handed out. Your version is kept."""
    from autograder.reset import reset

    done = reset(Course.find(course), name)
    if done.backup is not None:
        console.print(f"your version is kept in {done.backup}", markup=False, soft_wrap=True)
    console.print(f"{done.stub} is the stub again", markup=False, soft_wrap=True)


@app.command("submit")
def submit_command(
    name: Annotated[str, typer.Argument(help="The assignment.")],
    to: Annotated[Path | None, typer.Option(help="The zip to write; NAME.zip without it.")] = None,
    course: CourseOption = None,
) -> None:
    """Write the zip to upload, after a look at what is in it. Sends nothing."""
    from autograder.submit import submit

    done = submit(Course.find(course), name, to)
    if done.backup is not None:
        console.print(f"the older zip is kept in {done.backup}", markup=False, soft_wrap=True)
    console.print(f"wrote {done.path}: {', '.join(done.files)}", markup=False, soft_wrap=True)
    console.print(f"{done.points} of {done.max_points} points of the visible tests. Upload this file yourself.")


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Where the checkpoint and the loss curve go.")] = Path("runs/minigpt"),
    preset: Annotated[
        str, typer.Option(help="Sizes, text and schedule: tiny, small, bpe, python or shakespeare-char.")
    ] = "tiny",
    corpus: Annotated[Path | None, typer.Option(help="Your own text file, instead of the preset's.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps, instead of the preset's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    library: Annotated[bool, typer.Option("--library", help="Library parts alone, none of your own.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch; small models are fastest with one.")] = 1,
) -> None:
    """Train a MiniGPT, with your own parts where their visible tests pass."""
    from autograder.training_command import train_command

    train_command(out, preset, corpus, steps, resume, library, threads, console)


@app.command()
def sample(
    prompt: Annotated[str, typer.Argument(help="The text to go on from.")] = "Once",
    run: RunOption = Path("runs/minigpt"),
    tokens: Annotated[int, typer.Option(min=0, help="How many tokens to write.")] = 300,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token each time.")] = 0.8,
    seed: Annotated[int | None, typer.Option(help="For the same text again.")] = None,
) -> None:
    """Write text with a trained MiniGPT."""
    from autograder.training_command import sample_command

    console.print(sample_command(run, prompt, tokens, temperature, seed), markup=False, soft_wrap=True)


@app.command()
def inspect(run: RunOption = Path("runs/minigpt")) -> None:
    """Show where a trained model's parameters are, beside GPT-2's and GPT-3's."""
    from autograder.looking import inspect_command

    inspect_command(run, console)


@app.command()
def attention(
    text: Annotated[str, typer.Argument(help="What the model is to read.")],
    run: RunOption = Path("runs/minigpt"),
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("attention.png"),
) -> None:
    """Draw what every head of a trained model looks at in a text."""
    from autograder.looking import attention_command

    attention_command(text, run, out, console)


@app.command()
def assemble(
    submission: Annotated[Path | None, typer.Argument(help="A student's folder; without it, your own work.")] = None,
    out: Annotated[Path, typer.Option(help="The new folder to write.")] = Path("my-minigpt"),
    course: CourseOption = None,
) -> None:
    """Write a MiniGPT that runs on its own: your sources as they are, library parts for the rest."""
    from autograder.jail.isolation import NoIsolation
    from autograder.take_home import take_home

    try:
        parts = take_home(Course.find(course), submission, out)
    except NoIsolation as error:
        raise Wrong(str(error)) from error
    own = [slot for slot, whose in parts.items() if whose == "own"]
    console.print(
        f"wrote {out / 'minigpt'}: {len(own)} of {len(parts)} parts are your own ({', '.join(own) or 'none'})"
    )
    console.print(f"try: cd {out} && python -m minigpt train && python -m minigpt sample", markup=False)
