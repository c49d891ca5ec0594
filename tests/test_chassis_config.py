"""The config checks itself; parts, slots and their assembly; what the chassis imports."""

import dataclasses
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from autograder.minigpt import library, parts
from autograder.minigpt.assemble import assemble_parts, provenance
from autograder.minigpt.config import GPTConfig
from autograder.minigpt.model import build_model

CHASSIS = Path(library.__file__).parents[1]


def test_only_the_vocabulary_has_no_default_and_d_ff_follows_d_model():
    config = GPTConfig(vocab_size=65, d_model=48)
    assert (config.context_length, config.d_ff, config.head_dim, config.positions) == (128, 192, 12, "learned")
    assert GPTConfig(vocab_size=65, d_ff=10).d_ff == 10


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"vocab_size": 0}, "vocab_size"),
        ({"context_length": 0}, "context_length"),
        ({"n_layers": -1}, "n_layers"),
        ({"n_heads": 2.0}, "n_heads"),
        ({"d_model": True}, "d_model"),
        ({"d_model": "64"}, "d_model"),
        ({"d_ff": 0}, "d_ff"),
        ({"d_model": 64, "n_heads": 5}, "n_heads"),
        ({"d_model": 63, "n_heads": 1, "positions": "sinusoidal"}, "even"),
        ({"d_model": 12, "n_heads": 4, "positions": "rope"}, "even"),
        ({"positions": "alibi"}, "positions"),
        ({"norm": "batch"}, "norm"),
        ({"norm_position": "both"}, "norm_position"),
        ({"ffn": "relu"}, "ffn"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"rope_theta": 0}, "rope_theta"),
        ({"bias": 1}, "bias"),
        ({"tie_weights": None}, "tie_weights"),
    ],
)
def test_a_bad_field_is_named(bad, named):
    with pytest.raises(ValueError, match=named):
        GPTConfig(**{"vocab_size": 65, **bad})


def test_odd_widths_are_fine_where_nothing_is_paired():
    GPTConfig(vocab_size=65, d_model=63, n_heads=1)
    GPTConfig(vocab_size=65, d_model=12, n_heads=4, positions="sinusoidal")


def test_config_and_protocols_need_no_torch():
    code = "import sys, autograder.minigpt.config, autograder.minigpt.protocols; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CHASSIS.parents[1]).returncode == 0


def test_the_chassis_works_when_copied_out_and_imports_nothing_of_the_grader(tmp_path):
    for path in CHASSIS.rglob("*"):
        if path.suffix in (".py", ".tiktoken"):
            target = tmp_path / "minigpt" / path.relative_to(CHASSIS)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    code = (
        "import sys, minigpt.run, minigpt.sample, minigpt.assemble\n"
        "minigpt.assemble.library.stories_vocabulary()\n"
        "used = {name.partition('.')[0] for name in sys.modules}\n"
        "sys.exit(sorted(used & {'autograder', 'datasets', 'typer', 'rich', 'matplotlib', 'msgspec', 'pytest'}) or 0)"
    )
    result = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert result.returncode == 0


@pytest.mark.parametrize("path", sorted(CHASSIS.rglob("*.py")), ids=lambda path: path.stem)
def test_the_examples_in_docstrings_are_true(path):
    name = ".".join(("autograder.minigpt", *path.relative_to(CHASSIS).with_suffix("").parts)).removesuffix(".__init__")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_symbol_of_a_slot_has_a_field_and_a_library_part():
    in_slots = [symbol for symbols in parts.SLOTS.values() for symbol in symbols]
    assert sorted(in_slots) == sorted(field.name for field in dataclasses.fields(parts.Parts))
    for symbol in in_slots:
        assert getattr(library.library_parts(), symbol) is getattr(library, symbol)
        assert symbol in parts.SLOTS[parts.slot_of(symbol)]
    assert parts.slot_of("softmax") is None


def test_a_slot_is_replaced_as_a_whole_or_not_at_all():
    class LayerNorm(torch.nn.LayerNorm):
        pass

    class RMSNorm(torch.nn.RMSNorm):
        pass

    half = {"LayerNorm": LayerNorm, "softmax": F.softmax}
    assert assemble_parts(half) == library.library_parts()
    assert provenance(half).incomplete == {"norm": ("RMSNorm",)}
    whole = {**half, "RMSNorm": RMSNorm}
    assert provenance(whole).own == ("norm",)
    assert set(provenance(whole).own + provenance(whole).library) == set(parts.SLOTS)
    model = build_model(GPTConfig(vocab_size=5, d_model=8, n_layers=1, norm="rmsnorm"), assemble_parts(whole))
    assert isinstance(model.final_norm, RMSNorm)
    assert isinstance(model.blocks[0].norm1, RMSNorm)


def test_a_part_that_cannot_be_called_is_refused():
    with pytest.raises(ValueError, match="cross_entropy"):
        assemble_parts({"cross_entropy": 3})


def test_the_librarys_loop_and_generator_use_a_students_loss_clip_and_sampler():
    calls = []

    def cross_entropy(logits, targets, ignore_index=-100):
        calls.append("loss")
        return library.cross_entropy(logits, targets, ignore_index)

    def clip_grad_norm(parameters, max_norm):
        calls.append("clip")
        return library.clip_grad_norm(parameters, max_norm)

    def sample_token(logits, *, generator=None, **options):
        calls.append("sample")
        return logits.argmax(-1)

    own = {"cross_entropy": cross_entropy, "clip_grad_norm": clip_grad_norm, "sample_token": sample_token}
    mixed = assemble_parts(own)
    model = build_model(GPTConfig(vocab_size=5, context_length=4, d_model=8, n_layers=1), mixed)
    optimizer = mixed.AdamW(model.parameters(), lr=1e-3)
    x = torch.zeros(2, 3, dtype=torch.int64)
    mixed.train(model, optimizer, lambda: (x, x), steps=1, schedule=lambda step: 1e-3)
    assert calls == ["loss", "clip"]
    mixed.estimate_loss(model, [(x, x)])
    mixed.generate(model, x, 1, context_length=4)
    assert calls == ["loss", "clip", "loss", "sample"]
