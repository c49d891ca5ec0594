"""The library's embeddings, attention and transformer, at the edges that the conventions name."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autograder.minigpt import library as lib
from autograder.minigpt.config import GPTConfig
from autograder.minigpt.model import build_model

GPT2_SIZES = {  # Radford et al. 2019, table 2; the parameter counts are those of the published weights
    (12, 768, 12): 124_439_808,
    (24, 1024, 16): 354_823_168,
}


@pytest.fixture(autouse=True, params=[0], ids="seed{}".format)
def seed(request):
    torch.manual_seed(request.param)


def tiny(**options):
    return GPTConfig(**{"vocab_size": 11, "context_length": 8, "d_model": 16, "n_layers": 2, "n_heads": 2, **options})


def close(actual, expected, tolerance=1e-5):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


# --- embeddings ---


def test_tables_start_small_and_take_ids_of_any_shape():
    for table in (lib.TokenEmbedding(500, 40), lib.LearnedPositions(500, 40)):
        assert table.weight.shape == (500, 40)
        assert table.weight.std().item() == pytest.approx(0.02, rel=0.05)
        ids = torch.tensor([[[0, 499]]])
        close(table(ids), table.weight[ids])
        assert table(torch.tensor(3)).shape == (40,)
        for bad in (-1, 500):
            with pytest.raises(IndexError):
                table(torch.tensor([bad]))


def test_sinusoids_are_sines_at_even_columns():
    table = lib.sinusoidal_positions(50, 6)
    for position, pair in itertools.product((0, 1, 49), range(3)):
        angle = position / 10000 ** (2 * pair / 6)
        assert table[position, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-6)
        assert table[position, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    with pytest.raises(ValueError, match="d_model"):
        lib.sinusoidal_positions(3, 5)


def test_rope_turns_interleaved_pairs_and_keeps_lengths():
    x = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    turned = lib.apply_rope(x, torch.tensor([2]), theta=100.0)
    close(turned, torch.tensor([[math.cos(2), math.sin(2), -math.sin(0.2), math.cos(0.2)]]))


def test_rope_scores_depend_on_distance_alone():
    q, k = torch.randn(1, 8), torch.randn(1, 8)
    scores = [
        lib.apply_rope(q, torch.tensor([m + 3])) @ lib.apply_rope(k, torch.tensor([m])).T for m in (0, 1, 50, 300)
    ]
    for score in scores[1:]:
        close(score, scores[0], 1e-4)


def test_rope_positions_may_differ_from_row_to_row():
    x = torch.randn(2, 3, 4, 6)  # (batch, heads, time, dim)
    positions = torch.tensor([[0, 1, 2, 3], [7, 8, 9, 10]])
    together = lib.apply_rope(x, positions)
    for row in range(2):
        close(together[row], lib.apply_rope(x[row], positions[row]))
    flat = lib.apply_rope(x[:, 0], positions)
    close(flat, together[:, 0])
    with pytest.raises(ValueError, match="dim"):
        lib.apply_rope(torch.randn(2, 5), torch.arange(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_results_keep_the_dtype(dtype):
    x = torch.randn(2, 3, 4, 8).to(dtype)
    results = {
        "rope": lib.apply_rope(x, torch.arange(4)),
        "softmax": lib.softmax(x, -1),
        "attention": lib.scaled_dot_product_attention(x, x, x, lib.causal_mask(4))[0],
        "weights": lib.scaled_dot_product_attention(x, x, x)[1],
        "layernorm": lib.LayerNorm(8)(x),
        "rmsnorm": lib.RMSNorm(8)(x),
        "halved norm": lib.RMSNorm(8).to(dtype)(x),
        "gelu": lib.gelu(x),
        "silu": lib.silu(x),
        "temperature": lib.apply_temperature(x, 0.5),
        "top-k": lib.top_k_filter(x, 3),
        "top-p": lib.top_p_filter(x, 0.5),
        "min-p": lib.min_p_filter(x, 0.5),
        "penalty": lib.repetition_penalty(x, torch.zeros(2, 3, 4, 1, dtype=torch.int64), 1.5),
    }
    assert {name: value.dtype for name, value in results.items()} == dict.fromkeys(results, dtype)


def test_norms_of_half_precision_compute_in_float32():
    x = torch.full((1, 8), 300.0).half()  # 300 squared is not finite in float16
    x[0, 0] = -300
    for norm in (lib.LayerNorm(8), lib.RMSNorm(8)):
        close(norm(x).float(), norm(x.float()), 1e-2)


@pytest.mark.parametrize("kind", ["learned", "sinusoidal", "rope"])
def test_input_embedding_adds_positions_from_start(kind):
    embedding = lib.InputEmbedding(11, 6, 5, kind)
    ids = torch.randint(11, (2, 3))
    vectors = embedding(ids, start=2)
    added = {"learned": lambda: embedding.positions.weight, "sinusoidal": lambda: lib.sinusoidal_positions(5, 6)}
    close(vectors, embedding.tokens(ids) + (added[kind]()[2:5] if kind in added else 0))
    assert list(embedding.state_dict()) == ["tokens.weight"] + ["positions.weight"] * (kind == "learned")
    with pytest.raises(ValueError, match="start"):
        embedding(ids, start=-1)
    if kind == "rope":
        assert embedding(ids, start=1000).shape == (2, 3, 6)
    else:
        with pytest.raises(IndexError):
            embedding(ids, start=3)
    with pytest.raises(ValueError, match="positions"):
        lib.InputEmbedding(11, 6, 5, "alibi")


def test_embedding_dropout_is_for_training_alone():
    embedding = lib.InputEmbedding(11, 64, 5, dropout=0.5)
    ids = torch.zeros(1, 5, dtype=torch.int64)
    assert (embedding(ids) == 0).any()
    embedding.eval()
    close(embedding(ids), embedding.tokens(ids) + embedding.positions(torch.arange(5)))


# --- attention ---


def test_causal_mask_lets_the_last_positions_see_what_came_before():
    assert lib.causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert lib.causal_mask(2, 4).tolist() == [[True, True, True, False], [True, True, True, True]]
    assert lib.causal_mask(1, 1).dtype == torch.bool
    for bad in [(0,), (3, 2), (0, 2)]:
        with pytest.raises(ValueError, match="n_"):
            lib.causal_mask(*bad)


def test_attention_weights_and_output_by_hand():
    q, k, v = torch.randn(3, 2, 5, 4), torch.randn(3, 2, 7, 4), torch.randn(3, 2, 7, 6)
    mask = torch.rand(3, 1, 5, 7) < 0.7
    mask[..., 0] = True
    output, weights = lib.scaled_dot_product_attention(q, k, v, mask)
    expected = (q @ k.mT / 2).masked_fill(~mask, -math.inf).softmax(-1)
    close(weights, expected)
    close(output, expected @ v)
    close(lib.scaled_dot_product_attention(q[0, 0], k[0, 0], v[0, 0])[0], (q @ k.mT / 2).softmax(-1)[0, 0] @ v[0, 0])


def test_a_query_that_sees_nothing_gives_zeros_and_zero_gradients():
    q, k, v = (torch.randn(1, 3, 4, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    output, weights = lib.scaled_dot_product_attention(q, k, v, mask)
    assert (output[0, 1] == 0).all() and (weights[0, 1] == 0).all()
    (output.sum() + weights.square().sum()).backward()
    assert (q.grad[0, 1] == 0).all()
    assert all(x.grad.isfinite().all() for x in (q, k, v))
    lonely, _ = lib.scaled_dot_product_attention(q, k, v, torch.zeros(3, 3, dtype=torch.bool))
    assert (lonely == 0).all()


def test_a_mask_that_is_not_boolean_is_refused():
    x = torch.randn(1, 3, 4)
    with pytest.raises(ValueError, match="mask"):
        lib.scaled_dot_product_attention(x, x, x, torch.zeros(3, 3))


def test_heads_split_and_merge():
    x = torch.randn(2, 5, 12)
    heads = lib.split_heads(x, 3)
    assert heads.shape == (2, 3, 5, 4)
    assert torch.equal(heads[:, 1], x[..., 4:8])
    assert torch.equal(lib.merge_heads(heads), x)
    with pytest.raises(ValueError, match="n_heads"):
        lib.split_heads(x, 5)


def test_a_cache_joins_along_time():
    cache = lib.KVCache()
    assert cache.length == 0
    k, v = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4)
    cache.append(k[:, :, :2], v[:, :, :2])
    keys, values = cache.append(k[:, :, 2:], v[:, :, 2:])
    assert cache.length == 5
    assert torch.equal(keys, k) and torch.equal(values, v)


@pytest.mark.parametrize("rotates", [False, True])
def test_attention_with_a_cache_is_attention_without(rotates):
    layer = lib.CausalSelfAttention(16, 4, rope=lib.apply_rope if rotates else None)
    x = torch.randn(2, 7, 16)
    whole, whole_weights = layer(x, return_weights=True)
    assert whole_weights.shape == (2, 4, 7, 7)
    close(layer(x), whole)
    cache = lib.KVCache()
    pieces = [layer(part, cache=cache, return_weights=True) for part in x.split([3, 1, 2, 1], dim=1)]
    close(torch.cat([output for output, _ in pieces], dim=1), whole)
    close(pieces[2][1], whole_weights[:, :, 4:6, :6])
    close(layer(x, positions=torch.arange(7) + 5), whole, 1e-4)  # RoPE sees distances alone


def test_positions_matter_where_they_are_turned():
    layer = lib.CausalSelfAttention(16, 4, rope=lib.apply_rope)
    x = torch.randn(1, 4, 16)
    assert not torch.allclose(layer(x), layer(x, positions=torch.tensor([0, 2, 4, 6])), atol=1e-4)


def test_the_future_has_no_say():
    layer = lib.CausalSelfAttention(16, 4)
    x = torch.randn(1, 6, 16)
    changed = x.clone()
    changed[:, 4:] += 1
    close(layer(x)[:, :4], layer(changed)[:, :4])


def test_qkv_are_stacked_in_that_order():
    layer = lib.CausalSelfAttention(8, 2, bias=False)
    x = torch.randn(1, 3, 8)
    q, k, v = (lib.split_heads(part, 2) for part in layer.qkv_proj(x).chunk(3, dim=-1))
    expected = lib.scaled_dot_product_attention(q, k, v, lib.causal_mask(3))[0]
    close(layer(x), layer.out_proj(lib.merge_heads(expected)))
    assert layer.qkv_proj.bias is None and layer.out_proj.bias is None


def test_attention_dropout_is_for_training_and_weights_are_from_before():
    layer = lib.CausalSelfAttention(16, 4, dropout=0.5)
    x = torch.randn(1, 6, 16)
    output, weights = layer(x, return_weights=True)
    close(weights.sum(-1), torch.ones(1, 4, 6))
    assert (output == 0).any()
    layer.eval()
    assert torch.equal(layer(x), layer(x))
    with pytest.raises(ValueError, match="n_heads"):
        lib.CausalSelfAttention(16, 3)


# --- transformer ---


def test_norms_by_hand():
    x = torch.randn(4, 6)
    layer_norm, rms_norm = lib.LayerNorm(6, eps=0.1), lib.RMSNorm(6, eps=0.1)
    close(layer_norm(x), (x - x.mean(-1, True)) / (x.var(-1, unbiased=False, keepdim=True) + 0.1).sqrt())
    close(rms_norm(x), x / (x.square().mean(-1, True) + 0.1).sqrt())
    assert lib.LayerNorm(6, bias=False).bias is None
    assert [name for name, _ in rms_norm.named_parameters()] == ["weight"]


def test_activations():
    x = torch.linspace(-4, 4, 9)
    close(lib.gelu(x), x * (1 + torch.erf(x / 2**0.5)) / 2)
    close(lib.gelu(x, approximate="tanh"), F.gelu(x, approximate="tanh"))
    assert not torch.equal(lib.gelu(x), lib.gelu(x, "tanh"))
    close(lib.silu(x), x * x.sigmoid())
    with pytest.raises(ValueError, match="approximate"):
        lib.gelu(x, "erf")


def test_feed_forward_layers():
    x = torch.randn(2, 3, 4)
    plain, gated = lib.FeedForward(4, 10, bias=False), lib.SwiGLU(4, 10)
    close(plain(x), lib.gelu(x @ plain.up.weight.T) @ plain.down.weight.T)
    close(gated(x), (lib.silu(x @ gated.gate.weight.T) * (x @ gated.up.weight.T)) @ gated.down.weight.T)
    assert gated.gate.bias is None and plain.up.bias is None and lib.FeedForward(4, 10).down.bias is not None
    assert (lib.FeedForward(4, 10, dropout=0.5)(x) == 0).any()


@pytest.mark.parametrize("position", ["pre", "post"])
@pytest.mark.parametrize(("norm", "ffn"), [("layernorm", "gelu"), ("rmsnorm", "swiglu")])
def test_a_block_adds_what_its_sublayers_say(position, norm, ffn):
    block = lib.TransformerBlock(tiny(norm_position=position, norm=norm, ffn=ffn), lib.library_parts())
    x = torch.randn(2, 5, 16)
    if position == "pre":
        middle = x + block.attention(block.norm1(x))
        expected = middle + block.feed_forward(block.norm2(middle))
    else:
        middle = block.norm1(x + block.attention(x))
        expected = block.norm2(middle + block.feed_forward(middle))
    close(block(x), expected)
    output, weights = block(x, return_weights=True)
    close(output, expected)
    assert weights.shape == (2, 2, 5, 5)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rope"])
@pytest.mark.parametrize("position", ["pre", "post"])
def test_a_model_with_a_cache_is_the_model_without(positions, position):
    model = build_model(tiny(positions=positions, norm_position=position), lib.library_parts())
    ids = torch.randint(11, (2, 8))
    whole = model(ids)
    assert whole.shape == (2, 8, 11)
    cache = model.new_cache()
    steps = [model(part, cache=cache) for part in ids.split([3, 1, 1, 3], dim=1)]
    close(torch.cat(steps, dim=1), whole)
    assert [layer.length for layer in cache] == [8, 8]
    with pytest.raises(ValueError, match="context_length"):
        model(ids[:, :1], cache=cache)
    assert [layer.length for layer in cache] == [8, 8]
    with pytest.raises(ValueError, match="context_length"):
        model(torch.zeros(1, 9, dtype=torch.int64))
    logits, weights = model(ids, return_weights=True)
    close(logits, whole)
    assert [w.shape for w in weights] == [(2, 2, 8, 8)] * 2


def test_theta_reaches_the_rotation():
    ids = torch.randint(11, (1, 8))
    outputs = []
    for theta in (10.0, 10000.0):
        torch.manual_seed(1)
        model = build_model(tiny(positions="rope", rope_theta=theta), lib.library_parts())
        for parameter in model.parameters():
            parameter.data.mul_(20 if parameter.ndim == 2 else 1)
        outputs.append(model(ids))
    assert not torch.allclose(*outputs, atol=1e-3)


@pytest.mark.parametrize("scheme", ["gpt2", "xavier"])
@pytest.mark.parametrize("tied", [True, False])
def test_initial_weights(scheme, tied):
    config = GPTConfig(vocab_size=300, d_model=128, n_layers=2, tie_weights=tied, bias=True)
    model = lib.GPT(config, lib.library_parts())
    lib.init_weights(model, config.n_layers, scheme, std=0.05)
    assert (model.lm_head.weight is model.embedding.tokens.weight) == tied

    def std(weight):
        return pytest.approx(weight.std().item(), rel=0.06)

    block = model.blocks[1]
    glorot = math.sqrt(2 / (128 + 512))
    assert std(model.embedding.tokens.weight) == 0.05 and std(model.embedding.positions.weight) == 0.05
    assert std(block.feed_forward.up.weight) == (0.05 if scheme == "gpt2" else glorot)
    assert std(block.feed_forward.down.weight) == (0.05 / 2 if scheme == "gpt2" else glorot)
    assert std(block.attention.out_proj.weight) == (0.05 / 2 if scheme == "gpt2" else math.sqrt(2 / 256))
    assert std(model.lm_head.weight) == (0.05 if scheme == "gpt2" or tied else math.sqrt(2 / 428))
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            assert (parameter == (0 if name.endswith("bias") else 1)).all(), name
    with pytest.raises(ValueError, match="scheme"):
        lib.init_weights(model, 2, "kaiming")


def test_a_fresh_model_knows_nothing():
    model = build_model(tiny(vocab_size=65), lib.library_parts())
    ids = torch.randint(65, (4, 8))
    assert lib.cross_entropy(model(ids), ids.roll(1)).item() == pytest.approx(math.log(65), rel=0.02)


@pytest.mark.parametrize(("sizes", "expected"), GPT2_SIZES.items())
def test_gpt2s_parameters_are_counted(sizes, expected):
    n_layers, d_model, n_heads = sizes
    config = GPTConfig(50257, context_length=1024, d_model=d_model, n_layers=n_layers, n_heads=n_heads)
    assert lib.count_parameters(config) == expected


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rope"])
@pytest.mark.parametrize("options", [{}, {"bias": False, "tie_weights": False}, {"norm": "rmsnorm", "ffn": "swiglu"}])
def test_the_count_is_that_of_the_model(positions, options):
    config = tiny(positions=positions, **options)
    model = lib.GPT(config, lib.library_parts())
    assert lib.count_parameters(config) == sum(p.numel() for p in model.parameters())
    assert isinstance(model, nn.Module) and set(dict(model.named_children())) == {
        "embedding", "blocks", "final_norm", "lm_head",
    }  # fmt: skip
