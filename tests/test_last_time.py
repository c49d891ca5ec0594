"""What a student's model was last time: kept when other code of theirs is graded into the same folder, and only then."""

from __future__ import annotations

import msgspec
import pytest
from test_report import attention_tasks, model, record, tokenizer_tasks

from autograder.files import write_atomically
from autograder.finished import kept, write_student
from autograder.grader import Graded, Timings
from autograder.minigpt.parts import SLOTS
from autograder.result import LastTime, Record, to_json


def graded(source: str, loss: float | None = 0.5, *own: str, status: str = "graded") -> list[Graded]:
    """Two assignments of ada's, the second from this source, and the model of all that passes."""
    first = record("ada", "01_tokenizer", tokenizer_tasks("passed"))
    if status == "grader_error":
        second = record("ada", "04_attention", status=status, message="broken")
    else:
        losses = ((600, 1.0), (1200, 0.4)) if loss is not None else ()
        made = model(*own, train_losses=losses, validation_loss=loss)
        second = record("ada", "04_attention", attention_tasks("passed"), minigpt=made)
    result = msgspec.structs.replace(second.result, source_sha256=source)
    return [Graded(each, Timings()) for each in (first, msgspec.structs.replace(second, result=result))]


def losses(records: list[Record]) -> tuple[float | None, float | None]:
    """The model's loss now, and last time."""
    last = records[-1]
    assert records[0].last_time is None and last.minigpt is not None
    return last.minigpt.validation_loss, last.last_time.validation_loss if last.last_time is not None else None


def test_other_code_is_compared_with_the_code_before_it(tmp_path) -> None:
    assert losses(write_student(tmp_path, "ada", "key a", graded("a", 0.9, "attention"))) == (0.9, None)
    assert not (tmp_path / "ada/history.json").exists()
    records = write_student(tmp_path, "ada", "key b", graded("b", 0.5, "attention", "norm"))
    parts = {slot: "own" if slot == "attention" else "library" for slot in SLOTS}
    assert records[-1].last_time == LastTime(parts=parts, train_losses=((600, 1.0), (1200, 0.4)), validation_loss=0.9)
    assert kept(tmp_path, "ada", "key b") == records
    assert losses(write_student(tmp_path, "ada", "key c", graded("c", 0.4))) == (0.4, 0.5)


def test_the_same_code_graded_again_is_not_its_own_last_time(tmp_path) -> None:
    write_student(tmp_path, "ada", "key a", graded("a", 0.9))
    write_student(tmp_path, "ada", "key b", graded("b", 0.5))
    assert losses(write_student(tmp_path, "ada", "key b, with another seed", graded("b", 0.51))) == (0.51, 0.9)


def test_the_same_code_of_more_assignments_has_no_last_time(tmp_path) -> None:
    write_student(tmp_path, "ada", "key of one", graded("a", 0.9)[1:])
    assert losses(write_student(tmp_path, "ada", "key of both", graded("a", 0.5))) == (0.5, None)


@pytest.mark.parametrize("again", ["b", "c"])
def test_a_grading_that_was_stopped_half_way_is_no_last_time(tmp_path, again: str) -> None:
    """The power goes when results are replaced: the book is gone, some files are new. Then the same code, or other."""
    write_student(tmp_path, "ada", "key a", graded("a", 0.9))
    write_student(tmp_path, "ada", "key b", graded("b", 0.5))
    (tmp_path / "ada/graded.json").unlink()
    assert kept(tmp_path, "ada", "key b") is None
    assert losses(write_student(tmp_path, "ada", f"key {again}", graded(again, 0.4))) == (0.4, 0.9)


def test_a_fault_of_the_grader_is_no_last_time(tmp_path) -> None:
    write_student(tmp_path, "ada", "key a", graded("a", 0.9))
    write_student(tmp_path, "ada", "key b", graded("b", status="grader_error"))
    assert losses(write_student(tmp_path, "ada", "key b", graded("b", 0.5))) == (0.5, 0.9)


def test_a_model_that_could_not_be_trained_is_passed_over(tmp_path) -> None:
    write_student(tmp_path, "ada", "key a", graded("a", 0.9))
    write_student(tmp_path, "ada", "key b", graded("b", None))
    assert losses(write_student(tmp_path, "ada", "key c", graded("c", 0.5))) == (0.5, 0.9)


def test_what_another_version_wrote_or_somebody_damaged_is_ignored(tmp_path) -> None:
    write_student(tmp_path, "ada", "key a", graded("a", 0.9))
    (tmp_path / "ada/04_attention/minigpt.json").write_text("{}")  # no longer as it was written
    assert losses(write_student(tmp_path, "ada", "key b", graded("b", 0.5))) == (0.5, None)
    for content in (b"", b"[]", b'{"parts": 3}', b"\xff"):
        (tmp_path / "ada/history.json").write_bytes(content)
        assert losses(kept(tmp_path, "ada", "key b") or []) == (0.5, None)
    write_atomically(tmp_path / "ada/history.json", to_json(LastTime(parts={}, train_losses=(), validation_loss=0.7)))
    assert losses(kept(tmp_path, "ada", "key b") or []) == (0.5, 0.7)


def test_the_result_files_do_not_depend_on_last_time(tmp_path) -> None:
    """The same input gives the same bytes, whatever was graded before."""
    write_student(tmp_path / "fresh", "ada", "key b", graded("b", 0.5))
    write_student(tmp_path / "again", "ada", "key a", graded("a", 0.9))
    write_student(tmp_path / "again", "ada", "key b", graded("b", 0.5))
    fresh, again = (
        {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.json")}
        for root in (tmp_path / "fresh", tmp_path / "again")
    )
    assert again.pop("ada/history.json") and again == fresh
