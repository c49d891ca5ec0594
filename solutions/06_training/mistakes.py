"""Wrong versions of assignment 06, the ones that people make. The suites must catch each of them in its own task.

Each takes the place of the reference's symbol of the name `replaces`; everything else stays as in the reference. `says`
is what a student is told who makes the mistake. Nothing in here is ever imported: `autograder.variants` reads it.
"""

import copy
import io
import math
import zipfile
from pathlib import Path

import torch
from training import IGNORED, AdamW, clip_grad_norm, read_checkpoint, train_step
from training import cross_entropy as right_cross_entropy
from training import estimate_loss as right_estimate
from training import load_checkpoint as right_load
from training import save_checkpoint as right_save
from training import train as right_train
from training import train_step as right_step

from autograder.variants import mistake

# --- loss ------------------------------------------------------------------------------------------------------------


def picked(logits, targets, ignore_index, wide=True, least=0):
    """Logits and targets of the positions that count, checked."""
    if wide:
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    counts = targets != ignore_index
    logits, targets = logits[counts], targets[counts]
    if ((targets < least) | (targets >= logits.shape[-1])).any():
        raise IndexError("a target is outside the vocabulary")
    return logits, targets


def surprise(logits, targets):
    """What each position loses."""
    shifted = logits - logits.amax(-1, keepdim=True)
    return shifted.exp().sum(-1).log() - shifted.gather(-1, targets.unsqueeze(-1)).squeeze(-1)


@mistake("loss", replaces="cross_entropy", says="You take the log of a probability, which may be 0.")
def log_of_softmax(logits, targets, ignore_index=IGNORED):
    logits, targets = picked(logits, targets, ignore_index)
    probabilities = torch.softmax(logits, -1)
    return -probabilities.gather(-1, targets.unsqueeze(-1)).log().mean()


@mistake("loss", replaces="cross_entropy", says="You divide by the number of all targets, ignored ones included.")
def divides_by_all(logits, targets, ignore_index=IGNORED):
    kept = picked(logits, targets, ignore_index)
    return surprise(*kept).sum() / targets.numel()


@mistake("loss", replaces="cross_entropy", says="You add the losses up, and do not take their mean.")
def sums_up(logits, targets, ignore_index=IGNORED):
    return surprise(*picked(logits, targets, ignore_index)).sum()


@mistake("loss", replaces="cross_entropy", says="Your loss has the wrong sign: it is −log p, and never below 0.")
def wrong_sign(logits, targets, ignore_index=IGNORED):
    return -surprise(*picked(logits, targets, ignore_index)).mean()


@mistake("loss", replaces="cross_entropy", says="Ignored targets count as token 0.")
def ignored_is_token_0(logits, targets, ignore_index=IGNORED):
    picked(logits, targets, ignore_index)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return surprise(wide, targets.masked_fill(targets == ignore_index, 0)).mean()


@mistake("loss", replaces="cross_entropy", says="You ignore -100, and not `ignore_index`.")
def always_ignores_100(logits, targets, ignore_index=IGNORED):
    return right_cross_entropy(logits, targets)


@mistake("loss", replaces="cross_entropy", says="Your loss takes (batch, time, vocab) only.")
def three_axes_only(logits, targets, ignore_index=IGNORED):
    batch, time, vocab = logits.shape
    return right_cross_entropy(logits.view(batch * time, vocab), targets.view(batch * time), ignore_index)


@mistake("loss", replaces="cross_entropy", says="You compute in half precision where the logits are in half precision.")
def computes_in_half(logits, targets, ignore_index=IGNORED):
    return surprise(*picked(logits, targets, ignore_index, wide=False)).mean()


@mistake("loss", replaces="cross_entropy", says="A negative target counts from the end with you.")
def negative_targets_count_from_the_end(logits, targets, ignore_index=IGNORED):
    logits, targets = picked(logits, targets, ignore_index, least=-logits.shape[-1])
    return surprise(logits, targets % logits.shape[-1]).mean()


@mistake("loss", replaces="cross_entropy", says="A target beyond the vocabulary is taken for its last token by you.")
def clamps_targets(logits, targets, ignore_index=IGNORED):
    clamped = targets.clamp(0, logits.shape[-1] - 1)
    return right_cross_entropy(logits, torch.where(targets == ignore_index, targets, clamped), ignore_index)


@mistake("loss", replaces="cross_entropy", says="No gradient comes back through the sum of exp.")
def constant_sum(logits, targets, ignore_index=IGNORED):
    logits, targets = picked(logits, targets, ignore_index)
    shifted = logits - logits.amax(-1, keepdim=True).detach()
    of_targets = shifted.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return (shifted.exp().sum(-1).log().detach() - of_targets).mean()


@mistake("loss", replaces="cross_entropy", says="You write into the caller's targets.")
def fills_the_callers_targets(logits, targets, ignore_index=IGNORED):
    loss = right_cross_entropy(logits, targets, ignore_index)
    targets.masked_fill_(targets == ignore_index, 0)
    return loss


# --- adamw -----------------------------------------------------------------------------------------------------------


def remembered(optimizer, parameter):
    """The state of a parameter, with this step counted."""
    state = optimizer.state[parameter]
    if not state:
        state["step"] = torch.tensor(0.0)
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
    state["step"] = state["step"] + 1
    return state, state["step"].item()


def averaged(state, gradient, betas):
    """m and v, brought up to date."""
    state["exp_avg"].mul_(betas[0]).add_(gradient, alpha=1 - betas[0])
    state["exp_avg_sq"].mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
    return state["exp_avg"], state["exp_avg_sq"]


@mistake("adamw", replaces="AdamW", says="You add the decay to the gradient. In AdamW it does not go through m and v.")
class DecayInTheGradient(AdamW):
    def update(self, parameter, group):
        parameter.grad = parameter.grad + group["weight_decay"] * parameter
        super().update(parameter, {**group, "weight_decay": 0.0})


@mistake("adamw", replaces="AdamW", says="You do not decay the weights.")
class NoDecay(AdamW):
    def update(self, parameter, group):
        super().update(parameter, {**group, "weight_decay": 0.0})


@mistake("adamw", replaces="AdamW", says="Your decay does not depend on the learning rate.")
class DecayWithoutLr(AdamW):
    def update(self, parameter, group):
        parameter.mul_(1 - group["weight_decay"])
        super().update(parameter, {**group, "weight_decay": 0.0})


@mistake("adamw", replaces="AdamW", says="You decay the weight after it has moved.")
class DecayLast(AdamW):
    def update(self, parameter, group):
        super().update(parameter, {**group, "weight_decay": 0.0})
        parameter.mul_(1 - group["lr"] * group["weight_decay"])


@mistake("adamw", replaces="AdamW", says="You do not correct m and v: the first steps are too small or too large.")
class NoCorrection(AdamW):
    def update(self, parameter, group):
        state, _ = remembered(self, parameter)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        mean, mean_square = averaged(state, parameter.grad, group["betas"])
        parameter.sub_(group["lr"] * mean / (mean_square.sqrt() + group["eps"]))


@mistake("adamw", replaces="AdamW", says="You correct v, but not m.")
class CorrectsVAlone(AdamW):
    def update(self, parameter, group):
        state, t = remembered(self, parameter)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        mean, mean_square = averaged(state, parameter.grad, group["betas"])
        root = (mean_square / (1 - group["betas"][1] ** t)).sqrt()
        parameter.sub_(group["lr"] * mean / (root + group["eps"]))


@mistake("adamw", replaces="AdamW", says="You correct m, but not v.")
class CorrectsMAlone(AdamW):
    def update(self, parameter, group):
        state, t = remembered(self, parameter)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        mean, mean_square = averaged(state, parameter.grad, group["betas"])
        parameter.sub_(group["lr"] * mean / (1 - group["betas"][0] ** t) / (mean_square.sqrt() + group["eps"]))


@mistake("adamw", replaces="AdamW", says="You divide by v. Take its root first.")
class NoRoot(AdamW):
    def update(self, parameter, group):
        state, t = remembered(self, parameter)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        mean, mean_square = averaged(state, parameter.grad, group["betas"])
        corrected = mean_square / (1 - group["betas"][1] ** t)
        parameter.sub_(group["lr"] * mean / (1 - group["betas"][0] ** t) / (corrected + group["eps"]))


@mistake("adamw", replaces="AdamW", says="Your eps stands under the root.")
class EpsUnderTheRoot(AdamW):
    def update(self, parameter, group):
        state, t = remembered(self, parameter)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        mean, mean_square = averaged(state, parameter.grad, group["betas"])
        corrected = mean_square / (1 - group["betas"][1] ** t) + group["eps"]
        parameter.sub_(group["lr"] * mean / (1 - group["betas"][0] ** t) / corrected.sqrt())


@mistake("adamw", replaces="AdamW", says="You add eps before v is corrected.")
class EpsBeforeTheCorrection(AdamW):
    def update(self, parameter, group):
        state, t = remembered(self, parameter)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        mean, mean_square = averaged(state, parameter.grad, group["betas"])
        size = group["lr"] * math.sqrt(1 - group["betas"][1] ** t) / (1 - group["betas"][0] ** t)
        parameter.sub_(size * mean / (mean_square.sqrt() + group["eps"]))


@mistake("adamw", replaces="AdamW", says="You count one number of steps for all parameters.")
class OneCountForAll(AdamW):
    def step(self, closure=None):
        self.count = getattr(self, "count", 0) + 1
        return super().step(closure)

    def update(self, parameter, group):
        if not self.state[parameter]:
            self.state[parameter]["exp_avg"] = torch.zeros_like(parameter)
            self.state[parameter]["exp_avg_sq"] = torch.zeros_like(parameter)
        self.state[parameter]["step"] = torch.tensor(self.count - 1.0)
        super().update(parameter, group)


@mistake("adamw", replaces="AdamW", says="You treat a missing gradient as a gradient of 0.")
class MissingIsZero(AdamW):
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None and closure is None:
                    parameter.grad = torch.zeros_like(parameter)
        return super().step(closure)


@mistake("adamw", replaces="AdamW", says="You take the settings that the optimizer began with, not those of the group.")
class SettingsOfTheBeginning(AdamW):
    def update(self, parameter, group):
        super().update(parameter, {**group, **self.defaults})


@mistake("adamw", replaces="AdamW", says="m and v begin at 0 in every step.")
class ForgetsEverything(AdamW):
    def update(self, parameter, group):
        self.state[parameter].clear()
        super().update(parameter, group)


@mistake("adamw", replaces="AdamW", says="You accept any settings.")
class AcceptsAnySettings(AdamW):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        torch.optim.Optimizer.__init__(self, params, settings)


@mistake("adamw", replaces="AdamW", says="You never call the closure.")
class NoClosure(AdamW):
    def step(self, closure=None):
        return super().step()


@mistake("adamw", replaces="AdamW", says="Your m and v are always float32.")
class AlwaysFloat32(AdamW):
    def update(self, parameter, group):
        super().update(parameter, group)
        for name in ("exp_avg", "exp_avg_sq"):
            self.state[parameter][name] = self.state[parameter][name].float()


@mistake("adamw", replaces="AdamW", says="Your default decay is 0, as in Adam. In AdamW it is 0.01.")
class AdamsDefaults(AdamW):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas, eps, weight_decay)


@mistake("adamw", replaces="AdamW", says="The names in your state are not torch's.")
class OwnNames(AdamW):
    NAMES = (("step", "t"), ("exp_avg", "m"), ("exp_avg_sq", "v"))

    def update(self, parameter, group):
        state = self.state[parameter]
        for theirs, own in self.NAMES:
            if own in state:
                state[theirs] = state.pop(own)
        super().update(parameter, group)
        for theirs, own in self.NAMES:
            state[own] = state.pop(theirs)


# --- schedule --------------------------------------------------------------------------------------------------------


def rate(step, max_lr, min_lr, warmup_steps, total_steps, warm=None, progress=None):
    """The right learning rate; `warm` takes the place of the warmup's, `progress` that of the cosine's."""
    if step < 0 or total_steps < 1 or not 0 <= warmup_steps <= total_steps:
        raise ValueError("step, warmup_steps or total_steps makes no sense")
    if step < warmup_steps:
        return max_lr * step / warmup_steps if warm is None else warm
    if step >= total_steps and progress is None:
        return min_lr
    part = (step - warmup_steps) / (total_steps - warmup_steps) if progress is None else progress
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * part)) / 2


@mistake("schedule", replaces="cosine_schedule", says="Your cosine is as long as all steps, warmup included.")
def cosine_too_long(step, *, max_lr, min_lr, warmup_steps, total_steps):
    progress = min(1.0, max(0, step - warmup_steps) / max(1, total_steps))
    return rate(step, max_lr, min_lr, warmup_steps, total_steps, progress=progress)


@mistake("schedule", replaces="cosine_schedule", says="Your warmup is one step ahead: step 0 has the learning rate 0.")
def warmup_one_ahead(step, *, max_lr, min_lr, warmup_steps, total_steps):
    warm = max_lr * (step + 1) / max(1, warmup_steps)
    return rate(step, max_lr, min_lr, warmup_steps, total_steps, warm=warm)


@mistake("schedule", replaces="cosine_schedule", says="After total_steps, your learning rate goes up again.")
def goes_up_again(step, *, max_lr, min_lr, warmup_steps, total_steps):
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return rate(step, max_lr, min_lr, warmup_steps, total_steps, progress=progress)


@mistake("schedule", replaces="cosine_schedule", says="Your cosine goes down to 0 instead of to min_lr.")
def cut_off_at_min_lr(step, *, max_lr, min_lr, warmup_steps, total_steps):
    found = rate(step, max_lr, 0.0, warmup_steps, total_steps)
    return found if step < warmup_steps else max(found, min_lr)


@mistake("schedule", replaces="cosine_schedule", says="Your cosine begins at step 0, not at the end of the warmup.")
def progress_from_the_beginning(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step >= total_steps:
        return rate(step, max_lr, min_lr, warmup_steps, total_steps)
    return rate(step, max_lr, min_lr, warmup_steps, total_steps, progress=step / total_steps)


@mistake("schedule", replaces="cosine_schedule", says="You divide by warmup_steps, which may be 0.")
def divides_by_no_warmup(step, *, max_lr, min_lr, warmup_steps, total_steps):
    found = rate(step, max_lr, min_lr, warmup_steps, total_steps)
    return max_lr * step / warmup_steps if step <= warmup_steps else found


@mistake("schedule", replaces="cosine_schedule", says="With nothing but warmup, you divide by 0.")
def divides_by_no_cosine(step, *, max_lr, min_lr, warmup_steps, total_steps):
    found = rate(step, max_lr, min_lr, warmup_steps, total_steps)
    return found if step < warmup_steps else found + 0 / (total_steps - warmup_steps)


@mistake("schedule", replaces="cosine_schedule", says="You accept a warmup that is longer than the whole run.")
def accepts_long_warmups(step, *, max_lr, min_lr, warmup_steps, total_steps):
    return rate(step, max_lr, min_lr, warmup_steps, max(total_steps, warmup_steps, min(1, total_steps)))


@mistake("schedule", replaces="cosine_schedule", says="You accept negative steps.")
def accepts_negative_steps(step, *, max_lr, min_lr, warmup_steps, total_steps):
    return rate(max(step, 0), max_lr, min_lr, warmup_steps, total_steps)


# --- clip ------------------------------------------------------------------------------------------------------------


def checked_gradients(parameters, max_norm):
    if max_norm < 0:
        raise ValueError("max_norm must not be negative")
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def common_norm(gradients):
    """The norm of all of them, which must be finite."""
    squares = [gradient.float().square().sum() for gradient in gradients]
    norm = torch.stack(squares).sum().sqrt() if squares else torch.tensor(0.0)
    if not norm.isfinite():
        raise RuntimeError("the norm is not finite")
    return norm


def scaled(gradients, norm, max_norm):
    """Scales the gradients if that is due, and returns the norm as it is."""
    for gradient in gradients:
        gradient.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


@mistake("clip", replaces="clip_grad_norm", says="You clip each parameter's gradient by its own norm.")
def each_by_itself(parameters, max_norm):
    gradients = checked_gradients(parameters, max_norm)
    norm = common_norm(gradients)
    for gradient in gradients:
        gradient.mul_((max_norm / (gradient.norm() + 1e-6)).clamp(max=1.0))
    return norm


@mistake("clip", replaces="clip_grad_norm", says="Your norm is the sum of the squares. Take its root.")
def forgets_the_root(parameters, max_norm):
    gradients = checked_gradients(parameters, max_norm)
    return scaled(gradients, common_norm(gradients).square(), max_norm)


@mistake("clip", replaces="clip_grad_norm", says="You scale small gradients up to max_norm.")
def scales_up(parameters, max_norm):
    gradients = checked_gradients(parameters, max_norm)
    norm = common_norm(gradients)
    for gradient in gradients:
        gradient.mul_(max_norm / (norm + 1e-6))
    return norm


@mistake("clip", replaces="clip_grad_norm", says="You return the norm from after clipping.")
def returns_the_norm_after(parameters, max_norm):
    gradients = checked_gradients(parameters, max_norm)
    norm = common_norm(gradients)
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor)
    return norm * factor


@mistake(
    "clip", replaces="clip_grad_norm", says="You go through the parameters twice, and a generator is empty by then."
)
def goes_through_twice(parameters, max_norm):
    norm = common_norm(checked_gradients(parameters, max_norm))
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(factor)
    return norm


@mistake("clip", replaces="clip_grad_norm", says="A parameter without a gradient stops you.")
def needs_every_gradient(parameters, max_norm):
    if max_norm < 0:
        raise ValueError("max_norm must not be negative")
    gradients = [parameter.grad for parameter in parameters]
    return scaled(gradients, common_norm(gradients), max_norm)


@mistake("clip", replaces="clip_grad_norm", says="You cut off single numbers, which changes the gradient's direction.")
def clips_values(parameters, max_norm):
    gradients = checked_gradients(parameters, max_norm)
    norm = common_norm(gradients)
    for gradient in gradients:
        gradient.clamp_(-max_norm, max_norm)
    return norm


@mistake("clip", replaces="clip_grad_norm", says="A norm that is infinite or NaN makes all gradients 0 or NaN.")
def never_looks_at_the_norm(parameters, max_norm):
    gradients = checked_gradients(parameters, max_norm)
    if not gradients:
        return torch.tensor(0.0)
    norm = torch.stack([gradient.float().square().sum() for gradient in gradients]).sum().sqrt()
    return scaled(gradients, norm, max_norm)


@mistake("clip", replaces="clip_grad_norm", says="You square in half precision, where 300² is infinite.")
def squares_in_half(parameters, max_norm):
    gradients = checked_gradients(parameters, max_norm)
    if not gradients:
        return torch.tensor(0.0)
    norm = sum(gradient.square().sum() for gradient in gradients).sqrt().float()
    if not norm.isfinite():
        raise RuntimeError("the norm is not finite")
    return scaled(gradients, norm, max_norm)


@mistake("clip", replaces="clip_grad_norm", says="You add the norms up. Add their squares, and take the root.")
def adds_norms(parameters, max_norm):
    gradients = checked_gradients(parameters, max_norm)
    common_norm(gradients)
    norm = torch.stack([torch.tensor(0.0)] + [gradient.float().norm() for gradient in gradients]).sum()
    return scaled(gradients, norm, max_norm)


@mistake("clip", replaces="clip_grad_norm", says="You accept a negative max_norm, which turns the gradients round.")
def accepts_a_negative_max_norm(parameters, max_norm):
    gradients = checked_gradients(parameters, 0.0)
    norm = common_norm(gradients)
    return scaled(gradients, norm, max_norm)


# --- train_step ------------------------------------------------------------------------------------------------------


def n_targets(targets):
    return int((targets != IGNORED).sum())


def held_by(optimizer):
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def prepared_step(model, optimizer, batches, amp_dtype):
    """The right beginning of a step."""
    if not batches:
        raise ValueError("there are no batches")
    if amp_dtype not in (None, torch.bfloat16):
        raise ValueError("amp_dtype must be None or torch.bfloat16")
    model.train()
    optimizer.zero_grad()


def backward(model, batch, share, amp_dtype):
    """Adds the gradients of one batch, weighed by its share, and returns its weighed loss."""
    ids, targets = batch
    with torch.autocast(ids.device.type, dtype=amp_dtype, enabled=amp_dtype is not None):
        part = right_cross_entropy(model(ids), targets) * share
    part.backward()
    return part.item()


def with_shares(batches):
    """Each batch that has targets, with its share of all of them."""
    counts = [n_targets(targets) for _, targets in batches]
    return [(batch, count / sum(counts)) for batch, count in zip(batches, counts, strict=True) if count]


def finished_step(optimizer, max_norm, parameters=None):
    """The right end of a step."""
    if max_norm is not None:
        clip_grad_norm(held_by(optimizer) if parameters is None else parameters, max_norm)
    optimizer.step()


@mistake(
    "train_step", replaces="train_step", says="You take the mean of the batches' means: small ones weigh too much."
)
def mean_of_means(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    prepared_step(model, optimizer, batches, amp_dtype)
    kept = [batch for batch in batches if n_targets(batch[1])]
    loss = sum(backward(model, batch, 1 / len(kept), amp_dtype) for batch in kept)
    finished_step(optimizer, max_norm)
    return loss


@mistake("train_step", replaces="train_step", says="You weigh batches by their size, and count ignored targets, too.")
def weighs_ignored_targets(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    prepared_step(model, optimizer, batches, amp_dtype)
    kept = [batch for batch in batches if n_targets(batch[1])]
    size = sum(targets.numel() for _, targets in kept)
    loss = sum(backward(model, batch, batch[1].numel() / size, amp_dtype) for batch in kept)
    finished_step(optimizer, max_norm)
    return loss


@mistake("train_step", replaces="train_step", says="You do not clear the gradients first.")
def keeps_old_gradients(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    old = [parameter.grad for parameter in held_by(optimizer)]
    prepared_step(model, optimizer, batches, amp_dtype)
    for parameter, gradient in zip(held_by(optimizer), old, strict=True):
        parameter.grad = gradient
    loss = sum(backward(model, batch, share, amp_dtype) for batch, share in with_shares(batches))
    finished_step(optimizer, max_norm)
    return loss


@mistake("train_step", replaces="train_step", says="You clear the gradients before each batch: only the last counts.")
def clears_before_each_batch(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    prepared_step(model, optimizer, batches, amp_dtype)
    loss = 0.0
    for batch, share in with_shares(batches):
        optimizer.zero_grad()
        loss += backward(model, batch, share, amp_dtype)
    finished_step(optimizer, max_norm)
    return loss


@mistake("train_step", replaces="train_step", says="You update after each batch.")
def updates_after_each_batch(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    prepared_step(model, optimizer, batches, amp_dtype)
    loss = 0.0
    for batch, share in with_shares(batches):
        optimizer.zero_grad()
        loss += backward(model, batch, share, amp_dtype)
        finished_step(optimizer, max_norm)
    return loss


@mistake("train_step", replaces="train_step", says="You clip after each batch, not once for all of them.")
def clips_after_each_batch(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    prepared_step(model, optimizer, batches, amp_dtype)
    loss = 0.0
    for batch, share in with_shares(batches):
        loss += backward(model, batch, share, amp_dtype)
        if max_norm is not None:
            clip_grad_norm(held_by(optimizer), max_norm)
    optimizer.step()
    return loss


@mistake("train_step", replaces="train_step", says="You clip the model's parameters, not the optimizer's.")
def clips_the_model(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    prepared_step(model, optimizer, batches, amp_dtype)
    loss = sum(backward(model, batch, share, amp_dtype) for batch, share in with_shares(batches))
    finished_step(optimizer, max_norm, model.parameters())
    return loss


@mistake("train_step", replaces="train_step", says="You clear the model's gradients, not the optimizer's.")
def clears_the_model(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    old = [parameter.grad for parameter in held_by(optimizer)]
    prepared_step(model, optimizer, batches, amp_dtype)
    for parameter, gradient in zip(held_by(optimizer), old, strict=True):
        parameter.grad = gradient
    model.zero_grad()
    loss = sum(backward(model, batch, share, amp_dtype) for batch, share in with_shares(batches))
    finished_step(optimizer, max_norm)
    return loss


@mistake("train_step", replaces="train_step", says="A norm that is not finite goes unnoticed: you swallow the error.")
def swallows_the_error(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    try:
        return right_step(model, optimizer, batches, max_norm=max_norm, amp_dtype=amp_dtype)
    except RuntimeError:
        return math.nan


@mistake("train_step", replaces="train_step", says="You train in whichever mode the model happens to be.")
def leaves_the_mode(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    training = model.training
    prepared_step(model, optimizer, batches, amp_dtype)
    model.train(training)
    loss = sum(backward(model, batch, share, amp_dtype) for batch, share in with_shares(batches))
    finished_step(optimizer, max_norm)
    return loss


@mistake("train_step", replaces="train_step", says="You return a tensor, which keeps its memory. Return a float.")
def returns_a_tensor(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    return torch.tensor(right_step(model, optimizer, batches, max_norm=max_norm, amp_dtype=amp_dtype))


@mistake("train_step", replaces="train_step", says="A batch in which nothing counts turns your weights into NaN.")
def nan_from_a_batch_without_targets(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    prepared_step(model, optimizer, batches, amp_dtype)
    total = sum(n_targets(targets) for _, targets in batches)
    loss = sum(backward(model, batch, n_targets(batch[1]) / total, amp_dtype) for batch in batches)
    finished_step(optimizer, max_norm)
    return loss


@mistake("train_step", replaces="train_step", says="You ignore amp_dtype.")
def ignores_amp(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    prepared_step(model, optimizer, batches, amp_dtype)
    return right_step(model, optimizer, batches, max_norm=max_norm)


@mistake("train_step", replaces="train_step", says="You convert the model's weights to bfloat16.")
def converts_the_model(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    prepared_step(model, optimizer, batches, amp_dtype)
    if amp_dtype is not None:
        model.to(amp_dtype)
    return right_step(model, optimizer, batches, max_norm=max_norm)


@mistake("train_step", replaces="train_step", says="You accept any amp_dtype. float16 would need scaled losses.")
def accepts_float16(model, optimizer, batches, *, max_norm=None, amp_dtype=None):
    known = amp_dtype if amp_dtype in (None, torch.bfloat16) else None
    return right_step(model, optimizer, batches, max_norm=max_norm, amp_dtype=known)


# --- evaluate --------------------------------------------------------------------------------------------------------


def weighed_mean(model, batches):
    """The right number, in whatever mode."""
    total, seen = 0.0, 0
    for ids, targets in batches:
        if n_targets(targets):
            total += right_cross_entropy(model(ids), targets).item() * n_targets(targets)
            seen += n_targets(targets)
    if not seen:
        raise ValueError("there are no batches")
    return total / seen


@mistake(
    "evaluate", replaces="estimate_loss", says="You take the mean of the batches' means: small batches weigh too much."
)
def estimate_by_means(model, batches):
    means = [right_estimate(model, [batch]) for batch in batches if n_targets(batch[1])]
    if not means:
        raise ValueError("there are no batches")
    return sum(means) / len(means)


@mistake("evaluate", replaces="estimate_loss", says="You weigh batches by their size, and count ignored targets, too.")
def estimate_by_sizes(model, batches):
    batches = [batch for batch in batches if n_targets(batch[1])]
    if not batches:
        raise ValueError("there are no batches")
    sizes = [targets.numel() for _, targets in batches]
    means = [right_estimate(model, [batch]) for batch in batches]
    return sum(mean * size for mean, size in zip(means, sizes, strict=True)) / sum(sizes)


@mistake("evaluate", replaces="estimate_loss", says="You measure with dropout: the model is not in evaluation mode.")
def estimate_with_dropout(model, batches):
    with torch.no_grad(), torch.random.fork_rng():
        return weighed_mean(model, batches)


@mistake("evaluate", replaces="estimate_loss", says="You leave the model in evaluation mode.")
def estimate_leaves_evaluation_mode(model, batches):
    model.eval()
    with torch.no_grad(), torch.random.fork_rng():
        return weighed_mean(model, batches)


@mistake(
    "evaluate", replaces="estimate_loss", says="You give the model its mode back, and all submodules the same one."
)
def estimate_gives_one_mode_back(model, batches):
    training = model.training
    model.eval()
    with torch.no_grad(), torch.random.fork_rng():
        estimate = weighed_mean(model, batches)
    model.train(training)
    return estimate


@mistake("evaluate", replaces="estimate_loss", says="You compute gradients that nobody needs.")
def estimate_with_gradients(model, batches):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.random.fork_rng():
        estimate = weighed_mean(model, batches)
    for module, mode in modes:
        module.training = mode
    return estimate


@mistake("evaluate", replaces="estimate_loss", says="You take batches from a list only, not from any iterable.")
def estimate_of_lists(model, batches):
    if len(batches) == 0:
        raise ValueError("there are no batches")
    return right_estimate(model, batches)


@mistake(
    "evaluate", replaces="estimate_loss", says="You go through the batches twice, and a generator is empty by then."
)
def estimate_in_two_rounds(model, batches):
    total = sum(n_targets(targets) for _, targets in batches)
    if total == 0:
        raise ValueError("there are no batches")
    return sum(right_estimate(model, [b]) * n_targets(b[1]) for b in batches if n_targets(b[1])) / total


@mistake("evaluate", replaces="estimate_loss", says="After your estimate, other random numbers come than without it.")
def estimate_uses_randomness(model, batches):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        estimate = weighed_mean(model, batches)
    for module, mode in modes:
        module.training = mode
    return estimate


@mistake("evaluate", replaces="estimate_loss", says="A batch in which nothing counts makes your estimate NaN.")
def estimate_of_nan(model, batches):
    parts = [(right_estimate(model, [batch]), n_targets(batch[1])) for batch in batches]
    if not parts:
        raise ValueError("there are no batches")
    return sum(mean * count for mean, count in parts) / sum(count for _, count in parts)


# --- checkpoint ------------------------------------------------------------------------------------------------------


KEYS = {"model", "optimizer", "step", "random_state", "cuda_random_state"}


def contents(model, optimizer, step):
    return {
        "model": model.state_dict(),
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "step": step,
        "random_state": torch.get_rng_state(),
        "cuda_random_state": [],
    }


def prepared(path, step):
    if step < 0:
        raise ValueError("step must not be negative")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return Path(path)


@mistake("checkpoint", replaces="save_checkpoint", says="You write straight to the path: a kill leaves half a file.")
def writes_in_place(path, model, optimizer, step):
    torch.save(contents(model, optimizer, step), prepared(path, step))


@mistake("checkpoint", replaces="save_checkpoint", says="You write into the file that has the name already.")
def writes_bytes_in_place(path, model, optimizer, step):
    buffer = io.BytesIO()
    torch.save(contents(model, optimizer, step), buffer)
    prepared(path, step).write_bytes(buffer.getvalue())


@mistake("checkpoint", replaces="save_checkpoint", says="You delete the old checkpoint before the new one is complete.")
def deletes_first(path, model, optimizer, step):
    path = prepared(path, step)
    path.unlink(missing_ok=True)
    torch.save(contents(model, optimizer, step), path)


@mistake("checkpoint", replaces="save_checkpoint", says="You leave the temporary file behind.")
def leaves_a_copy(path, model, optimizer, step):
    right_save(path, model, optimizer, step)
    right_save(f"{path}.tmp", model, optimizer, step)


@mistake("checkpoint", replaces="save_checkpoint", says="You do not make the folder.")
def needs_the_folder(path, model, optimizer, step):
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"there is no folder {Path(path).parent}")
    right_save(path, model, optimizer, step)


@mistake("checkpoint", replaces="load_checkpoint", says="You do not put the random state back.")
def forgets_the_random_state(path, model, optimizer=None):
    before = torch.get_rng_state()
    step = right_load(path, model, optimizer)
    torch.set_rng_state(before)
    return step


@mistake(
    "checkpoint", replaces="load_checkpoint", says="You do not put the optimizer's state back: its m and v begin anew."
)
def forgets_the_optimizer(path, model, optimizer=None):
    if optimizer is not None:
        copied_model, copied_optimizer = copy.deepcopy((model, optimizer))
        right_load(path, copied_model, copied_optimizer)
    return right_load(path, model)


@mistake(
    "checkpoint", replaces="load_checkpoint", says="You return the number of the last step, not of the steps done."
)
def returns_the_last_step(path, model, optimizer=None):
    return right_load(path, model, optimizer) - 1


@mistake("checkpoint", replaces="load_checkpoint", says="torch's own errors come out of your loading.")
def passes_torchs_errors_on(path, model, optimizer=None):
    content = torch.load(path, weights_only=True)
    if optimizer is not None and content["optimizer"] is None:
        raise ValueError(f"{path} holds no optimizer")
    copied_model, copied_optimizer = copy.deepcopy((model, optimizer))
    copied_model.load_state_dict(content["model"])
    if optimizer is not None:
        copied_optimizer.load_state_dict(content["optimizer"])
    return right_load(path, model, optimizer)


@mistake(
    "checkpoint", replaces="load_checkpoint", says="When the rest does not fit, half of the weights are loaded already."
)
def loads_half(path, model, optimizer=None):
    content = read_checkpoint(path)
    if optimizer is not None and content["optimizer"] is None:
        raise ValueError(f"{path} holds no optimizer")
    try:
        model.load_state_dict(content["model"])
        if optimizer is not None:
            optimizer.load_state_dict(content["optimizer"])
    except Exception as error:
        raise ValueError(f"{path} does not fit: {error}") from error
    torch.set_rng_state(content["random_state"])
    return content["step"]


@mistake(
    "checkpoint", replaces="load_checkpoint", says="You load the model before you see that the optimizer does not fit."
)
def loads_the_model_first(path, model, optimizer=None):
    step = right_load(path, model)
    return step if optimizer is None else right_load(path, model, optimizer)


@mistake("checkpoint", replaces="load_checkpoint", says="You load what fits and leave out the rest without a word.")
def loads_what_fits(path, model, optimizer=None):
    content = read_checkpoint(path)
    if optimizer is not None and content["optimizer"] is None:
        raise ValueError(f"{path} holds no optimizer")
    own = model.state_dict()
    fitting = {k: v for k, v in content["model"].items() if k in own and own[k].shape == v.shape}
    model.load_state_dict(fitting, strict=False)
    if optimizer is not None:
        optimizer.load_state_dict(content["optimizer"])
    torch.set_rng_state(content["random_state"])
    return content["step"]


@mistake(
    "checkpoint", replaces="load_checkpoint", says="An optimizer that is not in the file is left out without a word."
)
def needs_no_optimizer(path, model, optimizer=None):
    has_optimizer = read_checkpoint(path)["optimizer"] is not None
    return right_load(path, model, optimizer if has_optimizer else None)


@mistake("checkpoint", replaces="load_checkpoint", says="The random state changes although loading fails.")
def loads_the_random_state_first(path, model, optimizer=None):
    torch.set_rng_state(read_checkpoint(path)["random_state"])
    return right_load(path, model, optimizer)


@mistake("checkpoint", replaces="load_checkpoint", says="Your error does not say which file is wrong.")
def names_no_file(path, model, optimizer=None):
    try:
        return right_load(path, model, optimizer)
    except ValueError:
        raise ValueError("this checkpoint cannot be loaded") from None


@mistake("checkpoint", replaces="read_checkpoint", says="You let a file run its own code: load with weights_only=True.")
def runs_code(path):
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        content = torch.load(path, weights_only=False)
    except Exception as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if damaged or not isinstance(content, dict) or set(content) != KEYS:
        raise ValueError(f"{path} is damaged, or no checkpoint")
    return content


@mistake(
    "checkpoint", replaces="read_checkpoint", says="A file in which a bit has changed is loaded as if nothing were."
)
def compares_no_checksums(path):
    try:
        content = torch.load(path, weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict) or set(content) != KEYS:
        raise ValueError(f"{path} is no checkpoint")
    return content


@mistake("checkpoint", replaces="read_checkpoint", says="A file of torch's that is no checkpoint gives a KeyError.")
def takes_any_file_of_torchs(path):
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        content = torch.load(path, weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if damaged:
        raise ValueError(f"{path} is damaged")
    return content


# --- train -----------------------------------------------------------------------------------------------------------


def loop(model, optimizer, next_batch, before, *, steps, schedule, accumulate=1, max_norm=1.0, amp_dtype=None,
         start=0, on_step=None):  # fmt: skip
    """A right loop, but for the learning rate: `before(step)` is called before each update."""
    losses = []
    for step in range(start, start + steps):
        before(step)
        batches = [next_batch() for _ in range(accumulate)]
        losses.append(train_step(model, optimizer, batches, max_norm=max_norm, amp_dtype=amp_dtype))
        if on_step is not None:
            on_step(step, losses[-1], schedule(step))
    return losses


def check_loop(steps, start=0, accumulate=1, **others):
    if steps < 0 or start < 0 or accumulate < 1:
        raise ValueError("steps, start or accumulate makes no sense")


@mistake("train", replaces="train", says="Your schedule begins at 0 again when a run is resumed.")
def schedule_from_0(model, optimizer, next_batch, *, schedule, start=0, on_step=None, **options):
    tell = None if on_step is None else lambda step, loss, lr: on_step(step + start, loss, lr)
    check_loop(start=start, **options)
    return right_train(model, optimizer, next_batch, schedule=schedule, on_step=tell, **options)


@mistake("train", replaces="train", says="on_step counts from 0 when a run is resumed.")
def on_step_from_0(model, optimizer, next_batch, *, start=0, on_step=None, **options):
    tell = None if on_step is None else lambda step, loss, lr: on_step(step - start, loss, lr)
    return right_train(model, optimizer, next_batch, start=start, on_step=tell, **options)


@mistake("train", replaces="train", says="You take `steps` for the last step's number, not for how many to make.")
def steps_is_the_end(model, optimizer, next_batch, *, steps, start=0, **options):
    check_loop(steps, start, **options)
    return right_train(model, optimizer, next_batch, steps=max(0, steps - start), start=start, **options)


@mistake("train", replaces="train", says="Only the first group gets the learning rate.")
def first_group_only(model, optimizer, next_batch, *, schedule, **options):
    check_loop(**options)

    def before(step):
        optimizer.param_groups[0]["lr"] = schedule(step)

    return loop(model, optimizer, next_batch, before, schedule=schedule, **options)


@mistake("train", replaces="train", says="You set the learning rate after the step.")
def sets_lr_too_late(model, optimizer, next_batch, *, schedule, on_step=None, **options):
    def after(step, loss, lr):
        for group in optimizer.param_groups:
            group["lr"] = lr
        if on_step is not None:
            on_step(step, loss, lr)

    check_loop(**options)
    return loop(model, optimizer, next_batch, lambda step: None, schedule=schedule, on_step=after, **options)


@mistake("train", replaces="train", says="You use the first batches in every step.")
def same_batches_every_step(model, optimizer, next_batch, *, steps, accumulate=1, **options):
    check_loop(steps, accumulate=accumulate, **options)
    batches = [next_batch() for _ in range(accumulate)] if steps else []
    again = (batch for _ in range(steps) for batch in batches)
    return right_train(model, optimizer, lambda: next(again), steps=steps, accumulate=accumulate, **options)


@mistake("train", replaces="train", says="You make an update with each batch instead of accumulating.")
def never_accumulates(model, optimizer, next_batch, *, steps, schedule, accumulate=1, start=0, **options):
    check_loop(steps, start, accumulate)
    losses = []
    for step in range(start, start + steps):
        parts = [
            right_train(model, optimizer, next_batch, steps=1, schedule=schedule, start=step, **options)[0]
            for _ in range(accumulate)
        ]
        losses.append(sum(parts) / accumulate)
    return losses


@mistake("train", replaces="train", says="You call on_step before the update.")
def tells_too_early(model, optimizer, next_batch, *, on_step=None, **options):
    before = [copy.deepcopy(model.state_dict())]

    def tell(step, loss, lr):
        after = copy.deepcopy(model.state_dict())
        model.load_state_dict(before[0])
        if on_step is not None:
            on_step(step, loss, lr)
        model.load_state_dict(after)
        before[0] = after

    return right_train(model, optimizer, next_batch, on_step=tell, **options)


@mistake("train", replaces="train", says="You do not hand max_norm on.")
def hands_no_max_norm_on(model, optimizer, next_batch, *, max_norm=1.0, **options):
    return right_train(model, optimizer, next_batch, max_norm=None, **options)


@mistake("train", replaces="train", says="max_norm=None is no clipping, not 1.")
def always_clips(model, optimizer, next_batch, *, max_norm=1.0, **options):
    return right_train(model, optimizer, next_batch, max_norm=max_norm or 1.0, **options)


@mistake("train", replaces="train", says="You do not hand amp_dtype on.")
def hands_no_amp_dtype_on(model, optimizer, next_batch, *, amp_dtype=None, **options):
    return right_train(model, optimizer, next_batch, **options)


@mistake("train", replaces="train", says="You accept numbers that make no sense.")
def checks_nothing(model, optimizer, next_batch, *, steps, accumulate=1, start=0, **options):
    least = {"steps": max(0, steps), "accumulate": max(1, accumulate), "start": max(0, start)}
    return right_train(model, optimizer, next_batch, **least, **options)
