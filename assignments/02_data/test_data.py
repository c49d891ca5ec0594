"""Visible tests of assignment 02. Run them with `pytest assignments/02_data`.

Each test says in its first line what should hold. Inputs are drawn anew for every seed: try `--minigpt-seed 1`.
"""

import io
from itertools import islice

import numpy as np
import pytest
import torch

from autograder.minigpt.library import library_parts
from autograder.testing import has_shape, hint, points, require, task

THE_CAT_SAT_ON_THE_MAT = [4, 0, 3, 2, 4, 1]


def are_ids(actual, expected, hint=None):
    """`actual` is an int64 tensor that holds exactly these ids."""
    expected = torch.as_tensor(expected, dtype=torch.int64)
    has_shape(actual, *expected.shape, hint=hint)
    require(actual.dtype == torch.int64, f"expected int64, got {actual.dtype}", "Ids come back as torch.int64.")
    require(torch.equal(actual, expected), f"expected {expected.tolist()}, got {actual.tolist()}", hint)


def starts_of(x, y, ids, batch_size, block_size):
    """Where each row of a batch begins in `ids`, which are all different; x and y are whole windows from there."""
    place = {token_id: index for index, token_id in enumerate(ids.tolist())}
    has_shape(x, batch_size, block_size, hint="x and y are (batch_size, block_size).")
    starts = [place.get(first, -1) for first in x[:, 0].tolist()]
    inside = all(0 <= start < len(ids) - block_size for start in starts)
    require(inside, "a window does not lie in ids", "The last start that is possible is len(ids) − block_size − 1.")
    windows = torch.stack([ids[start : start + block_size + 1] for start in starts])
    are_ids(x, windows[:, :-1], hint="Each row of x is block_size ids that follow each other.")
    are_ids(y, windows[:, 1:], hint="y is the same window one id later.")
    return starts


def npy(array):
    """What NumPy writes into a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def dtype_of(values):
    """The type of ids that are an array here, or came across as a tensor."""
    return str(values.dtype).removeprefix("torch.")


# --- normalize -------------------------------------------------------------------------------------------------------


@task("normalize")
@points(1)
def test_every_line_ends_with_a_newline(student):
    r"""\r\n, \r, \v, \f and NEL each become one \n, and a \n stays one."""
    for end in ("\n", "\r\n", "\r", "\v", "\f", "\x85"):
        text = student.normalize_text(f"the cat{end}{end}sat{end}")
        hint = "Replace \\r\\n before \\r: together they are one line end. NEL is \\x85."
        require(text == "the cat\n\nsat\n", f"{end!r} is a line end; got {ascii(text)}", hint)


@task("normalize")
@points(1)
def test_controls_go_and_accents_are_composed(student):
    """Control characters are dropped, all but tab and newline, and an e with an accent to put on it becomes é."""
    text = student.normalize_text("\x1bthe\tca\x00t\x7f \x9fsat\u200d\n")
    hint = "Category Cc: below space, \\x7f, and \\x80 to \\x9f. A joiner such as \\u200d is none of these."
    require(text == "the\tcat sat\u200d\n", f"got {ascii(text)}", hint)
    text = student.normalize_text("cafe\u0301 \uac00 \u1100\u1161")
    hint = "unicodedata.normalize with the form NFC composes."
    require(text == "caf\u00e9 \uac00 \uac00", f"got {ascii(text)}", hint)


@task("normalize")
@points(1)
def test_marks_at_the_beginning_go(student):
    """Byte order marks are dropped from the beginning; one in the middle stays."""
    text = student.normalize_text("\ufeff\ufeffthe \ufeffcat\ufeff")
    hint = "Drop \\ufeff from the left end only, and all that stand there."
    require(text == "the \ufeffcat\ufeff", f"got {ascii(text)}", hint)


@task("normalize")
@points(2)
@hint("Go through the four steps in their order. After them, going through them again finds nothing to do.")
def test_drawn_text(student, rng):
    """Text of line ends, controls, accents and marks in any order is normalized right, and then stays as it is."""
    alphabet = "ab \t\n\r\r\v\f\x85\x00\x1b\x9f\ufeff\ufeffee\u0301\u0323\u1100\u1161\u2028"
    for length in (3, 8, 40):
        for _ in range(20):
            text = rng.choice(["", "\ufeff", "\x00\ufeff", "\r\n"]) + rng.text(length, alphabet)
            once, due = student.normalize_text(text), library_parts().normalize_text(text)
            require(once == due, f"{ascii(text)} became {ascii(once)}, expected {ascii(due)}")
            again = student.normalize_text(once)
            require(again == once, f"{ascii(once)} became {ascii(again)}: a second time changes something")


# --- split -----------------------------------------------------------------------------------------------------------


@task("split")
@points(2)
def test_validation_is_the_tail(student, rng):
    """The beginning is for training and the end for validation, and together they are all ids in their order."""
    train, val = student.train_val_split(torch.tensor(THE_CAT_SAT_ON_THE_MAT), 0.4)
    are_ids(train, THE_CAT_SAT_ON_THE_MAT[:4])
    are_ids(val, THE_CAT_SAT_ON_THE_MAT[4:])
    ids = rng.ids(1000, 40)
    train, val = student.train_val_split(ids, 0.25)
    are_ids(train, ids[:30], hint="Cut once; do not shuffle.")
    are_ids(val, ids[30:], hint="What is not for training is for validation.")


@task("split")
@points(1)
def test_how_many_are_for_validation(student, rng):
    """0.29 of 100 ids are 29, a fraction of an id is left to training, and 0 leaves nothing for validation."""
    for length, fraction, n_val in ((100, 0.29, 29), (10, 0.35, 3), (7, 0.25, 1), (10, 0.9, 9), (5, 0.0, 0)):
        ids = rng.ids(1000, length)
        train, val = student.train_val_split(ids, fraction)
        are_ids(train, ids[: length - n_val], hint="floor(round(len(ids) * val_fraction, 6)) are for validation.")
        are_ids(val, ids[length - n_val :])


@task("split")
@points(1)
def test_fractions_that_cannot_be(student, rng):
    """A fraction below 0, or of 1 and more, is a ValueError; 0 and 0.99 are not."""
    ids = rng.ids(1000, 100)
    for bad, good, n_val in ((-0.01, 0.0, 0), (1.0, 0.99, 99), (1.5, 0.5, 50)):
        with pytest.raises(ValueError):
            student.train_val_split(ids, bad)
        are_ids(student.train_val_split(ids, good)[1], ids[100 - n_val :])


# --- windows ---------------------------------------------------------------------------------------------------------


@task("windows")
@points(2)
def test_windows_of_the_docstring(student):
    """The windows of "the cat sat on the mat" are those of the docstring, and y is one id later."""
    x, y = student.sliding_windows(torch.tensor(THE_CAT_SAT_ON_THE_MAT), 3, 2)
    are_ids(x, [[4, 0, 3], [3, 2, 4]], hint="Windows begin at 0, stride, 2 · stride, ...")
    are_ids(y, [[0, 3, 2], [2, 4, 1]], hint="y[w, t] is the id that comes after x[w, t].")


@task("windows")
@points(2)
def test_windows_with_any_stride(student, rng):
    """Windows overlap where the stride is below the block size, and leave ids out where it is above."""
    ids = rng.permutation(30)
    for block_size, stride in ((4, 4), (4, 1), (4, 3), (3, 7)):
        x, y = student.sliding_windows(ids, block_size, stride)
        starts = range(0, 30 - block_size, stride)
        are_ids(x, torch.stack([ids[s : s + block_size] for s in starts]), hint="The stride sets the starts only.")
        are_ids(y, torch.stack([ids[s + 1 : s + block_size + 1] for s in starts]), hint="y is one id later.")


@task("windows")
@points(1)
def test_the_last_full_window_counts(student, rng):
    """block_size + 1 ids make one window; a window that would reach past the end is left out."""
    for length, windows in ((5, 1), (8, 1), (9, 2), (12, 2), (13, 3)):
        ids = rng.ids(1000, length)
        x, y = student.sliding_windows(ids, 4, 4)
        are_ids(x, ids[: 4 * windows].view(windows, 4), hint="Starts go up to len(ids) − block_size − 1, included.")
        are_ids(y, ids[1 : 4 * windows + 1].view(windows, 4))


@task("windows")
@points(1)
def test_too_few_ids_for_a_window(student, rng):
    """block_size ids are one too few for a window: a ValueError. One more is enough."""
    ids = rng.ids(1000, 6)
    with pytest.raises(ValueError):
        student.sliding_windows(ids[:5], 5, 1)
    are_ids(student.sliding_windows(ids, 5, 1)[1], ids[None, 1:])


# --- batches ---------------------------------------------------------------------------------------------------------


@task("batches")
@points(2)
def test_rows_are_windows(student, rng):
    """Every row of x is a window of ids, and the same row of y is that window one id later."""
    ids = rng.permutation(500)
    x, y = student.get_batch(ids, 6, 8)
    starts_of(x, y, ids, 6, 8)
    x, y = student.get_batch(ids[:9], 40, 4)  # more rows than there are windows
    starts_of(x, y, ids[:9], 40, 4)


@task("batches")
@points(2)
def test_every_window_is_equally_likely(student, rng):
    """All windows are drawn, from the first to the last, each about equally often."""
    ids = rng.permutation(8)
    x, y = student.get_batch(ids, 4000, 3, generator=student.library.generator(rng.integer(0, 2**31)))
    starts = starts_of(x, y, ids, 4000, 3)
    counts = [starts.count(window) for window in range(5)]
    # 800 each, plus or minus 25. Outside of 640 to 970 in 3 of 10 000 000 000 runs.
    hint = "There are len(ids) − block_size windows. torch.randint(high, ...) draws from 0 to high − 1."
    require(all(640 <= count <= 970 for count in counts), f"4000 draws of 5 windows came as {counts}", hint)


@task("batches")
@points(1)
def test_the_generator_decides(student, rng):
    """The same seed gives the same batch, the next draw another one, and torch's global random state is not touched."""
    ids, seed = rng.permutation(1000), rng.integer(0, 2**31)
    generator = student.library.generator(seed)
    (first, _), (second, _) = (student.get_batch(ids, 8, 4, generator=generator) for _ in range(2))
    again, _ = student.get_batch(ids, 8, 4, generator=student.library.generator(seed))
    are_ids(again, first, hint="Hand the generator on to torch.randint.")
    hint = "Set no seed inside: a generator goes on by itself."
    require(not torch.equal(first, second), "two draws in a row give the same batch", hint)
    touched = student.library.uses_global_randomness(student.get_batch, ids, 8, 4, generator=generator)
    require(not touched, "the global random state has moved", "Draw from the generator alone.")


@task("batches")
@points(1)
def test_batches_that_cannot_be(student, rng):
    """Too few ids, and sizes below 1, are a ValueError; the nearest sizes that make sense are not."""
    ids = rng.permutation(6)
    for bad, good in (((ids[:5], 2, 5), (ids, 2, 5)), ((ids, 0, 3), (ids, 1, 3)), ((ids, 2, 0), (ids, 2, 1))):
        with pytest.raises(ValueError):
            student.get_batch(*bad)
        starts_of(*student.get_batch(*good), *good)


# --- dataset ---------------------------------------------------------------------------------------------------------


@task("dataset")
@points(2)
def test_items_are_windows(student, rng):
    """It is a torch Dataset with one item (x, y) for each window; without a stride they follow each other."""
    ids = rng.ids(1000, 12)
    dataset = student.TokenDataset(ids, 4)
    is_dataset = student.library.is_instance(dataset, "torch.utils.data.Dataset")
    require(is_dataset, "it is no torch Dataset", "Derive the class from torch.utils.data.Dataset.")
    require(len(dataset) == 2, f"12 ids have 2 windows of 4 and their targets, not {len(dataset)}")
    for index in (1, 0, 1):
        x, y = dataset[index]
        are_ids(x, ids[4 * index : 4 * index + 4], hint="stride=None means block_size.")
        are_ids(y, ids[4 * index + 1 : 4 * index + 5], hint="y is the same window one id later.")


@task("dataset")
@points(2)
def test_items_with_a_stride(student, rng):
    """With a stride, item i begins at i · stride, and the length counts the full windows."""
    ids = rng.permutation(20)
    for block_size, stride in ((4, 1), (4, 3), (3, 8), (19, 1)):
        dataset = student.TokenDataset(ids, block_size, stride)
        starts = range(0, 20 - block_size, stride)
        require(len(dataset) == len(starts), f"expected {len(starts)} windows, got {len(dataset)}")
        for index, start in enumerate(starts):
            x, y = dataset[index]
            are_ids(x, ids[start : start + block_size])
            are_ids(y, ids[start + 1 : start + block_size + 1])


@task("dataset")
@points(1)
def test_the_data_set_ends(student, rng):
    """An index behind the last window is an IndexError, so a loop over the data set comes to an end."""
    dataset = student.TokenDataset(rng.ids(1000, 11), 3)
    has_shape(dataset[2][0], 3)
    with pytest.raises(IndexError):
        dataset[3]
    items = list(islice(iter(dataset), 5))
    require(len(items) == 3, f"a loop over 3 windows saw {len(items)}", "Raise IndexError where index >= len(self).")


# --- token_files -----------------------------------------------------------------------------------------------------


@task("token_files")
@points(2)
def test_ids_come_back_from_the_file(student, rng):
    """What is saved comes back as a memory map that cannot be written to."""
    ids = rng.ids(50_000, 300)
    path = f"{student.library.folder()}/ids.npy"
    student.save_tokens(ids, path)
    tokens = student.library.keep(student.load_tokens, path)
    require(tokens.value.tolist() == ids.tolist(), "other ids came back")
    require(tokens.is_memory_map(), "it is no memory map", 'Open it with mode="r", and return that very array.')
    require(tokens.is_read_only(), "it can be written to", 'Open it with mode="r".')


@task("token_files")
@points(1)
def test_two_bytes_where_they_are_enough(student, rng):
    """Ids up to 65535 are stored as uint16, and if one is larger, all are stored as uint32."""
    folder = student.library.folder()
    for highest, due in ((65535, "uint16"), (65536, "uint32")):
        ids, path = [0, rng.integer(1, 65534), highest], f"{folder}/{highest}.npy"
        student.save_tokens(ids, path)
        stored = student.library.as_memory_map(path).value
        require(stored.tolist() == ids, f"NumPy reads other ids: {stored.tolist()}, not {ids}", "65535 is 2**16 - 1.")
        require(dtype_of(stored) == due, f"expected {due}, got {dtype_of(stored)}")


@task("token_files")
@points(1)
def test_the_name_is_used_as_given(student, rng):
    """The file has exactly the name that was asked for, as text or as a Path, and nothing else is left there."""
    folder, ids = student.library.folder(), rng.ids(1000, 5)
    student.save_tokens(ids, f"{folder}/ids.bin")
    student.save_tokens(ids, student.library.path(f"{folder}/more"))
    found = student.library.list_files(folder)
    require(found == ["ids.bin", "more"], f"found {found}", 'np.save adds ".npy" to a name, but not to an open file.')
    tokens = student.load_tokens(student.library.path(f"{folder}/ids.bin"))
    require(tokens.tolist() == ids.tolist(), "other ids came back")


@task("token_files")
@points(1)
def test_ids_that_do_not_fit(student):
    """A negative id, or one of 2³² and more, is a ValueError, and no file is made; 0 and 2³² − 1 are fine."""
    folder = student.library.folder()
    for bad, good in (([3, -1], [3, 0]), ([2**32], [2**32 - 1])):
        with pytest.raises(ValueError):
            student.save_tokens(bad, f"{folder}/bad.npy")
        hint = "Look at the lowest and the highest id before you open a file."
        require("bad.npy" not in student.library.list_files(folder), "a file was made all the same", hint)
        student.save_tokens(good, f"{folder}/good.npy")
        require(student.library.as_memory_map(f"{folder}/good.npy").value.tolist() == good, "other ids were stored")


@task("token_files")
@points(1)
def test_files_that_are_no_token_files(student, rng):
    """A file that was cut off, or holds something else, is a ValueError that names it."""
    folder, ids = student.library.folder(), rng.ids(1000, 20)
    whole = npy(ids.numpy().astype(np.uint16))
    student.library.write_file(f"{folder}/good.npy", whole)
    require(student.load_tokens(f"{folder}/good.npy").tolist() == ids.tolist(), "other ids came back")
    for content in (whole[:-1], b"", b"the cat sat on the mat", npy(ids.double().numpy()), npy(ids.numpy())):
        student.library.write_file(f"{folder}/stray.npy", content)
        with pytest.raises(ValueError, match="stray.npy"):
            student.load_tokens(f"{folder}/stray.npy")
