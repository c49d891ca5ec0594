"""Softmax, a tally and a word count. @secret:solution@"""

from collections import Counter


def softmax(x, dim):
    """Probabilities along `dim`."""
    if x.dim() == 0:
        raise ValueError("softmax needs at least one axis")
    powers = (x - x.amax(dim, keepdim=True)).exp()
    return powers / powers.sum(dim, keepdim=True)


class Tally:
    """Counts words."""

    def __init__(self):
        self.counts = {}

    def add(self, word, times=1):
        """Adds a word and gives its count so far."""
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
