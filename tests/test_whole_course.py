"""All seven assignments done: a MiniGPT without a library part, which learns from characters, byte pairs and Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import datasets
from autograder.grade import Settings, grade_class
from autograder.jail.isolation import choose
from autograder.manifest import Course
from autograder.mine import load_symbols
from autograder.minigpt.assemble import assemble_parts, provenance
from autograder.minigpt.parts import SLOTS
from autograder.minigpt.run import run_training
from autograder.minigpt.sample import generate_text, load_run
from autograder.minigpt.train import PRESETS
from autograder.take_home import take_home

REPOSITORY = Path(__file__).parents[1]
COMMAND = Path(sys.executable).parent / "minigpt"
CORE = ("01_tokenizer", "02_data", "03_embeddings", "04_attention", "05_transformer", "06_training", "07_sampling")
TOKENIZERS = ("tokenizer", "merges", "bpe")
UNIGRAM, BIGRAM = 3.154, 2.198  # nats per character, of models of the stories that only count; see datasets/README.md


@pytest.fixture(scope="module")
def finished(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The repository of a student who has done everything."""
    root = tmp_path_factory.mktemp("finished")
    shutil.copytree(REPOSITORY / "assignments", root / "assignments")
    for assignment in course.assignments():
        shutil.copy(assignment.reference, root / "assignments" / assignment.name / assignment.manifest.module)
    return Course(root)


@pytest.fixture(scope="module")
def symbols(finished: Course) -> dict[str, object]:
    return load_symbols(finished, set(SLOTS))


def test_the_seven_core_assignments_are_there(course: Course) -> None:
    assert tuple(assignment.name for assignment in course.assignments()) == CORE


def test_no_part_is_the_librarys_and_status_says_so(finished: Course, symbols: dict[str, object]) -> None:
    assert provenance(symbols).library == ()
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    told = subprocess.run(
        [COMMAND, "status"], cwd=finished.root, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert told.startswith(f"{len(SLOTS)} of {len(SLOTS)} parts of your MiniGPT are your own; none is the library's.")
    assert all(f"# {slot} #" in told for slot in SLOTS) or all(f"█ {slot} █" in told for slot in SLOTS)
    assert "every visible test passes." in told
    assert "try: minigpt assemble" in told


def test_under_the_grader_the_model_is_made_of_the_students_own_parts(finished: Course, tmp_path: Path) -> None:
    """Two students, in the jail: one has done everything, one a single assignment. Both models learn."""
    for student, names in {"ada": CORE, "ben": ("01_tokenizer",)}.items():
        for name in names:
            shutil.copytree(finished.root / "assignments" / name, tmp_path / "submissions" / student / name)
    settings = Settings(
        REPOSITORY,
        tmp_path / "submissions",
        tmp_path / "out",
        CORE,
        seed=1234,
        tier=choose("auto"),
        jobs=2,
        train_steps=60,
    )
    records, _ = grade_class(settings)
    models = {record.result.student: record.minigpt for record in records if record.minigpt is not None}
    assert {student: model.message for student, model in models.items()} == {"ada": None, "ben": None}
    assert set(models["ada"].parts.values()) == {"own"}
    assert {slot for slot, whose in models["ben"].parts.items() if whose == "own"} == set(TOKENIZERS)
    for model in models.values():
        assert model.validation_loss is not None and model.validation_loss < UNIGRAM
        assert model.attention is not None and len(model.attention.heads) == 8
        assert [each.temperature for each in model.samples] == [0.0, 0.5, 0.8, 1.2]
        assert all(len(each.text) > 100 for each in model.samples)


def test_the_assembled_package_is_the_students_alone_and_runs_alone(finished: Course, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    assert set(take_home(finished, None, target).values()) == {"own"}
    told = json.loads((target / "PROVENANCE.json").read_text())
    assert sorted(Path(name).name for name in told["sources"]) == sorted(
        assignment.manifest.module for assignment in finished.assignments()
    )
    for arguments in (["train", "--steps", "3"], ["sample", "Leo", "--tokens", "5", "--seed", "1"]):
        ended = alone(target, *arguments)
        assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Leo")


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m minigpt` in that folder, where neither the grader nor a library part can be imported."""
    program = (
        "import sys, runpy\n"
        "for name in ('autograder', 'datasets'): sys.modules[name] = None\n"
        "sys.argv[0] = 'minigpt'\n"
        "runpy.run_module('minigpt', run_name='__main__', alter_sys=True)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("preset", "steps"), [("tiny", 300), ("bpe", 150), ("python", 60)])
def test_it_learns_at_each_stage(symbols: dict[str, object], tmp_path: Path, preset: str, steps: int) -> None:
    """Characters, byte pairs, a larger text: the validation loss falls from one evaluation to the next."""
    chosen = PRESETS[preset]
    chosen = replace(chosen, training=replace(chosen.training, steps=steps, eval_every=steps // 3))
    corpus = datasets.load(chosen.corpus)
    parts = assemble_parts(symbols)
    result = run_training(tmp_path / "run", corpus.train, corpus.validation, chosen, parts, quiet=True)
    losses = [loss for _, loss in result.validation]
    assert len(losses) == 4
    assert all(later < earlier for earlier, later in pairwise(losses)), losses
    if preset == "tiny":  # the only stage with a known floor
        assert corpus.floor is not None
        assert corpus.floor < losses[-1] < BIGRAM, losses
    model, tokenizer, config = load_run(tmp_path / "run", parts)
    length = config.context_length
    written = generate_text(model, tokenizer, "The ", parts, context_length=length, max_new_tokens=20, seed=1)
    assert written.startswith("The ") and len(written) > len("The ")
