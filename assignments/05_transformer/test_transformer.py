"""Visible tests of assignment 05. Run them with `pytest assignments/05_transformer`.

Each test says in its first line what should hold. Inputs are drawn anew for every seed: try `--minigpt-seed 1`.
"""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autograder.minigpt.config import GPTConfig
from autograder.minigpt.library import library_parts
from autograder.probes.parts import PlainNorm
from autograder.testing import close, has_shape, points, require, task


def fill(rng, module):
    """Gives every parameter a drawn value, large enough that each shows; those that are tied stay so."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.copy_(rng.normal(*parameter.shape, scale=parameter.shape[-1] ** -0.5))
            else:
                parameter.copy_(rng.uniform(0.5, 1.5, *parameter.shape))
    return module.eval()


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def copied(layer, oracle):
    """The student's layer with the oracle's weights, in evaluation mode."""
    layer.load_state_dict(state_of(oracle))
    layer.eval()
    return layer


def settings_of(**options):
    """A small configuration, for `GPTConfig` and `student.library.config`."""
    return {"vocab_size": 11, "context_length": 8, "d_model": 12, "n_layers": 2, "n_heads": 3, **options}


def make_block(student, rng, **options):
    """The student's block of library parts, and the library's with the same weights."""
    settings = settings_of(**options)
    oracle = fill(rng, library_parts().TransformerBlock(GPTConfig(**settings), library_parts()))
    block = student.TransformerBlock(student.library.config(**settings), student.library.parts())
    return copied(block, oracle), oracle


def make_model(student, rng, **options):
    """The student's GPT of library parts, and the library's with the same weights."""
    settings = settings_of(**options)
    oracle = fill(rng, library_parts().GPT(GPTConfig(**settings), library_parts()))
    model = student.GPT(student.library.config(**settings), student.library.parts())
    return copied(model, oracle), oracle


def initialized(student, rng, scheme="gpt2", **options):
    """Values of a library model's parameters, by name, after the student's `init_weights`."""
    settings = settings_of(vocab_size=60, context_length=64, d_model=48, n_layers=3, **options)
    model = student.library.GPT(student.library.config(**settings), student.library.parts())
    model.load_state_dict(state_of(fill(rng, library_parts().GPT(GPTConfig(**settings), library_parts()))))
    student.init_weights(model, 3, scheme=scheme)
    return student.library.parameter_values(model)


def is_normal(values, std, hint=None):
    """Thousands of values with mean 0 and this standard deviation; a right one fails once in 10**8 times."""
    tolerance = 6 * std / values.numel() ** 0.5
    require(abs(values.mean().item()) < tolerance, "the mean is not 0", hint)
    require(abs(values.std().item() - std) < tolerance, f"std should be {std:.5f}, got {values.std().item():.5f}", hint)


# --- layer_norm ------------------------------------------------------------------------------------------------------


@task("layer_norm")
@points(2)
def test_layer_norm_agrees_with_torch(student, rng):
    """With the same weights, the layer gives what torch's LayerNorm gives, whatever axes lead."""
    close(student.LayerNorm(2)(torch.tensor([1.0, 3.0])), torch.tensor([-1.0, 1.0]), hint="The mean is 2.")
    hint = "Mean and variance are those of the last axis; divide the sum of squares by d_model. Then weight and bias."
    for bias in (True, False):
        oracle = fill(rng, nn.LayerNorm(6, bias=bias))
        layer = copied(student.LayerNorm(6, bias=bias), oracle)
        for shape in ((6,), (4, 6), (2, 3, 6)):
            x = 3 * rng.normal(*shape) + 2
            close(layer(x), oracle(x), hint=hint)


@task("layer_norm")
@points(1)
def test_layer_norm_eps_is_under_the_root(student, rng):
    """With vectors so small that eps matters, the layer still gives what torch's gives."""
    x = rng.normal(3, 8, scale=0.003)
    close(student.LayerNorm(8)(x), F.layer_norm(x, (8,)), hint="√(variance + eps), with eps = 1e-5.")
    close(student.LayerNorm(8, eps=0.1)(x), F.layer_norm(x, (8,), eps=0.1), hint="Use the eps that is handed in.")


# --- rms_norm --------------------------------------------------------------------------------------------------------


@task("rms_norm")
@points(2)
def test_rms_norm_of_the_formula(student, rng):
    """The layer divides by the root of the mean square, and multiplies by its weight."""
    close(student.RMSNorm(2)(torch.tensor([1.0, 7.0])), torch.tensor([0.2, 1.4]), hint="The mean square is 25.")
    oracle = fill(rng, nn.RMSNorm(6, eps=1e-5))
    layer = copied(student.RMSNorm(6), oracle)
    for shape in ((6,), (4, 6), (2, 3, 6)):
        x = 3 * rng.normal(*shape) + 2
        close(layer(x), oracle(x), hint="No mean is taken away. The mean square is that of the last axis.")


@task("rms_norm")
@points(1)
def test_rms_norm_of_next_to_nothing(student, rng):
    """Eps is under the root, so that small vectors stay small and zeros stay zeros."""
    x = rng.normal(3, 8, scale=0.003)
    expected = x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-5)
    close(student.RMSNorm(8)(x), expected, hint="√(mean square + eps), with eps = 1e-5.")
    close(student.RMSNorm(8)(torch.zeros(2, 8)), torch.zeros(2, 8))


# --- activations -----------------------------------------------------------------------------------------------------


@task("activations")
@points(1)
def test_gelu_is_exact(student, rng):
    """gelu(x) is x times the share of a normal distribution below x."""
    close(student.gelu(torch.tensor([-1.0, 0.0, 1.0])), torch.tensor([-0.158655, 0.0, 0.841345]))
    x = torch.cat((rng.normal(50, scale=2.0), torch.linspace(-4, 4, 33)))
    hint = "x · (1 + erf(x / √2)) / 2. The form with tanh differs from it in the fourth digit."
    close(student.gelu(x), F.gelu(x), rtol=0.0, atol=2e-5, hint=hint)


@task("activations")
@points(1)
def test_gelu_by_tanh(student, rng):
    """With approximate="tanh" it is GPT-2's formula; without, or with "none", the exact one."""
    x = torch.cat((rng.normal(50, scale=2.0), torch.linspace(-4, 4, 33)))
    hint = "x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2"
    close(student.gelu(x, approximate="tanh"), F.gelu(x, approximate="tanh"), rtol=0.0, atol=2e-5, hint=hint)
    close(student.gelu(x, approximate="none"), F.gelu(x), rtol=0.0, atol=2e-5)


@task("activations")
@points(1)
def test_silu_of_any_number(student, rng):
    """silu(x) is x times its sigmoid, also where exp overflows."""
    close(student.silu(torch.tensor([0.0, 1.0986123])), torch.tensor([0.0, 0.8239592]))
    x = rng.normal(3, 20, scale=3.0)
    close(student.silu(x), F.silu(x), hint="x · σ(x), with σ(x) = 1 / (1 + exp(-x)).")
    extremes = torch.tensor([-1e4, -100.0, 100.0, 1e4])
    hint = "exp(10000) is infinite, and infinity divided by infinity is NaN: use torch.sigmoid."
    close(student.silu(extremes), torch.tensor([0.0, 0.0, 100.0, 1e4]), hint=hint)


# --- feed_forward ----------------------------------------------------------------------------------------------------


@task("feed_forward")
@points(2)
def test_feed_forward_of_the_formula(student, rng):
    """With the same weights, the network gives down(gelu(up(x))), with the exact gelu."""
    for bias in (True, False):
        oracle = fill(rng, nn.ModuleDict({"up": nn.Linear(6, 20, bias), "down": nn.Linear(20, 6, bias)}))
        layer, x = copied(student.FeedForward(6, 20, bias=bias), oracle), rng.normal(2, 4, 6, scale=2.0)
        expected = oracle["down"](F.gelu(oracle["up"](x)))
        close(layer(x), expected, hint="Up, your exact gelu, down: nothing else in evaluation mode.")


@task("feed_forward")
@points(1)
def test_feed_forward_drops_in_training_alone(student, rng):
    """In evaluation mode dropout does nothing; in training mode some numbers of the output are 0."""
    oracle = fill(rng, nn.ModuleDict({"up": nn.Linear(6, 8), "down": nn.Linear(8, 6)}))
    layer, x = copied(student.FeedForward(6, 8, dropout=0.5), oracle), rng.normal(20, 4, 6)
    hint = "nn.Dropout knows whether the layer is in training; F.dropout has to be told: training=self.training."
    close(layer(x), oracle["down"](F.gelu(oracle["up"](x))), hint=hint)
    layer.train()
    zeros = (layer(x) == 0).double().mean().item()  # half of 480: 0.5, give or take 0.023
    require(0.3 < zeros < 0.7, "half of the output is dropped with dropout=0.5", "Dropout comes last, after `down`.")


# --- swiglu ----------------------------------------------------------------------------------------------------------


@task("swiglu")
@points(2)
def test_swiglu_of_the_formula(student, rng):
    """With the same weights, the network gives down(silu(gate(x)) · up(x))."""
    shapes = {"gate": nn.Linear(6, 20, bias=False), "up": nn.Linear(6, 20, bias=False)}
    oracle = fill(rng, nn.ModuleDict({**shapes, "down": nn.Linear(20, 6, bias=False)}))
    layer, x = copied(student.SwiGLU(6, 20), oracle), rng.normal(2, 4, 6)
    expected = oracle["down"](F.silu(oracle["gate"](x)) * oracle["up"](x))
    close(layer(x), expected, hint="silu is for the gate alone; the product is number by number.")


@task("swiglu")
@points(1)
def test_swiglu_has_three_layers_without_bias(student, rng):
    """Its parameters are the weights of `gate`, `up` and `down`, and no others."""
    shapes = student.library.parameter_shapes(student.SwiGLU(4, 10))
    expected = {"gate.weight": [10, 4], "up.weight": [10, 4], "down.weight": [4, 10]}
    require(shapes == expected, f"expected {expected}, got {shapes}", "nn.Linear(..., bias=False), three times.")
    has_shape(student.SwiGLU(4, 10)(rng.normal(2, 3, 4)), 2, 3, 4)


# --- block -----------------------------------------------------------------------------------------------------------


@task("block")
@points(2)
def test_block_agrees_with_the_library(student, rng):
    """With the same weights, a block with pre-norm gives what the library's gives, and so does one with post-norm."""
    x = rng.normal(2, 5, 12)
    block, oracle = make_block(student, rng)
    close(block(x), oracle(x), hint="Pre-norm: x = x + attention(norm1(x)), then x = x + feed_forward(norm2(x)).")
    block, oracle = make_block(student, rng, norm_position="post")
    hint = 'norm_position="post": x = norm1(x + attention(x)), then x = norm2(x + feed_forward(x)).'
    close(block(x), oracle(x), hint=hint)


@task("block")
@points(1)
def test_block_of_other_parts(student, rng):
    """The config chooses RMSNorm, SwiGLU and rotation, and whatever `parts` holds is what the block is made of."""
    x = rng.normal(2, 5, 12)
    block, oracle = make_block(student, rng, norm="rmsnorm", ffn="swiglu", positions="rope", rope_theta=50.0)
    hint = "Look at config.norm, config.ffn and config.positions. For rope, set theta to config.rope_theta."
    close(block(x), oracle(x), hint=hint)
    other_parts = replace(library_parts(), LayerNorm=PlainNorm)
    oracle = fill(rng, library_parts().TransformerBlock(GPTConfig(**settings_of()), other_parts))
    other_parts = student.library.parts(LayerNorm=student.library.PlainNorm)
    block = copied(student.TransformerBlock(student.library.config(**settings_of()), other_parts), oracle)
    close(block(x), oracle(x), hint="Take the norms from `parts`, not from this module or from torch.")


@task("block")
@points(1)
def test_block_without_its_layers_changes_nothing(student, rng):
    """Where attention and the feed-forward network find nothing, what went in comes out, and so does the gradient."""
    block, x = make_block(student, rng)[0], rng.normal(2, 5, 12)
    last = ("attention.out_proj", "feed_forward.down")
    student.library.set_weights(block, {f"{name}.bias": torch.zeros(12) for name in last})
    silent = {"attention.out_proj.weight": torch.zeros(12, 12), "feed_forward.down.weight": torch.zeros(12, 48)}
    student.library.set_weights(block, silent)
    close(block(x), x, hint="With pre-norm nothing happens to x on its way around a layer.")
    (gradient,) = student.library.gradients(block, [x], upstream=x)
    close(gradient, x, hint="The sum must let the gradient through.")


@task("block")
@points(1)
def test_block_hands_on_cache_and_weights(student, rng):
    """The cache goes on to attention, and attention's weights come back with `return_weights=True`."""
    block, oracle = make_block(student, rng)
    x = rng.normal(2, 5, 12)
    output, weights = block(x, return_weights=True)
    has_shape(weights, 2, 3, 5, 5, hint="The weights are what attention returns as its second value.")
    close(weights, oracle(x, return_weights=True)[1])
    close(output, oracle(x))
    cache = student.library.KVCache()
    pieces = [block(x[:, t : t + 1], cache=cache) for t in range(5)]
    close(torch.cat(pieces, dim=1), oracle(x), hint="self.attention(..., cache=cache, ...)")


# --- gpt -------------------------------------------------------------------------------------------------------------


@task("gpt")
@points(2)
def test_gpt_agrees_with_the_library(student, rng):
    """With the same weights, the model gives the logits that the library's gives, with every kind of positions."""
    ids = rng.ids(11, 2, 6)
    for positions in ("learned", "sinusoidal", "rope"):
        model, oracle = make_model(student, rng, positions=positions, dropout=0.1)
        logits = model(ids)
        has_shape(logits, 2, 6, 11, hint="One score for each token of the vocabulary, at each position.")
        close(logits, oracle(ids), hint="Embedding, blocks in order, final_norm, lm_head.")
        logits, weights = model(ids, return_weights=True)
        close(logits, oracle(ids))
        require(len(weights) == 2, "with return_weights, there are the weights of each of the 2 blocks, in a list")


@task("gpt")
@points(1)
def test_gpt_writes_one_token_at_a_time(student, rng):
    """Fed one id at a time, with a cache, the model gives the logits that it gives for all at once."""
    ids = rng.ids(11, 2, 6)
    for positions in ("learned", "rope"):
        model, oracle = make_model(student, rng, positions=positions)
        cache = model.new_cache()
        require(len(cache) == 2, "there is a cache for each of the 2 blocks")
        pieces = [model(ids[:, t : t + 1], cache=cache) for t in range(6)]
        hint = "The new ids stand behind those in the cache: start is the cache's length before the blocks run."
        close(torch.cat(pieces, dim=1), oracle(ids), hint=hint)


@task("gpt")
@points(1)
def test_gpt_has_a_longest_text(student, rng):
    """More ids than context_length are a ValueError, also where positions have no end; as many are not."""
    for positions in ("learned", "rope"):
        model, oracle = make_model(student, rng, positions=positions)
        ids = rng.ids(11, 1, 9)
        with pytest.raises(ValueError):
            model(ids)
        close(model(ids[:, :8]), oracle(ids[:, :8]))


@task("gpt")
@points(1)
def test_gpt_head_is_the_embedding(student, rng):
    """With tie_weights the head's weight is the embedding's own; without it they are two."""
    for tied in (True, False):
        config = student.library.config(**settings_of(tie_weights=tied))
        model = student.library.keep_value(student.GPT(config, student.library.parts()))
        head, table = model.attribute("lm_head.weight"), model.attribute("embedding.tokens.weight")
        hint = "Assign the parameter itself: self.lm_head.weight = self.embedding.tokens.weight. No copy."
        require(head.same_as(table) == tied, "with tie_weights, and only then, head and embedding are one", hint)
    model, oracle = make_model(student, rng, tie_weights=False)
    ids = rng.ids(11, 1, 4)
    close(model(ids), oracle(ids))


# --- init ------------------------------------------------------------------------------------------------------------


@task("init")
@points(2)
def test_init_of_gpt2(student, rng):
    """Weights are normal with a standard deviation of 0.02; `out_proj` and `down` get less, 0.02 / √(2 · n_layers)."""
    values = initialized(student, rng)
    for name, value in values.items():
        if value.ndim == 2:
            last = name.endswith(("out_proj.weight", "down.weight"))
            hint = "`out_proj` and `down` write into the stream, 2 · n_layers times in all; no other weight is scaled."
            is_normal(value, 0.02 / 6**0.5 if last else 0.02, hint)


@task("init")
@points(1)
def test_init_of_biases_and_gains(student, rng):
    """Biases start as 0 and the norms' weights as 1, whatever they were, under both schemes."""
    for scheme in ("gpt2", "xavier"):
        for name, value in initialized(student, rng, scheme).items():
            if value.ndim == 1:
                due = torch.zeros if name.endswith("bias") else torch.ones
                close(value, due(value.shape), hint="A parameter with one axis is a bias or a norm's weight.")


@task("init")
@points(1)
def test_init_of_xavier(student, rng):
    """Under "xavier" linear layers are uniform in ±√(6 / (inputs + outputs)), and embeddings stay normal."""
    values = initialized(student, rng, "xavier", tie_weights=False)
    for name, value in values.items():
        if name.startswith("embedding."):
            is_normal(value, 0.02, "An embedding's table is not a linear layer.")
        elif value.ndim == 2:
            bound = (6 / sum(value.shape)) ** 0.5
            largest = value.abs().max().item()
            hint = "Every nn.Linear, `out_proj` and `down` too, and nothing is scaled afterwards."
            require(
                0.98 * bound < largest < 1.0001 * bound, f"the largest should be {bound:.4f}, got {largest:.4f}", hint
            )
            is_normal(value, bound / 3**0.5, hint)


# --- count -----------------------------------------------------------------------------------------------------------


@task("count")
@points(1)
def test_count_of_gpt2(student):
    """The smallest GPT-2 has 124,439,808 parameters, and the example on paper has 106."""
    tiny = {"vocab_size": 10, "context_length": 4, "d_model": 2, "n_layers": 1, "n_heads": 1}
    found = student.count_parameters(student.library.config(**tiny))
    require(found == 106, f"expected 106, got {found}", "Compare with the table in the docstring, line by line.")
    gpt2 = {"vocab_size": 50257, "context_length": 1024, "d_model": 768, "n_layers": 12, "n_heads": 12}
    found = student.count_parameters(student.library.config(**gpt2))
    require(found == 124_439_808, f"expected 124,439,808, got {found}", "A tied head is counted once.")


@task("count")
@points(2)
def test_count_of_every_option(student, rng):
    """For each option of the config, the count is that of a model which is really built."""
    d_ff = rng.integer(5, 40)
    for options in (
        {"positions": "sinusoidal"},
        {"positions": "rope"},
        {"tie_weights": False},
        {"bias": False},
        {"ffn": "swiglu", "d_ff": d_ff},
        {"norm": "rmsnorm"},
        {"norm_position": "post", "d_ff": d_ff},
    ):
        settings = settings_of(**options)
        model = library_parts().GPT(GPTConfig(**settings), library_parts())
        expected = sum(parameter.numel() for parameter in model.parameters())
        found = student.count_parameters(student.library.config(**settings))
        require(found == expected, f"with {options}: expected {expected}, got {found}")
