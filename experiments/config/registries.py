"""Registries of the harness; like the library's, they list without importing torch."""

from typing import Any

from rope_dit.registry import Registry

DATASETS: Registry[Any] = Registry("dataset", "DATASETS", "experiments.datasets")
METRICS: Registry[Any] = Registry(
    "metric", "METRICS", "experiments.scoring.metrics", shown=("values", "min_images")
)
PROBES: Registry[Any] = Registry(
    "probe", "PROBES", "experiments.scoring.probes", shown=("values", "default_on", "cost")
)
PICTURE_METRICS: Registry[Any] = Registry(
    "picture_metric",
    "PICTURE_METRICS",
    "experiments.scoring.picture_metrics",
    shown=("values", "min_images"),
)
EXTRACTORS: Registry[Any] = Registry("extractor", "EXTRACTORS", "experiments.scoring.extractors")
LAUNCHERS: Registry[Any] = Registry("launcher", "LAUNCHERS", "experiments.coordinator.launchers")
