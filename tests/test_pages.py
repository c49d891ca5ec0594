"""The reports in a real browser: a student's page and the class's, in light and dark, on a phone, and on paper.

    pytest tests/test_pages.py
    nox -s demo && MINIGPT_SCREENSHOTS=1 pytest tests/test_pages.py      # writes their pictures in docs/images/ anew

What the pages say is tested in `test_report.py`; here it is whether a reader gets it: nothing fails, nothing is asked of a
network, axe-core finds no fault that shuts anybody out, and nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.chromium import picture, pictures_are_wanted, started
from playwright.sync_api import Browser, Page
from test_report import DIAGNOSIS, STORY, a_class, attention_tasks, model, record, samples

from autograder.alike_pair import Alike, Pair, Passage
from autograder.class_report import write_reports
from autograder.minigpt.parts import SLOTS
from autograder.outcome import Diagnosis
from autograder.result import Feedback, LastTime, Record

REPOSITORY = Path(__file__).parents[1]
LONG = "a_student_with_a_long_name@" + "department." * 6 + "example.edu"
PATIENCE = 180_000  # milliseconds: for slow machines; nobody waits longer than needed
WIDE, PHONE, PAPER = 1100, 390, 640  # CSS pixels; paper is A4 with margins of 2 cm
STUDENTS = ("ada", "grace@example.edu", "Bob-2_x.y", LONG)
PAGES = ["index.html", *(f"{student}/index.html" for student in STUDENTS)]
SERIOUS = ("serious", "critical")

# Of each piece of text in the page, whether any of it lies beyond the edge, or (on paper) nowhere at all. What can be
# scrolled to within the page is not cut.
CUT = """hiddenToo => {
  const cut = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const edge = document.documentElement.clientWidth + 0.5;
  while (texts.nextNode()) {
    const text = texts.currentNode, range = document.createRange();
    const scrolls = node => node && (["auto", "scroll"].includes(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
    if (!text.data.trim() || text.parentElement.closest("title, desc, script, .unseen") || scrolls(text.parentElement)) continue;
    range.selectNodeContents(text);
    const places = [...range.getClientRects()].filter(place => place.width && place.height);
    const seen = places.length && text.parentElement.checkVisibility();
    if (!seen ? hiddenToo : places.some(place => place.left < -0.5 || place.right > edge)) cut.push(text.data.trim());
  }
  return cut;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The class of `test_report.py`, one more whose texts are all too long, and for ada everything that there can be."""
    long = "x" * 300
    tasks = attention_tasks("passed failed failed passed passed passed failed failed crashed timeout")
    feedback = Feedback(
        messages={"test_large": long, "test_oracle": f"expected {long}, got {long} {long}"},
        diagnoses={"test_oracle": Diagnosis("one", DIAGNOSIS), "test_hidden_blind": Diagnosis("other", long)},
        notices=(f"{long}.py is ignored",),
    )
    huge = model(*SLOTS, samples=samples(long, STORY), prompt=long, message=long)
    records = [with_last_time(one) for one in a_class() if not one.result.student.startswith("=")]
    records.append(record(LONG, "04_attention", tasks, feedback=feedback, minigpt=huge))
    out = tmp_path_factory.mktemp("report")
    pair = Pair("ada", LONG, 0.93, 0.5, 812, (Passage(3, long, 7, long),))
    write_reports(out, records, Alike({"04_attention": (pair,)}, (f"{long} is not compared",)))
    return out


def with_last_time(one: Record) -> Record:
    if one.result.student != "ada" or one.minigpt is None:
        return one
    before = LastTime(
        parts=dict.fromkeys(SLOTS, "library"), train_losses=((5, 3.9), (400, 0.9), (900, 0.6)), validation_loss=0.52
    )
    return msgspec.structs.replace(one, last_time=before)


@contextmanager
def opened(browser: Browser, path: Path, scheme: str = "light", width: int = WIDE) -> Iterator[Page]:
    """A page from a file. Whatever it asks for, or says in the console, is an error."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    asked: list[str] = []
    said: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("console", lambda message: said.append(message.text))
    context.on("weberror", lambda error: said.append(str(error.error)))
    try:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(path.as_uri())
        yield page
        assert asked == [path.as_uri()] and said == []
    finally:
        context.close()


def faults(page: Page) -> list[str]:
    """What axe-core finds, of those kinds that keep a reader out."""
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in SERIOUS
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_no_error_asks_for_nothing_and_shuts_nobody_out(browser: Browser, report: Path, name: str) -> None:
    with opened(browser, report / name) as page:
        assert faults(page) == []
        assert page.evaluate(CUT, False) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone_in_the_dark(browser: Browser, report: Path, name: str) -> None:
    with opened(browser, report / name, "dark", PHONE) as page:
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        assert page.evaluate(CUT, False) == []
        assert faults(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints_whole_and_light(browser: Browser, report: Path, name: str) -> None:
    """Whatever is folded on the screen is on the paper too, and so is what can be scrolled to."""
    with opened(browser, report / name, "dark", PAPER) as page:
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= PAPER
        assert page.evaluate(CUT, True) == []
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf(format="A4").startswith(b"%PDF-")


def test_the_checks_see_what_they_are_for(browser: Browser, tmp_path: Path) -> None:
    """A page with faults: text that can hardly be seen, text beyond the edge, text that is folded away, a script."""
    path = tmp_path / "bad.html"
    path.write_text(
        "<!DOCTYPE html><html lang=en><title>bad</title><p style='color: #bbb; background: #fff'>faint</p>"
        "<p style='position: absolute; left: 2000px'>beyond</p><details><summary>fold</summary><p>folded</p></details>"
        "<img src=missing.png alt=''><script>console.log('said')</script>"
    )
    with pytest.raises(AssertionError, match="missing.png"), opened(browser, path) as page:
        assert any("color-contrast" in fault for fault in faults(page))
        assert page.evaluate(CUT, False) == ["beyond"]
        assert page.evaluate(CUT, True) == ["beyond", "folded"]


# --- pictures for the docs -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not pictures_are_wanted(), reason="pictures are taken with MINIGPT_SCREENSHOTS=1")
def test_pictures_of_the_demo(browser: Browser) -> None:
    """Of the class that `nox -s demo` grades: chloe has everything, and one subtle mistake."""
    demo = REPOSITORY / "demo-report"
    student, everybody = demo / "chloe/index.html", demo / "index.html"
    assert student.is_file(), "run `nox -s demo` first: it leaves the reports in demo-report/"
    for name, scheme, width, height, part in (
        ("", "light", 820, 1000, "04_attention"),
        ("-dark", "dark", 820, 1000, "figures"),
        ("-phone", "light", PHONE, 844, None),
    ):
        with opened(browser, student, scheme, width) as page:
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("id => { document.getElementById(id)?.scrollIntoView(); scrollBy(0, id ? -24 : 0); }", part)
            picture(page, f"student-page{name}")
    with opened(browser, everybody) as page:
        picture(page, "class-page")
