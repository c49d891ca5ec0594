"""Visible tests of assignment 06. Run them with `pytest assignments/06_training`.

Each test says in its first line what should hold. Inputs are drawn anew for every seed: try `--minigpt-seed 1`.
"""

import math

import pytest
import torch
import torch.nn.functional as F

from autograder.probes.training import TinyModel
from autograder.testing import close, points, require, task

VOCAB, WIDTH = 7, 5


def draw_weights(rng):
    """Weights for a `TinyModel`, large enough that its losses differ."""
    return {
        "embedding.weight": rng.normal(VOCAB, WIDTH),
        "head.weight": rng.normal(VOCAB, WIDTH),
        "head.bias": rng.normal(VOCAB),
    }


def make_model(student, weights, dropout=0.0):
    """A `TinyModel` with these weights, on the student's side."""
    model = student.library.TinyModel(VOCAB, WIDTH, dropout)
    student.library.set_weights(model, weights)
    return model


def draw_batches(rng, *shapes):
    """Batches of these shapes, (batch, time). All targets count."""
    return [(rng.ids(VOCAB, *shape), rng.ids(VOCAB, *shape)) for shape in shapes]


def uneven_batches(rng):
    """Two batches in which 10 and 3 targets count; the others are -100."""
    batches = draw_batches(rng, (2, 5), (3, 4))
    batches[1][1][:, 1:] = -100
    return batches


def loss_and_gradients(weights, batches):
    """The mean loss over all targets that count, and its gradients, with torch's own loss."""
    model = TinyModel(VOCAB, WIDTH)
    model.load_state_dict(weights)
    logits = torch.cat([model(ids).flatten(0, 1) for ids, _ in batches])
    loss = F.cross_entropy(logits, torch.cat([targets.flatten() for _, targets in batches]))
    loss.backward()
    return loss.item(), {name: parameter.grad for name, parameter in model.named_parameters()}


def one_step(weights, batches, lr, max_norm=None):
    """Loss and weights after one step of plain gradient descent."""
    loss, gradients = loss_and_gradients(weights, batches)
    norm = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm().item()
    factor = 1.0 if max_norm is None else min(1.0, max_norm / (norm + 1e-6))
    return loss, {name: value - lr * factor * gradients[name] for name, value in weights.items()}


def same_weights(actual, expected, hint=None):
    """Two dicts of tensors agree."""
    require(sorted(actual) == sorted(expected), "the parameters have other names than before")
    for name, value in expected.items():
        close(actual[name], value, hint=hint)


# --- loss ------------------------------------------------------------------------------------------------------------


@task("loss")
@points(1)
def test_loss_of_the_docstring(student):
    """The docstring's example comes out, and equal logits for 4 tokens give log 4."""
    logits = torch.tensor([[0.0, 1.0986123], [0.0, 1.0986123]])
    hint = "The loss of a position is the log of the sum of exp over its logits, minus the logit of its target."
    close(student.cross_entropy(logits[:1], torch.tensor([1])), torch.tensor(0.2876821), hint=hint)
    close(student.cross_entropy(logits, torch.tensor([1, 0])), torch.tensor(0.8369882), hint="Take the mean.")
    close(student.cross_entropy(torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.int64)), math.log(4))


@task("loss")
@points(1)
def test_loss_with_ignored_targets(student, rng):
    """The loss agrees with torch's for batches of logits, and targets of -100 count for nothing."""
    logits, targets = rng.normal(2, 5, 9, scale=2.0), rng.ids(9, 2, 5)
    close(student.cross_entropy(logits, targets), F.cross_entropy(logits.flatten(0, 1), targets.flatten()))
    targets[0, 1:4], targets[1, 0] = -100, -100
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    hint = "Leave ignored positions out of the sum, and out of the number that you divide by."
    close(student.cross_entropy(logits, targets), expected, hint=hint)


@task("loss")
@points(1)
def test_loss_of_large_logits(student, rng):
    """Logits around ten thousand, and targets that are hopeless, give no infinity and no NaN."""
    hopeless = torch.tensor([[10000.0, 0.0], [0.0, -10000.0]])
    hint = "Take the largest logit away first. Never take the log of a probability: that may be 0."
    close(student.cross_entropy(hopeless, torch.tensor([1, 1])), torch.tensor(10000.0), hint=hint)
    logits, targets = rng.normal(4, 6) + torch.tensor([[1e4], [-1e4], [3e4], [0.0]]), rng.ids(6, 4)
    close(student.cross_entropy(logits, targets), F.cross_entropy(logits, targets), rtol=1e-2, atol=1e-2, hint=hint)


@task("loss")
@points(1)
def test_loss_of_unknown_targets(student):
    """A target outside the vocabulary is an IndexError; the last token of the vocabulary and -100 are fine."""
    logits = torch.zeros(2, 5)
    for bad in (5, -1):
        with pytest.raises(IndexError):
            student.cross_entropy(logits, torch.tensor([0, bad]))
    close(student.cross_entropy(logits, torch.tensor([0, 4])), math.log(5))
    close(student.cross_entropy(logits, torch.tensor([-100, 4])), math.log(5))


# --- adamw -----------------------------------------------------------------------------------------------------------


@task("adamw")
@points(1)
def test_adamw_by_hand(student):
    """The docstring's example comes out; without decay the first step is lr, whatever the size of the gradient."""
    optimization = student.library.Optimization(student.AdamW, [torch.tensor([1.0])], lr=0.1, weight_decay=0.1)
    optimization.step([torch.tensor([0.5])])
    hint = "Decay leaves 0.99. Divided by their corrections, m is 0.5 and v is 0.25: the move is 0.1."
    close(optimization.weights()[0], torch.tensor([0.89]), hint=hint)
    for gradient in (1e-3, -50.0):
        optimization = student.library.Optimization(student.AdamW, [torch.tensor([2.0])], lr=0.1, weight_decay=0.0)
        optimization.step([torch.tensor([gradient])])
        close(optimization.weights()[0], torch.tensor([2 - math.copysign(0.1, gradient)]), hint="Correct m and v.")


@task("adamw")
@points(2)
def test_adamw_agrees_with_torch(student, rng):
    """Over 40 steps, the weights agree with those of torch's AdamW, with strong decay and an eps that shows."""
    weights = [rng.normal(3, 4), rng.normal(5)]
    settings = {"lr": 0.05, "betas": (0.8, 0.9), "eps": 0.03, "weight_decay": 0.5}
    optimization = student.library.Optimization(student.AdamW, weights, **settings)
    leaves = [torch.nn.Parameter(weight.clone()) for weight in weights]
    oracle = torch.optim.AdamW(leaves, **settings)
    hints = ["Look at the first step: decay the old weight, correct m and v, add eps after the root."]
    hints += ["The first step is right. m, v and the count of steps have to be kept in self.state."] * 39
    for hint in hints:
        gradients = [rng.normal(3, 4, scale=0.1), rng.normal(5)]
        optimization.step(gradients)
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient.clone()
        oracle.step()
        for actual, expected in zip(optimization.weights(), leaves, strict=True):
            close(actual, expected, hint=hint)


@task("adamw")
@points(1)
def test_adamw_without_a_gradient(student, rng):
    """A parameter without a gradient stays as it is, and does not count the step."""
    first, second, gradient = rng.normal(3), rng.normal(4), rng.normal(4)
    optimization = student.library.Optimization(student.AdamW, [first, second], lr=0.1, weight_decay=0.1)
    for _ in range(5):
        optimization.step([rng.normal(3), None])
    hint = "A parameter whose grad is None is not decayed either."
    close(optimization.weights()[1], second, hint=hint)
    require(not torch.allclose(optimization.weights()[0], first), "the parameter with a gradient moves")
    optimization.step([None, gradient])
    hint = "Keep the number of steps in the state of each parameter, not of the optimizer: this was its first."
    expected = 0.99 * second - 0.1 * gradient / (gradient.abs() + 1e-8)
    close(optimization.weights()[1], expected, hint=hint)


@task("adamw")
@points(1)
def test_adamw_with_bad_settings(student):
    """A negative setting, and a beta of 1 or more, are a ValueError; 0 is fine for all of them."""
    bad_settings = [{"lr": -0.1}, {"eps": -1e-8}, {"weight_decay": -0.1}, {"betas": (1.0, 0.9)}, {"betas": (0.9, -0.1)}]
    bad_settings.append({"betas": (0.9, 1.5)})
    for bad in bad_settings:
        with pytest.raises(ValueError):
            student.library.Optimization(student.AdamW, [torch.ones(2)], **bad)
    optimization = student.library.Optimization(
        student.AdamW, [torch.ones(1)], lr=0.5, betas=(0.0, 0.0), eps=0.0, weight_decay=0.0
    )
    optimization.step([torch.tensor([3.0])])
    close(optimization.weights()[0], torch.tensor([0.5]))


# --- schedule --------------------------------------------------------------------------------------------------------


@task("schedule")
@points(1)
def test_schedule_of_the_docstring(student):
    """The docstring's table comes out: up in 2 steps, down in 4, then flat."""
    expected = [0.0, 0.5, 1.0, 0.8828427, 0.6, 0.3171573, 0.2, 0.2]
    hints = ["Warmup: max_lr * step / warmup_steps."] * 3 + ["min_lr is reached at total_steps."] * 5
    for step, (lr, hint) in enumerate(zip(expected, hints, strict=True)):
        got = student.cosine_schedule(step, max_lr=1.0, min_lr=0.2, warmup_steps=2, total_steps=6)
        close(got, torch.tensor(lr, dtype=torch.float64), hint=hint)


@task("schedule")
@points(1)
def test_schedule_at_its_ends(student):
    """It stays at min_lr after the end, and it works without a warmup, and with nothing but warmup."""

    def rate(step, warmup_steps, total_steps):
        return student.cosine_schedule(step, max_lr=0.4, min_lr=0.1, warmup_steps=warmup_steps, total_steps=total_steps)

    close(rate(0, 0, 10), 0.4, hint="Without warmup, step 0 has max_lr: do not divide by 0.")
    close(rate(5, 0, 10), 0.25, hint="Half-way down, the learning rate is half-way from max_lr to min_lr.")
    close(rate(1000, 3, 10), 0.1, hint="After total_steps the cosine would go up again.")
    close(rate(9, 10, 10), 0.36)
    close(rate(10, 10, 10), 0.1, hint="With warmup_steps == total_steps, there is no way down to divide by.")


@task("schedule")
@points(1)
def test_schedule_of_impossible_steps(student):
    """Numbers of steps that make no sense are a ValueError, and the nearest that do are not."""
    for bad, good in (((-1, 2, 4), (0, 2, 4)), ((0, 5, 4), (0, 4, 4)), ((0, -1, 4), (0, 0, 4)), ((0, 0, 0), (0, 0, 1))):
        with pytest.raises(ValueError):
            student.cosine_schedule(bad[0], max_lr=1.0, min_lr=0.0, warmup_steps=bad[1], total_steps=bad[2])
        rate = student.cosine_schedule(good[0], max_lr=1.0, min_lr=0.0, warmup_steps=good[1], total_steps=good[2])
        close(rate, 0.0 if good[1] else 1.0)


# --- clip ------------------------------------------------------------------------------------------------------------


@task("clip")
@points(1)
def test_clip_of_the_docstring(student):
    """Gradients 3 and 4 of two parameters have the norm 5, and become 0.6 and 0.8."""
    weights = student.library.Parameters([torch.zeros(1)] * 2, [torch.tensor([3.0]), torch.tensor([4.0])])
    norm = weights.give_to(student.clip_grad_norm, 1.0)
    close(norm, torch.tensor(5.0), hint="Return the norm from before, of all gradients together: √(9 + 16).")
    first, second = weights.gradients()
    close(first, torch.tensor([0.6]), hint="All gradients get the same factor, max_norm / (norm + 1e-6), in place.")
    close(second, torch.tensor([0.8]))


@task("clip")
@points(1)
def test_clip_leaves_small_gradients(student, rng):
    """Gradients whose norm is below max_norm stay exactly as they are; the norm is returned all the same."""
    gradients = [rng.normal(4, 3), rng.normal(2)]
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    weights = student.library.Parameters([torch.zeros(4, 3), torch.zeros(2)], gradients)
    close(weights.give_to(student.clip_grad_norm, 1000.0), norm)
    unchanged = all(torch.equal(now, before) for now, before in zip(weights.gradients(), gradients, strict=True))
    require(unchanged, "the gradients changed", "A factor above 1 would make the gradients larger.")
    close(weights.give_to(student.clip_grad_norm, 0.5), norm)
    close(torch.cat([gradient.flatten() for gradient in weights.gradients()]).norm(), 0.5)


@task("clip")
@points(1)
def test_clip_of_what_there_is(student, rng):
    """Parameters without a gradient are passed over, the parameters may come from a generator, and nothing gives 0."""
    gradient = 10 + rng.normal(4)
    weights = student.library.Parameters([torch.zeros(2), torch.zeros(4)], [None, gradient])
    close(student.clip_grad_norm(weights.stream(), 2.0), gradient.norm())
    hint = "A generator is empty after one loop over it: make a list of the gradients first."
    close(weights.gradients()[1].norm(), 2.0, hint=hint)
    require(weights.gradients()[0] is None, "a parameter without a gradient has got one")
    close(student.library.Parameters([torch.zeros(2)]).give_to(student.clip_grad_norm, 1.0), torch.tensor(0.0))


@task("clip")
@points(1)
def test_clip_of_nan(student, rng):
    """A norm that is infinite or NaN is a RuntimeError, and changes no gradient."""
    healthy = 5 * rng.normal(3)
    for sick in (math.nan, math.inf):
        weights = student.library.Parameters([torch.zeros(3), torch.zeros(1)], [healthy, torch.tensor([sick])])
        with pytest.raises(RuntimeError):
            weights.give_to(student.clip_grad_norm, 1.0)
        require(
            torch.equal(weights.gradients()[0], healthy), "a gradient changed", "Look at the norm before you scale."
        )
    weights.set_gradients([healthy, torch.tensor([1.0])])
    close(weights.give_to(student.clip_grad_norm, 1.0), torch.cat((healthy, torch.ones(1))).norm())


# --- train_step ------------------------------------------------------------------------------------------------------


@task("train_step")
@points(1)
def test_step_with_one_batch(student, rng):
    """With one batch, a step moves the weights against the gradient of its mean loss, and returns that loss."""
    weights, batches = draw_weights(rng), draw_batches(rng, (3, 4))
    model = make_model(student, weights)
    loss = student.train_step(model, student.library.sgd(model, lr=0.5), batches)
    expected_loss, expected = one_step(weights, batches, lr=0.5)
    require(type(loss) is float, "train_step returns a float", "loss.item() is the float in a tensor.")
    close(loss, expected_loss)
    same_weights(student.library.parameter_values(model), expected, hint="Loss, backward, optimizer.step().")


@task("train_step")
@points(1)
def test_step_with_uneven_batches(student, rng):
    """A step with two batches, of 10 and 3 targets that count, is that of one batch with all 13."""
    weights, batches = draw_weights(rng), uneven_batches(rng)
    model = make_model(student, weights)
    loss = student.train_step(model, student.library.sgd(model, lr=0.5), batches)
    expected_loss, expected = one_step(weights, batches, lr=0.5)
    hint = "Each batch's mean loss weighs as much as its share of all targets that count: 10/13 and 3/13."
    close(loss, expected_loss, hint=hint)
    same_weights(student.library.parameter_values(model), expected, hint=hint)


@task("train_step")
@points(1)
def test_step_after_something_else(student, rng):
    """Gradients that were left behind do not matter, and the model is put into training mode."""
    weights, batches = draw_weights(rng), draw_batches(rng, (2, 3))
    model = make_model(student, weights)
    model.eval()
    student.library.set_gradients(model, {name: 100 * torch.ones_like(value) for name, value in weights.items()})
    student.train_step(model, student.library.sgd(model, lr=0.5), batches)
    hint = "Clear the gradients before the first backward: optimizer.zero_grad()."
    same_weights(student.library.parameter_values(model), one_step(weights, batches, lr=0.5)[1], hint=hint)
    require(all(call["training"] for call in model.calls), "the model is in evaluation mode", "model.train()")


@task("train_step")
@points(1)
def test_step_with_clipping(student, rng):
    """With max_norm, the gradient of all batches together is clipped, once, before the step."""
    weights, batches = draw_weights(rng), uneven_batches(rng)
    model = make_model(student, weights)
    loss = student.train_step(model, student.library.sgd(model, lr=0.5), batches, max_norm=0.01)
    expected_loss, expected = one_step(weights, batches, lr=0.5, max_norm=0.01)
    close(loss, expected_loss)
    same_weights(student.library.parameter_values(model), expected, hint="Clip after the last backward.")
    before = student.library.parameter_values(model)
    with torch.no_grad():
        broken = {**before, "head.bias": torch.full((VOCAB,), math.nan)}
    student.library.set_weights(model, broken)
    with pytest.raises(RuntimeError):
        student.train_step(model, student.library.sgd(model, lr=0.5), batches, max_norm=1.0)
    hint = "clip_grad_norm raises if the norm is not finite. Let it through, and do not step."
    close(student.library.parameter_values(model)["head.weight"], before["head.weight"], hint=hint)


@task("train_step")
@points(1)
def test_step_with_bad_arguments(student, rng):
    """No batches, and a dtype that is not bfloat16, are a ValueError; bfloat16 is fine, and weights stay float32."""
    weights, batches = draw_weights(rng), draw_batches(rng, (3, 4))
    model = make_model(student, weights)
    optimizer = student.library.sgd(model, lr=0.1)
    with pytest.raises(ValueError):
        student.train_step(model, optimizer, [])
    with pytest.raises(ValueError):
        student.train_step(model, optimizer, batches, amp_dtype=student.library.dtype("float16"))
    loss = student.train_step(model, optimizer, batches, amp_dtype=student.library.dtype("bfloat16"))
    close(loss, loss_and_gradients(weights, batches)[0], rtol=0.05, atol=0.05)
    require(model.calls[-1]["dtype"] == "bfloat16", "the model did not run in bfloat16", "Use torch.autocast.")
    dtypes = {value.dtype for value in student.library.parameter_values(model).values()}
    require(dtypes == {torch.float32}, "the weights are no longer float32", "Do not convert the model itself.")


# --- evaluate --------------------------------------------------------------------------------------------------------


@task("evaluate")
@points(1)
def test_estimate_is_the_mean_over_targets(student, rng):
    """The estimate is the mean over all targets that count, in batches of whatever sizes, from any iterable."""
    weights, batches = draw_weights(rng), uneven_batches(rng)
    model = make_model(student, weights)
    estimate = student.estimate_loss(model, batches)
    expected, _ = loss_and_gradients(weights, batches)
    require(type(estimate) is float, "estimate_loss returns a float", "loss.item() is the float in a tensor.")
    close(estimate, expected, hint="A batch with 10 targets weighs more than one with 3.")
    once = student.library.Batches(batches).stream()
    close(student.estimate_loss(model, once), expected, hint="A generator can be gone through only once.")


@task("evaluate")
@points(1)
def test_estimate_in_evaluation_mode(student, rng):
    """Dropout is off and gradients are not computed meanwhile; afterwards every submodule has its mode again."""
    weights, batches = draw_weights(rng), draw_batches(rng, (3, 4))
    model = make_model(student, weights, dropout=0.5)
    for modes in ({"": True, "dropout": False}, {"": True, "dropout": True}, {"": False, "dropout": True}):
        student.library.set_modes(model, modes)
        before = student.library.modes(model)
        close(student.estimate_loss(model, batches), loss_and_gradients(weights, batches)[0], hint="model.eval()")
        hint = "Note the mode of each of model.modules(), and give it back: model.train() would switch on all of them."
        require(student.library.modes(model) == before, "a submodule has another mode than before", hint)
    require(not any(call["training"] or call["grad"] for call in model.calls), "gradients are on", "torch.no_grad()")


@task("evaluate")
@points(1)
def test_estimate_leaves_no_trace(student, rng):
    """Gradients and random numbers are as before, also where the batches are drawn; no batches are a ValueError."""
    weights, batches = draw_weights(rng), draw_batches(rng, (2, 3), (2, 3))
    model = make_model(student, weights)
    left_behind = {"head.bias": rng.normal(VOCAB)}
    student.library.set_gradients(model, left_behind)
    expected, _ = loss_and_gradients(weights, batches)
    random_before = student.library.random_state()
    close(student.estimate_loss(model, student.library.Batches(batches, draws=True)), expected)
    hint = "torch.random.fork_rng() sets the random state aside."
    require(torch.equal(student.library.random_state(), random_before), "the random state changed", hint)
    gradients = student.library.gradient_values(model)
    close(gradients["head.bias"], left_behind["head.bias"], hint="Do not clear gradients here, nor make any.")
    require(gradients["head.weight"] is None, "the estimate left a gradient behind")
    with pytest.raises(ValueError):
        student.estimate_loss(model, [])


# --- checkpoint ------------------------------------------------------------------------------------------------------


def train_a_little(student, model, optimizer, batches):
    """Some steps with the library's `train_step`, so that the optimizer has something to remember."""
    return [student.library.train_step(model, optimizer, [batch]) for batch in batches]


def everything(student, model, optimizer):
    """All that a checkpoint brings back, as plain tensors in a fixed order."""
    state = student.library.optimizer_state(optimizer)
    moments = [torch.as_tensor(entry[name]) for entry in state["state"].values() for name in sorted(entry)]
    return [*student.library.parameter_values(model).values(), *moments, student.library.random_state()]


def same(before, after):
    return len(before) == len(after) and all(torch.equal(x, y) for x, y in zip(before, after, strict=True))


@task("checkpoint")
@points(1)
def test_checkpoint_brings_everything_back(student, rng):
    """After loading, the model, the optimizer and the next random numbers are those from when it was saved."""
    batches = draw_batches(rng, (2, 4), (2, 4), (2, 4))
    path = f"{student.library.folder()}/cat.pt"
    model = make_model(student, draw_weights(rng), dropout=0.3)
    optimizer = student.library.AdamW(model.parameters(), lr=0.01)
    train_a_little(student, model, optimizer, batches)
    saved = everything(student, model, optimizer)
    student.save_checkpoint(path, model, optimizer, 3)
    require(same(everything(student, model, optimizer), saved), "saving changed something")
    went_on = train_a_little(student, model, optimizer, batches)
    student.library.seed(1)
    other = make_model(student, draw_weights(rng), dropout=0.3)
    other_optimizer = student.library.AdamW(other.parameters(), lr=0.02)
    step = student.load_checkpoint(path, other, other_optimizer)
    require(type(step) is int and step == 3, "load_checkpoint returns the number of steps done")
    found = everything(student, other, other_optimizer)
    require(same(found[:3], saved[:3]), "the weights are not those that were saved")
    require(same(found[3:-1], saved[3:-1]), "the optimizer's state is not the one that was saved")
    require(same(found[-1:], saved[-1:]), "the random state is not the one that was saved", "torch.get_rng_state()")
    require(train_a_little(student, other, other_optimizer, batches) == went_on, "the run does not go on as it would")


@task("checkpoint")
@points(1)
def test_checkpoint_in_a_new_folder(student, rng):
    """The folder is made if it is not there; path may be text or a Path; nothing but the checkpoint is left in it."""
    weights = draw_weights(rng)
    model = make_model(student, weights)
    folder = student.library.folder()
    student.save_checkpoint(f"{folder}/runs/first/cat.pt", model, None, 0)
    student.save_checkpoint(student.library.path(f"{folder}/runs/first/cat.pt"), model, None, 5)
    require(student.library.list_files(folder) == ["runs/first/cat.pt"], "there are other files than the checkpoint")
    other = make_model(student, draw_weights(rng))
    step = student.load_checkpoint(student.library.path(f"{folder}/runs/first/cat.pt"), other)
    require(step == 5, "the second checkpoint replaces the first")
    same_weights(student.library.parameter_values(other), weights)
    with pytest.raises(ValueError):
        student.save_checkpoint(f"{folder}/cat.pt", model, None, -1)


@task("checkpoint")
@points(1)
def test_file_that_is_no_checkpoint(student, rng):
    """Text, half a checkpoint, or some other file of torch's is a ValueError that names it, and changes nothing."""
    path = f"{student.library.folder()}/cat.pt"
    model = make_model(student, draw_weights(rng))
    optimizer = student.library.AdamW(model.parameters(), lr=0.01)
    student.save_checkpoint(path, model, optimizer, 1)
    good = student.library.read_file(path)
    train_a_little(student, model, optimizer, draw_batches(rng, (2, 4)))
    before = everything(student, model, optimizer)
    for kind in ("text", "half", "foreign"):
        if kind == "foreign":
            student.library.save_object({"weights": torch.ones(3)}, path)
        else:
            student.library.write_file(path, b"the cat sat" if kind == "text" else good[: len(good) // 2])
        with pytest.raises(ValueError) as error:
            student.load_checkpoint(path, model, optimizer)
        require("cat.pt" in str(error.value), "the error does not name the file", "Put the path into the message.")
        require(same(everything(student, model, optimizer), before), "something has changed")
    student.library.write_file(path, good)
    require(student.load_checkpoint(path, model, optimizer) == 1, "the whole file can be loaded")


@task("checkpoint")
@points(1)
def test_checkpoint_of_another_model(student, rng):
    """A checkpoint of a model with other sizes is a ValueError, and leaves the weights as they were, all of them."""
    path = f"{student.library.folder()}/cat.pt"
    student.save_checkpoint(path, student.library.TinyModel(VOCAB, WIDTH + 1), None, 1)
    model = make_model(student, draw_weights(rng))
    before = student.library.parameter_values(model)
    with pytest.raises(ValueError) as error:
        student.load_checkpoint(path, model)
    require("cat.pt" in str(error.value), "the error does not name the file", "Turn torch's error into a ValueError.")
    hint = "load_state_dict copies what fits before it complains about the rest. Try it on a copy first."
    same_weights(student.library.parameter_values(model), before, hint=hint)
    student.save_checkpoint(path, model, None, 2)
    require(student.load_checkpoint(path, model) == 2, "a checkpoint of this model can be loaded")


# --- train -----------------------------------------------------------------------------------------------------------


@task("train")
@points(1)
def test_loop_makes_the_steps(student, rng):
    """Each step uses the next `accumulate` batches, and the losses of all steps are returned."""
    weights, batches = draw_weights(rng), draw_batches(rng, (2, 4), (1, 3), (2, 2), (3, 1))
    model, source = make_model(student, weights), student.library.Batches(batches)
    schedule = student.library.ListSchedule([0.5, 0.5])
    losses = student.train(
        model, student.library.sgd(model), source, steps=2, schedule=schedule, accumulate=2, max_norm=None
    )
    first_loss, between = one_step(weights, batches[:2], lr=0.5)
    second_loss, expected = one_step(between, batches[2:], lr=0.5)
    require(source.asked == 4, "next_batch is called steps * accumulate times", "Get new batches in every step.")
    require(type(losses) is list and len(losses) == 2, "train returns a list with one loss for each step")
    close(torch.tensor(losses), torch.tensor([first_loss, second_loss]))
    same_weights(student.library.parameter_values(model), expected)


@task("train")
@points(1)
def test_loop_sets_the_learning_rate(student, rng):
    """Every parameter group gets the learning rate of the schedule, before the step."""
    weights, batches = draw_weights(rng), draw_batches(rng, (2, 4), (2, 4))
    model, schedule = make_model(student, weights), student.library.ListSchedule([0.5, 0.1])
    optimizer = student.library.sgd(model, [["embedding.weight"], ["head.weight", "head.bias"]], lr=7.0)
    source = student.library.Batches(batches)
    student.train(model, optimizer, source, steps=2, schedule=schedule, max_norm=None)
    _, between = one_step(weights, batches[:1], lr=0.5)
    _, expected = one_step(between, batches[1:], lr=0.1)
    hint = "For each step: group['lr'] = schedule(step), for every group of optimizer.param_groups, then train_step."
    same_weights(student.library.parameter_values(model), expected, hint=hint)
    require([group["lr"] for group in optimizer.param_groups] == [0.1, 0.1], "a group has another learning rate", hint)


@task("train")
@points(1)
def test_loop_tells_on_step(student, rng):
    """`schedule` and `on_step` count from `start`; on_step gets the step, its loss and its learning rate, in order."""
    weights, batches = draw_weights(rng), draw_batches(rng, (2, 4))
    model = make_model(student, weights)
    source, schedule = student.library.Batches(batches), student.library.ListSchedule([0.0] * 10 + [0.5, 0.25, 0.125])
    told = student.library.StepRecorder(model)
    losses = student.train(
        model, student.library.sgd(model), source, steps=3, schedule=schedule, start=10, max_norm=None, on_step=told
    )
    hint = "The steps of a run that starts at 10 are 10, 11, 12."
    require(list(dict.fromkeys(schedule.steps)) == [10, 11, 12], "schedule was asked for other steps", hint)
    expected = list(zip([10, 11, 12], losses, [0.5, 0.25, 0.125], strict=True))
    require(told.calls == expected, "on_step was called with other arguments", hint)
    after_one_step = one_step(weights, batches, lr=0.5)[1]
    same_weights(told.weights[0], after_one_step, hint="Call on_step after the update.")


@task("train")
@points(1)
def test_loop_of_no_steps(student, rng):
    """No steps give no losses and change nothing; numbers that make no sense are a ValueError."""
    weights, source = draw_weights(rng), student.library.Batches(draw_batches(rng, (2, 4)))
    model, schedule = make_model(student, weights), student.library.ListSchedule([0.5])
    optimizer = student.library.sgd(model)
    require(student.train(model, optimizer, source, steps=0, schedule=schedule) == [], "no steps give no losses")
    for bad in ({"steps": -1}, {"steps": 1, "accumulate": 0}, {"steps": 1, "start": -1}):
        with pytest.raises(ValueError):
            student.train(model, optimizer, source, schedule=schedule, **bad)
    require(source.asked == 0, "a batch was taken although there was no step to make")
    same_weights(student.library.parameter_values(model), weights)
    require(len(student.train(model, optimizer, source, steps=1, schedule=schedule)) == 1, "one step gives one loss")
