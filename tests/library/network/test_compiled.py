"""The loss compiles in one piece, and once: nothing breaks the graph, nothing of a step compiles it anew.

Traced by Dynamo and autograd's tracer, without the compiler of machine code, which is what takes long.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from tiny import CONFIG, batch

from rope_dit import flow
from rope_dit.config import ModelConfig
from rope_dit.draws import Inputs
from rope_dit.errors import UserError
from rope_dit.model import DiT
from rope_dit.registry import OBJECTIVES, POS_EMBEDS

STEPS = 4
NETWORKS = [{"mlp": "swiglu"}, {"norm": "rmsnorm"}, {"qk_norm": True}, {"adaln": "shared"}]
NETWORKS += [{"conditional": False}]


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """What one case compiled must not serve the next."""
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        yield
    torch._dynamo.reset()


def dit(variant="learned+rope2d", **settings):
    config = ModelConfig(dim=16, depth=1, num_heads=2, mlp_ratio=2, **settings)
    model = DiT(config, variant, channels=1, image_size=(4, 6), num_classes=2, null_class=True)
    model.init_weights(0)
    return model


def steps():
    """Inputs of some steps; the last times are those at both ends."""
    inputs = Inputs(CONFIG, batch, 0)
    for step in range(STEPS):
        images, labels, draw = inputs(step)
        yield images, labels, draw
    for end in (0.0, 1.0):
        yield images, labels, replace(draw, t_B=torch.full_like(draw.t_B, end))


def check(model, objective="velocity", loss=flow.loss, between=lambda: None):
    """Steps with a backward pass give in the compiled loss what they give in the plain one."""
    bound, weights = OBJECTIVES.bind(objective)(), list(model.parameters())
    fast = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for images, labels, draw in steps():
        args = model, bound, images, labels, draw, model.null_label
        got, expected = fast(*args), loss(*args)
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
        gradients = torch.autograd.grad(got[0].mean(), weights, allow_unused=True, materialize_grads=True)
        with torch.no_grad():
            torch._foreach_sub_(weights, torch._foreach_sign(gradients), alpha=0.01)  # however large they are
        between()


ONE_OF_EACH_HOOK = ("learned", "conv", "rope2d", "relative_bias")


def variants() -> Iterator[object]:
    """Each as it is, and with each value of its options that can be listed; one of each hook is quick."""
    for entry in POS_EMBEDS:
        for spec in entry.specs():
            yield pytest.param(spec, marks=[] if spec in ONE_OF_EACH_HOOK else [pytest.mark.slow])


@pytest.mark.parametrize("variant", list(variants()))
def test_every_variant(variant):
    try:
        model = dit(variant)
    except UserError:  # it wants other positions than indices
        model = dit(variant, positions="normalized:by=max")
    check(model)


def objectives():
    """Each with each value of its options that can be listed, and with the direction in the loss."""
    for entry in OBJECTIVES:
        yield from entry.specs()
        yield from (f"{entry.name}:{name}=0.5" for name in entry.options if name == "cosine")


@pytest.mark.parametrize(
    "objective",
    [
        pytest.param(o, marks=[] if o in ("x", "velocity:cosine=0.5") else pytest.mark.slow)
        for o in objectives()
    ],
)
def test_every_objective(objective):
    check(dit(), objective)


@pytest.mark.parametrize(
    "settings", [NETWORKS[0], *(pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS[1:])], ids=str
)
def test_every_network(settings):
    check(dit(**settings))


def test_a_break_in_the_graph_is_found():
    def breaks(*args):
        losses = flow.loss(*args)
        return losses * (1 if losses.sum() > 0 else 2)

    with pytest.raises(torch._dynamo.exc.Unsupported):
        check(dit(), loss=breaks)


def test_what_compiles_anew_in_each_step_is_found():
    model, numbers = dit(), [1.5, 2.5]

    def changes(*args):
        return flow.loss(*args) * numbers[0]

    with pytest.raises(torch._dynamo.exc.RecompileError):
        check(model, loss=changes, between=numbers.reverse)
