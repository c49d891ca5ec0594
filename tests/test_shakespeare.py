"""tinyshakespeare: downloaded from a server of the test's own, checked, kept; and what is said where it cannot be had."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from datasets.shakespeare import NAME, SHA256, cache_folder, read_shakespeare, split

TEXT = "To be, or not to be.\n" * 50
TEXT_SHA256 = hashlib.sha256(TEXT.encode()).hexdigest()


class Server:
    def __init__(self) -> None:
        self.asked = 0
        self.content = TEXT.encode()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                self.send_response(200 if server.content else 404)
                self.end_headers()
                self.wfile.write(server.content)

            def log_message(self, *arguments: object) -> None:
                """Nothing on the terminal."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/input.txt"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


def test_it_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        assert read_shakespeare(tmp_path, server.url, TEXT_SHA256) == TEXT
    assert server.asked == 1
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_damaged_copy_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(TEXT[:-1])
    assert read_shakespeare(tmp_path, server.url, TEXT_SHA256) == TEXT
    assert (tmp_path / NAME).read_text() == TEXT


def test_another_text_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    server.content = b"<html>Please log in to the network of this hotel</html>"
    with pytest.raises(ValueError, match=r"is not tinyshakespeare: its SHA-256 is .*, expected .* --corpus FILE"):
        read_shakespeare(tmp_path, server.url, TEXT_SHA256)
    assert list(tmp_path.iterdir()) == []


def test_what_the_server_refuses_is_told(server: Server, tmp_path: Path) -> None:
    server.content = b""
    with pytest.raises(ValueError, match=r"could not be downloaded from http.*404.*--preset tiny"):
        read_shakespeare(tmp_path, server.url, TEXT_SHA256)


def test_without_a_network_the_built_in_text_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]  # closed a moment later: nobody listens there
    with pytest.raises(ValueError, match=r"could not be downloaded.*train on a built-in text \(--preset tiny\)"):
        read_shakespeare(tmp_path, f"http://127.0.0.1:{port}/", TEXT_SHA256)


def test_a_cache_that_cannot_be_written_does_no_harm(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert read_shakespeare(tmp_path / "cache", server.url, TEXT_SHA256) == TEXT


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "minigpt"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "minigpt"


def test_the_split_is_nanogpts() -> None:
    """data/shakespeare_char/prepare.py says: train has 1,003,854 tokens, val has 111,540."""
    train, validation = split("x" * 1_115_394)
    assert (len(train), len(validation)) == (1_003_854, 111_540)
    assert len(SHA256) == 64
