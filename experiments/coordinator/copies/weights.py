"""What cannot be had of a study's runs as their weights are not here: they were imported, or removed."""

from collections.abc import Iterable, Sequence

from experiments.coordinator.cell import Cell
from rope_dit.errors import UserError
from rope_dit.words import listed


def check_reachable(cells: Sequence[Cell]) -> None:
    """Raise UserError where runs that have ended would have to be trained again for what is asked for."""
    lost = {cell.name: work for cell in cells if (work := cell.out_of_reach())}
    if not lost:
        return
    details = [f"{name}: " + "; ".join(map(str, work)) for name, work in lost.items()]
    raise UserError(
        f"{len(lost)} runs have no weights here and would have to be trained again for what they lack; ask "
        "for less, or train them: --retrain.", details
    )  # fmt: skip


def lacking_metrics(cells: Iterable[Cell]) -> list[str]:
    """A line where runs lack scores of metrics that are registered here, and that cannot be made of them."""
    bare = [cell for cell in cells if cell.state() == "done" and not cell.has_weights()]
    lost = {cell.name: metrics for cell in bare if (metrics := cell.metrics_out_of_reach())}
    names = sorted(set().union(*lost.values()))
    runs = f"{len(lost)} runs without weights were"
    return [f"{runs} not scored with {listed(names)}, which would need them trained again"] if lost else []
