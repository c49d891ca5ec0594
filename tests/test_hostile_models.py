"""What a submission does to the model that is trained of it, or to its losses, harms nobody: not even its own points."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from autograder.grade import Settings, grade_class
from autograder.jail.isolation import choose
from autograder.manifest import Course

REPOSITORY = Path(__file__).parents[1]
NAME = "04_attention"
WALK = """
import sys
_frame = sys._getframe()
while _frame is not None:
    if hasattr(_frame.f_globals.get("student_side"), "Trained"):
        _side = _frame.f_globals["student_side"]
        {deed}
        break
    _frame = _frame.f_back
"""
HOSTILE = {
    "abby": """
class _Meta(type):
    __name__ = property(lambda self: "\\ud800\\x1b[2J<script>alert(1)</script>" * 1000)
class _Odd(metaclass=_Meta):
    pass
if __spec__ is not None:  # imported for the model, not for the tests
    CausalSelfAttention = _Odd()
""",
    "cleo": WALK.format(
        deed="_side.Trained.losses = property(lambda self: [1.7e308] * 1000, lambda self, value: None)"
    ),
    "dora": WALK.format(deed="_side.train_minigpt = lambda *a, **k: 5"),
    "emma": WALK.format(
        deed="_side.Trained.next_logits = lambda self, ids, real=_side.Trained.next_logits: "
        "real(self, ids).double() * 1e300"
    ),
    "zora": "",  # the honest one comes last
}


@pytest.fixture(scope="module")
def settings(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("hostile")
    for student, more in HOSTILE.items():
        folder = root / "submissions" / student / NAME
        folder.mkdir(parents=True)
        shutil.copy(course.assignment(NAME).reference, folder)
        with (folder / "attention.py").open("a", encoding="utf-8") as file:
            file.write(more)
    return Settings(
        REPOSITORY, root / "submissions", root / "out", (NAME,), seed=5, tier=choose("auto"), jobs=2, train_steps=2
    )


def test_everybody_is_graded_and_the_next_run_keeps_it(settings: Settings) -> None:
    records, _ = grade_class(settings)
    assert {record.result.student: record.result.status for record in records} == dict.fromkeys(HOSTILE, "graded")
    assert {record.result.score for record in records} == {80}
    losses = {record.result.student: record.minigpt.validation_loss for record in records if record.minigpt}
    assert losses["zora"] is not None and losses["zora"] < 10
    messages = {record.result.student: record.minigpt.message for record in records if record.minigpt}
    reasons = {"abby": "CausalSelfAttention", "cleo": "absurdly large", "dora": "no model", "emma": "absurd loss"}
    for student, reason in reasons.items():
        told = messages[student]
        assert losses[student] is None and told is not None and told.startswith("Your MiniGPT could not be trained")
        assert reason in told
        assert len(told) < 1000 and "\x1b" not in told and "\ud800" not in told
    assert messages["zora"] is None
    again: list[str] = []
    kept, _ = grade_class(settings, on_record=lambda record: again.append(record.result.student))
    assert again == []
    assert [record.result for record in kept] == [record.result for record in records]
    assert all(math.isfinite(loss) for record in kept if record.minigpt for _, loss in record.minigpt.train_losses)
