"""Right versions of assignment 06 that differ from the reference. Each must get full marks.

Each takes the place of the reference's symbol of the name `replaces`; those with the same `name` go together. Nothing
in here is ever imported: `autograder.variants` reads it.
"""

import functools
import hashlib
import io
import itertools
import math
import os
import tempfile
import zipfile
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.optim import Optimizer
from training import IGNORED, clip_grad_norm, cross_entropy, train_step

from autograder.variants import alternative

# --- loss ------------------------------------------------------------------------------------------------------------


@alternative(replaces="cross_entropy", says="logsumexp over all positions, and a sum over those that count")
def loss_by_logsumexp(logits, targets, ignore_index=-100):
    vocab = logits.size(-1)
    flat, y = logits.reshape(-1, vocab), targets.reshape(-1)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    kept = y.ne(ignore_index)
    if bool((kept & (y.lt(0) | y.ge(vocab))).any()):
        raise IndexError("target out of range")
    safe = torch.where(kept, y, torch.zeros_like(y))
    losses = torch.logsumexp(flat, dim=-1) - flat[torch.arange(len(y)), safe]
    return (losses * kept).sum() / kept.sum()


@alternative(replaces="cross_entropy", says="one-hot targets, and a table of log-probabilities")
def loss_by_one_hot(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    rows, y = wide[targets != ignore_index], targets[targets != ignore_index]
    if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < wide.shape[-1]:
        raise IndexError(f"targets must be from 0 to {wide.shape[-1] - 1}")
    top = rows.max(dim=-1, keepdim=True).values.detach()
    log_probabilities = rows - top - torch.log(torch.exp(rows - top).sum(dim=-1, keepdim=True))
    return -(log_probabilities * F.one_hot(y, wide.shape[-1])).sum(-1).mean()


@alternative(replaces="cross_entropy", says="margins: log(1 + the sum of exp of how far the others are ahead)")
def loss_by_margins(logits, targets, ignore_index=-100):
    kept = targets != ignore_index
    wide = (logits.double() if logits.dtype == torch.float64 else logits.to(torch.float32))[kept]
    losses = []
    for row, y in zip(wide.unbind(0), targets[kept].tolist(), strict=True):
        if y not in range(len(row)):
            raise IndexError(y)
        losses.append(torch.logsumexp(row - row[y], dim=0))
    return torch.stack(losses).mean()


# --- adamw -----------------------------------------------------------------------------------------------------------


@alternative(replaces="AdamW", says="the order of Kingma and Ba's efficient version, with the step as a plain number")
class EfficientOrder(Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        if lr < 0 or eps < 0 or weight_decay < 0:
            raise ValueError(f"negative setting: lr={lr}, eps={eps}, weight_decay={weight_decay}")
        if any(beta < 0 or beta >= 1 for beta in betas):
            raise ValueError(f"betas={betas}")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))  # noqa: C408

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state.update(step=0, exp_avg=torch.zeros_like(p.data), exp_avg_sq=torch.zeros_like(p.data))
                state["step"] += 1
                t = int(state["step"])
                p.data.add_(p.data, alpha=-group["lr"] * group["weight_decay"])
                state["exp_avg"].lerp_(p.grad, 1 - beta1)
                state["exp_avg_sq"].mul_(beta2).add_((1 - beta2) * p.grad**2)
                denominator = state["exp_avg_sq"].sqrt().div_(math.sqrt(1 - beta2**t)).add_(group["eps"])
                p.data.addcdiv_(state["exp_avg"], denominator, value=-group["lr"] / (1 - beta1**t))
        return loss


@alternative(replaces="AdamW", says="new tensors instead of changes in place, and corrections as tensors")
class NewTensors(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        for value in (lr, eps, weight_decay, *betas):
            if value < 0:
                raise ValueError(f"{value} is negative")
        if max(betas) >= 1:
            raise ValueError(f"both betas must be below 1: {betas}")
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moved = [(group, p) for group in self.param_groups for p in group["params"] if p.grad is not None]
        for group, p in moved:
            self.state[p] = self.next_state(self.state.get(p) or {}, p, group["betas"])
            state, (beta1, beta2) = self.state[p], group["betas"]
            m = state["exp_avg"] / (1 - beta1 ** state["step"])
            v = state["exp_avg_sq"] / (1 - beta2 ** state["step"])
            decayed = p - group["lr"] * group["weight_decay"] * p
            p.copy_(decayed - group["lr"] * m / (v**0.5 + group["eps"]))
        return loss

    def next_state(self, state, p, betas):
        g, zeros = p.grad, torch.zeros_like(p)
        return {
            "step": state.get("step", torch.zeros(())) + 1,
            "exp_avg": betas[0] * state.get("exp_avg", zeros) + (1 - betas[0]) * g,
            "exp_avg_sq": betas[1] * state.get("exp_avg_sq", zeros) + (1 - betas[1]) * g * g,
        }


@alternative(replaces="AdamW", says="all parameters of a group at once, with torch's _foreach functions")
class ManyAtOnce(Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        if min(lr, eps, weight_decay) < 0.0 or not all(0.0 <= b < 1.0 for b in betas):
            raise ValueError("bad settings")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure() if closure else None
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            for p in parameters:
                if "step" not in self.state[p]:
                    self.state[p]["step"] = torch.zeros(1)
                    self.state[p]["exp_avg"] = p.new_zeros(p.shape)
                    self.state[p]["exp_avg_sq"] = p.new_zeros(p.shape)
                self.state[p]["step"] = self.state[p]["step"] + 1
            gradients, states = [p.grad for p in parameters], [self.state[p] for p in parameters]
            means, squares = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
            steps, (beta1, beta2) = [float(s["step"]) for s in states], group["betas"]
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_lerp_(means, gradients, 1 - beta1)
            torch._foreach_mul_(squares, beta2)
            torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
            roots = torch._foreach_sqrt(torch._foreach_div(squares, [1 - beta2**t for t in steps]))
            torch._foreach_add_(roots, group["eps"])
            torch._foreach_addcdiv_(parameters, means, roots, [-group["lr"] / (1 - beta1**t) for t in steps])
        return loss


# --- schedule, clip --------------------------------------------------------------------------------------------------


@alternative(replaces="cosine_schedule", says="the square of a cosine, and branches the other way round")
def schedule_by_squared_cosine(step, *, max_lr, min_lr, warmup_steps, total_steps):
    problems = [step < 0, warmup_steps < 0, total_steps < 1, warmup_steps > total_steps]
    if any(problems):
        raise ValueError(f"impossible: {step=} {warmup_steps=} {total_steps=}")
    if step >= total_steps:
        return float(min_lr)
    if step >= warmup_steps:
        quarter = math.pi / 2 * (step - warmup_steps) / (total_steps - warmup_steps)
        return max_lr * math.cos(quarter) ** 2 + min_lr * math.sin(quarter) ** 2
    return step / warmup_steps * max_lr


@alternative(replaces="clip_grad_norm", says="one long vector, and gradients that are replaced by new ones")
def clip_one_long_vector(parameters, max_norm):
    if not max_norm >= 0:
        raise ValueError(f"max_norm={max_norm}")
    with_gradients = [p for p in parameters if p.grad is not None]
    flat = torch.cat([torch.zeros(0)] + [p.grad.reshape(-1).float() for p in with_gradients])
    norm = flat.norm()
    if norm.isnan() or norm.isinf():
        raise RuntimeError(f"gradient norm is {norm}")
    if norm + 1e-6 > max_norm:
        for p in with_gradients:
            p.grad = (p.grad * (max_norm / (norm + 1e-6))).to(p.grad.dtype)
    return norm


@alternative(replaces="clip_grad_norm", says="plain numbers in double precision, and a factor of at most 1")
def clip_with_plain_numbers(parameters, max_norm):
    if max_norm < 0:
        raise ValueError("max_norm is negative")
    gradients = [g for g in (p.grad for p in parameters) if g is not None]
    norm = math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradients))
    if not math.isfinite(norm):
        raise RuntimeError("infinite or NaN gradients")
    factor = min(1.0, max_norm / (norm + 1e-6))
    with torch.no_grad():
        for g in gradients:
            g *= factor
    return torch.tensor(norm, dtype=torch.float32)


# --- train_step, evaluate, train -------------------------------------------------------------------------------------


@alternative(replaces="train_step", says="sums of losses, and gradients that are divided at the end")
def step_that_divides_last(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    if len(batches) < 1:
        raise ValueError("need at least one batch")
    if amp_dtype is not None and amp_dtype != torch.bfloat16:
        raise ValueError(f"amp_dtype={amp_dtype} is not supported")
    optimizer.zero_grad(set_to_none=False)
    model.train(True)
    parameters = list(itertools.chain.from_iterable(group["params"] for group in optimizer.param_groups))
    loss_sum, seen = 0.0, 0
    for x, y in batches:
        n = y[y != IGNORED].numel()
        if n > 0:
            with torch.autocast(x.device.type, dtype=amp_dtype) if amp_dtype else nullcontext():
                logits = model(x)
            summed = n * cross_entropy(logits, y)
            summed.backward()
            loss_sum, seen = loss_sum + float(summed.detach()), seen + n
    for p in parameters:
        if p.grad is not None:
            p.grad /= seen
    if max_norm is not None:
        clip_grad_norm(iter(parameters), max_norm)
    optimizer.step()
    return loss_sum / seen


@alternative(replaces="train_step", says="one loss of everything, from joined logits, and one backward")
def step_with_one_loss(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    batches = [(x, y) for x, y in batches]
    if not batches:
        raise ValueError("no batches")
    if amp_dtype not in {None, torch.bfloat16}:
        raise ValueError("amp_dtype: None or torch.bfloat16")
    model.train()
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = None
    with torch.autocast(batches[0][0].device.type, dtype=torch.bfloat16, enabled=amp_dtype is not None):
        logits = torch.cat([model(x).flatten(0, 1) for x, _ in batches])
        loss = cross_entropy(logits, torch.cat([y.flatten() for _, y in batches]))
    loss.backward()
    if max_norm is not None:
        for_clipping = (p for group in optimizer.param_groups for p in group["params"])
        clip_grad_norm(for_clipping, max_norm)
    optimizer.step()
    return loss.item()


@alternative(replaces="estimate_loss", says="inference mode, losses in a list, the random state put back by hand")
def estimate_in_inference_mode(model, batches):
    training = {name: module.training for name, module in model.named_modules()}
    random_state = torch.get_rng_state()
    sums, counts, any_batch = [], [], False
    model.train(False)
    with torch.inference_mode():
        for x, y in batches:
            any_batch = True
            n = int(y.ne(IGNORED).count_nonzero())
            if n:
                sums.append(float(cross_entropy(model(x), y)) * n)
                counts.append(n)
    for name, module in model.named_modules():
        module.training = training[name]
    torch.set_rng_state(random_state)
    if not any_batch:
        raise ValueError("estimate_loss needs a batch")
    return math.fsum(sums) / sum(counts)


@alternative(replaces="estimate_loss", says="all batches kept in a list, gradients switched off by a decorator")
@torch.no_grad()
def estimate_from_a_list(model, batches):
    with torch.random.fork_rng(devices=[]):
        kept = list(batches)
        if len(kept) == 0:
            raise ValueError("no batches")
        in_training = [module for module in model.modules() if module.training]
        model.eval()
        weighed = []
        for x, y in kept:
            n = (y != IGNORED).sum().item()
            weighed.append((cross_entropy(model(x), y).item() * n if n else 0.0, n))
        for module in in_training:
            module.training = True
    return sum(loss for loss, _ in weighed) / sum(n for _, n in weighed)


@alternative(replaces="train", says="all learning rates in advance, batches from an iterator")
def train_with_an_iterator(
    model, optimizer, next_batch, *, steps, schedule, accumulate=1, max_norm=1.0, amp_dtype=None, start=0, on_step=None
):
    for name, value, least in (("steps", steps, 0), ("start", start, 0), ("accumulate", accumulate, 1)):
        if value < least:
            raise ValueError(f"{name}={value} is below {least}")
    source = iter(next_batch, None)
    rates = [schedule(step) for step in range(start, start + steps)]
    one_step = functools.partial(train_step, model, optimizer, max_norm=max_norm, amp_dtype=amp_dtype)
    history = []
    for number, rate in enumerate(rates, start=start):
        optimizer.param_groups[:] = [{**group, "lr": rate} for group in optimizer.param_groups]
        history += [one_step(list(itertools.islice(source, accumulate)))]
        (on_step or (lambda *told: None))(number, history[-1], rate)
    return history


# --- checkpoint ------------------------------------------------------------------------------------------------------


@alternative(name="checkpoint in a list", replaces="save_checkpoint", says="a list, a random name, and os.replace")
def save_a_list(path, model, optimizer, step):
    if step < 0:
        raise ValueError("step is the number of steps done")
    folder, name = os.path.split(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    state = [model.state_dict(), optimizer.state_dict() if optimizer else None, step, torch.get_rng_state()]
    with tempfile.NamedTemporaryFile(dir=folder, prefix=name, delete=False) as file:
        try:
            torch.save(["training checkpoint", *state], file)
        except BaseException:
            os.unlink(file.name)
            raise
    os.replace(file.name, path)


@alternative(name="checkpoint in a list", replaces="read_checkpoint", says="reads the list")
def read_a_list(path):
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():
                raise ValueError("wrong checksum")
        label, *state = torch.load(str(path), weights_only=True)
        if label != "training checkpoint" or len(state) != 4:
            raise ValueError("something else")
    except Exception as error:
        raise ValueError(f"cannot read {path}: {error!r}") from None
    return state


@alternative(
    name="checkpoint in a list", replaces="load_checkpoint", says="notes everything, and puts it back on errors"
)
def load_a_list(path, model, optimizer=None):
    weights, moments, step, random_state = read_checkpoint(path)  # noqa: F821
    if optimizer and moments is None:
        raise ValueError(f"{path} has no optimizer in it")
    own_weights = {name: value.clone() for name, value in model.state_dict().items()}
    own_random_state = torch.get_rng_state()
    try:
        model.load_state_dict(weights)
        torch.set_rng_state(random_state)
        if optimizer:
            optimizer.load_state_dict(moments)
    except Exception as error:
        model.load_state_dict(own_weights)
        torch.set_rng_state(own_random_state)
        raise ValueError(f"{path} belongs to something else: {error}") from None
    return step


@alternative(name="checkpoint with a digest", replaces="save_checkpoint", says="a digest in front, and a hidden file")
def save_with_a_digest(path, model, optimizer, step):
    if step < 0:
        raise ValueError(f"step={step}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    buffer = io.BytesIO()
    moments = None if optimizer is None else optimizer.state_dict()
    torch.save({"weights": weights, "moments": moments, "done": step, "random": torch.random.get_rng_state()}, buffer)
    data = buffer.getvalue()
    hidden = path.parent / f".{path.name}.{os.getpid()}"
    hidden.write_bytes(hashlib.sha256(data).digest() + data)
    hidden.rename(path)


@alternative(
    name="checkpoint with a digest", replaces="load_checkpoint", says="compares shapes before anything changes"
)
def load_with_a_digest(path, model, optimizer=None):
    raw = Path(path).read_bytes()
    if hashlib.sha256(raw[32:]).digest() != raw[:32]:
        raise ValueError(f"{path} is damaged, or no checkpoint")
    content = torch.load(io.BytesIO(raw[32:]), weights_only=True)
    own = {name: value.shape for name, value in model.state_dict().items()}
    if own != {name: value.shape for name, value in content["weights"].items()}:
        raise ValueError(f"{path} holds another model")
    if optimizer is not None:
        if content["moments"] is None:
            raise ValueError(f"{path} holds no optimizer")
        sizes = [len(group["params"]) for group in content["moments"]["param_groups"]]
        if sizes != [len(group["params"]) for group in optimizer.param_groups]:
            raise ValueError(f"{path} holds another optimizer")
        optimizer.load_state_dict(content["moments"])
    model.load_state_dict(content["weights"])
    torch.random.set_rng_state(content["random"])
    return content["done"]
