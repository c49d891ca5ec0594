"""Hidden tests of assignment 01. A student sees a test's title and its hint, and nothing else."""

import re
from collections import Counter
from itertools import islice, pairwise

import pytest
import tiktoken
from tiktoken_ext.openai_public import r50k_pat_str

import datasets
from autograder.minigpt.library import library_parts, pretokenize, stories_vocabulary
from autograder.probes.calls import checksum
from autograder.testing import hint, limit, points, require, task

WORDS = ["the", " cat", " sat", " that", " hat", " at", "'s", "'ll", "'re", "n't", "'T", " we'd", " don't", "'", "''"]
MARKS = [" 42", "7", "3.14", " ", "  ", "     ", "\n", "\n\n", " \n", "\t", ".", "...", " (!", "_", " -", "\r\n", "x"]
OTHER_SCRIPTS = [
    "é", "e\u0301", " \u6f22\u5b57", "\u732b", " \u043a\u043e\u0442", "\u00bd", "\u00b2", "\u0663", "\u3000", "\u00a0",
    "\U0001f408", " \U0001f468\u200d\U0001f469", "\u0939\u093f", "\x00", "\x85",
]  # fmt: skip
ANYTHING = WORDS + MARKS + OTHER_SCRIPTS


def same(actual, expected, hint=None):
    """Equal, and of the same type."""
    require(type(actual).__name__ == type(expected).__name__, "a value of the wrong type", hint)
    require(actual == expected, "a wrong value", hint)


def draw_text(rng, length, parts=ANYTHING):
    """Pieces of text, one after another."""
    return "".join(rng.choice(parts) for _ in range(length))


def draw_chunks(rng, text, largest):
    """The text in chunks of 0 to `largest` characters."""
    chunks = []
    while text:
        length = rng.integer(0, largest)
        chunks.append(text[:length])
        text = text[length:]
    return chunks


def tokens_of(tokenizer):
    """The text of each id."""
    return [tokenizer.decode([token_id]) for token_id in range(tokenizer.vocab_size)]


def joined(symbols, pair):
    """The symbols with the pair merged: a symbol is joined to the one before it, once."""
    out = []
    for symbol in symbols:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol  # longer than either of the pair now, so it is not joined again
        else:
            out.append(symbol)
    return tuple(out)


def single_bytes(piece):
    return tuple(bytes([byte]) for byte in piece.encode())


def learned(texts, n_merges):
    """The merges of texts that are not to be joined, all pairs counted anew for every merge."""
    pieces = Counter(piece for text in texts for piece in pretokenize(text))
    words = {single_bytes(piece): count for piece, count in pieces.items()}
    merges = []
    for _ in range(n_merges):
        counts = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                counts[pair] += count
        if not counts:
            break
        merges.append(max(counts, key=lambda pair: (counts[pair], pair)))
        words = {joined(word, merges[-1]): count for word, count in words.items()}
    return merges


def vocabulary(merges):
    """The vocabulary that training gives with these merges."""
    return dict(enumerate([bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]))


def without_twins(merges):
    """The merges up to the first that makes the same bytes as an earlier one: tiktoken cannot tell such two apart."""
    made = [left + right for left, right in merges]
    twin = next((place for place, token in enumerate(made) if token in made[:place]), len(made))
    return merges[:twin]


def cut_by_ranks(piece, merges):
    """The tokens of a piece: each merge in turn, the first first, over and over until none applies."""
    symbols, before = single_bytes(piece), None
    while symbols != before:
        before = symbols
        present = set(pairwise(symbols))
        symbols = joined(symbols, next((pair for pair in merges if pair in present), None))
    return symbols


def byte_pairs():
    """The byte pairs that ship with the project, 256 bytes and 256 merges, and 8 more that show where a text is cut."""
    merges = [*stories_vocabulary()[1]]
    merges += [(b" ", b" "), (b"\n", b"\n"), (b"  ", b" "), (b" ", b"\n"), (b"\n", b" "), (b"  ", b"  ")]
    merges += [(b"'", b"ll"), (b"'", b"re")]
    return vocabulary(merges), merges


def make_tokenizer(student, special_tokens=()):
    """The student's tokenizer with these byte pairs."""
    return student.BPETokenizer(*byte_pairs(), special_tokens)


def make_oracle(special_tokens=()):
    return library_parts().BPETokenizer(*byte_pairs(), special_tokens)


# --- chars -----------------------------------------------------------------------------------------------------------


@task("chars")
@points(2)
@hint(
    "Python's sorted puts characters in the order of their code points, in whatever script; add nothing, drop nothing."
)
def test_characters_of_any_script(student, rng):
    """Ids ascend by code point for every script, line ends and emoji, and any text of these characters comes back."""
    code_points = [rng.integer(0, 0xD7FF) for _ in range(40)] + [rng.integer(0xE000, 0x10FFFF) for _ in range(20)]
    text = "".join(map(chr, code_points)) + "Zz\r\n\t\0" + draw_text(rng, 30)
    tokenizer = student.CharTokenizer.from_text(text)
    expected = sorted(set(text))
    same(tokenizer.vocab_size, len(expected))
    same(tokens_of(tokenizer), expected)
    again = "".join(rng.choice(expected) for _ in range(200))
    same(tokenizer.encode(again), [expected.index(character) for character in again])
    same(tokenizer.decode(tokenizer.encode(again)), again)


@task("chars")
@points(1)
@hint("An empty text has no characters and no ids; neither is an error.")
def test_characters_of_an_empty_text(student, rng):
    """An empty text gives an empty vocabulary, which encodes and decodes nothing; one character has the id 0."""
    empty = student.CharTokenizer.from_text("")
    same((empty.vocab_size, empty.encode(""), empty.decode([])), (0, [], ""))
    for call in (lambda: empty.encode("a"), lambda: empty.decode([0])):
        with pytest.raises(ValueError):
            call()
    single = student.CharTokenizer.from_text("a" * rng.integer(1, 5))
    same((single.vocab_size, single.encode("aa"), single.decode([0, 0])), (1, [0, 0], "aa"))


@task("chars")
@points(2)
@hint("repr(character) shows a newline as '\\n'. The first unknown character counts, by its index in the whole text.")
def test_first_unknown_character(student, rng):
    """The message has the repr and the index of the first character that is unknown, whichever it is."""
    tokenizer = student.CharTokenizer.from_text("the cat sat")
    for unknown in ("\n", "'", "\\", "A", "é", "\U0001f408"):
        index = rng.integer(20, 90)
        known = rng.text(index, "the cas")
        same(len(tokenizer.encode(known)), index)
        with pytest.raises(ValueError) as error:
            tokenizer.encode(known + unknown + "t\rZ")
        message = str(error.value)
        require(repr(unknown) in message and repr("\r") not in message, "not the repr of the first unknown character")
        numbers = re.findall(r"\d+", message.replace(repr(unknown), ""))
        require(str(index) in numbers and str(index + 2) not in numbers, "not the index of the first unknown character")


@task("chars")
@points(1)
@hint("Check that each id is at least 0 and below vocab_size. Python takes a negative index for one from the end.")
def test_characters_that_no_id_has(student, rng):
    """Every id outside the vocabulary is a ValueError, wherever it stands; those at both ends are not."""
    text = rng.text(rng.integer(5, 30), "the cat sat")
    tokenizer, size = student.CharTokenizer.from_text(text), len(set(text))
    same(tokenizer.decode([size - 1, 0]), max(text) + min(text))
    for bad in (-1, -size, size, size + 1, 10**12):
        for ids in ([bad], [0, bad, 0]):
            with pytest.raises(ValueError):
                tokenizer.decode(ids)


# --- words -----------------------------------------------------------------------------------------------------------


@task("words")
@points(2)
@hint("Cut with WORD_PATTERN and Python's re, and change nothing: no lower case, no strip. Then sort with two keys.")
def test_words_of_drawn_texts(student, rng):
    """Pieces, their order and their ids are right for drawn texts of all kinds, and the texts come back."""
    for length in (rng.integer(1, 5), 60, 300):
        text = draw_text(rng, length, [*ANYTHING, " The", " the", "Cat", " x_1"])
        pieces = re.findall(r"\w+|\s+|[^\w\s]", text)
        counts = Counter(pieces)
        expected = ["<unk>", *sorted(counts, key=lambda piece: (-counts[piece], piece))]
        tokenizer = student.WordTokenizer.from_text(text)
        same(tokenizer.vocab_size, len(expected))
        same(tokens_of(tokenizer), expected)
        same(tokenizer.encode(text), [expected.index(piece) for piece in pieces])
        same(tokenizer.decode(tokenizer.encode(text)), text)


@task("words")
@points(1)
@hint("The vocabulary of an empty text is <unk> alone, and everything else is then unknown.")
def test_words_of_an_empty_text(student):
    """An empty text leaves `<unk>` alone; every piece is then id 0, one id for each piece."""
    tokenizer = student.WordTokenizer.from_text("")
    same((tokenizer.vocab_size, tokenizer.encode(""), tokenizer.decode([])), (1, [], ""))
    same(tokenizer.encode("the cat  sat."), [0] * 6)
    same(tokenizer.decode([0, 0]), "<unk><unk>")


@task("words")
@points(1)
@hint("Cut the sorted list only after <unk> stands in front of it. None means that there is no limit.")
def test_every_max_vocab(student, rng):
    """For every `max_vocab` the most frequent pieces stay, and all others are id 0."""
    text = draw_text(rng, 25, ["the", " cat", " sat", "on", ".", "  "])
    pieces = re.findall(r"\w+|\s+|[^\w\s]", text)
    counts = Counter(pieces)
    everything = ["<unk>", *sorted(counts, key=lambda piece: (-counts[piece], piece))]
    for max_vocab in (1, 2, len(everything) - 1, len(everything), len(everything) + 5, None):
        tokenizer = student.WordTokenizer.from_text(text, max_vocab)
        kept = everything[:max_vocab]
        same(tokens_of(tokenizer), kept)
        same(tokenizer.encode(text), [kept.index(piece) if piece in kept else 0 for piece in pieces])
    for bad in (0, -1):
        with pytest.raises(ValueError):
            student.WordTokenizer.from_text(text, bad)


@task("words")
@points(1)
@hint("Id 0 is <unk>, and below 0 there is nothing. The ids end at vocab_size - 1.")
def test_words_that_no_id_has(student, rng):
    """Every id outside the vocabulary is a ValueError; 0 and the last one are not."""
    text = draw_text(rng, 20, WORDS)
    tokenizer = student.WordTokenizer.from_text(text)
    size = len(set(re.findall(r"\w+|\s+|[^\w\s]", text))) + 1
    same(tokenizer.decode([0]), "<unk>")
    same(len(tokenizer.encode(tokenizer.decode([size - 1]))), 1)
    for bad in (-1, -size, size, 10**12):
        with pytest.raises(ValueError):
            tokenizer.decode([0, bad])


@task("words")
@points(1)
@hint("In a text, <unk> is three pieces like any others: a mark, a word and a mark. They are not id 0.")
def test_unk_in_the_text(student, rng):
    """A text that has `<unk>` in it is cut like any other, and upper case is not lower case."""
    text = " ".join(["<unk>", "The", "the"] * rng.integer(1, 4))
    tokenizer = student.WordTokenizer.from_text(text)
    require(tokenizer.vocab_size == 7, "the pieces are <, unk, >, the space, The and the")
    ids = tokenizer.encode(text)
    require(len(ids) == len(re.findall(r"\w+|\s+|[^\w\s]", text)) and 0 not in ids, "a piece that is known is id 0")
    same(tokenizer.decode(ids), text)
    same(tokenizer.encode("THE"), [0])


# --- pretokenize -----------------------------------------------------------------------------------------------------


@task("pretokenize")
@points(1)
@hint("Seven endings, in small letters only: 's 't 're 've 'm 'll 'd. They come before all other alternatives.")
def test_ends_of_contractions(student):
    """Each of the seven endings is a piece, also in front of more letters; capitals and other letters are not."""
    for ending in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d"):
        same(student.pretokenize(f"it{ending} x"), ["it", ending, " x"])
        same(student.pretokenize(f"it{ending}x"), ["it", ending, "x"])
        same(student.pretokenize(f"it{ending.upper()}"), ["it", "'", ending.upper()[1:]])
        same(student.pretokenize(f"a {ending}"), ["a", " '", ending[1:]])
    same(student.pretokenize("'l 'v x'a ''s"), ["'", "l", " '", "v", " x", "'", "a", " ''", "s"])


@task("pretokenize")
@points(1)
@hint("Only a real space goes with the next piece. Tabs, line ends and wide spaces are white space of their own.")
def test_all_kinds_of_white_space(student):
    """Tabs, line ends, wide and unbreakable spaces stay alone; at the end of the text a run is one piece."""
    for text, pieces in {
        "a\tb": ["a", "\t", "b"],
        "a\n b": ["a", "\n", " b"],
        "a \nb": ["a", " ", "\n", "b"],
        "a\u3000b\u00a0c": ["a", "\u3000", "b", "\u00a0", "c"],
        "a\r\n\r\nb": ["a", "\r\n\r", "\n", "b"],
        "   ": ["   "],
        " ": [" "],
        "a \t ": ["a", " \t "],
        "  1  !": [" ", " 1", " ", " !"],
    }.items():
        same(student.pretokenize(text), pieces)


@task("pretokenize")
@points(1)
@hint(r"Use \p{L} and \p{N} of the package regex. \w also has digits and the underscore, and \d only some numbers.")
def test_letters_and_numbers_of_all_scripts(student):
    """Letters and numbers are those of Unicode; the underscore and accents that stand alone are other marks."""
    for text, pieces in {
        "naïve\u6f22\u5b57кот": ["naïve\u6f22\u5b57кот"],
        "x\u00b2\u00bd\u0663\u216b": ["x", "\u00b2\u00bd\u0663\u216b"],
        "a_b __c": ["a", "_", "b", " __", "c"],
        "e\u0301a": ["e", "\u0301", "a"],
        "\U0001f408\U0001f408 \U0001f408!": ["\U0001f408\U0001f408", " \U0001f408!"],
        "1,000.5": ["1", ",", "000", ".", "5"],
    }.items():
        same(student.pretokenize(text), pieces)


@task("pretokenize")
@points(2)
@hint("Try each alternative on its own, then in the docstring's order. Joined, the pieces are always the text.")
def test_pieces_of_drawn_texts(student, rng):
    """On drawn texts of all kinds the pieces are GPT-2's, and joined they are the text."""
    for length in (0, 1, 2, 5, 50, 400):
        text = draw_text(rng, length)
        pieces = student.pretokenize(text)
        same(pieces, pretokenize(text))
        same("".join(pieces), text)


# --- pairs -----------------------------------------------------------------------------------------------------------


def draw_word(rng, length, symbols=(b"a", b"b", b"ab", b"ba", b" ")):
    return tuple(rng.choice(symbols) for _ in range(length))


@task("pairs")
@points(2)
@hint("Go through each word once; every two neighbours are a pair, and the word's count is added for each.")
def test_counts_of_drawn_words(student, rng):
    """The counts are right for drawn words, whose symbols are one byte or more; words without a pair add nothing."""
    for number in (1, 4, 40):
        words = {draw_word(rng, rng.integer(0, 7)): rng.integer(1, 9) for _ in range(number)}
        places = [pair for word, count in words.items() for pair in pairwise(word) for _ in range(count)]
        require(student.count_pairs(words) == dict(Counter(places)), "a wrong count")
    require(student.count_pairs({}) == {} and student.count_pairs({(): 3, (b"a",): 2}) == {}, "there is no pair")


@task("pairs")
@points(1)
@hint("Pairs overlap: four equal symbols in a row have three pairs. A pair is two symbols, not their joined bytes.")
def test_counts_of_runs(student, rng):
    """A run of n equal symbols has n - 1 pairs, and (a, bc) is another pair than (ab, c)."""
    for length in (2, 3, rng.integer(4, 9)):
        count = rng.integer(1, 9)
        require(student.count_pairs({(b"a",) * length: count}) == {(b"a", b"a"): (length - 1) * count}, "a wrong count")
    words = {(b"a", b"bc"): 2, (b"ab", b"c"): 3, (b"bc", b"a"): 4}
    require(student.count_pairs(words) == {(b"a", b"bc"): 2, (b"ab", b"c"): 3, (b"bc", b"a"): 4}, "pairs are mixed up")


@task("pairs")
@points(2)
@hint("Compare both symbols with the pair's, one with one. Joined bytes may agree where the symbols do not.")
def test_merges_of_drawn_words(student, rng):
    """Merging is right for drawn words and pairs, also where other symbols make the same bytes."""
    for _ in range(60):
        alphabet = rng.choice([(b"a", b"b", b"ab", b"ba", b" "), (b"a", b"aa"), (b"a", b"b")])
        symbols, pair = draw_word(rng, rng.integer(0, 10), alphabet), draw_word(rng, 2, alphabet)
        same(student.merge_pair(symbols, pair), joined(symbols, pair))
    same(student.merge_pair((b"a", b"ba", b"ab", b"a"), (b"ab", b"a")), (b"a", b"ba", b"aba"))


@task("pairs")
@points(1)
@hint("Think of no symbols, one symbol, a pair at the very end, and a single symbol left behind the last pair.")
def test_merges_at_the_ends(student, rng):
    """No symbols, one symbol, the pair alone, and the pair at both ends are all merged right."""
    first, second, other = (bytes([byte]) for byte in rng.permutation(256)[:3].tolist())
    pair, both = (first, second), first + second
    for symbols, merged in (
        ((), ()),
        ((first,), (first,)),
        ((second,), (second,)),
        ((first, second), (both,)),
        ((second, first), (second, first)),
        ((first, second, other, first, second), (both, other, both)),
        ((first, first, second), (first, both)),
        ((first, second, second), (both, second)),
        ((first, second, first), (both, first)),
    ):
        same(student.merge_pair(symbols, pair), merged)


@task("pairs")
@points(1)
@hint("Make a new dict for the counts, and a new tuple for the symbols.")
def test_words_stay_as_they_are(student, rng):
    """Counting leaves the words as they were, and a second call gives the same counts, not twice as many."""
    words = {draw_word(rng, 4): rng.integer(1, 9), draw_word(rng, 5): rng.integer(1, 9)}
    require(student.library.leaves_arguments_alone(student.count_pairs, dict(words)), "the words changed")
    first, second = student.count_pairs(words), student.count_pairs(words)
    counts = Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            counts[pair] += count
    require(first == dict(counts) and second == dict(counts), "a second call gives something else")


# --- train_bpe -------------------------------------------------------------------------------------------------------


@task("train_bpe")
@points(2)
@hint(
    "After each merge the counts must be those of the words as they are then. Recount, or add and take away with care."
)
def test_merges_of_drawn_texts(student, rng):
    """For drawn texts, merged down to the last pair, every merge is the one that counting anew would give."""
    few = [" cat", " sat", " hat"]  # each of them some hundred times
    for parts, length in ((["a", "b", " "], 60), (["a", "aa", "\n"], 40), (WORDS, 60), (ANYTHING, 80), (few, 1000)):
        text = draw_text(rng, length, parts)
        expected = learned([text], 1000)
        vocab, merges = student.train_bpe(text, 256 + len(expected) + rng.integer(0, 20))
        same(merges, expected)
        require(vocab == vocabulary(expected), "a wrong vocabulary")
        fewer = rng.integer(0, len(expected))
        same(student.train_bpe(text, 256 + fewer)[1], expected[:fewer])


@task("train_bpe")
@points(2)
@hint(
    "A pair counts once for each time that its piece is in the text: count pieces first, then pairs times that count."
)
def test_merges_of_english(student, rng):
    """On three thousand characters of English the merges are right, and so are the tokens that they make."""
    stories = datasets.load("stories").validation
    start = rng.integer(0, len(stories) - 3000)
    text = stories[start : start + 3000]
    expected = learned([text], 80)
    vocab, merges = student.train_bpe(text, 256 + 80)
    same(merges, expected)
    require(vocab == vocabulary(expected), "a wrong vocabulary")


@task("train_bpe")
@points(2)
@hint("Compare pairs of bytes objects, the first with the first, then the second. A space is a small byte.")
def test_every_kind_of_tie(student, rng):
    """A tie goes to the greatest pair of byte strings: not by ids, by joined bytes, or to the first found."""
    for _ in range(4):
        letters = [chr(ord("a") + i) for i in rng.permutation(26)[:8].tolist()]
        words = [rng.choice(letters) + rng.choice(letters) + rng.choice(["", *letters]) for _ in range(12)]
        texts = (
            " ".join(words),
            "\n".join(words + words),
            " ".join(words) + " \u00e9\u00df \u6f22a\u5b57 \u00e9\u00df",
        )
        for text in texts:  # nearly every merge of these is a tie
            same(student.train_bpe(text, 300)[1], learned([text], 44))


@task("train_bpe")
@points(2)
@hint("Cut at the longest special token that fits, escaped, and train on what is left. Nothing of them is counted.")
def test_special_tokens_in_training(student, rng):
    """Special tokens are cut out, the longest that fits, whatever signs they are made of, and come last in `vocab`."""
    for special in (["<|end|>"], ["<|a", "<|a|>"], ["a.c", "(", "|"], ["\n\n"], ["cat cat"], ["<|none|>"]):
        parts = [draw_text(rng, 8, ["cat", " cat", "s", " abc", " "]) for _ in range(6)]
        parts = [part for part in parts if not any(token in part for token in special)]
        text, longest = parts[0] if parts else "", max(special, key=len)
        for part in parts[1:]:
            text += longest + part
        cuts = re.split("|".join(re.escape(token) for token in sorted(special, key=len, reverse=True)), text)
        expected = learned(cuts, 1000)
        vocab, merges = student.train_bpe(text, 2000, special)
        same(merges, expected)
        tokens = [*vocabulary(expected).values(), *(token.encode() for token in special)]
        require(vocab == dict(enumerate(tokens)), "a wrong vocabulary")


@task("train_bpe")
@points(1)
@hint(
    "When every piece is one symbol, there is no pair to merge. The special tokens follow the last merge all the same."
)
def test_training_that_runs_out_of_pairs(student, rng):
    """Pairs that occur once are merged, too; when there are none left training stops, with special tokens behind."""
    word = "".join(chr(ord("a") + i) for i in rng.permutation(26)[:5].tolist())
    for text, n_merges in (("", 0), ("a", 0), ("a b", 1), (word, 4), (f"{word}\n{word}", 4), ("a\tb\n", 0)):
        vocab, merges = student.train_bpe(text, 10_000, ["<|end|>"])
        same(merges, learned([text], 100))
        require(len(merges) == n_merges and len(vocab) == 257 + n_merges, "training does not stop where it should")
        same(vocab[256 + n_merges], b"<|end|>")


@task("train_bpe")
@points(1)
@hint("There is room for vocab_size - 256 - len(special_tokens) merges; below 0 is a ValueError, 0 is none.")
def test_smallest_vocabularies(student, rng):
    """256 and the special tokens is the smallest `vocab_size`, without merges; one less is a ValueError."""
    for special in ([], ["<|a|>"], ["<|a|>", "<|b|>", "<|c|>"]):
        smallest = 256 + len(special)
        vocab, merges = student.train_bpe("the cat sat", smallest, special)
        require(merges == [] and len(vocab) == smallest, "there is no room for a merge")
        require(len(student.train_bpe("the cat sat", smallest + 1, special)[1]) == 1, "there is room for one merge")
        for bad in (smallest - 1, rng.integer(-5, 200)):
            with pytest.raises(ValueError):
                student.train_bpe("the cat sat", bad, special)


@task("train_bpe")
@points(1)
@hint("Encode each piece as UTF-8 first. A letter with an accent is two bytes, which are two symbols.")
def test_merges_of_other_scripts(student, rng):
    """Text of other scripts is merged byte by byte."""
    text = draw_text(rng, 60, ["\u732b", "\u732b\u304c", " \u043a\u043e\u0442", "\U0001f408", "é", " ", "\u0939\u093f"])
    expected = learned([text], 60)
    vocab, merges = student.train_bpe(text, 256 + 60)
    same(merges, expected)
    require(vocab == vocabulary(expected), "a wrong vocabulary")


# --- bpe -------------------------------------------------------------------------------------------------------------


@task("bpe")
@points(2)
@hint("Train, encode and decode a text with your own functions, and look for the first token that surprises you.")
def test_own_merges_agree_with_tiktoken(student, rng):
    """With merges of its own training, the tokenizer gives what tiktoken gives, special tokens among the text."""
    stories = datasets.load("stories").validation
    start = rng.integer(0, len(stories) - 3000)
    text = stories[start : start + 3000] + draw_text(rng, 60)
    merges = without_twins(student.train_bpe(text, 256 + 100, ["<|end|>"])[1])
    require(len(merges) > 20, "training gives too few merges")
    ranks = {token: token_id for token_id, token in vocabulary(merges).items()}
    special = {"<|end|>": len(ranks)}
    theirs = tiktoken.Encoding("own", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens=special)
    vocab = vocabulary(merges) | {len(ranks): b"<|end|>"}
    tokenizer = student.BPETokenizer(vocab, merges, ["<|end|>"])
    same(tokenizer.vocab_size, len(ranks) + 1)
    for sample in (text[-1500:], draw_text(rng, 200), draw_text(rng, 100, [*ANYTHING, "<|end|>", "<|en"])):
        ids = tokenizer.encode(sample)
        same(ids, theirs.encode(sample, allowed_special="all"))
        same(tokenizer.decode(ids), sample)


@task("bpe")
@points(2)
@hint(
    "Look at all neighbours, take the pair of lowest rank, merge it everywhere, and begin again. Not the longest token."
)
def test_lowest_rank_comes_first(student, rng):
    """In every piece the merge of lowest rank comes first, in runs of equal symbols too, until none applies."""
    for alphabet in (["a", "b"], ["a", "b", "c", "ab"], ["th", "at", "hat", "e", "t"]):
        merges = without_twins(learned([draw_text(rng, 60, [*alphabet, " "])], 12))
        ids = {token: token_id for token_id, token in vocabulary(merges).items()}
        tokenizer = student.BPETokenizer(vocabulary(merges), merges)
        for word in [draw_text(rng, rng.integer(1, 12), alphabet) for _ in range(15)]:
            same(tokenizer.encode(word), [ids[token] for token in cut_by_ranks(word, merges)])


@task("bpe")
@points(1)
@hint("Look up the id of a token's bytes in vocab. In other vocabularies, GPT-2's for one, byte 97 is not id 97.")
def test_vocabulary_in_another_order(student, rng):
    """Ids are those that `vocab` says, in whatever order the tokens stand there, and `vocab` stays as it is."""
    known, merges = byte_pairs()
    order = rng.permutation(len(known)).tolist()
    vocab = {order[token_id]: token for token_id, token in known.items()}
    text = draw_text(rng, 60)
    tokenizer = student.BPETokenizer(vocab, merges, ["<|end|>"])
    ids = tokenizer.encode(text)
    same(ids, [order[token_id] for token_id in make_oracle().encode(text)])
    same(tokenizer.decode(ids), text)
    same(tokenizer.encode("<|end|>"), [len(known)])
    left_alone = student.library.leaves_arguments_alone(student.BPETokenizer, vocab, list(merges), ["<|end|>"])
    require(left_alone, "an argument changed", "Copy vocab before you add to it.")


@task("bpe")
@points(2)
@hint("Some are in vocab and some are not; some begin like others; those that are not named are ordinary text.")
def test_special_tokens_of_all_kinds(student, rng):
    """Special tokens keep their ids or are appended in order; the longest is taken; those not named are plain text."""
    known, merges = byte_pairs()
    vocab = known | {520: b"<|a|>", 521: b"<|b|>", 522: b"<|c|>"}
    special = ["<|z|>", "<|b|>", "<|b|>+", "[x]", "<|"]
    tokenizer = student.BPETokenizer(vocab, merges, special)
    same(tokenizer.vocab_size, 527)
    same(tokenizer.encode("<|b|><|z|><|b|>+[x]<|<|b|>"), [521, 523, 524, 525, 526, 521])
    for plain in ("a|>+", "x", "[y]", "b|>", "|>"):
        same(tokenizer.encode(plain), make_oracle().encode(plain))
    unnamed = student.BPETokenizer(vocab, merges, ["<|b|>"])
    same(unnamed.encode("<|a|><|b|>"), [*make_oracle().encode("<|a|>"), 521], "Only what is named is special.")
    same(unnamed.decode([520, 522]), "<|a|><|c|>", "vocab is good for decoding, named or not.")
    text = draw_text(rng, 60, [*special, "<|a|>", "<", "[", " cat", "b|>", "+", "  ", "\n"])
    ids = tokenizer.encode(text)
    same(ids, library_parts().BPETokenizer(vocab, merges, special).encode(text))
    same(tokenizer.decode(ids), text)


@task("bpe")
@points(1)
@hint("len(set(special_tokens)) tells whether one is named twice. Look for the empty one, too.")
def test_special_tokens_that_cannot_be(student):
    """An empty special token, or one that is named twice, is a ValueError; several different ones are not."""
    for bad, good in (
        (["<|a|>", "<|a|>"], ["<|a|>", "<|b|>"]),
        ([""], ["<|"]),
        (["<|", "", "<|>"], ["<|", "<|<|", "<|>"]),
    ):
        with pytest.raises(ValueError):
            make_tokenizer(student, bad)
        same(make_tokenizer(student, good).vocab_size, 520 + len(good))
    same(make_tokenizer(student).vocab_size, 520)


@task("bpe")
@points(1)
@hint(
    "Join the bytes of all ids, then decode once with errors='replace'. Check every id first; -1 is not the last one."
)
def test_decoding_of_any_ids(student, rng):
    """Any ids decode as `bytes.decode(errors="replace")` does with their bytes; unknown ids are a ValueError."""
    vocab, tokenizer = byte_pairs()[0], make_tokenizer(student)
    for length in (0, 1, 2, 30):
        ids = rng.ids(len(vocab), length).tolist()
        same(tokenizer.decode(ids), b"".join(vocab[i] for i in ids).decode(errors="replace"))
    cat = list("\U0001f408".encode())
    same(tokenizer.decode(cat), "\U0001f408")
    same(tokenizer.decode(cat[:3]), bytes(cat[:3]).decode(errors="replace"))
    same(tokenizer.decode([*cat[:2], 0x61, *cat]), (bytes(cat[:2]) + b"a" + bytes(cat)).decode(errors="replace"))
    for bad in (-1, -len(vocab), len(vocab), 10**12):
        with pytest.raises(ValueError):
            tokenizer.decode([0x61, bad])


@task("bpe")
@points(2)
@hint("What can change: a special token that is not complete, or may get longer, and the last two pieces before it.")
def test_chunks_cut_anywhere(student, rng):
    """Chunks give the ids of the whole text, through contractions, white space and special tokens that overlap."""
    parts = ["'", "l", "v", "e", "r", " ", "   ", "\n", " \n", "cat", " sat", "5", "é", "\U0001f408", "<", "|", ">"]
    for special in ((), ("<|end|>",), ("<|end|>", "<|end|>s", "<|"), ("qx", "qxqz", "qz", "'lv"), ("<>", "|>", "<|>")):
        tokenizer, oracle = make_tokenizer(student, special), make_oracle(special)
        for largest in (1, 3, 9, 40, 400):
            text = draw_text(rng, 50, [*parts, *special, *(token[:-1] for token in special)])
            same(list(tokenizer.encode_iterable(draw_chunks(rng, text, largest))), oracle.encode(text))
    same(list(make_tokenizer(student).encode_iterable(["", "", ""])), [])
    text = draw_text(rng, 300)  # a long chunk, and one that is cut within a special token
    found = list(make_tokenizer(student, ["<|end|>"]).encode_iterable([text + "<|en", "d|>", text]))
    same(found, make_oracle(["<|end|>"]).encode(f"{text}<|end|>{text}"))


def settled_ids(text, special, oracle):
    """How many ids of a text must have come out before more of it is asked for."""
    opened = [
        end for end in range(1, len(text) + 1) if any(s.startswith(text[-end:]) and s != text[-end:] for s in special)
    ]
    text = text[: len(text) - max(opened, default=0)]
    pattern = "|".join(re.escape(s) for s in special) or "(?!)"
    pieces = []
    for part in re.split(f"({pattern})", text):
        pieces += [(part, True)] if part in special else [(piece, False) for piece in pretokenize(part)]
    ordinary = [place for place, (_, is_special) in enumerate(pieces) if not is_special]
    end = ordinary[-2] if len(ordinary) > 1 else 0  # a special token behind the last two pieces may wait with them
    return sum(len(oracle.encode(piece)) for piece, _ in pieces[:end])


@task("bpe")
@points(1)
@hint("Before you ask for the next chunk, yield all ids but those of the last two pieces and of an open special token.")
def test_nothing_waits_without_need(student, rng):
    """Before each chunk, everything has come out but two pieces and the beginning of a special token."""
    special = ["<|end|>"]
    tokenizer, oracle = make_tokenizer(student, special), make_oracle(special)
    words = [" the", " cat", " sat", " found", ".", "\n", "'s", " it", " on<|end|>", "<|en", " 42", "<|end|>the mat"]
    chunks = [draw_text(rng, rng.integer(0, 6), words) for _ in range(25)] + [" the cat sat on the mat"]
    due = [settled_ids("".join(chunks[:read]), special, oracle) for read in range(len(chunks))]
    source = student.library.Chunks(chunks)
    found = []
    for token_id in tokenizer.encode_iterable(source):
        require(source.asked == 0 or len(found) >= due[source.asked - 1], "a chunk was asked for too early")
        found.append(token_id)
    same(found, oracle.encode("".join(chunks)))
    endless = student.library.Chunks([" the cat", " sat"], repeat=20_000)
    same(len(list(islice(tokenizer.encode_iterable(endless), 12))), 12)
    require(endless.asked < 20, "far more chunks were read than needed")


@task("bpe")
@points(1)
@limit(20)
@hint("Do not collect: no list of chunks, no joined text, no list of ids. Keep only what may still change.")
def test_stream_longer_than_the_memory(student, rng):
    """A long stream needs no more memory than a short one, and its first id comes before the rest has been read."""
    special = ["<|end|>"]
    tokenizer = make_tokenizer(student, special)
    words = [" the", " cat", " sat", ".", " 42"]
    chunks = ["\U0001f408" + draw_text(rng, 50, words) + " sat<|en", "d|> on the mat"]  # 4 bytes a character in memory
    repeat = 60_000 // len("".join(chunks))
    ids = make_oracle(special).encode("".join(chunks)) * repeat
    peaks = []  # Python keeps short tuples for later, up to some 100 KB; the next time it has them already
    while len(peaks) < 3 and min(peaks, default=120_000) >= 120_000:
        source = student.library.Chunks(chunks, repeat=repeat)
        stream = tokenizer.encode_iterable(source)
        same(next(iter(stream), None), ids[0])
        require(source.asked < 10, "far more chunks were read than needed")
        rest = student.library.consume(stream)
        require(rest["count"] == len(ids) - 1 and rest["checksum"] == checksum(ids[1:]), "wrong ids")
        peaks.append(rest["peak"])
    require(min(peaks) < 120_000, "the memory grows with the stream")  # the text has 240,000 bytes, and so have its ids
