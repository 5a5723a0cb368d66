"""Write pictures of a finished run, as an .npz for the ADM evaluation suite or as a folder of PNGs.

Example: python -m experiments.sample runs/rope2d-s0-1f00c4d2 --n 50000 --out samples.npz
The .npz has `arr_0`, uint8 [n, H, W, C], and `arr_1`, the class of each picture.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from experiments.cli import OK, StopFlag, main, parse
from experiments.finished import open_run, read_config
from experiments.progress import Progress
from rope_dit.checkpoint import write_durably
from rope_dit.config import check
from rope_dit.errors import Stopped, UserError
from rope_dit.samplers.spec import SamplerSpec


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Which pictures to write."""

    run: Annotated[Path, tyro.conf.Positional]
    """run folder"""
    out: Path
    """FILE.npz, or a new folder for PNGs"""
    n: int = 1000
    """how many"""
    sampler: str = ""
    """sampler spec; the run's first one if left out"""
    guidance: float = 1.0
    """classifier-free guidance weight"""
    sampling_seed: int = 0
    """seed of noise and classes"""

    def __post_init__(self) -> None:
        check(self.n >= 1, "n", self.n, "at least 1")
        check(self.sampling_seed >= 0, "sampling-seed", self.sampling_seed, "0 or more")
        check(0 <= self.guidance < 1e3, "guidance", self.guidance, "a weight from 0 to 1000")
        if self.out.exists():
            raise UserError(f"--out {self.out} exists already; choose another or remove it.")
        if not self.out.absolute().parent.is_dir():
            raise UserError(f"--out {self.out}: its folder does not exist.")


def command(args: list[str], stop: StopFlag) -> int:
    """Sample and write; returns the exit code."""
    wanted = parse(SampleConfig, None, args, "python -m experiments.sample", __doc__)
    config = read_config(wanted.run)
    sampler = SamplerSpec.parse(wanted.sampler or config.eval.samplers[0])
    _, scorer, _ = open_run(wanted.run, config.eval, stop)
    generator = scorer.generator
    if wanted.guidance != 1 and generator.model.null_label is None:
        raise UserError(f"guidance got {wanted.guidance:g}, but this model has no null class; expected 1.")
    pictures = []
    bar = Progress(f"sampling {sampler.slug}", wanted.n, "picture")
    for number in range(-(-wanted.n // generator.chunk)):
        if stop():
            raise Stopped
        made, _ = generator.chunk_of(number, sampler, wanted.guidance, (0.0, 1.0), wanted.sampling_seed)
        pictures.append(made.cpu().numpy().transpose(0, 2, 3, 1))
        bar.update(min(wanted.n, len(pictures) * generator.chunk))
    bar.close()
    labels = generator.labels(range(wanted.n), wanted.sampling_seed).cpu().numpy()
    write(wanted.out, np.concatenate(pictures)[: wanted.n], labels)
    print(f"{wanted.n} pictures in {wanted.out}")
    return OK


def write(out: Path, pictures: np.ndarray, labels: np.ndarray) -> None:
    """Write uint8 [n, H, W, C] as an .npz, or as PNGs named by index and class."""
    if out.suffix == ".npz":
        packed = io.BytesIO()
        np.savez(packed, arr_0=pictures, arr_1=labels)
        write_durably(out, packed.getvalue())
        return
    from PIL import Image

    out.mkdir()
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(out / f"{i:06d}-{label}.png")


if __name__ == "__main__":
    main(command)
