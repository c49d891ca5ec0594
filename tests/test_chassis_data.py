"""The library's data functions, at the edges that the conventions name."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.minigpt.library import (
    TokenDataset,
    get_batch,
    load_tokens,
    normalize_text,
    save_tokens,
    sliding_windows,
    train_val_split,
)

KINDS = [torch.arange, np.arange, lambda n: np.arange(n, dtype=np.uint16), lambda n: torch.arange(n).int()]


def test_line_ends_control_characters_accents_and_marks():
    assert normalize_text("a\r\nb\rc\vd\fe\x85f") == "a\nb\nc\nd\ne\nf"
    assert normalize_text("\ufeff\ufeffa\tb\x00\x1b\x9f\ufeff") == "a\tb\ufeff"
    assert normalize_text("e\u0301 e\x00\u0301") == "\u00e9 \u00e9"  # dropping comes before composing
    assert normalize_text("\x00\ufeffa") == "a"


@given(st.text(st.sampled_from("a\r\n\v\f\x85\x00\ufeffe\u0301\u0300\t \u1100\u1161") | st.characters()))
def test_normalizing_twice_changes_nothing(text):
    once = normalize_text(text)
    assert normalize_text(once) == once


@pytest.mark.parametrize(("length", "fraction", "n_val"), [(100, 0.29, 29), (10, 0.0, 0), (10, 0.99, 9), (3, 0.3, 0)])
@pytest.mark.parametrize("make", KINDS)
def test_the_tail_is_for_validation(length, fraction, n_val, make):
    train, val = train_val_split(make(length), fraction)
    assert train.dtype == val.dtype == torch.int64
    assert train.tolist() + val.tolist() == list(range(length))
    assert len(val) == n_val


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_fraction_outside_is_named(fraction):
    with pytest.raises(ValueError, match="val_fraction"):
        train_val_split(torch.arange(4), fraction)


@pytest.mark.parametrize("make", KINDS)
def test_windows_are_full_and_y_is_one_later(make):
    x, y = sliding_windows(make(8), 3, 2)
    assert x.dtype == y.dtype == torch.int64
    assert x.tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert torch.equal(y, x + 1)
    assert sliding_windows(make(4), 3, 5)[1].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("call", [lambda ids: sliding_windows(ids, 4, 1), lambda ids: get_batch(ids, 2, 4)])
def test_too_few_ids_for_one_window(call):
    assert len(call(torch.arange(5))[0]) >= 1
    with pytest.raises(ValueError, match="block_size"):
        call(torch.arange(4))
    with pytest.raises(ValueError, match="block_size"):
        TokenDataset(torch.arange(4), 4)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: sliding_windows(torch.arange(9), 0, 1), "block_size"),
        (lambda: sliding_windows(torch.arange(9), 2, 0), "stride"),
        (lambda: get_batch(torch.arange(9), 0, 2), "batch_size"),
        (lambda: TokenDataset(torch.arange(9), 2, 0), "stride"),
    ],
)
def test_sizes_below_one_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


@pytest.mark.parametrize("make", KINDS)
def test_batches_come_from_every_window_and_from_the_generator_alone(make):
    ids = make(6)
    state = torch.get_rng_state()
    x, y = get_batch(ids, 400, 2, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), state)
    assert x.shape == (400, 2) and x.dtype == y.dtype == torch.int64
    assert torch.equal(y, x + 1)
    assert sorted(set(x[:, 0].tolist())) == [0, 1, 2, 3]
    again, _ = get_batch(ids, 400, 2, generator=torch.Generator().manual_seed(3))
    assert torch.equal(x, again)


def test_without_a_generator_the_global_one_is_used():
    torch.manual_seed(5)
    first = get_batch(torch.arange(100), 8, 2)[0]
    torch.manual_seed(5)
    assert torch.equal(first, get_batch(torch.arange(100), 8, 2)[0])


def test_the_data_set_ends():
    data = TokenDataset(torch.arange(7), 3)
    assert isinstance(data, torch.utils.data.Dataset)
    assert [x.tolist() for x, _ in (data[i] for i in range(len(data)))] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(IndexError):
        data[2]
    assert len(TokenDataset(np.arange(7), 3, stride=1)) == 4


@pytest.mark.parametrize(("ids", "dtype"), [([0, 65535], np.uint16), ([0, 65536], np.uint32), ([], np.uint16)])
def test_tokens_come_back_as_a_read_only_map_from_the_very_path(tmp_path, ids, dtype):
    for kind in (list, np.array, torch.tensor):
        path = tmp_path / "tokens.bin"
        save_tokens(kind(ids) if ids or kind is list else kind(ids, dtype=kind([1]).dtype), str(path))
        assert [entry.name for entry in tmp_path.iterdir()] == ["tokens.bin"]
        tokens = load_tokens(path)
        assert isinstance(tokens, np.memmap) and not tokens.flags.writeable
        assert tokens.dtype == dtype and tokens.tolist() == ids


@pytest.mark.parametrize("bad", [[-1], [2**32], [[1, 2]]])
def test_ids_that_fit_no_file_leave_the_old_one(tmp_path, bad):
    save_tokens([1], tmp_path / "t.npy")
    with pytest.raises(ValueError, match="ids"):
        save_tokens(np.array(bad), tmp_path / "t.npy")
    assert load_tokens(tmp_path / "t.npy").tolist() == [1]
    assert len(list(tmp_path.iterdir())) == 1


def test_damaged_and_foreign_files_are_named(tmp_path):
    good = tmp_path / "good.npy"
    save_tokens(range(1000), good)
    path = tmp_path / "bad.npy"
    for content in [good.read_bytes()[:cut] for cut in (0, 5, 9, 40, 127, 128, 1500)] + [b"PK\x03\x04", b"text"]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="bad.npy"):
            load_tokens(path)
    for array in (np.zeros(3), np.zeros(3, np.int64), np.zeros((2, 2), np.uint16), np.array(["a"], dtype=object)):
        np.save(path, array, allow_pickle=True)
        with pytest.raises(ValueError, match="bad.npy"):
            load_tokens(path)
    with pytest.raises(FileNotFoundError):
        load_tokens(tmp_path / "none.npy")
