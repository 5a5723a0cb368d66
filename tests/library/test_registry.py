"""What files register, slugs, and plugins, all of it read without importing anything."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rope_dit import registry
from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Site
from rope_dit.pos_embed.compose import build
from rope_dit.registry import GRIDS, POS_EMBEDS, REGISTRIES, Entry, Part, Registry, add_plugins, show

ROOT = Path(__file__).parents[2]

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


GEOMETRY = Geometry(32, 4, 8, 2, (5, 7))


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """A function that writes plugin files and adds their folder; all registries forget it afterwards."""
    monkeypatch.setattr(registry, "PLUGINS", [])
    for each in REGISTRIES.values():
        monkeypatch.setattr(each, "_entries", None)
        monkeypatch.setattr(each, "_made", dict(each._made))

    def add(content: str | bytes, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        add_plugins(tmp_path)
        for each in REGISTRIES.values():
            each._entries = None
        return path

    return add


def one_line(error: UserError) -> str:
    text = str(error)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("rope2dd", "unknown variant 'rope2dd'. Did you mean 'rope2d'? `--list variants` shows all."),
        ("xyz", "unknown variant 'xyz'. `--list variants` shows all."),
        ("rope2d:thet=5", "rope2d: unknown option 'thet'; its options are: theta. Did you mean 'theta'?"),
        ("none:theta=5", "none: unknown option 'theta'; its options are: none."),
        ("rope2d:theta=1e+5", "option 'theta' got '1e'"),
        ("rope2d+", "got the name ''"),
        ("+", "got the name ''"),
    ],
)
def test_what_is_unknown_is_refused_with_a_hint(spec, words):
    with pytest.raises(UserError) as caught:
        POS_EMBEDS.canonical(spec)
    assert words in one_line(caught.value)
    assert len(str(caught.value)) <= 200


def test_slugs_are_short_readable_and_safe():
    assert POS_EMBEDS.slug("rope2d") == POS_EMBEDS.slug("rope2d:theta=100.0") == "rope2d"
    assert POS_EMBEDS.slug("rope2d:theta=10000") == "rope2d-theta10000"
    assert POS_EMBEDS.slug("rope2d:theta=1e-7+learned") == "learned.rope2d-theta1e-07"


def test_slugs_are_unique(plugins):
    plugins(NEW_VARIANT)
    values = [0.0, 1.0, -1.0, 1.5, 12.0, 1e-7, 2.5e-7, 1e22, 100.0, 15.0, 0.1]
    specs = [f"rope2d:theta={show(v)}" for v in values] + [f"rope1d:theta={show(v)}" for v in values]
    specs += [f"learned:std={show(v)}+rope2d:theta={show(w)}" for v in values for w in values]
    specs += ["none", "learned", "learned+none"]
    specs += [
        f"shifted_tokens:amount={show(a)},times={t},on={o},mode={m}"
        for a in values for t in (1, 12, -1) for o in ("true", "false") for m in ("a", "times1", "all_of")
    ]  # fmt: skip
    canonical = {POS_EMBEDS.canonical(spec) for spec in specs}
    slugs = {POS_EMBEDS.slug(spec) for spec in specs}
    assert len(slugs) == len(canonical)
    assert all(
        set(s) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") for s in slugs
    )


def test_the_package_s_own_entries():
    assert {"none", "learned", "sincos2d", "rope1d", "rope2d"} <= set(POS_EMBEDS.names())
    assert POS_EMBEDS.names() == sorted(POS_EMBEDS.names())
    for each in REGISTRIES.values():
        for entry in each:
            assert entry.summary, entry.name
            assert callable(each.load(entry.name))


@pytest.mark.parametrize("name", POS_EMBEDS.names())
def test_what_is_read_is_what_runs(name):
    entry, cls = POS_EMBEDS[name], POS_EMBEDS.load(name)
    assert entry.summary == (cls.__doc__ or "").splitlines()[0]
    for claim, value in entry.claims.items():
        assert getattr(cls, claim) == value
    defaults = cls.__init__.__kwdefaults__ or {}
    assert {o.name: o.default for o in entry.options.values()} == defaults


def test_a_file_in_a_folder_is_a_new_variant(plugins):
    path = plugins(NEW_VARIANT)
    entry = POS_EMBEDS["shifted_tokens"]
    assert (entry.path, entry.summary) == (path.resolve(), "Adds a constant to all tokens.")
    assert entry.claims == {"relative": True, "symmetric": True, "extrapolates": True}
    assert [(o.name, o.type, o.default) for o in entry.options.values()] == [
        ("amount", float, 2.0),
        ("times", int, 3),
        ("on", bool, True),
        ("mode", str, "all_of_it"),
    ]
    assert "shifted_tokens" in POS_EMBEDS.names()
    canonical = "shifted_tokens:amount=2,mode=all_of_it,on=true,times=3"
    assert POS_EMBEDS.canonical("shifted_tokens") == canonical
    x, site = torch.zeros(1, 35, 32), Site((5, 7), 0, torch.zeros(1))
    assert (build("shifted_tokens", GEOMETRY).add(site, x) == 6).all()
    assert (build("shifted_tokens:times=5+rope2d", GEOMETRY).add(site, x) == 10).all()


def test_a_folder_may_be_added_after_listing(plugins, tmp_path):
    assert "shifted_tokens" not in POS_EMBEDS.names()
    (tmp_path / "mine.py").write_text(NEW_VARIANT)
    add_plugins(tmp_path)
    assert "shifted_tokens" in POS_EMBEDS.names()


def test_the_contract_runs_on_a_plugin(plugins):
    from test_pos_embed import TestClaims

    plugins(NEW_VARIANT)
    for check in ("test_relative", "test_sees", "test_symmetric", "test_extrapolates"):
        getattr(TestClaims(), check)("shifted_tokens", (5, 7), 0)
    plugins(NEW_VARIANT.replace("relative = True", "relative = False"))
    POS_EMBEDS._made.pop("shifted_tokens")
    with pytest.raises(AssertionError, match="does not claim relative"):
        TestClaims().test_relative("shifted_tokens", (5, 7), 0)


def test_one_file_may_register_several_things(plugins):
    second = NEW_VARIANT.replace("shifted_tokens", "second").replace("class ShiftedTokens", "class Second")
    plugins(NEW_VARIANT + second)
    assert POS_EMBEDS.load("second") is not POS_EMBEDS.load("shifted_tokens")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("def broken(:\n", "mine.py: not valid Python"),
        (b"x = '\0'", "mine.py: not valid Python"),
        (b"x = '\xff'", "mine.py: not valid Python"),
        (NEW_VARIANT.replace("shifted_tokens", "rope2d"), "'rope2d' is registered twice, in rope2d.py and"),
        (NEW_VARIANT.replace("shifted_tokens", "my-variant"), "got the name 'my-variant', expected letters"),
        (NEW_VARIANT.replace("shifted_tokens", "a+b"), "got the name 'a+b', expected letters"),
        (NEW_VARIANT.replace("amount: float = 2", "amount"), "got the option 'amount', expected a type of"),
        (
            NEW_VARIANT.replace("amount: float = 2", "amount: float"),
            "got the option 'amount: float', expected",
        ),
        (NEW_VARIANT.replace("amount: float = 2", "amount: list = []"), "got the option 'amount: list = []'"),
        (NEW_VARIANT.replace("times: int = 3", "times: int = 2.5"), "got the option 'times: int = 2.5'"),
        (NEW_VARIANT.replace("times: int = 3", "times: int = N"), "got the option 'times: int = N'"),
        (NEW_VARIANT.replace("times: int = 3", "times: int = True"), "got the option 'times: int = True'"),
        (
            NEW_VARIANT.replace("amount: float = 2", "amount: float = 1e999"),
            "'amount' got 'inf', expected a finite",
        ),
        (NEW_VARIANT.replace('"all_of_it"', '"a-b"'), "'mode' got 'a-b', expected letters"),
        (NEW_VARIANT.replace("on: bool", "times2: bool"), "option 'times2' begins as 'times' does"),
        (NEW_VARIANT.replace("on: bool", "modest: bool"), "option 'modest' begins as 'mode' does"),
        (
            said("version=0"),
            "mine.py:7: got 'version=0', expected version=N, a whole number of at least 1, or",
        ),
        (said("version=True"), "mine.py:7: got 'version=True', expected version=N"),
        (said("version=2.0"), "mine.py:7: got 'version=2.0', expected version=N"),
        (said("version=V"), "mine.py:7: got 'version=V', expected version=N"),
        (said("**also"), "mine.py:7: got '**also', expected version=N"),
        (said("nuetral={}"), "mine.py:7: got 'nuetral={}', expected version=N"),
        (said("neutral=3"), "mine.py:7: got 'neutral=3', expected version=N"),
        (said("neutral={[]: 1}"), "mine.py:7: got 'neutral={[]: 1}', expected version=N"),
        (
            said("neutral={'amont': 1}"),
            "mine.py:7: neutral names 'amont', expected one of its options: amount,",
        ),
        (said("neutral={1: 1}"), "mine.py:7: neutral names '1', expected one of its options: amount,"),
        (said("neutral={'on': 1}"), "mine.py:7: neutral value of 'on' got 1, expected true or false."),
        (
            said("neutral={'times': 1.0}"),
            "mine.py:7: neutral value of 'times' got 1.0, expected a whole number",
        ),
        (said("neutral={'mode': None}"), "mine.py:7: neutral value of 'mode' got None, expected letters"),
        (said("neutral={'mode': 'a-b'}"), "mine.py:7: option 'mode' got 'a-b', expected letters"),
        (said("neutral={'amount': 1e999}"), "mine.py:7: option 'amount' got 'inf', expected a finite"),
    ],
)
def test_bad_plugins_are_errors_of_one_line(plugins, content, words):
    plugins(content)
    with pytest.raises(UserError) as caught:
        POS_EMBEDS.names()
    assert words in one_line(caught.value)


def test_a_plugin_may_begin_with_a_byte_order_mark_and_name_its_encoding(plugins):
    plugins(b"\xef\xbb\xbf" + NEW_VARIANT.encode())
    assert "shifted_tokens" in POS_EMBEDS.names()
    plugins(b"# -*- coding: latin-1 -*-\n# \xe9\n" + NEW_VARIANT.encode())
    assert "shifted_tokens" in POS_EMBEDS.names()
    assert (build("shifted_tokens", GEOMETRY).add(Site((5, 7), 0, torch.zeros(1)), torch.zeros(1)) == 6).all()


def test_a_folder_named_like_a_file_is_an_error_of_one_line(plugins, tmp_path):
    (tmp_path / "folder.py").mkdir()
    plugins(NEW_VARIANT)
    with pytest.raises(UserError, match=r"folder\.py"):
        POS_EMBEDS.names()


def test_names_that_differ_in_files_alone_do_not_clash(plugins):
    plugins("raise RuntimeError('imported')", "broken.py")
    plugins(NEW_VARIANT)
    assert "shifted_tokens" in POS_EMBEDS.names()  # files without entries are never run


@pytest.mark.parametrize("missing", ["nowhere", "mine.py"])
def test_a_plugin_folder_must_be_one(plugins, tmp_path, missing):
    plugins(NEW_VARIANT)
    with pytest.raises(UserError, match=r"^--plugins .*: no such folder"):
        add_plugins(tmp_path / missing)


def test_adding_a_folder_twice_is_adding_it_once(plugins, tmp_path):
    plugins(NEW_VARIANT)
    add_plugins(tmp_path / ".." / tmp_path.name)
    assert POS_EMBEDS.names().count("shifted_tokens") == 1


def test_a_registry_finds_its_variable_only(plugins):
    plugins(NEW_VARIANT)
    other = Registry("thing", "THINGS", "rope_dit.pos_embed")
    del REGISTRIES["things"]
    assert other.names() == []


def test_listing_imports_nothing_heavy(tmp_path):
    """Names, options, claims, canonical forms and slugs, of plugins too, without torch or numpy."""
    (tmp_path / "mine.py").write_text(NEW_VARIANT)
    code = f"""
import sys
from pathlib import Path
from rope_dit.registry import REGISTRIES, POS_EMBEDS, add_plugins
add_plugins(Path({str(tmp_path)!r}))
for registry in REGISTRIES.values():
    assert all(entry.summary for entry in registry), registry.kind
assert "shifted_tokens" in POS_EMBEDS.names()
POS_EMBEDS.canonical("rope2d+learned"), POS_EMBEDS.slug("rope2d:theta=5")
heavy = {{"torch", "numpy", "mlflow", "torchvision"}} & sys.modules.keys()
heavy |= {{name for name in sys.modules if name.startswith(("rope_dit.pos_embed.", "rope_dit_plugin"))}}
sys.exit(f"imported {{sorted(heavy)}}" if heavy else 0)
"""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def ship(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let an entry of a plug-in pass for one that ships."""
    entries = dict(POS_EMBEDS.entries())
    monkeypatch.setitem(entries, name, replace(entries[name], is_plugin=False))
    monkeypatch.setattr(POS_EMBEDS, "_entries", entries)


def test_what_ships_is_no_plugin_and_in_its_first_version_unless_said(plugins):
    assert all(not entry.is_plugin for each in REGISTRIES.values() for entry in each)
    assert POS_EMBEDS["rope2d"].version == 1
    plugins(NEW_VARIANT)
    assert POS_EMBEDS["shifted_tokens"].is_plugin
    assert POS_EMBEDS["shifted_tokens"].version == 1
    assert not POS_EMBEDS["rope2d"].is_plugin


def test_versions_and_neutral_values_are_said_beside_the_name_of_classes_and_functions(plugins):
    plugins(said("version=3, neutral={'amount': -1, 'mode': 'old'}"))
    plugins(ANSWER.format(more=", neutral={'shift': 1}, version=2"), "answer.py")
    entry = POS_EMBEDS["shifted_tokens"]
    assert entry.version == 3
    neutral = {option.name: option.neutral for option in entry.options.values()}
    assert neutral == {"amount": -1.0, "times": None, "on": None, "mode": "old"}
    assert type(neutral["amount"]) is float
    assert (GRIDS["answer"].version, GRIDS["answer"].options["shift"].neutral) == (2, 1.0)
    assert callable(GRIDS.load("answer"))
    assert callable(POS_EMBEDS.load("shifted_tokens"))


def test_an_option_that_is_missing_in_a_record_did_what_was_done_before_it_was_there(plugins):
    plugins(said("neutral={'amount': 0, 'on': False}"))
    typed = "shifted_tokens:amount=2,mode=all_of_it,on=true,times=3"
    stored = "shifted_tokens:amount=0,mode=all_of_it,on=false,times=3"
    assert POS_EMBEDS.canonical("shifted_tokens") == POS_EMBEDS.canonical(typed, stored=True) == typed
    assert POS_EMBEDS.canonical("shifted_tokens", stored=True) == POS_EMBEDS.canonical(stored) == stored
    half = "shifted_tokens:on=true+rope2d:theta=5"
    together = "rope2d:theta=5+shifted_tokens:amount=0,mode=all_of_it,on=true,times=3"
    assert POS_EMBEDS.canonical(half, stored=True) == together
    assert POS_EMBEDS["shifted_tokens"].resolve(Part("shifted_tokens"), stored=True)["amount"] == 0


def test_a_neutral_option_is_no_part_of_an_identity(plugins, monkeypatch):
    plugins(said("neutral={'amount': 0, 'on': True}"))
    ship(monkeypatch, "shifted_tokens")
    before = {"variant": "shifted_tokens:mode=all_of_it,times=3"}
    assert POS_EMBEDS.identity(POS_EMBEDS.canonical("shifted_tokens", stored=True)) == before
    assert POS_EMBEDS.identity("shifted_tokens:amount=0") == before
    assert POS_EMBEDS.identity("shifted_tokens") == {
        "variant": "shifted_tokens:amount=2,mode=all_of_it,times=3"
    }
    off = {"variant": "shifted_tokens:mode=all_of_it,on=false,times=3"}
    assert POS_EMBEDS.identity("shifted_tokens:on=false,amount=0") == off


def test_the_slug_tells_neutral_from_default(plugins):
    plugins(said("neutral={'amount': 0}"))
    assert POS_EMBEDS.slug("shifted_tokens") == "shifted_tokens"
    stored = POS_EMBEDS.canonical("shifted_tokens", stored=True)
    assert POS_EMBEDS.slug(stored) == POS_EMBEDS.slug("shifted_tokens:amount=0") == "shifted_tokens-amount0"


def test_the_identity_of_what_ships_is_its_canonical_spec(monkeypatch, plugins):
    assert POS_EMBEDS.identity("rope2d") == {"variant": "rope2d:theta=100"}
    assert POS_EMBEDS.identity("none") == {"variant": "none"}
    assert POS_EMBEDS.identity("rope2d+learned") == {"variant": "learned:std=0.02+rope2d:theta=100"}
    assert GRIDS.identity("shifted") == {"grid": "shifted:shift=3"}
    entries = dict(POS_EMBEDS.entries())
    monkeypatch.setattr(POS_EMBEDS, "_entries", {**entries, "rope2d": replace(entries["rope2d"], version=2)})
    assert POS_EMBEDS.identity("rope2d+learned:std=1") == {
        "variant": "learned:std=1+rope2d:theta=100",
        "version of rope2d": "2",
    }


def test_the_identity_of_a_plugin_holds_what_its_file_says(plugins):
    plugins(said("version=2"))
    entry = POS_EMBEDS["shifted_tokens"]
    assert POS_EMBEDS.identity("shifted_tokens:times=1+rope2d") == {
        "variant": "rope2d:theta=100+shifted_tokens:amount=2,mode=all_of_it,on=true,times=1",
        "plug-in shifted_tokens": entry.tree_sha256,
    }


def test_a_new_option_moves_no_part_of_a_composite(plugins, monkeypatch):
    """Sorted as text 'shift' comes before 'shift2:...' without options, and behind it with one."""
    short = said("neutral={'amount': 2}").replace("shifted_tokens", "shift")
    other = (
        said("").replace("shifted_tokens", "shift2").replace(", *, amount: float = 2", ", *, a: float = 2")
    )
    plugins(re.sub(r", times: .*\):", "):", short).replace("amount * times if on else 0.0", "amount"))
    plugins(other.replace("= amount", "= a"), "other.py")
    assert POS_EMBEDS.canonical("shift2+shift").startswith("shift:amount=2+shift2:")
    for name in ("shift", "shift2"):
        ship(monkeypatch, name)
    assert POS_EMBEDS.identity("shift2+shift")["variant"].startswith("shift+shift2:")


def tree_of(add, content: str) -> str:
    add(content)
    return POS_EMBEDS["shifted_tokens"].tree_sha256


def test_comments_docstrings_and_layout_do_not_count(plugins):
    before = tree_of(plugins, NEW_VARIANT)
    assert len(before) == 64
    for change in [
        NEW_VARIANT.replace('"""A plugin."""', "# nothing"),
        NEW_VARIANT.replace("    relative = True", '    relative = True  # why\n    """what it means"""'),
        NEW_VARIANT.replace("Adds a constant", "Takes away a constant").replace("More words", "No words"),
        NEW_VARIANT.replace("        super()", '        """Of a method."""\n        super()'),
        NEW_VARIANT.replace("mode: str", "\n        mode: str").replace("x_BTD + ", "(x_BTD) +\\\n  "),
        NEW_VARIANT.replace('"all_of_it"', "u'all_' 'of_it'").replace("float = 2,", "float = 0x2,"),
        NEW_VARIANT.replace("\n", "\r\n"),
    ]:
        assert change != NEW_VARIANT
        assert tree_of(plugins, change) == before


def test_everything_else_counts(plugins):
    changes = [
        NEW_VARIANT,
        NEW_VARIANT.replace("else 0.0", "else 0.5"),
        NEW_VARIANT.replace("else 0.0", "else 0"),
        NEW_VARIANT.replace("x_BTD + ", "x_BTD - "),
        NEW_VARIANT.replace("float = 2,", "float = 3,"),
        NEW_VARIANT.replace('"all_of_it"', '"none_of_it"'),
        NEW_VARIANT.replace("else 0.0", "else None"),
        NEW_VARIANT.replace("else 0.0", "else ..."),
        NEW_VARIANT.replace("else 0.0", "else 'text'"),
        NEW_VARIANT + "\nEND = ()",
        NEW_VARIANT + "\nEND = []",
        NEW_VARIANT + "\nEND = '()'",
        NEW_VARIANT + "\ndel NEW",
    ]
    assert len({tree_of(plugins, content) for content in changes}) == len(changes)


def test_every_version_of_python_reads_the_same(tmp_path):
    """Syntax whose fields differ between versions, and letters that some tables call printable."""
    path = tmp_path / "all.py"
    path.write_text(SYNTAX, encoding="utf-8")
    assert Entry("all", path, "").tree_sha256 == SYNTAX_SHA256


SYNTAX = '''
"""Words."""
from . import a
import b as c
try:
    async def f(x, /, y=1, *z, w: int = -2.5, **k) -> None:
        async with x as (p, q):
            return [i async for i in x if i]
except* (ValueError, TypeError) as e:
    raise e from None
class A(B, metaclass=M):
    """Words."""
    x: int
    y: "float" = 1e-7j
match b:
    case {"x": None, **rest} | [1, *_] | A(x=True):
        d[1:, ..., ::2] = {**b, 1: lambda: (yield)}
print(f"{a!r:>{b}} {c=}" "🫨͸🥹", b"\\0", not 1 < 2 <= 3, 10**30, x := 1e999, sep="")
'''
SYNTAX_SHA256 = "9432052bfd9d12a541ac5294aa61c863938c77965cb4567648b5d79cd009870f"
