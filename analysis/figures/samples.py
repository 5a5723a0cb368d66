"""Pictures side by side."""

import math
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread

from analysis import load
from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import figure, sentence, style
from analysis.study import Study
from experiments.records.definition import Endpoint
from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec


@FIGURES.register("samples")
class Samples(StudyFigure):
    """Pictures of every arm from the same noise and classes."""

    title = "Samples from the same noise"
    section = "figures"
    place = 70
    wide = True
    raster = True

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        end = material.end
        return (
            f"Pictures of every arm at step {end.train_step:,}, training seed {material.picture_seed}, "
            f"{end.sampler}. One place has the same noise and the same class in every arm; where there are "
            "classes, a row is one."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        return sample_grids(material.pictures) if material.pictures else None


def sample_grids(pictures: Mapping[str, Path | bytes], columns: int = 2) -> Figure:
    """Grids of pictures side by side: one place has the same noise and class in every arm.

    Args:
        pictures: PNG of each arm, as a file or what is in it.
        columns: grids in a row.
    """
    if not pictures:
        return sentence("No pictures yet.")
    rows, columns = math.ceil(len(pictures) / columns), min(columns, len(pictures))
    images = [imread(BytesIO(png) if isinstance(png, bytes) else str(png)) for png in pictures.values()]
    height, width = images[0].shape[:2]
    with style():
        made = figure(3.4 * columns, (3.4 * height / width + 0.3) * rows)
        grid = made.subplots(rows, columns, squeeze=False).ravel()
        for ax in grid:
            ax.axis("off")
        for ax, arm, image in zip(grid, pictures, images, strict=False):
            ax.imshow(image, cmap="gray", interpolation="nearest")
            ax.set_title(arm)
    return made


def sample_pictures(study: Study, uri: str | None) -> tuple[dict[str, bytes], int]:
    """Sample grids at the endpoint, arm by arm, of the first seed that has most of them; and that seed."""
    done = study.cells[study.cells["state"] == "done"]
    if done.empty:
        return {}, 0
    counts = done["seed"].value_counts()
    seed = min(int(s) for s in done["seed"] if counts[s] == counts.max())
    of_seed = done[done["seed"] == seed]
    name = _picture_name(study.definition.endpoint, seed)
    found = load.files(list(of_seed["run_id"]), name, uri) if name else {}
    pairs = zip(of_seed["arm"], of_seed["run_id"], strict=True)
    return {arm: found[run_id] for arm, run_id in pairs if run_id in found}, seed


def _picture_name(end: Endpoint, seed: int) -> str:
    """File of the first sampling of a network of this training seed."""
    try:
        slug, guidance = SamplerSpec.parse(end.sampler).slug, GuidanceSpec.parse(end.guidance).slug
    except UserError:  # of a plugin that is not here
        return ""
    return f"pictures/{end.train_step:08d}-{slug}-{guidance}-seed{end.sampling_seeds(seed).start}.png"
