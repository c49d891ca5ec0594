"""Tokenizers: text to token ids, and back. One per character, one per word, one by byte pairs, as in GPT-2.

    tokenizer = CharTokenizer.from_text("the cat sat")
    tokenizer.encode("cat")                                  # [2, 1, 6]

    vocab, merges = train_bpe("the cat sat on the mat", vocab_size=260)
    BPETokenizer(vocab, merges).encode("that")               # [257, 256]: "th" and "at"

From small to large: `CharTokenizer`, `WordTokenizer`, `pretokenize`, `count_pairs` and `merge_pair`, `train_bpe`, and
`BPETokenizer`, which uses nearly all of them. An id is a whole number, and a vocabulary of n tokens has the ids 0 to
n - 1.

Does not handle: text with lone surrogates (half a character, which has no UTF-8 form), or files.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import regex

WORD_PATTERN = r"\w+|\s+|[^\w\s]"  # a word, a run of white space, or a single mark


class CharTokenizer:
    """One id for each character of a text, ascending by code point (the number that Unicode gives a character).

        tokenizer = CharTokenizer.from_text("the cat sat")       # has the space and a, c, e, h, s, t
        tokenizer.vocab_size                                     # 7
        tokenizer.encode("cat")                                  # [2, 1, 6]
        tokenizer.decode([2, 1, 6])                              # "cat"

    Upper and lower case are different characters. Nothing is added to the characters of the text.
    """

    def __init__(self, characters: Sequence[str]) -> None:
        """Keeps what `encode` and `decode` need. What that is, is up to you: others only call `from_text`.

        characters: in the order of their ids.
        """
        ### BEGIN SOLUTION
        self.characters = characters
        self.ids = {character: token_id for token_id, character in enumerate(characters)}
        ### END SOLUTION

    @classmethod
    def from_text(cls, text: str) -> "CharTokenizer":
        """Makes a tokenizer of the characters that occur in a text. An empty text gives an empty vocabulary."""
        ### BEGIN SOLUTION
        return cls(sorted(set(text)))
        ### END SOLUTION

    @property
    def vocab_size(self) -> int:
        """The number of different ids."""
        ### BEGIN SOLUTION
        return len(self.characters)
        ### END SOLUTION

    def encode(self, text: str) -> list[int]:
        """Gives the id of each character of the text, in order.

        Raises ValueError at the first character that the vocabulary does not have. The message has its `repr` and its
        index in the text: "unknown character '\\n' at index 4".
        """
        ### BEGIN SOLUTION
        ids = []
        for index, character in enumerate(text):
            if character not in self.ids:
                raise ValueError(f"unknown character {character!r} at index {index}")
            ids.append(self.ids[character])
        return ids
        ### END SOLUTION

    def decode(self, ids: Sequence[int]) -> str:
        """Puts the characters of the ids together again: decode(encode(text)) is text.

        Raises ValueError for an id that the vocabulary does not have. A negative id is one of these: -1 is not the
        last one.
        """
        ### BEGIN SOLUTION
        for token_id in ids:
            if not 0 <= token_id < self.vocab_size:
                raise ValueError(f"unknown id {token_id}: the ids go from 0 to {self.vocab_size - 1}")
        return "".join(self.characters[token_id] for token_id in ids)
        ### END SOLUTION


class WordTokenizer:
    """One id for each word, run of white space and punctuation mark of a text; id 0 is `<unk>`, for all others.

        tokenizer = WordTokenizer.from_text("the cat sat.")      # has <unk>, " ", ".", "cat", "sat", "the"
        tokenizer.encode("the dog sat.")                         # [5, 1, 0, 1, 4, 2]
        tokenizer.decode([5, 1, 0, 1, 4, 2])                     # "the <unk> sat."

    Texts are cut into pieces by `WORD_PATTERN`, with Python's `re`. White space is a piece like any other, so joining
    the pieces gives the text back. Pieces get their ids by falling frequency: the space, which occurs twice, is id 1.
    Those that are equally frequent follow each other by code points, as Python sorts them.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        """Keeps what `encode` and `decode` need. What that is, is up to you: others only call `from_text`.

        pieces: in the order of their ids, `<unk>` first.
        """
        ### BEGIN SOLUTION
        self.pieces = pieces
        self.ids = {piece: token_id for token_id, piece in enumerate(pieces)}
        ### END SOLUTION

    @classmethod
    def from_text(cls, text: str, max_vocab: int | None = None) -> "WordTokenizer":
        """Makes a tokenizer of the pieces of a text, the most frequent first.

        max_vocab: the most ids that there may be, `<unk>` among them; the rarest pieces go first. None: no limit.
        Raises ValueError if `max_vocab` is below 1.

        Steps:
        1. Check `max_vocab`.
        2. Cut the text into pieces, and count each.
        3. Sort the different pieces: by falling count, and by code points among equals.
        4. Put `<unk>` in front, and cut off what is too much.
        """
        ### BEGIN SOLUTION
        if max_vocab is not None and max_vocab < 1:
            raise ValueError(f"max_vocab must be at least 1, got {max_vocab}")
        counts = Counter(re.findall(WORD_PATTERN, text))
        by_frequency = sorted(counts, key=lambda piece: (-counts[piece], piece))
        return cls(["<unk>", *by_frequency][:max_vocab])
        ### END SOLUTION

    @property
    def vocab_size(self) -> int:
        """The number of different ids, with that of `<unk>`."""
        ### BEGIN SOLUTION
        return len(self.pieces)
        ### END SOLUTION

    def encode(self, text: str) -> list[int]:
        """Gives the id of each piece of the text; 0 for a piece that the vocabulary does not have."""
        ### BEGIN SOLUTION
        return [self.ids.get(piece, 0) for piece in re.findall(WORD_PATTERN, text)]
        ### END SOLUTION

    def decode(self, ids: Sequence[int]) -> str:
        """Puts the pieces of the ids together; id 0 becomes the text "<unk>".

        Raises ValueError for an id that the vocabulary does not have, negative ones too.
        """
        ### BEGIN SOLUTION
        for token_id in ids:
            if not 0 <= token_id < self.vocab_size:
                raise ValueError(f"unknown id {token_id}: the ids go from 0 to {self.vocab_size - 1}")
        return "".join(self.pieces[token_id] for token_id in ids)
        ### END SOLUTION


def pretokenize(text: str) -> list[str]:
    r"""Cuts a text into GPT-2's pieces, so that no token ever goes from one word into the next.

        pretokenize("It's 42  cats!")                            # ["It", "'s", " 42", " ", " cats", "!"]

    At each place the first of these that fits is taken, as long as possible:

    1. an apostrophe (') and one of s, t, re, ve, m, ll, d, in small letters: the ends of it's, don't, we're, ...
    2. letters of any script, with the space before them if there is one
    3. digits and other numbers, with the space before them if there is one
    4. anything else but white space, with the space before it if there is one
    5. white space, but without its last character if something else follows: that one belongs to the next piece
    6. white space

    In a regular expression these are six alternatives, with `|` between them. Python's `re` does not know `\p{L}`, a
    letter, and `\p{N}`, a number; the package `regex` does. `(?!\S)` means "and now nothing comes that is not white
    space". Only 2, 3 and 4 take a space with them: a tab or a newline stays alone.

    Returns the pieces in order; joined, they are the text. (Radford et al. 2019, section 2.2; the pattern itself is in
    the code that was published with it, `encoder.py`.)

    Steps:
    1. Write the six alternatives into one pattern, in this order.
    2. Find all matches with `regex`.
    """
    ### BEGIN SOLUTION
    pattern = (
        r"'(?:s|t|re|ve|m|ll|d)"
        r"| ?\p{L}+"
        r"| ?\p{N}+"
        r"| ?[^\s\p{L}\p{N}]+"
        r"|\s+(?!\S)"
        r"|\s+"
    )
    return regex.findall(pattern, text)
    ### END SOLUTION


def count_pairs(words: dict[tuple[bytes, ...], int]) -> dict[tuple[bytes, bytes], int]:
    """Counts how often each two symbols stand side by side, in all words together.

    A word is a tuple of symbols, and a symbol is some bytes. Each word comes with its own count, how often it occurs in
    the text, and its pairs count as often. Pairs may overlap: (a, a, a) has the pair (a, a) twice.

        words = {(b"c", b"a", b"t"): 2, (b"a", b"t"): 3}
        count_pairs(words)                                       # {(b"c", b"a"): 2, (b"a", b"t"): 5}

    A pair that does not occur is not in the result. `words` stays as it is.
    """
    ### BEGIN SOLUTION
    counts: dict[tuple[bytes, bytes], int] = defaultdict(int)
    for word, count in words.items():
        for pair in pairwise(word):
            counts[pair] += count
    return counts
    ### END SOLUTION


def merge_pair(symbols: tuple[bytes, ...], pair: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    """Joins the two symbols of a pair wherever they stand side by side, from left to right.

        merge_pair((b"t", b"h", b"a", b"t"), (b"a", b"t"))       # (b"t", b"h", b"at")
        merge_pair((b"a", b"a", b"a"), (b"a", b"a"))             # (b"aa", b"a"): a symbol is used once

    Joined symbols are not joined again in the same call. Where the pair does not occur, the symbols stay as they are.

    Steps:
    1. Go through the symbols from left to right.
    2. If this symbol and the next are the pair, write down their join and go on behind both.
    3. Otherwise write down this symbol and go on behind it.
    """
    ### BEGIN SOLUTION
    merged = []
    position = 0
    while position < len(symbols):
        if symbols[position : position + 2] == pair:
            merged.append(pair[0] + pair[1])
            position += 2
        else:
            merged.append(symbols[position])
            position += 1
    return tuple(merged)
    ### END SOLUTION


def split_at_special_tokens(text: str, special_tokens: Collection[str]) -> list[str]:
    """Cuts a text before and behind each special token: ordinary text and special tokens take turns.

        split_at_special_tokens("the cat<|end|>sat", ["<|end|>"])     # ["the cat", "<|end|>", "sat"]

    Where several special tokens begin at the same place, the longest is taken. The tests do not call this function:
    `train_bpe` and `BPETokenizer` need it, and you may change it or do without.

    Returns a list of odd length that begins and ends with ordinary text, which may be empty.

    Steps:
    1. Sort the special tokens, the longest first: an alternative of a regular expression that stands first wins.
    2. Escape each of them (in a pattern, `|` and `.` have a meaning), and join them with `|`.
    3. `re.split` keeps what it splits at if the pattern stands in parentheses. Without special tokens, do not split.
    """
    ### BEGIN SOLUTION
    if not special_tokens:
        return [text]
    longest_first = sorted(special_tokens, key=len, reverse=True)
    pattern = "|".join(re.escape(special) for special in longest_first)
    return re.split(f"({pattern})", text)
    ### END SOLUTION


def merge_everywhere(
    pair: tuple[bytes, bytes],
    words: dict[tuple[bytes, ...], int],
    counts: dict[tuple[bytes, bytes], int],
    words_with: dict[tuple[bytes, bytes], set[tuple[bytes, ...]]],
) -> None:
    """Applies one merge to all words, and keeps the counts of pairs right, all in place.

    Only words that contain the pair change, and there are few of them. So look these up, take the counts of their old
    pairs away, and add those of their new pairs. Everything else stays. The tests do not call this function:
    `train_bpe` needs it, and you may change it or do without.

    words: each word, cut into symbols, with its count.
    counts: of each pair, as from `count_pairs`; a pair that is new counts 0 so far (a `defaultdict`).
    words_with: for each pair the words that contain it. It may also hold words that an earlier merge has rewritten:
        those are no longer in `words`.

    Steps:
    1. Take the pair's words out of `words_with`. Pass over those that are no longer in `words`.
    2. Take the old word out of `words`, and its count away from each of its pairs.
    3. Put the merged word in, add its count to each of its pairs, and note in `words_with` that it contains them.
    """
    ### BEGIN SOLUTION
    for word in words_with.pop(pair):
        if word not in words:
            continue
        count = words.pop(word)
        for old_pair in pairwise(word):
            counts[old_pair] -= count
        merged = merge_pair(word, pair)
        words[merged] = count
        for new_pair in pairwise(merged):
            counts[new_pair] += count
            words_with[new_pair].add(merged)
    ### END SOLUTION


def train_bpe(
    text: str, vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[tuple[bytes, bytes]]]:
    """Learns which bytes to merge: again and again the pair that is most frequent in the text (Sennrich et al. 2016).

    On paper: "at cat cat" has the pieces "at" (once) and " cat" (twice). The pair (a, t) occurs 3 times, (c, at) then
    twice, as does (" ", c). Of these two, (c, at) is the greater pair, so it is merged next:

        vocab, merges = train_bpe("at cat cat", vocab_size=258)
        merges                                                   # [(b"a", b"t"), (b"c", b"at")]
        vocab[256], vocab[257]                                   # b"at", b"cat"

    text: is cut at special tokens first, then into pieces by `pretokenize`. Nothing merges across a cut.
    vocab_size: of everything: 256 bytes, the merges, and the special tokens.
    special_tokens: different from each other, and none of them is empty.
    Returns (vocab, merges). In `vocab`, 0 to 255 are the single bytes in order, then come the merges in order, then the
    special tokens in the order given. The most frequent pair wins; of several, the lexicographically greatest, as
    Python compares tuples of bytes: (b"c", b"at") > (b"c", b"a") > (b"a", b"t") > (b" ", b"c"). Pairs that occur once
    are merged, too. When there are none left, training stops, and the vocabulary is shorter.
    Raises ValueError if `vocab_size` is below 256 and the number of special tokens.

    Steps:
    1. Check `vocab_size`. How many merges are there room for?
    2. Cut the text, and count each different piece. A piece's symbols are its single bytes, in UTF-8.
    3. Count the pairs, and note for each pair which words contain it.
    4. While there is room: find the largest count, and of the pairs that have it the greatest. Merge it everywhere.
       If the largest count is 0, or there is no pair at all, stop.
    5. Put bytes, merges and special tokens into one vocabulary.

    Counting all pairs anew after every merge gives the same merges and full marks. It is a good first version, and
    more than 20 times slower on a text of 130,000 characters.
    """
    ### BEGIN SOLUTION
    n_merges = vocab_size - 256 - len(special_tokens)
    if n_merges < 0:
        raise ValueError(f"vocab_size must be at least {256 + len(special_tokens)}, got {vocab_size}")
    pieces: dict[str, int] = Counter()
    for part in split_at_special_tokens(text, special_tokens):
        if part not in special_tokens:
            pieces.update(pretokenize(part))
    words = {tuple(bytes([byte]) for byte in piece.encode()): count for piece, count in pieces.items()}
    counts = defaultdict(int, count_pairs(words))
    words_with = defaultdict(set)
    for word in words:
        for pair in pairwise(word):
            words_with[pair].add(word)
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < n_merges:
        most = max(counts.values(), default=0)
        if most == 0:
            break
        merges.append(max(pair for pair, count in counts.items() if count == most))
        merge_everywhere(merges[-1], words, counts, words_with)
    tokens = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    return dict(enumerate(tokens + [special.encode() for special in special_tokens])), merges
    ### END SOLUTION


class BPETokenizer:
    """Byte pairs: any text becomes ids, and nothing is unknown (Sennrich et al. 2016; Radford et al. 2019).

        vocab, merges = train_bpe("at cat cat", vocab_size=259, special_tokens=["<|end|>"])
        tokenizer = BPETokenizer(vocab, merges, ["<|end|>"])
        tokenizer.encode("cat<|end|>bat")                        # [257, 258, 98, 256]: "cat", "<|end|>", "b", "at"
        tokenizer.decode([257, 258, 98, 256])                    # "cat<|end|>bat"

    vocab: the bytes of each id. Look a token's id up in it: other vocabularies, such as GPT-2's, have another order
        than `train_bpe` gives.
    merges: in the order in which they were learned. The first has rank 0.
    special_tokens: texts that become one id each, whatever stands around them. `vocab` may hold them already, as that
        of `train_bpe` does. Those that it lacks are appended to it, in the order given. A special token that `vocab`
        holds but that is not named here is ordinary text.
    `vocab` stays as it is. Raises ValueError if a special token is empty or is named twice.
    """

    def __init__(
        self, vocab: dict[int, bytes], merges: Sequence[tuple[bytes, bytes]], special_tokens: Sequence[str] = ()
    ) -> None:
        """Keeps what the other methods need. What that is, is up to you.

        Steps:
        1. Check the special tokens.
        2. Copy the vocabulary, and turn it round: the id of each token. Number the merges: the rank of each pair.
        3. Find the id of each special token, or append it.
        4. Prepare what `settled_pieces` looks for: special tokens, and at the end of a text beginnings of them.
        """
        ### BEGIN SOLUTION
        if len(set(special_tokens)) < len(special_tokens) or "" in special_tokens:
            raise ValueError(f"special_tokens must be different and not empty, got {list(special_tokens)}")
        self.vocab = dict(vocab)
        self.ids = {token: token_id for token_id, token in sorted(vocab.items(), reverse=True)}
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.special_ids: dict[str, int] = {}
        for special in special_tokens:
            found = [token_id for token_id, token in vocab.items() if token == special.encode()]
            token_id = max(found, default=max(self.vocab) + 1)  # special tokens come last
            self.special_ids[special] = token_id
            self.vocab[token_id] = special.encode()
        self.beginnings = {special[:length] for special in special_tokens for length in range(1, len(special))}
        at_the_end = [re.escape(beginning) + r"\Z" for beginning in self.beginnings]
        complete = [re.escape(special) for special in sorted(special_tokens, key=len, reverse=True)]
        self.special_or_beginning = re.compile("|".join(at_the_end + complete) or r"(?!)")  # (?!) never matches
        self.remembered = lru_cache(maxsize=65_536)(self.encode_piece)  # most pieces come again
        ### END SOLUTION

    @property
    def vocab_size(self) -> int:
        """The number of different ids, special tokens among them."""
        ### BEGIN SOLUTION
        return len(self.vocab)
        ### END SOLUTION

    def pieces(self, text: str) -> list[str]:
        """Cuts a text at special tokens, and what is between them with `pretokenize`. The tests do not call this.

        In the example above, the pieces of "cat<|end|>bat" are "cat", "<|end|>" and "bat". Joined, they are the text.
        """
        ### BEGIN SOLUTION
        pieces = []
        for part in split_at_special_tokens(text, self.special_ids):
            pieces += [part] if part in self.special_ids else pretokenize(part)
        return pieces
        ### END SOLUTION

    def encode_piece(self, piece: str) -> list[int]:
        """Gives the ids of one piece. The tests do not call this.

        Steps:
        1. A special token has its id.
        2. Otherwise begin with the single bytes of the piece.
        3. Of all pairs that stand side by side, find the one of lowest rank, and merge it everywhere in the piece.
        4. Repeat until no pair has a rank. Look up the id of each symbol that is left.
        """
        ### BEGIN SOLUTION
        if piece in self.special_ids:
            return [self.special_ids[piece]]
        symbols = tuple(bytes([byte]) for byte in piece.encode())
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=lambda pair: self.ranks.get(pair, math.inf))
            if best not in self.ranks:
                break
            symbols = merge_pair(symbols, best)
        return [self.ids[symbol] for symbol in symbols]
        ### END SOLUTION

    def encode(self, text: str) -> list[int]:
        """Turns a text into ids. Where several special tokens begin at the same place, the longest is taken.

        Steps:
        1. Cut the text into its pieces.
        2. Put the ids of all pieces into one list. (The same pieces come again and again, so it pays to remember their
           ids.)
        """
        ### BEGIN SOLUTION
        return [token_id for piece in self.pieces(text) for token_id in self.remembered(piece)]
        ### END SOLUTION

    def decode(self, ids: Sequence[int]) -> str:
        """Joins the bytes of the ids, and reads them as UTF-8: decode(encode(text)) is text.

        A character may be cut in two by tokens, so join the bytes of all ids first. What is not UTF-8 becomes U+FFFD,
        the replacement character, as with `bytes.decode(errors="replace")`.
        Raises ValueError for an id that the vocabulary does not have, negative ones too.
        """
        ### BEGIN SOLUTION
        for token_id in ids:
            if token_id not in self.vocab:
                raise ValueError(f"unknown id {token_id}: the vocabulary has {self.vocab_size} ids")
        return b"".join(self.vocab[token_id] for token_id in ids).decode(errors="replace")
        ### END SOLUTION

    def settled_pieces(self, text: str) -> list[str]:
        """The pieces of a text that stay as they are whatever comes behind it. The tests do not call this.

        Two things are open at the end of a text. It may be the beginning of a special token: "<|en", or a complete one
        that is the beginning of a longer one. And the last two pieces before that may be cut otherwise when more comes:
        "'" and "l" are two pieces, and if another l follows, "'ll" is one. A third piece never changes.

        Steps:
        1. Go through the special tokens in the text from left to right, and remember where the last one ended.
        2. If the text ends with what could become a special token, or a longer one, go on without that end.
        3. Everything up to the last special token is settled. Of the pieces behind it, all but the last two are.
        """
        ### BEGIN SOLUTION
        start, end = 0, len(text)
        for match in self.special_or_beginning.finditer(text):
            if match.end() == len(text) and match[0] in self.beginnings:
                end = match.start()
            else:
                start = match.end()
        return self.pieces(text[:start]) + pretokenize(text[start:end])[:-2]
        ### END SOLUTION

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        """Yields the ids of a text that comes in chunks: exactly those of `encode("".join(chunks))`, one by one.

            list(tokenizer.encode_iterable(["c", "at<|e", "nd|>", "bat"]))     # [257, 258, 98, 256], as above

        So a file that is larger than the memory can be encoded. A chunk may end anywhere, also inside a word or a
        special token, and may be empty. Ids come as soon as they are certain, before the next chunk is asked for. Only
        this is held back: the last two pieces, and what could be the beginning of a special token.

        Steps:
        1. Add the next chunk to what was held back.
        2. Yield the ids of the pieces that are settled, and hold the rest back. Do not cut these pieces again: "\\n\\n"
           at the end of a text is one piece, and in front of a word it is two.
        3. When there are no more chunks, yield the ids of what is left.
        """
        ### BEGIN SOLUTION
        held = ""
        for chunk in chunks:
            held += chunk
            settled = self.settled_pieces(held)
            for piece in settled:
                yield from self.remembered(piece)
            held = held[sum(len(piece) for piece in settled) :]
        yield from self.encode(held)
        ### END SOLUTION
