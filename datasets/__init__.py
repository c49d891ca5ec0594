"""Text to train on, with a known best loss. `load("stories")` needs no download; `load_file(path)` takes your own."""

from .corpus import Corpus, load, load_file

__all__ = ["Corpus", "load", "load_file"]
