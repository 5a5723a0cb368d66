"""What holds of everything that is done about larger grids, and that nothing is done about others."""

import torch
from torch import Tensor

from rope_dit.config import ModelConfig
from rope_dit.extrapolations.base import Extrapolation
from rope_dit.model import DiT, draw
from rope_dit.randomness import Stream
from rope_dit.registry import EXTRAPOLATIONS

SIZES = 0.7 ** torch.arange(12, dtype=torch.float64)
TURNS = 20 * SIZES
STRETCHES = (1.25, 2.0, 7.0)
SHARES = (1.0, 0.5, 0.0)


def whole(spec: str) -> str:
    """A spec that can stand alone: what fades needs something to fade."""
    return f"ntk+{spec}" if EXTRAPOLATIONS.bind(spec)().acts_on == "time" else spec


@torch.no_grad()
def model(spec: str, variant: str = "rope2d") -> DiT:
    dit = DiT(ModelConfig(dim=16, depth=2, num_heads=2, patch=1), variant, channels=1, image_size=(3, 4),
              num_classes=2, null_class=False)  # fmt: skip
    dit.init_weights(0)
    for name, p in dit.named_parameters():
        p += 0.3 * draw(1, Stream.NOISE, name, tuple(p.shape))
    dit.set_extrapolation(spec)
    return dit


@torch.no_grad()
def out(dit: DiT, grid: tuple[int, int]) -> Tensor:
    x_BCHW = draw(0, Stream.NOISE, "pictures", (2, 1, *grid))
    return dit(x_BCHW, torch.tensor([0.1, 0.6]), torch.tensor([0, 1]))


def the_trained_grid_and_smaller_ones_keep_their_bits(spec):
    for grid in [(3, 4), (2, 4), (3, 1)]:
        assert torch.equal(out(model(whole(spec)), grid), out(model("none"), grid)), grid


def larger_grids_change_unless_nothing_is_done(spec):
    item = EXTRAPOLATIONS.bind(spec)()
    for grid in [(6, 4), (3, 8), (5, 7)]:
        same = torch.equal(out(model(whole(spec)), grid), out(model("none"), grid))
        assert same == (not item.acts_on), grid


def each_picture_is_as_it_is_alone(spec):
    dit, t_B, x_BCHW = model(whole(spec)), torch.tensor([0.1, 0.6]), draw(0, Stream.NOISE, "x", (2, 1, 5, 6))
    with torch.no_grad():
        both = dit(x_BCHW, t_B, torch.tensor([0, 1]))
        alone = dit(x_BCHW[1:], t_B[1:], torch.tensor([1]))
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-5)


def it_acts_on_what_it_says_and_on_nothing_else(spec):
    item, plain = EXTRAPOLATIONS.bind(spec)(), Extrapolation
    changes = {
        "coordinates": item.squeeze(2.0, 1.0) != 1,
        "frequencies": bool((item.factor(SIZES, TURNS, 2.0, 1.0) != 1).any()),
        "time": type(item).fade is not plain.fade,
    }
    assert {what for what, changed in changes.items() if changed} == {item.acts_on} & {*changes}
    if item.acts_on == "logits":
        assert item.logits(2.0, (12, 48), 1.0) > 1


def fast_frequencies_change_least_and_none_by_more_than_the_stretch(spec):
    item = EXTRAPOLATIONS.bind(spec)()
    for stretch in STRETCHES:
        for share in SHARES:
            factor = item.factor(SIZES, TURNS, stretch, share)
            assert ((factor >= 1 / stretch - 1e-12) & (factor <= 1)).all()
            assert (factor.diff() <= 1e-12).all()
            assert 1 / stretch <= item.squeeze(stretch, share) <= 1
            assert item.logits(stretch, (12, 48), share) >= 1


def with_a_share_of_none_nothing_is_left(spec):
    item = EXTRAPOLATIONS.bind(spec)()
    assert torch.equal(item.factor(SIZES, TURNS, 2.0, 0.0), torch.ones_like(SIZES))
    assert item.squeeze(2.0, 0.0) == 1


def frequencies_of_zero_and_single_ones_are_no_problem(spec):
    item = EXTRAPOLATIONS.bind(spec)()
    for size in (torch.tensor([2.0, 0.5, 0.0]), torch.tensor([0.3]), torch.zeros(2), torch.ones(3)):
        assert item.factor(size, size, 3.0, 1.0).isfinite().all()


def it_fades_from_noise_to_data_if_at_all(spec):
    share = EXTRAPOLATIONS.bind(spec)().fade(torch.linspace(0, 1, 9))
    assert share[0] == 1
    if EXTRAPOLATIONS.bind(spec)().acts_on == "time":
        assert (share.diff() < 0).all()
        assert share[-1] == 0
    else:
        assert (share == 1).all()


CHECKS = [
    the_trained_grid_and_smaller_ones_keep_their_bits,
    larger_grids_change_unless_nothing_is_done,
    each_picture_is_as_it_is_alone,
    it_acts_on_what_it_says_and_on_nothing_else,
    fast_frequencies_change_least_and_none_by_more_than_the_stretch,
    with_a_share_of_none_nothing_is_left,
    frequencies_of_zero_and_single_ones_are_no_problem,
    it_fades_from_noise_to_data_if_at_all,
]
