"""The registry of figures, apart from what draws them, so that commands list it without importing that."""

from typing import Any

from rope_dit.registry import Registry

FIGURES: Registry[Any] = Registry("figure", "FIGURES", "analysis.figures", shown=("section",))
