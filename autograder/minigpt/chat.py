"""Writing with a MiniGPT in turns: somebody gives a beginning, the model goes on, and one sees it write.

    chat(writer, ask=lambda: input("> "), show=print_now, complain=print)

An empty beginning goes on where the last text ended. Ctrl-C stops a text, Ctrl-D (an `EOFError` from `ask`) the chat.
Each beginning stands for itself: the model is no partner that answers, and it remembers no earlier text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Writer(Protocol):
    """`generate_text` with the model and all options filled in: the prompt, and each new piece as it is written."""

    def __call__(self, prompt: str, *, on_text: Callable[[str], object]) -> str: ...


def chat(
    write: Writer, ask: Callable[[], str], show: Callable[[str], object], complain: Callable[[str], object]
) -> None:
    """Asks, shows and asks again, until `ask` has no more. `complain` is told of a beginning that cannot be used."""
    text = ""
    while True:
        try:
            beginning = ask()
        except EOFError:
            return
        except KeyboardInterrupt:
            show("\n")
            continue
        text = take_turn(write, beginning, text, show, complain)


def take_turn(
    write: Writer, beginning: str, before: str, show: Callable[[str], object], complain: Callable[[str], object]
) -> str:
    """Shows one text while it is written, and returns it: as much as there is when somebody stops it.

    >>> def write(prompt, *, on_text):
    ...     on_text(" upon a time")
    >>> take_turn(write, "Once", "", show=lambda piece: None, complain=print)
    'Once upon a time'
    """
    pieces = [beginning or before]

    def add(piece: str) -> None:
        show(beginning + piece if len(pieces) == 1 else piece)
        pieces.append(piece)

    try:
        write(pieces[0], on_text=add)
    except KeyboardInterrupt:
        pass
    except ValueError as error:
        complain(str(error))
        return before
    show("\n" if len(pieces) > 1 else f"{beginning}\n")
    return "".join(pieces)
