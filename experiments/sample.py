"""Write pictures of a finished run, as an .npz for the ADM evaluation suite or as a folder of PNGs.

The .npz has `arr_0`, uint8 [n, H, W, C], and `arr_1`, the class of each picture. With the run's own sampler,
guidance and sampling seed these are the pictures that it scored. With --size they are of another size, and
--extrapolation says what is done about places beyond the trained ones.

  python -m experiments.sample runs/rope2d-s0-1f00c4d2 --n 50000 --out samples.npz
  python -m experiments.sample runs/rope2d-s0-1f00c4d2 --out large --size 48x48 --extrapolation yarn:beta=8
"""

import os
import re
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.config.run import EvalConfig, PathOrNone, RunConfig
from experiments.runner.reopen import Pictures, open_run, read_config
from rope_dit.errors import UserError, check
from rope_dit.registry import EXTRAPOLATIONS

if TYPE_CHECKING:
    from experiments.scoring.generate import Generator

SIZE = re.compile(r"[1-9][0-9]{0,3}(x[1-9][0-9]{0,3})?")
SIZES = "height x width in pixels, such as 48x48, each of 1 to 9999"


def _first(metavar: str) -> Any:
    """How the help shows a field that is the run's first where it is left out."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="(default: the first of the run's)")


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Which pictures to write."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """run folder"""
    out: Path
    """FILE.npz, or a new folder for PNGs"""
    n: int = 1000
    """how many"""
    sampler: Annotated[str | None, _first("SPEC")] = None
    """sampler spec"""
    guidance: Annotated[str | None, _first("SPEC")] = None
    """guidance spec; a number is the weight of cfg"""
    average: Annotated[str | None, _first("SPEC")] = None
    """average of the weights, of those that the run kept, or raw"""
    sampling_seed: Annotated[int | None, _first("INT")] = None
    """seed of noise and classes"""
    size: Annotated[str | None, tyro.conf.arg(metavar="HxW", help_behavior_hint="(default: the run's)")] = (
        None
    )
    """height and width of the pictures in pixels, such as 48x48; one number makes a square"""
    extrapolation: Annotated[str, tyro.conf.arg(metavar="SPEC")] = "none"
    """what is done about pictures that are larger than the run's: see `--list extrapolations`"""
    plugins: PathOrNone = None
    """folder of your own files, where the run was made with one"""
    data: Pictures = field(default_factory=Pictures)

    def __post_init__(self) -> None:
        check(1 <= self.n <= 10**8, "n", self.n, "1 to 100,000,000")
        check(self.size is None or bool(SIZE.fullmatch(self.size)), "size", self.size, SIZES)
        check((self.sampling_seed or 0) >= 0, "sampling-seed", self.sampling_seed, "0 or more")
        check(
            self.out.suffix in ("", ".npz"),
            "out",
            str(self.out),
            "FILE.npz, or a new folder without a suffix",
        )
        folder = self.out.absolute().parent
        try:
            if self.out.exists() or self.out.is_symlink():
                raise UserError(f"--out {self.out} exists already; choose another or remove it.")
        except OSError as error:
            raise UserError(f"--out {self.out}: {error.strerror}; choose another.") from None
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise UserError(f"--out {self.out}: {folder} is no folder that can be written; choose another.")


def command(args: list[str], stop: StopFlag) -> int:
    """Sample and write; returns the exit code."""
    wanted = parse(SampleConfig, None, args, "python -m experiments.sample", __doc__)
    config = read_config(wanted.run, wanted.data, scored=False)
    evaluation = chosen(config, wanted)
    from experiments.runner.execute import make_generator
    from experiments.runner.room import check_free
    from experiments.runner.write_samples import sampled, write
    from experiments.scoring.jobs import final_jobs

    resolved, training = open_run(replace(config, eval=evaluation), scored=False)
    generator = make_generator(resolved, stop)
    enlarge(generator, wanted)
    job = final_jobs(resolved.config)[0]
    check_free(wanted.out.absolute().parent, wanted.n * prod(generator.shape), "the pictures", "--out")
    generator.load_for(job.guidance, job.average, training.profiles(), training.step)
    seed = job.sampling_seed if wanted.sampling_seed is None else wanted.sampling_seed
    pictures, labels = sampled(generator, job, wanted.n, seed, stop)
    write(wanted.out, pictures, labels)
    print(f"{wanted.n} pictures in {wanted.out}")
    return OK


def enlarge(generator: "Generator", wanted: SampleConfig) -> None:
    """Make pictures of another size, if that was asked for. Raises UserError where it cannot be."""
    _, *trained = generator.shape
    sides = [int(side) for side in (wanted.size or "").split("x") if side] or trained
    height, width = sides if len(sides) == 2 else sides * 2
    larger, own = height > trained[0] or width > trained[1], "x".join(map(str, trained))
    check(larger or EXTRAPOLATIONS.canonical(wanted.extrapolation) == "none", "extrapolation",
          wanted.extrapolation, f"--size with a side beyond those of the run's pictures, {own}")  # fmt: skip
    generator.enlarge(height, width, wanted.extrapolation)


def chosen(config: RunConfig, wanted: SampleConfig) -> EvalConfig:
    """The run's settings with the sampler, guidance and average that were asked for, if any."""
    evaluation = config.eval
    first = (evaluation.averages or config.train.averages)[0]
    average = first if wanted.average is None else wanted.average
    samplers = evaluation.samplers if wanted.sampler is None else (wanted.sampler,)
    guidances = evaluation.guidances if wanted.guidance is None else (wanted.guidance,)
    return replace(evaluation, samplers=samplers, guidances=guidances, averages=(average,))


if __name__ == "__main__":
    main(command)
