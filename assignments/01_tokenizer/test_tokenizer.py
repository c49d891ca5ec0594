"""Visible tests of assignment 01. Run them with `pytest assignments/01_tokenizer`.

Each test says in its first line what should hold. Inputs are drawn anew for every seed: try `--minigpt-seed 1`.
"""

import pytest
import tiktoken
from tiktoken_ext.openai_public import r50k_pat_str

from autograder.minigpt.library import library_parts, pretokenize, stories_vocabulary
from autograder.testing import points, require, task

PARTS = ["the", " cat", " sat", "'s", "'ll", "'", " 42", "7", " ", "  ", "\n", "\n\n", "\t", ".", " (!", "_", "x"]
OTHER_SCRIPTS = ["é", "e\u0301", " \u6f22\u5b57", "\u732b", " \u043a\u043e\u0442", "\u00bd", "\U0001f408", "\u3000"]


def same(actual, expected, hint=None):
    """Equal, and of the same type."""
    kind = type(expected).__name__
    require(type(actual).__name__ == kind, f"expected a {kind}, got a {type(actual).__name__}", hint)
    require(actual == expected, f"expected {expected!r}, got {actual!r}", hint)


def draw_text(rng, length, parts=PARTS + OTHER_SCRIPTS):
    """Pieces of text, one after another."""
    return "".join(rng.choice(parts) for _ in range(length))


def draw_letters(rng, number):
    """Different small letters, in the alphabet's order."""
    return sorted("abcdefghijklmnopqrstuvwxyz"[i] for i in rng.permutation(26)[:number].tolist())


def tokens_of(tokenizer):
    """The text of each id."""
    return [tokenizer.decode([token_id]) for token_id in range(tokenizer.vocab_size)]


# --- chars -----------------------------------------------------------------------------------------------------------


@task("chars")
@points(2)
def test_characters_ascend_by_code_point(student, rng):
    """The characters of the text get the ids 0, 1, 2, ... in the order of their code points."""
    text = rng.text(40, "the cat sat.\nABé\u6f22")
    tokenizer = student.CharTokenizer.from_text(text)
    expected = sorted(set(text))
    require(tokenizer.vocab_size == len(expected), "one id for each different character", "vocab_size is a property.")
    same(tokens_of(tokenizer), expected, hint="sorted(...) sorts characters by code point.")
    same(tokenizer.encode(text), [expected.index(character) for character in text])


@task("chars")
@points(1)
def test_unknown_character_is_named(student, rng):
    """An unknown character is a ValueError with its repr and its index; without it the text can be encoded."""
    tokenizer = student.CharTokenizer.from_text("the cat sat")
    good = rng.text(rng.integer(11, 30), "the cas")
    with pytest.raises(ValueError) as error:
        tokenizer.encode(good + "\n" + good)
    hint = 'For example: raise ValueError(f"unknown character {character!r} at index {index}")'
    require(repr("\n") in str(error.value), f"the repr of the character is not in {str(error.value)!r}", hint)
    require(str(len(good)) in str(error.value), f"the index {len(good)} is not in {str(error.value)!r}", hint)
    same(tokenizer.decode(tokenizer.encode(good)), good)


@task("chars")
@points(1)
def test_ids_that_no_character_has(student, rng):
    """Decoding an id that there is not, or a negative one, is a ValueError; the last id is fine."""
    text = rng.text(20, "the cat sat")
    tokenizer = student.CharTokenizer.from_text(text)
    last = len(set(text)) - 1
    same(tokenizer.decode([0, last]), min(text) + max(text))
    for bad in (last + 1, -1):
        with pytest.raises(ValueError):
            tokenizer.decode([0, bad])


# --- words -----------------------------------------------------------------------------------------------------------


@task("words")
@points(2)
def test_frequent_words_come_first(student, rng):
    """`<unk>` is id 0; then come the pieces by falling frequency, and by code points among equals."""
    first, second, third, fourth = draw_letters(rng, 4)
    text = f"{third} {third}! {second} {first}-{fourth}"
    tokenizer = student.WordTokenizer.from_text(text)
    expected = ["<unk>", " ", third, "!", "-", first, second, fourth]
    same(tokens_of(tokenizer), expected, hint="Sort with key=lambda piece: (-counts[piece], piece).")
    pieces = [third, " ", third, "!", " ", second, " ", first, "-", fourth]
    same(tokenizer.encode(text), [expected.index(piece) for piece in pieces])


@task("words")
@points(1)
def test_words_come_back(student, rng):
    """Known text comes back as it was, white space too; an unknown piece is id 0 and comes back as `<unk>`."""
    text = draw_text(rng, 30) + " the cat"
    tokenizer = student.WordTokenizer.from_text(text)
    same(
        tokenizer.decode(tokenizer.encode(text)), text, hint="A run of white space is one piece, and is kept as it is."
    )
    ids = tokenizer.encode("the dog cat")
    require(ids.count(0) == 1 and ids[2] == 0, f"only 'dog' is unknown, got the ids {ids}")
    same(tokenizer.decode(ids), "the <unk> cat")
    with pytest.raises(ValueError):
        tokenizer.decode([-1])


@task("words")
@points(1)
def test_max_vocab_counts_unk(student, rng):
    """`max_vocab` counts `<unk>`, and the most frequent pieces stay; 0 is a ValueError and 1 is not."""
    rare, common = rng.choice(["cat", "hat"]), rng.choice(["sat", "mat"])
    text = f"{rare} {common} {common}."
    same(tokens_of(student.WordTokenizer.from_text(text, max_vocab=3)), ["<unk>", " ", common])
    same(student.WordTokenizer.from_text(text, max_vocab=3).encode(text), [0, 1, 2, 1, 2, 0])
    same(tokens_of(student.WordTokenizer.from_text(text, max_vocab=1)), ["<unk>"])
    require(student.WordTokenizer.from_text(text, max_vocab=99).vocab_size == 5, "max_vocab is a limit, not a wish")
    with pytest.raises(ValueError):
        student.WordTokenizer.from_text(text, max_vocab=0)


# --- pretokenize -----------------------------------------------------------------------------------------------------


@task("pretokenize")
@points(1)
def test_pieces_of_a_sentence(student):
    """Words and numbers take the space before them along, and the ends of contractions are pieces."""
    for text, pieces in {
        "the cat sat": ["the", " cat", " sat"],
        "It's 42!": ["It", "'s", " 42", "!"],
        "we'll say: don't": ["we", "'ll", " say", ":", " don", "'t"],
        "I'm NOT! DON'T": ["I", "'m", " NOT", "!", " DON", "'", "T"],
        "abc123 x_y": ["abc", "123", " x", "_", "y"],
        "caf\u00e9 \u6f22\u5b57 \u00bd": ["caf\u00e9", " \u6f22\u5b57", " \u00bd"],
    }.items():
        same(student.pretokenize(text), pieces, hint="Six alternatives, in the docstring's order, with `|` between.")


@task("pretokenize")
@points(1)
def test_pieces_of_white_space(student):
    """Of a run of white space the last character is left for the next piece, if there is one."""
    hint = r"\s+(?!\S) stands before \s+. It gives the last character back where something follows."
    for text, pieces in {
        "a   b": ["a", "  ", " b"],
        "a\n\nb": ["a", "\n", "\n", "b"],
        "a \n  ": ["a", " \n  "],
        "\t\ta": ["\t", "\t", "a"],
        "  (": [" ", " ("],
        "": [],
    }.items():
        same(student.pretokenize(text), pieces, hint)


@task("pretokenize")
@points(1)
def test_pieces_join_to_the_text(student, rng):
    """On drawn text the pieces are those of the library, and joined they are the text."""
    text = draw_text(rng, 300)
    pieces = student.pretokenize(text)
    same("".join(pieces), text, hint="Each character belongs to one piece: the last alternatives take what is left.")
    same(pieces, pretokenize(text))


# --- pairs -----------------------------------------------------------------------------------------------------------


@task("pairs")
@points(2)
def test_pairs_count_as_often_as_their_word(student, rng):
    """Each pair counts as often as its word does, and the counts of all words are added up."""
    two, three = rng.integer(2, 50), rng.integer(51, 99)
    words = {(b"c", b"a", b"t"): two, (b"a", b"t"): three, (b"s", b"at"): 1, (b"x",): 7}
    expected = {(b"c", b"a"): two, (b"a", b"t"): two + three, (b"s", b"at"): 1}
    hint = "Add the word's count to each of its pairs. A word of one symbol has no pair."
    require(student.count_pairs(words) == expected, f"expected {expected}, got {student.count_pairs(words)}", hint)
    run = {(b"a", b"a", b"a", b"b"): two}
    require(student.count_pairs(run) == {(b"a", b"a"): 2 * two, (b"a", b"b"): two}, "(a, a, a) has (a, a) twice")


@task("pairs")
@points(2)
def test_a_pair_becomes_one_symbol(student, rng):
    """The pair becomes one symbol wherever it stands, and everything else stays as it is."""
    first, second, other = (letter.encode() for letter in draw_letters(rng, 3))
    symbols = (first, second, other, second, first, first, second)
    both = first + second
    same(student.merge_pair(symbols, (first, second)), (both, other, second, first, both), hint="Return a tuple.")
    same(student.merge_pair(symbols, (other, first)), symbols, hint="A pair that is not there changes nothing.")
    same(student.merge_pair((both, other), (both, other)), (both + other,))


@task("pairs")
@points(1)
def test_merging_goes_from_left_to_right(student, rng):
    """In a run of the same symbol, the first two are joined, then the next two, and one may be left."""
    symbol, half = rng.choice([b"a", b"ab", b" "]), rng.integer(1, 4)
    for left_over in (0, 1):
        run = (symbol,) * (2 * half + left_over)
        expected = (2 * symbol,) * half + (symbol,) * left_over
        same(student.merge_pair(run, (symbol, symbol)), expected, hint="Go on behind both symbols.")


# --- train_bpe -------------------------------------------------------------------------------------------------------


@task("train_bpe")
@points(2)
def test_merges_of_the_handout(student):
    """The merges for "the cat sat on the mat" are those of the handout, in this order."""
    _, merges = student.train_bpe("the cat sat on the mat", vocab_size=300)
    expected = [(b"a", b"t"), (b"t", b"h"), (b"th", b"e"), (b"s", b"at"), (b"o", b"n"), (b"m", b"at"), (b"c", b"at")]
    expected += [(b" ", word) for word in (b"the", b"sat", b"on", b"mat", b"cat")]
    for number, pair in enumerate(expected, start=1):
        found = merges[number - 1] if len(merges) >= number else None
        require(found == pair, f"merge {number} is {pair}, got {found}", "Follow the handout's table, merge by merge.")
    require(len(merges) == len(expected), "when no pair is left, training stops")


@task("train_bpe")
@points(2)
def test_vocabulary_has_three_parts(student, rng):
    """First come the 256 bytes, then the merges, then the special tokens, and `vocab_size` counts all of them."""
    special, size = ["<|end|>", "<|a|>"], rng.integer(259, 262)
    vocab, merges = student.train_bpe("the cat sat<|end|>on the mat", size, special)
    require(sorted(vocab) == list(range(size)), f"the ids are 0 to {size - 1}, got {len(vocab)} ids")
    same(
        [vocab[i] for i in range(256)], [bytes([i]) for i in range(256)], hint="bytes([7]) is one byte; bytes(7) is 7."
    )
    same([vocab[i] for i in range(256, size - 2)], [left + right for left, right in merges])
    same([vocab[size - 2], vocab[size - 1]], [b"<|end|>", b"<|a|>"], hint="Special tokens come last, in their order.")
    same(student.train_bpe("the cat", 258, special)[1], [])
    with pytest.raises(ValueError):
        student.train_bpe("the cat", 257, special)


@task("train_bpe")
@points(1)
def test_the_most_frequent_pair_wins(student, rng):
    """The most frequent pair is merged first; of several, the lexicographically greatest pair of byte strings."""
    a, b, c, y, z = draw_letters(rng, 5)
    _, merges = student.train_bpe(f"{a}{b}\n{y}{z}\n{a}{b}", 257)
    same(merges, [(a.encode(), b.encode())], hint="Count a piece as often as it is in the text.")
    _, merges = student.train_bpe(f"{a}{b}\n{y}{z}\n{b}{c}", 257)
    same(merges, [(y.encode(), z.encode())], hint="Of (a, b), (b, c) and (y, z) the last is the greatest.")
    ab = (a + b).encode()
    _, merges = student.train_bpe(f"{a}{b}\n{a}{b}{c}\n{a}{b}{c}\n{a}{z}\n{a}{z}", 258)
    same(merges[1], (ab, c.encode()), hint="(ab, c) > (a, z), as b'ab' > b'a': compare pairs, not what they make.")
    _, merges = student.train_bpe(f"{a}{b}\n{a}{b}{c}\n{a}{b}{c}\n{y}{z}\n{y}{z}", 258)
    same(merges[1], (y.encode(), z.encode()), hint="(y, z) > (ab, c), as b'y' > b'ab': compare bytes, not ids.")


@task("train_bpe")
@points(2)
def test_nothing_merges_across_a_cut(student, rng):
    """Neither a piece's end nor a special token is ever inside a token that was learned."""
    word = "".join(draw_letters(rng, 3))
    text = f"{word} {word}<|end|>{word} {word}<|end|>" * 4
    _, merges = student.train_bpe(text, 400, ["<|end|>"])
    learned = {left + right for left, right in merges}
    tokens = {word[:2], word[1:], word, " " + word, " " + word[:2], " " + word[:1]}
    hint = "Cut at special tokens first and leave them out; then count the pieces of `pretokenize`."
    require(learned <= {token.encode() for token in tokens}, f"got {sorted(learned)}", hint)
    require({word.encode(), b" " + word.encode()} <= learned, "a piece that stands alone becomes one token", hint)


# --- bpe -------------------------------------------------------------------------------------------------------------


def byte_pairs():
    """The byte pairs that ship with the project, 256 bytes and 256 merges, and 4 more that show where a text is cut."""
    vocab, merges = stories_vocabulary()
    more = [(b" ", b" "), (b"\n", b"\n"), (b" ", b"\n"), (b"'", b"ll")]
    return vocab | {512 + i: left + right for i, (left, right) in enumerate(more)}, merges + more


def make_tokenizer(student, special_tokens=()):
    """The student's tokenizer with these byte pairs."""
    return student.BPETokenizer(*byte_pairs(), special_tokens)


@task("bpe")
@points(2)
def test_ids_agree_with_tiktoken(student, rng):
    """On drawn text the ids are those of tiktoken with the same merges."""
    ranks = {token: token_id for token_id, token in byte_pairs()[0].items()}
    theirs = tiktoken.Encoding("stories", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
    tokenizer = make_tokenizer(student)
    require(tokenizer.vocab_size == 516, "there are 516 tokens", "vocab_size is a property.")
    words = [" snail", " friend", " happy", " the", " story", " cannot", " found"]
    for text in ("", "cat", draw_text(rng, 40, words), draw_text(rng, 100)):
        same(tokenizer.encode(text), theirs.encode_ordinary(text), hint="Lowest rank first, inside each piece.")


@task("bpe")
@points(2)
def test_text_comes_back(student, rng):
    """Decoding gives the text back, whatever it is; bytes that are not UTF-8 give U+FFFD, and unknown ids an error."""
    tokenizer = make_tokenizer(student)
    text = draw_text(rng, 60) + "\u732b\U0001f408"
    same(tokenizer.decode(tokenizer.encode(text)), text, hint="Join the bytes of all ids first, then decode once.")
    same(tokenizer.decode([0x63, 0xFF, 0x61]), "c\ufffda", hint="bytes.decode(errors='replace')")
    same(tokenizer.decode([511, 515]), byte_pairs()[0][511].decode() + "'ll")
    for bad in (516, -1):
        with pytest.raises(ValueError):
            tokenizer.decode([bad])


@task("bpe")
@points(2)
def test_special_tokens_are_one_id(student, rng):
    """A special token is one id. One that the vocabulary lacks is appended, and of several the longest is taken."""
    tokenizer = make_tokenizer(student, ["<|end|>", "<|end|>s", "(.)"])
    require(tokenizer.vocab_size == 519, "three special tokens are three more ids")
    text = rng.text(5, "xyz")
    ids = [ord(letter) for letter in text]
    same(tokenizer.encode(f"{text}<|end|>{text}(.){text}<|end|>s"), ids + [516] + ids + [518] + ids + [517])
    same(tokenizer.encode("(x)"), [ord("("), ord("x"), ord(")")], hint="Escape special tokens in a pattern: re.escape.")
    same(tokenizer.decode([516, 120, 517]), "<|end|>x<|end|>s")
    vocab, merges = byte_pairs()
    trained = student.BPETokenizer(vocab | {516: b"<|a|>", 517: b"<|b|>"}, merges, ["<|b|>", "<|a|>"])
    same(trained.encode("<|a|><|b|>"), [516, 517], hint="Special tokens that vocab holds already keep their ids.")
    require(trained.vocab_size == 518, "special tokens that vocab holds already are not added again")
    with pytest.raises(ValueError):
        make_tokenizer(student, ["<|end|>", ""])


@task("bpe")
@points(2)
def test_chunks_give_the_ids_of_the_whole(student, rng):
    """However a text is cut into chunks, the ids are those of the whole text."""
    special = ["<|end|>", "<|end|>s"]
    tokenizer = make_tokenizer(student, special)
    oracle = library_parts().BPETokenizer(*byte_pairs(), special)
    text = draw_text(rng, 6) + "we'll see   <|end|>s  <|en\n\nd" + draw_text(rng, 6)
    expected = oracle.encode(text)
    for cut in range(len(text) + 1):
        found = list(tokenizer.encode_iterable([text[:cut], text[cut:]]))
        hint = "Which pieces at a chunk's end could still change? Could it be the beginning of a special token?"
        require(found == expected, f"cut into {text[:cut]!r} and {text[cut:]!r}: {expected}, got {found}", hint)
    hint = "A piece that is settled must not be cut again: in front of a word, two line ends are two pieces."
    same(list(tokenizer.encode_iterable(["", *text, ""])), expected, hint)
    same(list(tokenizer.encode_iterable(["\n\nthe cat sat", "."])), oracle.encode("\n\nthe cat sat."), hint)
    same(list(tokenizer.encode_iterable([])), [])


@task("bpe")
@points(1)
def test_ids_come_before_the_next_chunk(student, rng):
    """An id comes as soon as it is certain: only the last two pieces wait for the next chunk."""
    tokenizer = make_tokenizer(student)
    oracle = library_parts().BPETokenizer(*byte_pairs())
    chunks = [" " + rng.text(rng.integer(1, 6), "catshe") for _ in range(20)]  # each is one piece
    source = student.library.Chunks(chunks)
    stream = iter(tokenizer.encode_iterable(source))
    hint = "Yield what is settled before you ask for the next chunk. Hold back no more than the last two pieces."
    for place, chunk in enumerate(chunks, start=1):
        for expected in oracle.encode(chunk):
            same(next(stream, None), expected)
            require(source.asked <= place + 2, f"an id of chunk {place} came when {source.asked} had been read", hint)
