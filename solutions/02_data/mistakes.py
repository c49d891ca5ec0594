"""Wrong versions of assignment 02, the ones that people make. The suites must catch each of them in its own task.

Each takes the place of the reference's symbol of the name `replaces`; everything else stays as in the reference. `says`
is what a student is told who makes the mistake. Nothing in here is ever imported: `autograder.variants` reads it.
"""

import math
import random
import re
import unicodedata
from pathlib import Path

import numpy as np
import torch
from data import TokenDataset, to_int64
from torch import Tensor
from torch.utils.data import Dataset

from autograder.variants import mistake

# --- normalize -------------------------------------------------------------------------------------------------------


def one_line_end(text):
    return re.sub("\r\n|[\r\v\f\x85]", "\n", text)


def without_controls(text, kept="\n\t"):
    return "".join(char for char in text if char in kept or unicodedata.category(char) != "Cc")


def finished(text):
    """The last two steps."""
    return unicodedata.normalize("NFC", text).lstrip("\ufeff")


@mistake("normalize", replaces="normalize_text", says="You make two line ends of \\r\\n.")
def two_ends_of_one(text):
    return finished(without_controls(re.sub("[\r\v\f\x85]", "\n", text)))


@mistake("normalize", replaces="normalize_text", says="You know the line end \\r\\n only; a lone \\r, or NEL, is lost.")
def knows_windows_only(text):
    return finished(without_controls(text.replace("\r\n", "\n")))


@mistake("normalize", replaces="normalize_text", says="You drop control characters before you look for line ends.")
def controls_before_line_ends(text):
    return finished(one_line_end(without_controls(text, kept="\n\t\r\v\f\x85")))


@mistake("normalize", replaces="normalize_text", says="str.splitlines takes more for a line end than is asked for.")
def splits_lines(text):
    ends = "\n" if text and text.splitlines(keepends=True)[-1] != text.splitlines()[-1] else ""
    return finished(without_controls("\n".join(text.splitlines()) + ends))


@mistake("normalize", replaces="normalize_text", says="You drop tabs.")
def drops_tabs(text):
    return finished(without_controls(one_line_end(text), kept="\n"))


@mistake("normalize", replaces="normalize_text", says="You drop ASCII's control characters only: there are more.")
def ascii_controls_only(text):
    return finished(re.sub("[\x00-\x08\x0e-\x1f]", "", one_line_end(text)))


@mistake("normalize", replaces="normalize_text", says="You drop what is not printable: joiners and special spaces too.")
def drops_what_is_not_printable(text):
    return finished("".join(char for char in one_line_end(text) if char in "\n\t\ufeff" or char.isprintable()))


@mistake("normalize", replaces="normalize_text", says="You drop all categories that begin with C, not Cc alone.")
def drops_every_c(text):
    kept = "\n\t\ufeff"
    return finished("".join(c for c in one_line_end(text) if c in kept or unicodedata.category(c)[0] != "C"))


@mistake("normalize", replaces="normalize_text", says="You do not compose accents.")
def leaves_accents(text):
    return without_controls(one_line_end(text)).lstrip("\ufeff")


@mistake("normalize", replaces="normalize_text", says="NFKC does more than NFC: it takes ligatures apart.")
def too_compatible(text):
    return unicodedata.normalize("NFKC", without_controls(one_line_end(text))).lstrip("\ufeff")


@mistake("normalize", replaces="normalize_text", says="NFD takes accents off their letters; NFC puts them on.")
def decomposes(text):
    return unicodedata.normalize("NFD", without_controls(one_line_end(text))).lstrip("\ufeff")


@mistake("normalize", replaces="normalize_text", says="You compose accents while controls still stand between them.")
def composes_first(text):
    return without_controls(unicodedata.normalize("NFC", one_line_end(text))).lstrip("\ufeff")


@mistake("normalize", replaces="normalize_text", says="You drop byte order marks everywhere.")
def drops_every_mark(text):
    return finished(without_controls(one_line_end(text))).replace("\ufeff", "")


@mistake("normalize", replaces="normalize_text", says="You drop one byte order mark; there may be several.")
def drops_one_mark(text):
    return unicodedata.normalize("NFC", without_controls(one_line_end(text))).removeprefix("\ufeff")


@mistake("normalize", replaces="normalize_text", says="You look for byte order marks before the controls are gone.")
def marks_first(text):
    return unicodedata.normalize("NFC", without_controls(one_line_end(text.lstrip("\ufeff"))))


@mistake("normalize", replaces="normalize_text", says="You strip spaces and line ends from both ends of the text.")
def strips_the_ends(text):
    return finished(without_controls(one_line_end(text))).strip()


# --- split -----------------------------------------------------------------------------------------------------------


def checked_fraction(val_fraction):
    if not 0 <= val_fraction < 1:
        raise ValueError(f"val_fraction must be at least 0 and below 1, got {val_fraction}")


def cut_at(ids, cut):
    return to_int64(ids[:cut]), to_int64(ids[cut:])


@mistake("split", replaces="train_val_split", says="You take the floor of a product that is barely too small.")
def floors_at_once(ids, val_fraction):
    checked_fraction(val_fraction)
    return cut_at(ids, len(ids) - int(len(ids) * val_fraction))


@mistake("split", replaces="train_val_split", says="You round to the nearest number instead of down.")
def rounds_to_the_nearest(ids, val_fraction):
    checked_fraction(val_fraction)
    return cut_at(ids, len(ids) - round(len(ids) * val_fraction))


@mistake("split", replaces="train_val_split", says="You round the training part down, not the validation part.")
def floors_the_training_part(ids, val_fraction):
    checked_fraction(val_fraction)
    return cut_at(ids, int(len(ids) * (1 - val_fraction)))


@mistake("split", replaces="train_val_split", says="Your validation part is the beginning.")
def validates_with_the_head(ids, val_fraction):
    checked_fraction(val_fraction)
    n_val = math.floor(round(len(ids) * val_fraction, 6))
    return to_int64(ids[n_val:]), to_int64(ids[:n_val])


@mistake("split", replaces="train_val_split", says="You shuffle the ids before you cut.")
def shuffles_the_ids(ids, val_fraction):
    checked_fraction(val_fraction)
    shuffled = to_int64(ids)[torch.randperm(len(ids))]
    return cut_at(shuffled, len(ids) - math.floor(round(len(ids) * val_fraction, 6)))


@mistake("split", replaces="train_val_split", says="With 0 ids for validation, ids[:-0] is empty.")
def cuts_from_the_end(ids, val_fraction):
    checked_fraction(val_fraction)
    n_val = math.floor(round(len(ids) * val_fraction, 6))
    return to_int64(ids[:-n_val]), to_int64(ids[-n_val:])


@mistake("split", replaces="train_val_split", says="Your parts have an id in common.")
def overlaps_by_one(ids, val_fraction):
    checked_fraction(val_fraction)
    cut = len(ids) - math.floor(round(len(ids) * val_fraction, 6))
    return to_int64(ids[: cut + 1]), to_int64(ids[cut:])


@mistake("split", replaces="train_val_split", says="You hand out the ids in the type in which they came.")
def keeps_the_type(ids, val_fraction):
    checked_fraction(val_fraction)
    cut = len(ids) - math.floor(round(len(ids) * val_fraction, 6))
    return (ids[:cut], ids[cut:]) if isinstance(ids, Tensor) else cut_at(ids, cut)


@mistake("split", replaces="train_val_split", says="You accept fractions outside of 0 to 1.")
def accepts_any_fraction(ids, val_fraction):
    return cut_at(ids, len(ids) - math.floor(round(len(ids) * val_fraction, 6)))


@mistake("split", replaces="train_val_split", says="Your split refuses 0: nothing for validation is allowed.")
def refuses_nothing(ids, val_fraction):
    if not 0 < val_fraction < 1:
        raise ValueError("val_fraction must be between 0 and 1")
    return cut_at(ids, len(ids) - math.floor(round(len(ids) * val_fraction, 6)))


# --- windows ---------------------------------------------------------------------------------------------------------


def check_block(ids, block_size, other=1):
    if block_size < 1 or other < 1:
        raise ValueError(f"sizes must be at least 1, got {block_size} and {other}")
    if len(ids) < block_size + 1:
        raise ValueError(f"block_size {block_size} needs at least {block_size + 1} ids, got {len(ids)}")


def windows_from(ids, starts, block_size):
    """block_size + 1 ids from each start."""
    starts = torch.as_tensor(starts, dtype=torch.int64)
    return to_int64(ids[(starts[:, None] + torch.arange(block_size + 1)).numpy()])


def windows_in_two(windows):
    return windows[:, :-1], windows[:, 1:]


@mistake("windows", replaces="sliding_windows", says="You leave out the last full window.")
def forgets_the_last_window(ids, block_size, stride):
    check_block(ids, block_size, stride)
    starts = range(0, max(len(ids) - block_size - 1, 1), stride)
    return windows_in_two(windows_from(ids, starts, block_size))


@mistake("windows", replaces="sliding_windows", says="Your windows begin at every id, whatever `stride` says.")
def begins_at_every_id(ids, block_size, stride):
    check_block(ids, block_size, stride)
    return windows_in_two(windows_from(ids, range(len(ids) - block_size), block_size))


@mistake("windows", replaces="sliding_windows", says="Your last window goes past the end, to the beginning again.")
def wraps_around(ids, block_size, stride):
    check_block(ids, block_size, stride)
    starts = torch.arange(0, len(ids), stride)
    places = (starts[:, None] + torch.arange(block_size + 1)) % len(ids)
    return windows_in_two(to_int64(ids[places.numpy()]))


@mistake("windows", replaces="sliding_windows", says="You fill the last window up with zeros.")
def pads_the_last_window(ids, block_size, stride):
    check_block(ids, block_size, stride)
    ids = torch.cat((to_int64(ids), torch.zeros(block_size + 1, dtype=torch.int64)))
    return windows_in_two(windows_from(ids, range(0, len(ids) - block_size - 1, stride), block_size))


@mistake("windows", replaces="sliding_windows", says="Your y is the same as x: it must be one id later.")
def targets_are_inputs(ids, block_size, stride):
    check_block(ids, block_size, stride)
    windows = windows_from(ids, range(0, len(ids) - block_size, stride), block_size)
    return windows[:, :-1], windows[:, :-1]


@mistake("windows", replaces="sliding_windows", says="Your y begins one window later, not one id later.")
def targets_are_the_next_window(ids, block_size, stride):
    check_block(ids, block_size, stride)
    ids = to_int64(ids)
    x = windows_from(ids, range(0, len(ids) - block_size, stride), block_size)[:, :-1]
    return x, torch.cat((x[1:], ids[None, -block_size:]))


@mistake("windows", replaces="sliding_windows", says="Your windows do not overlap, whatever the stride.")
def ignores_the_stride(ids, block_size, stride):
    check_block(ids, block_size, stride)
    return windows_in_two(windows_from(ids, range(0, len(ids) - block_size, block_size), block_size))


@mistake("windows", replaces="sliding_windows", says="Your windows are one id longer than block_size.")
def windows_too_long(ids, block_size, stride):
    check_block(ids, block_size, stride)
    windows = windows_from(ids, range(0, len(ids) - block_size - 1, stride), block_size + 1)
    return windows[:, :-1], windows[:, 1:]


@mistake("windows", replaces="sliding_windows", says="Your y is one single id for each window: the next one.")
def one_target_for_each_window(ids, block_size, stride):
    check_block(ids, block_size, stride)
    windows = windows_from(ids, range(0, len(ids) - block_size, stride), block_size)
    return windows[:, :-1], windows[:, -1]


@mistake("windows", replaces="sliding_windows", says="Your function gives empty windows where there are too few ids.")
def no_windows_at_all(ids, block_size, stride):
    if block_size < 1 or stride < 1:
        raise ValueError(f"block_size and stride must be at least 1, got {block_size} and {stride}")
    return windows_in_two(windows_from(ids, range(0, len(ids) - block_size, stride), block_size))


@mistake("windows", replaces="sliding_windows", says="Ids above 32767 do not fit into int16.")
def squeezes_into_16_bits(ids, block_size, stride):
    check_block(ids, block_size, stride)
    if not isinstance(ids, Tensor):
        ids = ids.astype(np.int16)
    return windows_in_two(windows_from(ids, range(0, len(ids) - block_size, stride), block_size))


# --- batches ---------------------------------------------------------------------------------------------------------


@mistake("batches", replaces="get_batch", says="You never draw the last window.")
def never_the_last_window(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    starts = torch.randint(max(len(ids) - block_size - 1, 1), (batch_size,), generator=generator)
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You never draw the first window.")
def never_the_first_window(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    first = min(1, len(ids) - block_size - 1)
    starts = torch.randint(first, len(ids) - block_size, (batch_size,), generator=generator)
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You draw a start from which a window goes past the end.")
def past_the_end(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    starts = torch.randint(len(ids) - block_size + 1, (batch_size,), generator=generator)
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You round starts, so the first and the last are drawn half as often.")
def rounds_starts(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    starts = (torch.rand(batch_size, generator=generator) * (len(ids) - block_size - 1)).round().long()
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You draw windows that do not overlap; any start is possible.")
def draws_whole_blocks(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    blocks = (len(ids) - 1) // block_size
    starts = block_size * torch.randint(blocks, (batch_size,), generator=generator)
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You draw without replacement: a batch can be larger than that.")
def without_replacement(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    starts = torch.randperm(len(ids) - block_size, generator=generator)[:batch_size]
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You draw one start, and the other rows follow it.")
def rows_that_follow_each_other(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    n_windows = len(ids) - block_size
    starts = (torch.randint(n_windows, (1,), generator=generator) + torch.arange(batch_size)) % n_windows
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You do not use the generator.")
def ignores_the_generator(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    starts = torch.randint(len(ids) - block_size, (batch_size,))
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You set torch's global seed from the generator.")
def seeds_the_global_state(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    if generator is not None:
        torch.default_generator.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
    starts = torch.randint(len(ids) - block_size, (batch_size,))
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You begin anew with the generator's seed at every call.")
def always_the_same_batch(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    own = torch.Generator()
    own.manual_seed(0 if generator is None else generator.initial_seed())
    starts = torch.randint(len(ids) - block_size, (batch_size,), generator=own)
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You draw with NumPy, which knows nothing of the generator.")
def draws_with_numpy(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    starts = np.random.randint(len(ids) - block_size, size=batch_size)
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="Without a generator you draw with Python's random, not with torch.")
def draws_with_python(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    if generator is None:
        starts = [random.randrange(len(ids) - block_size) for _ in range(batch_size)]
    else:
        starts = torch.randint(len(ids) - block_size, (batch_size,), generator=generator)
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="Your y is drawn by itself: it does not belong to x.")
def draws_targets_again(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    x, y = (torch.randint(len(ids) - block_size, (batch_size,), generator=generator) for _ in range(2))
    return windows_from(ids, x, block_size)[:, :-1].to(device), windows_from(ids, y, block_size)[:, 1:].to(device)


@mistake("batches", replaces="get_batch", says="Starts of 16 bits reach the first 65536 ids only.")
def starts_of_16_bits(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    starts = torch.randint(len(ids) - block_size, (batch_size,), generator=generator) % 65536
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


@mistake("batches", replaces="get_batch", says="You hand out the ids in the type in which they came.")
def batches_keep_the_type(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    starts = torch.randint(len(ids) - block_size, (batch_size,), generator=generator)
    places = (starts[:, None] + torch.arange(block_size + 1)).numpy()
    return windows_in_two(torch.as_tensor(ids[places]).to(device))


@mistake("batches", replaces="get_batch", says="You send x to the device, and leave y behind.")
def leaves_targets_behind(ids, batch_size, block_size, *, generator=None, device="cpu"):
    check_block(ids, block_size, batch_size)
    starts = torch.randint(len(ids) - block_size, (batch_size,), generator=generator)
    x, y = windows_in_two(windows_from(ids, starts, block_size))
    return x.to(device), y


@mistake("batches", replaces="get_batch", says="You do not check the sizes; an empty batch has no loss.")
def gives_empty_batches(ids, batch_size, block_size, *, generator=None, device="cpu"):
    if len(ids) < block_size + 1:
        raise ValueError(f"block_size {block_size} needs at least {block_size + 1} ids, got {len(ids)}")
    starts = torch.randint(len(ids) - block_size, (batch_size,), generator=generator)
    return windows_in_two(windows_from(ids, starts, block_size).to(device))


# --- dataset ---------------------------------------------------------------------------------------------------------


@mistake("dataset", replaces="TokenDataset", says="Your class is no torch.utils.data.Dataset.")
class NoDataset:
    def __init__(self, ids, block_size, stride=None):
        self.inner = TokenDataset(ids, block_size, stride)

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, index):
        return self.inner[index]


@mistake(
    "dataset", replaces="TokenDataset", says="Your data set has no end: a loop over it goes on with short windows."
)
class Endless(TokenDataset):
    def __getitem__(self, index):
        start = index * (self.starts.step)
        window = to_int64(self.ids[start : start + self.block_size + 1])
        return window[:-1], window[1:]


@mistake(
    "dataset", replaces="TokenDataset", says="Behind your last window is a ValueError; Python waits for IndexError."
)
class EndsWithValueError(TokenDataset):
    def __getitem__(self, index):
        if index >= len(self):
            raise ValueError(f"there is no window {index}")
        return super().__getitem__(index)


@mistake("dataset", replaces="TokenDataset", says="Your items begin at i, not at i · stride.")
class StartsAtTheIndex(TokenDataset):
    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError(f"there is no window {index}")
        window = to_int64(self.ids[index : index + self.block_size + 1])
        return window[:-1], window[1:]


@mistake("dataset", replaces="TokenDataset", says="Without a stride your windows begin at every id.")
class OneByOne(TokenDataset):
    def __init__(self, ids, block_size, stride=None):
        super().__init__(ids, block_size, 1 if stride is None else stride)


@mistake("dataset", replaces="TokenDataset", says="Your data set is one window too short.")
class OneTooShort(TokenDataset):
    def __len__(self):
        return max(len(self.starts) - 1, 1)


@mistake("dataset", replaces="TokenDataset", says="The length of your data set is that of the ids.")
class CountsIds(TokenDataset):
    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        if index >= len(self.starts):
            raise IndexError(f"there is no window {index}")
        window = to_int64(self.ids[self.starts[index] : self.starts[index] + self.block_size + 1])
        return window[:-1], window[1:]


@mistake(
    "dataset", replaces="TokenDataset", says="Your length is len(ids) // stride: it counts windows that are not full."
)
class CountsBlocks(TokenDataset):
    def __len__(self):
        return len(self.ids) // self.starts.step


@mistake("dataset", replaces="TokenDataset", says="Your items are windows of block_size + 1, without a y.")
class ItemsWithoutTargets(TokenDataset):
    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return torch.cat((x, y[-1:]))


@mistake("dataset", replaces="TokenDataset", says="Your data set takes a stride of 0 for none.")
class ZeroMeansNone(TokenDataset):
    def __init__(self, ids, block_size, stride=None):
        super().__init__(ids, block_size, stride or block_size)


@mistake("dataset", replaces="TokenDataset", says="Your data set says nothing where there are too few ids.")
class EmptyIfTooShort(TokenDataset):
    def __init__(self, ids, block_size, stride=None):
        if block_size < 1 or (stride is not None and stride < 1):
            raise ValueError("block_size and stride must be at least 1")
        self.ids, self.block_size = ids, block_size
        self.starts = range(0, len(ids) - block_size, block_size if stride is None else stride)


@mistake("dataset", replaces="TokenDataset", says="Your items have the type in which the ids came.")
class ItemsKeepTheType(TokenDataset):
    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError(f"there is no window {index}")
        window = torch.as_tensor(self.ids[self.starts[index] : self.starts[index] + self.block_size + 1])
        return window[:-1], window[1:]


@mistake("dataset", replaces="TokenDataset", says="Your data set counts the windows it has given, not their index.")
class GoesOnByItself(Dataset):
    def __init__(self, ids, block_size, stride=None):
        self.inner, self.given = TokenDataset(ids, block_size, stride), 0

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, index):
        self.given += 1
        return self.inner[self.given - 1]


# --- token_files -----------------------------------------------------------------------------------------------------


def checked_ids(ids):
    array = np.asarray(ids)
    lowest, highest = (array.min(), array.max()) if len(array) > 0 else (0, 0)
    if lowest < 0 or highest >= 2**32:
        raise ValueError(f"ids must be from 0 to {2**32 - 1}")
    return array, np.uint16 if highest < 2**16 else np.uint32


@mistake("token_files", replaces="save_tokens", says="np.save adds '.npy' to your file's name.")
def adds_a_suffix(ids, path):
    array, dtype = checked_ids(ids)
    np.save(path, array.astype(dtype))


@mistake("token_files", replaces="save_tokens", says="You always write uint16; larger ids come back as others.")
def always_two_bytes(ids, path):
    array, _ = checked_ids(ids)
    with Path(path).open("wb") as file:
        np.save(file, array.astype(np.uint16))


@mistake("token_files", replaces="save_tokens", says="65536 does not fit into uint16: 65535 is the largest.")
def off_by_one_id(ids, path):
    array, dtype = checked_ids(ids)
    with Path(path).open("wb") as file:
        np.save(file, array.astype(np.uint16 if array.size == 0 or array.max() <= 2**16 else dtype))


@mistake("token_files", replaces="save_tokens", says="You write four bytes where two are enough.")
def always_four_bytes(ids, path):
    array, _ = checked_ids(ids)
    with Path(path).open("wb") as file:
        np.save(file, array.astype(np.uint32))


@mistake("token_files", replaces="save_tokens", says="Signed numbers of 16 bits end at 32767.")
def signed_numbers(ids, path):
    array, dtype = checked_ids(ids)
    with Path(path).open("wb") as file:
        np.save(file, array.astype(np.int16 if dtype is np.uint16 else np.int32))


@mistake("token_files", replaces="save_tokens", says="You do not check ids: a negative one comes back as a large one.")
def wraps_ids_around(ids, path):
    array = np.asarray(ids)
    dtype = np.uint16 if array.size == 0 or array.max() < 2**16 else np.uint32
    with Path(path).open("wb") as file:
        np.save(file, array.astype(dtype))


@mistake("token_files", replaces="save_tokens", says="You open the file before you check the ids.")
def empties_the_old_file(ids, path):
    with Path(path).open("wb") as file:
        array, dtype = checked_ids(ids)
        np.save(file, array.astype(dtype))


@mistake("token_files", replaces="save_tokens", says="An empty array has no largest id.")
def stumbles_over_nothing(ids, path):
    array = np.asarray(ids)
    if array.min() < 0 or array.max() >= 2**32:
        raise ValueError("ids must be from 0 to 2³² − 1")
    with Path(path).open("wb") as file:
        np.save(file, array.astype(np.uint16 if array.max() < 2**16 else np.uint32))


@mistake("token_files", replaces="save_tokens", says="You leave your unfinished file behind.")
def leaves_a_file_behind(ids, path):
    array, dtype = checked_ids(ids)
    for name in (f"{path}.tmp", path):
        with Path(name).open("wb") as file:
            np.save(file, array.astype(dtype))


@mistake("token_files", replaces="save_tokens", says="You write bare bytes: a .npy file says what is in it.")
def bare_bytes(ids, path):
    array, dtype = checked_ids(ids)
    array.astype(dtype).tofile(path)


@mistake("token_files", replaces="load_tokens", says="You read the whole file into memory.")
def reads_everything(path):
    try:
        tokens = np.load(path, allow_pickle=False)
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(tokens, np.ndarray) or tokens.ndim != 1 or tokens.dtype not in (np.uint16, np.uint32):
        raise ValueError(f"{path} is not a token file")
    return tokens


@mistake("token_files", replaces="load_tokens", says="Your memory map can be written to, and that changes the file.")
def can_be_written_to(path):
    try:
        tokens = np.lib.format.open_memmap(path, mode="r+")
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error
    if tokens.ndim != 1 or tokens.dtype not in (np.uint16, np.uint32):
        raise ValueError(f"{path} is not a token file")
    return tokens


@mistake("token_files", replaces="load_tokens", says="You make int64 of the whole map: all of it is in memory then.")
def copies_the_map(path):
    try:
        tokens = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error
    if tokens.ndim != 1 or tokens.dtype not in (np.uint16, np.uint32):
        raise ValueError(f"{path} is not a token file")
    return to_int64(tokens)


@mistake("token_files", replaces="load_tokens", says="Your error does not say which file is bad.")
def does_not_name_the_file(path):
    try:
        tokens = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:
        raise ValueError(f"this is not a token file: {error}") from error
    if tokens.ndim != 1 or tokens.dtype not in (np.uint16, np.uint32):
        raise ValueError("this is not a token file")
    return tokens


@mistake("token_files", replaces="load_tokens", says="You catch NumPy's errors only; other arrays are loaded as ids.")
def takes_any_array(path):
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error


@mistake("token_files", replaces="load_tokens", says="You do not look at the number of axes.")
def takes_any_shape(path):
    try:
        tokens = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error
    if tokens.dtype not in (np.uint16, np.uint32):
        raise ValueError(f"{path} is not a token file")
    return tokens


@mistake("token_files", replaces="load_tokens", says="You let NumPy's errors through: some are no ValueError.")
def lets_errors_through(path):
    tokens = np.load(path, mmap_mode="r")
    if tokens.ndim != 1 or tokens.dtype not in (np.uint16, np.uint32):
        raise ValueError(f"{path} is not a token file")
    return tokens


@mistake("token_files", replaces="load_tokens", says="You allow pickles: loading a file runs whatever is in it.")
def unpickles(path):
    try:
        tokens = np.load(path, mmap_mode="r", allow_pickle=True)
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(tokens, np.memmap) or tokens.ndim != 1 or tokens.dtype not in (np.uint16, np.uint32):
        raise ValueError(f"{path} is not a token file")
    return tokens


@mistake(
    "token_files", replaces="load_tokens", says="You take it for granted that a file's header is 128 bytes, uint16."
)
def skips_the_header(path):
    if Path(path).stat().st_size < 128 or Path(path).read_bytes()[:6] != b"\x93NUMPY":
        raise ValueError(f"{path} is not a token file")
    return np.memmap(path, dtype=np.uint16, mode="r", offset=128)
