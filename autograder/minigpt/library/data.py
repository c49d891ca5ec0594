"""Library part for assignment 02: text clean-up, splits, windows, batches and token files, from `regex` and NumPy.

It does not tokenize and does not shuffle a data set (`torch.utils.data.DataLoader` does).

    >>> x, y = sliding_windows(torch.arange(5), block_size=2, stride=2)
    >>> x.tolist(), y.tolist()
    ([[0, 1], [2, 3]], [[1, 2], [3, 4]])
"""

from __future__ import annotations

import math
import os
import tempfile
import tokenize
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import regex
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import TensorDataset

from .common import at_least

Ids = Int[Tensor, " tokens"] | np.ndarray[Any, Any]

_LINE_ENDS = regex.compile(r"\r\n|[\r\v\f\x85]")
_CONTROLS = regex.compile(r"(?V1)[\p{Cc}--[\t\n]]+")


def normalize_text(text: str) -> str:
    r"""One kind of line end, no control characters but tab and newline, composed accents, no byte order mark.

    >>> normalize_text("a\r\nb\x00")
    'a\nb'
    """
    composed = unicodedata.normalize("NFC", _CONTROLS.sub("", _LINE_ENDS.sub("\n", text)))
    return composed.lstrip("\ufeff")


def train_val_split(ids: Ids, val_fraction: float) -> tuple[Int[Tensor, " train"], Int[Tensor, " val"]]:
    """The ids cut in two, the tail for validation: 0.29 of 100 ids is 29."""
    if not 0 <= val_fraction < 1:
        raise ValueError(f"val_fraction must be at least 0 and below 1, got {val_fraction}")
    n_val = math.floor(round(len(ids) * val_fraction, 6))
    tensor = _as_tensor(ids)
    train, val = tensor.tensor_split([len(tensor) - n_val])
    return train, val


def sliding_windows(
    ids: Ids, block_size: int, stride: int
) -> tuple[Int[Tensor, "windows block"], Int[Tensor, "windows block"]]:
    """All full windows that start at 0, stride, 2 * stride, ..., and the same windows one token later."""
    at_least(1, stride=stride)
    windows = torch.from_numpy(_all_windows(ids, block_size)[::stride].astype(np.int64))  # (windows, block + 1)
    return windows[:, :-1], windows[:, 1:]


def get_batch(
    ids: Ids,
    batch_size: int,
    block_size: int,
    *,
    generator: torch.Generator | None = None,
    device: str | torch.device = "cpu",
) -> tuple[Int[Tensor, "batch block"], Int[Tensor, "batch block"]]:
    """Windows drawn uniformly, with replacement. Only what is drawn is read, so `ids` may be a large memory map."""
    at_least(1, batch_size=batch_size)
    windows = _all_windows(ids, block_size)
    draw_on = generator.device if generator is not None else "cpu"
    starts = torch.randint(len(windows), (batch_size,), generator=generator, device=draw_on)
    batch = torch.from_numpy(windows[starts.cpu().numpy()].astype(np.int64)).to(device)  # (batch, block + 1)
    return batch[:, :-1], batch[:, 1:]


class TokenDataset(TensorDataset):
    """A `Dataset` of windows `(x, y)` of `block_size` tokens; without `stride` they do not overlap."""

    def __init__(self, ids: Ids, block_size: int, stride: int | None = None) -> None:
        super().__init__(*sliding_windows(ids, block_size, block_size if stride is None else stride))


def save_tokens(ids: Ids | Sequence[int], path: str | Path) -> None:
    """Write ids as `.npy` of `uint16`, or of `uint32` where one of them needs it. The path is used as given."""
    array = np.asarray(ids)
    if array.ndim != 1:
        raise ValueError(f"ids must be one-dimensional, got {array.ndim} dimensions")
    lowest, highest = (array.min(), array.max()) if len(array) else (0, 0)
    if lowest < 0 or highest >= 2**32:
        raise ValueError(f"ids must be from 0 to 2**32 - 1, got {lowest if lowest < 0 else highest}")
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, array.astype(np.uint16 if highest < 2**16 else np.uint32))
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_tokens(path: str | Path) -> np.memmap[Any, Any]:
    """The ids of a token file as a read-only memory map: nothing is read before it is looked at."""
    wanted = f"{path}: a token file is one-dimensional .npy of uint16 or uint32"
    try:
        tokens = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, SyntaxError, TypeError, OverflowError, tokenize.TokenError) as error:
        raise ValueError(f"{wanted}, and this one cannot be read: {error}") from error
    if tokens.ndim != 1 or tokens.dtype not in (np.uint16, np.uint32):
        raise ValueError(f"{wanted}, and this one holds {tokens.dtype} of shape {tokens.shape}")
    return tokens


def _as_tensor(ids: Ids) -> Int[Tensor, " tokens"]:
    """The ids as int64: a view where they are that already."""
    if isinstance(ids, Tensor):
        return ids.to(torch.int64)
    return torch.from_numpy(np.asarray(ids).astype(np.int64))


def _all_windows(ids: Ids, block_size: int) -> np.ndarray[Any, Any]:
    """Every run of `block_size + 1` ids, as a view of `[starts, block_size + 1]`."""
    at_least(1, block_size=block_size)
    array = ids.cpu().numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    if len(array) < block_size + 1:
        raise ValueError(f"block_size {block_size} needs at least {block_size + 1} ids, got {len(array)}")
    return np.lib.stride_tricks.sliding_window_view(array, block_size + 1)
