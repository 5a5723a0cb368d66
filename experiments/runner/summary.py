"""The table that ends a run."""

import re
from collections.abc import Collection, Sequence

from experiments.records.mlflow_mirror import Mirror
from experiments.records.mlflow_store import pages
from experiments.records.run_folder import RunFolder
from experiments.records.score import NOTHING, TRAINED, Score, sampling_index
from experiments.records.stores.store_errors import hidden
from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec


def summary(folder: RunFolder, mirror: Mirror) -> str:
    """Scores of the last step, speed, where the pictures are, and how to open the run in MLflow."""
    scores = folder.scores()
    last = max(score.key.train_step for score in scores)
    lines = [f"{'score':<20}{'value':>10}  {'better':<7}{'real floor':>10}  {'n':>6}  {'NFE':>6}  sampler"]
    shown = [score for score in scores if score.key.train_step == last]
    several = len({score.key.ema for score in shown} - {NOTHING}) > 1
    lines += [_line(score, several) for score in shown if _is_plain(score)]
    lines += _others([score for score in shown if not _is_plain(score)], several)
    speeds = sorted(value for key, _, value, _ in folder.points() if key == "train/images_per_second")
    if speeds:
        lines.append(f"training: {speeds[len(speeds) // 2]:.0f} pictures/s (median)")
    pictures = sorted(folder.path.glob(f"pictures/{last:08d}-*.png"))
    lines += [f"pictures: {path}" for path in pictures]
    if mirror.error:
        then = "the same command sends the run later"
        said = f"is not reachable ({mirror.error}); {then}"
        if not mirror.passes:
            said = f"cannot be written ({mirror.error}); once that is mended, {then.removesuffix(' later')}"
        lines.append(f"MLflow:   {hidden(mirror.uri)} {said}")
    else:
        lines.append(f"MLflow:   run {mirror.run_id} in experiment {mirror.experiment}")
        lines.append(f"          {pages(mirror.uri)}")
    return "\n".join(lines)


def _line(score: Score, several: bool) -> str:
    key = score.key
    guided = "" if key.guidance == NOTHING else _guided(key.guidance)
    seed = f", sampling seed {key.sampling_seed}" if sampling_index(key.sampling_seed or 0) else ""
    average = f", average {key.ema}" if several and key.ema != NOTHING else ""
    nfe = NOTHING if key.nfe is None else format(key.nfe, ".4g")
    floor = NOTHING if score.real_floor is None else format(score.real_floor, ".4g")
    values = f"{score.value:>10.4g}  {score.better:<7}{floor:>10}"
    return f"{key.metric:<20}{values}  {key.n or NOTHING:>6}  {nfe:>6}  {key.sampler}{guided}{seed}{average}"


def _is_plain(score: Score) -> bool:
    """Whether it has a line of its own: a score of pictures as large as those of the training."""
    return score.key.sampler != NOTHING and score.key.tokens == TRAINED


def _others(scores: Sequence[Score], several: bool) -> list[str]:
    """A line a grid of tokens, and one of what probes found; parts of held_out_loss are left out."""
    found: dict[str, dict[str, float]] = {}
    for score in scores:
        key = score.key
        form = "" if key.extrapolation == "none" else f" {key.extrapolation}"
        what = "probes" if key.sampler == NOTHING else f"{key.tokens} tokens{form}, n {key.n}"
        average = f", average {key.ema}" if several else ""
        found.setdefault(f"{what}{average}", {})[key.metric] = score.value
    return [
        f"{what}: "
        + ", ".join(f"{name} {value:.4g}" for name, value in values.items() if not _in(values, name))
        for what, values in found.items()
    ]


def _in(values: Collection[str], name: str) -> bool:
    """Whether this is a part of another value, as held_out_loss_t0 is of held_out_loss."""
    return any(re.fullmatch(rf"{re.escape(other)}_t\d+", name) for other in values)


def _guided(guidance: str) -> str:
    try:
        spec = GuidanceSpec.parse(guidance)
    except UserError:  # of a plug-in that is not here
        return f", guidance {guidance}"
    return "" if spec.is_off else f", guidance {spec.short}"
