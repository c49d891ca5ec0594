"""`minigpt status`: the drawing, the loss of the parts as they are now, and what is next."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

import datasets
from autograder.drawing import CELL, PLAN, WIDTH, draw
from autograder.manifest import Course
from autograder.minigpt.library import library_parts
from autograder.minigpt.parts import SLOTS
from autograder.minigpt.run import run_training
from autograder.minigpt.train import PRESETS, Preset, TrainConfig
from autograder.runs import runs_in
from autograder.status import show_status

SMALL = Preset(
    {"context_length": 16, "d_model": 8, "n_layers": 1, "n_heads": 2},
    TrainConfig(steps=2, batch_size=2, warmup_steps=0, eval_every=2, eval_windows=2),
)


@pytest.fixture
def repository(course: Course, tmp_path: Path) -> Course:
    """A student's: two assignments, in one of which the attention is done."""
    for name in ("01_tokenizer", "04_attention"):
        shutil.copytree(course.root / "assignments" / name, tmp_path / "assignments" / name)
    shutil.copy(course.assignment("04_attention").reference, tmp_path / "assignments/04_attention/attention.py")
    return Course.find(tmp_path)


def said(course: Course, *, width: int = 100, encoding: str = "utf-8", train: bool = False) -> str:
    with open(os.devnull, "w", encoding=encoding) as nowhere:  # noqa: PTH123
        console = Console(record=True, width=width, file=nowhere)
        show_status(course, console, train=train, steps=2)
        return console.export_text()


def trained(course: Course, name: str, own: tuple[str, ...], preset: Preset = SMALL, seed: int = 0) -> Path:
    """A run that says that these slots were the student's: its parts are the library's, which nobody looks at here."""
    folder = course.root / "runs" / name
    text = "ab" * 200 if seed == 0 else "abc" * 200
    run_training(folder, text, text, preset, library_parts(), provenance={"own": own}, quiet=True, picture=False)
    return folder


def age(folder: Path, seconds: int) -> None:
    began = (folder / "run.json").stat().st_mtime - seconds
    os.utime(folder / "run.json", (began, began))


def test_every_part_of_the_chassis_is_in_the_drawing() -> None:
    assert {match[1] for match in CELL.finditer(PLAN)} == set(SLOTS)
    lines = draw(set(), ascii_only=False).plain.splitlines()
    assert max(map(len, lines)) == WIDTH <= 79
    assert [len(line) for line in lines] == [len(line) for line in PLAN.splitlines()]


@pytest.mark.parametrize("slot", SLOTS)
def test_a_part_of_ones_own_is_filled_and_no_other_is(slot: str) -> None:
    nothing, one = draw(set(), ascii_only=False).plain, draw({slot}, ascii_only=False).plain
    assert "█" not in nothing
    assert one.replace("█", "·") == nothing
    filled = [piece for piece in one.split() if set(piece) == {"█"}]
    assert len(filled) == 2 * sum(match[1] == slot for match in CELL.finditer(PLAN))
    assert f"█ {slot} █" in one


def test_the_drawing_in_ascii_is_the_same_drawing() -> None:
    own = {"attention", "loss"}
    plain = draw(own, ascii_only=True).plain
    assert plain.isascii() and "# attention #" in plain and ". rope ." in plain
    assert [len(line) for line in plain.splitlines()] == [len(line) for line in PLAN.splitlines()]


def test_it_shows_without_colours_and_says_what_is_next(repository: Course) -> None:
    told = said(repository)
    assert told.startswith("1 of 22 parts of your MiniGPT are your own; the others are the library's.")
    assert "█ attention █" in told and "· tokenizer ·" in told
    assert "01_tokenizer: 0 of 32 points" in told and "04_attention: 32 of 32 points" in told
    assert "next: chars (A token for each character) in 01_tokenizer, for the part tokenizer." in told
    assert "try: minigpt check chars" in told
    assert "nothing is trained yet" in told and "minigpt status --train" in told


def test_an_ascii_terminal_gets_ascii_and_a_narrow_one_a_list(repository: Course) -> None:
    assert said(repository, encoding="ascii").isascii()
    narrow = said(repository, width=40)
    assert "* attention" in narrow and "┌" not in narrow
    assert max(map(len, narrow.splitlines())) <= 40


def test_the_newest_finished_run_of_these_parts_gives_the_loss(repository: Course) -> None:
    age(trained(repository, "older", ("attention",)), 50)
    newer = trained(repository, "newer", ("attention",), Preset(SMALL.model, TrainConfig(steps=3, warmup_steps=0)))
    age(newer, 20)
    trained(repository, "other", ("attention", "loss"))
    loss = next(run for run in runs_in(repository.root / "runs") if run.folder == newer).loss
    told = said(repository)
    assert f"validation loss of these parts: {loss:.3f} nats per token" in told
    assert "(runs/newer, settings of its own, 3 steps)" in " ".join(told.split())


def test_a_run_of_other_parts_is_told_as_such(repository: Course) -> None:
    age(trained(repository, "first", ()), 20)
    trained(repository, "second", ("attention", "loss"))
    told = " ".join(said(repository).split())
    assert "not known; the last run, runs/second, was of 2 own parts and reached" in told
    assert "minigpt status --train" in told


def test_beside_it_stands_what_the_librarys_parts_reached_in_the_same_setting(repository: Course) -> None:
    age(trained(repository, "mine", ("attention",)), -5)  # begun after the module was saved
    trained(repository, "library-elsewhere", (), seed=1)
    assert "library's parts reach" not in said(repository)
    trained(repository, "library", ())
    assert "The library's parts reach" in said(repository)


def test_a_run_from_before_the_last_change_is_told_as_such(repository: Course) -> None:
    folder = trained(repository, "mine", ("attention",))
    assert "changed after that run began" not in said(repository)
    age(folder, 3600)
    assert "attention.py changed after that run began." in said(repository)


def test_what_is_damaged_in_runs_is_passed_over(repository: Course) -> None:
    good = trained(repository, "good", ("attention",))
    described = json.loads(good.joinpath("run.json").read_text())
    for name, file, content in (
        ("a", "run.json", "{"),
        ("b", "loss.csv", "step\n"),
        ("c", "loss.csv", ""),
        ("d", "run.json", json.dumps({**described, "provenance": {"own": 3}})),
        ("e", "run.json", json.dumps({**described, "training": {"steps": "two"}})),
        ("f", "run.json", json.dumps({**described, "config": 3})),
    ):
        shutil.copytree(good, repository.root / "runs" / name)
        (repository.root / "runs" / name / file).write_text(content)
    shutil.copytree(good, repository.root / "runs/g")
    (repository.root / "runs/g/loss.csv").unlink()
    (repository.root / "runs/notes.txt").write_text("not a run")
    assert "(runs/good" in " ".join(said(repository).split())


def test_train_makes_a_run_of_the_parts_of_now_and_keeps_it(
    repository: Course, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Called from a folder below; two steps instead of the preset's."""
    monkeypatch.chdir(repository.root / "assignments")
    told = " ".join(said(repository, train=True).split())
    assert "training the preset tiny with your parts: about a minute" in told
    (run,) = runs_in(repository.root / "runs")
    assert run.own == {"attention"} and run.steps == 2 and run.folder.name.startswith("status-")
    assert f"validation loss of these parts: {run.loss:.3f} nats per token (runs/{run.folder.name}" in told
    floor = datasets.load("stories").floor
    assert floor is not None and f"o model of this text can go below {floor:.3f}" in told


def test_a_whole_preset_is_told_by_its_name(repository: Course) -> None:
    """Of a preset as it is; what a run of it would take minutes for is said by its files."""
    folder, tiny = trained(repository, "mine", ("attention",)), PRESETS["tiny"]
    content = json.loads(folder.joinpath("run.json").read_text())
    content |= {"config": asdict(tiny.config(content["config"]["vocab_size"])), "training": asdict(tiny.training)}
    folder.joinpath("run.json").write_text(json.dumps(content))
    (run,) = runs_in(repository.root / "runs")
    assert (run.preset, run.planned, run.finished) == ("tiny", tiny.training.steps, False)
