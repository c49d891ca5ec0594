"""Right versions of assignment 01 that differ from the reference. Each must get full marks.

Each takes the place of the reference's symbol of the name `replaces`; those with the same `name` go together. Nothing
in here is ever imported: `autograder.variants` reads it.
"""

import bisect
import functools
import heapq
import itertools
import re
from collections import Counter

import numpy as np
import regex
from tokenizer import BPETokenizer, WordTokenizer, count_pairs, merge_pair, pretokenize

from autograder.variants import alternative

# --- chars, words ----------------------------------------------------------------------------------------------------


@alternative(replaces="CharTokenizer", says="bisection in a sorted string, a plain attribute for the size")
class CharactersByBisection:
    def __init__(self, vocabulary):
        self.vocabulary = vocabulary
        self.vocab_size = len(vocabulary)

    @classmethod
    def from_text(cls, text):
        return cls("".join(sorted(set(text))))

    def encode(self, text):
        return [self._find(i, character) for i, character in enumerate(text)]

    def _find(self, index, character):
        place = bisect.bisect_left(self.vocabulary, character)
        if self.vocabulary[place : place + 1] != character:
            raise ValueError(f"position {index}: {character!r} is not in the vocabulary")
        return place

    def decode(self, ids):
        if any(i < 0 or i >= self.vocab_size for i in ids):
            raise ValueError("there is no such id")
        return "".join(map(self.vocabulary.__getitem__, ids))


@alternative(replaces="CharTokenizer", says="two dicts, and an exception of its own")
class CharactersByDicts:
    class Unknown(ValueError):
        pass

    @staticmethod
    def from_text(text):
        tokenizer = CharactersByDicts()
        code_points = sorted({ord(character) for character in text})
        tokenizer.characters = {i: chr(code_point) for i, code_point in enumerate(code_points)}
        tokenizer.numbers = {character: i for i, character in tokenizer.characters.items()}
        return tokenizer

    @property
    def vocab_size(self):
        return len(self.characters)

    def encode(self, text):
        try:
            return [self.numbers[character] for character in text]
        except KeyError as error:
            character = error.args[0]
            raise self.Unknown(f"{character!r} (index {text.index(character)}) does not occur in the text") from None

    def decode(self, ids):
        found = [self.characters.get(i) for i in ids]
        if None in found:
            raise self.Unknown(f"no character has the id {ids[found.index(None)]}")
        return "".join(found)


@alternative(replaces="CharTokenizer", says="NumPy's unique and searchsorted, NumPy's integers in the list")
class CharactersByNumPy:
    def __init__(self, code_points):
        self.code_points = code_points

    @classmethod
    def from_text(cls, text):
        return cls(np.unique(np.array([ord(character) for character in text], dtype=np.int64)))

    @property
    def vocab_size(self):
        return len(self.code_points)

    def encode(self, text):
        wanted = np.array([ord(character) for character in text], dtype=np.int64)
        known = np.isin(wanted, self.code_points)
        if not known.all():
            first = int(known.argmin())
            raise ValueError(f"{text[first]!r} at {first}")
        return list(np.searchsorted(self.code_points, wanted))

    def decode(self, ids):
        if len(ids) and (min(ids) < 0 or max(ids) >= self.vocab_size):
            raise ValueError(f"ids must be from 0 to {self.vocab_size - 1}")
        return "".join(chr(self.code_points[i]) for i in ids)


@alternative(replaces="WordTokenizer", says="a compiled pattern, most_common after a sort, a dict in both directions")
class WordsBySortedCounter:
    PIECE = re.compile(r"\w+|\s+|[^\w\s]")

    def __init__(self, pieces):
        self.text_of = {0: "<unk>", **dict(enumerate(pieces, start=1))}
        self.id_of = {piece: i for i, piece in self.text_of.items() if i}

    @classmethod
    def from_text(cls, text, max_vocab=None):
        if max_vocab is not None and max_vocab <= 0:
            raise ValueError("a vocabulary needs at least <unk>")
        counts = Counter(dict(sorted(Counter(m[0] for m in cls.PIECE.finditer(text)).items())))
        limit = None if max_vocab is None else max_vocab - 1
        return cls([piece for piece, _ in counts.most_common(limit)])  # a stable sort: ties stay as they are

    @property
    def vocab_size(self):
        return len(self.text_of)

    def encode(self, text):
        return [self.id_of.get(m[0], 0) for m in self.PIECE.finditer(text)]

    def decode(self, ids):
        try:
            return "".join([self.text_of[i] for i in ids])
        except KeyError as error:
            raise ValueError(f"there is no piece {error}") from None


@alternative(replaces="WordTokenizer", says="sorts twice, once for each key")
class WordsSortedTwice(WordTokenizer):
    @classmethod
    def from_text(cls, text, max_vocab=None):
        if max_vocab is not None and max_vocab < 1:
            raise ValueError(f"max_vocab={max_vocab}")
        pieces = re.findall(r"\s+|\w+|[^\s\w]", text)
        counts = Counter(pieces)
        ordered = sorted(sorted(set(pieces)), key=counts.__getitem__, reverse=True)
        ordered.insert(0, "<unk>")
        return cls(tuple(ordered if max_vocab is None else ordered[:max_vocab]))


# --- pretokenize -----------------------------------------------------------------------------------------------------


@alternative(replaces="pretokenize", says="the pattern as GPT-2's own code writes it, compiled, with finditer")
def pieces_of_gpt2(text):
    pattern = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    return [match.group() for match in pattern.finditer(text)]


@alternative(replaces="pretokenize", says="the pattern as tiktoken writes it, with possessive quantifiers")
def pieces_of_tiktoken(text):
    pattern = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
    return regex.findall(pattern, text)


@alternative(replaces="pretokenize", says="position by position, with six patterns in a list")
def pieces_one_by_one(text):
    kinds = (r"'(?:s|t|re|ve|m|ll|d)", r" ?\p{L}+", r" ?\p{N}+", r" ?[^\s\p{L}\p{N}]+", r"\s+(?!\S)", r"\s+")
    pieces, position = [], 0
    while position < len(text):
        found = (regex.compile(kind).match(text, position) for kind in kinds)
        pieces.append(next(match for match in found if match)[0])
        position += len(pieces[-1])
    return pieces


# --- pairs -----------------------------------------------------------------------------------------------------------


@alternative(name="pairs by zip", replaces="count_pairs", says="a Counter, neighbours by zip")
def counts_by_zip(words):
    counts = Counter()
    for word in words:
        for pair in zip(word, word[1:], strict=False):
            counts.update({pair: words[word]})
    return counts


@alternative(name="pairs by zip", replaces="merge_pair", says="joins a symbol to the one before it")
def merge_by_looking_back(symbols, pair):
    out = []
    for symbol in symbols:
        if out and out[-1] == pair[0] and symbol == pair[1]:
            out[-1] = out[-1] + symbol
        else:
            out.append(symbol)
    return tuple(out)


@alternative(name="pairs by recursion", replaces="count_pairs", says="indices and dict.get")
def counts_by_index(words):
    counts = {}
    for word, count in words.items():
        for i in range(len(word) - 1):
            key = (word[i], word[i + 1])
            counts[key] = counts.get(key, 0) + count
    return counts


@alternative(name="pairs by recursion", replaces="merge_pair", says="finds the first place and goes on behind it")
def merge_by_recursion(symbols, pair):
    for i in range(len(symbols) - 1):
        if symbols[i] == pair[0] and symbols[i + 1] == pair[1]:
            return (*symbols[:i], b"".join(pair), *merge_by_recursion(symbols[i + 2 :], pair))
    return tuple(symbols)


@alternative(replaces="merge_pair", says="an iterator that is asked for two symbols at once")
def merge_by_iterator(symbols, pair):
    def generate():
        waiting = None
        for symbol in symbols:
            if waiting is not None and (waiting, symbol) == tuple(pair):
                yield waiting + symbol
                waiting = None
            else:
                if waiting is not None:
                    yield waiting
                waiting = symbol
        if waiting is not None:
            yield waiting

    return tuple(generate())


# --- train_bpe -------------------------------------------------------------------------------------------------------


def cut(text, special_tokens):
    """Ordinary text only, by a plain search from left to right."""
    parts, start, position = [], 0, 0
    while position < len(text):
        here = [special for special in special_tokens if text.startswith(special, position)]
        if here:
            parts.append(text[start:position])
            start = position = position + len(max(here, key=len))
        else:
            position += 1
    return [*parts, text[start:]]


@alternative(replaces="train_bpe", says="counts all pairs anew after every merge")
def train_by_recounting(text, vocab_size, special_tokens=()):
    if vocab_size < 256 + len(special_tokens):
        raise ValueError("vocab_size has no room for the bytes and the special tokens")
    pieces = itertools.chain.from_iterable(pretokenize(part) for part in cut(text, special_tokens))
    words = Counter(tuple(bytes((b,)) for b in piece.encode("utf-8")) for piece in pieces)
    vocab, merges = {i: bytes((i,)) for i in range(256)}, []
    while len(vocab) + len(special_tokens) < vocab_size:
        counts = count_pairs(words)
        if len(counts) == 0:
            break
        best = max(counts.items(), key=lambda item: (item[1], item[0]))[0]
        words = {merge_pair(word, best): count for word, count in words.items()}
        vocab[len(vocab)] = b"".join(best)
        merges.append(best)
    for special in special_tokens:
        vocab[len(vocab)] = special.encode()
    return vocab, merges


@functools.total_ordering
class Greatest:
    """An entry of a heap, whose least is the most frequent and then the greatest pair."""

    def __init__(self, count, pair):
        self.key = (count, pair)

    def __eq__(self, other):
        return self.key == other.key

    def __lt__(self, other):
        return self.key > other.key


@alternative(replaces="train_bpe", says="numbered words, and a heap whose old entries are passed over")
def train_by_heap(text, vocab_size, special_tokens=()):
    room = vocab_size - 256 - len(special_tokens)
    if room < 0:
        raise ValueError(f"vocab_size={vocab_size}")
    pieces = Counter(piece for part in cut(text, special_tokens) for piece in pretokenize(part))
    words, times = [[bytes([b]) for b in piece.encode()] for piece in pieces], list(pieces.values())
    counts, where = Counter(), {}
    for number, word in enumerate(words):
        for pair in itertools.pairwise(word):
            counts[pair] += times[number]
            where.setdefault(pair, set()).add(number)
    heap = [Greatest(count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    merges = []
    while heap and len(merges) < room:
        count, pair = heapq.heappop(heap).key
        if count != counts[pair]:
            continue
        merges.append(pair)
        touched = set()
        for number in where.pop(pair):
            old, new = words[number], list(merge_pair(tuple(words[number]), pair))
            for neighbours in itertools.pairwise(old):
                counts[neighbours] -= times[number]
                touched.add(neighbours)
            for neighbours in itertools.pairwise(new):
                counts[neighbours] += times[number]
                where.setdefault(neighbours, set()).add(number)
                touched.add(neighbours)
            words[number] = new
        for changed in touched:
            if counts[changed] > 0:
                heapq.heappush(heap, Greatest(counts[changed], changed))
    tokens = [bytes([b]) for b in range(256)] + [a + b for a, b in merges] + [s.encode() for s in special_tokens]
    return dict(enumerate(tokens)), merges


@alternative(replaces="train_bpe", says="words of ids; ties are compared by the bytes that the ids stand for")
def train_with_ids(text, vocab_size, special_tokens=()):
    n_merges = vocab_size - len(special_tokens) - 256
    if n_merges < 0:
        raise ValueError("vocab_size is too small for 256 bytes and the special tokens")
    tokens = [bytes([b]) for b in range(256)]
    words = [list(piece.encode()) for part in cut(text, special_tokens) for piece in pretokenize(part)]
    pairs = []
    for _ in range(n_merges):
        counts = Counter(pair for word in words for pair in itertools.pairwise(word))
        if not counts:
            break
        best = sorted(counts, key=lambda pair: (counts[pair], tokens[pair[0]], tokens[pair[1]]))[-1]
        for word in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = [len(tokens)]
                i += 1
        pairs.append((tokens[best[0]], tokens[best[1]]))
        tokens.append(tokens[best[0]] + tokens[best[1]])
    tokens.extend(special.encode() for special in special_tokens)
    return dict(zip(itertools.count(), tokens, strict=False)), pairs


# --- bpe -------------------------------------------------------------------------------------------------------------


@alternative(replaces="BPETokenizer", says="the leftmost pair of lowest rank, one at a time, without memory")
class OnePairAtATime(BPETokenizer):
    def encode(self, text):
        return list(self.encode_iterable([text]))

    def encode_iterable(self, chunks):
        held = ""
        for chunk in chunks:
            held = held + chunk
            for piece in self.settled_pieces(held):
                yield from self._merged(piece)
                held = held[len(piece) :]
        for piece in self.pieces(held):
            yield from self._merged(piece)

    def pieces(self, text):
        pieces = []
        start = position = 0
        while position <= len(text):
            here = [special for special in self.special_ids if text.startswith(special, position)]
            if here or position == len(text):
                special = max(here, key=len, default="")
                pieces += [*pretokenize(text[start:position]), *([special] if here else [])]
                start = position = position + max(len(special), 1)
            else:
                position += 1
        return pieces

    def _merged(self, piece):
        if piece in self.special_ids:
            return [self.special_ids[piece]]
        tokens = [bytes([b]) for b in piece.encode()]
        while True:
            ranked = [(self.ranks[pair], i) for i, pair in enumerate(itertools.pairwise(tokens)) if pair in self.ranks]
            if not ranked:
                return [self.ids[token] for token in tokens]
            _, i = min(ranked)
            tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]


@alternative(replaces="BPETokenizer", says="joins whatever makes a known token, by its rank, as tiktoken does")
class ByRankOfTheToken(BPETokenizer):
    def __init__(self, vocab, merges, special_tokens=()):
        super().__init__(vocab, merges, special_tokens)
        self.rank_of = {left + right: rank for rank, (left, right) in reversed(list(enumerate(merges)))}

    def encode_piece(self, piece):
        if piece in self.special_ids:
            return super().encode_piece(piece)
        parts = [bytes([b]) for b in piece.encode()]
        while len(parts) > 1:
            ranks = [self.rank_of.get(left + right, len(self.rank_of)) for left, right in itertools.pairwise(parts)]
            if min(ranks) == len(self.rank_of):
                break
            place = ranks.index(min(ranks))
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        return [self.ids[part] for part in parts]


@alternative(
    replaces="BPETokenizer", says="every merge of the list in turn, as in training, with a dict that remembers"
)
class EveryMergeInTurn:
    def __init__(self, vocab, merges, special_tokens=()):
        if any(not special for special in special_tokens):
            raise ValueError("a special token is empty")
        if len(special_tokens) != len(set(special_tokens)):
            raise ValueError("a special token occurs twice")
        self.merges = list(merges)
        self.bytes_of = {**vocab}
        self.id_of = {token: i for i, token in vocab.items()}
        for special in special_tokens:
            if special.encode() not in self.id_of:
                self.id_of[special.encode()] = len(self.bytes_of)
                self.bytes_of[len(self.bytes_of)] = special.encode()
        self.special = sorted(special_tokens, key=lambda special: -len(special))
        self.memory = {}

    @property
    def vocab_size(self):
        return len(self.bytes_of)

    def decode(self, ids):
        unknown = set(ids) - self.bytes_of.keys()
        if unknown:
            raise ValueError(f"unknown ids: {sorted(unknown)}")
        return b"".join(map(self.bytes_of.get, ids)).decode("utf-8", "replace")

    def encode(self, text):
        return [token_id for piece in self._pieces(text) for token_id in self._ids(piece)]

    def _pieces(self, text):
        while text:
            places = [(text.find(special), -len(special)) for special in self.special if special in text]
            start, length = min(places, default=(len(text), 0))
            yield from pretokenize(text[:start])
            if length:
                yield text[start : start - length]
            text = text[start - length :]

    def _ids(self, piece):
        if piece in self.special:
            return [self.id_of[piece.encode()]]
        if piece not in self.memory:
            symbols = tuple(bytes([b]) for b in piece.encode())
            for pair in self.merges:
                symbols = merge_pair(symbols, pair)
            self.memory[piece] = [self.id_of[symbol] for symbol in symbols]
        return self.memory[piece]

    def encode_iterable(self, chunks):
        return itertools.chain.from_iterable(self._ids(piece) for piece in self._stream(chunks))

    def _stream(self, chunks):
        """The first piece again and again, as long as three pieces stand before what is open."""
        held = ""
        for chunk in chunks:
            for start in range(0, len(chunk), 16):
                held += chunk[start : start + 16]
                while (first := self._first_settled(held)) is not None:
                    yield first
                    held = held[len(first) :]
        yield from self._pieces(held)

    def _first_settled(self, text):
        """The first piece, if nothing can change it any more."""
        for position in range(len(text)):
            rest = text[position:]
            if any(special.startswith(rest) and special != rest for special in self.special):
                pieces = pretokenize(text[:position])
                return pieces[0] if len(pieces) > 2 else None
            complete = next((special for special in self.special if rest.startswith(special)), None)
            if complete:
                return next(iter(pretokenize(text[:position])), complete)
        pieces = pretokenize(text)
        return pieces[0] if len(pieces) > 2 else None


@alternative(replaces="BPETokenizer", says="a stream that is an object of its own, with __next__ and a queue")
class WithAStreamObject(BPETokenizer):
    class Stream:
        def __init__(self, tokenizer, chunks):
            self.tokenizer, self.chunks, self.held, self.queue = tokenizer, iter(chunks), "", []

        def __iter__(self):
            return self

        def __next__(self):
            while not self.queue:
                if self.chunks is None:
                    raise StopIteration
                chunk = next(self.chunks, None)
                text = self.held + (chunk or "")
                whole = chunk is None
                pieces = self.tokenizer.pieces(text) if whole else self.tokenizer.settled_pieces(text)
                self.held = text[len("".join(pieces)) :]
                self.queue = [i for piece in pieces for i in self.tokenizer.encode_piece(piece)][::-1]
                self.chunks = None if whole else self.chunks
            return self.queue.pop()

    def encode_iterable(self, chunks):
        return self.Stream(self, chunks)


@alternative(replaces="BPETokenizer", says="holds back less: one piece only, where no contraction can begin")
class HoldsBackLess(BPETokenizer):
    def settled_pieces(self, text):
        settled = super().settled_pieces(text)
        rest = pretokenize(text[len("".join(settled)) :])
        if self.special_ids or len(rest) < 2 or rest[0].endswith("'"):
            return settled
        return [*settled, rest[0]]


@alternative(replaces="BPETokenizer", says="partial matches of the package regex find an open special token")
class ByPartialMatches(BPETokenizer):
    def settled_pieces(self, text):
        longest_first = sorted(self.special_ids, key=len, reverse=True)
        start = position = 0
        while longest_first and position < len(text):
            matches = [regex.compile(regex.escape(s)).fullmatch(text, position, partial=True) for s in longest_first]
            if any(match is not None and match.partial for match in matches):
                break
            special = next((s for s in longest_first if text.startswith(s, position)), None)
            position += len(special) if special else 1
            start = position if special else start
        end = position if longest_first else len(text)
        return [*self.pieces(text[:start]), *pretokenize(text[start:end])[:-2]]
