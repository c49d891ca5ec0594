"""Hidden tests of assignment 02. A student sees a test's title and its hint, and nothing else."""

import io
import pickle
from itertools import islice

import numpy as np
import pytest
import torch

from autograder.testing import has_shape, hint, points, require, task


def are_ids(actual, expected, hint=None):
    """`actual` is an int64 tensor that holds exactly these ids."""
    expected = torch.as_tensor(expected, dtype=torch.int64)
    has_shape(actual, *expected.shape, hint=hint)
    require(actual.dtype == torch.int64, "the ids are not int64", "Ids come back as torch.int64.")
    require(torch.equal(actual, expected), "there are other ids than expected", hint)


def starts_of(x, y, ids, batch_size, block_size):
    """Where each row of a batch begins in `ids`, which are all different; x and y are whole windows from there."""
    place = {token_id: index for index, token_id in enumerate(ids.tolist())}
    has_shape(x, batch_size, block_size)
    starts = [place.get(first, -1) for first in x[:, 0].tolist()]
    inside = all(0 <= start < len(ids) - block_size for start in starts)
    require(inside, "a window does not lie in ids", "The last start that is possible is len(ids) − block_size − 1.")
    windows = torch.stack([ids[start : start + block_size + 1] for start in starts])
    are_ids(x, windows[:, :-1], hint="Each row of x is block_size ids that follow each other.")
    are_ids(y, windows[:, 1:], hint="y is the same window one id later.")
    return starts


def npy(array, allow_pickle=False):
    """What NumPy writes into a .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def dtype_of(values):
    """The type of ids that are an array here, or came across as a tensor."""
    return str(values.dtype).removeprefix("torch.")


def give(ids):
    """A way to hand these ids to a function."""
    return lambda function, *arguments, **keywords: function(ids, *arguments, **keywords)


def every_form(student, ids):
    """Ways to hand the same ids, all below 65536, to a function: as tensors, arrays and memory maps."""
    path = f"{student.library.folder()}/ids.npy"
    student.library.write_file(path, npy(ids.numpy().astype(np.uint16)))
    arrays = [student.library.as_array(ids, name) for name in ("uint16", "int32", "int64")]
    arrays += [student.library.as_array(ids, "uint32", read_only=True), student.library.as_memory_map(path)]
    return [give(ids), give(ids.to(torch.int32)), *(array.give_to for array in arrays)]


# --- normalize -------------------------------------------------------------------------------------------------------


@task("normalize")
@points(3)
@hint("Line ends first, then the other controls, then accents, then the marks at the beginning.")
def test_the_order_of_the_steps(student):
    """What stands between two characters that belong together is gone before they meet."""
    cases = {
        "e\x00\u0301": "\u00e9",  # dropped before accents are composed
        "\r\x00\n": "\n\n",  # not together when line ends were looked at
        "\x00\ufeff\x1b\ufeffa": "a",  # dropped before the marks are
        "\r\r\n\n\r": "\n\n\n\n",
        "e\r\u0301": "e\n\u0301",  # a line end stays between them
        "e\ufeff\u0301": "e\ufeff\u0301",  # and so does a mark in the middle
        "\ufeff\u0301": "\u0301",
        "\n\ufeffa": "\n\ufeffa",
    }
    for text, due in cases.items():
        require(student.normalize_text(text) == due, "a step comes too early or too late")


@task("normalize")
@points(3)
@hint("Only the category Cc is dropped, and the form is NFC: not NFKC, which turns one character into others.")
def test_what_stays(student, rng):
    """Spaces of every kind, joiners, ligatures, other scripts and line separators stay as they are."""
    pieces = ["\u00a0", "\u2028", "\u2029", "a\u200db", "a\u200cb", "\u00ad", "\ufb01", "\uff21", "x\u00b2", "\ue000"]
    pieces += [
        "  two  spaces ",
        "\t\ttabs\t",
        "\u3042\u30a2",
        "\u0416",
        "\U0001f469\u200d\U0001f680",
        "\u0378",
        "\u200b",
    ]
    text = " " + "\n\n".join(pieces[index] for index in rng.permutation(len(pieces)).tolist()) + " \n"
    require(student.normalize_text(text) == text, "something was lost or replaced")
    mixed = student.normalize_text("\ufb01\x01 cafe\u0301")
    require(mixed == "\ufb01 caf\u00e9", "what is to be dropped or composed is not")


@task("normalize")
@points(1)
@hint("NFC also puts several accents of a letter in order, and replaces characters that exist twice.")
def test_small_and_odd_texts(student, rng):
    """Nothing stays nothing, plain text stays plain text, and accents come in one order."""
    text = rng.text(50)
    cases = {"": "", "\x00\x07": "", "\ufeff": "", "\r": "\n", text: text}
    cases |= {"\u212b": "\u00c5", "q\u0307\u0323": "q\u0323\u0307", "o\u0302\u0323": "\u1ed9"}
    for given, due in cases.items():
        require(student.normalize_text(given) == due, "a small text came out otherwise")


# --- split -----------------------------------------------------------------------------------------------------------


@task("split")
@points(2)
@hint("floor(round(len(ids) * val_fraction, 6)) ids are for validation, and all the others for training.")
def test_any_fraction(student, rng):
    """For any length and any number of hundredths, the tail has exactly that share, rounded down."""
    drawn = [(rng.integer(1, 300), rng.integer(0, 99)) for _ in range(30)]
    for length, hundredths in [(100, 29), (100, 57), (50, 58), (200, 99), *drawn]:
        ids = rng.ids(50_000, length)
        train, val = student.train_val_split(ids, hundredths / 100)
        cut = length - length * hundredths // 100
        are_ids(train, ids[:cut])
        are_ids(val, ids[cut:])


@task("split")
@points(2)
@hint("Both parts are int64 tensors, whatever the ids come in. to_int64 does that.")
def test_split_of_every_form(student, rng):
    """Tensors, arrays and memory maps of any integer type are split alike, and give int64."""
    ids = rng.permutation(65536)[:50]
    small = rng.ids(100, 50)
    for values, forms in ((ids, every_form(student, ids)), (small, [give(small.to(torch.uint8)), give(small.short())])):
        for hand_over in forms:
            train, val = hand_over(student.train_val_split, 0.3)
            are_ids(train, values[:35])
            are_ids(val, values[35:])


@task("split")
@points(1)
@hint("ids[-0:] is everything, not nothing. Cut from the front.")
def test_nothing_to_split(student, rng):
    """No ids, a single one, or nothing for validation leave one part empty, and the other whole."""
    one, some = rng.ids(1000, 1), rng.ids(1000, 9)
    for ids, fraction, n_val in ((one[:0], 0.5, 0), (one, 0.9, 0), (some, 0.0, 0), (some, 0.1, 0), (some, 0.112, 1)):
        train, val = student.train_val_split(ids, fraction)
        are_ids(train, ids[: len(ids) - n_val])
        are_ids(val, ids[len(ids) - n_val :])


@task("split")
@points(1)
@hint("0 <= val_fraction < 1. The ids are only read.")
def test_split_refuses_and_only_reads(student, rng):
    """A fraction that is barely out of range is a ValueError, its neighbour is not, and the ids stay as they were."""
    ids = rng.ids(1000, 10)
    for bad, good, n_val in ((-1e-9, 1e-9, 0), (1.0, 0.9999, 9), (29, 0.29, 2)):
        with pytest.raises(ValueError):
            student.train_val_split(ids, bad)
        are_ids(student.train_val_split(ids, good)[0], ids[: 10 - n_val])
    for fraction, n_val in ((0.2999996, 2), (0.29999996, 3)):  # 6 decimals: neither 5 nor 7
        are_ids(student.train_val_split(ids, fraction)[1], ids[10 - n_val :])
    require(student.library.leaves_arguments_alone(student.train_val_split, ids, 0.5), "an argument changed")


# --- windows ---------------------------------------------------------------------------------------------------------


@task("windows")
@points(2)
@hint("Starts are 0, stride, 2 · stride, ... up to len(ids) − block_size − 1, and y begins one later than x.")
def test_windows_of_any_size(student, rng):
    """For any length, block size and stride, there are all the full windows, and no other."""
    for _ in range(12):
        block_size, stride = rng.integer(1, 9), rng.integer(1, 12)
        ids = rng.permutation(block_size + rng.integer(1, 40))
        x, y = student.sliding_windows(ids, block_size, stride)
        starts = range(0, len(ids) - block_size, stride)
        are_ids(x, torch.stack([ids[s : s + block_size] for s in starts]))
        are_ids(y, torch.stack([ids[s + 1 : s + block_size + 1] for s in starts]))


@task("windows")
@points(2)
@hint("Ids of 16 bits go up to 65535: make int64 of them, not a smaller type.")
def test_windows_of_every_form(student, rng):
    """Tensors, arrays and memory maps of any integer type give the same windows, in int64."""
    ids = rng.permutation(65536)[:30]
    expected = torch.stack([ids[s : s + 6] for s in range(0, 25, 3)])
    for hand_over in every_form(student, ids):
        x, y = hand_over(student.sliding_windows, 5, 3)
        are_ids(x, expected[:, :-1])
        are_ids(y, expected[:, 1:])


@task("windows")
@points(2)
@hint("One window is enough, whatever the stride. Let torch count the places, in its own integer type.")
def test_windows_at_the_ends(student, rng):
    """A block of one id, a stride that goes past the end, and windows far out in long data come out right."""
    ids = rng.permutation(9)
    x, y = student.sliding_windows(ids, 1, 1)
    are_ids(x, ids[:-1, None])
    are_ids(y, ids[1:, None])
    for block_size, stride in ((8, 1), (8, 8), (4, 5), (2, 100)):
        x, y = student.sliding_windows(ids, block_size, stride)
        are_ids(x, ids[None, :block_size])
        are_ids(y, ids[None, 1 : block_size + 1])
    x, y = student.sliding_windows(torch.arange(70_000), 4, 9_999)
    are_ids(x, 9_999 * torch.arange(8)[:, None] + torch.arange(4))
    are_ids(y, 9_999 * torch.arange(8)[:, None] + torch.arange(1, 5))


@task("windows")
@points(2)
@hint("block_size and stride are at least 1, and there are at least block_size + 1 ids. The ids are only read.")
def test_windows_that_cannot_be(student, rng):
    """Sizes that make no sense are a ValueError, the nearest that do are not, and the ids stay as they were."""
    ids = rng.permutation(6)
    for bad, good in (((6, 0, 1), (6, 1, 1)), ((6, -1, 1), (6, 1, 1)), ((6, 2, 0), (6, 2, 1)), ((6, 2, -2), (6, 2, 2))):
        with pytest.raises(ValueError):
            student.sliding_windows(ids, *bad[1:])
        has_shape(student.sliding_windows(ids, *good[1:])[0], len(range(0, 6 - good[1], good[2])), good[1])
    for length, block_size in ((0, 1), (1, 1), (5, 5), (3, 5)):
        with pytest.raises(ValueError):
            student.sliding_windows(ids[:length], block_size, 1)
        are_ids(student.sliding_windows(ids[: block_size + 1], block_size, 1)[0], ids[None, :block_size])
    require(student.library.leaves_arguments_alone(student.sliding_windows, ids, 2, 1), "an argument changed")


# --- batches ---------------------------------------------------------------------------------------------------------


@task("batches")
@points(2)
@hint("Starts go from 0 to len(ids) − block_size − 1. Let torch draw them in its own integer type.")
def test_starts_all_over_long_data(student, rng):
    """In data of 70 000 ids, windows are drawn from the beginning, the middle and the end alike."""
    ids = torch.arange(70_000)
    generator = student.library.generator(rng.integer(0, 2**31))
    x, y = student.get_batch(ids, 2000, 5, generator=generator)
    starts = torch.tensor(starts_of(x, y, ids, 2000, 5))
    quarters = torch.bincount(starts * 4 // 69_995, minlength=4).tolist()
    # 500 each, plus or minus 19. Outside of 380 to 620 in 3 of 1 000 000 000 runs.
    require(all(380 <= count <= 620 for count in quarters), "the starts are not spread evenly")
    require(bool(starts.max() >= 69_000), "the end is never reached")  # by chance: 0.986 to the power of 2000


@task("batches")
@points(2)
@hint("Each row is drawn anew, from all windows: torch.randint does that, torch.randperm does not.")
def test_the_same_window_twice(student, rng):
    """Rows are drawn with replacement: 20 rows of 20 windows are not all different, and one window gives equal rows."""
    ids = rng.permutation(24)
    x, y = student.get_batch(ids, 20, 4)
    starts = starts_of(x, y, ids, 20, 4)
    require(len(set(starts)) < 20, "no window came twice")  # all different by chance: 2.3 in 100 000 000
    x, y = student.get_batch(ids[:5], 7, 4)
    are_ids(x, ids[None, :4].expand(7, 4))
    are_ids(y, ids[None, 1:5].expand(7, 4))
    x, y = student.get_batch(ids, 1, 1)
    starts_of(x, y, ids, 1, 1)


@task("batches")
@points(2)
@hint("Hand `generator` to torch.randint: None means torch's global one. Seed nothing, and use no other library.")
def test_where_the_randomness_comes_from(student, rng):
    """With a generator, the global state plays no part; without one, it alone does."""
    ids, seed = rng.permutation(2000), rng.integer(0, 2**30)
    batches = []
    for global_seed, own_seed in ((seed, seed), (seed + 1, seed), (seed, seed + 1)):
        student.library.seed(global_seed)
        x, y = student.get_batch(ids, 8, 3, generator=student.library.generator(own_seed))
        starts_of(x, y, ids, 8, 3)
        batches.append(x)
    are_ids(batches[1], batches[0])
    require(not torch.equal(batches[2], batches[0]), "another seed gives the same batch")
    batches = []
    for global_seed in (seed, seed, seed + 1):
        student.library.seed(global_seed)
        batches.append(student.get_batch(ids, 8, 3)[0])
        require(not torch.equal(student.get_batch(ids, 8, 3)[0], batches[-1]), "the next draw gives the same batch")
    are_ids(batches[1], batches[0])
    require(not torch.equal(batches[2], batches[0]), "another global seed gives the same batch")
    moved = student.library.uses_global_randomness(student.get_batch, ids, 8, 3)
    require(moved, "without a generator, the global state stays where it is")


@task("batches")
@points(2)
@hint("Select the ids first, then make int64 of them. Ids of 16 bits go up to 65535.")
def test_batches_of_every_form(student, rng):
    """Tensors, arrays and memory maps of any integer type give the same batch for the same seed, in int64."""
    ids, seed = rng.permutation(65536)[:40], rng.integer(0, 2**31)
    for hand_over in every_form(student, ids):
        x, y = hand_over(student.get_batch, 12, 5, generator=student.library.generator(seed))
        starts_of(x, y, ids, 12, 5)


@task("batches")
@points(1)
@hint("Send x and y to `device` at the end. Draw where the generator is.")
def test_device(student, rng):
    """x and y are on the device that was asked for."""
    ids = rng.permutation(30)
    x, y = student.get_batch(ids, 4, 5, device="cpu")
    starts_of(x, y, ids, 4, 5)
    generator = student.library.generator(rng.integer(0, 2**31))
    # "meta" is a device without numbers, which every machine has
    batch = student.library.keep(student.get_batch, ids, 4, 5, generator=generator, device="meta")
    for index in (0, 1):
        part = student.library.keep(batch.attribute("__getitem__").value, index)
        require(part.attribute("device.type").value == "meta", "a part of the batch is on another device")


@task("batches")
@points(1)
@hint("batch_size and block_size are at least 1, and there are at least block_size + 1 ids. The ids are only read.")
def test_batches_refuse_and_only_read(student, rng):
    """Sizes that make no sense are a ValueError, the nearest that do are not, and the ids stay as they were."""
    ids = rng.permutation(7)
    bad_and_good = [((7, 0, 2), (7, 1, 2)), ((7, -1, 2), (7, 1, 2)), ((7, 2, 0), (7, 2, 1)), ((7, 2, -1), (7, 2, 1))]
    bad_and_good += [((0, 2, 1), (2, 2, 1)), ((1, 2, 1), (2, 2, 1)), ((6, 2, 6), (7, 2, 6)), ((3, 2, 6), (7, 2, 6))]
    for bad, good in bad_and_good:
        with pytest.raises(ValueError):
            student.get_batch(ids[: bad[0]], *bad[1:])
        x, y = student.get_batch(ids[: good[0]], *good[1:])
        starts_of(x, y, ids[: good[0]], *good[1:])
    require(student.library.leaves_arguments_alone(student.get_batch, ids, 3, 2), "an argument changed")


# --- dataset ---------------------------------------------------------------------------------------------------------


@task("dataset")
@points(2)
@hint("Item i begins at i · stride. The last full window begins at len(ids) − block_size − 1 at the latest.")
def test_data_sets_of_any_size(student, rng):
    """For any length, block size and stride, its items are the full windows, in any order that one asks for."""
    for _ in range(8):
        block_size, stride = rng.integer(1, 7), rng.choice([None, 1, 2, 5, 50])
        ids = rng.permutation(block_size + rng.integer(1, 20))
        dataset = student.TokenDataset(ids, block_size, stride)
        starts = range(0, len(ids) - block_size, stride or block_size)
        require(len(dataset) == len(starts), "it has another length than there are windows")
        for index in rng.permutation(len(starts)).tolist():
            x, y = dataset[index]
            are_ids(x, ids[starts[index] : starts[index] + block_size])
            are_ids(y, ids[starts[index] + 1 : starts[index] + block_size + 1])


@task("dataset")
@points(2)
@hint("Make int64 of the window that was asked for. Ids of 16 bits go up to 65535.")
def test_data_sets_of_every_form(student, rng):
    """Tensors, arrays and memory maps of any integer type will do, and items are int64."""
    ids = rng.permutation(65536)[:20]
    for hand_over in every_form(student, ids):
        dataset = hand_over(student.TokenDataset, 6, stride=4)
        require(len(dataset) == 4, "it has another length than there are windows")
        for index in range(4):
            x, y = dataset[index]
            are_ids(x, ids[4 * index : 4 * index + 6])
            are_ids(y, ids[4 * index + 1 : 4 * index + 7])


@task("dataset")
@points(1)
@hint("Keep no place between two calls: each index is answered by itself, and one behind the end is an IndexError.")
def test_loops_over_the_data_set(student, rng):
    """It can be looped over twice, both times to the end; no index behind it gives an item."""
    ids = rng.ids(1000, rng.integer(14, 16))
    dataset = student.TokenDataset(ids, 5, 2)
    starts = range(0, len(ids) - 5, 2)
    for _ in range(2):
        items = list(islice(iter(dataset), 20))
        require(len(items) == len(starts), "a loop sees more or fewer items than there are")
        for start, (x, y) in zip(starts, items, strict=True):
            are_ids(x, ids[start : start + 5])
            are_ids(y, ids[start + 1 : start + 6])
    for beyond in (len(starts), len(starts) + 1, 1000):
        with pytest.raises(IndexError):
            dataset[beyond]


@task("dataset")
@points(2)
@hint("Check when the data set is made: sizes of at least 1, and at least block_size + 1 ids.")
def test_data_sets_that_cannot_be(student, rng):
    """Too few ids, and sizes below 1, are a ValueError when it is made; the nearest sizes that make sense are not."""
    ids = rng.ids(1000, 6)
    cases = [((5, 5, None), (6, 5, None)), ((0, 1, None), (2, 1, None)), ((6, 0, None), (6, 1, None))]
    cases += [
        ((6, 0, 1), (6, 1, 1)),
        ((6, 2, 0), (6, 2, 1)),
        ((6, 2, -1), (6, 2, 1)),
        ((6, -2, 1), (6, 2, 1)),
        ((4, 5, 1), (6, 5, 1)),
    ]
    for bad, good in cases:
        with pytest.raises(ValueError):
            student.TokenDataset(ids[: bad[0]], *bad[1:])
        dataset = student.TokenDataset(ids[: good[0]], *good[1:])
        are_ids(dataset[0][0], ids[: good[1]])


# --- token_files -----------------------------------------------------------------------------------------------------


@task("token_files")
@points(2)
@hint("np.asarray takes lists, tensors, arrays and memory maps. The type in the file depends on the ids alone.")
def test_files_of_every_form(student, rng):
    """Lists, tensors, arrays and memory maps make the same file, and stay as they were."""
    folder = student.library.folder()
    ids = rng.permutation(65536)[:40]
    as_list = ids.tolist()
    for number, hand_over in enumerate([give(as_list), *every_form(student, ids)]):
        path = f"{folder}/{number}.npy"
        hand_over(student.save_tokens, path)
        stored = student.library.as_memory_map(path).value
        require(dtype_of(stored) == "uint16" and stored.tolist() == as_list, "NumPy finds something else in a file")
        require(student.load_tokens(path).tolist() == as_list, "other ids came back")
    for given in (ids, as_list):
        untouched = student.library.leaves_arguments_alone(student.save_tokens, given, f"{folder}/again.npy")
        require(untouched, "an argument changed")


@task("token_files")
@points(2)
@hint("uint16 ends at 65535 and uint32 at 2³² − 1. What load_tokens gives has the type that is in the file.")
def test_the_largest_ids(student, rng):
    """Ids at the ends of both types come back exactly, in a read-only memory map of that type."""
    folder = student.library.folder()
    for highest, due in ((0, "uint16"), (32768, "uint16"), (65535, "uint16"), (65536, "uint32"), (2**32 - 1, "uint32")):
        ids = [highest, *rng.ids(highest + 1, 5).tolist()]
        path = f"{folder}/{highest}.npy"
        student.save_tokens(torch.tensor(ids), path)
        require(student.library.as_memory_map(path).value.tolist() == ids, "other ids were stored")
        student.library.write_file(path, npy(np.array(ids, dtype=due)))
        tokens = student.library.keep(student.load_tokens, path)
        require(dtype_of(tokens.value) == due and tokens.value.tolist() == ids, "other ids were loaded")
        require(tokens.is_memory_map() and tokens.is_read_only(), "it is no read-only memory map")


@task("token_files")
@points(1)
@hint("An empty array has no lowest and no highest id, and NumPy takes [] for numbers with a point.")
def test_no_ids_are_a_file(student):
    """No ids at all can be saved and loaded, as a list and as a tensor."""
    folder = student.library.folder()
    for given in ([], torch.zeros(0, dtype=torch.int64)):
        student.save_tokens(given, f"{folder}/none.tokens")
        stored = student.library.as_memory_map(f"{folder}/none.tokens").value
        require(stored.tolist() == [] and dtype_of(stored) in ("uint16", "uint32"), "the file is no token file")
        require(student.load_tokens(f"{folder}/none.tokens").tolist() == [], "ids came back from nowhere")
    student.save_tokens([7], f"{folder}/none.tokens")
    require(student.load_tokens(f"{folder}/none.tokens").tolist() == [7], "the one id did not come back")


@task("token_files")
@points(2)
@hint("Check the ids before you open a file. A file that is opened for writing begins empty.")
def test_what_was_there_before(student, rng):
    """A new file replaces the old one as a whole; ids that do not fit leave it as it was, and make no other."""
    folder = student.library.folder()
    path = f"{folder}/ids.npy"
    student.save_tokens(rng.ids(100_000, 500) + 65536, path)
    ids = rng.ids(1000, 30).tolist()
    student.save_tokens(ids, path)
    require(student.load_tokens(path).tolist() == ids, "other ids came back")
    before = student.library.read_file(path)
    for bad in ([-1], [2**32], [5, 2**40], [2**32 - 1, -(2**31), 4], torch.tensor([1, -2]), torch.tensor([2**33])):
        with pytest.raises(ValueError):
            student.save_tokens(bad, path)
        require(student.library.read_file(path) == before, "the old file changed")
        require(student.library.list_files(folder) == ["ids.npy"], "a file was left behind")
    student.save_tokens([2**32 - 1, 0], path)
    require(student.load_tokens(path).tolist() == [2**32 - 1, 0], "ids that fit were not stored")


@task("token_files")
@points(1)
@hint("The file may end anywhere: in its first bytes, in its header or among the ids. All of these are a ValueError.")
def test_files_that_were_cut_off(student, rng):
    """Wherever a file was cut off, loading it is a ValueError that names it; the whole file is fine."""
    folder = student.library.folder()
    for number, dtype in enumerate((np.uint16, np.uint32)):
        ids = rng.ids(60_000, 50)
        whole = npy(ids.numpy().astype(dtype))
        for cut in (0, 3, 6, 9, rng.integer(10, 127), 127, 128, rng.integer(129, len(whole) - 2), len(whole) - 1):
            student.library.write_file(f"{folder}/part-{number}.npy", whole[:cut])
            with pytest.raises(ValueError, match=f"part-{number}.npy"):
                student.load_tokens(f"{folder}/part-{number}.npy")
        student.library.write_file(f"{folder}/whole-{number}.npy", whole)
        require(student.load_tokens(f"{folder}/whole-{number}.npy").tolist() == ids.tolist(), "other ids came back")


class Intruder:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@task("token_files")
@points(2)
@hint(
    "Read .npy and nothing else, never pickled objects, and look at the type and the number of axes before you return."
)
def test_files_of_something_else(student, rng):
    """Other arrays, archives and pickled objects are a ValueError that names the file, and nothing in them is run."""
    folder, ids = student.library.folder(), rng.ids(100, 6).numpy()
    intruder = Intruder(f"{folder}/was-here")
    archive = io.BytesIO()
    np.savez(archive, ids.astype(np.uint16))
    contents = [npy(ids.astype(name)) for name in ("int64", "int32", "uint8", "uint64", "float32", "bool", "complex64")]
    contents += [npy(ids.astype(np.uint16).reshape(2, 3)), npy(np.array(5, dtype=np.uint16)), archive.getvalue()]
    contents += [npy(np.array([intruder], dtype=object), allow_pickle=True), pickle.dumps(intruder)]
    contents += [b"[1, 2, 3]", bytes(rng.ids(256, 200).tolist())]
    for content in contents:
        student.library.write_file(f"{folder}/other.npy", content)
        with pytest.raises(ValueError, match="other.npy"):
            student.load_tokens(f"{folder}/other.npy")
        found = student.library.list_files(folder)
        require(found == ["other.npy"], "loading a file ran what is in it", "Never unpickle a file.")
    student.library.write_file(f"{folder}/good.npy", npy(ids.astype(np.uint16)))
    require(student.load_tokens(f"{folder}/good.npy").tolist() == ids.tolist(), "a good file was not loaded")
