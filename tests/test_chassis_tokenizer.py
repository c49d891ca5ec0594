"""The library's tokenizers, at the edges that the conventions name; the byte pairs that ship."""

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken_ext.openai_public import r50k_pat_str

import datasets
from autograder.minigpt.library import BPETokenizer, CharTokenizer, WordTokenizer, pretokenize, stories_vocabulary

SPECIAL = ["<|end|>", "<|end|>s", "'ll", "ab"]
CHUNKS = st.lists(st.text("ab'l <|end>s\n5é", max_size=6) | st.sampled_from(SPECIAL), max_size=8)


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer(*stories_vocabulary(), SPECIAL)


def test_characters_ascend_by_code_point_and_come_back():
    text = "héllo \0\U0001f600\ud800"
    tokenizer = CharTokenizer.from_text(text)
    assert tokenizer.vocab_size == 8
    assert tokenizer.decode(range(8)) == "".join(sorted(set(text)))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode("") == [] and tokenizer.decode([]) == ""


def test_the_first_unknown_character_is_named_with_its_index():
    with pytest.raises(ValueError, match=r"'\\n'.* 2"):
        CharTokenizer.from_text("abc").encode("ab\nx")


@pytest.mark.parametrize("bad", [-1, 10_000])
def test_an_unknown_id_is_a_value_error_everywhere(bad, tokenizer):
    for each in (CharTokenizer.from_text("abc"), WordTokenizer.from_text("a b"), tokenizer):
        with pytest.raises(ValueError, match=str(bad)):
            each.decode([0, bad])


def test_words_by_falling_frequency_then_code_points():
    tokenizer = WordTokenizer.from_text("b a  a, b! \0")
    assert [tokenizer.decode([i]) for i in range(tokenizer.vocab_size)] == [
        "<unk>", " ", "a", "b", "\0", "  ", "!", ",",
    ]  # fmt: skip
    assert tokenizer.encode("a c") == [2, 1, 0]
    assert tokenizer.decode(tokenizer.encode("a  b!")) == "a  b!"
    assert WordTokenizer.from_text("").vocab_size == 1


def test_max_vocab_counts_unk_and_keeps_the_most_frequent():
    tokenizer = WordTokenizer.from_text("b b a", max_vocab=3)
    assert [tokenizer.decode([i]) for i in range(3)] == ["<unk>", " ", "b"]
    with pytest.raises(ValueError, match="max_vocab"):
        WordTokenizer.from_text("a", max_vocab=0)


@given(st.text())
def test_pieces_join_to_the_text(text):
    assert "".join(pretokenize(text)) == text


def test_pieces_are_gpt2s():
    assert pretokenize("It's  42 don'T\n\n x") == ["It", "'s", " ", " 42", " don", "'", "T", "\n\n", " x"]


def test_byte_pairs_agree_with_tiktoken_on_the_corpus(tokenizer):
    vocab, _ = stories_vocabulary()
    ranks = {token: rank for rank, token in vocab.items()}
    theirs = tiktoken.Encoding("t", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
    text = datasets.load("stories").validation[:50_000] + " naïve 漢字 '\n\n\t 3.14"
    plain = BPETokenizer(*stories_vocabulary())
    assert plain.encode(text) == theirs.encode_ordinary(text)
    assert plain.decode(plain.encode(text)) == text


def test_the_shipped_merges_give_back_the_shipped_vocabulary():
    vocab, merges = stories_vocabulary()
    assert [vocab[i] for i in range(256)] == [bytes([i]) for i in range(256)]
    assert [vocab[256 + i] for i in range(len(merges))] == [left + right for left, right in merges]
    known = {vocab[i] for i in range(256)}
    for left, right in merges:
        assert left in known and right in known
        known.add(left + right)


@pytest.mark.parametrize("text", ["aab", "aaab", "aaaab", "aabaab", "baaa"])
def test_the_lowest_merge_comes_first_everywhere(text):
    vocab = {i: bytes([i]) for i in range(256)} | {256: b"aa", 257: b"ab", 258: b"aab"}
    tokenizer = BPETokenizer(vocab, [(b"a", b"a"), (b"a", b"b"), (b"aa", b"b")])
    expected = {
        "aab": [258], "aaab": [256, 257], "aaaab": [256, 258], "aabaab": [258, 258], "baaa": [98, 256, 97],
    }  # fmt: skip
    assert tokenizer.encode(text) == expected[text]


def test_special_tokens_take_the_longest_match_and_are_never_merged_across():
    vocab, merges = stories_vocabulary()
    tokenizer = BPETokenizer(vocab, merges, ["<|end|>", "<|end|>s", "<|"])
    assert tokenizer.vocab_size == 515
    assert tokenizer.encode("<|end|>s<|end|>") == [513, 512]
    assert tokenizer.encode("a<|b") == [97, 514, 98]
    assert tokenizer.decode([97, 513, 0xFF]) == "a<|end|>s\ufffd"


def test_special_tokens_that_the_vocabulary_has_keep_their_ids():
    vocab, merges = stories_vocabulary()
    with_special = {**vocab, 512: b"<x>", 513: b"<y>"}
    tokenizer = BPETokenizer(with_special, merges, ["<y>", "<z>"])
    assert tokenizer.vocab_size == 515
    assert tokenizer.encode("<y><z>") == [513, 514]
    assert 512 not in tokenizer.encode("<x>")  # in the vocabulary but not named: ordinary text
    assert tokenizer.decode([512]) == "<x>"
    assert with_special == {**vocab, 512: b"<x>", 513: b"<y>"}


def test_a_vocabulary_with_other_ids_is_followed():
    vocab = {255 - i: bytes([i]) for i in range(256)} | {300: b"ab"}
    assert BPETokenizer(vocab, [(b"a", b"b")]).encode("abc") == [300, 255 - ord("c")]


@pytest.mark.parametrize("special", [["<a>", "<a>"], [""]])
def test_special_tokens_are_distinct_and_not_empty(special):
    with pytest.raises(ValueError, match="special_tokens"):
        BPETokenizer(*stories_vocabulary(), special)


@settings(max_examples=300, deadline=None)
@given(CHUNKS)
def test_chunks_give_the_ids_of_the_joined_text(tokenizer, chunks):
    assert list(tokenizer.encode_iterable(chunks)) == tokenizer.encode("".join(chunks))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("a' \n", max_size=6), max_size=6))
def test_chunks_of_white_space_are_cut_as_in_the_joined_text(chunks):
    """With tokens of white space it shows where a run of it was cut."""
    vocab, merges = stories_vocabulary()
    more = [(b" ", b" "), (b"\n", b"\n"), (b"  ", b" "), (b" ", b"\n"), (b"\n", b" "), (b"  ", b"  ")]
    vocab = vocab | {512 + number: left + right for number, (left, right) in enumerate(more)}
    tokenizer = BPETokenizer(vocab, [*merges, *more])
    assert list(tokenizer.encode_iterable(chunks)) == tokenizer.encode("".join(chunks))


@pytest.mark.parametrize(
    ("chunk", "settled"),
    [
        ("one two three four", "one two"),
        ("one two three<|en", "one"),
        ("one<|end|>s two three four", "one<|end|>s two"),
        ("one two three<|end|>", "one"),  # could still become <|end|>s
        ("one", ""),
    ],
)
def test_only_two_pieces_and_the_beginning_of_a_special_token_are_held_back(tokenizer, chunk, settled):
    written: list[int] = []
    written_before_second_pull: list[str] = []

    def source():
        yield chunk
        written_before_second_pull.append(tokenizer.decode(written))

    for token_id in tokenizer.encode_iterable(source()):
        written.append(token_id)
    assert written_before_second_pull == [settled]
    assert tokenizer.decode(written) == chunk


def test_an_endless_source_is_read_lazily(tokenizer):
    def endless():
        while True:
            yield "one two three "

    stream = tokenizer.encode_iterable(endless())
    assert len([next(stream) for _ in range(50)]) == 50
