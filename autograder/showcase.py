"""A student's MiniGPT: assembled from what passed in all assignments, trained in the jail, judged outside it.

The training itself is the student's code and runs in the jail; the curve that it reports is shown and no more. The
validation loss is computed here, on text drawn at grading time: the jail is given a beginning and must give the logits
of the next character before it could have seen it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

import datasets
from autograder.jail.client import Jail, Submission
from autograder.jail.proxy import Proxy
from autograder.manifest import Manifest, Task
from autograder.minigpt.maps import Maps, habits
from autograder.minigpt.parts import SLOTS
from autograder.minigpt.train import PRESETS
from autograder.outcome import Fault, printable
from autograder.result import Attention, Head, MiniGPTRecord, Sample, TaskResult, slots_that_pass
from autograder.testing import derived_seed
from datasets import ngrams
from datasets.stories import write_stories

PRESET = "tiny"
JOINED = "own_parts_of_minigpt.py"
TRAIN_SECONDS = 600.0
JUDGED_WINDOWS = 4096
JUDGED_BATCH = 256
LONGEST_STORY = 400  # characters, and a few more than any has
TEMPERATURES = (0.0, 0.5, 0.8, 1.2)
SAMPLE_TOKENS = 240
MAP_LENGTH = 32
CURVE_POINTS = 200
MAX_LOSS = 1e6  # nats: what is beyond was never trained
MAX_MESSAGE = 300


@dataclass(frozen=True)
class Judge:
    """Fresh stories as windows of ids, with the character that follows each: seen by nobody before grading.

    No window begins before the story of the last one's answer has ended: the jail gets many windows at a time, and none
    of them tells anything about the answer of another.
    """

    alphabet: tuple[str, ...]
    contexts: Tensor  # (windows, context_length)
    answers: Tensor  # (windows,)

    @staticmethod
    def draw(seed: int) -> Judge:
        corpus = datasets.load("stories")
        alphabet = tuple(sorted(set(corpus.train) | set(corpus.validation)))
        length = int(PRESETS[PRESET].model["context_length"])
        stride = length + 1 + LONGEST_STORY
        text = write_stories(derived_seed(seed, "judge"), JUDGED_WINDOWS * stride)
        number = {character: index for index, character in enumerate(alphabet)}
        ids = torch.tensor([number[character] for character in text])
        windows = ids.unfold(0, length + 1, stride)[:JUDGED_WINDOWS]  # (windows, length + 1)
        return Judge(alphabet, windows[:, :-1].contiguous(), windows[:, -1].contiguous())

    def loss(self, trained: Any) -> float:
        """Mean negative log-likelihood of the true next characters, in nats. Raises `Fault` for useless logits."""
        total = 0.0
        for start in range(0, len(self.answers), JUDGED_BATCH):
            contexts = self.contexts[start : start + JUDGED_BATCH]
            answers = self.answers[start : start + JUDGED_BATCH]
            logits = trained.next_logits(contexts)
            if not isinstance(logits, Tensor) or logits.shape != (len(contexts), len(self.alphabet)):
                raise Fault("the model's logits have the wrong shape")
            if not logits.is_floating_point():
                raise Fault("the model's logits are not of a floating-point dtype")
            log_probabilities = torch.log_softmax(logits.double(), dim=-1)
            total -= float(log_probabilities.gather(1, answers[:, None]).sum())
        loss = total / len(self.answers)
        if not abs(loss) <= MAX_LOSS:
            raise Fault("the model's logits are not finite numbers, or they give an absurd loss")
        return loss


@cache
def baselines() -> dict[str, float]:
    """What models that only count reach on the validation stories, in nats per character."""
    corpus = datasets.load("stories")
    orders = {"unigram": 1, "bigram": 2, "5-gram": 5}
    return {name: ngrams.train(corpus.train, order).loss(corpus.validation) for name, order in orders.items()}


@dataclass
class OwnParts:
    """What passes of a student's submissions: the slots that are filled, and the modules that fill them."""

    files: dict[str, bytes] = field(default_factory=dict)
    symbols: dict[str, str] = field(default_factory=dict)  # symbol -> name of its module
    slots: set[str] = field(default_factory=set)

    def add(self, manifest: Manifest, files: Mapping[str, bytes], tasks: tuple[TaskResult, ...]) -> None:
        """Adds one graded submission."""
        own = slots_that_pass(manifest, tasks)
        if own:
            self.slots |= own
            self.files |= files
            self.symbols |= {symbol: manifest.module.removesuffix(".py") for slot in own for symbol in SLOTS[slot]}

    def whose(self) -> dict[str, Literal["own", "library"]]:
        """Whose each slot is."""
        return {slot: "own" if slot in self.slots else "library" for slot in SLOTS}

    def submission(self, jail: Jail) -> Submission:
        """All the modules in one jail, behind one module that has just the symbols that are plugged in."""
        lines = [f"{symbol} = importlib.import_module({module!r}).{symbol}" for symbol, module in self.symbols.items()]
        source = "\n".join(["import importlib", *lines, ""]).encode()
        task = Task(id="minigpt", title="MiniGPT", symbols=tuple(self.symbols))
        manifest = Manifest(title="MiniGPT", module=JOINED, tasks=(task,))
        return jail.submission(manifest, {**self.files, JOINED: source})


def train_and_judge(jail: Jail, own: OwnParts, judge: Judge, steps: int | None) -> MiniGPTRecord:
    """The record of one student's model. What goes wrong on the student's side is told in its `message`."""
    corpus = datasets.load("stories")
    record = MiniGPTRecord(parts=own.whose(), floor=corpus.floor, baselines=baselines())
    submission = own.submission(jail)
    try:
        student = submission.open(TRAIN_SECONDS)
        symbols = {symbol: getattr(student, symbol) for symbol in own.symbols}
        trained = student.library.train_minigpt(symbols, corpus.train, corpus.validation, PRESET, steps)
        if not isinstance(trained, Proxy):
            raise Fault("the training gave no model")
        return _describe(record, submission, trained, judge)
    except Fault as fault:
        return _with_message(record, f"Your MiniGPT could not be trained: {str(fault)[:MAX_MESSAGE]}")
    except Exception as error:
        if not hasattr(error, "student_name"):
            raise  # not raised in the jail: the grader's own
        return _with_message(
            record, f"Your MiniGPT could not be trained: {type(error).__name__}: {str(error)[:MAX_MESSAGE]}"
        )
    finally:
        submission.discard()


def _with_message(record: MiniGPTRecord, message: str) -> MiniGPTRecord:
    told = printable(message)
    return MiniGPTRecord(parts=record.parts, floor=record.floor, baselines=record.baselines, message=told)


def _describe(record: MiniGPTRecord, submission: Submission, trained: Any, judge: Judge) -> MiniGPTRecord:
    corpus = datasets.load("stories")
    losses = _curve(trained.losses)
    prompt = corpus.validation[: corpus.validation.index(" ", 24) + 1]
    excerpt = corpus.validation[:MAP_LENGTH]
    return MiniGPTRecord(
        parts=record.parts,
        floor=record.floor,
        baselines=record.baselines,
        steps=losses[-1][0],
        train_losses=losses,
        validation_loss=judge.loss(trained),
        prompt=prompt,
        samples=tuple(
            Sample(temperature=temperature, text=_text(trained.sample(prompt, SAMPLE_TOKENS, temperature, 0), prompt))
            for temperature in TEMPERATURES
        ),
        attention=attention_of(trained.attention(excerpt), excerpt),
    )


def _text(value: object, prompt: str) -> str:
    """What was written after the prompt."""
    if type(value) is not str:
        raise Fault("the sampled text is no text")
    return printable(value[len(prompt) : 4000])


def _curve(losses: object) -> tuple[tuple[int, float], ...]:
    """At most `CURVE_POINTS` points: the mean of as many stretches of steps. The values are the jail's word."""
    if (
        type(losses) is not list
        or not losses
        or any(type(loss) is not float or not abs(loss) <= MAX_LOSS for loss in losses)
    ):
        raise Fault("the training losses are not a list of finite numbers, none of them absurdly large")
    stretch = max(1, math.ceil(len(losses) / CURVE_POINTS))
    starts = range(0, len(losses), stretch)
    return tuple(
        (min(start + stretch, len(losses)), sum(losses[start : start + stretch]) / len(losses[start : start + stretch]))
        for start in starts
    )


def attention_of(layers: object, text: str) -> Attention | None:
    """Every head's map, and what it looks at most; None where these are no maps of that text."""
    model = PRESETS[PRESET].model
    shape = (int(model["n_heads"]), len(text), len(text))
    if (
        type(layers) is not list
        or len(layers) != int(model["n_layers"])
        or any(not isinstance(maps, Tensor) or maps.shape != shape for maps in layers)
    ):
        return None
    weights = torch.stack([maps.float() for maps in layers])  # (layers, heads, queries, keys)
    weights = weights.nan_to_num(0.0, 0.0, 0.0).clamp(0.0, 1.0)
    small = (weights * 255).round().to(torch.uint8)
    heads = tuple(
        Head(
            layer=habit.layer,
            head=habit.head,
            habit=habit.name.replace("token", "character"),  # which is what this preset's tokens are
            share=round(min(habit.share, 1.0), 3),
            weights=small[habit.layer, habit.head].numpy().tobytes(),
        )
        for habit in habits(Maps(tuple(text), weights))
    )
    return Attention(tokens=tuple(text), heads=heads)
