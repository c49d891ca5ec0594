"""Training: from a model that guesses to a model that has learned, and files that keep what it has learned.

    optimizer = AdamW(model.parameters(), lr=1e-3)
    train(model, optimizer, next_batch, steps=100, schedule=lambda step: 1e-3)       # one hundred losses, falling
    save_checkpoint("runs/cat.pt", model, optimizer, step=100)

From small to large: `cross_entropy` says how wrong the model is, `AdamW` moves the weights, `cosine_schedule` and
`clip_grad_norm` keep the moves in bounds, `train_step` puts these together, `estimate_loss` measures without training,
`save_checkpoint` and `load_checkpoint` keep a run, and `train` is the loop. A batch is a pair `(ids, targets)` of int64
tensors, and a target of -100 does not count.

Does not handle: several processes or devices, training in float16 (which needs its losses scaled), sparse gradients.
"""

import copy
import math
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Batch = tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]
IGNORED = -100  # the target of a position that does not count


def cross_entropy(
    logits: Float[Tensor, "... vocab"], targets: Int[Tensor, "..."], ignore_index: int = IGNORED
) -> Float[Tensor, ""]:
    """The mean of −log p(target), where p is the softmax of the logits: how surprised the model is by what came.

    On paper: the logits [0, ln 3] stand for the probabilities [1/4, 3/4]. If token 1 comes, the surprise is
    −log 3/4 = 0.2877; if token 0 comes, it is −log 1/4 = 1.3863. The mean of both:

        logits = torch.tensor([[0.0, 1.0986], [0.0, 1.0986]])
        cross_entropy(logits, torch.tensor([1, 0]))              # tensor(0.8370)

    Never compute p itself: far from the largest logit it is 0, and log 0 is −infinity. Write the surprise as
    log(sum of exp(logits)) − logit of the target. As in softmax, first take the largest logit away from all of them;
    then no exp overflows, and nothing in the result changes (Blanchard, Higham and Higham 2021, section 1).

    logits: any number of leading axes, none as well. targets: the same axes without the last.
    ignore_index: targets with this value do not count, neither in the sum nor in the number that it is divided by.
    Returns a scalar: float64 for float64 logits, otherwise float32, and everything is computed in that dtype.
    Raises IndexError if a target that counts is not from 0 to vocab − 1.

    Steps:
    1. Widen the logits to float32 if they are narrower than that.
    2. Pick the positions whose target counts: their logits and their targets. Check these targets.
    3. Take away each position's largest logit.
    4. For each position: the log of the sum of exp, minus the logit of the target. Return the mean.
    """
    ### BEGIN SOLUTION
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    counts = targets != ignore_index  # (...)
    wide, targets = wide[counts], targets[counts]  # (positions, vocab), (positions,)
    outside = (targets < 0) | (targets >= wide.shape[-1])
    if outside.any():
        raise IndexError(f"target {targets[outside][0].item()} is not from 0 to {wide.shape[-1] - 1}")
    shifted = wide - wide.amax(dim=-1, keepdim=True)  # (positions, vocab)
    log_sums = shifted.exp().sum(dim=-1).log()  # (positions,)
    of_targets = shifted.gather(-1, targets.unsqueeze(-1)).squeeze(-1)  # (positions,)
    return (log_sums - of_targets).mean()
    ### END SOLUTION


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay (Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019, algorithm 2).

    For each weight θ with the gradient g, in its own step t = 1, 2, 3, …:

        θ ← θ − lr · weight_decay · θ                            decay, of the weight as it was
        m ← β₁ · m + (1 − β₁) · g                                running mean of the gradient, 0 at first
        v ← β₂ · v + (1 − β₂) · g²                               running mean of its square, 0 at first
        θ ← θ − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + eps)

    On paper: θ = 1, g = 0.5, lr = 0.1, weight_decay = 0.1. Decay leaves 0.99. In the first step the two corrections
    make m and v the gradient and its square themselves, so the move is 0.1 · 0.5 / √0.25 = 0.1, and θ = 0.89:

        weight = torch.nn.Parameter(torch.tensor([1.0]))
        weight.grad = torch.tensor([0.5])
        AdamW([weight], lr=0.1, weight_decay=0.1).step()
        weight                                                   # tensor([0.8900])

    `torch.optim.Optimizer`, which this derives from, brings `param_groups`, `state`, `zero_grad` and `state_dict`.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        """Checks the settings and hands them on.

        params: parameters, or dicts such as {"params": [...], "lr": 0.1}: groups with settings of their own.
        Raises ValueError if lr, eps or weight_decay is negative, or a beta is not at least 0 and below 1.

        Steps:
        1. Check the settings.
        2. Call `super().__init__(params, defaults)`, with the settings in a dict under their own names. It makes
           `self.param_groups`: a list of dicts, each with its "params" and all settings.
        """
        ### BEGIN SOLUTION
        for name, value in {"lr": lr, "eps": eps, "weight_decay": weight_decay}.items():
            if not value >= 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        for beta in betas:
            if not 0 <= beta < 1:
                raise ValueError(f"betas must be at least 0 and below 1, got {betas}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        ### END SOLUTION

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Moves every parameter that has a gradient, with the settings of its group.

        closure: computes the loss and its gradients anew, as some optimizers need it. Call it once, first, with
            gradients enabled.
        Returns what the closure gave; None without one.

        Steps:
        1. Call the closure if there is one. Gradients are off in here; `torch.enable_grad()` turns them on.
        2. In each group, hand each parameter that has a gradient to `update`. The others stay as they are, and do not
           count a step.
        """
        ### BEGIN SOLUTION
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.update(parameter, group)
        return loss
        ### END SOLUTION

    def update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        """Moves one parameter, in place. What it has to remember is `self.state[parameter]`, an empty dict at first.

        The names in it are torch's, so that saved states can be exchanged: "step", the number t of this parameter's own
        steps (a number, or a tensor without axes), and "exp_avg" and "exp_avg_sq", m and v, which have the shape and
        dtype of the parameter.

        Steps:
        1. In the parameter's first step, fill its state: 0 steps, and zeros for m and v.
        2. Count the step.
        3. Decay the parameter: multiply it by 1 − lr · weight_decay.
        4. Bring m and v up to date.
        5. Divide each by its correction, and move the parameter. eps comes after the root.
        """
        ### BEGIN SOLUTION
        gradient, state = parameter.grad, self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] = state["step"] + 1
        t, (beta1, beta2) = int(state["step"]), group["betas"]
        mean, mean_square = state["exp_avg"], state["exp_avg_sq"]
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        mean.lerp_(gradient, 1 - beta1)
        mean_square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        root = (mean_square / (1 - beta2**t)).sqrt_().add_(group["eps"])
        parameter.addcdiv_(mean, root, value=-group["lr"] / (1 - beta1**t))
        ### END SOLUTION


def cosine_schedule(step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int) -> float:
    """The learning rate of a step: up along a straight line, then down along half a cosine, then flat.

    With max_lr = 1, min_lr = 0.2, 2 steps of warmup and 6 in all:

        step             0     1     2     3     4     5     6     7
        learning rate    0.0   0.5   1.0   0.88  0.6   0.32  0.2   0.2

    Below `warmup_steps` it is max_lr · step / warmup_steps (Goyal et al. 2017, section 2.2). From there to
    `total_steps` it is min_lr + (max_lr − min_lr) · (1 + cos(π · progress)) / 2, where progress goes from 0 to 1
    (Loshchilov and Hutter 2017, equation 5). At `total_steps` and later it is min_lr.

    step: counted from 0.
    warmup_steps: may be 0, so that it begins at max_lr; or total_steps, so that there is no cosine.
    Raises ValueError if `step` or `warmup_steps` is negative, `total_steps` is below 1, or `warmup_steps` is above
    `total_steps`.

    Steps:
    1. Check the numbers of steps.
    2. Settle the two ends: in the warmup, and from `total_steps` on.
    3. Otherwise, find the progress, and take the cosine.
    """
    ### BEGIN SOLUTION
    if step < 0:
        raise ValueError(f"step must not be negative, got {step}")
    if total_steps < 1:
        raise ValueError(f"total_steps must be at least 1, got {total_steps}")
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps must be from 0 to total_steps = {total_steps}, got {warmup_steps}")
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    if step >= total_steps:
        return min_lr
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * progress)) / 2
    ### END SOLUTION


def clip_grad_norm(parameters: Iterable[Tensor], max_norm: float) -> Float[Tensor, ""]:
    """Scales all gradients down together, in place, if their common length is above `max_norm`.

    The length, or norm, is that of all gradients written one behind the other as a single vector: the root of the sum
    of all squares. One factor for all keeps its direction (Pascanu et al. 2013, algorithm 1). On paper: the gradients
    [3] and [4] of two parameters have the norm √(9 + 16) = 5. With max_norm = 1 they become [0.6] and [0.8]:

        clip_grad_norm([first, second], max_norm=1.0)            # tensor(5.)

    parameters: any iterable, also one that can be gone through only once. A parameter without a gradient has no part.
    Returns the norm from *before*, a float32 scalar, computed in float32; 0 if there is no gradient.
    Raises ValueError if `max_norm` is negative. Raises RuntimeError if the norm is infinite or NaN; then the gradients
    stay as they are.

    Steps:
    1. Collect the gradients there are.
    2. Compute the norm of each in float32, then the norm of these norms.
    3. If it is not finite, raise.
    4. The factor is max_norm / (norm + 1e-6). If it is below 1, multiply every gradient by it.
    """
    ### BEGIN SOLUTION
    if max_norm < 0:
        raise ValueError(f"max_norm must not be negative, got {max_norm}")
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return torch.tensor(0.0)
    norms = torch.stack([torch.linalg.vector_norm(gradient.float()) for gradient in gradients])  # (gradients,)
    norm = torch.linalg.vector_norm(norms)
    if not norm.isfinite():
        raise RuntimeError(f"the norm of the gradients is {norm.item()}, so the weights cannot be updated")
    factor = max_norm / (norm + 1e-6)
    if factor < 1:
        for gradient in gradients:
            gradient.mul_(factor)
    return norm
    ### END SOLUTION


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    *,
    max_norm: float | None = None,
    amp_dtype: torch.dtype | None = None,
) -> float:
    """Makes one update from several batches: the same as from one big batch that holds all of them.

    A big batch may not fit into memory. But gradients add up: `backward` adds to what is there. So let one small batch
    after the other add its part, and update once. Its part is its share of the targets. With 3 targets that count in
    one batch and 1 in another, their mean losses weigh 3/4 and 1/4:

        train_step(model, optimizer, [(ids, targets), (more_ids, more_targets)])          # the mean over all targets

    batches: pairs (ids, targets); `model(ids)` gives the logits. Shapes may differ. Targets of -100 do not count, and a
        batch may hold nothing else, as long as another one does.
    max_norm: if it is not None, clip the gradients of the optimizer's parameters, all batches' together, before the
        update.
    amp_dtype: None, or torch.bfloat16 to run the model and the loss under `torch.autocast`. The weights and their
        gradients stay float32. bfloat16 reaches as far as float32, so losses need no scaling, which float16 would
        (Micikevicius et al. 2018, section 3.2).
    Returns the mean loss over all targets that count, as a float.
    Raises ValueError if there are no batches, or for any other `amp_dtype`. A norm that is not finite comes through as
    `clip_grad_norm`'s RuntimeError; then the weights are as they were.

    Steps:
    1. Check the arguments. Put the model into training mode, and clear the gradients of the optimizer's parameters.
    2. Count the targets of each batch, and of all.
    3. For each batch that has any: compute its loss, under `torch.autocast(ids.device.type, dtype=amp_dtype)` if asked
       for, times its share. Call `backward`, and add it to the mean.
    4. Clip, if `max_norm` is given: `optimizer.param_groups` holds the parameters.
    5. Update, and return the mean.
    """
    ### BEGIN SOLUTION
    if not batches:
        raise ValueError("batches must hold at least one (ids, targets)")
    if amp_dtype not in (None, torch.bfloat16):
        raise ValueError(f"amp_dtype must be None or torch.bfloat16, got {amp_dtype}")
    model.train()
    optimizer.zero_grad()
    counts = [int((targets != IGNORED).sum()) for _, targets in batches]
    total, mean_loss = sum(counts), 0.0
    for (ids, targets), count in zip(batches, counts, strict=True):
        if count == 0:
            continue
        with torch.autocast(ids.device.type, dtype=amp_dtype, enabled=amp_dtype is not None):
            part = cross_entropy(model(ids), targets) * (count / total)
        part.backward()
        mean_loss += part.item()
    if max_norm is not None:
        clip_grad_norm([p for group in optimizer.param_groups for p in group["params"]], max_norm)
    optimizer.step()
    return mean_loss
    ### END SOLUTION


def estimate_loss(model: nn.Module, batches: Iterable[Batch]) -> float:
    """The mean loss over batches, measured without leaving a trace: for text that the model is not trained on.

        estimate_loss(model, [(ids, targets), (more_ids, more_targets)])                  # a float

    Every target that is not -100 counts the same, in whichever batch it stands. The model is in evaluation mode
    meanwhile, so that dropout is off, and no gradients are computed.

    batches: any iterable, also one that can be gone through only once. It may draw its batches at random.
    Afterwards every submodule has the mode that it had before (some may be in evaluation mode while the model is in
    training mode), torch's random state is the one from before, and gradients that were there are still there.
    Raises ValueError if there are no batches.

    Steps:
    1. Note the mode of every submodule. Switch to evaluation mode.
    2. With gradients off, and with torch's random state set aside (`torch.random.fork_rng()`), go through the batches:
       add up the number of targets that count, and each batch's mean loss times its number.
    3. Give every submodule its mode back.
    4. Divide.
    """
    ### BEGIN SOLUTION
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    total, seen, n_batches = 0.0, 0, 0
    try:
        with torch.no_grad(), torch.random.fork_rng():
            for ids, targets in batches:
                n_batches += 1
                count = int((targets != IGNORED).sum())
                if count > 0:
                    total += cross_entropy(model(ids), targets).item() * count
                    seen += count
    finally:
        for module, mode in modes:
            module.training = mode
    if n_batches == 0:
        raise ValueError("batches must hold at least one (ids, targets)")
    return total / seen if seen > 0 else math.nan
    ### END SOLUTION


def save_checkpoint(path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer | None, step: int) -> None:
    """Writes all that a run needs to go on later as if it had never stopped, into one file.

        save_checkpoint("runs/cat.pt", model, optimizer, step=100)

    A run can be killed while it writes. So write to another name beside it first, and rename when it is complete: a
    rename happens at once or not at all, and whoever reads `path` finds the old checkpoint or the new one, whole.

    optimizer: None for a checkpoint without one.
    step: the number of steps done, at least 0; otherwise ValueError.
    The folder is made, with its parents, if it is not there. Afterwards there is no file in it but `path` that was not
    there before. If saving fails, the old checkpoint is as it was.

    Steps:
    1. Collect in a dict, all of it such that `torch.load(..., weights_only=True)` can read it: "model" and "optimizer",
       which are their `state_dict()` (or None), "step", "random_state", and "cuda_random_state", a list of those of all
       CUDA devices. The library uses the same names, so that each can read what the other wrote.
    2. Make the folder.
    3. `torch.save` to a temporary name in that folder, and rename. If this fails, remove the temporary file.
    """
    ### BEGIN SOLUTION
    if step < 0:
        raise ValueError(f"step must not be negative, got {step}")
    content = {
        "model": model.state_dict(),
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "step": step,
        "random_state": torch.get_rng_state(),
        "cuda_random_state": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        torch.save(content, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    ### END SOLUTION


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote, and makes sure that it is whole. `load_checkpoint` uses it; the tests do not.

    A file from elsewhere may hold code that runs when it is unpickled: `weights_only=True` refuses it. A file that was
    damaged on the way may load all the same, with wrong numbers: a checkpoint is a zip file, and zip files hold
    checksums. `torch.load` does not compare them, but `zipfile.ZipFile(path).testzip()` does: it gives the name of the
    first damaged entry, or None.

    Raises ValueError that names the file, for every file that is not a complete checkpoint of this kind.

    Steps:
    1. Test the checksums, and load with `weights_only=True`, to the CPU. Turn every error into a ValueError.
    2. Check that it is a dict with the keys that `save_checkpoint` writes.
    """
    ### BEGIN SOLUTION
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        content = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is damaged, or no checkpoint: {error}") from error
    if damaged is not None:
        raise ValueError(f"{path} is damaged: {damaged} in it has a wrong checksum")
    keys = {"model", "optimizer", "step", "random_state", "cuda_random_state"}
    if not isinstance(content, dict) or content.keys() != keys:
        raise ValueError(f"{path} is no checkpoint: it does not hold {', '.join(sorted(keys))}")
    return content
    ### END SOLUTION


def load_checkpoint(path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> int:
    """Puts model, optimizer and torch's random state back as they were when the checkpoint was written.

        step = load_checkpoint("runs/cat.pt", model, optimizer)                           # 100

    optimizer: None to load the model alone, such as for writing text. The random state is loaded in any case.
    Returns the number of steps done.
    Raises ValueError that names the file, if it is damaged or no checkpoint, if it belongs to another model or another
    optimizer, or if it has no optimizer and one is asked for. Then model, optimizer and random state are as they were:
    all three. Beware of `load_state_dict`, which may have copied half of the weights when it finds that the rest does
    not fit.

    Steps:
    1. Read the checkpoint. Check that it has an optimizer if one is asked for.
    2. Try everything on copies first. One `copy.deepcopy((model, optimizer))` for both keeps them together: the copied
       optimizer holds the copied model's parameters. A random state can be tried on a `torch.Generator()`.
    3. If that went well, do the same for real.
    """
    ### BEGIN SOLUTION
    content = read_checkpoint(path)
    if optimizer is not None and content["optimizer"] is None:
        raise ValueError(f"{path} holds no optimizer")
    try:
        torch.Generator().set_state(content["random_state"])
        for each_model, each_optimizer in (copy.deepcopy((model, optimizer)), (model, optimizer)):
            each_model.load_state_dict(content["model"])
            if each_optimizer is not None:
                each_optimizer.load_state_dict(content["optimizer"])
    except Exception as error:
        raise ValueError(f"{path} does not fit this model and optimizer: {error}") from error
    torch.set_rng_state(content["random_state"])
    if torch.cuda.is_available() and len(content["cuda_random_state"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(content["cuda_random_state"])
    return content["step"]
    ### END SOLUTION


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    next_batch: Callable[[], Batch],
    *,
    steps: int,
    schedule: Callable[[int], float],
    accumulate: int = 1,
    max_norm: float | None = 1.0,
    amp_dtype: torch.dtype | None = None,
    start: int = 0,
    on_step: Callable[[int, float, float], object] | None = None,
) -> list[float]:
    """Makes `steps` updates, and returns their losses.

        losses = train(model, optimizer, next_batch, steps=3, schedule=lambda step: 0.01)
        len(losses)                                              # 3

    next_batch: gives the next `(ids, targets)` at each call. It is called `steps * accumulate` times.
    schedule: gives the learning rate of a step. Every parameter group gets it before the step.
    accumulate: the number of batches in each update. max_norm, amp_dtype: as in `train_step`.
    start: the number of the first step. A run that goes on after 100 steps is `start=100`: it makes the steps 100, 101
        and so on, and `schedule` and `on_step` are called with these numbers.
    on_step: if there is one, called after each update as `on_step(step, loss, lr)`.
    Raises ValueError if `steps` or `start` is negative, or `accumulate` is below 1. With `steps=0` nothing happens.

    Steps:
    1. Check the numbers.
    2. For each step: ask the schedule, and set "lr" in every group of `optimizer.param_groups`.
    3. Get the batches, hand them to `train_step`, and keep the loss. Tell `on_step`.
    """
    ### BEGIN SOLUTION
    if steps < 0 or start < 0:
        raise ValueError(f"steps and start must not be negative, got {steps} and {start}")
    if accumulate < 1:
        raise ValueError(f"accumulate must be at least 1, got {accumulate}")
    losses = []
    for step in range(start, start + steps):
        lr = schedule(step)
        for group in optimizer.param_groups:
            group["lr"] = lr
        batches = [next_batch() for _ in range(accumulate)]
        loss = train_step(model, optimizer, batches, max_norm=max_norm, amp_dtype=amp_dtype)
        losses.append(loss)
        if on_step is not None:
            on_step(step, loss, lr)
    return losses
    ### END SOLUTION
