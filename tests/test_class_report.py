"""The instructor's page and tables: numbers checked by hand, copies that are found, and honest work that is not."""

from __future__ import annotations

import csv
import doctest
import hashlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from test_report import Page, attention_tasks, case, record, task, tokenizer_tasks

from autograder import class_figures, class_report, class_statistics
from autograder.alike import COMMON_AT_LEAST, LARGEST, alike_pairs, known_texts
from autograder.alike_pair import Alike, Pair, Passage
from autograder.class_statistics import point_biserial
from autograder.grade import Settings, find_alike
from autograder.manifest import Assignment, Course
from autograder.outcome import Diagnosis
from autograder.result import Feedback, Record
from autograder.variants import read_alternatives

REPOSITORY = Path(__file__).parents[1]
HOSTILE = '</pre><script>alert("x")</script>\u202e\x1b[31m'
SCALED = Diagnosis("scaled_by_d_k", "scales by d_k instead of √d_k")
SHIFTED = Diagnosis("shifted", "the mask is one to the right")

# Somebody's own way, unlike the reference's and unlike any that its authors thought of.
OWN = """
import torch
from torch import nn


def softmax(x, dim):
    # the largest first
    ordered = torch.sort(x, dim=dim, descending=True).values
    top = ordered.narrow(dim, 0, 1)
    grown = torch.pow(torch.tensor(2.718281828459045), x.sub(top))
    total = grown.cumsum(dim).narrow(dim, x.shape[dim] - 1, 1)
    return grown.div(total)


def causal_mask(n_queries, n_keys=None):
    keys = n_queries if n_keys is None else n_keys
    rows = []
    for query in range(n_queries):
        seen = keys - n_queries + query + 1
        rows.append([True] * seen + [False] * (keys - seen))
    return torch.tensor(rows).bool().reshape(n_queries, keys)


class KVCache:
    def __init__(self):
        self.chunks = {"keys": [], "values": []}

    def append(self, k, v):
        for name, chunk in zip(self.chunks, (k, v)):
            self.chunks[name].append(chunk.detach())
        return tuple(torch.cat(chunks, dim=2) for chunks in self.chunks.values())

    @property
    def length(self):
        return sum(int(chunk.shape[2]) for chunk in self.chunks["keys"])


def scaled_dot_product_attention(q, k, v, mask=None):
    width = float(q.shape[-1])
    scores = torch.einsum("...qd,...kd->...qk", q * width ** -0.25, k * width ** -0.25)
    if mask is None:
        mask = torch.ones_like(scores).gt(0)
    allowed = mask.expand_as(scores).to(scores.dtype)
    raised = torch.exp(scores - (scores * allowed).amax(-1, keepdim=True)) * allowed
    weights = raised / raised.sum(-1, keepdim=True).clamp_min(1e-30)
    return torch.einsum("...qk,...kd->...qd", weights, v), weights
"""
# The same with other names, other comments, another layout, and the functions in another order.
RENAMES = {
    "ordered": "s", "top": "biggest", "grown": "e", "total": "z", "keys": "n_k", "rows": "table", "query": "i",
    "seen": "upto", "chunks": "parts", "chunk": "piece", "name": "which", "width": "dk", "scores": "logits",
    "allowed": "keep", "raised": "exps", "weights": "probs", "q": "queries", "k": "ks", "v": "vals",
}  # fmt: skip


def disguised(source: str) -> str:
    renamed = re.sub(r"\b\w+\b", lambda word: RENAMES.get(word[0], word[0]), source)
    head, *definitions = re.split(r"\n\n\n(?=def |class )", renamed.replace("# the largest first", "# e to the x"))
    return head + "\n\n\n" + "\n\n\n\n# -----\n".join(reversed(definitions)).replace("return ", "return  ") + "\n"


@pytest.fixture(scope="module")
def attention() -> Assignment:
    return Course(REPOSITORY).assignment("04_attention")


@pytest.fixture(scope="module")
def known(attention: Assignment) -> list[str]:
    return known_texts(attention)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


# --- tests: how hard, and whom they tell apart -----------------------------------------------------------------------


def graded(student: str, first: bool, second: int, third: int = 0) -> Record:
    """A test of 3 points that is passed or not, and two others that give 2 each time that they are passed."""
    words = ["passed" if each else "failed" for each in (first, second, third)]
    one = task("one", "One", case("first", words[0], 3, "The first."))
    two = task("two", "Two", case("second", words[1], 2, "-1", hidden=True), case("third", words[2], 2, "The third."))
    return record(student, "04_attention", (one, two))


def known_class() -> list[Record]:
    """Of the four who were graded, two pass the first test; the rest gives them 4, 2, 2 and 0."""
    return [
        graded("ada", True, 1, 1),
        graded("ben", True, 1, 0),
        graded("eve", False, 0, 1),
        graded("kim", False, 0, 0),
        record("lou", "04_attention", graded("lou", True, 0).result.tasks, status="missing", score=0, message="none"),
        record("mia", "04_attention", graded("mia", True, 0).result.tasks, status="grader_error", message="broken"),
    ]


def test_difficulty_and_discrimination_are_those_computed_by_hand() -> None:
    first, second, third = class_statistics.statistics_of_tests(known_class())
    assert (first.passed, first.graded, first.share) == (2, 4, 0.5)  # who is missing, or not graded, does not count
    # first: the rest is 4, 2 | 2, 0: means 3 and 1, s = √2, √(pq) = 1/2, so (3 - 1) / √2 / 2 = 1/√2
    assert first.discrimination == pytest.approx(2**-0.5)
    # second: passed by ada and ben, with 5 and 3; failed by eve and kim with 2 and 0: means 4 and 1, s² = 3.25
    assert second.discrimination == pytest.approx(3 / 3.25**0.5 / 2)
    # third: passed by ada and eve, with 5 and 0; failed by ben and kim, with 5 and 0
    assert third.discrimination == 0


def test_discrimination_is_the_correlation_with_the_rest() -> None:
    draws = np.random.default_rng(7)
    passed, rest = draws.random(40) < 0.3, draws.integers(0, 9, 40)
    wanted = np.corrcoef(passed, rest)[0, 1]
    assert point_biserial(passed.tolist(), rest.tolist()) == pytest.approx(wanted), "seed 7"


@pytest.mark.parametrize("passed", [[True, True], [False, False], []])
def test_discrimination_is_undefined_where_all_do_the_same(passed: list[bool]) -> None:
    assert point_biserial(passed, [1, 2][: len(passed)]) is None
    assert point_biserial([True, False], [2, 2]) is None


def test_a_test_that_the_better_ones_fail_comes_first() -> None:
    backwards = [graded("ada", False, 1, 1), graded("ben", True, 0, 0), graded("eve", True, 0, 0)]
    assert [test.id for test in class_report.odd_tests(class_statistics.statistics_of_tests(backwards))][
        0
    ] == "test_first"
    page = Page(class_report.class_page(backwards))
    assert ("bad" in page.all("span", "bad")[0][0]["class"]) and page.all("span", "bad")[0][1] == "−1.00"
    row = rows_of(class_report.per_test_csv(backwards))[0]
    assert row["discrimination"] == "-1.0"  # a number, and no text behind an apostrophe


def test_the_table_of_tests_reads_back() -> None:
    rows = rows_of(class_report.per_test_csv(known_class()))
    assert list(rows[0].values()) == (
        ["04_attention", "one", "test_first", "The first.", "visible", "3", "4", "2", "0.5", "0.7071"]
    )
    assert rows[1]["title"] == "'-1" and rows[1]["visibility"] == "hidden"


# --- points ----------------------------------------------------------------------------------------------------------


def test_points_are_counted_in_tenths_and_full_marks_by_themselves() -> None:
    scores = [0, 2, 3, 29, 30, 30]
    records = [
        record(f"s{at}", "04_attention", (task("t", "T", *(case(str(n), "passed" if n < score else "failed", 1, "T")
               for n in range(30))),)) for at, score in enumerate(scores)
    ]  # fmt: skip
    (one,) = class_statistics.distributions(records)
    assert one.counts == (2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2)  # of 30 points, 3 are the first of the second tenth
    assert (one.mean, one.median, one.max_score, one.graded) == (pytest.approx(94 / 6), 16.0, 30, 6)
    page = Page(class_report.class_page(records))
    assert page.all("title")[1][1] == (
        "Points in 04 Attention: 2 with 0 to 9 %, 1 with 10 to 19 %, 1 with 90 to 99 %, 2 with 100 %"
    )
    assert "04 Attention 2 1 0 0 0 0 0 0 0 1 2" in [text for _, text in page.all("tr")]
    assert len(page.all("rect")) == 4


# --- mistakes --------------------------------------------------------------------------------------------------------


def with_mistakes() -> list[Record]:
    failed = attention_tasks("failed")
    both = {"test_oracle": SCALED, "test_hidden_blind": SCALED, "test_square": SHIFTED}
    return [
        record("ada", "04_attention", failed, feedback=Feedback(diagnoses=both)),
        record("ben", "04_attention", failed, feedback=Feedback(diagnoses={"test_hidden_blind": SCALED})),
        record("eve", "04_attention", attention_tasks("passed"), feedback=Feedback(diagnoses={"test_oracle": SCALED})),
        record("kim", "04_attention", failed),
        record("lou", "04_attention", failed, status="missing", score=0, message="", feedback=Feedback(diagnoses=both)),
        record("kim", "01_tokenizer", tokenizer_tasks("failed"), feedback=Feedback(diagnoses={"test_merges": SHIFTED})),
    ]  # fmt: skip


def test_a_mistake_counts_once_for_each_graded_submission_that_made_it() -> None:
    """However many of its tests show it; not where the test passed, and not in another assignment's share."""
    found = {(one.assignment, one.mistake): one for one in class_statistics.diagnosis_statistics(with_mistakes())}
    assert {key: (one.submissions, one.graded) for key, one in found.items()} == {
        ("01_tokenizer", "shifted"): (1, 1),
        ("04_attention", "scaled_by_d_k"): (2, 4),
        ("04_attention", "shifted"): (1, 4),
    }
    rows = rows_of(class_report.diagnoses_csv(with_mistakes()))
    assert [row["mistake"] for row in rows] == ["shifted", "scaled_by_d_k", "shifted"]  # the most frequent first
    assert list(rows[1].values()) == ["04_attention", "sdpa", SCALED.mistake, SCALED.says, "4", "2", "0.5"]


def test_the_page_names_mistakes_with_their_shares() -> None:
    texts = [text for _, text in Page(class_report.class_page(with_mistakes())).all("tr")]
    assert "04 Attention Scaled dot-product attention scales by d_k instead of √d_k 2 / 4 50 %" in texts
    assert "known mistake" in class_report.class_page(with_mistakes())
    assert "No submission made a mistake" in class_report.class_page(known_class())


# --- submissions that are alike --------------------------------------------------------------------------------------


def test_a_copy_with_other_names_order_and_comments_is_found(attention: Assignment, known: list[str]) -> None:
    sources = {
        "ada": OWN,
        "ben": attention.stub.read_text(),
        "eve": disguised(OWN),
        "kim": attention.reference.read_text(),
    }
    (pair,), left_out = alike_pairs({name: text.encode() for name, text in sources.items()}, known)
    assert (pair.first, pair.second, left_out) == ("ada", "eve", {})
    assert min(pair.first_share, pair.second_share) > 0.9 and pair.shared > 500
    for passage in pair.passages:
        for name, first_line, text in (
            ("ada", passage.first_line, passage.first),
            ("eve", passage.second_line, passage.second),
        ):
            assert sources[name].split("\n")[first_line - 1 :][: text.count("\n") + 1] == text.split("\n")
    shown = " ".join(passage.first + passage.second for passage in pair.passages)
    assert "torch.einsum" in shown and "exps" in shown and "raised" in shown


def test_half_of_a_copy_shows_in_one_direction_only() -> None:
    half = OWN[OWN.index("class KVCache") :]
    (pair,), _ = alike_pairs({"ada": OWN.encode(), "ben": half.encode()})
    assert pair.first_share < 0.7 and pair.second_share > 0.95


def test_right_answers_that_differ_are_not_alike(attention: Assignment) -> None:
    """Even where nobody told the comparison of the alternatives: of each, one definition is its own."""
    reference = attention.reference.read_text()
    sources = {each.name: each.source.encode() for each in read_alternatives(attention)}
    assert len(sources) > 10
    assert alike_pairs(sources, [attention.stub.read_text(), reference]) == ([], {})


def test_two_people_who_each_wrote_it_alone_are_not_alike(attention: Assignment) -> None:
    """The reference and the library's part are by two hands; only the stub is known."""
    library = REPOSITORY / "autograder/minigpt/library/attention.py"
    sources = {"ada": attention.reference.read_bytes(), "ben": library.read_bytes(), "eve": OWN.encode()}
    assert alike_pairs(sources, [attention.stub.read_text()]) == ([], {})


def test_what_everybody_was_given_is_nobody_s(attention: Assignment, known: list[str]) -> None:
    stub, reference = attention.stub.read_bytes(), attention.reference.read_bytes()
    sources = {"ada": stub, "ben": stub, "eve": reference, "kim": reference, "lou": b"", "mia": b""}
    assert alike_pairs(sources, known) == ([], {})


def test_what_many_wrote_tells_nothing_but_a_ring_of_copies_does() -> None:
    many = COMMON_AT_LEAST + 2
    own = {f"s{at}": OWN + f"\n\ndef more_{at}():\n    return {list(range(at, at + 5))}\n" for at in range(many)}
    assert alike_pairs({name: text.encode() for name, text in own.items()}) == ([], {})
    ring = {f"s{at}": OWN + "# mine\n" * at for at in range(many)}
    pairs, _ = alike_pairs({name: text.encode() for name, text in ring.items()})
    assert len(pairs) == many * (many - 1) // 2


@pytest.mark.parametrize(
    "source",
    [b"x" * (LARGEST + 1), b"match" + b" " * 100_000 + b"a", b"\xff\xfe\x00", b"\x0c\n" * 9000, b"x = 1\n" * 9000],
)
def test_a_hostile_file_costs_no_time_and_is_named_where_it_is_left_out(source: bytes) -> None:
    pairs, left_out = alike_pairs({"ada": source, "ben": OWN.encode(), "eve": source[1:]})
    assert len(pairs) <= 1 and set(left_out) <= {"ada", "eve"}
    assert bool(left_out) == (len(source) >= LARGEST)


def test_comparing_gives_the_same_in_every_process() -> None:
    """copydetect goes by Python's hashes of strings, which differ from process to process."""
    program = (
        "import sys; from autograder.alike import alike_pairs\n"
        "print(alike_pairs({'ada': sys.argv[1].encode(), 'eve': sys.argv[2].encode()}))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program, OWN, disguised(OWN)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == str(alike_pairs({"ada": OWN.encode(), "eve": disguised(OWN).encode()}))


# --- on the page, and from a grading ---------------------------------------------------------------------------------


def an_alike() -> Alike:
    passage = Passage(3, f"a = 1\n{HOSTILE}", 7, "=b\n" * 100)
    pair = Pair("ada", "grace@example.edu", 0.934, 0.5, 812, (passage,))
    others = tuple(Pair("ada", f"s{at:02}", 0.6, 0.6, 300, ()) for at in range(30))
    return Alike({"04_attention": (pair, *others)}, (f"04_attention: {HOSTILE} is not compared",))


def test_pairs_stand_side_by_side_and_nothing_of_theirs_disturbs_the_page() -> None:
    source = class_report.class_page(known_class(), an_alike())
    page = Page(source)
    assert page.faults == [] and "<script" not in source and "\u202e" not in source and "\x1b" not in source
    texts = [text for _, text in page.all("summary")]
    assert "ada and grace@example.edu 04 Attention 93 % and 50 %" in texts
    headings = [text for _, text in page.all("h4")]
    assert headings == ["ada, lines 3-4", "grace@example.edu, lines 7-107"]
    assert page.all("pre")[-2][1].startswith("a = 1 </pre><script>") and len(page.all("pre")[-1][1]) < 200
    assert len([text for text in texts if text.startswith("ada and")]) == class_report.MOST_PAIRS
    assert "And 11 more pairs" in source
    assert len(page.all("caption")) == len(page.all("table"))


def test_pairs_are_a_table_too_without_any_source() -> None:
    rows = rows_of(class_report.alike_csv(an_alike()))
    assert len(rows) == 31
    assert list(rows[0].values()) == ["04_attention", "ada", "grace@example.edu", "0.934", "0.5", "812", "3-4", "7-107"]


def test_no_pair_and_no_comparing_are_not_the_same() -> None:
    assert "No pair stands out" in class_report.class_page(known_class(), Alike())
    assert 'id="alike"' not in class_report.class_page(known_class())


def test_every_table_is_written_and_an_old_one_is_taken_away(tmp_path: Path) -> None:
    class_report.write_reports(tmp_path, known_class(), an_alike())
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    assert set(before) == {"index.html", "grades.csv", "tests.csv", "diagnoses.csv", "alike.csv"}
    class_report.write_class_reports(tmp_path, known_class()[::-1], an_alike())
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before
    class_report.write_class_reports(tmp_path, known_class())
    assert not (tmp_path / "alike.csv").exists()


def test_a_grading_s_submissions_are_compared_as_they_were_graded(tmp_path: Path) -> None:
    """A file that changed since is left out and named; so is an assignment that cannot be compared at all."""
    sources = {"ada": OWN, "ben": disguised(OWN), "eve": OWN, "kim": OWN, "lou": OWN}
    for student, text in sources.items():
        (tmp_path / student / "04_attention").mkdir(parents=True)
        (tmp_path / student / "04_attention/attention.py").write_text(text)
    settings = Settings(REPOSITORY, tmp_path, tmp_path / "out", ("04_attention", "99_nothing"), seed=1, tier="none")
    records = [of_source(student, tmp_path) for student in ("ada", "ben", "eve", "kim")]
    records[3] = record("kim", "04_attention", status="grader_error", message="broken")
    (tmp_path / "eve/04_attention/attention.py").write_text("changed = True\n")
    found = find_alike(settings, records)
    assert [(pair.first, pair.second) for pair in found.pairs["04_attention"]] == [("ada", "ben")]
    assert len(found.notices) == 2
    assert "eve is not compared: the file has changed" in found.notices[0]
    assert found.notices[1].startswith("99_nothing: submissions were not compared")


def of_source(student: str, submissions: Path) -> Record:
    digest = hashlib.sha256((submissions / student / "04_attention/attention.py").read_bytes()).hexdigest()
    one = record(student, "04_attention", attention_tasks("passed"))
    return msgspec.structs.replace(one, result=msgspec.structs.replace(one.result, source_sha256=digest))


@pytest.mark.parametrize("module", [class_statistics, class_figures])
def test_the_examples_in_the_docstrings_hold(module: object) -> None:
    tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert tried.attempted > 0 and tried.failed == 0
