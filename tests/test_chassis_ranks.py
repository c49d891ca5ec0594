"""The byte pairs that ship are those that the training script finds in the corpus."""

import base64
from pathlib import Path

import datasets
from autograder.minigpt import library

TOOLS = Path(__file__).parents[1] / "solutions/tools"


def test_the_shipped_ranks_are_what_the_training_script_gives(monkeypatch):
    """When this fails after a change of the corpus: python solutions/tools/train_ranks.py"""
    monkeypatch.syspath_prepend(TOOLS)
    import train_ranks

    tokens = train_ranks.train_ranks(datasets.load("stories").train, 300)
    lines = Path(library.__file__).with_name("stories.tiktoken").read_bytes().splitlines()
    assert [base64.b64decode(line.split()[0]) for line in lines[:300]] == tokens
    assert [int(line.split()[1]) for line in lines] == list(range(train_ranks.VOCAB_SIZE))


def test_the_script_merges_by_hand(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    import train_ranks

    # Pairs of "aaab aaab": aa 4, ab 2, " a" 1. Then "aa a b": aaa 2, ab 2; the greatest pair of equals is (aa, a).
    assert train_ranks.train_ranks("aaab aaab", 259)[256:] == [b"aa", b"aaa", b"aaab"]
    assert train_ranks.train_ranks("ab", 300)[256:] == [b"ab"]
