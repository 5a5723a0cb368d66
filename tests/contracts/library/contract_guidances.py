"""What every guidance claims, measured: its cost, when it is none, which classes it asks about."""

from collections.abc import Callable

import pytest
import torch
from golden_values import tried
from torch import Tensor

from rope_dit.guidance.base import Counted, Guidance, Network
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.registry import GUIDANCES, Part
from rope_dit.samplers.base import Velocity

B, C, H, W = 5, 3, 4, 6
NULL = 4
LABELS = torch.tensor([0, 1, 2, 3, 1])
TIMES = [torch.tensor(t, dtype=torch.float64) for t in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)]


def network(x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
    """Depends on all it is given, differently on each channel."""
    angle = (4 * t + labels)[:, None] + torch.arange(C, device=x.device)
    return x * torch.cos(angle)[..., None, None] + torch.sin(labels).view(-1, 1, 1, 1)


class Watched:
    """The network, which remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        self.calls.append((x, t, labels))
        return network(x, t, labels)


def pictures() -> Tensor:
    return torch.sin(torch.arange(B * C * H * W) * 1.3).view(B, C, H, W)


def null_of(spec: GuidanceSpec) -> int | None:
    return NULL if spec.needs_null_class else None


def velocity(spec: GuidanceSpec, network: Network, labels: Tensor = LABELS) -> Velocity:
    """Of a network, and of weaker weights that say the opposite."""
    return spec.velocity(network, labels, null_of(spec), lambda *given: -network(*given))


def for_each(check: Callable[[GuidanceSpec], None]) -> Callable[[str], None]:
    """A check of a spec and of it with other values of its options."""

    def checked(text: str) -> None:
        for spec in tried(text):
            check(spec)

    checked.__name__ = check.__name__
    return checked


def the_declarations_in_the_file_are_those_of_the_class(text: str) -> None:
    """The registry reads the class's own body only: an inherited number of evaluations would be lost."""
    made, claims = GUIDANCES.load(Part.parse(text).name), GUIDANCES[Part.parse(text).name].claims
    for key in ("evals", "needs_null_class", "needs_weak", "off"):
        assert getattr(made, key) == claims.get(key, getattr(Guidance, key)), key


def some_values_of_its_options_are_not_off(text: str) -> None:
    """Else the other checks would see nothing of it."""
    assert not all(spec.is_off for spec in tried(text))


def where_it_is_off_it_is_the_network_itself(text: str) -> None:
    name = Part.parse(text).name
    entry = GUIDANCES[name]
    if not (off := entry.claims.get("off")):
        pytest.skip("is never off")
    made = GUIDANCES.load(name)(**off)
    for t in TIMES:
        counted, x = Counted(network), pictures()
        there = made.velocity(counted, LABELS, None)(x, t)
        assert torch.equal(there, network(x, t.float().expand(B), LABELS))
        assert counted.rows == B


@for_each
def keeps_type_and_shape_and_is_finite_and_repeats_itself(spec: GuidanceSpec) -> None:
    for t in TIMES:
        x = pictures()
        first, again = (velocity(spec, network)(x, t) for _ in range(2))
        assert (first.dtype, first.shape) == (x.dtype, x.shape)
        assert first.isfinite().all()
        assert torch.equal(first, again)
        assert torch.equal(x, pictures())


@for_each
def evaluates_as_often_as_declared(spec: GuidanceSpec) -> None:
    """Where it acts; elsewhere it may cost less."""
    counts = []
    for t in TIMES:
        counted = Counted(network)
        velocity(spec, counted)(pictures(), t)
        counts.append(counted.rows / B)
    assert max(counts) == spec.evals


@for_each
def asks_about_the_classes_and_at_the_time_it_was_given(spec: GuidanceSpec) -> None:
    asked = set()
    for t in TIMES:
        watched = Watched()
        velocity(spec, watched)(pictures(), t)
        for x, t_B, labels in watched.calls:
            assert (len(x), x.shape[1:]) == (len(labels), (C, H, W))
            assert t_B.dtype == torch.float32
            assert torch.equal(t_B, t.float().expand(len(x)))
            asked |= set(labels.tolist())
    assert asked <= {*LABELS.tolist(), NULL}
    assert (NULL in asked) == spec.needs_null_class


@for_each
def one_that_needs_a_null_class_says_so(spec: GuidanceSpec) -> None:
    """Settings are refused before; then it is our mistake."""

    def evaluated() -> None:
        v = spec.velocity(network, LABELS, None, network)
        for t in TIMES:
            v(pictures(), t)

    if not spec.needs_null_class:
        return evaluated()
    with pytest.raises(AssertionError, match="null class"):
        evaluated()


@for_each
def weaker_weights_count_where_it_asks_them(spec: GuidanceSpec) -> None:
    differs = False
    for t in TIMES:
        one, other = (
            spec.velocity(network, LABELS, null_of(spec), weak)(pictures(), t)
            for weak in (network, lambda *given: -network(*given))
        )
        differs |= not torch.equal(one, other)
    assert differs == bool(spec.weak)


@for_each
def one_that_asks_weaker_weights_says_so(spec: GuidanceSpec) -> None:
    """The settings of a run without them are refused before; then it is our mistake."""
    if not spec.weak:
        return pytest.skip("asks none")
    with pytest.raises(AssertionError, match="weaker weights"):
        spec.velocity(network, LABELS, null_of(spec), None)(pictures(), TIMES[3])


@for_each
def a_picture_does_not_depend_on_its_mates(spec: GuidanceSpec) -> None:
    for t in TIMES:
        together = velocity(spec, network)(pictures(), t)
        for i in range(B):
            alone = velocity(spec, network, LABELS[i : i + 1])
            torch.testing.assert_close(alone(pictures()[i : i + 1], t)[0], together[i], rtol=0, atol=1e-5)


@for_each
def reads_nothing_back_from_the_device(spec: GuidanceSpec) -> None:
    """On the device meta there is nothing to read, and nothing of another device fits."""
    x, labels = pictures().to("meta"), LABELS.to("meta")
    for t in TIMES:
        v = velocity(spec, network, labels)(x, t)
        assert (v.device.type, v.shape) == ("meta", x.shape)


CHECKS = [
    the_declarations_in_the_file_are_those_of_the_class,
    some_values_of_its_options_are_not_off,
    where_it_is_off_it_is_the_network_itself,
    keeps_type_and_shape_and_is_finite_and_repeats_itself,
    evaluates_as_often_as_declared,
    asks_about_the_classes_and_at_the_time_it_was_given,
    one_that_needs_a_null_class_says_so,
    weaker_weights_count_where_it_asks_them,
    one_that_asks_weaker_weights_says_so,
    a_picture_does_not_depend_on_its_mates,
    reads_nothing_back_from_the_device,
]
