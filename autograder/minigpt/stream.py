"""Text while it is written: what a hook sees of the tokens, and how they become characters.

    stream = TextStream(tokenizer, on_text=print)
    with model.register_forward_pre_hook(Watch(prompt_length, stream), with_kwargs=True):
        parts.generate(model, ids, 100, context_length=128)         # prints each token but the last as it is drawn

For one text at a time. `sample.py` has the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from .protocols import Tokenizer


class TextStream:
    """Tokens in, text out as soon as it is certain: half a character waits, and so does what may become `stop`.

        stream = TextStream(tokenizer, stop="end")
        stream.write([5, 2])            # on_text("the "), if these are "t" and "he e": the "e" waits
        stream.finish()                 # on_text("e"), as no more tokens come

    `text` is all of it so far, `stopped` says whether `stop` has come; nothing is added after that.
    """

    def __init__(
        self, tokenizer: Tokenizer, stop: str | None = None, on_text: Callable[[str], object] | None = None
    ) -> None:
        self.text = ""
        self.stopped = False
        self._tokenizer, self._stop, self._on_text = tokenizer, stop, on_text
        self._tokens: list[int] = []  # those since the last one that ended with a whole character
        self._decoded = 0  # characters of these tokens that were given out
        self._waiting = ""  # what `stop` may begin with

    def write(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            self._tokens.append(token)
            text = self._tokenizer.decode(self._tokens)
            half = text.endswith("\ufffd")  # bytes that are no character, or not yet: the next token may complete it
            self._add(text[self._decoded : len(text) - half])
            self._decoded = len(text) - half
            if not half:
                self._tokens, self._decoded = [], 0

    def finish(self) -> None:
        """No more tokens come, so nothing has to wait any longer."""
        self._add(self._tokenizer.decode(self._tokens)[self._decoded :] if self._tokens else "")
        self._give(self._waiting)
        self._waiting = ""

    def _add(self, piece: str) -> None:
        text = self._waiting + piece
        if self._stop and self._stop in text and not self.stopped:
            self._give(text[: text.index(self._stop)])
            self.stopped, self._waiting = True, ""
        elif not self.stopped:
            n_certain = len(text) - _overlap(text, self._stop or "")
            self._give(text[:n_certain])
            self._waiting = text[n_certain:]

    def _give(self, piece: str) -> None:
        self.text += piece
        if piece and self._on_text is not None:
            self._on_text(piece)


class Stopped(Exception):
    """The model wrote the text that ends it, and need write no more."""


class Watch:
    """A hook that sees the tokens that `generate` draws: each is the last of the ids that the model is fed next.

    So a text can be shown while it is written, whoever's `generate` it is, and it is the text that comes without. The
    last token is fed to nobody; it is in what `generate` returns.
    """

    def __init__(self, prompt_length: int, stream: TextStream) -> None:
        self.n_seen = 0
        self._prompt_length, self._n_fed, self._stream = prompt_length, 0, stream

    def __call__(self, model: nn.Module, positional: tuple[Any, ...], by_name: dict[str, Any]) -> None:
        ids = positional[0] if positional else by_name["ids"]
        if by_name.get("cache") is not None:
            self._n_fed += ids.shape[1]
        else:
            self._n_fed = max(self._n_fed + 1, self._prompt_length)
        if self._n_fed > self._prompt_length:  # the prompt may come in several calls
            self.n_seen += 1
            self._stream.write([int(ids[0, -1])])
            if self._stream.stopped:
                raise Stopped


def _overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` are the first ones of `stop`.

    >>> _overlap("the e", "end")
    1
    """
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
