"""Pictures of a finished run in a file or a folder."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.cli.progress import Progress
from experiments.scoring.generate import Generator
from experiments.scoring.jobs import Job
from rope_dit.durable import replacing_folder, write_durably
from rope_dit.errors import Stopped


def sampled(
    generator: Generator, job: Job, n: int, seed: int, stop: Callable[[], bool]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The first n pictures, uint8 [n, H, W, C], and their classes [n]. Raises Stopped."""
    pictures: list[NDArray[np.uint8]] = []
    bar = Progress(f"sampling {job.sampler.slug}", n, "picture")
    for number in range(-(-n // generator.chunk)):
        if stop():
            raise Stopped
        made, _ = generator.chunk_of(number, job.sampler, job.guidance, seed)
        pictures.append(made.cpu().numpy().transpose(0, 2, 3, 1))
        bar.update(min(n, len(pictures) * generator.chunk))
    bar.close()
    labels = generator.labels(range(n), seed).cpu().numpy()
    return np.concatenate(pictures)[:n], labels


def write(out: Path, pictures: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Write uint8 [n, H, W, C] as an .npz, or as PNGs named by index and class; all of them or none."""
    if out.suffix == ".npz":
        packed = io.BytesIO()
        np.savez(packed, arr_0=pictures, arr_1=labels)
        write_durably(out, packed.getvalue())
        return
    with replacing_folder(out) as folder:
        for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
            image.save(folder / f"{i:06d}-{label}.png")
