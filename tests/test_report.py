"""The reports of a small class: pages that are whole, safe and right, and a table that a spreadsheet can open."""

from __future__ import annotations

import csv
import doctest
import io
import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import autograder.figures
import autograder.report
from autograder.class_report import class_page, grades_csv, write_reports
from autograder.figures import (
    BOTTOM,
    LABEL_GAP,
    LEFT,
    PART_NAMES,
    RIGHT,
    TOP,
    Shade,
    heat_maps,
    height_of,
    loss_curve,
    spread,
)
from autograder.minigpt.parts import SLOTS
from autograder.outcome import STATUSES, Diagnosis
from autograder.report import STATUS_WORDS, student_page
from autograder.result import Attention, Feedback, Head, LastTime, MiniGPTRecord, Record, Result, Sample, TaskResult
from autograder.result import TestResult as CaseResult  # pytest would collect a class that is called Test...

DIAGNOSIS = "You divide the scores by d_k instead of its root."
SECRET = "expected 0.31337 at [2, 5]"
HOSTILE = '</pre><script>alert("x")</script><img src=https://evil.example onerror=alert(1)>\u202egpj.exe\x00\x1b[31m'
VOID = {"meta", "img", "br", "hr", "link", "input"}
PROMPT = "There was an orange boat "
STORY = (
    "inside the tower. It was the pride of Felix the newt. One day Winnie came by. Felix had 5 grapes and Winnie "
    'had 2. "We have 7 grapes," said Winnie. So Felix and Winnie sat inside the tower with the orange boat.\n\n'
    "Once a newt named Basil hid his tiny boat behind the mill. He showed the boat to Poppy. "
)
MISSING = {"status": "missing", "score": 0, "message": "there is no tokenizer.py"}


# --- a class ---------------------------------------------------------------------------------------------------------


def task(id: str, title: str, *tests: CaseResult) -> TaskResult:
    passed = all(test.status == "passed" for test in tests)
    return TaskResult(id, sum(t.score for t in tests), sum(t.max_score for t in tests), passed, tests, title)


def case(id: str, status: str, points: int, title: str, hint: str | None = None, hidden: bool = False) -> CaseResult:
    earned = points if status == "passed" else 0
    visibility = "hidden" if hidden else "visible"
    return CaseResult(f"test_{id}", visibility, status, earned, points, hint if status != "passed" else None, title)


def attention_tasks(statuses: str) -> tuple[TaskResult, ...]:
    """The tasks of an assignment whose ten tests ended like this; the last status stands for all that follow."""
    words = statuses.split()
    word = iter(words + words[-1:] * 10)
    return (
        task(
            "softmax",
            "Softmax that does not overflow",
            case("axis", next(word), 2, "Any axis may be asked for.", "Reduce along `dim`, and keep it."),
            case("large", next(word), 2, "Large numbers give no NaN.", "Take away the largest first."),
            case("hidden_dtype", next(word), 2, "float16 comes out.", "Go back at the end.", hidden=True),
        ),
        task(
            "mask",
            "The causal mask",
            case("square", next(word), 2, "Each query sees itself and what came before it."),
            case("hidden_longer", next(word), 3, "Queries come last.", "Where is the first?", hidden=True),
        ),
        task(
            "sdpa",
            "Scaled dot-product attention",
            case("distribution", next(word), 2, "Each query's weights sum to 1 over the keys.", "Softmax: dim=-1."),
            case("oracle", next(word), 4, "The output is torch's.", "Divide by the square root of the width."),
            case("hidden_blind", next(word), 4, "A blind query gets zeros.", "Do not fill with -inf.", hidden=True),
        ),
        task(
            "attention",
            "Causal multi-head self-attention",
            case("layer", next(word), 4, "The layer gives what torch's gives.", "Print each shape."),
            case("hidden_cache", next(word), 5, "Token by token with a cache, it gives the same.", hidden=True),
        ),
    )  # fmt: skip


def tokenizer_tasks(status: str) -> tuple[TaskResult, ...]:
    return (
        task("char", "Characters", case("roundtrip", status, 4, "Decoding what was encoded gives the text back.")),
        task("bpe", "Byte pairs", case("merges", status, 8, "Merges are those of the textbook example.")),
    )


def record(student: str, assignment: str, tasks: tuple[TaskResult, ...] = (), **more: object) -> Record:
    given = {"status": "graded", "max_score": 30 if "attention" in assignment else 12, **more}
    feedback = given.pop("feedback", Feedback())
    minigpt = given.pop("minigpt", None)
    if given["status"] == "graded":
        given["score"] = sum(one.score for one in tasks)
    result = Result(
        student=student,
        assignment=assignment,
        seed=1234,
        isolation=given.pop("isolation", "landlock"),
        source_sha256=None,
        suite_sha256="0" * 64,
        tasks=tasks,
        **given,
    )
    return Record(result=result, feedback=feedback, minigpt=minigpt)


def model(*own: str, **more: object) -> MiniGPTRecord:
    losses = tuple((step, 0.36 + 2.9 * math.exp(-step / 130) + 0.05 * math.sin(step)) for step in range(5, 1001, 5))
    given = {
        "parts": {slot: "own" if slot in own else "library" for slot in SLOTS},
        "steps": 1000,
        "train_losses": losses,
        "validation_loss": 0.384,
        "floor": 0.124,
        "baselines": {"unigram": 3.156, "bigram": 2.157, "5-gram": 0.586},
        "prompt": PROMPT,
        "samples": samples(STORY, STORY[::-1]),
        "attention": attention_map("There was an orange boat in the barn.\nTh"),
    }
    return MiniGPTRecord(**given | more)


def attention_map(text: str) -> Attention:
    """Head 1 looks at itself, and strongly at the last place where the same character stood; head 0 just at itself."""
    rows = []
    for query in range(len(text)):
        scores = [3.0 if text[key] == text[query] else 1 / (1 + query - key) for key in range(query + 1)]
        total = sum(map(math.exp, scores))
        rows.append([math.exp(score) / total for score in scores] + [0.0] * (len(text) - query - 1))
    own = [[float(query == key) for key in range(len(text))] for query in range(len(text))]
    return Attention(tokens=tuple(text), heads=(head(0, own, "itself", 1.0), head(1, rows)))


def head(number: int, rows: list[list[float]], habit: str = "the same character, earlier", share: float = 0.6) -> Head:
    weights = bytes(round(255 * weight) for row in rows for weight in row)
    return Head(layer=1, head=number, habit=habit, share=share, weights=weights)


def samples(*texts: str) -> tuple[Sample, ...]:
    return tuple(Sample(temperature=number / 2, text=text) for number, text in enumerate(texts))


def a_class() -> list[Record]:
    """Everything that can become of a submission, in no order."""
    halfway = attention_tasks("passed failed failed passed passed passed failed crashed not_attempted")
    cheating = attention_tasks("forbidden timeout memory crashed forbidden failed failed failed timeout")
    return [
        record("grace@example.edu", "04_attention", halfway, feedback=Feedback(
            messages={
                "test_large": "expected shape [3, 6], got [3] (line 23 of your file)",
                "test_oracle": HOSTILE,
                "test_hidden_blind": SECRET,
                "test_hidden_dtype": SECRET,
            },
            notices=("notes.txt is ignored: a submission is attention.py alone", f"{HOSTILE} is ignored"),
        ), minigpt=model("attention", samples=samples(HOSTILE + STORY), prompt="<b>" + PROMPT, validation_loss=0.101)),
        record("ada", "04_attention", attention_tasks("passed"), minigpt=model("attention", "tokenizer", "bpe", validation_loss=0.39)),
        record("ada", "01_tokenizer", tokenizer_tasks("passed")),
        record("grace@example.edu", "01_tokenizer", tokenizer_tasks("not_attempted"), **MISSING),
        record("+eve", "04_attention", cheating, isolation="none", minigpt=model(
            message="Your MiniGPT could not be trained: ValueError: " + HOSTILE, steps=0, train_losses=(),
            validation_loss=None, samples=(), attention=None)),
        record("+eve", "01_tokenizer", tokenizer_tasks("not_attempted")),
        record("Bob-2_x.y", "04_attention", status="grader_error", message=f"the tests could not run\n{SECRET}"),
        record("Bob-2_x.y", "01_tokenizer", tokenizer_tasks("passed"), feedback=Feedback(notices=("=1+1",))),
        record("=cmd|' /C calc'!A0", "01_tokenizer", status="missing", score=0, message="refused"),
    ]  # fmt: skip


STUDENTS = sorted({one.result.student for one in a_class()})
PAGES = [*STUDENTS, None]


def page_of(student: str | None) -> str:
    return class_page(a_class()) if student is None else student_page(student, a_class())


# --- reading a page --------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Every element with its attributes and its text, and whatever is wrong with the nesting."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[list[str]] = []
        self.faults: list[str] = []
        self._open: list[tuple[str, int]] = []
        self.feed(source)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag, _ in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append([])
        if tag not in VOID:
            self._open.append((tag, len(self.elements) - 1))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append([])

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes {self._open[-1:]}")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for _, index in self._open:
            self.texts[index].append(data)

    def all(self, tag: str, kind: str | None = None) -> list[tuple[dict[str, str | None], str]]:
        """Attributes and text of every element of this tag, and of this class if one is named."""
        return [
            (attributes, " ".join(" ".join(text).split()))
            for (name, attributes), text in zip(self.elements, self.texts, strict=True)
            if name == tag and (kind is None or kind in (attributes.get("class") or "").split())
        ]


def cell_texts(page: Page) -> list[str]:
    return [text for tag in ("td", "th") for _, text in page.all(tag)]


# --- every page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("student", PAGES)
def test_a_page_is_whole_and_asks_nothing_of_a_network(student: str | None) -> None:
    source = page_of(student)
    page = Page(source)
    assert source.startswith("<!DOCTYPE html>") and page.faults == []
    assert page.all("html")[0][0]["lang"] == "en"
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "base", "form", "foreignobject", "use"}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "xlink:href")]
        link = attributes.get("href") or "#"
        assert not re.match(r"[a-z]+:|//", link, re.IGNORECASE), link
    style = "".join(text for _, text in page.all("style"))
    assert "url(" not in style and "@import" not in style


@pytest.mark.parametrize("student", PAGES)
def test_headings_are_in_order_and_tables_say_what_they_are(student: str | None) -> None:
    page = Page(page_of(student))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    assert len(page.all("caption")) == len(page.all("table")) > 0 or student == "=cmd|' /C calc'!A0"
    assert all(attributes.get("scope") in ("col", "row") for attributes, _ in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    inner = [attributes["href"][1:] for attributes, _ in page.all("a") if (attributes["href"] or "").startswith("#")]
    assert set(inner) <= set(ids)
    labels = [name for _, a in page.elements for name in (a.get("aria-labelledby") or "").split()]
    assert set(labels) <= set(ids)


@pytest.mark.parametrize("student", PAGES)
def test_text_of_a_student_is_escaped_cleaned_and_cut(student: str | None) -> None:
    source = page_of(student)
    assert "<script" not in source and "<img" not in source and "<b>There" not in source
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", source)


def test_long_messages_are_cut() -> None:
    tasks = attention_tasks("failed")
    long = Feedback(messages={"test_axis": "x" * 100_000, "test_large": "line\n" * 5000}, notices=("y" * 100_000,))
    huge = model(samples=samples(*["z" * 100_000] * 100), message="m" * 100_000)
    page = student_page("ada", [record("ada", "04_attention", tasks, feedback=long, minigpt=huge)])
    assert len(page) < 120_000
    assert page.count("line\n") < 40


def test_colours_can_be_read_in_light_and_in_dark() -> None:
    style = Page(page_of(None)).all("style")[0][1]
    light, dark = re.findall(r":root \{(.*?)\}", style)[:2]
    for block in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for name in ("ink", "muted", "accent", "good", "open", "bad"):
            assert contrast(colours[name], colours["paper"]) >= 4.5, (name, colours)
        assert contrast(colours["ink"], colours["raised"]) >= 4.5
        assert contrast(colours["on-accent"], colours["accent"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two sRGB colours."""
    lights = []
    for colour in (one, other):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


# --- a student's page ------------------------------------------------------------------------------------------------


def test_a_hidden_test_shows_its_title_status_points_and_hint_and_no_message() -> None:
    """Even where the feedback holds one by mistake."""
    page = Page(page_of("grace@example.edu"))
    hidden = [text for _, text in page.all("li", "test") if "hidden test" in text]
    assert len(hidden) == 4
    blind = next(text for text in hidden if "blind query" in text)
    assert "crashed" in blind and "0 / 4" in blind and "Do not fill with -inf." in blind
    assert SECRET not in page_of("grace@example.edu")


def test_a_visible_test_shows_its_message() -> None:
    messages = [text for _, text in Page(page_of("grace@example.edu")).all("pre")]
    assert "expected shape [3, 6], got [3] (line 23 of your file)" in messages
    assert any(text.startswith('</pre><script>alert("x")</script>') for text in messages)


def test_a_page_holds_nothing_of_another_student() -> None:
    mine, everything = [one for one in a_class() if one.result.student == "ada"], a_class()
    assert student_page("ada", everything) == student_page("ada", mine)
    assert "grace" not in page_of("ada")


def test_every_status_has_words() -> None:
    assert set(STATUS_WORDS) == set(STATUSES)
    for status in STATUSES:
        only = student_page("ada", [record("ada", "04_attention", attention_tasks(status))])
        states = {text for _, text in Page(only).all("span", "state")}
        assert STATUS_WORDS[status][0] in states


def test_a_fault_of_the_grader_is_no_zero_and_tells_no_more_than_one_line() -> None:
    page = Page(page_of("Bob-2_x.y"))
    texts = " ".join(text for _, text in page.all("main"))
    assert "This is not your fault" in texts and "the tests could not run" in texts
    assert SECRET not in page_of("Bob-2_x.y")
    assert page.all("p", "total")[0][1] == "12 of 12 points"
    assert "0 / 30" not in cell_texts(page) and "none" in cell_texts(page)


def test_nothing_handed_in_counts_as_zero() -> None:
    page = Page(page_of("grace@example.edu"))
    assert page.all("p", "total")[0][1] == "9 of 42 points"
    assert "0 / 12" in cell_texts(page)
    assert "There is nothing to grade" in " ".join(text for _, text in page.all("section"))


def test_tasks_show_their_points_and_how_far_they_are() -> None:
    tasks = [text for _, text in Page(page_of("grace@example.edu")).all("summary")]
    assert tasks == [
        "Softmax that does not overflow partly done 2 / 6",
        "The causal mask done 5 / 5",
        "Scaled dot-product attention partly done 2 / 10",
        "Causal multi-head self-attention not started 0 / 9",
    ]


def test_notices_are_shown() -> None:
    notes = [text for _, text in Page(page_of("grace@example.edu")).all("li")]
    assert "notes.txt is ignored: a submission is attention.py alone" in notes


# --- a student's MiniGPT ---------------------------------------------------------------------------------------------


def test_own_parts_of_all_assignments_are_filled() -> None:
    page = Page(page_of("ada"))
    own = {text for _, text in page.all("li", "own")}
    assert own == {"attention yours", "tokenizer yours", "byte-pair tokenizer yours"}
    assert len(page.all("li", "part")) == len(SLOTS)
    assert f"3 of {len(SLOTS)} parts are yours" in page.all("h2")[-1][1]


def test_every_slot_has_a_name_and_a_place() -> None:
    assert set(PART_NAMES) == set(SLOTS)
    odd = student_page("ada", [record("ada", "04_attention", minigpt=model(parts={"new_slot": "own"}))])
    assert [text for _, text in Page(odd).all("li", "part")] == ["new slot yours"]


def test_whose_the_parts_are_is_said_in_words_too() -> None:
    text = " ".join(text for _, text in Page(page_of("ada")).all("p"))
    assert "0.390 nats per character" in text and "No part" not in text and "where everybody starts" not in text
    first, last = (student_page("ada", [record("ada", "04_attention", minigpt=model(*own))]) for own in ((), SLOTS))
    assert "where everybody starts" in first and "No part of it is the library" in last


@pytest.mark.parametrize(
    ("loss", "said", "unsaid"),
    [
        (0.384, "your MiniGPT is better", "not caught up"),
        (0.7, "has not caught up", "is better"),
        (0.1, "below it", "above it"),
        (0.384, "one of 1.5 equally likely", "nan"),
    ],
)
def test_the_loss_is_explained(loss: float, said: str, unsaid: str) -> None:
    page = student_page("ada", [record("ada", "04_attention", minigpt=model(validation_loss=loss))])
    assert said in page and unsaid not in page


def test_a_model_that_could_not_be_trained_says_why() -> None:
    page = Page(student_page("+eve", [one for one in a_class() if one.result.assignment == "04_attention"]))
    assert any(text.startswith("Your MiniGPT could not be trained") for _, text in page.all("pre"))
    assert page.all("svg", "curve") == [] and page.all("svg", "map") == []


def test_the_prompt_is_marked_in_the_sample() -> None:
    page = Page(page_of("ada"))
    assert page.all("mark")[0][1] == PROMPT.strip()
    assert page.all("pre", "sample")[0][1].startswith("There was an orange boat inside the tower.")


def test_the_curve_on_the_page_falls_where_the_losses_fall() -> None:
    falling = tuple((step, 4.0 - step / 100) for step in range(0, 301, 10))
    near_floor = model(train_losses=falling, floor=1.0, validation_loss=1.01)  # so that their labels move apart
    page = Page(student_page("ada", [record("ada", "04_attention", minigpt=near_floor)]))
    points = [tuple(map(float, point.split(","))) for point in page.all("polyline", "loss")[0][0]["points"].split()]
    assert len(points) == len(falling)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(points))  # y grows downwards in SVG
    assert points[0] == (LEFT, TOP) and points[-1][0] == RIGHT
    line = page.all("line", "floor")[0][0]
    assert line["y1"] == line["y2"] == str(points[-1][1])  # the last loss is the floor: both 1.0
    assert len(page.all("line", "baseline")) == 3


def test_a_loss_stands_where_the_axis_says() -> None:
    curve = loss_curve([(0, 4.0), (10, 2.0), (40, 1.0)], floor=1.0, baselines={"5-gram": 2.0}, final=3.0)
    labels = {tick.label: tick.at for tick in curve.y_ticks}
    assert labels["0"] == BOTTOM and labels["4"] == TOP
    assert [y for _, y in curve.points] == [labels["4"], labels["2"], labels["1"]]
    levels = {level.kind: level.y for level in curve.levels}
    assert levels == {"floor": labels["1"], "baseline": labels["2"], "own": labels["3"]}
    steps = {tick.label: tick.at for tick in curve.x_ticks}
    assert [x for x, _ in curve.points] == [steps["0"], steps["10"], steps["40"]]


def test_losses_that_are_no_numbers_do_not_spoil_the_curve() -> None:
    curve = loss_curve([(0, 4.0), (1, math.nan), (2, math.inf), (3, 1e30), (-5, 1.0), (4, -7.0)], floor=math.nan)
    assert len(curve.points) == 3 and curve.levels == ()
    assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in curve.points)
    assert loss_curve([(0, math.nan)]) is None and loss_curve([]) is None
    assert loss_curve([(0, 0.0)]).points == ((LEFT, height_of(0.0, 1.0)),)


def test_labels_beside_the_curve_do_not_overlap() -> None:
    for places in ([250.0, 251.0, 252.0, 258.0], [30.0, 30.0, 30.0], [40.0, 200.0], []):
        moved = spread(places)
        assert all(after - before >= LABEL_GAP for before, after in pairwise(moved)) and max(moved, default=0) <= BOTTOM
    assert spread([40.0, 200.0]) == [40.0, 200.0]


def test_a_map_shows_each_weight_at_its_place() -> None:
    found = heat_maps(Attention(tokens=(" ", "a"), heads=(head(0, [[1.0, 0.0], [0.25, 0.75]]),)))
    assert found.labels == ("␣", "a")
    assert drawn(found.heads[0].shades) == {(0, 0): 1.0, (1, 0): 0.5, (1, 1): 0.9}
    maps = Page(page_of("ada")).all("path", "cell")
    places = {place for attributes, _ in maps[:50] for place in runs(attributes["d"])}
    assert places and all(key <= query for query, key in places)  # causal: nothing of the future


def runs(path: str) -> list[tuple[int, int]]:
    """Row and column of every cell that a path goes over."""
    found = re.findall(r"M(\d+) (\d+)\.5h(\d+)", path)
    return [(int(y), int(x) + step) for x, y, length in found for step in range(int(length))]


def drawn(shades: tuple[Shade, ...]) -> dict[tuple[int, int], float]:
    return {place: shade.opacity for shade in shades for place in runs(shade.path)}


def test_every_head_has_a_map_and_says_what_it_looks_at() -> None:
    page = Page(page_of("ada"))
    told = [text for _, text in page.all("li") if text.startswith("Layer")]
    assert told == ["Layer 1, head 0 itself, 100 %", "Layer 1, head 1 the same character, earlier, 60 %"]
    assert len(page.all("svg", "map")) == 1
    assert (
        "Layer 1, head 1, in large." in page.all("figcaption")[-1][1]
    )  # the one that looks back, not the one at itself


@pytest.mark.parametrize("weights", [b"", b"\xff", b"\xff\x00\xff", b"\xff" * 5])
def test_maps_that_are_no_squares_are_left_out(weights: bytes) -> None:
    whole = head(0, [[1.0, 0.0], [0.5, 0.5]])
    broken = Attention(tokens=("a", "b"), heads=(whole, msgspec.structs.replace(whole, weights=weights)))
    page = Page(student_page("ada", [record("ada", "04_attention", minigpt=model(attention=broken))]))
    assert page.all("svg", "map") == [] and page.faults == []
    none = model(attention=Attention(tokens=("a",), heads=()))
    assert Page(student_page("ada", [record("ada", "04_attention", minigpt=none)])).all("svg", "map") == []


def test_strange_tokens_and_too_many_of_them_stay_within_bounds() -> None:
    strange = Attention(tokens=("<i>\ud800", "\x00"), heads=(head(0, [[1.0, 0.0], [0.0, 0.0]]),))
    page = student_page("ada", [record("ada", "04_attention", minigpt=model(attention=strange))])
    assert "<i>" not in page and page.encode()
    many = Attention(tokens=("a",) * 200, heads=(head(0, [[1.0] * 200] * 200),) * 100)
    found = heat_maps(many)
    assert len(found.labels) == 40 and not found.whole and len(found.heads) == 64
    assert max(drawn(found.chosen.shades)) == (39, 39)


# --- last time -------------------------------------------------------------------------------------------------------


def compared(loss: float, own: tuple[str, ...] = ("attention",), steps: int = 1000) -> Page:
    """The page of a student whose model had this loss last time."""
    parts = {slot: "own" if slot in own else "library" for slot in SLOTS}
    before = LastTime(parts=parts, train_losses=((100, 3.0), (steps, 1.0)), validation_loss=loss)
    one = record("ada", "04_attention", minigpt=model("attention", validation_loss=0.384))
    return Page(student_page("ada", [msgspec.structs.replace(one, last_time=before)]))


@pytest.mark.parametrize(
    ("last_time", "said"),
    [
        ((0.5,), "Last time it was 0.500: it is 0.116 better now."),
        ((0.3,), "Last time it was 0.300: it is 0.084 worse now."),
        ((0.386,), "Last time it was 0.386: there is hardly a difference."),
        ((0.5, ()), "Last time it was 0.500, with 0 parts of your own instead of 1: it is 0.116 better now."),
        (
            (0.5, ("norm", "loss")),
            "Last time it was 0.500, with 2 parts of your own instead of 1: it is 0.116 better now.",
        ),
        ((0.5, ("attention",), 2000), "Last time it was 0.500 after 2,000 steps: it is 0.116 better now."),
    ],
)
def test_the_loss_is_compared_with_last_time(last_time: tuple, said: str) -> None:
    assert said in [text for _, text in compared(*last_time).all("p")]


def test_the_curve_of_last_time_stands_beside_the_new_one_on_the_same_scale() -> None:
    page = compared(0.5, steps=2000)
    (attributes, _), (later, _) = page.all("polyline", "before")[0], page.all("polyline", "loss")[0]
    points = [tuple(map(float, point.split(","))) for point in attributes["points"].split()]
    assert points[-1][0] == RIGHT  # its 2000 steps are the longer ones
    assert float(later["points"].split()[-1].split(",")[0]) == (LEFT + RIGHT) / 2  # 1000 steps
    assert "last time 0.50" in [text for _, text in page.all("text")]
    assert Page(page_of("ada")).all("polyline", "before") == [] and "Last time" not in page_of("ada")


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_of_last_time_that_is_no_number_is_left_out(loss: float) -> None:
    assert not [text for _, text in compared(loss).all("p") if "Last time" in text]


# --- diagnoses -------------------------------------------------------------------------------------------------------


def diagnosed(**says: str) -> Page:
    """The page of a student some of whose tests were diagnosed so."""
    diagnoses = {f"test_{id}": Diagnosis("a_mistake", text) for id, text in says.items()}
    statuses = "passed passed passed passed passed failed failed failed"
    tasks = attention_tasks(statuses + " passed")
    return Page(student_page("ada", [record("ada", "04_attention", tasks, feedback=Feedback(diagnoses=diagnoses))]))


def test_one_diagnosis_of_several_tests_is_told_once_for_the_task() -> None:
    told = [text for _, text in diagnosed(oracle=DIAGNOSIS, hidden_blind=DIAGNOSIS).all("p", "diagnosis")]
    assert told == [f"Diagnosis: {DIAGNOSIS} 2 tests say so"]


def test_different_diagnoses_of_a_task_stand_at_their_tests() -> None:
    page = diagnosed(oracle=DIAGNOSIS, hidden_blind="A blind query gets NaN from <you>.")
    tests = [text for _, text in page.all("li", "test") if "Diagnosis:" in text]
    assert len(tests) == 2 and len(page.all("p", "diagnosis")) == 2
    assert "torch's" in tests[0] and DIAGNOSIS in tests[0]
    assert "hidden test" in tests[1] and "A blind query gets NaN from <you>." in tests[1]


def test_a_test_that_passed_has_no_diagnosis() -> None:
    assert diagnosed(axis=DIAGNOSIS).all("p", "diagnosis") == []


def test_a_task_that_is_not_done_names_the_command_for_its_hints() -> None:
    commands = [text for _, text in Page(page_of("grace@example.edu")).all("code")]
    assert commands == ["minigpt hint softmax", "minigpt hint sdpa", "minigpt hint attention"]


# --- the class's page ------------------------------------------------------------------------------------------------


def test_faults_of_the_grader_come_first_with_their_message() -> None:
    page = Page(page_of(None))
    assert page.all("h2")[0][1] == "Could not be graded"
    assert any(SECRET in text for _, text in page.all("pre"))
    assert "Could not be graded" not in class_page([record("ada", "04_attention", attention_tasks("passed"))])


def test_the_class_is_sorted_and_linked_by_quoted_names() -> None:
    page = Page(page_of(None))
    links = [a["href"] for a, _ in page.all("a") if a["href"].endswith("/index.html")]
    assert links[1:] == [
        "%2Beve/index.html",
        "%3Dcmd%7C%27%20%2FC%20calc%27%21A0/index.html",
        "ada/index.html",
        "Bob-2_x.y/index.html",
        "grace%40example.edu/index.html",
    ]


def test_each_result_stands_with_its_tier_and_seed_and_each_student_with_the_loss() -> None:
    rows = [text for _, text in Page(page_of(None)).all("tr")]
    assert "ada 04 Attention graded 30 / 30 landlock 1234" in rows
    assert "grace@example.edu 04 Attention graded 9 / 30 landlock 1234" in rows
    assert "Bob-2_x.y 04 Attention error none landlock 1234" in rows
    assert "grace@example.edu 01 Tokenizer missing 0 / 12 landlock 1234" in rows
    assert "ada 12 / 12 30 / 30 42 / 42 3 / 22 0.390" in rows
    assert "grace@example.edu missing 9 / 30 9 / 42 1 / 22 below the floor: 0.101" in rows
    assert "1 result was graded without isolation" in page_of(None)


def test_tasks_have_mean_and_median_over_what_was_graded() -> None:
    rows = [text for _, text in Page(page_of(None)).all("tr")]
    assert "04 Attention The causal mask 5 3.3 5.0 2 / 3" in rows  # 5, 5, 0; the error is no zero
    assert "01 Tokenizer Byte pairs 8 5.3 8.0 2 / 3" in rows  # 8, 8, 0; the missing ones are left out


def test_an_empty_class_has_a_page_and_a_table() -> None:
    assert Page(class_page([])).faults == []
    assert list(csv.reader(io.StringIO(grades_csv([])))) == [["student", "assignment", "status", "score", "max_score"]]


# --- grades.csv ------------------------------------------------------------------------------------------------------


def table() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(grades_csv(a_class()), newline="")))


def test_the_table_reads_back() -> None:
    rows = table()
    assert list(rows[0]) == [
        "student", "assignment", "status", "score", "max_score",
        "task:char", "task:bpe", "task:softmax", "task:mask", "task:sdpa", "task:attention",
    ]  # fmt: skip
    assert len(rows) == len(a_class())
    ada = next(row for row in rows if (row["student"], row["assignment"]) == ("ada", "04_attention"))
    assert list(ada.values()) == ["ada", "04_attention", "graded", "30", "30", "", "", "6", "5", "10", "9"]


def test_an_error_has_no_score_and_a_missing_submission_has_zero() -> None:
    rows = {(row["student"], row["assignment"]): row for row in table()}
    error = rows["Bob-2_x.y", "04_attention"]
    assert (error["status"], error["score"], error["max_score"], error["task:sdpa"]) == ("grader_error", "", "30", "")
    assert rows["grace@example.edu", "01_tokenizer"]["score"] == "0"


def test_an_error_shows_no_points_even_where_the_record_has_some() -> None:
    odd = record("ada", "04_attention", attention_tasks("failed"), status="grader_error", message="broken", score=0)
    row = next(csv.DictReader(io.StringIO(grades_csv([odd]))))
    assert row["score"] == "" and row["task:softmax"] == ""
    assert "0 of 30" not in student_page("ada", [odd])


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_no_cell_is_a_formula(name: str) -> None:
    text = grades_csv([record(name, "04_attention", attention_tasks("passed"))])
    row = list(csv.reader(io.StringIO(text, newline="")))[1]
    assert row[0] == "'" + name
    assert row[3] == "30"


def test_the_table_and_the_pages_do_not_depend_on_the_order_of_the_records() -> None:
    backwards = a_class()[::-1]
    assert grades_csv(backwards) == grades_csv(a_class())
    assert class_page(backwards) == page_of(None)
    assert student_page("ada", backwards) == page_of("ada")


def test_two_results_for_the_same_are_refused() -> None:
    one = record("ada", "04_attention", attention_tasks("passed"))
    with pytest.raises(ValueError, match="two results of 'ada' for '04_attention'"):
        grades_csv([one, one])


# --- files -----------------------------------------------------------------------------------------------------------


def named() -> list[Record]:
    return [one for one in a_class() if not one.result.student.startswith("=")]


def test_reports_are_written_and_nothing_else(tmp_path: Path) -> None:
    write_reports(tmp_path, named())
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    students = ("+eve", "Bob-2_x.y", "ada", "grace@example.edu")
    tables = ("grades.csv", "tests.csv", "diagnoses.csv")
    assert found == sorted([*(f"{student}/index.html" for student in students), *tables, "index.html"])
    assert (tmp_path / "ada/index.html").read_text(encoding="utf-8") == page_of("ada")
    assert (tmp_path / "grades.csv").read_bytes().decode() == grades_csv(named())
    assert b"\r\n" in (tmp_path / "grades.csv").read_bytes() and b"\r\r" not in (tmp_path / "grades.csv").read_bytes()


@pytest.mark.parametrize("name", ["../ada", "a/b", ".ada", "..", "", "index.html", "Grades.csv", "a b", "ada\n"])
def test_a_name_that_could_leave_its_folder_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="cannot be the name"):
        write_reports(out, [*named(), record(name, "04_attention", attention_tasks("passed"))])
    assert not out.exists()


@pytest.mark.parametrize("module", [autograder.figures, autograder.report])
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    tried = doctest.testmod(module)
    assert tried.attempted > 0 and tried.failed == 0


def test_records_that_went_through_json_give_the_same_pages() -> None:
    again = [msgspec.json.decode(msgspec.json.encode(one), type=Record) for one in a_class()]
    assert class_page(again) == page_of(None) and student_page("ada", again) == page_of("ada")
