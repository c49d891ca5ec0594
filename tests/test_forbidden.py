"""Forbidden names in a source, with aliases resolved, and whose task each counts against."""

from __future__ import annotations

import pytest

from autograder.forbidden import Rules, find_violations

RULES = Rules(
    forbids={
        "low": ("torch.softmax", "torch.nn.functional.softmax", "torch.ops"),
        "high": ("torch.nn.MultiheadAttention", "torch.softmax"),
    },
    owner={"softmax": "low", "Attention": "high"},
)


def found(source: str) -> set[tuple[str, str | None]]:
    return {(violation.what, violation.task) for violation in find_violations(source.encode(), RULES)}


def within(body: str, header: str = "") -> set[str]:
    """Forbidden names in the body of the task `low`'s function."""
    return {what for what, task in found(f"{header}\ndef softmax(x, dim):\n    {body}\n") if task == "low"}


@pytest.mark.parametrize(
    ("header", "body", "what"),
    [
        ("import torch", "return torch.softmax(x, dim)", "torch.softmax"),
        ("import torch as t", "return t.softmax(x, dim)", "torch.softmax"),
        ("from torch import softmax as s", "return s(x, dim)", "torch.softmax"),
        ("import torch.nn.functional as F", "return F.softmax(x, dim)", "torch.nn.functional.softmax"),
        ("from torch.nn import functional", "return functional.softmax(x, dim)", "torch.nn.functional.softmax"),
        ("from torch import nn", "return nn.functional.softmax(x, dim)", "torch.nn.functional.softmax"),
        ("import torch\ns = torch.softmax", "return s(x, dim)", "torch.softmax"),
        ("import torch\nn = torch.nn\nF = n.functional", "return F.softmax(x)", "torch.nn.functional.softmax"),
        ("", "import torch; return torch.softmax(x, dim)", "torch.softmax"),
        ("import torch", "return torch.ops.aten._softmax(x, dim, False)", "torch.ops.aten._softmax"),
        ("import torch", "return (lambda: torch.softmax)()(x, dim)", "torch.softmax"),
    ],
)  # fmt: skip
def test_aliases_are_resolved(header: str, body: str, what: str) -> None:
    assert within(body, header) == {what}


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("import torch", "return torch.exp(x)"),
        ("import torch", "return 'torch.softmax'"),
        ("import torch", "return x  # torch.softmax(x, dim)"),
        ("from torch import softmax", "return softmax(x, dim)"),  # its own, by the time that it runs
        ("import torch", "return self.softmax(x)"),
        ("import torch\nif __name__ == '__main__':\n    print(torch.softmax)", "return x"),
        ("import torch\ndef unused(x):\n    return torch.softmax(x, 0)", "return x"),
    ],
)  # fmt: skip
def test_what_is_allowed_is_left_alone(header: str, body: str) -> None:
    assert within(body, header) == set()


def test_a_finding_counts_against_the_task_that_it_is_in() -> None:
    source = "import torch\ndef softmax(x, dim): return torch.softmax(x, dim)\nclass Attention:\n    def f(self, x): return softmax(x, -1)\n"
    assert found(source) == {("torch.softmax", "low")}


def test_a_helper_counts_against_the_tasks_that_use_it() -> None:
    source = "import torch\ndef help(x): return torch.softmax(x, 0)\ndef more(x): return help(x)\nclass Attention:\n    f = more\n"
    assert found(source) == {("torch.softmax", "high")}


@pytest.mark.parametrize(
    "line",
    [
        "import autograder.minigpt.library",
        "from autograder.minigpt.library import attention",
        "from autograder.minigpt import library",
        "import autograder",
        "import pandas",
        "from . import other",
        "def f():\n    from autograder.jail import wire",
    ],
)
def test_an_import_that_is_not_allowed_counts_against_everything(line: str) -> None:
    assert [task for _, task in found(line)] == [None]


@pytest.mark.parametrize(
    "line",
    [
        "import math, os.path, collections.abc",
        "import torch.nn.functional as F",
        "import numpy as np",
        "import regex",
        "from jaxtyping import Float",
        "from autograder.minigpt.config import GPTConfig",
        "from autograder.minigpt import config, protocols",
        "from __future__ import annotations",
    ],
)
def test_allowed_imports(line: str) -> None:
    assert found(line) == set()


def test_the_line_is_told() -> None:
    (violation,) = find_violations(b"import torch\n\ndef softmax(x, dim):\n    return torch.softmax(x, dim)\n", RULES)
    assert violation.line == 4


def test_what_is_no_python_is_a_syntax_error() -> None:
    with pytest.raises(SyntaxError):
        find_violations(b"def f(:", RULES)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\nif __name__ == '__main__': pass\nelse: saved = torch.softmax\n",
        "import torch\n__name__ = '__main__'\nif __name__ == '__main__': saved = torch.softmax\n",
        "import torch as light\nsaved = light.softmax\ndef light(): pass\n",
    ],
)
def test_what_runs_on_import_is_looked_at(source: str) -> None:
    rules = Rules({"one": ("torch.softmax",)}, {"f": "one"})
    source += "def f(x): return saved(x, 0)\n"
    found = find_violations(source.encode(), rules)
    assert {(violation.what, violation.task) for violation in found} == {("torch.softmax", "one")}


def test_what_stands_behind_the_guard_of_a_script_does_not_run() -> None:
    source = b"import torch\nif __name__ == '__main__':\n    print(torch.softmax(torch.zeros(2), 0))\n"
    assert find_violations(source, Rules({"one": ("torch.softmax",)}, {"f": "one"})) == []
