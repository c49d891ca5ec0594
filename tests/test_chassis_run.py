"""Whole runs: training falls below what letter counts can do, resuming changes nothing, a run's folder is complete."""

import csv
import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from runpy import run_path

import pytest
import torch

import datasets
from autograder.minigpt.assemble import provenance
from autograder.minigpt.curve import COLUMNS, Curve, draw_curve, read_curve
from autograder.minigpt.events import TAGS
from autograder.minigpt.library import library_parts
from autograder.minigpt.run import run_training
from autograder.minigpt.sample import generate_text, load_run, text_perplexity
from autograder.minigpt.train import PRESETS, Preset, TrainConfig, train_model

PARTS = library_parts()
SHORT = Preset(
    {"context_length": 16, "d_model": 16, "n_layers": 1, "n_heads": 2, "dropout": 0.1},
    TrainConfig(steps=12, batch_size=4, accumulate=2, warmup_steps=2, eval_every=5, eval_windows=6),
)
TEXT = "Bo the fox met Ann. Ann had a pin! " * 40


class Interrupted(Exception):
    pass


def interrupt_at(step):
    def on_step(done, loss, lr):
        if done == step:
            raise Interrupted

    return on_step


def rows(folder):
    with (folder / "loss.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def untimed(folder):
    """The curve, all but how fast it went."""
    return [{name: value for name, value in row.items() if name != "tokens_per_second"} for row in rows(folder)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    result = run_training(folder, TEXT, None, SHORT, PARTS, quiet=True, floor=0.5, provenance=provenance({}).as_dict())
    return folder, result


def test_a_short_run_learns_more_than_how_often_each_letter_comes():
    stories = datasets.load("stories")
    counts = Counter(stories.train)
    unigram = -sum(n / counts.total() * math.log(n / counts.total()) for n in counts.values())
    tiny = PRESETS["tiny"]
    preset = replace(tiny, training=replace(tiny.training, steps=120, eval_every=120))
    result = train_model(stories.train, stories.validation, preset, PARTS)
    assert [step for step, _ in result.validation] == [0, 120]
    assert result.validation[0][1] == pytest.approx(math.log(result.tokenizer.vocab_size), rel=0.05)
    assert result.validation[-1][1] < unigram - 0.5
    assert len(result.losses) == 120 and result.tokens_per_second > 0


def test_training_twice_gives_the_same_to_the_bit_and_another_seed_something_else():
    other = replace(SHORT, training=replace(SHORT.training, seed=1))
    first, again, third = (train_model(TEXT, None, preset, PARTS) for preset in (SHORT, SHORT, other))
    assert (first.losses, first.validation) == (again.losses, again.validation)
    assert first.losses != third.losses


def test_training_does_not_hang_on_the_callers_random_state():
    torch.manual_seed(1)
    first = train_model(TEXT, None, SHORT, PARTS).losses
    torch.manual_seed(2)
    assert train_model(TEXT, None, SHORT, PARTS).losses == first


def test_a_fork_can_train():
    """The grader forks a process that has torch loaded, with one thread, and trains in the child."""
    code = (
        "import os, torch; torch.set_num_threads(1)\n"
        "from autograder.minigpt.library import library_parts\n"
        "from autograder.minigpt.train import PRESETS, TrainConfig, Preset, train_model\n"
        "preset = Preset({'context_length': 8, 'd_model': 8}, TrainConfig(steps=2, warmup_steps=0))\n"
        "run = lambda: train_model('a fox met Ann. ' * 40, None, preset, library_parts()).losses\n"
        "here, (read, write) = run(), os.pipe()\n"
        "if os.fork() == 0: os.write(write, repr(run()).encode()); os._exit(0)\n"
        "os.close(write); there = os.read(read, 1000).decode()\n"
        "raise SystemExit(None if there == repr(here) else (here, there))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1]).returncode == 0


def test_a_runs_folder_is_complete(finished):
    folder, result = finished
    assert sorted(entry.name for entry in folder.iterdir()) == ["checkpoint.pt", "loss.csv", "loss.png", "run.json"]
    assert [int(row["step"]) for row in rows(folder)] == list(range(13))
    assert [float(row["train_loss"]) for row in rows(folder)[1:]] == result.losses
    taken = [(int(row["step"]), float(row["validation_loss"])) for row in rows(folder) if row["validation_loss"]]
    assert taken == result.validation and [step for step, _ in taken] == [0, 5, 10, 12]
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    description = json.loads((folder / "run.json").read_text())
    assert description["config"]["vocab_size"] == len(set(TEXT))
    assert "attention" in description["provenance"]["library"]
    assert train_model(TEXT, None, SHORT, PARTS).losses == result.losses


@pytest.mark.parametrize(("save_every", "stop_at"), [(4, 3), (4, 6), (5, 9), (1, 11)])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(tmp_path, finished, save_every, stop_at):
    folder, whole = finished
    options = {"quiet": True, "save_every": save_every}
    with pytest.raises(Interrupted):
        run_training(tmp_path, TEXT, None, SHORT, PARTS, on_step=interrupt_at(stop_at), **options)
    resumed = run_training(tmp_path, TEXT, None, SHORT, PARTS, resume=True, **options)
    assert (resumed.losses, resumed.validation) == (whole.losses, whole.validation)
    assert untimed(tmp_path) == untimed(folder)
    for name, weight in resumed.model.state_dict().items():
        assert torch.equal(weight, whole.model.state_dict()[name]), name


def test_resuming_a_finished_run_changes_nothing(finished):
    folder, whole = finished
    again = run_training(folder, TEXT, None, SHORT, PARTS, quiet=True, resume=True)
    assert (again.losses, again.validation) == (whole.losses, whole.validation)


def test_what_does_not_fit_is_said(tmp_path, finished):
    folder, _ = finished

    def run(out, text=TEXT, preset=SHORT, **options):
        run_training(out, text, None, preset, PARTS, quiet=True, **options)

    with pytest.raises(FileExistsError, match="resume"):
        run(folder)
    with pytest.raises(ValueError, match="vocabulary"):
        run(folder, TEXT + "?", resume=True)
    with pytest.raises(ValueError, match="another text"):
        run(folder, TEXT + "fox", resume=True)
    with pytest.raises(ValueError, match="steps=12"):
        run(folder, preset=replace(SHORT, training=replace(SHORT.training, steps=13)), resume=True)
    with pytest.raises(FileNotFoundError, match="no run"):
        run(tmp_path / "none", resume=True)
    with pytest.raises(ValueError, match="training text has .* tokens"):
        run(tmp_path / "short", "a fox")
    with pytest.raises(ValueError, match="validation text has 4 tokens"):
        train_model(TEXT, "fox ", SHORT, PARTS)
    with pytest.raises(Interrupted):
        run(tmp_path / "early", on_step=interrupt_at(0))
    run(tmp_path / "early")  # no checkpoint yet: nothing is lost by beginning again


def test_a_damaged_run_is_said(tmp_path):
    run_training(tmp_path, TEXT, None, SHORT, PARTS, quiet=True)
    for name in ("loss.csv", "run.json", "checkpoint.pt"):
        good = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(good[: len(good) // 2])
        with pytest.raises(ValueError, match=name):
            run_training(tmp_path, TEXT, None, SHORT, PARTS, quiet=True, resume=True)
        (tmp_path / name).write_bytes(good)


def test_a_run_can_be_sampled_from(finished):
    folder, result = finished
    state = torch.get_rng_state()
    model, tokenizer, config = load_run(folder, PARTS)
    assert torch.equal(torch.get_rng_state(), state)
    assert config == result.config
    for name, weight in result.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)
    write = {"context_length": config.context_length, "max_new_tokens": 40, "temperature": 0.8}
    text = generate_text(model, tokenizer, "Bo", PARTS, seed=3, **write)
    assert text.startswith("Bo") and len(text) == 42
    assert text == generate_text(model, tokenizer, "Bo", PARTS, seed=3, use_cache=False, **write)
    perplexity = text_perplexity(model, tokenizer, TEXT[:300], PARTS, context_length=config.context_length)
    assert 1 < perplexity < config.vocab_size
    with pytest.raises(ValueError, match="'ß'"):
        generate_text(model, tokenizer, "ß", PARTS, **write)
    with pytest.raises(ValueError, match="prompt"):
        generate_text(model, tokenizer, "", PARTS, **write)
    with pytest.raises(FileNotFoundError, match="no run"):
        load_run(folder.parent, PARTS)


def test_byte_pairs_train_and_sample_too(tmp_path):
    preset = replace(SHORT, training=replace(SHORT.training, tokenizer="bpe"))
    run_training(tmp_path, TEXT, TEXT[:200], preset, PARTS, quiet=True)
    model, tokenizer, config = load_run(tmp_path, PARTS)
    assert config.vocab_size == tokenizer.vocab_size == 512
    assert generate_text(model, tokenizer, "Bo ß", PARTS, context_length=16, seed=1).startswith("Bo ß")


def test_the_progress_bar_is_drawn_unless_quiet(tmp_path, capsys):
    run_training(tmp_path / "quiet", TEXT, None, SHORT, PARTS, quiet=True)
    assert capsys.readouterr().out == ""
    run_training(tmp_path / "loud", TEXT, None, SHORT, PARTS)
    assert "12/12" in capsys.readouterr().out


# --- what ends a run, and what it leaves ---


def last_row(folder):
    return int(rows(folder)[-1]["step"])


def poison(at, value):
    """The library's loop, in which step `at` meets a weight that is no number."""

    def train_step(model, *arguments, **options):
        train_step.calls += 1
        if train_step.calls == at:
            with torch.no_grad():
                next(model.parameters())[:] = value
        return PARTS.train_step(model, *arguments, **options)

    train_step.calls = 0
    return replace(PARTS, train=partial(PARTS.train, step_function=train_step))


@pytest.mark.parametrize("max_norm", [0.0, 1.0])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, max_norm, value):
    preset = replace(SHORT, training=replace(SHORT.training, max_norm=max_norm))
    with pytest.raises(
        FloatingPointError, match=r"of step 8 is nan.* The last good checkpoint, of 6 steps, is still in"
    ):
        run_training(tmp_path, TEXT, None, preset, poison(8, value), save_every=3, quiet=True)
    assert last_row(tmp_path) == 6
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 6
    resumed = run_training(tmp_path, TEXT, None, preset, PARTS, resume=True, quiet=True)
    assert resumed.losses == train_model(TEXT, None, preset, PARTS).losses


def test_weights_that_an_update_broke_are_never_saved(tmp_path):
    """The loss of a step is taken before its update: a step whose loss is fine may leave weights that are not."""

    class Overshoots(torch.optim.SGD):
        steps = 0

        def step(self, closure=None):
            super().step(closure)
            self.steps += 1
            if self.steps == 8:
                self.param_groups[0]["params"][-1].data[0] = math.inf

    parts = replace(PARTS, AdamW=lambda params, lr, **options: Overshoots(params, lr=lr))
    with pytest.raises(FloatingPointError, match=r"after 8 steps .* not finite.* of 4 steps"):
        run_training(tmp_path, TEXT, None, SHORT, parts, save_every=4, quiet=True)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 4


def test_an_error_in_the_loop_comes_through_as_it_is(tmp_path):
    def train_step(*arguments, **options):
        raise RuntimeError("shapes do not match")

    parts = replace(PARTS, train=partial(PARTS.train, step_function=train_step))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run_training(tmp_path, TEXT, None, SHORT, parts, quiet=True)


def test_a_checkpoint_of_another_vocabulary_is_said(tmp_path, finished):
    folder, _ = finished
    run_training(tmp_path, TEXT + "ß", None, SHORT, PARTS, quiet=True)
    (tmp_path / "checkpoint.pt").write_bytes((folder / "checkpoint.pt").read_bytes())
    vocabulary = f"vocabulary of {len(set(TEXT)) + 1} tokens"
    with pytest.raises(ValueError, match=rf"checkpoint\.pt .* not that of run\.json.*{vocabulary}"):
        run_training(tmp_path, TEXT + "ß", None, SHORT, PARTS, resume=True, quiet=True)


# --- real processes, in which a run meets what a mock cannot show ---

PROGRAM = """
import os, resource, signal, sys
from dataclasses import replace
import torch
torch.set_num_threads(1)
from test_chassis_run import PARTS, SHORT, TEXT
from autograder.minigpt.run import run_training

def run(folder, preset=SHORT, **options):
    return run_training(folder, TEXT, None, preset, PARTS, quiet=True, **options)
"""


def python(program, *arguments):
    """A new interpreter that trains; its modules are those of this file."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[1])))},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_is_said_and_the_last_good_checkpoint_stays(tmp_path, finished):
    """No file may grow beyond a kilobyte, from step 7 on: the next checkpoint cannot be written to its end."""
    program = (
        "def fill_up(step, loss, lr):\n"
        "    if step == 6: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))\n"
        "try: run(sys.argv[1], save_every=3, on_step=fill_up)\n"
        "except OSError as error: sys.exit(str(error))\n"
    )
    said = python(program, tmp_path).stderr
    assert "the state after 9 steps could not be saved" in said, said
    assert "The last good checkpoint, of 6 steps, is still in" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "loss.csv", "run.json"]
    resumed = run_training(tmp_path, TEXT, None, SHORT, PARTS, resume=True, quiet=True)
    assert resumed.losses == finished[1].losses


def test_ctrl_c_saves_the_step_that_it_meets(tmp_path, finished):
    program = (
        "def press(step, loss, lr):\n"
        "    if step == 4: os.kill(os.getpid(), signal.SIGINT)\n"
        "try: run(sys.argv[1], on_step=press)\n"
        "except KeyboardInterrupt as stopped: sys.exit(str(stopped))\n"
    )
    assert "stopped after step 5, which is saved: go on with --resume" in python(program, tmp_path).stderr
    assert last_row(tmp_path) == 5
    resumed = run_training(tmp_path, TEXT, None, SHORT, PARTS, resume=True, quiet=True)
    assert resumed.losses == finished[1].losses


def test_killed_anywhere_and_resumed_it_ends_as_if_nothing_had_been(tmp_path):
    """SIGKILL from outside, again and again on the way: in a step, in an evaluation, in the writing of a checkpoint."""
    program = (
        "import random\n"
        "print('seed', seed := int(sys.argv[2]))\n"
        "draw, kills = random.Random(seed), []\n"
        "long = replace(SHORT, training=replace(SHORT.training, steps=60))\n"
        "options = {'preset': long, 'save_every': 2}\n"
        "run(sys.argv[1] + '/whole', **options)\n"
        "finished = False\n"
        "while not finished:\n"
        "    after, (read, write) = draw.randrange(1, 14), os.pipe()\n"
        "    if (child := os.fork()) == 0:\n"
        "        os.close(read)\n"
        "        resume = os.path.exists(sys.argv[1] + '/killed/run.json')\n"
        "        run(sys.argv[1] + '/killed', resume=resume, on_step=lambda *step: os.write(write, b'.'), **options)\n"
        "        os._exit(0)\n"
        "    os.close(write)\n"
        "    if len(kills) < 8:\n"
        "        for _ in range(after): os.read(read, 1)\n"
        "        os.kill(child, signal.SIGKILL)\n"
        "        kills.append(after)\n"
        "    else:\n"
        "        while os.read(read, 1000): pass\n"
        "    os.close(read)\n"
        "    finished = os.waitpid(child, 0)[1] == 0\n"
        "print('killed after', kills)\n"
    )
    seed = random.SystemRandom().randrange(10**6)
    result = python(program, tmp_path, seed)
    assert result.returncode == 0 and "killed after" in result.stdout, (result.stdout, result.stderr)
    assert untimed(tmp_path / "killed") == untimed(tmp_path / "whole"), result.stdout
    names = [sorted(path.name for path in (tmp_path / run).iterdir()) for run in ("killed", "whole")]
    assert names[0] == names[1], result.stdout
    killed, whole = (torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("killed", "whole"))
    assert killed["step"] == whole["step"] == 60
    for name, weight in whole["model"].items():
        assert torch.equal(killed["model"][name], weight), (name, result.stdout)


# --- what is seen ---


def test_the_gradient_norm_is_that_before_clipping_whoever_wrote_the_loop(tmp_path):
    """As the clipping itself says it, of the library's loop and of one that a student might have written."""
    own = run_path(str(Path(__file__).parents[1] / "solutions/06_training/training.py"))
    told = []

    def clip(parameters, max_norm):
        told.append(PARTS.clip_grad_norm(parameters, max_norm).item())

    own["train_step"].__globals__["clip_grad_norm"] = clip
    library_loop = partial(PARTS.train, step_function=partial(PARTS.train_step, clip=clip))
    preset = replace(SHORT, training=replace(SHORT.training, max_norm=0.1))
    for name, train in (("library", library_loop), ("own", own["train"])):
        told.clear()
        run_training(tmp_path / name, TEXT, None, preset, replace(PARTS, train=train), quiet=True)
        assert [float(row["gradient_norm"]) for row in rows(tmp_path / name)[1:]] == pytest.approx(told, rel=1e-5)
        assert min(told) > 0.1 and len(told) == 12


def test_the_speed_is_that_of_the_steps_alone(finished):
    """An evaluation between two steps is none of either's time: the steps' seconds are fewer than the whole's."""
    folder, result = finished
    tokens = 4 * 2 * 16
    seconds = [tokens / float(row["tokens_per_second"]) for row in rows(folder)[1:]]
    assert 0 < sum(seconds) < result.seconds


@pytest.mark.parametrize("name", [*(name for name in COLUMNS if name != "step"), "floor", "max_norm"])
def test_every_number_is_in_the_picture(tmp_path, name):
    """A picture that leaves a number out looks the same when this number is another one."""
    pictures = []
    for factor in (1, 2):
        curve = Curve()
        curve.add_validation(0, 4.0)
        for step, loss in enumerate((3.0, 2.0, 2.5)):
            curve.add_step(step, loss, lr=0.1 * step, gradient_norm=loss / 3, tokens_per_second=1000.0 * loss)
        curve.add_validation(3, 2.4)
        lines = {"floor": 0.5, "max_norm": 1.0}
        if name in lines:
            lines[name] *= factor
        else:
            setattr(curve.rows[3], name, getattr(curve.rows[3], name) * factor)
        draw_curve(curve, tmp_path / "loss.png", **lines)
        pictures.append((tmp_path / "loss.png").read_bytes())
    assert pictures[0].startswith(b"\x89PNG") and pictures[0] != pictures[1]


def test_a_curve_of_an_older_version_can_be_read(tmp_path):
    path = tmp_path / "loss.csv"
    path.write_text("step,lr,train_loss,validation_loss\n0,,,4.0\n1,0.1,3.0,\n")
    curve = read_curve(path, 1)
    assert curve.train_losses == [3.0] and curve.rows[1].gradient_norm is None
    draw_curve(curve, tmp_path / "loss.png")


@pytest.mark.parametrize("stop_at", [2, 6])  # before the first checkpoint, and after it
def test_tensorboard_reads_what_the_csv_says_once_for_each_step(tmp_path, stop_at):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = {"quiet": True, "save_every": 4, "tensorboard": True}
    with pytest.raises(Interrupted):
        run_training(tmp_path, TEXT, None, SHORT, PARTS, on_step=interrupt_at(stop_at), **options)
    run_training(tmp_path, TEXT, None, SHORT, PARTS, resume=True, **options)
    found = EventAccumulator(str(tmp_path / "events"))
    found.Reload()
    assert sorted(found.Tags()["scalars"]) == sorted(TAGS.values())
    for column, tag in TAGS.items():
        written = [(int(row["step"]), float(row[column])) for row in rows(tmp_path) if row[column]]
        assert [event.step for event in found.Scalars(tag)] == [step for step, _ in written], tag
        values = [event.value for event in found.Scalars(tag)]
        assert values == pytest.approx([value for _, value in written], rel=1e-6), tag


def test_tensorboard_is_asked_for_by_name_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ValueError, match="pip install tensorboard"):
        run_training(tmp_path, TEXT, None, SHORT, PARTS, quiet=True, tensorboard=True)
    assert not list(tmp_path.iterdir())


# --- faster ---


def test_mixed_precision_trains_in_bfloat16_and_keeps_float32_weights(tmp_path, finished):
    preset = replace(SHORT, training=replace(SHORT.training, amp=True))
    with pytest.raises(Interrupted):
        run_training(tmp_path, TEXT, None, preset, PARTS, quiet=True, save_every=4, on_step=interrupt_at(6))
    result = run_training(tmp_path, TEXT, None, preset, PARTS, resume=True, quiet=True)
    assert result.losses == train_model(TEXT, None, preset, PARTS).losses
    assert result.losses != finished[1].losses
    assert result.losses == pytest.approx(finished[1].losses, rel=0.02)
    assert {weight.dtype for weight in result.model.parameters()} == {torch.float32}


def test_a_compiled_run_has_the_same_keys_and_resumes_to_the_bit(tmp_path):
    """The student's own parts are what is compiled: those of the reference solutions."""
    program = (
        "from pathlib import Path\n"
        "from autograder.in_process import load_module\n"
        "from autograder.minigpt.assemble import assemble_parts\n"
        "names = ('03_embeddings/embeddings', '04_attention/attention', '05_transformer/transformer', '06_training/training')\n"
        "own = {}\n"
        "for name in names: own |= vars(load_module(Path(sys.argv[2], 'solutions', name + '.py')))\n"
        "PARTS = assemble_parts({name: value for name, value in own.items() if callable(value)})\n"
        "class Stop(Exception): pass\n"
        "def stop(step, loss, lr):\n"
        "    if step == 4: raise Stop\n"
        "run(sys.argv[1] + '/whole', compiled=True)\n"
        "try: run(sys.argv[1] + '/resumed', compiled=True, save_every=3, on_step=stop)\n"
        "except Stop: run(sys.argv[1] + '/resumed', compiled=True, resume=True)\n"
        "run(sys.argv[1] + '/plain')\n"
    )
    result = python(program, tmp_path, Path(__file__).parents[1])
    assert (result.returncode, result.stdout) == (0, ""), (result.stdout, result.stderr)
    assert untimed(tmp_path / "resumed") == untimed(tmp_path / "whole")
    compiled, plain = (torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("whole", "plain"))
    assert list(compiled["model"]) == list(plain["model"])
    last = [float(rows(tmp_path / run)[-1]["validation_loss"]) for run in ("whole", "plain")]
    assert last[0] == pytest.approx(last[1], rel=0.02) and last[0] != last[1]


def test_without_a_compiler_it_says_so_and_trains_as_it_is(tmp_path, finished, monkeypatch):
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    result = python("run(sys.argv[1], compiled=True)", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert "could not be compiled, so it trains as it is" in result.stdout and result.stdout.count("\n") == 1
    assert untimed(tmp_path / "run") == untimed(finished[0])


# --- settings ---


@pytest.mark.parametrize(
    ("bad", "named"),
    [({"batch_size": 0}, "batch_size"), ({"warmup_steps": 13}, "warmup"), ({"tokenizer": "word"}, "tokenizer"),
     ({"seed": -1}, "seed"), ({"eval_every": 0}, "eval_every"), ({"max_norm": -1.0}, "max_norm"),
     ({"max_lr": math.nan}, "max_lr")],
)  # fmt: skip
def test_bad_settings_are_named(bad, named):
    with pytest.raises(ValueError, match=named):
        replace(SHORT.training, **bad)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_a_config(name):
    assert PRESETS[name].config(65).vocab_size == 65
