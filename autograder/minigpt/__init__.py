"""The chassis: a MiniGPT made of parts, each of which a student can replace by their own.

`config` holds the sizes and options of a model, `parts` the slots and what is plugged into them, `library` a
working part for every slot; `assemble` plugs in a student's own. `model`, `train`, `run` and `sample` use whatever is
plugged in.

    >>> from autograder.minigpt.config import GPTConfig
    >>> GPTConfig(vocab_size=65).context_length
    128

Nothing is imported here: `config` works without torch. Nothing in this folder imports the grader or the data sets.
"""
