"""What holds of every positional embedding: its claims, for all weights, on grids that are not square."""

import math

import pytest
import torch
from measured_variants import (
    DEPTH,
    DIFFERENT,
    DIM,
    HEAD_DIM,
    HEADS,
    SAME,
    SITES,
    TRAINED,
    built,
    change,
    effects,
    hold,
    logits,
    make,
    mixing,
    noise,
    normals,
)
from sites import site_of
from torch import Tensor
from torch.nn import functional as F

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, PosEmbed
from rope_dit.pos_embed.rotation import Turning
from rope_dit.registry import POS_EMBEDS, POSITIONS, Part, show


def is_relative_where_it_claims_so(spec):
    for grid, layer in SITES:
        pos = make(spec, grid)
        all_logits = logits(pos, grid, layer)
        down = change(all_logits[:, :-1, :, :-1, :], all_logits[:, 1:, :, 1:, :])
        right = change(all_logits[:, :, :-1, :, :-1], all_logits[:, :, 1:, :, 1:])
        hold(pos.relative, max(down, right), "relative")


def sees_the_axes_that_it_claims(spec):
    for grid, layer in SITES:
        pos = make(spec, grid)
        all_logits = logits(pos, grid, layer)
        for dim, axis in ((3, "row"), (4, "column")):
            if all_logits.shape[dim] > 1:
                spread = float((all_logits.amax(dim) - all_logits.amin(dim)).detach().max())
                hold(axis not in pos.sees, spread, f"not to see the {axis}")


def outputs_are_relative_where_logits_are(spec):
    """Values that turn and are turned back must not tell where a token is."""
    for grid, layer in SITES:
        pos = make(spec, grid)
        if not pos.relative or type(pos).value is PosEmbed.value:
            pytest.skip("not relative, or values stay as they are")
        all_values = mixing(pos, grid, layer)
        assert change(all_values[:, :-1, :, :-1, :], all_values[:, 1:, :, 1:, :]) < SAME
        assert change(all_values[:, :, :-1, :, :-1], all_values[:, :, 1:, :, 1:]) < SAME


def is_symmetric_where_it_claims_so(spec):
    pos = make(spec)
    for layer in range(DEPTH):
        all_logits = logits(pos, (5, 7), layer)
        down = torch.stack([all_logits[:, r, c, r + 1, c] for r in range(4) for c in range(4)])
        right = torch.stack([all_logits[:, r, c, r, c + 1] for r in range(4) for c in range(4)])
        hold(pos.symmetric, change(down, right), "symmetric")


def extrapolates_where_it_claims_so(spec):
    for grid, layer in SITES:
        pos = make(spec, grid)
        (h, w), large = grid, (grid[0] + 2, grid[1] + 3)
        difference = change(logits(pos, grid, layer), logits(pos, large, layer)[:, :h, :w, :h, :w])
        if h > 1 or pos.extrapolates:  # in a single row some variants extrapolate by accident
            hold(pos.extrapolates, difference, "extrapolates")


def depends_on_t_where_it_claims_so(spec):
    pos = make(spec)
    early, late = (logits(pos, (5, 7), 1, t) for t in (0.1, 0.8))
    hold(not pos.depends_on_t, change(early, late), "not to depend on t")


def without_the_claim_to_use_coordinates_it_uses_none(spec):
    """Runs that differ in `model.positions` alone are then one run."""
    pos = make(spec)
    if pos.uses_coordinates:
        pytest.skip("may use coordinates")
    other = make(spec, positions="normalized:by=max")
    for layer in range(DEPTH):
        assert change(logits(pos, (5, 7), layer), logits(other, (5, 7), layer)) < SAME


def no_two_tokens_are_in_one_place_wherever_they_are(spec):
    """Where a variant cannot have that, it refuses the positions."""
    if not make(spec).uses_coordinates:
        pytest.skip("uses no coordinates")
    for positions in (each for entry in POSITIONS for each in entry.specs()):
        try:
            pos = make(spec, positions=positions)
        except UserError:
            continue
        if len(pos.sees) == 2:
            to_keys = logits(pos, (5, 7)).flatten(3, 4).flatten(0, 2)
            assert torch.pdist(to_keys.T).min() > DIFFERENT, positions


def some_tokens_have_the_logits_that_they_have_among_all(spec):
    pos = make(spec)
    if pos.needs_grid:
        pytest.skip("claims to need the whole grid")
    chosen = torch.tensor([1, 8, 9, 20, 33])
    for layer in range(DEPTH):
        whole = logits(pos, (5, 7), layer).flatten(3, 4).flatten(1, 2)
        some = logits(pos, (5, 7), layer, chosen=chosen)
        assert change(some, whole[:, chosen][:, :, chosen]) < SAME


def hooks_keep_shapes_on_every_grid(spec):
    for trained in TRAINED:
        pos = make(spec, trained)
        for grid in [trained, (5, 7), (1, 6), (6, 1), (8, 3), (1, 1)]:
            tokens = grid[0] * grid[1]
            x, (q, k, v) = noise(2, tokens, DIM).float(), noise(3, 2, HEADS, tokens, HEAD_DIM).float()
            here = site_of(pos.geometry, grid, x)
            added, (turned_q, turned_k) = pos.add(here, x), pos.rotate(here, q, k)
            values, bias = pos.value(here, v), pos.bias(here, q, k)
            assert added.shape == x.shape
            assert turned_q.shape == turned_k.shape
            assert turned_q.shape[:3] == q.shape[:3]
            assert pos.output(here, values).shape == v.shape
            assert bias is None or bias.shape in ((1, HEADS, tokens, tokens), (2, HEADS, tokens, tokens))
            outputs = [added, turned_q, turned_k, values, *([] if bias is None else [bias])]
            assert all(torch.isfinite(out).all() for out in outputs)


def hooks_keep_types(spec):
    pos = make(spec)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        for grid in [(5, 7), (3, 4)]:
            tokens = grid[0] * grid[1]
            x, (q, k) = noise(1, tokens, DIM).to(dtype), noise(2, 1, HEADS, tokens, HEAD_DIM).to(dtype)
            here = site_of(pos.geometry, grid, x)
            assert pos.add(here, x).dtype == dtype
            bias, values = pos.bias(here, q, k), pos.value(here, k)
            assert (values.dtype, pos.output(here, values).dtype) == (dtype,) * 2
            q, k = pos.rotate(here, q, k)
            assert (q.dtype, k.dtype) == (dtype,) * 2
            assert F.scaled_dot_product_attention(q, k, k, attn_mask=bias).dtype == dtype


def hooks_do_not_change_their_inputs(spec):
    pos = make(spec)
    x, q, k = noise(1, 35, DIM), *noise(2, 1, HEADS, 35, HEAD_DIM)
    copies, here = [tensor.clone() for tensor in (x, q, k)], site_of(pos.geometry, None, x)
    pos.add(here, x), pos.rotate(here, q, k), pos.bias(here, q, k), pos.output(here, pos.value(here, k))
    assert all(torch.equal(*pair) for pair in zip(copies, (x, q, k), strict=True))


def another_value_each(name: str) -> list[str]:
    """A variant with another value of one option, for each of those that have no list of values, or two."""
    found = []
    for option in POS_EMBEDS[name].options.values():
        if option.type is bool:
            found.append(f"{name}:{option.name}={show(not option.default)}")
        elif option.type is not str:
            for value in {2 * option.default + 1, option.default / 2, 2 * option.default} - {option.default}:
                other = f"{name}:{option.name}={show(option.type(value))}"
                try:
                    make(other)
                except UserError:  # out of range
                    continue
                found.append(other)
                break
    return found


def instances_with_other_options_share_nothing(spec):
    name = Part.parse(spec).name
    if spec != name:
        pytest.skip("tried once a variant")
    for other in another_value_each(name):
        for specs in ((name, other), (other, name)):
            made = {each: make(each) for each in specs}
            before = {each: (effects(pos, (5, 7)), effects(pos, (6, 8))) for each, pos in made.items()}
            assert change(before[name][0], before[other][0]) > DIFFERENT
            assert change(before[name][1], before[other][1]) > DIFFERENT
            again = {each: effects(made[each], (5, 7)) for each in reversed(specs)}
            assert all(torch.equal(again[each], before[each][0]) for each in specs)


@torch.no_grad()
def initial_weights_are_functions_of_seed_and_name(spec):
    def weights(seed: int) -> dict[str, Tensor]:
        names: list[str] = []

        def normal(name: str, shape: tuple[int, ...]) -> Tensor:
            names.append(name)
            return normals(seed)(name, shape)

        pos = built(spec, Geometry(DIM, HEADS, HEAD_DIM, DEPTH, (5, 7), ""))
        for p in pos.parameters():
            p.fill_(math.nan)
        pos.init_weights(normal)
        assert len(set(names)) == len(names), f"two weights draw under one name: {names}"
        return dict(pos.named_parameters())

    a, b, other = weights(0), weights(0), weights(1)
    assert all(torch.isfinite(p).all() for p in a.values()), "init_weights left a weight unset"
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert all(not torch.equal(a[name], other[name]) or a[name].unique().numel() == 1 for name in a)


def gradients_reach_all_weights(spec):
    for grid in [(5, 7), (6, 8)]:
        pos = make(spec)
        if list(pos.parameters()):
            torch.stack([logits(pos, grid, layer) for layer in range(DEPTH)]).square().sum().backward()
        for name, p in pos.named_parameters():
            assert p.grad is not None, name
            assert torch.isfinite(p.grad).all(), name
            assert p.grad.abs().sum() > 0, name


def state_holds_learned_weights_only(spec):
    pos = make(spec)
    assert pos.state_dict().keys() == dict(pos.named_parameters()).keys()


def can_be_built_without_memory_for_its_weights(spec):
    with torch.device("meta"):
        pos = built(spec, Geometry(DIM, HEADS, HEAD_DIM, DEPTH, (5, 7), ""))
    assert all(p.is_meta for p in pos.parameters())


def runs_on_the_device_meta(spec):
    """Where a model's operations are counted: there are no numbers, and no autocast."""
    grid, tokens = (5, 7), 35
    pos, device = make(spec).to("meta"), torch.device("meta")
    x, (q, k, v) = noise(2, tokens, DIM).to(device), noise(3, 2, HEADS, tokens, HEAD_DIM).to(device)
    for layer in range(DEPTH):
        here = site_of(pos.geometry, grid, x, layer=layer)
        pos.bias(here, q, k)
        pos.rotate(here, q, k)
        assert pos.output(here, pos.value(here, v)).shape == v.shape
        assert pos.add(here, x).is_meta


def rotations_keep_norms_and_leave_the_origin(spec):
    pos = make(spec)
    if not isinstance(pos, Turning) or pos.geometry.positions != "index" or not pos.keeps_norms:
        pytest.skip("turns nothing by angles, or no token is at the origin")
    for grid in [(5, 7), (9, 2)]:
        pos, (q, k) = make(spec), noise(2, 1, HEADS, grid[0] * grid[1], HEAD_DIM)
        turned_q, turned_k = pos.rotate(site_of(pos.geometry, grid), q, k)
        torch.testing.assert_close(turned_q.norm(dim=-1), q.norm(dim=-1), rtol=1e-6, atol=0)
        torch.testing.assert_close(turned_k.norm(dim=-1), k.norm(dim=-1), rtol=1e-6, atol=0)
        assert torch.equal(turned_q[:, :, 0], q[:, :, 0])
        assert change(turned_q[:, :, 1:], q[:, :, 1:]) > DIFFERENT


CHECKS = [
    is_relative_where_it_claims_so,
    sees_the_axes_that_it_claims,
    outputs_are_relative_where_logits_are,
    is_symmetric_where_it_claims_so,
    extrapolates_where_it_claims_so,
    depends_on_t_where_it_claims_so,
    without_the_claim_to_use_coordinates_it_uses_none,
    no_two_tokens_are_in_one_place_wherever_they_are,
    some_tokens_have_the_logits_that_they_have_among_all,
    hooks_keep_shapes_on_every_grid,
    hooks_keep_types,
    hooks_do_not_change_their_inputs,
    instances_with_other_options_share_nothing,
    initial_weights_are_functions_of_seed_and_name,
    gradients_reach_all_weights,
    state_holds_learned_weights_only,
    can_be_built_without_memory_for_its_weights,
    runs_on_the_device_meta,
    rotations_keep_norms_and_leave_the_origin,
]
