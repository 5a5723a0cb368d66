"""A saved chart view of a study for MLflow's own pages: mean and range over the seeds of each arm.

MLflow keeps a view that was shared as a tag of the experiment. Its format is not documented, so a test opens
the view in a browser.
"""

import base64
import json
import zlib
from typing import Any

from experiments.records.definition import Definition
from experiments.records.mlflow_names import TAG_LENGTH, metric_name, rough_metric, score_name
from rope_dit.samplers.spec import SamplerSpec

KEY = "study"
TAG = f"mlflow.sharedViewState.{KEY}"
_MOST_KEYS = 12  # lines an arm in one chart, and charts of final scores
_PAGE = "runs?compareRunsMode=CHART&viewStateShareKey={}&workflowType=machine_learning"


def write_view(client: Any, experiment_id: str, definition: Definition) -> str:
    """Store the chart view of a study, or bring it up to date; written again, it is the same.

    Args:
        client: an MLflow client.
        experiment_id: of the study's experiment.
        definition: see `experiments.records.definition`.

    Returns:
        Where the view is in MLflow's pages: what follows the address of the server.
    """
    runs = client.search_runs([experiment_id])
    there = {key for run in runs for key in run.data.metrics}
    rough = {int(run.data.params["eval.every_n"]) for run in runs if "eval.every_n" in run.data.params}
    view = _view(definition, there, rough)
    text = f"deflate;{base64.b64encode(zlib.compress(json.dumps(view).encode(), 9)).decode()}"
    assert len(text) <= TAG_LENGTH, f"a view of {len(text)} characters does not fit into a tag"
    client.set_experiment_tag(experiment_id, TAG, text)
    return f"/#/experiments/{experiment_id}/{_PAGE.format(KEY)}"


def _view(definition: Definition, there: set[str], rough: set[int]) -> dict[str, Any]:
    """The state of the page: what is grouped by what, sections, charts.

    MLflow adds a chart for every other metric to sections named after the metrics; those are folded, below.

    Args:
        definition: of the study.
        there: names of all metrics that its runs have.
        rough: numbers of pictures of the scores during training.
    """
    metric, n = definition.endpoint.metric, definition.endpoint.n
    finals, curves, by_nfe = _score_keys(definition, there, rough)
    charts = [
        _line(0, curves, displayPoints=True),
        _bar(0, finals[0]),
        _line(1, by_nfe, displayPoints=True, xAxisScaleType="log"),
        *(_bar(1, key) for key in finals[1:]),
        _line(2, ["train/loss"], scaleType="log"),
        _line(2, ["train/images_per_second"]),
    ]
    own = [f"Primary endpoint: {metric} of {n:,} pictures", "Samplers: against evaluations (NFE)", "Training"]
    others = sorted(set(map(_section_of, there)))
    return {
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": "arm"}],
        },
        "useGroupedValuesInCharts": True,
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": False,
        "isAccordionReordered": True,  # otherwise the sections are sorted by name
        "compareRunSections": [_section(i, name, i < len(own)) for i, name in enumerate([*own, *others])],
        "compareRunCharts": [{**chart, "uuid": f"{KEY}-{i}"} for i, chart in enumerate(charts)],
    }


def _score_keys(
    definition: Definition, there: set[str], rough: set[int]
) -> tuple[list[str], list[str], list[str]]:
    """Names of metrics: final scores (the endpoint first), its curve over training, scores against NFE."""
    endpoint = definition.endpoint
    metric, guidance = endpoint.metric, endpoint.guidance
    first = SamplerSpec.parse(endpoint.sampler)
    specs = [first, *(s for s in map(SamplerSpec.parse, definition.samplers) if s != first)]
    finals = [metric_name(score_name(metric, spec.slug, guidance, 0)) for spec in specs]
    curves = sorted(metric_name(score_name(rough_metric(metric, n), first.slug, guidance, 0)) for n in rough)
    families = sorted({spec.family for spec in specs})
    by_nfe = [metric_name(score_name(f"by_nfe/{metric}", family, guidance, 0)) for family in families]
    return finals[:_MOST_KEYS], [key for key in curves if key in there] or finals[:1], by_nfe[:_MOST_KEYS]


def _section_of(key: str) -> str:
    """Name of the section to which MLflow adds a metric.

    >>> _section_of("fd_digits/euler-8-cfg1"), _section_of("system/peak_memory_mib")
    ('fd_digits', 'System metrics')
    """
    prefix = key.rpartition("/")[0]
    return {"": "Model metrics", "system": "System metrics"}.get(prefix, prefix)


def _section(index: int, name: str, unfolded: bool) -> dict[str, Any]:
    more = {"isReordered": False, "deleted": False, "isGenerated": False}
    return {"uuid": f"section-{index}", "name": name, "display": unfolded, **more}


def _line(section: int, keys: list[str], **more: Any) -> dict[str, Any]:
    """A chart of metrics against their step, unsmoothed; MLflow titles it with their names."""
    axes = {"xAxisKey": "step", "lineSmoothness": 0}
    return {**_bar(section, keys[0]), "type": "LINE", "selectedMetricKeys": keys, **axes, **more}


def _bar(section: int, key: str) -> dict[str, Any]:
    """A chart of the last values of a metric."""
    place = {"metricSectionId": f"section-{section}", "deleted": False, "isGenerated": False}
    return {"type": "BAR", "metricKey": key, **place}
