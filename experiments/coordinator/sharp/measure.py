"""Measure the profile on a run: `python -m experiments.coordinator.sharp.measure RUN STUDY`.

Writes sharp.json into the study's folder, sealed, with all that it was made of.
"""

import json
from pathlib import Path

from experiments.cli.main import OK, StopFlag, main
from experiments.coordinator.worker import stop_with_launcher
from experiments.records.seal import sealed
from experiments.runner.reopen import open_run, read_config
from rope_dit.durable import write_durably


def command(args: list[str], stop: StopFlag) -> int:
    """Measure and write; returns the exit code."""
    stop_with_launcher()
    measure(Path(args[0]), Path(args[1]), stop)
    return OK


def measure(run: Path, study: Path, stop: StopFlag) -> None:
    """Measure on the last weights of a run, and write sharp.json into the study's folder."""
    config = read_config(run)
    from experiments.runner.execute import make_generator
    from experiments.scoring.apart.sharpness import changes
    from rope_dit.grids.sharp import profile_of

    resolved, training = open_run(config)
    generator = make_generator(resolved, stop)
    generator.load(training.profiles()[config.main_average], training.step)
    found, record = changes(generator), resolved.folder.record
    about = {
        "run": record.id if record else "",
        "arm": config.arm,
        "seed": config.seed,
        "train_step": training.step,
        "average": config.main_average,
        "pictures": generator.chunk,
        "changes": found.tolist(),
        "profile": list(profile_of(found)),
    }
    write_durably(study / "sharp.json", json.dumps(sealed(about), indent=1).encode())


if __name__ == "__main__":
    main(command)
