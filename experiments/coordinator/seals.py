"""What of a study is sealed before its first run, and how the seal goes on when it grows and is looked at.

`experiments.records.sealing` says what a chain is and holds, and `docs/seals.md` what it proves. Imports no
torch.
"""

import time
from dataclasses import replace
from pathlib import Path

from experiments.coordinator.plan import RESTORE, Plan, grow, read_plan, read_saved
from experiments.records.definition import is_whole
from experiments.records.sealing import chain as chains
from experiments.records.sealing.chain import GROWN, PLANNED, extended, read_chain, write_chain
from experiments.records.sealing.fields import ANEW, ARM, sealable, unlike_its_chain
from rope_dit.errors import UserError
from rope_dit.words import differing


def joined(asked: Plan) -> Plan:
    """What is asked for together with the study that is there, and sealed as it is now. Writes nothing.

    Raises UserError where anything frozen differs, or the study or a run of it is not what was sealed.
    """
    saved = read_plan(asked.path)
    if asked.kind != "ablate":  # no verdicts are drawn from it
        return grow(saved, asked) if saved else asked
    if saved is None:
        check_unused(asked)
        return replace(asked, chain=extended((), PLANNED, sealable(asked.definition()), asked.created))
    check_sealed(saved)
    grown = grow(counted(saved), asked)  # somebody may have read its report before it grew
    if not saved.chain:  # of before there were seals
        return grown
    there, now = chains.state(grown.chain), sealable(grown.definition())
    growing = [name for name in now if name in ANEW or name.startswith(ARM)]
    more = {name: now[name] for name in growing if now[name] != there.get(name)}
    return replace(grown, chain=extended(grown.chain, GROWN, more, time.time())) if more else grown


def counted(plan: Plan) -> Plan:
    """The plan with the look that is drawn from its cells as they are, if one is."""
    states = [cell.state() for cell in plan.cells()]
    return plan.looked(states.count("done")) if is_whole(states) else plan


def check_unused(asked: Plan) -> None:
    """Raise UserError where there are runs though there is no study, with what their seal says otherwise."""
    if not (begun := _begun(asked.runs)):
        return
    now, wrong = sealable(asked.definition()), []
    for path in begun:
        there = read_chain(path)
        wrong += [f"{path.name}: {line}" for line in differing(chains.state(there), now)] if there else []
    raise UserError(f"{asked.path} has runs but no study.json; {RESTORE}.", dict.fromkeys(wrong))


def check_chain(plan: Plan) -> None:
    """Raise UserError where a study is not what its chain says."""
    wrong = [chains.broken(plan.chain)] if chains.broken(plan.chain) else unlike_its_chain(plan.definition())
    if plan.chain and wrong:
        raise UserError(f"{plan.path / 'study.json'} is not what was sealed; {RESTORE}.", wrong)


def check_sealed(plan: Plan) -> None:
    """Raise UserError where a study is not what its chain says, or has a run that is not its own."""
    check_chain(plan)
    foreign = [
        f"{path.name}: {why}"
        for path in _begun(plan.runs)
        if (why := chains.foreign(read_chain(path), plan.chain))
    ]
    if foreign:
        raise UserError(f"{plan.runs} has runs that are not of this study; move them away.", foreign)


def seal_runs(plan: Plan) -> None:
    """Write the study's chain, as it is after a look, into the folders of the runs that were looked at."""
    for path in _begun(plan.runs) if plan.chain else ():
        if read_chain(path) != plan.chain:
            write_chain(path, plan.chain)


def seal_new_run(run: Path, study: Path) -> None:
    """Write the chain of the study in a folder, as it is now, into that of a run that has not begun."""
    saved = read_saved(study)
    if saved and saved.chain and not _has_begun(run):
        run.mkdir(parents=True, exist_ok=True)
        write_chain(run, saved.chain)


def _begun(runs: Path) -> list[Path]:
    return [path for path in sorted(runs.glob("*")) if _has_begun(path)]


def _has_begun(run: Path) -> bool:
    """Whether it has a record or, before that, a seal."""
    return (run / "config.json").exists() or (run / chains.FILE).exists()
