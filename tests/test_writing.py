"""`minigpt sample` and `minigpt chat`: what streams is what comes at once, prompts together are prompts one by one."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from synthetic_course import make_course
from torch import nn

import datasets
from autograder.in_process import load_module
from autograder.leak import WEIGHTS, find_leaks
from autograder.manifest import Course, CourseError
from autograder.minigpt.assemble import assemble_parts, provenance
from autograder.minigpt.chat import chat
from autograder.minigpt.config import GPTConfig
from autograder.minigpt.library import library_parts
from autograder.minigpt.model import build_model
from autograder.minigpt.parts import SLOTS, Parts
from autograder.minigpt.pretrained import FOLDER, describe_pretrained, fill, load_pretrained
from autograder.minigpt.run import run_training
from autograder.minigpt.sample import MOST_AT_ONCE, generate_text, generate_texts
from autograder.minigpt.stream import TextStream
from autograder.minigpt.train import Preset, TrainConfig
from autograder.writing import BETWEEN_TEXTS, Options, open_model, read_prompts, write_command

LIBRARY = library_parts()
BYTES = LIBRARY.BPETokenizer({byte: bytes([byte]) for byte in range(256)}, [])
MESSY = "é€🙂 né"
CONTEXT = 12
REPOSITORY = Path(__file__).parents[1]


def reference_parts(course: Course) -> Parts:
    symbols: dict[str, object] = {}
    for assignment in course.assignments():
        module = load_module(assignment.reference)
        slots = {task.part for task in assignment.manifest.tasks if task.part is not None}
        symbols |= {name: getattr(module, name) for slot in slots for name in SLOTS[slot]}
    assert provenance(symbols).library == ()
    return assemble_parts(symbols)


@pytest.fixture(scope="module", params=["library", "reference"])
def parts(request: pytest.FixtureRequest, course: Course) -> Parts:
    return LIBRARY if request.param == "library" else reference_parts(course)


@pytest.fixture(scope="module")
def model(parts: Parts) -> nn.Module:
    """Fresh, with bytes for tokens, so that most of what it writes is no UTF-8."""
    torch.manual_seed(0)
    return build_model(GPTConfig(256, CONTEXT, d_model=16, n_layers=2, n_heads=2, positions="rope"), parts)


# --- text while it is written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("prompt", ["O", "Once", "Once upon a ti", "Once upon a time, far away"])
@pytest.mark.parametrize("tokens", [0, 1, 40])
def test_what_streams_is_what_comes_at_once(
    parts: Parts, model: nn.Module, prompt: str, use_cache: bool, tokens: int
) -> None:
    """Below the context, across its end and beyond it; a text that is only watched is not changed."""
    options: dict[str, Any] = {"context_length": CONTEXT, "max_new_tokens": tokens, "seed": 3, "use_cache": use_cache}
    pieces: list[str] = []
    plain = generate_text(model, BYTES, prompt, parts, **options)
    streamed = generate_text(model, BYTES, prompt, parts, **options, on_text=pieces.append)
    assert streamed == plain == prompt + "".join(pieces)
    assert len(pieces) <= tokens
    assert not model._forward_pre_hooks


def test_a_token_is_shown_before_the_next_one_is_computed(parts: Parts, model: nn.Module) -> None:
    events: list[str] = []
    handle = model.register_forward_hook(lambda *_: events.append("model"))
    tokenizer = LIBRARY.CharTokenizer.from_text("".join(map(chr, range(0x100, 0x200))))
    generate_text(
        model, tokenizer, "Ā", parts, context_length=CONTEXT, max_new_tokens=4, on_text=lambda _: events.append("text")
    )
    handle.remove()
    assert events == ["model", "text"] * 4


@pytest.mark.parametrize("first", [1, 3])
def test_a_generate_that_reads_the_prompt_in_pieces_streams_the_same(first: int) -> None:
    """A student's may: only the tokens behind the prompt are shown."""

    def generate(model: Any, ids: torch.Tensor, max_new_tokens: int, **options: Any) -> torch.Tensor:
        cache = model.new_cache()
        model(ids[:, :first], cache=cache)
        with torch.no_grad():
            for place in range(first, ids.shape[1] + max_new_tokens):
                logits = model(ids[:, place : place + 1], cache=cache)[:, -1]
                if place + 1 >= ids.shape[1]:
                    ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
        return ids[:, : place + 1]

    torch.manual_seed(0)
    model = build_model(GPTConfig(256, 64, d_model=16, n_layers=1, n_heads=2), LIBRARY)
    pieces: list[str] = []
    text = generate_text(
        model,
        BYTES,
        "Once",
        replace(LIBRARY, generate=generate),
        context_length=64,
        max_new_tokens=9,
        on_text=pieces.append,
    )
    assert text == "Once" + "".join(pieces)


def test_a_character_of_several_tokens_comes_whole() -> None:
    pieces: list[str] = []
    stream = TextStream(BYTES, on_text=pieces.append)
    stream.write(list(MESSY.encode()))
    assert pieces == list(MESSY)


@given(st.binary(max_size=30))
def test_any_bytes_stream_as_they_decode(content: bytes) -> None:
    stream = TextStream(BYTES)
    stream.write(list(content))
    stream.finish()
    assert stream.text == content.decode(errors="replace")


@given(st.text("ab", max_size=12), st.text("ab", min_size=1, max_size=4))
def test_a_text_ends_before_what_stops_it(text: str, stop: str) -> None:
    """Whatever the beginning of `stop` looks like, and wherever tokens are cut."""
    stream = TextStream(BYTES, stop)
    stream.write(list(text.encode()))
    stream.finish()
    assert stream.text == text.partition(stop)[0]
    assert stream.stopped == (stop in text)


def test_the_model_is_not_asked_for_more_once_the_text_has_ended(parts: Parts, model: nn.Module) -> None:
    options: dict[str, Any] = {"context_length": CONTEXT, "max_new_tokens": 40, "seed": 3}
    whole = generate_text(model, BYTES, "Once", parts, **options)
    stop = next(letter for letter in whole[10:] if letter != "\ufffd")
    calls: list[int] = []
    handle = model.register_forward_hook(lambda *_: calls.append(1))
    ended = generate_text(model, BYTES, "Once", parts, **options, stop=stop)
    handle.remove()
    assert ended == "Once" + whole[4:].partition(stop)[0]
    assert len(calls) < 40
    assert generate_texts(model, BYTES, ["Once"], parts, **options, stop=stop) == [ended]


# --- several prompts -------------------------------------------------------------------------------------------------


def test_prompts_together_are_prompts_one_by_one(parts: Parts) -> None:
    """Of all lengths, in their order, more than fit into one batch; and they are written side by side."""
    model, tokenizer, config = load_pretrained(parts)
    prompts = ["Leo", "Once", "The ", "Mia", *(["He", "It"] * MOST_AT_ONCE)]
    options: dict[str, Any] = {"context_length": config.context_length, "max_new_tokens": 8, "temperature": 0}
    calls: list[int] = []
    handle = model.register_forward_hook(lambda *_: calls.append(1))
    texts = generate_texts(model, tokenizer, prompts, parts, **options)
    handle.remove()
    assert len(calls) == 8 * 4
    one_by_one = {prompt: generate_text(model, tokenizer, prompt, parts, **options) for prompt in set(prompts)}
    assert texts == [one_by_one[prompt] for prompt in prompts]


def test_one_prompt_among_several_is_as_alone_with_a_seed(parts: Parts, model: nn.Module) -> None:
    options: dict[str, Any] = {"context_length": CONTEXT, "seed": 5}
    assert generate_texts(model, BYTES, [MESSY], parts, **options) == [
        generate_text(model, BYTES, MESSY, parts, **options)
    ]


def test_an_empty_prompt_among_others_is_told(parts: Parts, model: nn.Module) -> None:
    with pytest.raises(ValueError, match="prompt"):
        generate_texts(model, BYTES, ["Once", ""], parts, context_length=CONTEXT)


def test_prompts_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(" Once\n\nTwo é\n", encoding="utf-8")
    assert read_prompts(path) == [" Once", "Two é"]
    path.write_bytes(b"\n \n")
    with pytest.raises(CourseError, match="no prompts"):
        read_prompts(path)
    for bad in (b"\xff\xfe", None):
        path.write_bytes(bad) if bad else path.unlink()
        with pytest.raises(CourseError, match=r"prompts\.txt"):
            read_prompts(path)


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def notes() -> Console:
    return Console(file=io.StringIO(), width=200)


def told(notes: Console) -> str:
    assert isinstance(notes.file, io.StringIO)
    return notes.file.getvalue()


def test_without_a_run_the_shipped_model_writes_and_says_so_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: Console
) -> None:
    monkeypatch.chdir(tmp_path)
    options = Options(tokens=30, temperature=0)
    both = write_command(["Once", "Leo the"], None, None, True, options, notes)
    assert told(notes).count("\n") == 1 and "small one that ships" in told(notes)
    model, tokenizer, config = load_pretrained(LIBRARY)
    write: dict[str, Any] = {"context_length": config.context_length, "max_new_tokens": 30, "temperature": 0}
    assert both.split(BETWEEN_TEXTS) == [
        generate_text(model, tokenizer, prompt, LIBRARY, **write) for prompt in ("Once", "Leo the")
    ]


def test_a_run_that_is_there_is_used_and_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: Console
) -> None:
    monkeypatch.chdir(tmp_path)
    preset = Preset(
        {"context_length": 8, "d_model": 8, "n_layers": 1, "n_heads": 2},
        TrainConfig(steps=1, batch_size=2, warmup_steps=0, eval_windows=2),
    )
    run_training("runs/minigpt", "ab" * 50, "ab" * 50, preset, LIBRARY, quiet=True)
    assert set(write_command(["a"], None, None, False, Options(tokens=9), notes)) <= set("ab")
    assert open_model(Path("runs/minigpt"), False, notes).config.vocab_size == 2
    assert told(notes) == ""


def test_a_run_that_was_named_and_is_not_there_is_told(tmp_path: Path, notes: Console) -> None:
    with pytest.raises(CourseError, match="minigpt train"):
        write_command(["Once"], None, tmp_path / "none", False, Options(), notes)


def test_a_students_own_generate_writes_with_the_shipped_model(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: Console
) -> None:
    """The one in the course, where its visible tests pass; the library's where one asks for it."""
    monkeypatch.chdir(tmp_path)
    assignment = course.assignment("07_sampling")
    folder = tmp_path / "assignments" / assignment.name
    folder.mkdir(parents=True)
    for path in (assignment.folder / "assignment.toml", assignment.visible_tests):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / assignment.manifest.module).write_bytes(assignment.reference.read_bytes())
    own = open_model(None, False, notes)
    assert own.parts.generate.__module__ == "sampling"
    assert "own parts in it: sampler, generate, perplexity" in told(notes)
    assert open_model(None, True, notes).parts.generate is LIBRARY.generate


# --- turns -----------------------------------------------------------------------------------------------------------

PROGRAM = """
import torch
from rich.console import Console
from autograder.writing import Options, chat_command

torch.set_num_threads(1)
chat_command(None, True, Options(tokens={tokens}, seed=1, top_k=5, stop={stop!r}), Console(stderr=True))
"""


def start_chat(folder: Path, stdin: int, tokens: int = 40, stop: str | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(tokens=tokens, stop=stop)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8", "COLUMNS": "200"},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("stop", [None, ".", "\\n"])
def test_through_a_pipe_come_the_texts_that_sample_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: Console, stop: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    process = start_chat(tmp_path, subprocess.PIPE, stop=stop)
    out, errors = process.communicate("Once\nÜber\nLeo the".encode())
    assert process.returncode == 0, errors.decode()
    options = Options(tokens=40, seed=1, top_k=5, stop=stop)
    wanted = [write_command([prompt], None, None, True, options, notes) for prompt in ("Once", "Leo the")]
    assert out.decode() == "".join(f"{text}\n" for text in wanted)
    assert "'Ü'" in errors.decode() and len(errors.decode().splitlines()) == 2  # which model, and what was wrong


def test_input_that_is_no_text_is_told_after_the_texts_before_it(tmp_path: Path) -> None:
    process = start_chat(tmp_path, subprocess.PIPE, tokens=2)
    out, errors = process.communicate(b"Once\n" + 10_000 * b" " + b"\xff\n")
    assert process.returncode != 0 and "standard input is not UTF-8 text" in errors.decode()


def test_ctrl_c_stops_the_text_and_the_chat_goes_on(tmp_path: Path) -> None:
    """Two texts that would not end by themselves, each stopped while it is written.

    The second begins with what the model does not write in the first: that would be taken for its beginning.
    """
    process = start_chat(tmp_path, subprocess.PIPE, tokens=1_000_000)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"Once\nLLL\n")
    process.stdin.close()
    shown = b""
    for begun in (b"Once", b"\nLLL"):
        while begun not in shown[:-1]:
            shown += process.stdout.read(1)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
    shown += process.stdout.read()
    assert process.wait() == 0
    assert shown.startswith(b"Once") and shown.endswith(b"\n")


def test_at_a_terminal_it_prompts_and_ctrl_d_ends_it(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        process = start_chat(tmp_path, theirs, tokens=5)
        os.write(ours, b"Once\n\x04")
        out, errors = process.communicate()
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 0, errors.decode()
    assert out.decode().startswith("> Once") and out.decode().count("> ") == 2
    assert b"Ctrl-D" in errors


def test_an_empty_beginning_goes_on_and_an_interrupted_text_is_kept() -> None:
    prompts: list[str] = []

    def write(prompt: str, *, on_text: Any) -> str:
        prompts.append(prompt)
        on_text("1")
        if len(prompts) == 2:
            raise KeyboardInterrupt
        on_text("2")
        return prompt + "12"

    beginnings = iter(["a", "b", "", "", "c"])
    shown: list[str] = []

    def ask() -> str:
        try:
            return next(beginnings)
        except StopIteration:
            raise EOFError from None

    chat(write, ask, shown.append, shown.append)
    assert prompts == ["a", "b", "b1", "b112", "c"]
    assert "".join(shown) == "a12\nb1\n12\n12\nc12\n"


# --- the model that ships --------------------------------------------------------------------------------------------


def test_the_shipped_weights_are_small_and_nothing_but_floats() -> None:
    files = {path.name: path for path in FOLDER.iterdir() if path.is_file()}
    assert set(files) == {"__init__.py", "model.json", "weights.npz"}
    assert sum(path.stat().st_size for path in files.values()) < 1_000_000
    with np.load(files["weights.npz"], allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind == "f" and np.isfinite(arrays[name]).all() for name in arrays.files)
    assert json.loads(files["model.json"].read_text())["validation_loss"] < 0.5


def test_it_reads_as_well_as_it_says_with_whatever_parts(parts: Parts) -> None:
    """The loss that `model.json` states, on windows of the validation text; a wrong vocabulary would cost nats."""
    model, tokenizer, config = load_pretrained(parts)
    ids = torch.tensor(tokenizer.encode(datasets.load("stories").validation[:40_000]))
    x, y = parts.sliding_windows(ids, config.context_length, 4 * config.context_length)
    loss = parts.estimate_loss(model, [(x, y)])
    assert loss == pytest.approx(describe_pretrained()["validation_loss"], abs=0.03)


def test_loading_it_draws_nothing_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    load_pretrained(LIBRARY)
    assert torch.equal(before, torch.get_rng_state())


def test_weights_that_do_not_fit_are_named() -> None:
    layer = nn.Linear(2, 1)
    good = {"weight": np.ones((1, 2), np.float16), "bias": np.ones(1, np.float16)}
    fill(layer, good)
    assert layer(torch.ones(1, 2)).item() == 3.0
    for wrong, message in (
        ({"weight": good["weight"]}, "no weights for bias"),
        ({**good, "gain": good["bias"]}, "no parameter gain"),
        ({**good, "bias": np.ones(2, np.float16)}, r"bias has the shape \(1,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            fill(layer, wrong)


# --- the leak check --------------------------------------------------------------------------------------------------

FLOATS = {"weight": np.ones((2, 2), np.float16)}


def saved(path: Path, **arrays: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


@pytest.fixture
def release(tmp_path: Path) -> tuple[Path, Course]:
    (tmp_path / "release").mkdir()
    return tmp_path / "release", make_course(tmp_path / "course")


def test_the_shipped_weights_may_ship(release: tuple[Path, Course]) -> None:
    folder, course = release
    (folder / WEIGHTS).parent.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes((REPOSITORY / WEIGHTS).read_bytes())
    assert find_leaks(folder, course) == []


@pytest.mark.parametrize("place", ["weights.npz", "autograder/minigpt/pretrained/other.npz", "docs/weights.npz"])
def test_no_other_archive_may(release: tuple[Path, Course], place: str) -> None:
    folder, course = release
    saved(folder / place, **FLOATS)
    assert [str(leak.path) for leak in find_leaks(folder, course)] == [place]


@pytest.mark.parametrize("what", ["text", "object", "bytes", "member", "comment", "damaged", "array"])
def test_nothing_but_floats_may_hide_there(release: tuple[Path, Course], what: str) -> None:
    folder, course = release
    path = saved(folder / WEIGHTS, **FLOATS)
    match what:
        case "text":
            saved(path, **FLOATS, notes=np.array(["the solution"]))
        case "object":
            saved(path, **FLOATS, notes=np.array([{"the": "solution"}], dtype=object))
        case "bytes":
            saved(path, **FLOATS, notes=np.frombuffer(b"the solution", np.uint8))
        case "member":
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr("solution.py", "running = 0")
        case "comment":
            with zipfile.ZipFile(path, "a") as archive:
                archive.comment = b"running = 0"
        case "damaged":
            path.write_bytes(path.read_bytes()[:-30])
        case "array":
            with path.open("wb") as file:
                np.save(file, FLOATS["weight"])
    assert [str(leak.path) for leak in find_leaks(folder, course)] == [str(WEIGHTS)]
