"""tinyshakespeare: 1,115,394 characters of Shakespeare's plays, which many small GPTs are compared on.

    load("shakespeare").train[:15]              # 'First Citizen:\\n'

It does not come with the course. It is downloaded on first use into the user's cache folder, checked by its SHA-256,
and read from there afterwards. Text and split are those of nanoGPT's data/shakespeare_char: the first nine tenths of
the characters train. Source: Andrej Karpathy, char-rnn, data/tinyshakespeare/input.txt.

Nobody knows this text's floor.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
from pathlib import Path

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
NAME = "tinyshakespeare.txt"
LARGEST = 1 << 24
INSTEAD = (
    "Without a network, train on a built-in text (--preset tiny), or get the file elsewhere and name it: --corpus FILE"
)


def read_shakespeare(cache: Path | None = None, url: str = URL, sha256: str = SHA256) -> str:
    """The text, from the cache, or from its address and then into the cache. ValueError: it cannot be had."""
    path = (cache or cache_folder()) / NAME
    if path.is_file() and hashlib.sha256(content := path.read_bytes()).hexdigest() == sha256:
        return content.decode("utf-8")
    content = _download(url)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(
            f"what came from {url} is not tinyshakespeare: its SHA-256 is {found}, expected {sha256}. {INSTEAD}"
        )
    _keep(path, content)
    return content.decode("utf-8")


def split(text: str) -> tuple[str, str]:
    """Training and validation text: the first nine tenths, rounded down, and the rest."""
    border = int(len(text) * 0.9)
    return text[:border], text[border:]


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/minigpt, or ~/.cache/minigpt."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigpt"


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bytes(answer.read(LARGEST))
    except OSError as error:  # no network, no such host, an error from the server: all of urllib's are OSErrors
        raise ValueError(f"tinyshakespeare could not be downloaded from {url}: {error}. {INSTEAD}") from error


def _keep(path: Path, content: bytes) -> None:
    """Whole or not at all; where the cache cannot be written, the text is downloaded again next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=NAME)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        return
