"""Where a run trains: on a processor, or on a GPU where the preset is meant for one.

choose_device(None, PRESETS["tiny"])       # "cpu"
choose_device(None, PRESETS["gpu"])        # "cuda"; a ValueError that says what else to do, where there is none
"""

from __future__ import annotations

import torch

from .train import Preset


def choose_device(wish: str | None, preset: Preset) -> str:
    """What is asked for, or without a wish what the preset is meant for, once it is known to be there."""
    device = wish or ("cuda" if preset.gpu else "cpu")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA raises an AssertionError
        reason = str(error).partition("\n")[0].rstrip(".")
        if wish is not None:
            raise ValueError(f"--device {wish} is not there: {reason}") from error
        raise ValueError(
            f"this preset is meant for a GPU with CUDA, which is not there ({reason}). Without one: "
            "--preset shakespeare-char is the same text for a processor; or see a few steps with --device cpu --steps 3"
        ) from error
    return device


def slow_on(device: str, preset: Preset) -> str | None:
    """What to expect of a preset for a GPU that runs on a processor after all; None where there is nothing to say."""
    if not preset.gpu or torch.device(device).type != "cpu":
        return None
    steps = preset.training.steps
    return f"this preset is meant for a GPU: on a processor a step takes about 20 seconds, and there are {steps}"
