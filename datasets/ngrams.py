"""Character models that look back 0, 1 or 4 characters: what can be had without attention.

An n-gram model predicts a character from the n - 1 before it by counting. The counts of each length are smoothed
with the model one shorter (a Dirichlet prior around it: D. J. C. MacKay and L. C. Bauman Peto, "A hierarchical
Dirichlet language model", Natural Language Engineering 1(3), 1995):

    p_n(c | h) = (count(h c) + strength * p_(n-1)(c | h without its first character)) / (count(h) + strength)

down to p_0, the uniform distribution over the alphabet of the training text.

What it does not handle: long contexts (memory grows with n), and tuning of the strength.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import fsum, log


@dataclass(frozen=True)
class NGramModel:
    """Counts of every run of up to `order` characters, and of every context that a character follows."""

    order: int
    alphabet: str
    runs: Counter[str]
    contexts: Counter[str]
    strength: float = 1.0

    def probability(self, character: str, before: str) -> float:
        """The chance that `character` comes next; only the last `order - 1` characters of `before` matter.

        >>> train("abab", order=2).probability("b", before="a") > 0.5
        True
        """
        estimate = 1 / len(self.alphabet)
        for length in range(min(self.order, len(before) + 1)):
            context = before[len(before) - length :]
            seen = self.runs[context + character] + self.strength * estimate
            estimate = seen / (self.contexts[context] + self.strength)
        return estimate

    def loss(self, text: str) -> float:
        """Mean negative log-probability of `text`, in nats per character."""
        if not text:
            raise ValueError("there is no text to score")
        if unknown := sorted(set(text) - set(self.alphabet)):
            raise ValueError(f"the training text has no {unknown[0]!r}, so the model cannot score it")
        back = self.order - 1
        return -fsum(
            log(self.probability(character, text[max(0, index - back) : index])) for index, character in enumerate(text)
        ) / len(text)


def train(text: str, order: int) -> NGramModel:
    """Count `text` once. Order 1 is the unigram model, order 2 the bigram model."""
    if order < 1 or not text:
        raise ValueError(f"order must be 1 or more and the text not empty, got order {order}, {len(text)} characters")
    runs: Counter[str] = Counter()
    contexts: Counter[str] = Counter()
    for length in range(1, order + 1):
        runs_of_length = Counter(text[i : i + length] for i in range(len(text) - length + 1))
        runs.update(runs_of_length)
        for run, count in runs_of_length.items():
            contexts[run[:-1]] += count
    return NGramModel(order, "".join(sorted(set(text))), runs, contexts)
