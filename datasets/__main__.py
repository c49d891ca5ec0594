"""`python -m datasets`: what the built-in corpus is like, and how well simple models can do on it.

What it does not handle: texts of your own.
"""

from __future__ import annotations

from . import entropy, ngrams
from .corpus import Corpus, load
from .stories import split_stories


def facts(corpus: Corpus) -> list[tuple[str, str]]:
    """Sizes, as rows of a table."""
    train, validation = (len(split_stories(text)) for text in (corpus.train, corpus.validation))
    return [
        ("size", f"{len(corpus.train) + len(corpus.validation):,} bytes"),
        ("training", f"{len(corpus.train):,} characters, {train:,} stories"),
        ("validation", f"{len(corpus.validation):,} characters, {validation:,} stories"),
        ("alphabet", f"{len(corpus.alphabet)} characters"),
    ]


def losses(corpus: Corpus) -> list[tuple[str, float]]:
    """Nats per character on the validation text, worst first; the last row is the floor."""
    counted = [("unigram", 1), ("bigram", 2), ("5-gram", 5)]
    return [
        *((name, ngrams.train(corpus.train, order).loss(corpus.validation)) for name, order in counted),
        ("knows every sentence, looks back at nothing", entropy.forgetful_loss()),
        ("the true model, on this validation text", entropy.true_loss(corpus.validation)),
        ("floor (closed form)", entropy.floor()),
    ]


def main() -> None:
    corpus = load("stories")
    for name, value in facts(corpus):
        print(f"{name:<12}{value}")
    print("\nloss, in nats per character")
    for name, loss in losses(corpus):
        print(f"  {name:<46}{loss:.4f}")
    print("\ntwo of the stories\n")
    print("".join(split_stories(corpus.train)[:2]).rstrip())


if __name__ == "__main__":
    main()
