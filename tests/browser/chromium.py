"""Chromium, as the distribution has it, and pictures for the docs.

    with started() as browser:
        page = browser.new_page()
        picture(page, "student-page")        # docs/images/student-page.png, where MINIGPT_SCREENSHOTS is set

Nobody must take a run without a browser for a run with one: without it a test is skipped, and where CI=true, it fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parents[2] / "docs/images"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"


def find_chromium() -> str:
    """Its path."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is not None:
        return found
    reason = "no Chromium here, so nothing is tested in a browser: apt-get install chromium"
    if os.environ.get("CI", "") not in ("", "0", "false"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def started() -> Iterator[Browser]:
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        yield browser
        browser.close()


def pictures_are_wanted() -> bool:
    return bool(os.environ.get("MINIGPT_SCREENSHOTS"))


def picture(page: Page, name: str) -> None:
    """A screenshot of what is in view, for the docs, where they are asked for."""
    if pictures_are_wanted():
        IMAGES.mkdir(exist_ok=True)
        page.screenshot(path=IMAGES / f"{name}.png", animations="disabled", caret="hide")
