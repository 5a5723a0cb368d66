"""What everything that ships computes from fixed inputs, reduced to a few numbers: see golden.py."""

from typing import Any

import torch
from contract_grids import grid_options
from sites import site_of
from torch import Tensor

from experiments.datasets.batches import Batches
from rope_dit.config import ModelConfig, TrainConfig
from rope_dit.densities.base import build_density
from rope_dit.errors import UserError
from rope_dit.flow import interpolate
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.model import DiT, draw
from rope_dit.pos_embed.base import Geometry
from rope_dit.pos_embed.compose import build
from rope_dit.positions.coordinates import Coordinates
from rope_dit.randomness import Numbers, Stream, integers, normal, uniform
from rope_dit.registry import (
    AVERAGES,
    COUPLINGS,
    EXTRAPOLATIONS,
    GRIDS,
    GUIDANCES,
    OBJECTIVES,
    OPTIMIZERS,
    SCHEDULES,
    SOLVERS,
    Part,
    show,
)
from rope_dit.trainer import Training, train

Values = list[Any]
"""numbers, which agree within a tolerance, and texts, which agree"""


def noise(name: str, *shape: int) -> Tensor:
    """Standard normals [shape], float64, that depend on the name alone."""
    return draw(0, Stream.NOISE, name, shape).double()


def spread(x: Tensor, count: int = 4) -> Values:
    """Reduce a tensor to `count` of its numbers, evenly spread, its sum and its mean square."""
    flat = x.detach().double().flatten()
    picked = flat[torch.linspace(0, len(flat) - 1, count, dtype=torch.float64).round().long()]
    return [*picked.tolist(), flat.sum().item(), flat.square().mean().item()]


@torch.no_grad()
def variant(name: str) -> Values:
    """Tokens and logits, on the trained grid and on another, neither of them square."""
    geometry = Geometry(32, 4, 8, 2, (5, 7))
    pos = build(name, geometry)
    pos.init_weights(lambda weight, shape: draw(0, Stream.VARIANT_WEIGHTS, weight, shape))
    values: Values = []
    for h, w in [geometry.grid, (6, 4)]:
        tokens = noise("tokens", 1, h * w, geometry.dim)
        values += spread(pos.add(site_of(geometry, (h, w), tokens), tokens))
        site = site_of(geometry, (h, w), tokens, layer=1)
        q, k = (noise(each, 1, geometry.num_heads, h * w, geometry.head_dim) for each in ("queries", "keys"))
        bias = pos.bias(site, q, k)
        q, k = pos.rotate(site, q, k)
        logits = q @ k.transpose(-1, -2)
        values += spread(logits if bias is None else logits + bias)
    return values


def position(name: str) -> Values:
    """Rows and columns of a first and a last picture, on the trained grid and on another, moved and not."""
    coordinates = Coordinates(name, (5, 7))
    values: Values = []
    for grid in [(5, 7), (8, 4)]:
        drawn = uniform(0, Stream.POSITION, torch.arange(3), coordinates.num_moves(grid))
        for places in (coordinates(grid), coordinates(grid, moves_BN=drawn)):
            values += [number for axis in (places.rows, places.columns) for number in spread(axis)]
    return values


def extrapolation(name: str) -> Values:
    """What it multiplies frequencies, coordinates and logits by, in full and by half, and how it fades."""
    made, size = EXTRAPOLATIONS.load(name)(), 0.5 ** torch.arange(-4, 4, dtype=torch.float64)
    values: Values = made.fade(torch.linspace(0, 1, 5, dtype=torch.float64)).tolist()
    for stretch, share in [(2.5, 1.0), (2.5, 0.5), (1.25, 1.0)]:
        values += made.factor(size, 4 * size, stretch, share).tolist()
        values += [made.squeeze(stretch, share), made.logits(stretch, (35, 120), share)]
    return values


def solver(name: str) -> Values:
    """Where x' = cos(4t) x + sin(x) / 10 ends after 7 steps, each longer than the one before."""

    def v(x: Tensor, t: Tensor) -> Tensor:
        return torch.cos(4 * t) * x + torch.sin(x) / 10

    def chance(step: int, x: Tensor) -> Tensor:
        drawn = normal(0, Stream.SDE_NOISE, torch.tensor([step]), x.numel())
        return drawn.view(x.shape).to(x)

    times = torch.linspace(0, 1, 8, dtype=torch.float64) ** 1.25
    end: Tensor = SOLVERS.load(name)().integrate(v, noise("start", 2, 1, 2, 2), times, chance)
    return end.flatten().tolist()


def grid(name: str) -> Values:
    """The times of 7 steps, or those that it has of its own."""
    options = grid_options(name)
    times: Tensor = GRIDS.load(name)(len(options["times"]) - 1 if "times" in options else 7, **options)
    return times.tolist()


def tried(text: str) -> list[GuidanceSpec]:
    """A guidance as it is, and with each number doubled and halved where that may be."""
    given = Part.parse(text)
    found = [GuidanceSpec.parse(text)]
    for option in GUIDANCES[given.name].options.values():
        if option.type not in (int, float) or option.name in dict(given.options):
            continue
        for value in (option.default * 2, option.type(option.default / 2)):
            more = Part(given.name, (*given.options, (option.name, show(value))))
            try:
                spec = GuidanceSpec.parse(str(more))
                spec.build()
            except UserError:  # out of range
                continue
            found.append(spec)
    return list(dict.fromkeys(found))


@torch.no_grad()
def guidance(name: str) -> Values:
    """Velocities at a beginning, in the middle and at the end, with each number doubled and halved."""
    labels, x = torch.tensor([0, 2]), noise("start", 2, 2, 2, 3)

    def network(x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        angle = 4 * t.double() + labels
        return torch.cos(angle).view(-1, 1, 1, 1) * x + torch.sin(x) / 10

    values: Values = []
    for spec in tried(name):
        v = spec.velocity(network, labels, 3, lambda x, t, labels: network(x, t / 2, labels))
        values += [number for t in (0.0, 0.375, 1.0) for number in spread(v(x, torch.tensor(t)))]
    return values


def stream(name: str) -> Values:
    """Eight integers and eight normals."""
    at = torch.tensor([2**40 + 5])
    return [
        number for how in (integers, normal) for number in how(2**35 + 3, Stream[name], at, 8)[0].tolist()
    ]


def pictures(n: int, channels: int, height: int, width: int) -> Tensor:
    """Pictures [n, channels, height, width], uint8."""
    drawn = integers(0, Stream.EVAL_NOISE, torch.arange(n), channels * height * width) % 256
    return drawn.to(torch.uint8).view(n, channels, height, width)


SMALL: dict[str, Any] = {"dim": 16, "depth": 2, "num_heads": 2}
EXACT: dict[str, Any] = {
    "steps": 20,
    "batch": 8,
    "precision": "fp32",
    "compile": "off",
    "threads": 1,
    "log_every": 1,
}
RUNS = {
    "plain": ("sincos2d", ModelConfig(**SMALL), TrainConfig(**EXACT, lr=2e-3, warmup_steps=2)),
    "flipped": (
        "learned+rope2d",
        ModelConfig(
            **SMALL,
            patch=1,
            mlp_ratio=3.0,
            mlp="swiglu",
            norm="rmsnorm",
            qk_norm=True,
            adaln="shared",
            conditional=False,
        ),
        TrainConfig(
            **EXACT,
            lr=5e-3,
            schedule="constant",
            warmup_steps=3,
            beta2=0.9,
            weight_decay=0.1,
            clip=0.5,
            averages=("warmup:decay=0.5",),
            density="uniform",
            decay_tables=True,
            label_dropout=0.3,
            flip=True,
        ),
    ),
    # what came after the first two were recorded
    "placed": (
        "rope2d",
        ModelConfig(**SMALL, registers=3, positions="centered+interpolate+shift"),
        TrainConfig(**EXACT, lr=2e-3, warmup_steps=2),
    ),
}
"""the settings as they come, and every one of them another way, so that no branch is left out"""


def network(name: str, variant: str) -> DiT:
    """The model of a run, for pictures of 1 x 4 x 6."""
    _, model, config = RUNS[name]
    has_null_class = config.label_dropout > 0
    dit = DiT(model, variant, channels=1, image_size=(4, 6), num_classes=3, null_class=has_null_class)
    dit.init_weights(0)
    return dit


@torch.no_grad()
def velocity(name: str) -> Values:
    """What the model returns in float64, with weights that leave nothing out.

    Tokens, queries and keys are so small that the norms' eps counts. So is the time, because in float32 the
    cosine of 1000 differs between machines in the fifth digit.
    """
    dit = network(name, "learned+rope2d").double()
    for weight, p in dit.named_parameters():
        p.copy_(0.5 * noise(weight, *p.shape))
        if weight.endswith(("qkv.weight", "qkv.bias")):
            p[: 2 * dit.config.dim] *= 1e-3
        if weight.startswith(("patchify", "pos_embed")):
            p *= 1e-3
    t_B = torch.tensor([0.0003, 0.0021], dtype=torch.float64)
    values = spread(dit(noise("pictures", 2, 1, 4, 6), t_B, torch.tensor([0, 3])), 8)
    return values + spread(dit(noise("larger", 2, 1, 4, 8), t_B, torch.tensor([1, 2])), 8)


def objective(name: str) -> Values:
    """Losses and velocities of each pair of prediction and loss, float64, at t from 0 to 1."""
    x0, x1, out = (noise(text, 5, 1, 2, 2) for text in ("noise", "picture", "output"))
    t_B = torch.tensor([0.0, 0.03, 0.4, 0.98, 1.0], dtype=torch.float64)
    x_t = interpolate(x0, x1, t_B)
    values: list[Any] = []
    for spec in [*OBJECTIVES[name].specs(), f"{name}:cosine=0.5"]:
        made = OBJECTIVES.bind(spec)()
        values += made.losses(out, x_t, x0, x1, t_B).tolist() + spread(made.velocity(out, x_t, t_B))
    return values


def density(name: str) -> Values:
    """Times of two steps, and quantiles."""
    made, numbers = build_density(name), Numbers(0, Stream.TIME, torch.arange(2))
    u = torch.linspace(0.01, 0.99, 9, dtype=torch.float64)
    return made.draw(numbers, 8).flatten().tolist() + made.quantile(u).tolist()


def coupling(name: str) -> Values:
    """Which noise goes with each of twelve pictures."""
    images, made_up = noise("pictures", 12, 1, 2, 2).float(), noise("noise", 12, 1, 2, 2).float()
    numbers = Numbers(0, Stream.COUPLING, torch.zeros(1, dtype=torch.int64))
    values: list[Any] = []
    for spec in COUPLINGS[name].specs():
        order = COUPLINGS.bind(spec)().pair(images, torch.arange(12) % 3, made_up, numbers)
        values += list(range(12)) if order is None else order.tolist()
    return values


def optimizer(name: str) -> Values:
    """Squares of the weights after five steps with made-up gradients."""
    dit = network("plain", "learned")
    weights = dict(dit.named_parameters())
    made = OPTIMIZERS.bind(name)(weights, TrainConfig(weight_decay=0.1))
    for step in range(5):
        for weight, p in weights.items():
            p.grad = noise(f"{weight}{step}", *p.shape).float()
        made.step(lambda highest: highest, torch.zeros(()))
    return [p.detach().double().square().sum().item() for p in weights.values()]


def schedule(name: str) -> Values:
    """Shares of the highest rate along the training."""
    return [float(SCHEDULES.bind(name)(i / 16)) for i in range(16)]


def average(name: str) -> Values:
    """How far the average moves in some steps."""
    return [float(AVERAGES.bind(name)(step)) for step in (0, 1, 2, 10, 100, 1000, 100_000)]


def training(name: str) -> Values:
    """The first 20 losses; after them the squares of the weights and of their averages, and a velocity.

    The velocity has a sign: with all targets turned around, losses and squares are the same.
    """
    variant, _, config = RUNS[name]
    state = Training.fresh(network(name, variant), config)
    batch = Batches(pictures(30, 1, 4, 6), torch.arange(30) % 3, batch=config.batch, seed=0, flip=config.flip)
    losses = [state.curves()["train/loss"] for _ in train(state, batch, seed=0, until=config.steps)]
    averages = [average for profile in state.ema.profiles.values() for average in profile]
    squares = [
        sum(w.detach().double().square().sum().item() for w in weights)
        for weights in (state.model.parameters(), averages)
    ]
    with torch.no_grad():
        v = state.model(noise("pictures", 2, 1, 4, 6).float(), torch.full((2,), 0.5), torch.tensor([0, 3]))
    return [*losses, *squares, *spread(v)]
