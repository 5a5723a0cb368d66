"""Named starting points; every field can be overridden on the command line."""

from experiments.config.run import DataConfig, EvalConfig, RunConfig
from rope_dit.config import ModelConfig, TrainConfig
from rope_dit.errors import UserError, nearest

_CIFAR = ModelConfig(dim=256, depth=6, num_heads=8, patch=4)
_CIFAR_TRAIN = TrainConfig(
    steps=100_000, batch=128, lr=3e-4, schedule="constant", warmup_steps=1000, beta2=0.99,
    averages=("warmup:decay=0.9999",), flip=True, log_every=100, save_seconds=60.0,
)  # fmt: skip
_CIFAR_EVAL = EvalConfig(
    samplers=("euler:steps=50", "heun:steps=25"),
    n=(10_000,),
    extractor="cifar10",
    every=20_000,
    every_n=2_000,
)

PRESETS = {
    "digits": RunConfig(),
    "smoke": RunConfig(
        preset="smoke",
        model=ModelConfig(dim=16, depth=2, num_heads=2),
        train=TrainConfig(steps=20, batch=32, warmup_steps=2, averages=("warmup:decay=0.9",), log_every=5),
        eval=EvalConfig(samplers=("euler:steps=4", "heun:steps=2"), n=(100,), chunk=25, every=10, every_n=50),
    ),
    # places are decided near noise, so most times and most steps are there
    "layout": RunConfig(
        preset="layout",
        data=DataConfig(name="layout"),
        train=TrainConfig(
            steps=1400,
            batch=32,
            lr=4e-3,
            optimizer="muon:lr=0.04",
            density="logit_normal:mean=-1",
            warmup_steps=50,
        ),
        eval=EvalConfig(samplers=("euler:steps=25,grid=shifted",), extractor="layout"),
    ),
    "cifar10-small": RunConfig(
        preset="cifar10-small",
        data=DataConfig(name="cifar10"),
        model=ModelConfig(patch=4),
        train=TrainConfig(
            steps=1500, batch=32, optimizer="muon", averages=("warmup:decay=0.999",), flip=True
        ),
        eval=EvalConfig(samplers=("euler:steps=25",), n=(5000,), extractor="cifar10"),
    ),
    "cifar10": RunConfig(
        preset="cifar10", data=DataConfig(name="cifar10"), model=_CIFAR, train=_CIFAR_TRAIN, eval=_CIFAR_EVAL
    ),
    # the project this one grew out of, as published: narrower MLP, text's RoPE base, Euler with guidance 3
    "original": RunConfig(
        preset="original",
        variant="rope2d:theta=10000",
        data=DataConfig(name="cifar10"),
        model=ModelConfig(dim=256, depth=6, num_heads=8, patch=4, mlp_ratio=2.0),
        train=_CIFAR_TRAIN,
        eval=EvalConfig(
            samplers=("euler:steps=100",),
            guidances=("cfg:weight=3",),
            n=(10_000,),
            extractor="cifar10",
            every=20_000,
            every_n=2_000,
        ),
    ),
    # patch 2, width 512, depth 13: the size of U-ViT-S/2: FID 3.1 on CIFAR-10 (arXiv:2209.12152)
    "cifar10-large": RunConfig(
        preset="cifar10-large",
        data=DataConfig(name="cifar10"),
        model=ModelConfig(dim=512, depth=13, num_heads=8, patch=2),
        train=TrainConfig(
            steps=500_000,
            batch=128,
            lr=2e-4,
            schedule="constant",
            warmup_steps=2500,
            beta2=0.99,
            weight_decay=0.03,
            averages=("warmup:decay=0.9999",),
            flip=True,
            log_every=100,
            save_seconds=120.0,
        ),
        eval=EvalConfig(
            samplers=("heun:steps=50", "dopri5"),
            n=(50_000,),
            extractor="inception",
            every=50_000,
            every_n=5_000,
        ),
    ),
}


def preset(name: str) -> RunConfig:
    """The preset of that name. Raises UserError where there is none."""
    if name not in PRESETS:
        known = f"expected one of {', '.join(PRESETS)}"
        raise UserError(f"unknown preset '{name}', {known}.{nearest(name, list(PRESETS))}")
    return PRESETS[name]
