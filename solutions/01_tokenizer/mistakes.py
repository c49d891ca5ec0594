"""Wrong versions of assignment 01, the ones that people make. The suites must catch each of them in its own task.

Each takes the place of the reference's symbol of the name `replaces`; everything else stays as in the reference. `says`
is what a student is told who makes the mistake. Nothing in here is ever imported: `autograder.variants` reads it.
"""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import regex
from tokenizer import (
    WORD_PATTERN,
    BPETokenizer,
    CharTokenizer,
    WordTokenizer,
    count_pairs,
    merge_pair,
    pretokenize,
    split_at_special_tokens,
)

from autograder.variants import mistake

# --- chars -----------------------------------------------------------------------------------------------------------


@mistake("chars", replaces="CharTokenizer", says="Your ids follow the order in the text, not the code points.")
class InOrderOfAppearance(CharTokenizer):
    @classmethod
    def from_text(cls, text):
        return cls(list(dict.fromkeys(text)))


@mistake("chars", replaces="CharTokenizer", says="Your tokenizer passes over characters that it does not know.")
class SkipsTheUnknown(CharTokenizer):
    def encode(self, text):
        return [self.ids[character] for character in text if character in self.ids]


@mistake("chars", replaces="CharTokenizer", says="An unknown character gives a KeyError; it must be a ValueError.")
class KeyErrorForTheUnknown(CharTokenizer):
    def encode(self, text):
        return [self.ids[character] for character in text]


@mistake("chars", replaces="CharTokenizer", says="Your message shows the character itself, not its repr.")
class WithoutRepr(CharTokenizer):
    def encode(self, text):
        for index, character in enumerate(text):
            if character not in self.ids:
                raise ValueError(f"unknown character {character} at index {index}")
        return [self.ids[character] for character in text]


@mistake("chars", replaces="CharTokenizer", says="Your message names the last unknown character, not the first.")
class NamesTheLast(CharTokenizer):
    def encode(self, text):
        unknown = {character: index for index, character in enumerate(text) if character not in self.ids}
        if unknown:
            character, index = max(unknown.items(), key=lambda item: item[1])
            raise ValueError(f"unknown character {character!r} at index {index}")
        return [self.ids[character] for character in text]


@mistake("chars", replaces="CharTokenizer", says="Your index is that of the character among the different ones.")
class IndexAmongTheDifferent(CharTokenizer):
    def encode(self, text):
        for index, character in enumerate(dict.fromkeys(text)):
            if character not in self.ids:
                raise ValueError(f"unknown character {character!r} at index {index}")
        return [self.ids[character] for character in text]


@mistake("chars", replaces="CharTokenizer", says="You decode -1 as the last character.")
class CountsFromTheEnd(CharTokenizer):
    def decode(self, ids):
        try:
            return "".join(self.characters[token_id] for token_id in ids)
        except IndexError:
            raise ValueError("unknown id") from None


@mistake("chars", replaces="CharTokenizer", says="Your tokenizer knows letters of one case only.")
class LowerCase(CharTokenizer):
    @classmethod
    def from_text(cls, text):
        return cls(sorted(set(text.lower())))

    def encode(self, text):
        return super().encode(text.lower())


# --- words -----------------------------------------------------------------------------------------------------------


@mistake("words", replaces="WordTokenizer", says="Your pieces leave out white space, so the text does not come back.")
class LosesWhiteSpace(WordTokenizer):
    @classmethod
    def from_text(cls, text, max_vocab=None):
        if max_vocab is not None and max_vocab < 1:
            raise ValueError("max_vocab must be at least 1")
        counts = Counter(re.findall(r"\w+|[^\w\s]", text))
        return cls(["<unk>", *sorted(counts, key=lambda piece: (-counts[piece], piece))][:max_vocab])

    def encode(self, text):
        return [self.ids.get(piece, 0) for piece in re.findall(r"\w+|[^\w\s]", text)]

    def decode(self, ids):
        return " ".join(super().decode([token_id]) for token_id in ids)


@mistake("words", replaces="WordTokenizer", says="Equally frequent pieces stand in the order of the text.")
class TiesInOrderOfAppearance(WordTokenizer):
    @classmethod
    def from_text(cls, text, max_vocab=None):
        if max_vocab is not None and max_vocab < 1:
            raise ValueError("max_vocab must be at least 1")
        counts = Counter(re.findall(WORD_PATTERN, text))
        return cls(["<unk>", *(piece for piece, _ in counts.most_common())][:max_vocab])


@mistake("words", replaces="WordTokenizer", says="You sorted everything backwards, the ties as well.")
class TiesBackwards(WordTokenizer):
    @classmethod
    def from_text(cls, text, max_vocab=None):
        if max_vocab is not None and max_vocab < 1:
            raise ValueError("max_vocab must be at least 1")
        counts = Counter(re.findall(WORD_PATTERN, text))
        pieces = sorted(counts, key=lambda piece: (counts[piece], piece), reverse=True)
        return cls(["<unk>", *pieces][:max_vocab])


@mistake("words", replaces="WordTokenizer", says="Your ids follow the alphabet, not the frequency.")
class Alphabetical(WordTokenizer):
    @classmethod
    def from_text(cls, text, max_vocab=None):
        if max_vocab is not None and max_vocab < 1:
            raise ValueError("max_vocab must be at least 1")
        return cls(["<unk>", *sorted(set(re.findall(WORD_PATTERN, text)))][:max_vocab])


@mistake("words", replaces="WordTokenizer", says="Your vocabulary is one larger than max_vocab: <unk> counts, too.")
class UnkOnTop(WordTokenizer):
    @classmethod
    def from_text(cls, text, max_vocab=None):
        if max_vocab is not None and max_vocab < 1:
            raise ValueError("max_vocab must be at least 1")
        counts = Counter(re.findall(WORD_PATTERN, text))
        pieces = sorted(counts, key=lambda piece: (-counts[piece], piece))
        return cls(["<unk>", *pieces[:max_vocab]])


@mistake("words", replaces="WordTokenizer", says="Your <unk> has the last id; it must have id 0.")
class UnkLast(WordTokenizer):
    @classmethod
    def from_text(cls, text, max_vocab=None):
        pieces = super().from_text(text, max_vocab).pieces
        return cls([*pieces[1:], "<unk>"])

    def encode(self, text):
        return [self.ids.get(piece, len(self.pieces) - 1) for piece in re.findall(WORD_PATTERN, text)]


@mistake("words", replaces="WordTokenizer", says="An unknown piece disappears; it must become id 0.")
class DropsTheUnknown(WordTokenizer):
    def encode(self, text):
        return [self.ids[piece] for piece in re.findall(WORD_PATTERN, text) if piece in self.ids]


@mistake("words", replaces="WordTokenizer", says="You decode -1 as the last piece.")
class LastWordForMinusOne(WordTokenizer):
    def decode(self, ids):
        return "".join(self.pieces[token_id] for token_id in ids)


@mistake("words", replaces="WordTokenizer", says="Your tokenizer turns everything into lower case.")
class LowersWords(WordTokenizer):
    @classmethod
    def from_text(cls, text, max_vocab=None):
        return super().from_text(text.lower(), max_vocab)

    def encode(self, text):
        return super().encode(text.lower())


@mistake("words", replaces="WordTokenizer", says="Your max_vocab may be 0, so not even <unk> is left.")
class AnyMaxVocab(WordTokenizer):
    @classmethod
    def from_text(cls, text, max_vocab=None):
        whole = super().from_text(text)
        return whole if max_vocab is None else cls(whole.pieces[: max(max_vocab, 0)])


# --- pretokenize -----------------------------------------------------------------------------------------------------


@mistake("pretokenize", replaces="pretokenize", says="Your pieces lose white space: they do not join to the text.")
def loses_white_space(text):
    return regex.findall(r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+", text)


@mistake("pretokenize", replaces="pretokenize", says="The space behind a word goes with it; it belongs to the next.")
def space_behind_the_word(text):
    return regex.findall(r"'(?:s|t|re|ve|m|ll|d)|\p{L}+ ?|\p{N}+ ?|[^\s\p{L}\p{N}]+ ?|\s+", text)


@mistake("pretokenize", replaces="pretokenize", says="A run of white space keeps its last character for itself.")
def greedy_white_space(text):
    return regex.findall(r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+", text)


@mistake("pretokenize", replaces="pretokenize", says="A line end goes with the next word; only a space may.")
def any_white_space_before_a_word(text):
    pattern = r"'(?:s|t|re|ve|m|ll|d)|\s?\p{L}+|\s?\p{N}+|\s?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    return regex.findall(pattern, text)


@mistake("pretokenize", replaces="pretokenize", says="Your contractions come too late: their apostrophe is gone.")
def contractions_last(text):
    pattern = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+|'(?:s|t|re|ve|m|ll|d)"
    return regex.findall(pattern, text)


@mistake("pretokenize", replaces="pretokenize", says="Your contractions are found in capitals, too.")
def contractions_in_capitals(text):
    pattern = r"(?i:'(?:s|t|re|ve|m|ll|d))| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    return regex.findall(pattern, text)


@mistake("pretokenize", replaces="pretokenize", says="Your contractions lack some endings, such as 'd and 'm.")
def few_contractions(text):
    pattern = r"'(?:s|t|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    return regex.findall(pattern, text)


@mistake("pretokenize", replaces="pretokenize", says="Letters and digits share a piece: \\w has both.")
def words_with_digits(text):
    return regex.findall(r"'(?:s|t|re|ve|m|ll|d)| ?\w+| ?[^\s\w]+|\s+(?!\S)|\s+", text)


@mistake("pretokenize", replaces="pretokenize", says="Only English letters are letters for you.")
def english_letters(text):
    pattern = r"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+"
    return regex.findall(pattern, text)


# --- pairs -----------------------------------------------------------------------------------------------------------


@mistake("pairs", replaces="count_pairs", says="Each word counts once for you, however often it occurs.")
def counts_words_once(words):
    return dict(Counter(pair for word in words for pair in pairwise(word)))


@mistake("pairs", replaces="count_pairs", says="Pairs that overlap are counted once.")
def counts_without_overlap(words):
    counts = defaultdict(int)
    for word, count in words.items():
        position = 0
        while position + 1 < len(word):
            pair = word[position], word[position + 1]
            counts[pair] += count
            repeated = word[position : position + 3] == (pair[0],) * 3
            position += 2 if repeated else 1
    return counts


@mistake("pairs", replaces="count_pairs", says="A pair that a word has twice is counted once.")
def counts_each_pair_of_a_word_once(words):
    counts = defaultdict(int)
    for word, count in words.items():
        for pair in set(pairwise(word)):
            counts[pair] += count
    return counts


@mistake("pairs", replaces="count_pairs", says="The count of the last word replaces those before it.")
def overwrites_counts(words):
    return {pair: count for word, count in words.items() for pair in pairwise(word)}


@mistake("pairs", replaces="merge_pair", says="You merge the first place only.")
def merges_once(symbols, pair):
    for position in range(len(symbols) - 1):
        if symbols[position : position + 2] == pair:
            return symbols[:position] + (pair[0] + pair[1],) + symbols[position + 2 :]
    return symbols


@mistake("pairs", replaces="merge_pair", says="You use a symbol twice: in a run of three, the middle one.")
def uses_a_symbol_twice(symbols, pair):
    merged = []
    for position, symbol in enumerate(symbols):
        if symbols[position : position + 2] == pair:
            merged.append(pair[0] + pair[1])
        elif position == 0 or symbols[position - 1 : position + 1] != pair:
            merged.append(symbol)
    return tuple(merged)


@mistake("pairs", replaces="merge_pair", says="You lose the last symbol where it is not part of a pair.")
def loses_the_last_symbol(symbols, pair):
    merged, position = [], 0
    while position < len(symbols) - 1:
        joined = symbols[position : position + 2] == pair
        merged.append(pair[0] + pair[1] if joined else symbols[position])
        position += 2 if joined else 1
    return tuple(merged)


@mistake("pairs", replaces="merge_pair", says="You merge from right to left.")
def merges_from_the_right(symbols, pair):
    merged, position = [], len(symbols)
    while position > 0:
        joined = position > 1 and symbols[position - 2 : position] == pair
        merged.append(pair[0] + pair[1] if joined else symbols[position - 1])
        position -= 2 if joined else 1
    return tuple(reversed(merged))


@mistake("pairs", replaces="merge_pair", says="You compare joined bytes, so (a, bc) passes for (ab, c).")
def compares_joined_bytes(symbols, pair):
    merged, position = [], 0
    while position < len(symbols):
        joined = len(symbols) - position > 1 and symbols[position] + symbols[position + 1] == pair[0] + pair[1]
        merged.append(pair[0] + pair[1] if joined else symbols[position])
        position += 2 if joined else 1
    return tuple(merged)


@mistake("pairs", replaces="merge_pair", says="You return a list; words are tuples, so that they can be keys.")
def returns_a_list(symbols, pair):
    merged = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


# --- train_bpe -------------------------------------------------------------------------------------------------------


def greatest(counts):
    """The right choice."""
    return max(counts, key=lambda pair: (counts[pair], pair))


def parts_of(text, special_tokens):
    return [part for part in split_at_special_tokens(text, special_tokens) if part not in special_tokens]


def train(text, vocab_size, special_tokens, choose=greatest, cut=parts_of, pieces_of=pretokenize, least=1, once=False):
    """Right training, with its steps open to change."""
    n_merges = vocab_size - 256 - len(special_tokens)
    if n_merges < 0:
        raise ValueError("vocab_size is too small")
    pieces = Counter(piece for part in cut(text, special_tokens) for piece in pieces_of(part))
    words = {tuple(bytes([b]) for b in piece.encode()): 1 if once else n for piece, n in pieces.items()}
    merges = []
    while len(merges) < n_merges:
        counts = {pair: count for pair, count in count_pairs(words).items() if count >= least}
        if not counts:
            break
        best = choose(counts)
        merges.append(best)
        words = {merge_pair(word, best): count for word, count in words.items()}
    return merges


def vocabulary(merges, special_tokens, special_first=False):
    tokens = [bytes([byte]) for byte in range(256)]
    made, special = [left + right for left, right in merges], [token.encode() for token in special_tokens]
    return dict(enumerate(tokens + special + made if special_first else tokens + made + special))


@mistake("train_bpe", replaces="train_bpe", says="A tie goes to the pair that you met first.")
def first_pair_wins(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens, lambda counts: max(counts, key=counts.get))
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="A tie goes to the least pair; it must go to the greatest.")
def least_pair_wins(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens, lambda c: min(c, key=lambda pair: (-c[pair], pair)))
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="In a tie you compare what the pairs make, not the pairs.")
def greatest_token_wins(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens, lambda c: max(c, key=lambda pair: (c[pair], pair[0] + pair[1])))
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="In a tie you compare ids; compare the bytes.")
def greatest_ids_win(text, vocab_size, special_tokens=()):
    ids = {bytes([byte]): byte for byte in range(256)}

    def choose(counts):
        best = max(counts, key=lambda pair: (counts[pair], ids[pair[0]], ids[pair[1]]))
        ids[best[0] + best[1]] = len(ids)
        return best

    merges = train(text, vocab_size, special_tokens, choose)
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="Your tokens go from one word into the next.")
def without_pieces(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens, pieces_of=lambda part: [part])
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="Your merges lose the space before a word.")
def splits_at_spaces(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens, pieces_of=str.split)
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="Special tokens are training text for you.")
def trains_on_special_tokens(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens, cut=lambda text, special: [text])
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="What stands around a special token grows together when it is gone.")
def deletes_special_tokens(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens, cut=lambda text, special: ["".join(parts_of(text, special))])
    return vocabulary(merges, special_tokens), merges


@mistake(
    "train_bpe", replaces="train_bpe", says="In your pattern, signs in special tokens have a meaning: escape them."
)
def special_tokens_as_patterns(text, vocab_size, special_tokens=()):
    pattern = "|".join(sorted(special_tokens, key=len, reverse=True)) or r"(?!)"
    merges = train(text, vocab_size, special_tokens, cut=lambda text, special: re.split(pattern, text))
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="Your special tokens come before the merges; they come last.")
def special_tokens_first(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens)
    return vocabulary(merges, special_tokens, special_first=True), merges


@mistake("train_bpe", replaces="train_bpe", says="Your vocab_size does not count the special tokens.")
def special_tokens_on_top(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size + len(special_tokens), special_tokens)
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="You do not merge pairs that occur only once.")
def stops_at_one(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens, least=2)
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="A piece counts once for you, however often it occurs.")
def pieces_count_once(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens, once=True)
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="train_bpe", says="When no pair is left, max() of nothing is an error. Stop before.")
def does_not_stop(text, vocab_size, special_tokens=()):
    merges = train(text, vocab_size, special_tokens)
    if len(merges) < vocab_size - 256 - len(special_tokens):
        max([])
    return vocabulary(merges, special_tokens), merges


@mistake("train_bpe", replaces="merge_everywhere", says="Your counts go wrong: the old neighbours are still counted.")
def keeps_old_neighbours(pair, words, counts, words_with):
    counts[pair] = 0
    for word in words_with.pop(pair):
        if word in words:
            count, merged = words.pop(word), merge_pair(word, pair)
            words[merged] = count
            for new_pair in pairwise(merged):
                words_with[new_pair].add(merged)
                if pair[0] + pair[1] in new_pair:
                    counts[new_pair] += count


# --- bpe -------------------------------------------------------------------------------------------------------------


@mistake("bpe", replaces="BPETokenizer", says="You take the longest token that fits; the merges must be followed.")
class LongestToken(BPETokenizer):
    def encode_piece(self, piece):
        rest, ids = piece.encode(), []
        while rest:
            length = next(n for n in range(len(rest), 0, -1) if rest[:n] in self.ids)
            ids.append(self.ids[rest[:length]])
            rest = rest[length:]
        return ids


@mistake("bpe", replaces="BPETokenizer", says="You merge the first pair that has a rank, not that of lowest rank.")
class FirstPair(BPETokenizer):
    def encode_piece(self, piece):
        symbols = tuple(bytes([byte]) for byte in piece.encode())
        while pair := next((pair for pair in pairwise(symbols) if pair in self.ranks), None):
            symbols = merge_pair(symbols, pair)
        return [self.ids[symbol] for symbol in symbols]


@mistake("bpe", replaces="BPETokenizer", says="Your tokens go from one word into the next: encode piece by piece.")
class WithoutPieces(BPETokenizer):
    def pieces(self, text):
        return split_at_special_tokens(text, self.special_ids)


@mistake("bpe", replaces="BPETokenizer", says="You count ids yourself; look them up in vocab.")
class OwnIds(BPETokenizer):
    def __init__(self, vocab, merges, special_tokens=()):
        super().__init__(vocab, merges, special_tokens)
        self.ids = {bytes([byte]): byte for byte in range(256)}
        self.ids |= {left + right: 256 + rank for rank, (left, right) in enumerate(merges)}


@mistake("bpe", replaces="BPETokenizer", says="You add special tokens that the vocabulary holds already once more.")
class AddsSpecialTokensAgain(BPETokenizer):
    def __init__(self, vocab, merges, special_tokens=()):
        super().__init__(vocab, merges, special_tokens)
        for special in special_tokens:
            if special.encode() in vocab.values():
                self.special_ids[special] = len(self.vocab)
                self.vocab[len(self.vocab)] = special.encode()


@mistake("bpe", replaces="BPETokenizer", says="The special tokens that you append are added to the caller's vocab.")
class ChangesVocab(BPETokenizer):
    def __init__(self, vocab, merges, special_tokens=()):
        super().__init__(vocab, merges, special_tokens)
        vocab.update(self.vocab)


@mistake("bpe", replaces="BPETokenizer", says="You accept an empty special token, or one that is named twice.")
class AnySpecialTokens(BPETokenizer):
    def __init__(self, vocab, merges, special_tokens=()):
        super().__init__(vocab, merges, [special for special in dict.fromkeys(special_tokens) if special])


@mistake("bpe", replaces="BPETokenizer", says="Your special tokens are ordinary text.")
class SpecialTokensAsText(BPETokenizer):
    def pieces(self, text):
        return pretokenize(text)


@mistake(
    "bpe", replaces="BPETokenizer", says="Of two special tokens at one place you take the one that was named first."
)
class FirstSpecialToken(BPETokenizer):
    def pieces(self, text):
        pattern = "|".join(re.escape(special) for special in self.special_ids)
        pieces = []
        for part in re.split(f"({pattern})", text) if pattern else [text]:
            pieces += [part] if part in self.special_ids else pretokenize(part)
        return pieces


@mistake("bpe", replaces="BPETokenizer", says="You decode each token by itself; a character may need several.")
class DecodesOneByOne(BPETokenizer):
    def decode(self, ids):
        return "".join(super(DecodesOneByOne, self).decode([token_id]) for token_id in ids)


@mistake("bpe", replaces="BPETokenizer", says="Bytes that are not UTF-8 are an error for you.")
class StrictDecoding(BPETokenizer):
    def decode(self, ids):
        super().decode(ids)
        return b"".join(self.vocab[token_id] for token_id in ids).decode()


@mistake("bpe", replaces="BPETokenizer", says="You leave out bytes that are not UTF-8; each becomes U+FFFD.")
class LenientDecoding(BPETokenizer):
    def decode(self, ids):
        super().decode(ids)
        return b"".join(self.vocab[token_id] for token_id in ids).decode(errors="ignore")


@mistake("bpe", replaces="BPETokenizer", says="Decoding an unknown id is a KeyError for you; it must be a ValueError.")
class KeyErrorForUnknownIds(BPETokenizer):
    def decode(self, ids):
        return b"".join(self.vocab[token_id] for token_id in ids).decode(errors="replace")


@mistake("bpe", replaces="BPETokenizer", says="You encode each chunk by itself.")
class ChunkByChunk(BPETokenizer):
    def encode_iterable(self, chunks):
        for chunk in chunks:
            yield from self.encode(chunk)


@mistake("bpe", replaces="BPETokenizer", says="You read the whole stream before the first id comes out.")
class ReadsEverything(BPETokenizer):
    def encode_iterable(self, chunks):
        yield from self.encode("".join(chunks))


@mistake("bpe", replaces="BPETokenizer", says="You make a list of the stream's chunks before the first id comes out.")
class ListsChunks(BPETokenizer):
    def encode_iterable(self, chunks):
        yield from super().encode_iterable(list(chunks))


@mistake("bpe", replaces="BPETokenizer", says="You return a list; ids must come out one by one.")
class ReturnsAList(BPETokenizer):
    def encode_iterable(self, chunks):
        return list(super().encode_iterable(chunks))


@mistake("bpe", replaces="BPETokenizer", says='You hold back the last piece only; "\'" and "l" may become "\'ll".')
class HoldsBackOnePiece(BPETokenizer):
    def settled_pieces(self, text):
        settled = super().settled_pieces(text)
        return settled + self.pieces(text[len("".join(settled)) :])[:-1]


@mistake(
    "bpe", replaces="BPETokenizer", says="You encode what is settled as if the text ended there, and cut it otherwise."
)
class CutsSettledTextAgain(BPETokenizer):
    def settled_pieces(self, text):
        return self.pieces("".join(super().settled_pieces(text)))


@mistake("bpe", replaces="BPETokenizer", says="A special token that a chunk cuts in two is lost.")
class ForgetsSpecialTokens(BPETokenizer):
    def settled_pieces(self, text):
        return self.pieces(text)[:-2]


@mistake("bpe", replaces="BPETokenizer", says="A special token at a chunk's end could still become a longer one.")
class TakesTheShorterSpecialToken(BPETokenizer):
    def settled_pieces(self, text):
        at_the_end = any(text.endswith(special) for special in self.special_ids)
        return self.pieces(text) if at_the_end else super().settled_pieces(text)


@mistake("bpe", replaces="BPETokenizer", says="You wait for a line end before an id comes out.")
class WaitsForTheLine(BPETokenizer):
    def settled_pieces(self, text):
        return super().settled_pieces(text[: text.rfind("\n") + 1])


@mistake("bpe", replaces="BPETokenizer", says="You yield too little when the chunks end: the rest is lost.")
class LosesTheRest(BPETokenizer):
    def encode_iterable(self, chunks):
        held = ""
        for chunk in chunks:
            held += chunk
            for piece in self.settled_pieces(held):
                yield from self.encode_piece(piece)
                held = held[len(piece) :]


@mistake("bpe", replaces="BPETokenizer", says="You keep all the text of a stream, so the memory grows with it.")
class KeepsTheText(BPETokenizer):
    def encode_iterable(self, chunks):
        text, done = "", 0
        for chunk in chunks:
            text += chunk
            for piece in self.settled_pieces(text[done:]):
                yield from self.encode_piece(piece)
                done += len(piece)
        yield from self.encode(text[done:])
