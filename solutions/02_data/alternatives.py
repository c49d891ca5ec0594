"""Right versions of assignment 02 that differ from the reference. Each must get full marks.

Each takes the place of the reference's symbol of the name `replaces`; those with the same `name` go together. Nothing
in here is ever imported: `autograder.variants` reads it.
"""

import decimal
import io
import itertools
import os
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import regex
import torch
from data import TokenDataset, sliding_windows, to_int64
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from autograder.variants import alternative

# --- normalize -------------------------------------------------------------------------------------------------------


@alternative(replaces="normalize_text", says="the regex package, with Unicode's own names for the characters")
def normalize_by_properties(text):
    text = regex.sub(r"\r\n|\r|\x0b|\x0c|\x85", "\n", text)
    text = regex.sub(r"(?V1)[\p{Cc}--[\n\t]]", "", text)
    text = unicodedata.normalize("NFC", text)
    return regex.sub("^\ufeff+", "", text)


@alternative(replaces="normalize_text", says="a table for str.translate; the marks before the accents")
def normalize_by_table(text):
    table = dict.fromkeys([*range(32), *range(127, 160)])
    table |= dict.fromkeys(map(ord, "\r\v\f\x85"), "\n")
    del table[ord("\n")], table[ord("\t")]
    text = text.replace("\r\n", "\n").translate(table)
    while text.startswith("\ufeff"):
        text = text[1:]
    return unicodedata.normalize("NFC", text)


@alternative(replaces="normalize_text", says="one character after the other, in plain Python")
def normalize_by_character(text):
    kept = []
    for before, char in zip("\n" + text, text, strict=False):
        if char == "\n" and before == "\r":
            continue  # its \r has made a line end already
        if char in "\r\v\f\x85":
            kept.append("\n")
        elif char in "\n\t" or not (ord(char) < 32 or 127 <= ord(char) < 160):
            kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept)).lstrip("\ufeff")


# --- split -----------------------------------------------------------------------------------------------------------


@alternative(replaces="train_val_split", says="a tensor first, then torch.split into two sizes")
def split_by_sizes(ids, val_fraction):
    if val_fraction < 0 or val_fraction >= 1:
        raise ValueError(f"cannot validate with {val_fraction} of the ids")
    ids = torch.as_tensor(ids).long()
    n_val = int(round(ids.numel() * val_fraction, 6))
    train, val = ids.split([ids.numel() - n_val, n_val])
    return train, val


@alternative(replaces="train_val_split", says="decimal arithmetic, on copies")
def split_by_decimals(ids, val_fraction):
    if not 0 <= val_fraction < 1:
        raise ValueError("val_fraction: 0 <= val_fraction < 1")
    share = decimal.Decimal(len(ids) * val_fraction).quantize(decimal.Decimal("0.000001"))
    n_val = int(share.to_integral_value(rounding=decimal.ROUND_FLOOR))
    whole = torch.tensor([int(token_id) for token_id in ids], dtype=torch.int64)
    return whole[: len(whole) - n_val].clone(), whole[len(whole) - n_val :].clone()


# --- windows ---------------------------------------------------------------------------------------------------------


@alternative(replaces="sliding_windows", says="Tensor.unfold, once for x and once for y")
def windows_by_unfold(ids, block_size, stride):
    if min(block_size, stride) < 1:
        raise ValueError(f"block_size={block_size} and stride={stride} must be positive")
    ids = to_int64(ids)
    if ids.shape[0] <= block_size:
        raise ValueError(f"{ids.shape[0]} ids are not enough for a window of {block_size} and its target")
    return ids[:-1].unfold(0, block_size, stride), ids[1:].unfold(0, block_size, stride)


@alternative(replaces="sliding_windows", says="NumPy's sliding windows, every stride-th of them")
def windows_by_numpy(ids, block_size, stride):
    if block_size <= 0 or stride <= 0:
        raise ValueError("block_size and stride must be positive")
    array = ids.numpy() if isinstance(ids, Tensor) else ids
    if array.size <= block_size:
        raise ValueError("too few ids for block_size")
    windows = np.lib.stride_tricks.sliding_window_view(array, block_size + 1)[::stride]
    windows = torch.from_numpy(windows.astype("int64"))
    return windows[:, :block_size].contiguous(), windows[:, 1:].contiguous()


@alternative(replaces="sliding_windows", says="lists of slices, stacked")
def windows_by_stacking(ids, block_size, stride):
    if block_size < 1 or stride < 1:
        raise ValueError(f"block_size={block_size}, stride={stride}")
    ids = torch.tensor(ids.tolist(), dtype=torch.int64)
    x, y, start = [], [], 0
    while start + block_size < len(ids):
        x.append(ids[start : start + block_size])
        y.append(ids[start + 1 : start + 1 + block_size])
        start += stride
    if not x:
        raise ValueError(f"block_size={block_size} is too large for {len(ids)} ids")
    return torch.stack(x), torch.stack(y)


# --- batches ---------------------------------------------------------------------------------------------------------


@alternative(replaces="get_batch", says="one slice for each row, stacked, as nanoGPT does it")
def batch_by_slices(ids, batch_size, block_size, *, generator=None, device="cpu"):
    if batch_size < 1 or block_size < 1 or len(ids) - block_size < 1:
        raise ValueError(f"cannot draw {batch_size} windows of {block_size} from {len(ids)} ids")
    starts = torch.randint(0, len(ids) - block_size, (batch_size,), generator=generator)
    x = torch.stack([to_int64(ids[i : i + block_size]) for i in starts.tolist()])
    y = torch.stack([to_int64(ids[i + 1 : i + 1 + block_size]) for i in starts.tolist()])
    return x.to(device), y.to(device)


@alternative(replaces="get_batch", says="uniform numbers in double precision, scaled and cut; one draw for each row")
def batch_by_uniform_numbers(ids, batch_size, block_size, *, generator=None, device="cpu"):
    if batch_size < 1 or block_size < 1:
        raise ValueError("batch_size and block_size must be positive")
    n_windows = len(ids) - block_size
    if n_windows <= 0:
        raise ValueError("there are too few ids for a window of block_size")
    rows = []
    for _ in range(batch_size):
        start = int(torch.rand((), generator=generator, dtype=torch.float64) * n_windows)
        rows.append([int(token_id) for token_id in ids[start : start + block_size + 1]])
    rows = torch.tensor(rows, dtype=torch.long, device=device)
    return rows[:, :-1], rows[:, 1:]


@alternative(replaces="get_batch", says="torch.multinomial over all windows, and rows of an unfolded view")
def batch_by_multinomial(ids, batch_size, block_size, *, generator=None, device="cpu"):
    if batch_size <= 0 or block_size <= 0:
        raise ValueError("sizes must be positive")
    tensor = torch.as_tensor(ids)
    if tensor.numel() < block_size + 1:
        raise ValueError(f"{tensor.numel()} ids have no window of {block_size}")
    windows = tensor.unfold(0, block_size + 1, 1)
    starts = torch.multinomial(torch.ones(len(windows)), batch_size, replacement=True, generator=generator)
    windows = windows[starts].to(device=device, dtype=torch.int64)
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


@alternative(replaces="get_batch", says="NumPy's generator, seeded with a number from torch's")
def batch_by_numpys_generator(ids, batch_size, block_size, *, generator=None, device="cpu"):
    if batch_size < 1:
        raise ValueError("batch_size is below 1")
    if block_size < 1 or len(ids) <= block_size:
        raise ValueError("block_size is below 1, or too large for the ids")
    seed = torch.randint(2**62, (1,), generator=generator).item()
    starts = np.random.default_rng(seed).integers(len(ids) - block_size, size=(batch_size, 1))
    places = starts + np.arange(block_size)
    x, y = (np.asarray(ids)[p].astype(np.int64) for p in (places, places + 1))
    return torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)


# --- dataset ---------------------------------------------------------------------------------------------------------


@alternative(replaces="TokenDataset", says="a TensorDataset of all windows")
class AllWindowsAtOnce(TensorDataset):
    def __init__(self, ids, block_size, stride=None):
        super().__init__(*sliding_windows(ids, block_size, block_size if stride is None else stride))


@alternative(replaces="TokenDataset", says="a list of pairs, made at the beginning")
class ListOfPairs(Dataset):
    def __init__(self, ids, block_size, stride=None):
        x, y = sliding_windows(ids, block_size, block_size if stride is None else stride)
        self.pairs = list(zip(x, y, strict=True))

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]


@alternative(replaces="TokenDataset", says="arithmetic with the index, negative ones from the end, two slices, a list")
class Arithmetic(Dataset):
    def __init__(self, ids, block_size, stride=None):
        self.block, self.stride, self.ids = block_size, block_size if stride is None else stride, ids
        if self.block <= 0:
            raise ValueError(f"block_size={block_size}")
        if self.stride <= 0:
            raise ValueError(f"stride={stride}")
        if len(self.ids) <= self.block:
            raise ValueError(f"{len(ids)} ids are too few for block_size={block_size}")

    def __len__(self):
        return 1 + (len(self.ids) - self.block - 1) // self.stride

    def __getitem__(self, index):
        if index < 0:
            index += len(self)
        if index < 0 or index >= len(self):
            raise IndexError(index)
        first = index * self.stride
        x, y = self.ids[first : first + self.block], self.ids[first + 1 : first + 1 + self.block]
        return [to_int64(x), to_int64(y)]


@alternative(replaces="TokenDataset", says="also an iterator of its own, and an int64 copy of all ids")
class WithItsOwnIterator(TokenDataset):
    def __init__(self, ids, block_size, stride=None):
        super().__init__(to_int64(ids).clone(), block_size, stride)

    def __iter__(self):
        return (self[index] for index in itertools.takewhile(lambda i: i < len(self), itertools.count()))


# --- token_files -----------------------------------------------------------------------------------------------------


@alternative(replaces="save_tokens", says="written where it belongs, with no other file in between")
def save_in_place(ids, path):
    array = np.array([int(token_id) for token_id in ids], dtype=object)
    if any(token_id < 0 or token_id > 0xFFFFFFFF for token_id in array):
        raise ValueError("every id must be from 0 to 4294967295")
    narrow = all(token_id <= 0xFFFF for token_id in array)
    with open(os.fspath(path), "wb") as file:  # noqa: PTH123
        np.lib.format.write_array(file, array.astype("<u2" if narrow else "<u4"), version=(2, 0))


@alternative(replaces="save_tokens", says="made in memory, and written through a temporary file")
def save_through_memory(ids, path):
    values = torch.as_tensor(ids, dtype=torch.int64) if isinstance(ids, list) else to_int64(ids)
    if values.numel() and (values.min() < 0 or values.max() >= 2**32):
        raise ValueError(f"ids from {values.min()} to {values.max()} do not fit")
    dtype = np.uint32 if (values > 65535).any() else np.uint16
    content = io.BytesIO()
    np.save(content, values.numpy().astype(dtype), allow_pickle=False)
    folder = os.path.dirname(os.path.abspath(path))
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.write(content.getvalue())
    os.replace(file.name, path)


@alternative(replaces="save_tokens", says="written as a memory map")
def save_as_a_map(ids, path):
    array = np.asarray(ids, dtype=np.int64)
    if (array < 0).any() or (array >> 32).any():
        raise ValueError("ids must be between 0 and 2**32 - 1")
    dtype = np.uint16 if not (array >> 16).any() else np.uint32
    tokens = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=array.shape)
    tokens[:] = array
    tokens.flush()


@alternative(replaces="load_tokens", says="np.load, with a question for each thing that can be wrong")
def load_by_questions(path):
    name = os.fspath(path)
    with Path(name).open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError(f"{name}: not .npy")
    try:
        tokens = np.load(name, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, TypeError, OverflowError) as error:
        raise ValueError(f"{name}: damaged") from error
    if str(tokens.dtype) not in {"uint16", "uint32"} or len(tokens.shape) != 1:
        raise ValueError(f"{name}: not ids")
    return tokens


@alternative(replaces="load_tokens", says="reads the header by itself, and maps what is behind it")
def load_by_the_header(path):
    path = Path(path)
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, _, dtype = read_header(file)
            offset = file.tell()
        if dtype not in (np.dtype(np.uint16), np.dtype(np.uint32)) or len(shape) != 1:
            raise ValueError(f"it holds {dtype} of shape {shape}")
        return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"not a file of tokens: {path} ({error})") from None


@alternative(replaces="load_tokens", says="a plain array that lies in a memory map")
def load_as_a_plain_array(path):
    try:
        tokens = np.lib.format.open_memmap(path, mode="r").view(np.ndarray)
        if tokens.dtype.kind != "u" or tokens.dtype.itemsize not in (2, 4) or tokens.ndim != 1:
            raise TypeError("not a row of uint16 or uint32")
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error
    return tokens
