"""A real `jupyter lab` server for one person, and pages in a real browser that belong to it.

    with LabServer(home, root=home / "work", packages=folder, extensions=()) as lab, lab.page(browser) as page:
        page.get_by_role("button", name="Python 3").click()

`home` is that person's home directory: Jupyter's settings, kernels' files and nbgrader's cache go there, none of this
machine's are read. When a test fails inside `page`, its error has the browser's console and the server's last lines.
Nothing of it is left running afterwards; what has to be killed is an error.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, ViewportSize

VIEWPORT: ViewportSize = {"width": 1280, "height": 800}
PATIENCE = 180_000  # milliseconds: for slow machines, where everything takes long; nobody waits longer than needed
EXTENSIONS = ("assignment_list", "course_list", "create_assignment", "formgrader", "validate_assignment")  # nbgrader's
WITHOUT_A_SERVER = {"create_assignment"}
EXPECTED = (
    "MathJax is not defined",  # nbgrader's formgrader has it from a public server, and goes on without
    "Blocked script execution in 'blob:",  # JupyterLab shows HTML files without their scripts
)
NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}  # and no question whether there should be


class LabServer:
    """`jupyter lab` in `root`, on a free port of this machine.

    packages: the folder from which `autograder` and `datasets` are imported. extensions: those of nbgrader that are on.
    """

    def __init__(self, home: Path, root: Path, *, packages: Path, extensions: tuple[str, ...]) -> None:
        self.home, self.root, self.packages = home, root, packages
        self._lines: deque[str] = deque(maxlen=200)
        self._started = threading.Event()
        self._url = ""
        _write_settings(home / ".jupyter", extensions)

    def __enter__(self) -> LabServer:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--port=0"),
                f"--ServerApp.root_dir={self.root}",
                *(["--allow-root"] if os.geteuid() == 0 else []),
            ],
            cwd=self.root,
            env=environment(self.home, self.packages),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._started.wait(PATIENCE / 1000)
        if not self._url:
            self._stop()
            raise RuntimeError(f"jupyter lab did not start:\n{self.log}")
        return self

    def _read(self) -> None:
        """Keeps what the server says, until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            if not self._url and (found := re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", line)):
                self._url = found[0]
                self._started.set()
        self._started.set()

    def __exit__(self, *_: object) -> None:
        if left := self._stop():
            raise RuntimeError(f"still running after the server: {left}\n{self.log}")

    def _stop(self) -> list[str]:
        """Ends the server, its kernels and all else that it started. Returns what had to be killed."""
        family = []
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(self._process.pid)
            family = [server, *server.children(recursive=True)]
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=PATIENCE / 1000)
        for process in alive:
            process.kill()
        self._process.wait()
        self._reader.join()
        return [repr(process) for process in alive]

    @property
    def log(self) -> str:
        return "".join(self._lines)

    @contextmanager
    def page(self, browser: Browser) -> Iterator[Page]:
        """A fresh page on JupyterLab. An error gets what browser and server said, and a picture in the home."""
        context = browser.new_context(viewport=VIEWPORT)
        context.set_default_timeout(PATIENCE)
        said = Console(context, urlsplit(self._url).netloc)
        page = context.new_page()
        try:
            page.goto(self._url)
            yield page
            if said.errors:
                raise AssertionError(f"errors in the browser's console: {said.errors}")
        except BaseException as error:
            page.screenshot(path=self.home / "failed.png")
            told = [f"the page: {self.home / 'failed.png'}", "the browser's console:", *said.lines]
            error.add_note("\n".join([*told, "the server's log:", self.log]))
            raise
        finally:
            context.close()


class Console:
    """What the pages of a context say in the browser's console, and which of it is an error.

    Pages get nothing from elsewhere: the internet is switched off, so that this is the same on every machine. That it
    is off is no error, nor is what `EXPECTED` names.
    """

    def __init__(self, context: BrowserContext, server: str) -> None:
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._server = server
        context.route(self._is_elsewhere, _refuse)
        context.on("console", self._console)
        context.on("weberror", lambda error: self._add("error", str(error.error), server))

    def _is_elsewhere(self, url: str) -> bool:
        return urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc != self._server

    def _console(self, message: ConsoleMessage) -> None:
        self._add(message.type, message.text, message.location["url"])

    def _add(self, kind: str, text: str, url: str) -> None:
        self.lines.append(f"{kind}: {text} ({url})")
        expected = any(each in text for each in EXPECTED) or self._is_elsewhere(url)
        if kind == "error" and not expected:
            self.errors.append(self.lines[-1])


def _refuse(route: Route) -> None:
    route.abort()


def environment(home: Path, packages: Path) -> dict[str, str]:
    """This process's environment, for a person who lives in `home` and works with this Python and these packages."""
    passed = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON", "XDG_"))}
    programs = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    own = {"HOME": str(home), "PATH": programs, "PYTHONPATH": str(packages), "OMP_NUM_THREADS": "1"}
    return {name: value for name, value in passed.items() if name != "MPLBACKEND"} | own


def _write_settings(folder: Path, extensions: tuple[str, ...]) -> None:
    """Jupyter's settings of that person. Installing nbgrader switches all of its extensions on, for everybody."""
    on = {
        f"nbgrader.server_extensions.{name}": name in extensions for name in EXTENSIONS if name not in WITHOUT_A_SERVER
    }
    off = {f"@jupyter/nbgrader:{name.replace('_', '-')}": True for name in EXTENSIONS if name not in extensions}
    _write_json(folder / "jupyter_server_config.json", {"ServerApp": {"jpserver_extensions": on}})
    _write_json(folder / "labconfig/page_config.json", {"disabledExtensions": off})
    _write_json(folder / "lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings", NO_NEWS)


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
