"""The commands of `minigpt` for students, and for anybody with a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from autograder.cli_common import CourseOption, RunOption, Wrong, app, console
from autograder.manifest import Course

MaybeRunOption = Annotated[
    Path | None,
    typer.Option("--run", help="The folder that `minigpt train` wrote; runs/minigpt, or the model that ships."),
]
TokensOption = Annotated[int, typer.Option(min=0, help="How many tokens to write.")]
TemperatureOption = Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token each time.")]
TopKOption = Annotated[int | None, typer.Option(min=1, help="Draw from the so many likeliest tokens alone.")]
TopPOption = Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Draw from the likeliest of this mass.")]
SeedOption = Annotated[int | None, typer.Option(help="For the same text again.")]
StopOption = Annotated[str | None, typer.Option(help="End before this text; \\n is the end of a line.")]
LibraryOption = Annotated[bool, typer.Option("--library", help="In the model that ships, library parts alone.")]


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Assignments or tasks.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Run again whenever you save; Ctrl-C ends it.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Stop in the debugger where the first test fails.")] = False,
    course: CourseOption = None,
) -> None:
    """Run the visible tests of an assignment or a task on your own code."""
    if watch and debug:
        raise Wrong("--watch and --debug do not go together: take one of them")
    found, wanted = Course.find(course), names or []
    if watch:
        from autograder.watch import watch_command

        raise typer.Exit(watch_command(found, wanted, console))
    if debug:
        from autograder.debugging import debug_command

        raise typer.Exit(debug_command(found, wanted, console))
    from autograder.check import check_command

    raise typer.Exit(check_command(found, wanted, console))


@app.command()
def status(
    train: Annotated[
        bool, typer.Option("--train", help="First train the preset tiny with your parts, about a minute, and keep it.")
    ] = False,
    course: CourseOption = None,
) -> None:
    """Draw the MiniGPT with your own parts filled, what it reaches, and what to do next."""
    from autograder.status import show_status

    show_status(Course.find(course), console, train=train)


@app.command()
def hint(
    task: Annotated[
        str | None, typer.Argument(help="A task, or an assignment; without it, the first task that does not pass.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Show the one that you saw last.")] = False,
    start: Annotated[int | None, typer.Option("--from", help="Go back to hint 1, 2 or 3, and on from there.")] = None,
    course: CourseOption = None,
) -> None:
    """Show the next hint of a task: first a nudge, at last nearly the answer."""
    from autograder.hints import show_hint

    show_hint(Course.find(course), task, console, again=again, start=start)


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
        str,
        typer.Option(
            help="Sizes, text, schedule: tiny, small, bpe, python, shakespeare-char, shakespeare-bpe, gpu; or speedrun."
        ),
    ] = "tiny",
    corpus: Annotated[Path | None, typer.Option(help="Your own text file, instead of the preset's.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps, instead of the preset's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    library: Annotated[bool, typer.Option("--library", help="Library parts alone, none of your own.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch; small models are fastest with one.")] = 1,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Windows per batch, instead of the preset's.")] = None,
    accumulate: Annotated[int | None, typer.Option(min=1, help="Batches per update, instead of the preset's.")] = None,
    lr: Annotated[
        float | None, typer.Option(min=0.0, help="Highest learning rate; the lowest keeps its ratio to it.")
    ] = None,
    max_norm: Annotated[float | None, typer.Option(min=0.0, help="Clip gradients to this norm; 0: do not.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Weights, batches and dropout.")] = None,
    amp: Annotated[bool, typer.Option("--amp", help="Compute in bfloat16.")] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps; without it, what the preset is meant for.")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="torch.compile, where a compiler is there.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Event files for TensorBoard too.")] = False,
    who: Annotated[str | None, typer.Option(help="speedrun: your name on the leaderboard.")] = None,
) -> None:
    """Train a MiniGPT, with your own parts where their visible tests pass.

    The preset speedrun trains the capstone's recipe instead, and takes --steps, --threads and --who alone.
    """
    if preset == "speedrun":
        from autograder.speedrun_command import speedrun_command

        speedrun_command(out.parent, who, steps, threads, console)
        return
    from autograder.training_command import Overrides, train_command

    overrides = Overrides(batch_size, accumulate, lr, max_norm, seed, amp)
    train_command(
        out,
        preset,
        corpus,
        steps,
        resume,
        library,
        threads,
        console,
        overrides=overrides,
        device=device,
        compiled=compiled,
        tensorboard=tensorboard,
    )


@app.command()
def leaderboard(
    folder: Annotated[Path, typer.Option("--runs", help="Where the leaderboard is.")] = Path("runs"),
) -> None:
    """Show the speedruns so far: the fastest first, of those that reach the loss."""
    from autograder.speedrun_command import show_leaderboard

    show_leaderboard(folder, console)


@app.command()
def sample(
    prompts: Annotated[list[str] | None, typer.Argument(metavar="[PROMPT]...", help="Texts to go on from.")] = None,
    prompts_file: Annotated[Path | None, typer.Option("--prompts", help="A file with a prompt on each line.")] = None,
    run: MaybeRunOption = None,
    tokens: TokensOption = 300,
    temperature: TemperatureOption = 0.8,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    seed: SeedOption = None,
    stop: StopOption = None,
    library: LibraryOption = False,
) -> None:
    """Write text with a trained MiniGPT, or with the small one that ships."""
    from autograder.writing import Options, write_command

    options = Options(tokens, temperature, top_k, top_p, seed, stop)
    text = write_command(prompts or [], prompts_file, run, library, options, Console(stderr=True))
    console.print(text, markup=False, soft_wrap=True)


@app.command()
def chat(
    run: MaybeRunOption = None,
    tokens: TokensOption = 300,
    temperature: TemperatureOption = 0.8,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    seed: SeedOption = None,
    stop: StopOption = None,
    library: LibraryOption = False,
) -> None:
    """Type a beginning, and watch a MiniGPT go on."""
    from autograder.writing import Options, chat_command

    chat_command(run, library, Options(tokens, temperature, top_k, top_p, seed, stop), Console(stderr=True))


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
