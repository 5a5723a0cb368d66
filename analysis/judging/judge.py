"""The verdicts of a study: its comparisons at each look, of which the first that reached a verdict stands."""

from collections.abc import Sequence
from dataclasses import replace

from analysis import stats
from analysis.judging import looks, margin
from analysis.study import Study


def judge(study: Study) -> list[stats.Comparison]:
    """Each comparison of the study; none while it is partial, withheld, or no arm has learned anything.

    A verdict that was reached at an earlier look stands as it was then, with the difference of now beside it.
    """
    if study.partial or margin.withheld(study) or margin.nothing_learned(study):
        return []
    counted, planned = looks.counted(study), looks.planned_seeds(study)
    levels = stats.levels([look.seeds for look in counted], planned)
    reached: dict[tuple[str, str], stats.Comparison] = {}
    found: Sequence[stats.Comparison] = ()
    for number, (look, level) in enumerate(zip(counted, levels, strict=True), 1):
        found = _compared(looks.as_of(study, look), number, level, planned)
        for c in found:
            if c.verdict in stats.CALLED:
                reached.setdefault(c.labels, c)
    return [_standing(c, reached.get(c.labels, c)) for c in found]


def _compared(study: Study, look: int, level: float, planned: int) -> list[stats.Comparison]:
    definition = study.definition
    pairs = (*definition.comparisons, *definition.explored)
    references = dict.fromkeys(reference for _, reference in pairs)
    rules = stats.Rules(
        paired=[pair for pair in pairs if study.is_paired(*pair)],
        margins={reference: margin.absolute(study, reference) for reference in references},
        better=definition.endpoint.better,
        level=level,
        look=look,
        seeds=len(definition.seeds),
        planned=planned,
        lost=study.lost,
        too_far={reference: margin.too_far(study, reference) for reference in references},
        same=study.same_models,
    )
    return stats.compare(study.endpoint(), definition.comparisons, rules, definition.explored)


def _standing(now: stats.Comparison, reached: stats.Comparison) -> stats.Comparison:
    """The verdict that stands, with the difference of now where that is of a later look."""
    if reached.look == now.look:
        return now
    return replace(reached, later=now.difference)
