r"""Data: from a long row of token ids to batches that a model can learn from.

    text = normalize_text("the cat sat\r\n")              # "the cat sat\n", whatever it was typed on
    train, val = train_val_split(ids, val_fraction=0.1)   # the last tenth is never trained on
    x, y = get_batch(train, batch_size=4, block_size=8)   # 4 windows, and for each place the id that comes next

From small to large: `normalize_text`, `train_val_split`, `sliding_windows`, `get_batch`, `TokenDataset`, and
`save_tokens` with `load_tokens`, for ids that do not fit into memory.

Ids are one-dimensional: an integer tensor, a NumPy array or a memory map of any integer type. What comes back is int64.

Does not handle: making ids of text, documents that must not run into each other, or padding: every window is full.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset

Ids: TypeAlias = Int[Tensor, " tokens"] | np.ndarray


def to_int64(ids: Int[Tensor, "..."] | np.ndarray) -> Int[Tensor, "..."]:
    """Turns ids of any integer type into an int64 tensor. This one is given: use it wherever you like.

    NumPy's uint16 is small on disk, but torch can do little with it, and a memory map cannot be written to.
    An array or a memory map is copied, so hand in the part that you need, not all of it.
    """
    if isinstance(ids, Tensor):
        return ids.to(torch.int64)
    return torch.from_numpy(np.array(ids, dtype=np.int64))


def normalize_text(text: str) -> str:
    r"""Spells the same text the same way, whichever computer it comes from.

    "café" can be 4 characters or 5: an é, or an e and an accent to put on it. Lines end with \n here and with \r\n
    there. It looks the same on a screen, but a model would have to learn both:

        normalize_text("\ufeffcafe\u0301\r\n\x00")            # "café\n", 5 characters

    Control characters are those of the Unicode category Cc. Only \n and \t are left of them. Everything else stays,
    spaces too. Normalizing twice gives what normalizing once gives.
    Sources: The Unicode Standard, section 5.8 (line ends), section 23.8 (the byte order mark); UAX #15 (NFC).

    Steps, in this order:
    1. Turn each of these into one \n: \r\n (together), \r, \v, \f, and \x85, which is called NEL.
    2. Drop the other control characters, but not \n and \t.
    3. Compose letters and accents: Unicode's form NFC.
    4. Drop byte order marks, \ufeff, from the beginning, and only from there.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def train_val_split(ids: Ids, val_fraction: float) -> tuple[Int[Tensor, " train"], Int[Tensor, " val"]]:
    """Cuts ids in two: the beginning to train on, the end to validate with (Goodfellow et al. 2016, section 5.3).

        ids = torch.tensor([4, 0, 3, 2, 4, 1])
        train_val_split(ids, val_fraction=0.4)                # (tensor([4, 0, 3, 2]), tensor([4, 1]))

    The validation part has floor(len(ids) · val_fraction) ids. On paper 0.29 of 100 is 29, but in floating point it is
    28.999999999999996, so round the product to 6 decimals before you take the floor.

    val_fraction: 0 leaves nothing for validation.
    Returns (train, val), int64. One behind the other they are `ids`: nothing is lost, and nothing is in both.
    Raises ValueError unless 0 <= val_fraction < 1.

    Steps:
    1. Check `val_fraction`.
    2. Count the validation ids, and from that where to cut. (Beware of ids[-n:] when n is 0.)
    3. Cut.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def sliding_windows(
    ids: Ids, block_size: int, stride: int
) -> tuple[Int[Tensor, "windows block"], Int[Tensor, "windows block"]]:
    """Cuts ids into windows of `block_size` that begin at 0, stride, 2 · stride, and so on.

    x holds the windows, y the same windows one id later: y[w, t] is what comes after x[w, t]. So a window is
    block_size predictions (Radford et al. 2018, section 3.1), and it needs block_size + 1 ids:

        ids = torch.tensor([4, 0, 3, 2, 4, 1])                # the cat sat on the mat
        sliding_windows(ids, block_size=3, stride=2)          # x: tensor([[4, 0, 3], [3, 2, 4]])
                                                              # y: tensor([[0, 3, 2], [2, 4, 1]])

    Only full windows count. A window that would reach past the end is left out.

    stride: below block_size windows overlap, above it ids are left out between them.
    Returns (x, y), int64, both of shape (windows, block_size).
    Raises ValueError if `block_size` or `stride` is below 1, or there are fewer than block_size + 1 ids.

    Steps:
    1. Check the arguments.
    2. List the starts. The last one that is possible is len(ids) − block_size − 1.
    3. From each start, take block_size + 1 ids.
    4. x is all but the last column of these, y all but the first.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def get_batch(
    ids: Ids,
    batch_size: int,
    block_size: int,
    *,
    generator: torch.Generator | None = None,
    device: str | torch.device = "cpu",
) -> tuple[Int[Tensor, "batch block"], Int[Tensor, "batch block"]]:
    """Draws windows at random: GPT learned from "randomly sampled, contiguous sequences" (Radford et al. 2018, 4.1).

    With 6 ids and block_size=3 a window can begin at 0, 1 or 2: there are len(ids) − block_size of them. Each is as
    likely as any other, at every draw, so the same one may be in a batch twice, and a batch may be larger than that:

        ids = torch.tensor([4, 0, 3, 2, 4, 1])
        get_batch(ids, batch_size=2, block_size=3)            # perhaps x: tensor([[3, 2, 4], [4, 0, 3]])
                                                              #         y: tensor([[2, 4, 1], [0, 3, 2]])

    ids: perhaps a memory map that is larger than the memory. Then read only what you draw.
    generator: where the randomness comes from, and from nowhere else; None: from torch's global generator. The same
        state of the generator gives the same batch.
    device: where the results go. `ids` stay where they are.
    Returns (x, y), int64, both of shape (batch_size, block_size).
    Raises ValueError if `batch_size` or `block_size` is below 1, or there are fewer than block_size + 1 ids.

    Steps:
    1. Check the arguments.
    2. Draw a start for each row of the batch.
    3. From each start, take block_size + 1 ids, and send them to the device.
    4. x is all but the last column of these, y all but the first.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


class TokenDataset(Dataset[tuple[Tensor, Tensor]]):
    """The windows of `sliding_windows` one by one, in the form that torch's DataLoader asks for.

        dataset = TokenDataset(torch.tensor([4, 0, 3, 2, 4, 1]), block_size=3, stride=2)
        len(dataset)                                          # 2
        dataset[1]                                            # (tensor([3, 2, 4]), tensor([2, 4, 1]))

    Such a data set is "map-style": it has a length, and an item for every index below it. So a DataLoader can shuffle
    it, batch it and share it out among processes.

    stride: from one window's start to the next; block_size if it is None, so that windows follow each other.
    Raises ValueError if `block_size` or `stride` is below 1, or there are fewer than block_size + 1 ids.
    """

    def __init__(self, ids: Ids, block_size: int, stride: int | None = None) -> None:
        """Checks the arguments, and keeps what the other two methods need."""
        # YOUR CODE HERE
        raise NotImplementedError()

    def __len__(self) -> int:
        """The number of full windows."""
        # YOUR CODE HERE
        raise NotImplementedError()

    def __getitem__(self, index: int) -> tuple[Int[Tensor, " block"], Int[Tensor, " block"]]:
        """The window of this number, as (x, y), int64.

        Raises IndexError behind the last window. That is how Python knows where `for x, y in dataset` ends.

        Steps:
        1. Find the window's start.
        2. Take block_size + 1 ids from there. x is all but the last of these, y all but the first.
        """
        # YOUR CODE HERE
        raise NotImplementedError()


def save_tokens(ids: Ids | Sequence[int], path: str | Path) -> None:
    """Writes ids into a file, with 2 bytes for each if that is enough, else 4.

        save_tokens([4, 0, 3, 2, 4, 1], "cat.npy")            # 128 bytes that say what it is, and 6 · 2 bytes of ids

    The file is NumPy's .npy (NEP 1): uint16 if every id is below 65536, else uint32. No ids at all make a valid file.

    ids: a list will do, too.
    path: the name of the file, exactly as it is given. (np.save adds ".npy" to a name, but not to an open file.)
        What was there before is replaced. Nothing else is left in the folder.
    Raises ValueError if an id is negative, or 2³² or more. Then nothing is written, and an old file stays.

    Steps:
    1. Make an array, and find the lowest and the highest id. (An empty array has neither.)
    2. Check both, and choose the type.
    3. Open a file of another name beside it, and np.save the array into that.
    4. Rename it. So nobody ever finds half a file under the right name.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


def load_tokens(path: str | Path) -> np.memmap:
    """Opens a file of `save_tokens` as a read-only memory map.

        tokens = load_tokens("cat.npy")
        tokens[2:4]                                           # memmap([3, 2], dtype=uint16)

    A memory map looks like an array, but its numbers stay on the disk. Only the places that you look at are read, so
    a file may be larger than the memory.

    Raises ValueError, with the path in its message, for a file that is not what `save_tokens` writes: one that was cut
    off, one that is not .npy, or one whose array is not one-dimensional or neither uint16 nor uint32. A .npy file can
    hold pickled objects, and unpickling runs whatever its author wrote into it: such a file must never be unpickled.

    Steps:
    1. Open the file as a memory map. NumPy complains of a bad one in many ways: make a ValueError of them.
    2. Check the type and the number of axes.
    """
    # YOUR CODE HERE
    raise NotImplementedError()
