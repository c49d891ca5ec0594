"""The honest submission: every attack is this module with the attack written below it."""

from collections import Counter

import torch


def softmax(x, dim):
    """Probabilities along `dim`."""
    if x.dim() == 0:
        raise ValueError("softmax needs at least one axis")
    powers = torch.exp(x - x.amax(dim, keepdim=True))
    return powers / powers.sum(dim, keepdim=True)


class Tally:
    """Counts words, and remembers the order in which they came."""

    def __init__(self):
        self.counts = {}

    def add(self, word, times=1):
        self.counts[word] = self.counts.get(word, 0) + times
        return self.counts[word]

    @property
    def total(self):
        return sum(self.counts.values())

    def __iter__(self):
        return iter(self.counts.items())


def count_words(text):
    """How often each word is there, in lower case."""
    return dict(Counter(text.lower().split()))
