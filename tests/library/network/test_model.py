"""The network: identity at the start, patches, sizes, options, conditioning, weights shared by variants."""

import math

import pytest
import torch
from tiny import draws
from torch import Tensor, nn

from rope_dit import flow
from rope_dit.config import ModelConfig, TrainConfig
from rope_dit.errors import UserError
from rope_dit.model import DiT, _to_image, _to_patches, time_features
from rope_dit.objectives.velocity import Velocity
from rope_dit.registry import POS_EMBEDS

VARIANTS = [*POS_EMBEDS.names(), "learned+rope2d"]
OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "qk_norm": {"qk_norm": True},
    "swiglu": {"mlp": "swiglu"},
    "rmsnorm": {"norm": "rmsnorm"},
    "shared adaln": {"adaln": "shared"},
    "unconditional": {"conditional": False},
    "registers": {"registers": 3},
    "all": {"qk_norm": True, "mlp": "swiglu", "norm": "rmsnorm", "adaln": "shared"},
}


def make(variant: str = "rope2d", seed: int = 0, null_class: bool = True, **settings: object) -> DiT:
    config = ModelConfig(**{"dim": 16, "depth": 2, "num_heads": 2, **settings})
    model = DiT(config, variant, channels=3, image_size=(6, 8), num_classes=4, null_class=null_class)
    model.init_weights(seed)
    return model


@torch.no_grad()
def awake(model: DiT) -> DiT:
    """Move all weights, the zero gates and outputs too, so that every part acts."""
    generator = torch.Generator().manual_seed(5)
    for p in model.parameters():
        p += 0.1 * torch.randn(p.shape, generator=generator)
    return model


def inputs(batch: int = 3, size: tuple[int, int] = (6, 8)) -> tuple[Tensor, Tensor, Tensor]:
    x = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0))
    return x, torch.linspace(0.1, 0.9, batch), torch.arange(batch) % 4


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_fresh_model_says_0_and_its_blocks_are_the_identity(variant, options):
    model = make(variant, **OPTIONS[options])
    seen: list[tuple[Tensor, Tensor]] = []
    for block in model.blocks:
        block.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    assert torch.equal(model(*inputs()), torch.zeros(3, 3, 6, 8))
    assert len(seen) == 2
    assert all(torch.equal(x, out) and x.abs().max() > 0.1 for x, out in seen)


def test_patches_are_row_major_and_put_back():
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    x = torch.stack((10 * rows + columns, 100 + 10 * rows + columns))[None].float()
    patches = _to_patches(x, (2, 3), 2)
    assert patches.shape == (1, 6, 8)
    assert patches[0, 1].tolist() == [2, 3, 12, 13, 102, 103, 112, 113]  # right of the first
    assert patches[0, 3].tolist() == [20, 21, 30, 31, 120, 121, 130, 131]  # below the first
    assert torch.equal(_to_image(patches, (2, 3), 2), x)


@pytest.mark.parametrize(("size", "patch"), [((6, 4), 2), ((4, 6), 1), ((3, 9), 3), ((8, 8), 8)])
def test_patches_of_any_size_are_put_back(size, patch):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    grid = size[0] // patch, size[1] // patch
    assert torch.equal(_to_image(_to_patches(x, grid, patch), grid, patch), x)


@pytest.mark.parametrize("size", [(6, 8), (8, 6), (2, 2), (12, 4), (10, 14)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_any_size_that_the_patch_divides(variant, size):
    out = awake(make(variant))(*inputs(size=size))
    assert out.shape == (3, 3, *size)
    assert torch.isfinite(out).all()
    assert out.std() > 0.01


@pytest.mark.parametrize("size", [(7, 8), (6, 9)])
def test_a_patch_that_does_not_divide_the_picture_is_refused(size):
    with pytest.raises(UserError, match=r"^model\.patch got 2, expected a divisor"):
        make()(*inputs(size=size))
    with pytest.raises(UserError, match=r"^model\.patch got 2"):
        DiT(ModelConfig(dim=16), "none", channels=1, image_size=size, num_classes=2, null_class=True)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("variant", ["rope2d", "learned"])
def test_every_weight_gets_a_gradient(variant, options, precision):
    model = awake(make(variant, **OPTIONS[options]))
    x, _, labels = inputs(8)
    draw = draws(TrainConfig(label_dropout=0.5), 0, 0, x.shape)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        flow.loss(model, Velocity(), x, labels, draw, model.null_label).mean().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.dtype == torch.float32
        assert torch.isfinite(p.grad).all(), name
        assert p.grad.abs().max() > 0, name


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_residual_stream_is_float32_under_autocast_for_every_variant(variant):
    model, types = awake(make(variant)), []
    for block in model.blocks:
        block.register_forward_hook(lambda module, args, out: types.append((args[0].dtype, out.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        out = model(*inputs())
    assert types == [(torch.float32, torch.float32)] * 2
    torch.testing.assert_close(out.float(), model(*inputs()), rtol=0.1, atol=0.1)


def shared(model: DiT) -> dict[str, Tensor]:
    return {n: p.detach() for n, p in model.named_parameters() if not n.startswith("pos_embed.")}


@pytest.mark.parametrize("options", OPTIONS)
def test_shared_weights_start_equal_in_all_variants_of_a_seed(options):
    models = [shared(make(variant, **OPTIONS[options])) for variant in VARIANTS]
    for other in models[1:]:
        assert other.keys() == models[0].keys()
        assert all(torch.equal(other[name], models[0][name]) for name in other)


def test_weights_differ_across_seeds_and_among_themselves():
    a, b = shared(make(seed=0)), shared(make(seed=1))
    drawn = {n for n, w in a.items() if w.unique().numel() > 1}
    assert drawn == {
        n for n in a if n.endswith("weight") and "modulation" not in n and not n.startswith("final")
    }
    assert all(not torch.equal(a[n], b[n]) for n in drawn)
    assert len({tuple(a[n].flatten()[:8].tolist()) for n in drawn}) == len(drawn)


@torch.no_grad()
def test_init_weights_sets_everything():
    for options in OPTIONS.values():
        model, fresh = make("learned", **options), make("learned", **options)
        for p in model.parameters():
            p.fill_(math.nan)
        model.init_weights(0)
        assert all(torch.equal(*pair) for pair in zip(model.parameters(), fresh.parameters(), strict=True))


def test_init_weights_leaves_the_variant_s_weights_to_the_variant():
    model = make("none")
    model.pos_embed.bias_of_offset = nn.Linear(2, 3)
    before = model.pos_embed.bias_of_offset.weight.detach().clone()
    model.init_weights(0)
    assert torch.equal(model.pos_embed.bias_of_offset.weight, before)


def test_initial_matrices_are_xavier_uniform_and_labels_normal():
    model = make(dim=64)
    weight, labels = model.blocks[0].attention.qkv.weight.detach(), model.label.weight.detach()
    bound = math.sqrt(6 / (64 + 3 * 64))
    assert 0.97 * bound < weight.abs().max() <= bound
    assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert float(labels.std()) == pytest.approx(0.02, rel=0.2)
    assert all(not m.bias.any() for m in model.modules() if isinstance(m, nn.Linear))


def test_number_of_weights_of_the_cifar10_model():
    dim, depth, patch, hidden = 256, 6, 4, 4 * 256
    config = ModelConfig(dim=dim, depth=depth, num_heads=8, patch=patch)
    model = DiT(config, "rope2d", channels=3, image_size=(32, 32), num_classes=10, null_class=True)
    pixels = 3 * patch**2
    attention, mlp = dim * 3 * dim + 3 * dim + dim * dim + dim, 2 * dim * hidden + hidden + dim
    block = attention + mlp + dim * 6 * dim + 6 * dim
    ends = (pixels * dim + dim) + (dim * pixels + pixels) + (dim * 2 * dim + 2 * dim)
    condition = 2 * (dim * dim + dim) + 11 * dim
    count = sum(p.numel() for p in model.parameters())
    assert count == depth * block + ends + condition
    assert count == pytest.approx(7.4e6, rel=0.01)


def test_swiglu_has_about_as_many_weights_and_shared_adaln_fewer():
    counts = {o: sum(p.numel() for p in make(dim=96, **OPTIONS[o]).parameters()) for o in OPTIONS}
    assert counts["swiglu"] == pytest.approx(counts["plain"], rel=0.005)
    assert counts["plain"] - counts["shared adaln"] == (96 * 6 * 96 + 6 * 96) - 2 * 6 * 96
    assert counts["qk_norm"] - counts["plain"] == 2 * 2 * 48
    assert counts["plain"] - counts["unconditional"] == 5 * 96


def test_time_features_are_of_1000_t():
    got = time_features(torch.tensor([0.0, 0.25, 1.0]), 8)
    frequencies = [10000 ** (-i / 4) for i in range(4)]
    for row, t in zip(got.double(), (0.0, 0.25, 1.0), strict=True):
        angles = [1000 * t * frequency for frequency in frequencies]
        expected = [*map(math.cos, angles), *map(math.sin, angles)]
        torch.testing.assert_close(row, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-4)


def test_time_and_class_change_the_output_and_the_null_class_is_the_last():
    model, (x, t, labels) = awake(make()), inputs()
    out = model(x, t, labels)
    assert (model(x, t + 0.01, labels) - out).abs().max() > 1e-3
    outs = [model(x, t, torch.full((3,), label)) for label in range(5)]
    assert all((a - b).abs().max() > 1e-4 for i, a in enumerate(outs) for b in outs[:i])
    assert model.null_label == 4
    assert len(model.label.weight) == 5


def test_without_a_null_class_and_without_classes():
    assert make(null_class=False).null_label is None
    assert len(make(null_class=False).label.weight) == 4
    model = awake(make(conditional=False))
    assert model.null_label is None
    x, t, labels = inputs()
    assert torch.equal(model(x, t, labels), model(x, t))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_picture_does_not_see_its_batch_mates(variant, options):
    model = awake(make(variant, **OPTIONS[options]))
    x, t, labels = inputs(5)
    together = model(x, t, labels)
    for i in range(5):
        alone = model(x[i : i + 1], t[i : i + 1], labels[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-5)
