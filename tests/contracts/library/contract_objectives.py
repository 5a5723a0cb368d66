"""What holds of every objective: one velocity whatever is predicted, and finite losses at both ends of t."""

import tiny
import torch
from other_numbers import numbers_count, others

from rope_dit.draws import Draws
from rope_dit.flow import interpolate, loss, target
from rope_dit.registry import OBJECTIVES


def made(spec):
    return OBJECTIVES.bind(spec)()


def pair(count):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(count, 2, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))


def an_exact_network_gives_the_velocity(spec):
    t_B = torch.linspace(0.05, 0.95, 13, dtype=torch.float64)
    x0, x1 = pair(13)
    got = made(spec).velocity(made(spec).truth(x0, x1), interpolate(x0, x1, t_B), t_B)
    torch.testing.assert_close(got, target(x0, x1), rtol=0, atol=1e-5)


def an_exact_network_has_no_loss_and_another_has(spec):
    t_B, (x0, x1), one = torch.linspace(0.1, 0.9, 5, dtype=torch.float64), pair(5), made(spec)
    x_t, truth = interpolate(x0, x1, t_B), one.truth(x0, x1)
    assert one.losses(truth.float(), x_t, x0, x1, t_B).abs().max() < 1e-6
    assert one.losses(truth.float() + 0.1, x_t, x0, x1, t_B).min() > 1e-5


def losses_and_gradients_are_finite_at_both_ends(spec):
    t_B, (x0, x1) = torch.tensor([0.0, 1e-7, 1 - 1e-7, 1.0], dtype=torch.float64), pair(4)
    for out in (torch.zeros_like(x0), 3 * torch.sin(5 * x0 + x1)):
        out.requires_grad_()
        losses = made(spec).losses(out, interpolate(x0, x1, t_B), x0, x1, t_B)
        losses.sum().backward()
        assert losses.shape == (4,)
        assert losses.isfinite().all()
        assert out.grad.isfinite().all()
        assert made(spec).velocity(out, interpolate(x0, x1, t_B), t_B).isfinite().all()


def so_are_those_of_a_network_whose_gates_are_open(spec):
    """A fresh network outputs zeros, and its blocks' gates are closed: it would prove nothing."""
    model, (x1, labels) = tiny.model(), tiny.batch(0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator))
    t_B = torch.tensor([0.0, 1.0, 1e-7, 1 - 1e-7, 0.0, 1.0])
    draw = Draws(t_B, torch.randn(x1.shape, generator=generator), labels > 1)
    losses = loss(model, made(spec), x1, labels, draw, model.null_label)
    losses[0].sum().backward()
    assert losses.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert max(float(p.grad.abs().max()) for p in model.parameters()) > 0


def its_numbers_count(spec):
    t_B, (x0, x1) = torch.tensor([0.0, 0.02, 0.5, 0.98, 1.0], dtype=torch.float64), pair(5)
    x_t, out = interpolate(x0, x1, t_B), torch.sin(5 * x0 + x1)

    def computed(text):
        one = made(text)
        return one.losses(out, x_t, x0, x1, t_B).tolist() + one.velocity(out, x_t, t_B).flatten().tolist()

    numbers_count(OBJECTIVES, spec, computed)


def the_velocity_s_error_is_kept_back_only_where_it_is_the_loss(spec):
    """Also with another weight of the direction, and whatever the network says."""
    t_B, (x0, x1) = torch.linspace(0.1, 0.9, 5, dtype=torch.float64), pair(5)
    x_t, out = interpolate(x0, x1, t_B), torch.sin(5 * x0 + x1)
    for one in (made(spec), *others(OBJECTIVES, spec, made).values()):
        error = (one.velocity(out, x_t, t_B) - target(x0, x1)).square().flatten(1).mean(1)
        if one.trains_velocity:
            torch.testing.assert_close(one.losses(out, x_t, x0, x1, t_B), error, rtol=0, atol=1e-5)


CHECKS = [
    an_exact_network_gives_the_velocity,
    an_exact_network_has_no_loss_and_another_has,
    losses_and_gradients_are_finite_at_both_ends,
    so_are_those_of_a_network_whose_gates_are_open,
    its_numbers_count,
    the_velocity_s_error_is_kept_back_only_where_it_is_the_loss,
]
