"""How predictable the stories are, in closed form: entropy, expected length, and the floor of every model's loss.

Every text has exactly one derivation (`parser.py` shows it), so the entropy of the text is the entropy of the picks.
By the chain rule that is a sum: each pick counts with the chance that it is made at all.

    H(text) = 0    H(Recall) = 0    H(Draw) = log rows
    H(Sequence) = sum of H(part)    H(Choice) = H(weights) + sum of p_i H(option_i)

The expected length obeys the same sums. Stories are independent, so the entropy per character of an endless run of
them is entropy per story / expected length per story. No model can have a lower loss in the long run.

Sources: C. E. Shannon, "A Mathematical Theory of Communication" (1948), sections 6 and 7; T. M. Cover and
J. A. Thomas, "Elements of Information Theory" (2nd ed., 2006), section 2.5 (chain rule) and 5.4 (the bound).

All figures are in nats. What it does not handle: texts of your own, whose entropy nobody knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import fsum, log, prod

from .grammar import Choice, Draw, Node, Recall, Sequence
from .parser import parse
from .stories import STORY, split_stories


def entropy(node: Node, *, forgetful: bool = False) -> float:
    """Nats per text of `node`. For two equally likely texts, log 2.

    With `forgetful`, the expected loss of a reader who knows every sentence and every chance, but not what was drawn
    earlier: to this reader each recall is as uncertain as a new draw.
    """
    match node:
        case str():
            return 0.0
        case Draw(table, _):
            return log(len(table.rows))
        case Recall(table, field):
            return _entropy_of(Counter(row[field] for row in table.rows).values()) if forgetful else 0.0
        case Choice(weights, options):
            below = [entropy(option, forgetful=forgetful) for option in options]
            return _entropy_of(weights) + _mean(below, weights)
        case Sequence(parts):
            return fsum(entropy(part, forgetful=forgetful) for part in parts)


def expected_length(node: Node) -> float:
    """The mean number of characters of `node`'s texts.

    A recall finds every row of its table equally likely, whatever the choices around it were: no weight looks at the
    state, so the two are independent.
    """
    match node:
        case str():
            return float(len(node))
        case Draw(table, field) | Recall(table, field):
            return sum(len(row[field]) for row in table.rows) / len(table.rows)
        case Choice(weights, options):
            return _mean([expected_length(option) for option in options], weights)
        case Sequence(parts):
            return fsum(expected_length(part) for part in parts)


def repeat_probability(node: Node) -> float:
    """The chance that two independent texts of `node` are the same: the sum of p squared over all texts."""
    match node:
        case str() | Recall():
            return 1.0
        case Draw(table, _):
            return 1.0 / len(table.rows)
        case Choice(weights, options):
            both = [w / sum(weights) * repeat_probability(option) for w, option in zip(weights, options, strict=True)]
            return _mean(both, weights)
        case Sequence(parts):
            return prod(repeat_probability(part) for part in parts)


def floor() -> float:
    """Nats per character below which no model of the stories can stay, the blank line after each story included."""
    return entropy(STORY) / expected_length(STORY)


def forgetful_loss() -> float:
    """Nats per character of a reader who knows the whole grammar but looks back at nothing that was named."""
    return entropy(STORY, forgetful=True) / expected_length(STORY)


def story_log_probability(text: str) -> float:
    """The exact log-probability of one story, the blank line at its end included.

    Raises `ValueError` when the text is not a story of this grammar: its probability is 0.
    """
    return parse(STORY, text).log_probability


def true_loss(text: str) -> float:
    """Nats per character of the true model on this very text. It wobbles around the floor from text to text."""
    return -fsum(story_log_probability(story) for story in split_stories(text)) / len(text)


def _mean(values: list[float], weights: tuple[int, ...]) -> float:
    return fsum(w * value for w, value in zip(weights, values, strict=True)) / sum(weights)


def _entropy_of(weights: Iterable[int]) -> float:
    counts = list(weights)
    total = sum(counts)
    return log(total) - fsum(count * log(count) for count in counts) / total
