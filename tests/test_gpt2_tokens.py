"""The reference of 01_tokenizer is GPT-2's tokenizer, given GPT-2's vocabulary: token by token, with tiktoken as judge.

GPT-2's files are taken from tiktoken's cache. Nothing is downloaded: without a cache the tests that need one are skipped.
"""

from __future__ import annotations

import importlib.util
import os
import random
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tiktoken
from tiktoken_ext.openai_public import r50k_pat_str

import datasets

REPOSITORY = Path(__file__).parents[1]
SHARED_CACHE = REPOSITORY.parent / "shared" / "data" / "tiktoken-cache"
GPT2_FILES = ("6c7ea1a7e38e3a7f062df639a5b80947f075ffe6", "6d1cbeee0f20b3d9449abfede4726ed8212e3aee")
END = "<|endoftext|>"
SNIPPETS = (
    *("the", " the", " cat", " sat", " MiniGPT", " unbelievably", "xyzzy", " I'd", "'ll", "'LL", "'", " 's", "it's"),
    *(" ", "  ", " " * 7, " " * 40, "\n", "\n\n\n", " \n ", "\t", "\r\n", "\u00a0", "\u3000", "\x00", "\x85"),
    *("7", " 1234567890", "3.14", "!", " ?!", "...", "=" * 20, " ==", "_", " __init__", "://", "({[", '"', " \\"),
    *(
        " naïve",
        "e\u0301",
        " Straße",
        " кошка",
        "猫が座った",
        " 한국어",
        " العربية",
        "हिन्दी",
        "½²",
        "\U0001f408",
        " 👩‍👩‍👧",
    ),
)


@pytest.fixture(scope="module")
def tokenizer_module() -> ModuleType:
    """The reference. Its name is not `tokenizer` here, so that it is in nobody's way."""
    path = REPOSITORY / "solutions" / "01_tokenizer" / "tokenizer.py"
    spec = importlib.util.spec_from_file_location("reference_tokenizer", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def gpt2() -> tiktoken.Encoding:
    """GPT-2's encoding, from the files of a cache."""
    cache = Path(os.environ.get("TIKTOKEN_CACHE_DIR") or SHARED_CACHE)
    missing = [name for name in GPT2_FILES if not (cache / name).is_file()]
    if missing:
        pytest.skip(f"GPT-2's files are not in {cache}: set TIKTOKEN_CACHE_DIR to a folder where tiktoken keeps them")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        return tiktoken.get_encoding("gpt2")


@pytest.fixture(scope="module")
def own_gpt2(tokenizer_module: ModuleType, gpt2: tiktoken.Encoding) -> Any:
    """The reference's tokenizer with GPT-2's vocabulary and merges."""
    ranks = gpt2._mergeable_ranks
    vocab = {token_id: token for token, token_id in ranks.items()} | {gpt2.eot_token: END.encode()}
    return tokenizer_module.BPETokenizer(vocab, merges_from(ranks), [END])


def merges_from(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """The merges, in order, of a table that only says which tokens there are.

    A token of several bytes is the merge of the two parts that are left of it when only merges before its own apply.
    """
    in_order = sorted((token for token in ranks if len(token) > 1), key=ranks.__getitem__)
    merges = []
    for token in in_order:
        parts = split_by_ranks(token, ranks, below=ranks[token])
        assert len(parts) == 2, (token, parts)
        merges.append((parts[0], parts[1]))
    return merges


def split_by_ranks(token: bytes, ranks: dict[bytes, int], below: int) -> list[bytes]:
    """The parts of a token when neighbours are joined by rising rank, up to a rank."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 1:
        rank, place = min(
            (ranks.get(left + right, below), place) for place, (left, right) in enumerate(pairwise(parts))
        )
        if rank >= below:
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def drawn_texts(seed: int, number: int) -> list[str]:
    """Texts of snippets, and some of characters from anywhere that was in Unicode when GPT-2 came out."""
    rng = random.Random(seed)
    texts = ["".join(rng.choices(SNIPPETS, k=rng.randint(0, 30))) for _ in range(number)]
    alphabets = ("ab '\n", "tsl'dmrve ", "0123456789.,- ", "\u00e0\u00e9\u00ff\u4e00\u732b\u3042\U0001f600\U0001f680 ")
    texts += ["".join(rng.choices(rng.choice(alphabets), k=rng.randint(1, 60))) for _ in range(number)]
    return texts


def test_gpt2s_merges_are_all_recovered(own_gpt2: Any, gpt2: tiktoken.Encoding) -> None:
    assert own_gpt2.vocab_size == gpt2.n_vocab == 50_257
    assert len(own_gpt2.ranks) == 50_000
    assert list(own_gpt2.ranks)[:3] == [(b" ", b"t"), (b" ", b"a"), (b"h", b"e")]
    assert own_gpt2.encode("a") == [64]  # as the handout says


@pytest.mark.parametrize("seed", range(5))
def test_drawn_texts_have_gpt2s_tokens(own_gpt2: Any, gpt2: tiktoken.Encoding, seed: int) -> None:
    for text in drawn_texts(seed, 300):
        ids = own_gpt2.encode(text)
        assert ids == gpt2.encode_ordinary(text), (seed, text)
        assert own_gpt2.decode(ids) == text, (seed, text)


@pytest.mark.parametrize("seed", range(3))
def test_end_of_text_is_one_token(own_gpt2: Any, gpt2: tiktoken.Encoding, seed: int) -> None:
    rng = random.Random(seed)
    assert own_gpt2.encode(END) == [50_256]
    for text in drawn_texts(seed + 100, 100):
        cut = rng.randint(0, len(text))
        text = text[:cut] + END + text[cut:] + rng.choice(["", END, END[:5], " " + END])
        ids = gpt2.encode(text, allowed_special={END})
        assert own_gpt2.encode(text) == ids, (seed, text)
        chunks = [text[i : i + 7] for i in range(0, len(text), 7)]
        assert list(own_gpt2.encode_iterable(chunks)) == ids, (seed, text)


@pytest.mark.parametrize("name", ["stories", "python"])
def test_a_large_text_has_gpt2s_tokens(own_gpt2: Any, gpt2: tiktoken.Encoding, name: str) -> None:
    text = datasets.load(name).train[:1_000_000]
    ids = gpt2.encode_ordinary(text)
    assert own_gpt2.encode(text) == ids
    lines = text.splitlines(keepends=True)
    assert list(own_gpt2.encode_iterable(lines)) == ids
    assert own_gpt2.decode(ids) == text


def test_every_token_of_gpt2_decodes(own_gpt2: Any, gpt2: tiktoken.Encoding) -> None:
    for token_id in range(gpt2.n_vocab):
        assert own_gpt2.decode([token_id]) == gpt2.decode([token_id]), token_id


@pytest.mark.parametrize("name", ["stories", "python"])
def test_own_merges_agree_with_tiktoken(tokenizer_module: ModuleType, name: str) -> None:
    """Needs no file of GPT-2's: the ranks are those that `train_bpe` gives."""
    corpus = datasets.load(name)
    vocab, merges = tokenizer_module.train_bpe(corpus.train[:130_000], 757, [END])
    assert len(vocab) == 757 and len(merges) == 500
    ranks = {vocab[token_id]: token_id for token_id in range(756)}
    assert len(ranks) == 756, "two merges make the same bytes"
    assert merges_from(ranks) == merges
    theirs = tiktoken.Encoding("own", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={END: 756})
    own = tokenizer_module.BPETokenizer(vocab, merges, [END])
    text = corpus.train[:100_000] + END + corpus.validation[:50_000]
    for sample in (text, *drawn_texts(7, 100)):
        ids = own.encode(sample)
        assert ids == theirs.encode(sample, allowed_special="all")
        assert own.decode(ids) == sample
