"""Hidden tests of assignment 06. A student sees a test's title and its hint, and nothing else."""

import math

import pytest
import torch
import torch.nn.functional as F

from autograder.probes.training import TinyModel
from autograder.testing import close, has_shape, hint, points, require, task

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


def draw_batches(rng, *shapes, ignored=0.0):
    """Batches of these shapes, (batch, time). `ignored`: how many of the targets do not count; the first one does."""
    batches = []
    for shape in shapes:
        targets = rng.ids(VOCAB, *shape)
        drop = rng.uniform(0, 1, *shape) < ignored
        drop[0, 0] = False
        batches.append((rng.ids(VOCAB, *shape), targets.masked_fill(drop, -100)))
    return batches


def nothing_counts(rng, *shape):
    """A batch whose targets are all -100."""
    return rng.ids(VOCAB, *shape), torch.full(shape, -100)


def loss_and_gradients(weights, batches):
    """The mean loss over all targets that count, and its gradients, with torch's own loss."""
    model = TinyModel(VOCAB, WIDTH)
    model.load_state_dict(weights)
    logits = torch.cat([model(ids).flatten(0, 1) for ids, _ in batches])
    loss = F.cross_entropy(logits, torch.cat([targets.flatten() for _, targets in batches]))
    loss.backward()
    return loss.item(), {name: parameter.grad for name, parameter in model.named_parameters()}


def norm_of(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients]).norm().item()


def one_step(weights, batches, lr, max_norm=None):
    """Loss and weights after one step of plain gradient descent."""
    loss, gradients = loss_and_gradients(weights, batches)
    factor = 1.0 if max_norm is None else min(1.0, max_norm / (norm_of(gradients.values()) + 1e-6))
    return loss, {name: value - lr * factor * gradients[name] for name, value in weights.items()}


def same_weights(actual, expected):
    """Two dicts of tensors agree."""
    require(sorted(actual) == sorted(expected), "the parameters have other names than before")
    for name, value in expected.items():
        close(actual[name], value)


def everything(student, model, optimizer):
    """All that a checkpoint brings back, as plain tensors in a fixed order."""
    state = student.library.optimizer_state(optimizer)
    moments = [torch.as_tensor(entry[name]) for entry in state["state"].values() for name in sorted(entry)]
    return [*student.library.parameter_values(model).values(), *moments, student.library.random_state()]


def same(before, after):
    return len(before) == len(after) and all(torch.equal(x, y) for x, y in zip(before, after, strict=True))


# --- loss ------------------------------------------------------------------------------------------------------------


@task("loss")
@points(2)
@hint("Use torch's functions from beginning to end; .item(), .tolist() or .data lose the gradient.")
def test_loss_gradient(student, rng):
    """The gradient agrees with torch's, also for large logits, and is 0 at ignored positions."""
    logits, targets = rng.normal(3, 4, 6, scale=3.0, dtype=torch.float64), rng.ids(6, 3, 4)
    targets[0, 1:3], targets[2, 3] = -100, -100
    for shift in (0.0, 1e4, -1e4):
        leaf = (logits + shift).requires_grad_()
        F.cross_entropy(leaf.flatten(0, 1), targets.flatten()).backward()
        (gradient,) = student.library.gradients(student.cross_entropy, [logits + shift], targets=targets)
        close(gradient, leaf.grad)
        close(gradient[targets == -100], torch.zeros(3, 6), hint="Ignored positions pass no gradient on.")


@task("loss")
@points(1)
@hint("Count axes from the end: the vocabulary is the last, and there may be none before it.")
def test_loss_with_any_leading_axes(student, rng):
    """Any number of leading axes will do, none as well, and a vocabulary of any size; the result is a scalar."""
    vocab = rng.integer(2, 40)
    for leading in ((), (1,), (5,), (2, 3), (2, 1, 3)):
        logits, targets = rng.normal(*leading, vocab), rng.ids(vocab, *leading)
        loss = student.cross_entropy(logits, targets)
        has_shape(loss)
        close(loss, F.cross_entropy(logits.reshape(-1, vocab), targets.reshape(-1)))
    close(student.cross_entropy(rng.normal(4, 1), torch.zeros(4, dtype=torch.int64)), 0.0)


@task("loss")
@points(1)
@hint("Compare with ignore_index, whatever it is. It may be a token of the vocabulary; then -100 is an unknown target.")
def test_loss_with_another_ignore_index(student, rng):
    """Any number can be the one that is ignored: a token of the vocabulary, one beyond it, or a negative one."""
    logits = rng.normal(4, 5, 8, scale=2.0)
    for ignore_index in (0, 3, 7, 8, 1000, -1):
        targets = rng.ids(8, 4, 5)
        targets[0, 1:4], targets[2, :] = ignore_index, ignore_index
        targets[3, 0] = 1
        expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)
        close(student.cross_entropy(logits, targets, ignore_index=ignore_index), expected)
    with pytest.raises(IndexError):
        student.cross_entropy(logits, targets.masked_fill(targets == -1, -100), ignore_index=-1)


@task("loss")
@points(1)
@hint("Compute in float32, or float64 for float64 logits, and return that: float16 ends at 65504.")
def test_loss_in_half_and_double_precision(student, rng):
    """Half precision is computed and returned in float32; double precision stays double."""
    logits, targets = rng.normal(6, 9), rng.ids(9, 6)
    for dtype, due in ((torch.float16,) * 2, (torch.bfloat16,) * 2, (torch.float32,) * 2, (torch.float64,) * 2):
        loss = student.cross_entropy(logits.to(dtype), targets)
        wide = torch.promote_types(due, torch.float32)
        require(loss.dtype == wide, "the loss has a wrong dtype")
        close(loss, F.cross_entropy(logits.to(dtype).to(wide), targets))
    close(student.cross_entropy(torch.zeros(2, 70000, dtype=torch.float16), torch.tensor([0, 69999])), math.log(70000))


@task("loss")
@points(1)
@hint("Check the targets that count before you use them as an index: a negative index counts from the end in Python.")
def test_loss_of_targets_outside(student, rng):
    """A target outside the vocabulary is an IndexError, wherever it stands; what is ignored is not looked at."""
    logits = rng.normal(2, 3, 6)
    targets = rng.ids(6, 2, 3)
    for bad in (6, 1000, -1, -6, -101):
        wrong = targets.clone()
        wrong[rng.integer(0, 1), rng.integer(0, 2)] = bad
        with pytest.raises(IndexError):
            student.cross_entropy(logits, wrong)
        expected = F.cross_entropy(logits.flatten(0, 1), wrong.flatten(), ignore_index=bad)
        close(student.cross_entropy(logits, wrong, ignore_index=bad), expected)


@task("loss")
@points(1)
@hint("clamp_, masked_fill_ and the like write into the caller's tensors. Make new ones.")
def test_loss_leaves_its_arguments_alone(student, rng):
    """Logits and targets are as they were before the call."""
    logits, targets = rng.normal(3, 4, 5), rng.ids(5, 3, 4)
    targets[1] = -100
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    close(student.cross_entropy(logits, targets), expected)
    unchanged = student.library.leaves_arguments_alone(student.cross_entropy, logits.clone(), targets.clone())
    require(unchanged, "an argument changed")


# --- adamw -----------------------------------------------------------------------------------------------------------


def oracle_of(weights, groups=None, **settings):
    """torch's AdamW with parameters of its own; `groups` as `Optimization` takes them."""
    leaves = [torch.nn.Parameter(weight.clone()) for weight in weights]
    held = leaves
    if groups is not None:
        held = [{**group, "params": [leaves[number] for number in group["params"]]} for group in groups]
    return leaves, torch.optim.AdamW(held, **settings)


def step_both(rng, optimization, leaves, oracle, scales=None, missing=0.0):
    """One step of both with the same gradients; with a probability of `missing`, a parameter has none."""
    gradients = []
    for index, leaf in enumerate(leaves):
        scale = 1.0 if scales is None else scales[index]
        gradient = rng.normal(*leaf.shape, scale=scale, dtype=leaf.dtype)
        gradients.append(None if rng.uniform(0, 1, 1).item() < missing else gradient)
        leaf.grad = None if gradients[-1] is None else gradients[-1].clone()
    optimization.step(gradients)
    oracle.step()


def agree(optimization, leaves):
    for actual, expected in zip(optimization.weights(), leaves, strict=True):
        close(actual, expected)


@task("adamw")
@points(2)
@hint("Every parameter has m, v and a count of its own, and takes lr, betas, eps and weight_decay from its group.")
def test_adamw_with_groups(student, rng):
    """Groups have settings of their own, which may change in between, and some gradients are missing."""
    weights = [rng.normal(3, 2), rng.normal(4), rng.normal(2, 2)]
    groups = [
        {"params": [0, 2], "lr": 0.1, "weight_decay": 0.0},
        {"params": [1], "betas": (0.5, 0.6), "eps": 0.1, "weight_decay": 1.0},
    ]
    optimization = student.library.Optimization(student.AdamW, weights, groups=groups, lr=0.01)
    leaves, oracle = oracle_of(weights, groups=groups, lr=0.01)
    for step in range(30):
        if step == 15:
            optimization.set_lr(0.03)
            for group in oracle.param_groups:
                group["lr"] = 0.03
        step_both(rng, optimization, leaves, oracle, missing=0.3)
        agree(optimization, leaves)


@task("adamw")
@points(1)
@hint("eps is added to the corrected root, and to nothing else. Only the squares can be very small here.")
def test_adamw_with_tiny_and_huge_gradients(student, rng):
    """Gradients that are far smaller than eps, of its size, or in the millions give torch's steps."""
    weights = [rng.normal(5), rng.normal(5), rng.normal(5), rng.normal(5)]
    settings = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-3, "weight_decay": 0.1}
    optimization = student.library.Optimization(student.AdamW, weights, **settings)
    leaves, oracle = oracle_of(weights, **settings)
    for _ in range(10):
        step_both(rng, optimization, leaves, oracle, scales=[1e-5, 1e-3, 1e6, 0.0])
        agree(optimization, leaves)


@task("adamw")
@points(2)
@hint("The state of a parameter holds step, exp_avg and exp_avg_sq. Optimizer does the rest of state_dict for you.")
def test_adamw_exchanges_states_with_torch(student, rng):
    """A state that was saved can be loaded, by torch's AdamW and from it, and the steps go on as they would."""
    weights = [rng.normal(3, 2), rng.normal(4)]
    optimization = student.library.Optimization(student.AdamW, weights, lr=0.05)
    leaves, oracle = oracle_of(weights, lr=0.05)
    for _ in range(5):
        step_both(rng, optimization, leaves, oracle)
    for entry, leaf in zip(optimization.state(), leaves, strict=True):
        require(sorted(entry) == ["exp_avg", "exp_avg_sq", "step"], "the names in the state are not torch's")
        require(int(entry["step"]) == 5, "step is not the number of steps", "Count from 1: five steps give 5.")
        close(entry["exp_avg"], oracle.state[leaf]["exp_avg"])
        close(entry["exp_avg_sq"], oracle.state[leaf]["exp_avg_sq"])
    content = oracle.state_dict()
    moved = [leaf.detach().clone() for leaf in leaves]
    from_torch = student.library.Optimization(student.AdamW, moved, lr=1.0)
    from_torch.load_state_dict(content)
    torchs_leaves, to_torch = oracle_of(moved, lr=1.0)
    to_torch.load_state_dict(optimization.state_dict())
    for _ in range(3):
        step_both(rng, from_torch, torchs_leaves, to_torch)
        agree(from_torch, torchs_leaves)


@task("adamw")
@points(1)
@hint("Call the closure once, first, inside torch.enable_grad(), and return what it gave.")
def test_adamw_with_a_closure(student, rng):
    """A closure is called once, before the step and with gradients enabled, and step returns its loss."""
    weight, gradient = rng.normal(4), rng.normal(4)
    optimization = student.library.Optimization(student.AdamW, [weight], lr=0.1)
    leaves, oracle = oracle_of([weight], lr=0.1)
    for _ in range(2):
        returned, calls = optimization.step_with_closure([gradient])
        leaves[0].grad = gradient.clone()
        oracle.step()
        require(returned == 0.25, "step does not return the closure's loss")
        require(calls == [True], "the closure is called once, with gradients enabled")
        agree(optimization, leaves)
    require(optimization.step([gradient]) is None, "without a closure, step returns something")


@task("adamw")
@points(1)
@hint("The defaults are torch's: lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2. zeros_like keeps a dtype.")
def test_adamw_defaults_and_double_precision(student, rng):
    """The defaults are torch's, and for double precision m and v are in double precision too."""
    weights = [rng.normal(3), rng.normal(2, dtype=torch.float64)]
    optimization = student.library.Optimization(student.AdamW, weights)
    leaves, oracle = oracle_of(weights)
    for _ in range(30):
        step_both(rng, optimization, leaves, oracle, scales=[1e-6, 1.0])
    for actual, expected, before in zip(optimization.weights(), leaves, weights, strict=True):
        close(actual - before, expected.detach() - before, rtol=1e-3, atol=1e-5)
    for weight, entry in zip(weights, optimization.state(), strict=True):
        same_dtype = entry["exp_avg"].dtype == weight.dtype and entry["exp_avg_sq"].dtype == weight.dtype
        require(same_dtype, "m and v do not have the dtype of their parameter")


# --- schedule --------------------------------------------------------------------------------------------------------


def rate_by_formula(step, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    if step >= total_steps:
        return min_lr
    return (
        min_lr + (max_lr - min_lr) * math.cos(math.pi / 2 * (step - warmup_steps) / (total_steps - warmup_steps)) ** 2
    )


@task("schedule")
@points(2)
@hint("Progress is 0 at warmup_steps and 1 at total_steps; the cosine is scaled to lie between max_lr and min_lr.")
def test_schedule_with_drawn_numbers(student, rng):
    """Every step's learning rate is right, for drawn lengths and rates, and comes as a plain number."""
    for _ in range(3):
        warmup_steps = rng.integer(1, 12)
        total_steps = warmup_steps + rng.integer(2, 20)
        max_lr, min_lr = rng.uniform(0.1, 1.0, 1).item(), rng.uniform(0.0, 0.05, 1).item()
        rates = {"max_lr": max_lr, "min_lr": min_lr, "warmup_steps": warmup_steps, "total_steps": total_steps}
        for step in [*range(total_steps + 3), 10 * total_steps]:
            rate = student.cosine_schedule(step, **rates)
            require(type(rate) is float, "a learning rate is a float")
            close(rate, torch.tensor(rate_by_formula(step, **rates), dtype=torch.float64))


@task("schedule")
@points(1)
@hint("Ask for the two ends before you divide: one of the two pieces may have no steps at all.")
def test_schedule_of_one_piece(student, rng):
    """Without warmup it is all cosine, with nothing but warmup all line, and one step is enough for either."""
    total = rng.integer(2, 9)
    for warmup_steps, total_steps in ((0, total), (total, total), (0, 1), (1, 1), (total - 1, total)):
        for step in range(total_steps + 2):
            rate = student.cosine_schedule(
                step, max_lr=2.0, min_lr=0.5, warmup_steps=warmup_steps, total_steps=total_steps
            )
            close(rate, rate_by_formula(step, 2.0, 0.5, warmup_steps, total_steps))


@task("schedule")
@points(1)
@hint("step and warmup_steps are at least 0, total_steps at least 1, and warmup_steps at most total_steps.")
def test_schedule_of_drawn_impossible_steps(student, rng):
    """Numbers that make no sense are a ValueError in every part of the schedule; their neighbours are not."""
    far = rng.integer(2, 50)
    pairs = [((-far, 1, 3), (0, 1, 3)), ((far, 4, 3), (far, 3, 3)), ((far, 0, -far), (far, 0, far))]
    pairs += [((far, -far, 3), (far, 0, 3)), ((far, 0, 0), (far, 0, 1))]
    for bad, good in pairs:
        with pytest.raises(ValueError):
            student.cosine_schedule(bad[0], max_lr=1.0, min_lr=0.1, warmup_steps=bad[1], total_steps=bad[2])
        rate = student.cosine_schedule(good[0], max_lr=1.0, min_lr=0.1, warmup_steps=good[1], total_steps=good[2])
        close(rate, rate_by_formula(good[0], 1.0, 0.1, good[1], good[2]))


# --- clip ------------------------------------------------------------------------------------------------------------


@task("clip")
@points(1)
@hint("One norm and one factor for all gradients together, whatever their shapes.")
def test_clip_of_many_shapes(student, rng):
    """Gradients of all shapes are scaled by the same factor, to a common norm of max_norm."""
    shapes = [(3, 4), (5,), (), (2, 1, 3), (1,)]
    for scale in (0.01, 1.0, 100.0):
        gradients = [rng.normal(math.prod(shape), scale=scale).reshape(shape) for shape in shapes]
        max_norm = rng.uniform(0.5, 2.0, 1).item()
        norm = norm_of(gradients)
        weights = student.library.Parameters([torch.zeros(shape) for shape in shapes], gradients)
        close(weights.give_to(student.clip_grad_norm, max_norm), norm)
        factor = min(1.0, max_norm / (norm + 1e-6))
        for actual, gradient in zip(weights.gradients(), gradients, strict=True):
            close(actual, factor * gradient)
    tiny = student.library.Parameters([torch.zeros(1)], [torch.tensor([1e-6])])
    close(tiny.give_to(student.clip_grad_norm, 5e-7), 1e-6, atol=0.0)
    hint = "The factor is max_norm / (norm + 1e-6), which shows where the norm itself is that small."
    close(tiny.gradients()[0], torch.tensor([2.5e-7]), rtol=1e-3, atol=0.0, hint=hint)


@task("clip")
@points(1)
@hint("The norm comes back as a float32 tensor without axes, in every case; parameters may be an iterator.")
def test_clip_returns_a_scalar(student, rng):
    """The norm is a float32 scalar, from a list, from an iterator, for double precision and for no gradients at all."""
    gradients = [rng.normal(4, dtype=torch.float64), rng.normal(3)]
    weights = student.library.Parameters([torch.zeros(4, dtype=torch.float64), torch.zeros(3)], gradients)
    empty = student.library.Parameters([torch.zeros(2), torch.zeros(1)])
    nothing = student.library.Parameters([])
    norm = norm_of([gradient.float() for gradient in gradients])
    cases = [
        (weights.give_to(student.clip_grad_norm, 100.0), norm),
        (student.clip_grad_norm(weights.stream(), 0.1), norm),
    ]
    cases += [(weights.give_to(student.clip_grad_norm, 1.0), 0.1), (empty.give_to(student.clip_grad_norm, 1.0), 0.0)]
    cases += [(student.clip_grad_norm(nothing.stream(), 1.0), 0.0)]
    for actual, expected in cases:
        has_shape(actual)
        require(actual.dtype == torch.float32, "the norm is not float32")
        close(actual, expected)
    require(empty.gradients() == [None, None], "parameters without gradients have got some")
    require(weights.gradients()[0].dtype == torch.float64, "a gradient has another dtype than before")


@task("clip")
@points(1)
@hint("Square and add in float32: in float16 the square of 300 is infinite.")
def test_clip_of_half_precision(student, rng):
    """The norm of half-precision gradients is computed in float32; the gradients stay half precision."""
    for dtype, tolerance in ((torch.float16, 5e-3), (torch.bfloat16, 3e-2)):
        gradient = (3000 + 500 * rng.uniform(-1, 1, 1000)).to(dtype)
        weights = student.library.Parameters([torch.zeros(1000, dtype=dtype)], [gradient])
        close(weights.give_to(student.clip_grad_norm, 50.0), gradient.float().norm(), rtol=1e-3)
        (clipped,) = weights.gradients()
        require(clipped.dtype == dtype, "a gradient has another dtype than before")
        close(clipped, 50 * gradient.float() / gradient.float().norm(), rtol=tolerance, atol=1e-3)
    small = torch.full((4096,), 1e-4, dtype=torch.float16)  # in float16 the squares would be 0
    weights = student.library.Parameters([torch.zeros(4096, dtype=torch.float16)], [small])
    close(weights.give_to(student.clip_grad_norm, 1.0), small.float().norm(), rtol=1e-3)


@task("clip")
@points(1)
@hint("Find out whether the norm is finite before you change any gradient, and raise RuntimeError if it is not.")
def test_clip_of_infinities(student, rng):
    """One infinite or NaN number anywhere is a RuntimeError, and every gradient is as it was, to the bit."""
    for sick in (math.inf, -math.inf, math.nan):
        gradients = [10 * rng.normal(3), 10 * rng.normal(2, 2), 10 * rng.normal(4)]
        gradients[rng.integer(0, 2)].flatten()[rng.integer(0, 2)] = sick
        weights = student.library.Parameters([torch.zeros_like(gradient) for gradient in gradients], gradients)
        with pytest.raises(RuntimeError):
            weights.give_to(student.clip_grad_norm, 1.0)
        for actual, gradient in zip(weights.gradients(), gradients, strict=True):
            require(torch.equal(actual.nan_to_num(7.0), gradient.nan_to_num(7.0)), "a gradient changed")
    healthy = [gradient.nan_to_num(1.0, 2.0, 3.0) for gradient in gradients]
    weights.set_gradients(healthy)
    close(weights.give_to(student.clip_grad_norm, 1.0), norm_of(healthy))
    close(norm_of(weights.gradients()), 1.0)


@task("clip")
@points(1)
@hint("A negative max_norm is a ValueError. 0 is not: it makes all gradients 0.")
def test_clip_to_nothing(student, rng):
    """max_norm may be 0, which leaves no gradient over, and may not be negative."""
    gradients = [rng.normal(3), rng.normal(2)]
    weights = student.library.Parameters([torch.zeros(3), torch.zeros(2)], gradients)
    with pytest.raises(ValueError):
        weights.give_to(student.clip_grad_norm, -1.0)
    close(weights.gradients()[0], gradients[0])
    close(weights.give_to(student.clip_grad_norm, 0.0), norm_of(gradients))
    close(weights.gradients()[0], torch.zeros(3))
    close(weights.gradients()[1], torch.zeros(2))


# --- train_step ------------------------------------------------------------------------------------------------------


@task("train_step")
@points(2)
@hint("Every target that counts weighs the same, in whichever batch. A batch without any adds nothing: leave it out.")
def test_step_with_many_batches(student, rng):
    """A step with batches of many shapes is that of one big batch, also where a batch has no target that counts."""
    weights = draw_weights(rng)
    batches = draw_batches(rng, (1, 1), (3, 5), (2, 2), (1, 7), ignored=0.5)
    batches.insert(rng.integer(0, 4), nothing_counts(rng, 2, 3))
    expected_loss, expected = one_step(weights, batches, lr=0.5)
    model = make_model(student, weights)
    loss = student.train_step(model, student.library.sgd(model, lr=0.5), batches)
    require(type(loss) is float, "the loss is no float")
    close(loss, expected_loss)
    same_weights(student.library.parameter_values(model), expected)
    _, expected = one_step(expected, batches[::-1], lr=0.5)
    student.train_step(model, student.library.sgd(model, lr=0.5), batches[::-1])
    same_weights(student.library.parameter_values(model), expected)


@task("train_step")
@points(2)
@hint("Clip once, when all batches have added to the gradients, and only the parameters in optimizer.param_groups.")
def test_step_clips_the_optimizers_parameters(student, rng):
    """The norm that is clipped is that of the optimizer's parameters alone, over all its groups and all batches."""
    weights, batches = draw_weights(rng), draw_batches(rng, (2, 6), (1, 3), ignored=0.3)
    _, gradients = loss_and_gradients(weights, batches)
    for groups in ([["head.weight"], ["head.bias"]], [["embedding.weight"]]):
        names = [name for group in groups for name in group]
        norm = norm_of([gradients[name] for name in names])
        for max_norm in (norm / 3, norm * 1.01):
            model = make_model(student, weights)
            optimizer = student.library.sgd(model, groups, lr=0.5)
            student.train_step(model, optimizer, batches, max_norm=max_norm)
            factor = min(1.0, max_norm / (norm + 1e-6))
            moved = {name: weights[name] - 0.5 * factor * gradients[name] for name in names}
            same_weights(student.library.parameter_values(model), {**weights, **moved})


@task("train_step")
@points(1)
@hint("optimizer.zero_grad() clears what the optimizer holds, which need not be in the model.")
def test_step_clears_the_optimizers_gradients(student, rng):
    """Every gradient of the optimizer's is cleared first, in the model or not, and step after step."""
    weights, batches = draw_weights(rng), draw_batches(rng, (2, 3))
    model = make_model(student, weights)
    outside = student.library.Parameters([torch.ones(3)], [torch.full((3,), 50.0)])
    student.library.set_gradients(model, {"head.bias": torch.full((VOCAB,), 20.0)})
    optimizer = student.library.sgd(model, lr=0.5, more=outside)
    expected = weights
    for _ in range(3):
        loss, expected = one_step(expected, batches, lr=0.5, max_norm=0.5)
        close(student.train_step(model, optimizer, batches, max_norm=0.5), loss)
        same_weights(student.library.parameter_values(model), expected)
    close(outside.values()[0], torch.ones(3))


@task("train_step")
@points(1)
@hint("Let clip_grad_norm's error through. optimizer.step() comes after it.")
def test_step_that_would_break_the_model(student, rng):
    """With a gradient that is not finite, a step with max_norm is a RuntimeError, and no weight has moved."""
    weights, batches = draw_weights(rng), draw_batches(rng, (2, 3), (1, 4))
    model = make_model(student, weights)
    optimizer = student.library.sgd(model, lr=0.5)
    unknown, other = batches[0][0][0, 0].item(), (batches[0][0][0, 0].item() + 1) % VOCAB
    broken = weights["embedding.weight"].clone()
    broken[unknown] = math.nan
    student.library.set_weights(model, {"embedding.weight": broken})
    with pytest.raises(RuntimeError):
        student.train_step(model, optimizer, batches, max_norm=1.0)
    after = student.library.parameter_values(model)
    require(torch.equal(after["head.weight"], weights["head.weight"]), "a weight has moved")
    require(torch.equal(after["embedding.weight"].nan_to_num(7.0), broken.nan_to_num(7.0)), "a weight has moved")
    healthy = [(torch.full((2, 2), other), torch.zeros(2, 2, dtype=torch.int64))]
    student.train_step(model, optimizer, healthy, max_norm=1.0)
    after = student.library.parameter_values(model)
    require(bool(after["head.weight"].isfinite().all()), "a batch without NaN gives a healthy step")
    require(not torch.equal(after["head.weight"], weights["head.weight"]), "a healthy batch moves the weights")


@task("train_step")
@points(2)
@hint(
    "Only the model and the loss run under torch.autocast, which casts by itself: convert neither weights nor inputs."
)
def test_step_in_bfloat16(student, rng):
    """With bfloat16, the model computes in it, nearly the same loss comes out, and the weights stay float32."""
    weights, batches = draw_weights(rng), draw_batches(rng, (4, 8), (2, 5), ignored=0.3)
    model = make_model(student, weights)
    optimizer = student.library.sgd(model, lr=0.5)
    loss = student.train_step(model, optimizer, batches, amp_dtype=student.library.dtype("bfloat16"), max_norm=1.0)
    expected_loss, expected = one_step(weights, batches, lr=0.5, max_norm=1.0)
    require(type(loss) is float, "the loss is no float")
    close(loss, expected_loss, rtol=0.05, atol=0.05)
    for name, value in student.library.parameter_values(model).items():
        require(value.dtype == torch.float32, "the weights are not float32 any more")
        close(value, expected[name], rtol=0.05, atol=0.05)
    require({call["dtype"] for call in model.calls} == {"bfloat16"}, "the model did not run in bfloat16")
    close(student.train_step(model, optimizer, batches), loss_and_gradients(expected, batches)[0], rtol=0.05, atol=0.05)
    require(model.calls[-1]["dtype"] == "float32", "without amp_dtype, the model runs in float32")
    for bad in ("float16", "float32", "float64"):
        with pytest.raises(ValueError):
            student.train_step(model, optimizer, batches, amp_dtype=student.library.dtype(bad))


# --- evaluate --------------------------------------------------------------------------------------------------------


@task("evaluate")
@points(2)
@hint("Add up each batch's mean times its number of targets that count, and divide by the number of all of them.")
def test_estimate_of_many_batches(student, rng):
    """The mean is over all targets that count, in batches of many shapes, one of them without any."""
    weights = draw_weights(rng)
    batches = draw_batches(rng, (1, 1), (4, 6), (2, 1), (1, 9), ignored=0.5)
    batches.insert(rng.integer(0, 4), nothing_counts(rng, 2, 3))
    model = make_model(student, weights, dropout=0.4)
    expected, _ = loss_and_gradients(weights, batches)
    for given in (batches, tuple(batches), student.library.Batches(batches), student.library.Batches(batches).stream()):
        estimate = student.estimate_loss(model, given)
        require(type(estimate) is float, "the estimate is no float")
        close(estimate, expected)
    same_weights(student.library.parameter_values(model), weights)


@task("evaluate")
@points(1)
@hint("Go through the batches once. If there were none at all, raise ValueError; batches have no length to ask for.")
def test_estimate_of_no_batches(student, rng):
    """No batches, in a list or from a generator, are a ValueError; one target is enough, and is asked for once."""
    weights, batches = draw_weights(rng), draw_batches(rng, (1, 1))
    model = make_model(student, weights)
    source, empty = student.library.Batches(batches), student.library.Batches([])
    expected, _ = loss_and_gradients(weights, batches)
    for nothing in ([], empty.stream(), empty):
        with pytest.raises(ValueError):
            student.estimate_loss(model, nothing)
    close(student.estimate_loss(model, source.stream()), expected)
    require(source.asked == 1, "the batches were gone through more than once")


@task("evaluate")
@points(1)
@hint("Note the mode of each of model.modules() before model.eval(), and set it again one by one.")
def test_estimate_gives_modes_back(student, rng):
    """Whatever mixture of modes the submodules of a GPT were in, they are in it again afterwards."""
    config = student.library.config(vocab_size=VOCAB, context_length=6, d_model=8, n_layers=2, n_heads=2, dropout=0.3)
    model = student.library.GPT(config, student.library.parts())
    batches = draw_batches(rng, (2, 6))
    names = sorted(student.library.modes(model))
    model.eval()
    expected = student.estimate_loss(model, batches)
    for first in (True, False):
        wanted = {name: rng.choice([True, False]) for name in names} | {"": first, "blocks.1": not first}
        student.library.set_modes(model, wanted)
        close(student.estimate_loss(model, batches), expected, hint="Dropout is off in every submodule meanwhile.")
        require(student.library.modes(model) == wanted, "a submodule has another mode than before")
    oracle = student.library.estimate_loss(model, batches)
    close(expected, oracle)


@task("evaluate")
@points(1)
@hint("Set torch's random state aside with torch.random.fork_rng(), and compute under torch.no_grad().")
def test_estimate_changes_nothing(student, rng):
    """Random numbers, gradients and weights are as before; batches that are drawn may use random numbers meanwhile."""
    weights, batches = draw_weights(rng), draw_batches(rng, (2, 3), (1, 5), ignored=0.4)
    model = make_model(student, weights, dropout=0.5)
    left_behind = {"embedding.weight": rng.normal(VOCAB, WIDTH)}
    student.library.set_gradients(model, left_behind)
    expected, _ = loss_and_gradients(weights, batches)
    before = student.library.random_state()
    close(student.estimate_loss(model, student.library.Batches(batches, draws=True)), expected)
    require(torch.equal(student.library.random_state(), before), "the random state changed")
    gradients = student.library.gradient_values(model)
    close(gradients["embedding.weight"], left_behind["embedding.weight"])
    require(gradients["head.weight"] is None and gradients["head.bias"] is None, "there are new gradients")
    require(not any(call["grad"] or call["training"] for call in model.calls), "gradients were enabled")
    same_weights(student.library.parameter_values(model), weights)


# --- checkpoint ------------------------------------------------------------------------------------------------------


def saved_run(student, rng, steps=3):
    """A model and an optimizer after some steps, and their checkpoint: (path, model, optimizer)."""
    model = make_model(student, draw_weights(rng), dropout=0.3)
    optimizer = student.library.AdamW(model.parameters(), lr=0.01)
    student.library.train_step(model, optimizer, draw_batches(rng, (2, 4)))
    path = f"{student.library.folder()}/sat.pt"
    student.save_checkpoint(path, model, optimizer, steps)
    return path, model, optimizer


@task("checkpoint")
@points(1)
@hint("A run needs the weights, the optimizer's state, the number of steps, and dropout's random numbers.")
def test_run_goes_on_to_the_bit(student, rng):
    """A GPT with dropout that goes on from its checkpoint does the same, to the bit, as one that never stopped."""
    config = student.library.config(
        vocab_size=VOCAB, context_length=6, d_model=8, n_layers=1, n_heads=2, dropout=0.2, tie_weights=True
    )
    batches, schedule = draw_batches(rng, *[(2, 6)] * 6), student.library.ListSchedule([0.01] * 6)
    model = student.library.GPT(config, student.library.parts())
    optimizer = student.library.AdamW(model.parameters(), lr=0.01)
    source = student.library.Batches(batches)
    student.library.train(model, optimizer, source, steps=3, schedule=schedule)
    path = student.library.path(f"{student.library.folder()}/gpt.pt")
    student.save_checkpoint(path, model, optimizer, 3)
    expected = student.library.train(model, optimizer, source, steps=3, schedule=schedule, start=3)
    student.library.seed(rng.integer(0, 1000))
    again = student.library.GPT(config, student.library.parts())
    again_optimizer = student.library.AdamW(again.parameters(), lr=0.5)
    step = student.load_checkpoint(path, again, again_optimizer)
    require(step == 3, "the number of steps done is wrong")
    source = student.library.Batches(batches[3:])
    losses = student.library.train(again, again_optimizer, source, steps=3, schedule=schedule, start=step)
    require(losses == expected, "the losses differ from those of the run that never stopped")
    found, due = student.library.parameter_values(again), student.library.parameter_values(model)
    require(all(torch.equal(found[name], due[name]) for name in due), "the weights differ in the end")


@task("checkpoint")
@points(1)
@hint("If saving fails half-way, there is no new file under the name, and the old one is untouched: save beside it.")
def test_disk_full_while_saving(student, rng):
    """When saving fails half-way, that is an error, an old checkpoint is untouched, and no half one is left."""
    path, model, optimizer = saved_run(student, rng)
    good = student.library.read_file(path)
    unsaveable = student.library.UnsaveableModel(VOCAB, WIDTH)
    fresh = f"{student.library.folder()}/fresh.pt"
    for target in (path, fresh):
        with pytest.raises((OSError, RuntimeError, ValueError)):
            student.save_checkpoint(target, unsaveable, optimizer, 4)
    require(student.library.read_file(path) == good, "the old checkpoint has changed")
    require("fresh.pt" not in student.library.list_files(fresh.rpartition("/")[0]), "a half checkpoint is left")
    require(student.load_checkpoint(path, model, optimizer) == 3, "the old checkpoint cannot be loaded any more")
    student.save_checkpoint(path, model, optimizer, 4)
    require(student.load_checkpoint(path, model, optimizer) == 4, "after a failure, saving works again")


@task("checkpoint")
@points(1)
@hint("Write to a temporary name and rename: never write into the file that has the name already.")
def test_reader_of_the_old_checkpoint(student, rng):
    """Who has the old checkpoint open goes on reading the old one, whole, while a new one takes its name."""
    path, model, optimizer = saved_run(student, rng)
    good = student.library.read_file(path)
    reader = student.library.OpenFile(path)
    student.library.set_weights(model, draw_weights(rng))
    student.save_checkpoint(path, model, optimizer, 8)
    require(reader.read() == good, "the old file itself was written to")
    saved = everything(student, model, optimizer)
    student.library.seed(0)
    student.library.set_weights(model, draw_weights(rng))
    require(student.load_checkpoint(path, model, optimizer) == 8, "the new checkpoint has the name now")
    require(same(everything(student, model, optimizer)[:3], saved[:3]), "the new weights are not in it")
    require(student.library.list_files(path.rpartition("/")[0]) == ["sat.pt"], "there are other files beside it")


def flipped(good, weights):
    """The file with one bit of a weight changed; None where the weights do not stand in it as they are."""
    place = good.find(weights.numpy().tobytes())
    if place < 0:
        return None
    return good[: place + 5] + bytes([good[place + 5] ^ 4]) + good[place + 6 :]


@task("checkpoint")
@points(1)
@hint(
    "Turn every error of reading into a ValueError. torch.load compares no checksums; zipfile.ZipFile.testzip() does."
)
def test_damaged_checkpoints(student, rng):
    """A file that is cut off anywhere, empty, changed by one bit, or foreign is a ValueError naming it."""
    path, model, optimizer = saved_run(student, rng)
    good = student.library.read_file(path)
    weights = student.library.parameter_values(model)["head.weight"]
    student.library.train_step(model, optimizer, draw_batches(rng, (2, 4)))
    before = everything(student, model, optimizer)
    damaged = [b"", good[:1], good[: rng.integer(2, len(good) - 2)], good[:-30], rng.text(300).encode()]
    damaged += [flipped(good, weights) or b""]
    for foreign in ([1, 2, 3], {"model": {}}, {"head.bias": torch.zeros(VOCAB)}, 7):
        student.library.save_object(foreign, path)
        damaged.append(student.library.read_file(path))
    for content in damaged:
        student.library.write_file(path, content)
        with pytest.raises(ValueError) as error:
            student.load_checkpoint(path, model, optimizer)
        require("sat.pt" in str(error.value), "the error does not name the file")
        require(same(everything(student, model, optimizer), before), "model, optimizer or random state have changed")
    student.library.write_file(path, good)
    require(student.load_checkpoint(path, model, optimizer) == 3, "the whole file can be loaded")


@task("checkpoint")
@points(1)
@hint("Make sure that all of it fits before you change anything: the model, the optimizer, then the random state.")
def test_checkpoints_that_do_not_fit(student, rng):
    """Another model's or optimizer's checkpoint is a ValueError, and model, optimizer and random state stay."""
    path, _, _ = saved_run(student, rng)
    student.library.seed(rng.integer(0, 1000))
    wider = student.library.TinyModel(VOCAB, WIDTH + 1)
    longer = student.library.TinyModel(VOCAB + 1, WIDTH)
    deeper = student.library.GPT(
        student.library.config(vocab_size=VOCAB, context_length=6, d_model=8, n_layers=1, n_heads=2),
        student.library.parts(),
    )
    cases = [(other, student.library.AdamW(other.parameters(), lr=0.1)) for other in (wider, longer, deeper)]
    fitting = make_model(student, draw_weights(rng))
    cases.append((fitting, student.library.sgd(fitting, [["head.weight"], ["head.bias"]])))
    for model, optimizer in cases:
        before = everything(student, model, optimizer)
        with pytest.raises(ValueError) as error:
            student.load_checkpoint(path, model, optimizer)
        require("sat.pt" in str(error.value), "the error does not name the file")
        require(same(everything(student, model, optimizer), before), "model, optimizer or random state have changed")
    optimizer = student.library.AdamW(fitting.parameters(), lr=0.1)
    require(student.load_checkpoint(path, fitting, optimizer) == 3, "model and optimizer that fit can be loaded")


@task("checkpoint")
@points(1)
@hint("Save None where there is no optimizer, and raise ValueError where one is asked for that is not there.")
def test_checkpoint_without_an_optimizer(student, rng):
    """Without an optimizer, the model alone can be saved and loaded; asking for one that is not there is an error."""
    path, model, optimizer = saved_run(student, rng)
    saved = everything(student, model, optimizer)
    student.library.seed(1)
    alone = make_model(student, draw_weights(rng))
    require(student.load_checkpoint(path, alone) == 3, "a model can be loaded without its optimizer")
    require(same(list(student.library.parameter_values(alone).values()), saved[:3]), "the weights are others")
    require(torch.equal(student.library.random_state(), saved[-1]), "the random state is loaded in any case")
    student.save_checkpoint(path, alone, None, 0)
    student.library.set_weights(model, draw_weights(rng))
    before = everything(student, model, optimizer)
    with pytest.raises(ValueError) as error:
        student.load_checkpoint(path, model, optimizer)
    require("sat.pt" in str(error.value), "the error does not name the file")
    require(same(everything(student, model, optimizer), before), "model, optimizer or random state have changed")
    require(student.load_checkpoint(path, model) == 0, "the model can be loaded")


@task("checkpoint")
@points(1)
@hint("torch.load(path, weights_only=True) refuses to run code that a file brings along.")
def test_checkpoint_that_brings_code(student, rng):
    """A file that runs code when it is unpickled without care is refused, with a ValueError, and its code not run."""
    path, model, optimizer = saved_run(student, rng)
    good = student.library.read_file(path)
    before = everything(student, model, optimizer)
    bomb = student.library.Bomb(path, {"model": student.library.state(model), "optimizer": None})
    with pytest.raises(ValueError):
        student.load_checkpoint(path, model, optimizer)
    require(not bomb.exploded(), "code from the file was run")
    require(same(everything(student, model, optimizer), before), "model, optimizer or random state have changed")
    student.library.write_file(path, good)
    require(student.load_checkpoint(path, model, optimizer) == 3, "an honest checkpoint can be loaded")


# --- train -----------------------------------------------------------------------------------------------------------


@task("train")
@points(1)
@hint("For each step: the learning rate first, then new batches, then train_step, then on_step.")
def test_loop_of_many_steps(student, rng):
    """Over many steps, with uneven batches, losses and weights are those of a loop by hand, after every step."""
    weights = draw_weights(rng)
    batches = draw_batches(rng, *[(rng.integer(1, 3), rng.integer(1, 5)) for _ in range(12)], ignored=0.4)
    rates = rng.uniform(0.1, 0.5, 9).tolist()
    model = make_model(student, weights)
    source, schedule = student.library.Batches(batches), student.library.ListSchedule(rates)
    told = student.library.StepRecorder(model)
    optimizer = student.library.sgd(model, [["head.bias"], ["head.weight", "embedding.weight"]], lr=9.0)
    losses = student.train(
        model, optimizer, source, steps=4, schedule=schedule, accumulate=3, max_norm=0.5, start=5, on_step=told
    )
    require(source.asked == 12, "next_batch was called too often or not often enough")
    expected, due = weights, []
    for index in range(4):
        step_batches = batches[3 * index : 3 * index + 3]
        loss, expected = one_step(expected, step_batches, lr=rates[5 + index], max_norm=0.5)
        due.append(loss)
        same_weights(told.weights[index], expected)
    close(torch.tensor(losses), torch.tensor(due))
    steps, told_losses, told_rates = (list(column) for column in zip(*told.calls, strict=True))
    require(steps == [5, 6, 7, 8] and told_losses == losses and told_rates == rates[5:], "on_step was told otherwise")


@task("train")
@points(2)
@hint("Count from start, take the learning rate of that step, and keep nothing that a checkpoint does not hold.")
def test_interrupted_run(student, rng):
    """A run that was interrupted, saved, loaded and resumed gives the losses and weights of one in a single go."""
    weights, batches = draw_weights(rng), draw_batches(rng, *[(2, 4)] * 8, ignored=0.2)
    rates = [0.01 * (step + 1) for step in range(8)]
    whole = make_model(student, weights, dropout=0.3)
    optimizer = student.library.AdamW(whole.parameters(), lr=1.0)
    student.library.seed(3)
    schedule = student.library.ListSchedule(rates)
    expected = student.train(whole, optimizer, student.library.Batches(batches), steps=8, schedule=schedule)
    model = make_model(student, weights, dropout=0.3)
    optimizer = student.library.AdamW(model.parameters(), lr=1.0)
    student.library.seed(3)
    losses = student.train(model, optimizer, student.library.Batches(batches), steps=5, schedule=schedule)
    path = f"{student.library.folder()}/run.pt"
    student.library.save_checkpoint(path, model, optimizer, 5)
    resumed = make_model(student, draw_weights(rng), dropout=0.3)
    optimizer = student.library.AdamW(resumed.parameters(), lr=2.0)
    start = student.library.load_checkpoint(path, resumed, optimizer)
    rest = student.library.Batches(batches[5:])
    losses += student.train(resumed, optimizer, rest, steps=3, schedule=schedule, start=start)
    require(losses == expected, "the losses differ from those of a single run")
    found, due = student.library.parameter_values(resumed), student.library.parameter_values(whole)
    require(all(torch.equal(found[name], due[name]) for name in due), "the weights differ from those of a single run")


@task("train")
@points(1)
@hint("Hand max_norm, which is 1.0 if nobody says otherwise, and amp_dtype to train_step as they are.")
def test_loop_hands_its_options_on(student, rng):
    """Gradients are clipped to 1 by default, to max_norm if it is given, not at all if it is None; bfloat16 too."""
    weights, batches = draw_weights(rng), [(torch.zeros(1, VOCAB, dtype=torch.int64), torch.arange(VOCAB)[None])]
    weights["embedding.weight"] = 20 * weights["embedding.weight"]  # one token, all targets: most of them hopeless
    norm = norm_of(loss_and_gradients(weights, batches)[1].values())
    require(norm > 1, "these inputs clip nothing")
    cases = [({}, 1.0), ({"max_norm": norm / 2}, norm / 2), ({"max_norm": None}, None), ({"max_norm": 2 * norm}, None)]
    for options, max_norm in cases:
        model, schedule = make_model(student, weights), student.library.ListSchedule([0.1])
        source = student.library.Batches(batches)
        student.train(model, student.library.sgd(model), source, steps=1, schedule=schedule, **options)
        same_weights(student.library.parameter_values(model), one_step(weights, batches, 0.1, max_norm)[1])
        require(model.calls[-1]["dtype"] == "float32", "without amp_dtype, the model runs in float32")
    amp = student.library.dtype("bfloat16")
    student.train(model, student.library.sgd(model), source, steps=1, schedule=schedule, amp_dtype=amp)
    require(model.calls[-1]["dtype"] == "bfloat16", "with amp_dtype, the model runs in bfloat16")


@task("train")
@points(1)
@hint("steps and start are at least 0, accumulate at least 1. Check before anything is asked for or changed.")
def test_loop_with_impossible_numbers(student, rng):
    """Numbers that make no sense are a ValueError before anything has happened; the nearest that do are fine."""
    weights, source = draw_weights(rng), student.library.Batches(draw_batches(rng, (2, 4)))
    model, schedule = make_model(student, weights), student.library.ListSchedule([0.5] * 5)
    optimizer = student.library.sgd(model, lr=3.0)
    told = student.library.StepRecorder(model)
    far = rng.integer(2, 9)
    for bad in ({"steps": -far}, {"accumulate": 0}, {"accumulate": -far}, {"start": -far}):
        with pytest.raises(ValueError):
            student.train(model, optimizer, source, schedule=schedule, on_step=told, **{"steps": 1, **bad})
    require(student.train(model, optimizer, source, steps=0, schedule=schedule, start=4, on_step=told) == [], "no list")
    require(source.asked == 0 and schedule.steps == [] and told.calls == [], "something was called for no step")
    require([group["lr"] for group in optimizer.param_groups] == [3.0], "the learning rate changed for no step")
    same_weights(student.library.parameter_values(model), weights)
    losses = student.train(model, optimizer, source, steps=1, schedule=schedule, accumulate=1, start=4, on_step=told)
    require(len(losses) == 1 and source.asked == 1 and schedule.steps[0] == 4, "the nearest numbers do not work")
