"""Tokens per second and validation loss of four ways to train on tinyshakespeare: python benchmarks/training.py

    plain        a plain GPT in PyTorch with fused attention (plain_gpt.py)
    reference    MiniGPT of all the reference parts, as if they were a student's own
    compiled     the same with torch.compile; where that is not possible, a line says why
    speedrun     the capstone's recipe, in fewer steps

All are of one size, that of `--preset`: nanoGPT's for a processor (`shakespeare-char`), or for a GPU (`gpu`, in
bfloat16, with the library's fused attention as MiniGPT's). They take turns: in each of 20 turns every way makes a
twentieth of its steps. So each is trained to its end once, and its speed is the median of 20 stretches that are spread
over the whole run. The first step of each way, where compiling happens, is timed apart.

The validation loss is in nats per character over the whole validation text, in windows that follow each other. Beside
it stands what nanoGPT measures: the mean over 20 random batches of validation text. There are ten such estimates,
drawn from seed 1337; printed are their mean, the lowest and the highest.

`--quick` makes 40 steps of each way: enough for a look at the speed, not at the loss. Ctrl-C, or `--minutes`, ends it
early, with the speeds so far. tinyshakespeare is downloaded on first use.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import plain_gpt
import torch
import torch.nn.functional as F
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from shared import machine, reference_parts, wide_console
from torch import Tensor, nn

import datasets
from autograder.minigpt import speedrun
from autograder.minigpt.compiling import compile_model
from autograder.minigpt.model import build_model
from autograder.minigpt.parts import Parts
from autograder.minigpt.train import PRESETS, Preset, Session, TrainConfig, batch_source, start_session

TURNS = 20
QUICK_STEPS = 40
ESTIMATES, BATCHES, SEED = 10, 20, 1337  # nanoGPT's README evaluates with 20 batches
NAMES = ("plain", "reference", "compiled", "speedrun")


@dataclass
class Way:
    """A training that goes on by one step at each `next(updates)`. `for_eval` gives the model as it is then."""

    updates: Iterator[object]
    steps: int
    tokens_per_step: int
    for_eval: Callable[[], nn.Module]
    done: int = 0
    first: float = 0.0  # seconds of the first step, and of compiling before it
    seconds: float = 0.0  # of all the others
    rates: list[float] = field(default_factory=list)  # tokens per second of each stretch


@dataclass(frozen=True)
class Setting:
    """What all ways share."""

    preset: Preset
    sizes: plain_gpt.Sizes
    corpus: datasets.Corpus
    device: str
    seed: int = 0

    @property
    def amp(self) -> bool:
        return self.preset.training.amp

    def ids(self, text: str) -> Tensor:
        number = {character: index for index, character in enumerate(self.corpus.alphabet)}
        return torch.tensor([number[each] for each in text], device=self.device)


def setting_of(name: str, steps: int | None, device: str, seed: int) -> Setting:
    """The preset and its like for the plain GPT, perhaps with another number of steps."""
    preset, sizes = PRESETS[name], plain_gpt.GPU if PRESETS[name].gpu else plain_gpt.CPU
    preset = replace(preset, training=replace(preset.training, seed=seed))
    if steps is not None:
        warmup = min(preset.training.warmup_steps, steps // 2)
        preset = replace(preset, training=replace(preset.training, steps=steps, warmup_steps=warmup))
        sizes = replace(sizes, steps=steps)
    return Setting(preset, sizes, datasets.load("shakespeare"), device, seed)


def plain_way(setting: Setting) -> Way:
    torch.manual_seed(setting.seed)
    sizes = setting.sizes
    model = plain_gpt.PlainGPT(len(setting.corpus.alphabet), sizes).to(setting.device)
    updates = plain_gpt.updates(model, setting.ids(setting.corpus.train), sizes, setting.seed, setting.amp)
    return Way(updates, sizes.steps, sizes.batch * sizes.block, lambda: model)


def own_way(setting: Setting, *, compiled: bool = False) -> Way:
    """MiniGPT of reference parts, by the steps of `parts.train`. A RuntimeError where it cannot be compiled."""
    training = setting.preset.training
    parts = reference_parts(without="attention" if setting.preset.gpu else None)
    session = start_session(
        setting.corpus.train, setting.corpus.validation, setting.preset, parts, device=setting.device
    )
    began = time.perf_counter()
    if compiled:
        batch = batch_source(session, training, parts, 0)()
        reason = compile_model(session.model, batch, training.amp_dtype)
        if reason is not None:
            raise RuntimeError(reason)
    tokens = training.batch_size * training.accumulate * session.config.context_length
    way = Way(own_updates(session, training, parts), training.steps, tokens, partial(uncompiled, session, parts))
    way.first = time.perf_counter() - began
    return way


def own_updates(session: Session, training: TrainConfig, parts: Parts) -> Iterator[list[float]]:
    """What `minigpt train` does, without files and evaluations."""
    next_batch = batch_source(session, training, parts, 0)
    schedule = partial(
        parts.cosine_schedule,
        max_lr=training.max_lr,
        min_lr=training.min_lr,
        warmup_steps=training.warmup_steps,
        total_steps=training.steps,
    )
    for step in range(training.steps):
        yield parts.train(
            session.model,
            session.optimizer,
            next_batch,
            steps=1,
            schedule=schedule,
            accumulate=training.accumulate,
            max_norm=training.max_norm,
            amp_dtype=training.amp_dtype,
            start=step,
        )


def uncompiled(session: Session, parts: Parts) -> nn.Module:
    """The same weights in a fresh model: a compiled one would be compiled again for the evaluation's shapes."""
    model = build_model(session.config, parts)
    model.load_state_dict(session.model.state_dict())
    return model.to(next(session.model.parameters()).device)


def speedrun_way(setting: Setting) -> Way:
    """The recipe at the preset's size, in its own share of the steps."""
    sizes, usual = setting.sizes, speedrun.Recipe()
    recipe = replace(
        usual,
        seed=setting.seed,
        steps=max(2, round(usual.steps * sizes.steps / plain_gpt.CPU.steps)),
        batch_size=sizes.batch,
        context_length=sizes.block,
        d_model=sizes.width,
        n_layers=sizes.layers,
        n_heads=sizes.heads,
    )
    torch.manual_seed(recipe.seed)
    model = speedrun.SpeedrunGPT(len(setting.corpus.alphabet), recipe).to(setting.device)
    updates = speedrun.updates(model, setting.ids(setting.corpus.train), recipe)
    return Way(in_autocast(updates, setting), recipe.steps, sizes.batch * sizes.block, lambda: model)


def in_autocast(updates: Iterator[Tensor], setting: Setting) -> Iterator[Tensor]:
    while True:
        with torch.autocast(torch.device(setting.device).type, dtype=torch.bfloat16, enabled=setting.amp):
            loss = next(updates, None)
        if loss is None:
            return
        yield loss


MAKERS: dict[str, Callable[[Setting], Way]] = {
    "plain": plain_way,
    "reference": own_way,
    "compiled": partial(own_way, compiled=True),
    "speedrun": speedrun_way,
}


# --- taking turns ----------------------------------------------------------------------------------------------------


def make_ways(names: list[str], setting: Setting, console: Console) -> dict[str, Way]:
    """The ways, each with its first step made. One that fails is told, and left out."""
    ways = {}
    for name in names:
        try:
            way = MAKERS[name](setting)
            way.first += seconds_of(way, 1, setting.device)
            ways[name] = way
        except RuntimeError as error:
            console.print(f"{name} is left out: {error}", markup=False)
    return ways


def seconds_of(way: Way, steps: int, device: str) -> float:
    """Makes so many steps of a way."""
    began = time.perf_counter()
    for _ in range(steps):
        next(way.updates)
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    way.done += steps
    return time.perf_counter() - began


def take_turns(ways: dict[str, Way], turns: int, until: float, device: str) -> bool:
    """Trains all to their end, each beginning a turn once in a while; False where the time was over before."""
    order = list(ways.values())
    with Progress(transient=True) as progress:
        bar = progress.add_task("training in turns", total=turns)
        for turn in range(turns):
            for way in order[turn % len(order) :] + order[: turn % len(order)]:
                if time.perf_counter() > until:
                    return False
                steps = way.steps * (turn + 1) // turns - way.done
                if steps > 0:
                    seconds = seconds_of(way, steps, device)
                    way.seconds += seconds
                    way.rates.append(steps * way.tokens_per_step / seconds)
            progress.advance(bar)
    return True


# --- losses ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def estimates(model: nn.Module, ids: Tensor, sizes: plain_gpt.Sizes) -> list[float]:
    """The loss as nanoGPT estimates it, again and again, on batches that are the same for all models."""
    generator = torch.Generator().manual_seed(SEED)
    model.eval()
    found = []
    for _ in range(ESTIMATES):
        losses = []
        for _ in range(BATCHES):
            starts = torch.randint(len(ids) - sizes.block, (sizes.batch, 1), generator=generator)
            windows = ids[(starts + torch.arange(sizes.block + 1)).to(ids.device)]
            losses.append(F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten()).item())
        found.append(statistics.mean(losses))
    return found


def whole_loss(way: Way, setting: Setting) -> float:
    return speedrun.whole_loss(way.for_eval(), setting.ids(setting.corpus.validation), setting.sizes.block)


def estimated(way: Way, setting: Setting) -> str:
    found = estimates(way.for_eval(), setting.ids(setting.corpus.validation), setting.sizes)
    return f"{statistics.mean(found):.4f}, {min(found):.3f} to {max(found):.3f}"


# --- all of it -------------------------------------------------------------------------------------------------------


def show(ways: dict[str, Way], losses: dict[str, float], title: str) -> Table:
    table = Table("", title=title, box=MARKDOWN)
    for column in ("steps", "tokens/s", "lowest", "highest", "of the first", "first step, s", "others, s", "loss"):
        table.add_column(column, justify="right", no_wrap=True)
    measured = {name: way for name, way in ways.items() if way.rates}
    baseline = next((statistics.median(way.rates) for way in measured.values()), 0.0)
    for name, way in measured.items():
        rate = statistics.median(way.rates)
        speeds = [f"{each:,.0f}" for each in (rate, min(way.rates), max(way.rates))]
        times = (f"{rate / baseline:.2f}", f"{way.first:.1f}", f"{way.seconds:.1f}")
        loss = f"{losses[name]:.4f}" if name in losses else "-"
        table.add_row(name, str(way.done), *speeds, *times, loss)
    return table


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=("shakespeare-char", "gpu"), default="shakespeare-char")
    parser.add_argument("--device", default=None, help="cpu or cuda; without it, what the preset is meant for")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and of the batches")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES), metavar="WAY", help=" ".join(NAMES))
    parser.add_argument("--steps", type=int, help="instead of the preset's; at least 2")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--minutes", type=float, default=60.0, help="end the training after so long")
    parser.add_argument("--quick", action="store_true", help=f"--steps {QUICK_STEPS} --turns 5")
    given = parser.parse_args()
    if given.quick:
        given.steps, given.turns = QUICK_STEPS, 5
    if given.turns < 1 or (given.steps is not None and given.steps < 2):
        parser.error("--turns must be at least 1, --steps at least 2")
    return given


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.set_float32_matmul_precision("high")  # on a GPU; a processor has no such choice
    device = given.device or ("cuda" if PRESETS[given.preset].gpu else "cpu")
    until = time.perf_counter() + 60 * given.minutes
    console = wide_console()
    console.print(machine(device), soft_wrap=True)
    setting = setting_of(given.preset, given.steps, device, given.seed)
    ways = make_ways(given.only, setting, console)
    losses: dict[str, float] = {}
    try:
        if take_turns(ways, given.turns, until, device):
            losses = {name: whole_loss(way, setting) for name, way in ways.items()}
        else:
            console.print("the time was over before the training was: speeds alone")
    except KeyboardInterrupt:
        console.print("stopped: what was measured so far")
    console.print(show(ways, losses, f"{given.preset} on {device}, medians of {given.turns} stretches in turns"))
    for name in losses:
        console.print(f"{name}, as nanoGPT estimates the loss: {estimated(ways[name], setting)}")


if __name__ == "__main__":
    main()
