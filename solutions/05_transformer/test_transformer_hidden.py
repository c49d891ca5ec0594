"""Hidden tests of assignment 05. A student sees a test's title and its hint, and nothing else."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autograder.minigpt.config import GPTConfig
from autograder.minigpt.library import library_parts
from autograder.probes.parts import PlainEmbedding, PlainNorm
from autograder.testing import close, has_shape, hint, points, require, task

DTYPES = {"half": torch.float16, "bfloat16": torch.bfloat16, "float": torch.float32, "double": torch.float64}


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


def same_gradients(student, layer, oracle, x, upstream):
    """The gradients of x and of every parameter agree, in double precision; upstream weighs the outputs."""
    layer.double()
    leaf = x.clone().requires_grad_()
    (oracle.double()(leaf) * upstream).sum().backward()
    close(student.library.gradients(layer, [x], upstream=upstream)[0], leaf.grad)
    found = student.library.parameter_gradients(layer, x, upstream=upstream)
    expected = {name: parameter.grad for name, parameter in oracle.named_parameters()}
    require(sorted(found) == sorted(expected), "the parameters have other names, or there are more or fewer")
    for name, gradient in expected.items():
        close(found[name], gradient)


def settings_of(**options):
    """A small configuration, for `GPTConfig` and `student.library.config`."""
    return {"vocab_size": 11, "context_length": 8, "d_model": 12, "n_layers": 2, "n_heads": 3, **options}


def mixed_settings(rng, count=6):
    """Small configurations, of any sizes, in which each value of each option comes up at least twice."""
    choices = {
        "positions": ["learned", "sinusoidal", "rope"],
        "norm": ["layernorm", "rmsnorm"],
        "norm_position": ["pre", "post"],
        "ffn": ["gelu", "swiglu"],
        "tie_weights": [True, False],
        "bias": [True, False],
    }
    columns = {
        name: [values[place % len(values)] for place in rng.permutation(count).tolist()]
        for name, values in choices.items()
    }
    for row in range(count):
        heads = rng.integer(1, 3)
        yield {
            "vocab_size": rng.integer(5, 15),
            "context_length": rng.integer(6, 9),
            "d_model": heads * rng.choice([2, 4, 6]),
            "n_layers": 1 + row % 3,
            "n_heads": heads,
            "d_ff": rng.integer(3, 30),
            "rope_theta": rng.choice([20.0, 10000.0]),
            **{name: values[row] for name, values in columns.items()},
        }


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


def fresh_model(student, rng, n_layers=3, **options):
    """A library model on the student's side that is large enough for statistics, with weights that are all wrong."""
    settings = settings_of(vocab_size=60, context_length=64, d_model=48, n_layers=n_layers, **options)
    model = student.library.GPT(student.library.config(**settings), student.library.parts())
    model.load_state_dict(state_of(fill(rng, library_parts().GPT(GPTConfig(**settings), library_parts()))))
    return model


def is_normal(values, std):
    """Thousands of values of N(0, std²): mean, spread and tails; a right one fails once in 10**8 times."""
    tolerance = 6 * std / values.numel() ** 0.5
    require(abs(values.mean().item()) < tolerance, "the mean is not 0")
    require(abs(values.std().item() - std) < tolerance, "the standard deviation is wrong")
    far_out = (values.abs() > 2 * std).double().mean().item()  # 0.0455 of a normal distribution
    require(0.015 < far_out < 0.08, "the values are not from a normal distribution")


def is_uniform(values, bound):
    """Thousands of values, spread evenly from -bound to bound."""
    require(0.98 * bound < values.abs().max().item() < 1.0001 * bound, "the bound is wrong")
    tolerance = 6 * bound / (3 * values.numel()) ** 0.5
    require(abs(values.mean().item()) < tolerance, "the mean is not 0")
    require(abs(values.std().item() - bound / 3**0.5) < tolerance, "the values are not spread evenly")


# --- layer_norm ------------------------------------------------------------------------------------------------------


@task("layer_norm")
@points(2)
@hint("Take the mean away first, and square what is left. The mean of x² minus the squared mean is noise here.")
def test_layer_norm_far_from_zero(student, rng):
    """Vectors around ten thousand are normalized as well as those around 0, and a shift or a scale changes nothing."""
    layer = student.LayerNorm(64)
    x = rng.normal(3, 64)
    expected = F.layer_norm(x, (64,))
    for offset in (1e4, -1e4):
        moved = x + offset
        close(layer(moved), F.layer_norm(moved.double(), (64,)), rtol=0.0, atol=0.02)
    close(layer(x + 3), expected, rtol=1e-3, atol=1e-4)
    close(layer(100 * x), F.layer_norm(100 * x, (64,)), rtol=1e-3, atol=1e-4)
    close(layer(x), expected)


@task("layer_norm")
@points(1)
@hint("A vector without variance becomes 0 before the weight, thanks to eps, and each vector counts for itself.")
def test_layer_norm_of_constant_vectors(student, rng):
    """Constant vectors, a single feature and zeros give the bias, and do not disturb other vectors."""
    oracle = fill(rng, nn.LayerNorm(8))
    layer, x = copied(student.LayerNorm(8), oracle), rng.normal(4, 8)
    x[1], x[2] = 0.0, float(rng.choice([-7, 3, 64]))
    output = layer(x)
    close(output[1:3], oracle.bias.expand(2, 8))
    close(output, oracle(x))
    close(layer(x[:1]), output[:1])
    single = copied(student.LayerNorm(1), fill(rng, nn.LayerNorm(1)))
    close(single(rng.normal(3, 1)), single.bias.expand(3, 1))


@task("layer_norm")
@points(1)
@hint(
    "Compute in float32 for float16 and bfloat16, and go back to the dtype of x at the end, whatever the weights are."
)
def test_layer_norm_in_half_precision(student, rng):
    """The result has the dtype of x, and numbers whose squares do not fit into float16 do no harm."""
    x = rng.normal(3, 16, scale=400.0) + 500
    for name, dtype in DTYPES.items():
        expected = F.layer_norm(x.to(dtype).double(), (16,))
        for weights in ("float", name):  # in float32, as under autocast, and in the dtype of x
            layer = student.LayerNorm(16)
            getattr(layer, weights)()
            output = layer(x.to(dtype))
            require(output.dtype == dtype, "the dtype changed")
            close(output, expected, rtol=0.02, atol=0.02)


@task("layer_norm")
@points(1)
@hint("Weight and bias are nn.Parameter; mean and variance depend on x, so gradients flow through them as well.")
def test_layer_norm_gradients(student, rng):
    """The gradients of the input, the weight and the bias agree with torch's."""
    oracle = fill(rng, nn.LayerNorm(5))
    layer = copied(student.LayerNorm(5), oracle)
    x, upstream = rng.normal(2, 3, 5, dtype=torch.float64), rng.normal(2, 3, 5, dtype=torch.float64)
    same_gradients(student, layer, oracle, x, upstream)


@task("layer_norm")
@points(1)
@hint("bias=False leaves self.bias at None. The parameters start as ones and zeros. A d_model below 1 is a ValueError.")
def test_layer_norm_as_it_is_made(student, rng):
    """It starts with ones and zeros, has no bias if none is asked for, and no width below 1; x stays as it is."""
    x = rng.normal(4, 6)
    layer = student.LayerNorm(6)
    close(layer.weight, torch.ones(6))
    close(layer.bias, torch.zeros(6))
    bare = student.LayerNorm(6, bias=False)
    require(bare.bias is None, "bias=False leaves a bias")
    require(list(student.library.parameter_shapes(bare)) == ["weight"], "there is more than a weight")
    close(bare(x), F.layer_norm(x, (6,)))
    require(student.library.leaves_arguments_alone(layer, x), "the argument changed")
    for bad in (0, -3):
        with pytest.raises(ValueError):
            student.LayerNorm(bad)
    has_shape(student.LayerNorm(1)(x[:, :1]), 4, 1)


# --- rms_norm --------------------------------------------------------------------------------------------------------


@task("rms_norm")
@points(1)
@hint("Nothing is subtracted: only the length of a vector changes, never its direction, until the weight comes.")
def test_rms_norm_keeps_the_direction(student, rng):
    """Without a weight, a vector keeps its direction, whatever its length and its mean."""
    layer, x = student.RMSNorm(16), rng.normal(4, 16) + 1.0
    expected = x / x.square().mean(-1, keepdim=True).sqrt()
    for factor in (1.0, -1.0, 50.0, 1e4):
        close(layer(factor * x), expected if factor > 0 else -expected, rtol=1e-3)
    close(layer(x).square().mean(-1), torch.ones(4), rtol=1e-3)
    close(student.RMSNorm(1)(torch.tensor([[-3.0], [5.0]])), torch.tensor([[-1.0], [1.0]]))


@task("rms_norm")
@points(1)
@hint(
    "Compute in float32 for float16 and bfloat16, and go back to the dtype of x at the end, whatever the weights are."
)
def test_rms_norm_in_half_precision(student, rng):
    """The result has the dtype of x, and numbers whose squares do not fit into float16 do no harm."""
    x = rng.normal(3, 16, scale=400.0) + 500
    for name, dtype in DTYPES.items():
        exact = x.to(dtype).double()
        expected = exact / exact.square().mean(-1, keepdim=True).sqrt()
        for weights in ("float", name):  # in float32, as under autocast, and in the dtype of x
            layer = student.RMSNorm(16)
            getattr(layer, weights)()
            output = layer(x.to(dtype))
            require(output.dtype == dtype, "the dtype changed")
            close(output, expected, rtol=0.02, atol=0.02)


@task("rms_norm")
@points(1)
@hint("Eps stands under the root, so that the root of 0 is never taken: there the slope is infinite.")
def test_rms_norm_gradients(student, rng):
    """The gradients of the input and the weight agree with torch's, also at a vector of zeros and with another eps."""
    oracle = fill(rng, nn.RMSNorm(5, eps=0.1))
    layer = copied(student.RMSNorm(5, eps=0.1), oracle)
    x, upstream = rng.normal(2, 3, 5, dtype=torch.float64), rng.normal(2, 3, 5, dtype=torch.float64)
    x[0, 1] = 0.0
    same_gradients(student, layer, oracle, x, upstream)


@task("rms_norm")
@points(1)
@hint("One parameter, `weight`, which starts as ones. A d_model below 1 is a ValueError.")
def test_rms_norm_as_it_is_made(student, rng):
    """Its only parameter is a weight of ones, a width below 1 is a ValueError, and x stays as it is."""
    layer, x = student.RMSNorm(6), rng.normal(4, 6)
    require(student.library.parameter_shapes(layer) == {"weight": [6]}, "the parameters are not a weight alone")
    close(layer.weight, torch.ones(6))
    require(student.library.leaves_arguments_alone(layer, x), "the argument changed")
    for bad in (0, -3):
        with pytest.raises(ValueError):
            student.RMSNorm(bad)
    has_shape(student.RMSNorm(1)(x[:, :1]), 4, 1)


# --- activations -----------------------------------------------------------------------------------------------------


@task("activations")
@points(2)
@hint("For large x the share is 1 or 0. Let torch.erf, torch.tanh and torch.sigmoid see to it that nothing overflows.")
def test_activations_of_extremes(student, rng):
    """Far out, both give x or 0 and have the slope 1 or 0, and neither is ever NaN."""
    x = torch.cat((torch.tensor([-1e4, -300.0, -89.0, -20.0, 0.0, 20.0, 89.0, 300.0, 1e4]), rng.normal(20, scale=30.0)))
    leaf = x.double().requires_grad_()
    for function, torchs, options in (
        (student.gelu, F.gelu, {}),
        (student.gelu, F.gelu, {"approximate": "tanh"}),
        (student.silu, F.silu, {}),
    ):
        expected = torchs(leaf, **options)
        close(function(x, **options), expected)
        (slope,) = student.library.gradients(function, [x], **options)
        close(slope, torch.autograd.grad(expected.sum(), leaf)[0])


@task("activations")
@points(1)
@hint('Only "none" and "tanh" are known; anything else is a ValueError, not a silent choice of one of the two.')
def test_gelu_of_an_unknown_kind(student, rng):
    """An unknown `approximate` is a ValueError, and the two that are known work by name and by place."""
    x = rng.normal(30, scale=2.0)
    for bad in ("erf", "exact", "Tanh", ""):
        with pytest.raises(ValueError):
            student.gelu(x, approximate=bad)
    for good in ("none", "tanh"):
        close(student.gelu(x, good), F.gelu(x, approximate=good), rtol=0.0, atol=2e-5)
        close(student.gelu(x, approximate=good), F.gelu(x, approximate=good), rtol=0.0, atol=2e-5)


@task("activations")
@points(1)
@hint("Go back to the dtype of x at the end. A number without axes and an empty tensor need no special case.")
def test_activations_keep_shape_and_dtype(student, rng):
    """Any shape and any floating-point dtype come back as they went in, and x stays as it is."""
    for shape in ((), (0,), (7,), (2, 3, 4)):
        x = 3 * rng.normal(*shape, 1)[..., 0]
        for dtype in DTYPES.values():
            narrow = x.to(dtype)
            for result, expected in (
                (student.gelu(narrow), F.gelu(x)),
                (student.gelu(narrow, approximate="tanh"), F.gelu(x, approximate="tanh")),
                (student.silu(narrow), F.silu(x)),
            ):
                close(result, expected, rtol=0.05, atol=0.05)
                require(result.dtype == dtype, "the dtype changed")
    for function in (student.gelu, student.silu):
        require(student.library.leaves_arguments_alone(function, rng.normal(5)), "the argument changed")


@task("activations")
@points(1)
@hint("Compare with the formulas term by term; use torch's functions from beginning to end, so that gradients flow.")
def test_activations_gradients(student, rng):
    """Values and gradients of the three formulas agree with torch's, in double precision."""
    x, upstream = rng.normal(4, 6, dtype=torch.float64, scale=2.0), rng.normal(4, 6, dtype=torch.float64)
    for function, torchs, options in (
        (student.gelu, F.gelu, {}),
        (student.gelu, F.gelu, {"approximate": "tanh"}),
        (student.silu, F.silu, {}),
    ):
        leaf = x.clone().requires_grad_()
        expected = torchs(leaf, **options)
        close(function(x, **options), expected, rtol=0.0, atol=2e-5)
        (gradient,) = student.library.gradients(function, [x], upstream=upstream, **options)
        close(gradient, torch.autograd.grad((expected * upstream).sum(), leaf)[0])


# --- feed_forward ----------------------------------------------------------------------------------------------------


def up_and_down(rng, d_model, d_ff, bias=True):
    """Filled layers by name, and what they give with the exact gelu."""
    layers = {"up": nn.Linear(d_model, d_ff, bias=bias), "down": nn.Linear(d_ff, d_model, bias=bias)}
    oracle = fill(rng, nn.ModuleDict(layers))
    return oracle, lambda x: oracle["down"](F.gelu(oracle["up"](x)))


@task("feed_forward")
@points(1)
@hint("Both linear layers need `bias`, and d_ff need not be 4 · d_model. Work on the last axis alone.")
def test_feed_forward_of_any_size(student, rng):
    """Any widths, any leading axes, with biases and without: the formula holds, each position by itself."""
    for bias in (True, False):
        for leading in ((), (3,), (1, 1), (2, 5)):
            d_model, d_ff = rng.integer(1, 7), rng.integer(1, 20)
            oracle, formula = up_and_down(rng, d_model, d_ff, bias)
            layer = copied(student.FeedForward(d_model, d_ff, bias=bias), oracle)
            x = rng.normal(*leading, d_model, scale=2.0)
            close(layer(x), formula(x))
            for name, kind in (("up", layer.up), ("down", layer.down)):
                require(student.library.is_instance(kind, "torch.nn.Linear"), f"{name} is not an nn.Linear")


@task("feed_forward")
@points(2)
@hint(
    "One dropout, the last thing of all, with the probability that was handed in. nn.Dropout scales up what it leaves."
)
def test_feed_forward_dropout(student, rng):
    """In training, dropout zeroes numbers of the output, bias included, and scales up the others; nothing else does."""
    oracle, formula = up_and_down(rng, 4, 8)
    layer, x = copied(student.FeedForward(4, 8, 0.25), oracle), rng.normal(1000, 4)
    expected = formula(x).detach()
    close(layer(x), expected)
    require(not student.library.uses_global_randomness(layer, x), "evaluation uses random numbers")
    layer.train()
    output = layer(x)
    has_shape(output, 1000, 4)
    kept = output != 0
    close(output.masked_select(kept), (expected / 0.75).masked_select(kept))
    zeros = (~kept).double().mean().item()  # 0.25 of 4000, give or take 0.007
    require(0.2 < zeros < 0.3, "the probability of dropout is wrong")
    full = (kept.all(-1)).double().mean().item()  # 0.75⁴ = 0.316 of 1000 rows, give or take 0.015
    require(0.22 < full < 0.42, "dropout is not drawn for each number by itself")


@task("feed_forward")
@points(1)
@hint("Use your own layers `up` and `down` and your gelu, with torch's functions from beginning to end.")
def test_feed_forward_gradients(student, rng):
    """The gradients of the input and of all four parameters agree with torch's."""
    oracle, formula = up_and_down(rng, 5, 9)
    oracle.forward = formula
    layer = copied(student.FeedForward(5, 9, dropout=0.5), oracle)
    x, upstream = rng.normal(2, 3, 5, dtype=torch.float64), rng.normal(2, 3, 5, dtype=torch.float64)
    same_gradients(student, layer, oracle, x, upstream)


@task("feed_forward")
@points(1)
@hint("Check both sizes before you make the layers. The result has the dtype of the layers.")
def test_feed_forward_at_its_edges(student, rng):
    """A width below 1 is a ValueError, a width of 1 is not, and half precision stays what it is."""
    for bad, good in (((0, 4), (1, 4)), ((4, 0), (4, 1)), ((-1, 4), (1, 1)), ((4, -2), (4, 2))):
        with pytest.raises(ValueError):
            student.FeedForward(*bad)
        has_shape(student.FeedForward(*good)(rng.normal(2, good[0])), 2, good[0])
    oracle, formula = up_and_down(rng, 6, 8)
    x = rng.normal(3, 6)
    for name, dtype in DTYPES.items():
        layer = copied(student.FeedForward(6, 8), oracle)
        getattr(layer, name)()
        output = layer(x.to(dtype))
        require(output.dtype == dtype, "the dtype changed")
        close(output, formula(x), rtol=0.1, atol=0.15)


# --- swiglu ----------------------------------------------------------------------------------------------------------


def gated(rng, d_model, d_ff):
    """Filled layers by name, and what they give with silu on the gate."""
    shapes = {"gate": (d_model, d_ff), "up": (d_model, d_ff), "down": (d_ff, d_model)}
    oracle = fill(rng, nn.ModuleDict({name: nn.Linear(*shape, bias=False) for name, shape in shapes.items()}))
    return oracle, lambda x: oracle["down"](F.silu(oracle["gate"](x)) * oracle["up"](x))


@task("swiglu")
@points(1)
@hint("d_ff is the width of both inner layers, as it is handed in: no factor of 2/3. Work on the last axis alone.")
def test_swiglu_of_any_size(student, rng):
    """Any widths and any leading axes: the formula holds, each position by itself."""
    for leading in ((), (3,), (1, 1), (2, 5)):
        d_model, d_ff = rng.integer(1, 7), rng.integer(1, 20)
        oracle, formula = gated(rng, d_model, d_ff)
        layer = copied(student.SwiGLU(d_model, d_ff), oracle)
        x = rng.normal(*leading, d_model, scale=2.0)
        close(layer(x), formula(x))
        for name, kind in (("gate", layer.gate), ("up", layer.up), ("down", layer.down)):
            require(student.library.is_instance(kind, "torch.nn.Linear"), f"{name} is not an nn.Linear")


@task("swiglu")
@points(1)
@hint("Gradients flow through both factors of the product. Let nothing of it be detached.")
def test_swiglu_gradients(student, rng):
    """The gradients of the input and of all three weights agree with torch's."""
    oracle, formula = gated(rng, 5, 9)
    oracle.forward = formula
    layer = copied(student.SwiGLU(5, 9), oracle)
    x, upstream = rng.normal(2, 3, 5, dtype=torch.float64), rng.normal(2, 3, 5, dtype=torch.float64)
    same_gradients(student, layer, oracle, x, upstream)


@task("swiglu")
@points(1)
@hint("The gate is what goes through silu, and silu of a very negative number is 0. There is no dropout.")
def test_swiglu_gate(student, rng):
    """A closed gate gives exactly nothing, a wide open one lets everything pass, and there is never a NaN."""
    identity = torch.eye(3)
    for opening, factor in ((0.0, 0.0), (-1e4, 0.0), (1e4, 1e4)):
        layer = student.SwiGLU(3, 3)
        gate = torch.diag(torch.full((3,), opening))
        student.library.set_weights(layer, {"gate.weight": gate, "up.weight": identity, "down.weight": identity})
        x = rng.uniform(0.5, 2.0, 4, 3)
        close(layer(x), factor * x * x)
        layer.train()
        close(layer(x), factor * x * x)


@task("swiglu")
@points(1)
@hint("Check both sizes before you make the layers. The result has the dtype of the layers.")
def test_swiglu_at_its_edges(student, rng):
    """A width below 1 is a ValueError, a width of 1 is not, and half precision stays what it is."""
    for bad, good in (((0, 4), (1, 4)), ((4, 0), (4, 1)), ((-1, 4), (1, 1)), ((4, -2), (4, 2))):
        with pytest.raises(ValueError):
            student.SwiGLU(*bad)
        has_shape(student.SwiGLU(*good)(rng.normal(2, good[0])), 2, good[0])
    oracle, formula = gated(rng, 6, 8)
    x = rng.normal(3, 6)
    for name, dtype in DTYPES.items():
        layer = copied(student.SwiGLU(6, 8), oracle)
        getattr(layer, name)()
        output = layer(x.to(dtype))
        require(output.dtype == dtype, "the dtype changed")
        close(output, formula(x), rtol=0.1, atol=0.15)


# --- block -----------------------------------------------------------------------------------------------------------


@task("block")
@points(2)
@hint("Go through the config: norm, norm_position, ffn, positions with rope_theta, bias. Any mix of them must work.")
def test_block_of_every_option(student, rng):
    """For any sizes and any mix of options, the block gives what the library's gives, and has the same parameters."""
    for settings in mixed_settings(rng):
        block, oracle = make_block(student, rng, **settings)
        x = rng.normal(rng.integer(1, 3), rng.integer(1, 6), settings["d_model"])
        close(block(x), oracle(x))
        names = sorted(student.library.parameter_shapes(block))
        require(names == sorted(name for name, _ in oracle.named_parameters()), "the parameters have other names")


@task("block")
@points(1)
@hint("Hand `cache` on to attention, in each call of the block once, and x as it is normalized for attention.")
def test_block_with_a_cache(student, rng):
    """Fed in chunks of any sizes, with a cache, the block gives outputs and weights as for the whole sequence."""
    sizes = [rng.integer(2, 3), 1, rng.integer(1, 3), 1]
    for position in ("pre", "post"):
        block, oracle = make_block(student, rng, norm_position=position, positions="rope", d_model=18)
        x = rng.normal(2, sum(sizes), 18)
        expected, expected_weights = oracle(x, return_weights=True)
        cache, end = student.library.KVCache(), 0
        for size in sizes:
            start, end = end, end + size
            output, weights = block(x[:, start:end], cache=cache, return_weights=True)
            close(output, expected[:, start:end])
            close(weights, expected_weights[:, :, start:end, :end])
            require(cache.length == end, "wrong length of the cache")


@task("block")
@points(2)
@hint("Each part is called with what the docstring says: dropout and bias from the config, theta only with rope.")
def test_block_asks_for_the_right_parts(student, rng):
    """Each part is made with the sizes and options of the config, and only the parts that the config asks for."""
    library = student.library
    names = ("LayerNorm", "RMSNorm", "CausalSelfAttention", "FeedForward", "SwiGLU", "apply_rope")
    for norm, ffn, positions in (("layernorm", "gelu", "learned"), ("rmsnorm", "swiglu", "rope")):
        watched = {name: library.Watched(getattr(library, name)) for name in names}
        bias, dropout = rng.choice([True, False]), rng.choice([0.125, 0.25])
        options = {"norm": norm, "ffn": ffn, "positions": positions, "bias": bias, "dropout": dropout}
        config = library.config(**settings_of(**options, d_ff=20, rope_theta=77.0))
        block = student.TransformerBlock(config, library.parts(**watched))
        has_shape(block(rng.normal(1, 4, 12)), 1, 4, 12)
        calls = {name: probe.calls for name, probe in watched.items()}
        require(len(calls["CausalSelfAttention"]) == 1, "there is not one attention layer")
        attention = calls["CausalSelfAttention"][0]
        asked = {name: attention[name] for name in ("d_model", "n_heads", "dropout", "bias")}
        require(asked == {"d_model": 12, "n_heads": 3, "dropout": dropout, "bias": bias}, "wrong attention")
        require((attention["rope"] is None) == (positions != "rope"), "rope is there with other positions, or missing")
        turns = [call["theta"] for call in calls["apply_rope"]]
        require(set(turns) == ({77.0} if positions == "rope" else set()), "the rotation has a wrong base")
        wanted, other = ("LayerNorm", "RMSNorm") if norm == "layernorm" else ("RMSNorm", "LayerNorm")
        require([call["d_model"] for call in calls[wanted]] == [12, 12] and not calls[other], "wrong norms")
        require(all(call.get("bias", bias) == bias for call in calls[wanted]), "the norms have a wrong bias")
        wanted, other = ("FeedForward", "SwiGLU") if ffn == "gelu" else ("SwiGLU", "FeedForward")
        due = {"d_model": 12, "d_ff": 20} | ({"dropout": dropout, "bias": bias} if ffn == "gelu" else {})
        require(calls[wanted] == [due] and not calls[other], "wrong feed-forward network")


@task("block")
@points(1)
@hint("Both ways around are sums of the untouched x and what a layer found: the gradient goes both ways.")
def test_block_gradients(student, rng):
    """The gradients of the input and of every parameter agree with the library's, with pre-norm and with post-norm."""
    for position in ("pre", "post"):
        block, oracle = make_block(student, rng, norm_position=position)
        x, upstream = rng.normal(2, 4, 12, dtype=torch.float64), rng.normal(2, 4, 12, dtype=torch.float64)
        same_gradients(student, block, oracle, x, upstream)


@task("block")
@points(1)
@hint("x = x + y makes a new tensor, x += y writes into the caller's. Make no float32 tensors of your own.")
def test_block_leaves_no_trace(student, rng):
    """The input stays as it is, evaluation is not random, training with dropout is, and the dtype is kept."""
    x = rng.normal(2, 4, 12)
    for position in ("pre", "post"):
        block, oracle = make_block(student, rng, norm_position=position, dropout=0.5)
        require(student.library.leaves_arguments_alone(block, x), "the input changed")
        require(not student.library.uses_global_randomness(block, x), "evaluation uses random numbers")
        block.train()
        require(student.library.uses_global_randomness(block, x), "training with dropout uses no random numbers")
        block.eval()
        expected, expected_weights = oracle(x, return_weights=True)
        block.bfloat16()
        output, weights = block(x.bfloat16(), return_weights=True)
        require(output.dtype == torch.bfloat16 and weights.dtype == torch.bfloat16, "the dtype changed")
        close(output, expected, rtol=0.1, atol=0.3)
        close(weights, expected_weights, rtol=0.1, atol=0.1)


# --- gpt -------------------------------------------------------------------------------------------------------------


def number_of(parameters):
    return sum(parameter.numel() for parameter in parameters)


@task("gpt")
@points(2)
@hint(
    "Go through the config once more. The final norm is there with pre-norm and with post-norm, the head has no bias."
)
def test_gpt_of_every_option(student, rng):
    """For any sizes and any mix of options: the library's logits, with a cache too, its names and its parameters."""
    for settings in mixed_settings(rng):
        model, oracle = make_model(student, rng, **settings)
        ids = rng.ids(settings["vocab_size"], rng.integer(1, 3), rng.integer(2, 6))
        close(model(ids), oracle(ids))
        cache = model.new_cache()
        pieces = [model(ids[:, :1], cache=cache), model(ids[:, 1:], cache=cache)]
        close(torch.cat(pieces, dim=1), oracle(ids))
        require(sorted(student.library.state(model)) == sorted(oracle.state_dict()), "the parameters have other names")
        sizes = [torch.Size(shape).numel() for shape in student.library.parameter_shapes(model).values()]
        require(sum(sizes) == number_of(oracle.parameters()), "a wrong number of parameters")


@task("gpt")
@points(2)
@hint("Add the cache's length to the number of new ids, and raise ValueError before the embedding and the first block.")
def test_gpt_refuses_what_does_not_fit(student, rng):
    """Too many ids behind a cache are a ValueError that leaves every cache as it was, so that the rest still fits."""
    first = rng.integer(2, 5)
    for positions in ("learned", "sinusoidal", "rope"):
        model, oracle = make_model(student, rng, positions=positions)
        ids = rng.ids(11, 2, 9)
        expected, cache = oracle(ids[:, :8]), model.new_cache()
        close(model(ids[:, :first], cache=cache), expected[:, :first])
        for too_many in (ids[:, first:], ids):
            with pytest.raises(ValueError):
                model(too_many, cache=cache)
            require([layer.length for layer in cache] == [first, first], "a failed call changed a cache")
        close(model(ids[:, first:8], cache=cache), expected[:, first:])
        with pytest.raises(ValueError):
            model(ids[:, 8:], cache=cache)
        require([layer.length for layer in cache] == [8, 8], "a failed call changed a cache")


@task("gpt")
@points(1)
@hint("new_cache makes as many parts.KVCache() as there are blocks, each anew, and each block gets its own.")
def test_gpt_caches_are_independent(student, rng):
    """Two texts can be written in turn, each with its own caches, of the class that was handed in."""
    watched = student.library.Watched(student.library.KVCache)
    settings = settings_of(n_layers=3)
    oracle = fill(rng, library_parts().GPT(GPTConfig(**settings), library_parts()))
    config = student.library.config(**settings)
    model = copied(student.GPT(config, student.library.parts(KVCache=watched)), oracle)
    first, second = model.new_cache(), model.new_cache()
    require(len(first) == 3 and len(watched.calls) == 6, "there is not a cache for each block, or not from `parts`")
    a, b = rng.ids(11, 1, 5), rng.ids(11, 2, 6)
    pieces_a, pieces_b = [model(a[:, :2], cache=first)], [model(b[:, :1], cache=second)]
    require([cache.length for cache in first + second] == [2, 2, 2, 1, 1, 1], "caches share what they hold")
    pieces_a.append(model(a[:, 2:], cache=first))
    pieces_b.append(model(b[:, 1:], cache=second))
    close(torch.cat(pieces_a, dim=1), oracle(a))
    close(torch.cat(pieces_b, dim=1), oracle(b))
    close(model(a), oracle(a))


@task("gpt")
@points(1)
@hint("Collect what each block returns, in order, in a list. Hand return_weights on, with a cache as well.")
def test_gpt_returns_the_weights_of_every_layer(student, rng):
    """`return_weights=True` gives the logits and a list of each layer's weights, with a cache and without."""
    model, oracle = make_model(student, rng, n_layers=3)
    ids = rng.ids(11, 2, 5)
    expected, expected_weights = oracle(ids, return_weights=True)
    logits, weights = model(ids, return_weights=True)
    close(logits, expected)
    require(len(weights) == 3, "there are not as many weights as layers")
    for layer in range(3):
        close(weights[layer], expected_weights[layer])
    cache = model.new_cache()
    model(ids[:, :4], cache=cache)
    logits, weights = model(ids[:, 4:], cache=cache, return_weights=True)
    close(logits, expected[:, 4:])
    for layer in range(3):
        close(weights[layer], expected_weights[layer][:, :, 4:])


@task("gpt")
@points(1)
@hint("Logits at a position depend on the ids up to it. A tied head adds its gradient to that of the embedding.")
def test_gpt_gradients_and_causality(student, rng):
    """Later ids change no earlier logits, and gradients agree with the library's, also those of a tied head."""
    model, oracle = make_model(student, rng)
    ids = rng.ids(11, 1, 7)
    changed = torch.cat((ids[:, :4], (ids[:, 4:] + 1) % 11), dim=1)
    before, after = model(ids), model(changed)
    close(after[:, :4], before[:, :4])
    close(after, oracle(changed))
    upstream = rng.normal(1, 7, 11)
    (oracle(ids) * upstream).sum().backward()
    found = student.library.parameter_gradients(model, ids, upstream=upstream)
    for name, parameter in oracle.named_parameters():
        tied = name == "embedding.tokens.weight" and name not in found
        close(found["lm_head.weight" if tied else name], parameter.grad, rtol=1e-3, atol=1e-4)


@task("gpt")
@points(1)
@hint("Everything comes from `parts`, TransformerBlock too, and nothing from this module.")
def test_gpt_is_made_of_its_parts(student, rng):
    """The embedding, the norm and the blocks are those that were handed in, with the arguments that they expect."""
    library, settings = student.library, settings_of(dropout=0.25, tie_weights=rng.choice([True, False]), n_layers=3)
    own = {"InputEmbedding": PlainEmbedding, "LayerNorm": PlainNorm}
    oracle = fill(rng, library_parts().GPT(GPTConfig(**settings), replace(library_parts(), **own)))
    blocks = library.Watched(library.TransformerBlock)
    embedding = library.Watched(library.PlainEmbedding)
    parts = library.parts(InputEmbedding=embedding, LayerNorm=library.PlainNorm, TransformerBlock=blocks)
    model = copied(student.GPT(library.config(**settings), parts), oracle)
    ids = rng.ids(11, 2, 5)
    close(model(ids), oracle(ids))
    require(len(blocks.calls) == 3, "the blocks are not made by parts.TransformerBlock, one for each layer")
    asked = {"vocab_size": 11, "d_model": 12, "max_positions": 8, "positions": "learned", "dropout": 0.25}
    require(embedding.calls == [asked], "the embedding is asked for with wrong arguments")


# --- init ------------------------------------------------------------------------------------------------------------


@task("init")
@points(1)
@hint("√(2 · n_layers), with the std that was handed in. SwiGLU has a `down`, too; gate and up are ordinary weights.")
def test_init_of_other_depths(student, rng):
    """Any std and any number of layers give the right spread, and SwiGLU's `down` is scaled like the other."""
    for n_layers, std in ((1, 0.1), (rng.integer(2, 4), rng.choice([0.005, 0.5]))):
        model = fresh_model(student, rng, n_layers, ffn="swiglu", bias=False, tie_weights=False)
        student.init_weights(model, n_layers, std=std)
        for name, value in student.library.parameter_values(model).items():
            if value.ndim == 2:
                last = name.endswith(("out_proj.weight", "down.weight"))
                is_normal(value, std / (2 * n_layers) ** 0.5 if last else std)


@task("init")
@points(1)
@hint('A tied head is the embedding\'s table, so "xavier" leaves it normal. Fill in place, and it stays tied.')
def test_init_of_a_tied_head(student, rng):
    """A tied head counts as an embedding under both schemes, and is still tied afterwards."""
    for scheme in ("gpt2", "xavier"):
        model = fresh_model(student, rng)
        kept = student.library.keep_value(model)
        table = kept.attribute("embedding.tokens.weight")
        student.init_weights(model, 3, scheme=scheme)
        is_normal(table.value, 0.02)
        require(kept.attribute("embedding.tokens.weight").same_as(table), "the table is another parameter now")
        require(kept.attribute("lm_head.weight").same_as(table), "the head is no longer tied")
        values = student.library.parameter_values(model)
        is_normal(values["embedding.positions.weight"], 0.02)
        name = "blocks.2.feed_forward.down.weight"
        if scheme == "xavier":
            is_uniform(values[name], (6 / (48 + 192)) ** 0.5)
        else:
            is_normal(values[name], 0.02 / 6**0.5)


@task("init")
@points(1)
@hint("Look at names, axes and nn.Linear, and at no other class: norms and embeddings may be anybody's.")
def test_init_of_modules_of_any_class(student, rng):
    """Norms and embeddings that are no class of torch's get their values as well."""
    parts = student.library.parts(InputEmbedding=student.library.PlainEmbedding, LayerNorm=student.library.PlainNorm)
    settings = settings_of(vocab_size=60, context_length=64, d_model=48, tie_weights=rng.choice([True, False]))
    for scheme in ("gpt2", "xavier"):
        model = student.library.GPT(student.library.config(**settings), parts)
        student.init_weights(model, 2, scheme=scheme, std=0.3)
        for name, value in student.library.parameter_values(model).items():
            if value.ndim == 1:
                close(value, torch.zeros(value.shape) if name.endswith("bias") else torch.ones(value.shape))
            elif name.startswith("embedding."):
                is_normal(value, 0.3)
            elif scheme == "xavier":
                is_uniform(value, (6 / sum(value.shape)) ** 0.5)
            else:
                is_normal(value, 0.15 if name.endswith(("out_proj.weight", "down.weight")) else 0.3)


@task("init")
@points(1)
@hint("Check scheme, n_layers and std before you fill anything. A std of 0 is fine: all weights are 0 then.")
def test_init_of_impossible_arguments(student, rng):
    """An unknown scheme, no layers or a negative std are a ValueError and change nothing; their neighbours are not."""
    model = fresh_model(student, rng, 1)
    before = student.library.parameter_values(model)
    for bad in ({"scheme": "glorot"}, {"scheme": "GPT2"}, {"n_layers": 0}, {"n_layers": -1}, {"std": -0.02}):
        with pytest.raises(ValueError):
            student.init_weights(model, **{"n_layers": 1, **bad})
        after = student.library.parameter_values(model)
        require(all(torch.equal(after[name], value) for name, value in before.items()), "weights changed all the same")
    student.init_weights(model, 1, "gpt2", 0.0)
    values = student.library.parameter_values(model)
    close(values["embedding.tokens.weight"], torch.zeros(60, 48))
    close(values["blocks.0.attention.out_proj.weight"], torch.zeros(48, 48))
    close(values["final_norm.weight"], torch.ones(48))


@task("init")
@points(1)
@hint("Draw with torch's global random state, in place. What is no parameter is none of your business.")
def test_init_leaves_the_rest_alone(student, rng):
    """The same seed gives the same weights, another seed others; sinusoids, dtype and gradients' switches stay."""
    seed = rng.integer(0, 10**6)
    drawn = []
    for number in (seed, seed, seed + 1):
        model = fresh_model(student, rng, positions="sinusoidal")
        sinusoids = student.library.buffer_values(model)
        student.library.seed(number)
        student.init_weights(model, 3)
        drawn.append(student.library.parameter_values(model))
        after = student.library.buffer_values(model)
        require(all(torch.equal(after[name], value) for name, value in sinusoids.items()), "a buffer changed")
        weight = student.library.keep_value(model).attribute("blocks.1.attention.qkv_proj.weight")
        require(weight.requires_grad(), "a parameter takes no gradients any more")
        require(weight.is_instance("torch.nn.Parameter"), "a parameter is none any more")
    name = "blocks.1.attention.qkv_proj.weight"
    require(all(torch.equal(drawn[0][each], drawn[1][each]) for each in drawn[0]), "the same seed gives other weights")
    require(not torch.equal(drawn[0][name], drawn[2][name]), "another seed gives the same weights")
    is_normal(drawn[2][name], 0.02)
    other = drawn[2]["blocks.0.attention.qkv_proj.weight"]
    require(not torch.equal(other, drawn[2][name]), "two layers have the same weights")


# --- count -----------------------------------------------------------------------------------------------------------


@task("count")
@points(2)
@hint("Biases are everywhere but in RMSNorm, SwiGLU and the head. Each layer has two norms, and one more comes last.")
def test_count_of_models_that_are_built(student, rng):
    """For any sizes and any mix of options, the count is that of a model which is really built."""
    odd = [settings_of(d_model=2 * rng.integer(1, 5) + 1, n_heads=1, bias=bias) for bias in (True, False)]
    for settings in [*mixed_settings(rng, count=12), *odd]:
        model = library_parts().GPT(GPTConfig(**settings), library_parts())
        found = student.count_parameters(student.library.config(**settings))
        require(found == number_of(model.parameters()), "wrong number")


@task("count")
@points(1)
@hint("The same formula for every size. Widths 768, 1024, 1280 and 1600; 12, 24, 36 and 48 layers.")
def test_count_of_the_published_models(student):
    """The four GPT-2s come out exactly, and GPT-3 has 175 billion parameters, up to one percent."""
    published = {(768, 12, 12): 124_439_808, (1024, 24, 16): 354_823_168}
    published |= {(1280, 36, 20): 774_030_080, (1600, 48, 25): 1_557_611_200}
    common = {"vocab_size": 50257, "context_length": 1024}
    for (d_model, n_layers, n_heads), expected in published.items():
        config = student.library.config(**common, d_model=d_model, n_layers=n_layers, n_heads=n_heads)
        require(student.count_parameters(config) == expected, "wrong number")
    gpt3 = {"vocab_size": 50257, "context_length": 2048, "d_model": 12288, "n_layers": 96, "n_heads": 96}
    found = student.count_parameters(student.library.config(**gpt3))
    require(abs(found - 175e9) < 0.01 * 175e9, "wrong number")


@task("count")
@points(1)
@hint("No layer is made, and no float: with whole numbers the result is exact at any size.")
def test_count_of_models_that_fit_nowhere(student, rng):
    """The count is an exact whole number for models that no computer could hold."""
    width, depth = 10**7 + 2 * rng.integer(1, 10**6), 10**6 + rng.integer(1, 10**6)

    def count(n_layers):
        settings = {"vocab_size": 10**9 + 7, "context_length": 10**6, "d_model": width, "n_heads": 2}
        return student.count_parameters(student.library.config(**settings, n_layers=n_layers))

    one, two, many = count(1), count(2), count(depth)
    require(type(many) is int, "the count is not a whole number")
    require(two - one == 12 * width**2 + 13 * width, "wrong number for one more layer")
    require(many == one + (depth - 1) * (two - one), "the count does not grow by the same number for each layer")
