"""`study --export DIR [NAME]`: a study's definition, and who each cell that is done is, with its scores."""

from collections.abc import Iterator
from pathlib import Path

from experiments.coordinator.cell import FINAL, Cell
from experiments.coordinator.copies.files import RUN_FILES, STUDY, write_files
from experiments.coordinator.plan import Plan, read_plan
from experiments.coordinator.replacing import is_aside
from experiments.coordinator.seals import check_sealed
from experiments.records.run_folder import RunFolder
from rope_dit.errors import UserError, nearest
from rope_dit.files import read_file
from rope_dit.words import listed


def export(studies: Path, name: str, folder: Path) -> list[str]:
    """Write the export of a study into a folder; returns what is to be said, a line each.

    Cells that are neither done nor diverged are left out, for they have to be trained anyhow.

    Raises:
        UserError: there is no such study, a coordinator holds it, it is not what was sealed, it tunes, or
            the folder holds something else.
        OSError: a file cannot be read or written.
    """
    path = (studies / name).absolute()
    if read_plan(path) is None:
        raise no_study(studies, name)
    with RunFolder(path).lock():
        plan = read_plan(path)  # whoever held it may have changed it
        assert plan is not None, "nobody removes a study that is held"
        if plan.kind != "ablate":
            raise UserError(f"study {name} tunes settings; what is exported are studies that compare arms.")
        check_sealed(plan)
        whole = [cell for cell in plan.cells() if is_whole(plan, cell)]
        contents = {STUDY: read_file(path / STUDY), **{p: c for cell in whole for p, c in _files(cell)}}
        size = write_files(folder, plan.name, plan.created, contents)
    left_out = [cell.name for cell in plan.cells() if cell not in whole]
    said = f"{len(whole)} of {len(plan.cells())} runs of study {name}, {size / 1e6:.2f} MB, are in {folder}"
    return [said, *([f"left out, for they are not done: {listed(left_out)}"] if left_out else [])]


def is_whole(plan: Plan, cell: Cell) -> bool:
    """Whether nothing more has to be trained for this cell."""
    return cell.state() in FINAL and not is_aside(plan, cell)


def no_study(studies: Path, name: str) -> UserError:
    """There is no study of that name, but there are others."""
    names = sorted(file.parent.name for file in studies.glob("*/study.json"))
    there = f"in {studies} there are: {', '.join(names) or 'none'}"
    return UserError(f"no study '{name}'; {there}.{nearest(name, names)}")


def _files(cell: Cell) -> Iterator[tuple[str, bytes]]:
    for name in RUN_FILES:
        if (file := cell.folder.path / name).is_file():
            yield f"runs/{cell.name}/{name}", read_file(file)
