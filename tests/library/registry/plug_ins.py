"""Files of plug-ins, and a fixture that adds them."""

from pathlib import Path

import pytest
from commands import forget_plugins

from rope_dit import registry
from rope_dit.errors import UserError
from rope_dit.registry import REGISTRIES, add_plugins

NEW_VARIANT = '''
"""A plugin."""
from rope_dit.pos_embed.base import PosEmbed
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("shifted_tokens")
class ShiftedTokens(PosEmbed):
    """Adds a constant to all tokens.

    More words, which no list shows.
    """

    relative = True
    symmetric = True
    extrapolates = True

    def __init__(self, g, *, amount: float = 2, times: int = 3, on: bool = True, mode: str = "all_of_it"):
        super().__init__(g)
        self.amount = amount * times if on else 0.0

    def add(self, site, x_BTD):
        return x_BTD + self.amount
'''
ANSWER = """
from rope_dit.registry import GRIDS


@GRIDS.register("answer"{more})
def answer(steps, *, shift: float = 3.0):
    \"\"\"A function.\"\"\"
"""


def said(keywords: str) -> str:
    """The plug-in above, with this beside its name."""
    return NEW_VARIANT.replace('"shifted_tokens"', f'"shifted_tokens", {keywords}')


@pytest.fixture(name="plugins")
def plugins_fixture(tmp_path, monkeypatch):
    """A function that writes plugin files and adds their folder; all registries forget it afterwards."""
    monkeypatch.setattr(registry.registry, "PLUGINS", [])
    for each in REGISTRIES.values():
        monkeypatch.setattr(each, "_entries", None)

    def add(content: str | bytes, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        add_plugins(tmp_path)
        for each in REGISTRIES.values():
            each._entries = None
        return path

    yield add
    forget_plugins()


def one_line(error: UserError) -> str:
    text = str(error)
    assert "\n" not in text
    return text
