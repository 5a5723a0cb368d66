"""How far scores are from real pictures: the margin in the endpoint's units, and who has learned anything.

The scale of an endpoint has two ends that no arm of the study made: what pictures of an untrained network
score, and the real floor. A distance has no ratio that means anything, for its zero is out of reach, so a
margin is a share of the distance from the floor. And arms that stand beside each other far from the floor are
equal in what they have not learned: nobody would call them equivalent.
"""

import math

from analysis.numbers import metric_title, significant
from analysis.study import Study

HALF = 0.5  # of the way: an arm that keeps more of it is nearer to an untrained network than to real pictures


def absolute(study: Study, reference: str) -> float:
    """The study's margin in the endpoint's units; nan where it is a share of what was not measured.

    Args:
        study: whose definition says the unit.
        reference: label of the arm whose mean counts, over all its seeds.
    """
    definition = study.definition
    if definition.margin_unit == "absolute":
        return definition.margin
    value, floor, _ = _means(study, reference)
    return definition.margin * abs(value - (floor if definition.margin_unit == "gap" else 0.0))


def withheld(study: Study) -> str:
    """Why no verdict is drawn from the study, as a clause; '' where one is.

    A margin that is a share of the distance from the real floor cannot be had where that is missing.
    """
    if study.withheld or study.definition.margin_unit != "gap" or study.endpoint().empty:
        return study.withheld
    pairs = (*study.definition.comparisons, *study.definition.explored)
    known = {*study.endpoint()["arm"]}
    if not any(math.isnan(_means(study, arm)[1]) for _, arm in pairs if arm in known):
        return ""
    end = study.definition.endpoint
    title = metric_title(end.metric, end.extractor, end.n)
    return (
        f"the margin is a share of the distance from the real floor, and {title} of real pictures could not "
        "be told (a study with --margin X --margin-unit absolute does without)"
    )


def remaining(study: Study, arm: str) -> float:
    """Share of the way from the score of an untrained network to the real floor that the arm's mean keeps.

    1 where it scores as an untrained network, 0 as real pictures do, below 0 where better than these; nan
    without a score, of runs of before untrained networks were scored, and where these score no worse than
    real pictures.
    """
    value, floor, untrained = _means(study, arm)
    way = untrained - floor
    worse = way > 0 if study.definition.endpoint.better == "lower" else way < 0
    return (value - floor) / way if worse else math.nan


def nothing_learned(study: Study) -> str:
    """A sentence where every arm that has a score keeps more than half of the way; else ''.

    So it is too where the metric does not say what counts as learned, and in studies of before it could.
    """
    kept = {arm: remaining(study, arm) for arm in set(study.endpoint()["arm"])}
    if study.definition.endpoint.learned is None or not kept or not all(r > HALF for r in kept.values()):
        return ""
    arm = min(kept, key=lambda arm: (kept[arm], arm))
    return (
        f"No arm has learned anything: of the way {_scale(study, arm)} the nearest arm, {arm}, "
        f"has {100 * kept[arm]:.0f} % before it. Nothing is concluded."
    )


def too_far(study: Study, reference: str) -> str:
    """Why nothing is called equivalent to this arm, as a clause; '' where it has learned or none can say."""
    kept, most = remaining(study, reference), study.definition.endpoint.learned
    if most is None or not kept > most:
        return ""
    return (
        f"{reference} is too far from real pictures for anything to be equivalent to it: of the way "
        f"{_scale(study, reference)} it has {100 * kept:.0f} % before it, and at most "
        f"{100 * most:.0f} % counts as learned"
    )


def _scale(study: Study, arm: str) -> str:
    """Both ends of the scale, such as 'from an untrained network (FD 25.1) to real pictures (0.22)'."""
    end = study.definition.endpoint
    _, floor, untrained = (significant(mean, 3) for mean in _means(study, arm))
    title = metric_title(end.metric, end.extractor, end.n)
    return f"from an untrained network ({title} {untrained}) to real pictures ({floor})"


def _means(study: Study, arm: str) -> tuple[float, float, float]:
    """An arm's score, real floor and untrained score, over its seeds; nan where there is none."""
    rows = study.endpoint()
    rows = rows[rows["arm"] == arm]
    value, floor, untrained = (float(rows[name].mean()) for name in ("value", "real_floor", "untrained"))
    return value, floor, untrained
