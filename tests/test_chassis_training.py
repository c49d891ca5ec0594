"""The library's loss, optimizer, schedule, clipping, loop and checkpoints, at the edges that the conventions name."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autograder.minigpt import library as lib
from autograder.minigpt.config import GPTConfig
from autograder.minigpt.model import build_model


@pytest.fixture(autouse=True, params=[0], ids="seed{}".format)
def seed(request):
    torch.manual_seed(request.param)


def make(**options):
    sizes = {"vocab_size": 11, "context_length": 8, "d_model": 16, "n_layers": 1, "n_heads": 2}
    model = build_model(GPTConfig(**{**sizes, **options}), lib.library_parts())
    return model, lib.AdamW(model.parameters(), lr=1e-2)


def batch(rows=4, time=8):
    x = torch.randint(11, (rows, time))
    return x, x.roll(-1, dims=1)


def state(model, optimizer=None):
    """Everything that a failed load must leave alone, as flat values that can be compared."""
    tensors = list(model.state_dict().values()) + [torch.get_rng_state()]
    if optimizer is not None:
        for entry in optimizer.state_dict()["state"].values():
            tensors += entry.values()
    return [tensor.clone() for tensor in tensors]


def same(before, after):
    return len(before) == len(after) and all(map(torch.equal, before, after))


# --- loss, schedule, clipping ---


def test_cross_entropy_is_the_mean_over_what_is_not_ignored():
    logits, targets = torch.randn(2, 3, 5), torch.tensor([[1, -100, 2], [0, 4, -100]])
    kept = [(0, 0, 1), (0, 2, 2), (1, 0, 0), (1, 1, 4)]
    expected = -sum(logits[b, t].log_softmax(-1)[y].item() for b, t, y in kept) / 4
    assert lib.cross_entropy(logits, targets).item() == pytest.approx(expected, rel=1e-5)
    assert lib.cross_entropy(logits[0, 0], torch.tensor(1)).shape == ()
    other = lib.cross_entropy(logits, targets.where(targets != -100, 3), ignore_index=3)
    assert other.item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_computes_in_float32_and_knows_its_vocabulary():
    logits = torch.randn(4, 5).half()
    assert lib.cross_entropy(logits, torch.arange(4)).dtype == torch.float32
    assert lib.cross_entropy(logits.double(), torch.arange(4)).dtype == torch.float64
    for bad in (5, -1):
        with pytest.raises(IndexError):
            lib.cross_entropy(logits, torch.tensor([0, 1, 2, bad]))


def test_the_schedule_at_its_corners():
    def lr(step, warmup=10, total=110):
        return lib.cosine_schedule(step, max_lr=1.0, min_lr=0.1, warmup_steps=warmup, total_steps=total)

    assert [lr(0), lr(5), lr(10), lr(110), lr(500)] == [0.0, 0.5, 1.0, 0.1, 0.1]
    for step in (35, 60, 99):
        expected = 0.1 + 0.9 * (1 + math.cos(math.pi * (step - 10) / 100)) / 2
        assert lr(step) == pytest.approx(expected)
    assert lr(0, warmup=0) == 1.0
    assert [lr(109, warmup=110), lr(110, warmup=110)] == [pytest.approx(109 / 110), 0.1]
    bad = {"step": (-1, 1, 2), "warmup_steps must not": (0, 3, 2), "warmup_steps": (0, -1, 2), "total": (0, 0, 0)}
    for named, arguments in bad.items():
        with pytest.raises(ValueError, match=named):
            lr(*arguments)


def test_clipping_returns_the_norm_from_before():
    weights = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(3))]
    weights[0].grad, weights[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    norm = lib.clip_grad_norm((w for w in weights), 10.0)
    assert norm.item() == 5.0 and norm.dtype == torch.float32 and norm.shape == ()
    assert weights[1].grad.item() == 4.0
    lib.clip_grad_norm(weights, 1.0)
    assert weights[1].grad.item() == pytest.approx(4 / (5 + 1e-6))
    assert weights[2].grad is None
    assert lib.clip_grad_norm([weights[2]], 1.0).item() == 0
    assert lib.clip_grad_norm([], 1.0).item() == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite_changes_nothing(bad):
    weights = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))]
    weights[0].grad, weights[1].grad = torch.tensor([bad, 1.0]), torch.tensor([4.0])
    with pytest.raises(RuntimeError):
        lib.clip_grad_norm(weights, 1.0)
    assert weights[0].grad[1].item() == 1.0 and weights[1].grad.item() == 4.0


def test_half_precision_gradients_do_not_overflow_the_norm():
    weight = nn.Parameter(torch.zeros(100).half())
    weight.grad = torch.full((100,), 3000.0).half()
    assert lib.clip_grad_norm([weight], 1.0).item() == pytest.approx(30000)


# --- one step, evaluation ---


def test_accumulated_batches_make_the_step_of_one_big_batch():
    x, y = batch(rows=6)
    y[0, :5] = -100  # so that the three batches do not weigh the same
    y[2:4] = -100  # and one of them weighs nothing
    big, _ = make()
    small, _ = make()
    small.load_state_dict(big.state_dict())
    big_optimizer, small_optimizer = (torch.optim.SGD(model.parameters(), lr=0.5) for model in (big, small))
    for _ in range(3):
        expected = lib.train_step(big, big_optimizer, [(x, y)], max_norm=0.5)
        actual = lib.train_step(small, small_optimizer, list(zip(x.split(2), y.split(2), strict=True)), max_norm=0.5)
        assert actual == pytest.approx(expected, rel=1e-5)
    for name, parameter in small.named_parameters():
        torch.testing.assert_close(parameter, big.get_parameter(name), rtol=1e-4, atol=1e-6)


def test_old_gradients_and_modes_do_not_matter():
    model, optimizer = make(dropout=0.1)
    model.eval()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e6)
    loss = lib.train_step(model, optimizer, [batch()])
    assert model.training and isinstance(loss, float)
    assert max(p.grad.abs().max().item() for p in model.parameters()) < 1e3


def test_a_step_clips_what_the_optimizer_holds_and_stops_before_it_when_not_finite():
    model, _ = make()
    optimizer = torch.optim.SGD([model.lm_head.weight], lr=1.0)
    before = model.lm_head.weight.detach().clone()
    lib.train_step(model, optimizer, [batch()], max_norm=0.01)
    assert (model.lm_head.weight - before).norm().item() == pytest.approx(0.01, rel=1e-3)
    with torch.no_grad():
        model.final_norm.weight.fill_(math.nan)
    data = batch()
    before = state(model)
    with pytest.raises(RuntimeError):
        lib.train_step(model, optimizer, [data], max_norm=1.0)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(state(model), before, strict=True))


def test_bfloat16_steps_learn_too():
    model, optimizer = make()
    data = batch()
    losses = [lib.train_step(model, optimizer, [data], amp_dtype=torch.bfloat16) for _ in range(30)]
    assert losses[-1] < losses[0] - 0.5
    assert model.lm_head.weight.dtype == torch.float32


def test_bad_arguments_of_a_step_are_named():
    model, optimizer = make()
    with pytest.raises(ValueError, match="batches"):
        lib.train_step(model, optimizer, [])
    with pytest.raises(ValueError, match="amp_dtype"):
        lib.train_step(model, optimizer, [batch()], amp_dtype=torch.int8)


def test_estimating_the_loss_leaves_no_trace():
    model, optimizer = make(dropout=0.5)
    model.blocks[0].eval()
    modes = [module.training for module in model.modules()]
    x, y = batch(rows=5)
    y[0, :6] = -100
    before = state(model)

    def batches():
        torch.rand(3)  # a source may draw
        yield x[:1], y[:1]
        yield x[1:], y[1:]

    loss = lib.estimate_loss(model, batches())
    assert [module.training for module in model.modules()] == modes
    assert same(state(model), before)
    assert all(p.grad is None for p in model.parameters())
    model.eval()
    assert loss == pytest.approx(F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item(), rel=1e-5)
    with pytest.raises(ValueError, match="batches"):
        lib.estimate_loss(model, [])


# --- the loop ---


def test_the_loop_calls_in_order_and_counts_from_start():
    model, optimizer = make()
    calls, asked = [], itertools.count()

    def next_batch():
        next(asked)
        return batch()

    def on_step(step, loss, lr):
        updates = int(optimizer.state[model.lm_head.weight]["step"])
        calls.append((step, loss, lr, optimizer.param_groups[0]["lr"], updates))

    losses = lib.train(
        model, optimizer, next_batch, steps=3, schedule=lambda s: s / 1000, accumulate=2, start=5, on_step=on_step
    )
    assert next(asked) == 6
    assert calls == [(5 + i, losses[i], (5 + i) / 1000, (5 + i) / 1000, i + 1) for i in range(3)]
    assert lib.train(model, optimizer, next_batch, steps=0, schedule=lambda s: 0.1) == []
    for bad in ({"steps": -1}, {"steps": 1, "accumulate": 0}, {"steps": 1, "start": -1}):
        with pytest.raises(ValueError, match="steps|accumulate|start"):
            lib.train(model, optimizer, next_batch, schedule=lambda s: 0.1, **bad)


# --- checkpoints ---


def trained(steps=2, **options):
    model, optimizer = make(**options)
    for _ in range(steps):
        lib.train_step(model, optimizer, [batch()])
    return model, optimizer


def test_a_checkpoint_brings_everything_back(tmp_path):
    model, optimizer = trained(dropout=0.3)
    path = tmp_path / "new" / "folder" / "c.pt"
    lib.save_checkpoint(str(path), model, optimizer, 7)
    assert [entry.name for entry in path.parent.iterdir()] == ["c.pt"]
    data = batch()
    torch.manual_seed(99)
    lib.load_checkpoint(path, model, optimizer)
    expected = [lib.train_step(model, optimizer, [data]) for _ in range(3)]
    torch.manual_seed(5)
    fresh, fresh_optimizer = make(dropout=0.3)
    assert lib.load_checkpoint(path, fresh, fresh_optimizer) == 7
    assert [lib.train_step(fresh, fresh_optimizer, [data]) for _ in range(3)] == expected


def test_a_checkpoint_without_an_optimizer(tmp_path):
    model, optimizer = trained()
    path = tmp_path / "c.pt"
    lib.save_checkpoint(path, model, None, 0)
    assert lib.load_checkpoint(path, make()[0]) == 0
    before = state(model, optimizer)
    with pytest.raises(ValueError, match=r"c\.pt.*no optimizer"):
        lib.load_checkpoint(path, model, optimizer)
    assert same(state(model, optimizer), before)
    with pytest.raises(ValueError, match="step"):
        lib.save_checkpoint(path, model, None, -1)


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path):
    model, optimizer = trained()
    path = tmp_path / "c.pt"
    lib.save_checkpoint(path, model, optimizer, 3)
    old = path.read_bytes()
    optimizer.param_groups[0]["lr"] = (n for n in ())  # cannot be pickled
    with pytest.raises(TypeError):
        lib.save_checkpoint(path, model, optimizer, 4)
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.pt"]


def damaged_files(good, content):
    """(name, bytes or an object to save)"""
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    yield from [("empty", b""), ("text", b"hello"), ("truncated", good[: len(good) // 2]), ("tail", good[:-30])]
    yield "one bit", bytes(flipped)
    yield "a list", [1, 2]
    yield "a bare state", content["model"]
    yield "steps", {**content, "step": "7"}
    yield "fewer keys", {**content, "model": dict(list(content["model"].items())[:-1])}
    last = list(content["model"])[-1]
    yield "another shape", {**content, "model": {**content["model"], last: torch.zeros(3, 3)}}
    yield "optimizer", {**content, "optimizer": {"state": {}, "param_groups": []}}
    broken = {**content["optimizer"]["state"], 0: {**content["optimizer"]["state"][0], "exp_avg": torch.zeros(2)}}
    yield "moments", {**content, "optimizer": {**content["optimizer"], "state": broken}}
    yield "random state", {**content, "random_state": torch.zeros(3, dtype=torch.uint8)}


def test_damaged_and_foreign_checkpoints_are_named_and_change_nothing(tmp_path):
    path = tmp_path / "c.pt"
    other_model, other_optimizer = trained()
    lib.save_checkpoint(path, other_model, other_optimizer, 7)
    good, content = path.read_bytes(), torch.load(path, weights_only=True)
    model, optimizer = trained(steps=3)
    before = state(model, optimizer)
    for name, bad in damaged_files(good, content):
        if isinstance(bad, bytes):
            path.write_bytes(bad)
        else:
            torch.save(bad, path)
        with pytest.raises(ValueError, match=r"c\.pt"):
            lib.load_checkpoint(path, model, optimizer)
            pytest.fail(f"{name}: loaded")
        assert same(state(model, optimizer), before), name
    path.write_bytes(good)
    assert lib.load_checkpoint(path, model, optimizer) == 7


def test_a_checkpoint_runs_no_code(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("code from a checkpoint ran",))

    path = tmp_path / "c.pt"
    model, _ = make()
    lib.save_checkpoint(path, model, None, 1)
    torch.save({**torch.load(path, weights_only=True), "step": Bomb()}, path)
    with pytest.raises(ValueError, match=r"c\.pt"):
        lib.load_checkpoint(path, model)


def test_a_missing_checkpoint_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        lib.load_checkpoint(tmp_path / "none.pt", make()[0])
