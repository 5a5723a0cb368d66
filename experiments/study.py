"""Compare arms: train each with several seeds, score all under the same samplers, report with intervals.

Started again, the same command does only what is missing; with more seeds, arms or samplers the study grows.

  python -m experiments.study                                  four positional embeddings on digits, 7 seeds
  python -m experiments.study cifar10 --workers 4              a study file of experiments/studies, or a path
  python -m experiments.study --preset smoke --arms rope2d "fast=rope2d;train.lr=3e-3" --name lr
  python -m experiments.study tune --preset digits --name tuning      search each arm's settings, and then
  python -m experiments.study ablate --from-tuned tuning              confirm them on fresh seeds
  python -m experiments.study --sync digits                    make MLflow and Optuna again from run folders
  python -m experiments.study --export kept/digits digits      all that was measured, as small files
  python -m experiments.study --import kept/digits             and elsewhere: its runs count as done
"""

import os
from dataclasses import replace
from pathlib import Path

import analysis.figures.registry  # noqa: F401  --list shows them too
from experiments.cli.arguments import parse, take
from experiments.cli.main import FAILED, OK, StopFlag, main, one_line
from experiments.cli.outputs import check_folder
from experiments.cli.paths import given
from experiments.config.study import STUDIES, Space, StudyConfig, study, study_file
from experiments.records.mlflow_store import tracking_uri
from experiments.records.paths import located
from experiments.records.stores.sqlite_uri import absolute
from rope_dit.errors import UserError

MODES = ("ablate", "tune")


def command(args: list[str], stop: StopFlag) -> int:
    """Read the command line and carry out the study; returns the exit code."""
    mode, default, space, rest = read_arguments(args)
    config = located(parse(StudyConfig, default, rest, "python -m experiments.study", __doc__))
    _pin_store()
    if config.sync or config.export or config.import_from:
        return copy(config)
    if mode == "tune":
        from experiments.coordinator.tuning.tune import tune

        return tune(config, space, stop)
    from experiments.coordinator.ablate import ablate

    check_folder(config.reports / config.title, "--reports")
    return ablate(config, stop, write_report)


def copy(config: StudyConfig) -> int:
    """Bring the tracking store in step with a study, export it, or import one; returns the exit code."""
    name = config.sync
    if config.export:
        from experiments.coordinator.copies.export import export

        folder, named = given(config.export[0]), (*config.export[1:], config.title)[0]
        check_folder(folder, "--export")
        lines = export(config.studies, named, folder)
    elif config.import_from:
        from experiments.coordinator.copies.imported import import_study

        name, lines = import_study(config.import_from, config.studies)
    else:
        lines = []
    for line in lines:
        print(one_line(line, 2000))
    if not name:
        return OK
    from experiments.coordinator.copies.resync import sync

    apart = sync(config.studies, name)
    print(f"{name} is {'not ' if apart else ''}in step with its run folders")
    for line in apart:
        print(f"  {one_line(line)}")
    return FAILED if apart else OK


def write_report(name: str, uri: str | None, out: Path) -> Path:
    """Write the report of a study; what it takes to draw one is imported only now, when all runs are done."""
    from analysis import report

    return report.write_report(name, uri, out)


def read_arguments(args: list[str]) -> tuple[str, StudyConfig, Space, list[str]]:
    """Mode, the defaults and search space it starts from, and the other arguments."""
    words = [*args]
    mode = words.pop(0) if words and words[0] in MODES else "ablate"
    file = words.pop(0) if words and not words[0].startswith("-") else ""
    preset, tuned = take(words, "preset"), take(words, "from-tuned")
    if sum(map(bool, (file, preset, tuned))) > 1:
        raise UserError(
            "a study file, --preset and --from-tuned each set the starting point; give one of them."
        )
    if tuned:
        from experiments.coordinator.tuning.tuned import tuned_defaults

        return mode, tuned_defaults(tuned, given(take(words, "studies") or "studies")), {}, words
    if not file and preset and not (STUDIES / f"{preset}.py").is_file():
        return mode, study(preset), {}, words
    name = file or preset or "digits"
    found, space = study_file(name)
    if file and not found.name:
        found = replace(found, name=Path(name).stem)
    return mode, found, space, words


def _pin_store() -> None:
    """Workers may run elsewhere: they are told where the store is, whatever their current folder."""
    os.environ["MLFLOW_TRACKING_URI"] = absolute(tracking_uri())


if __name__ == "__main__":
    main(command)
