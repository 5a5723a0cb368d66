"""What files register, slugs, and plugins, all of it read without importing anything."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import contract_variants
import pytest
import torch
from plug_ins import ANSWER, NEW_VARIANT, one_line, plugins_fixture, said  # noqa: F401  a fixture
from sites import site_of

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry
from rope_dit.pos_embed.compose import build
from rope_dit.registry import POS_EMBEDS, REGISTRIES, Registry, add_plugins, show

ROOT = Path(__file__).parents[3]

GEOMETRY = Geometry(32, 4, 8, 2, (5, 7))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("rope2dd", "unknown variant 'rope2dd'. Did you mean 'rope2d'? `--list variants` shows all."),
        ("xyz", "unknown variant 'xyz'. `--list variants` shows all."),
        ("sincos2d:thet=5", "sincos2d: unknown option 'thet'; its options are: theta. Did you mean 'theta'?"),
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
    x, site = torch.zeros(1, 35, 32), site_of(GEOMETRY)
    assert (build("shifted_tokens", GEOMETRY).add(site, x) == 6).all()
    assert (build("shifted_tokens:times=5+rope2d", GEOMETRY).add(site, x) == 10).all()


def test_a_folder_may_be_added_after_listing(plugins, tmp_path):
    assert "shifted_tokens" not in POS_EMBEDS.names()
    (tmp_path / "mine.py").write_text(NEW_VARIANT)
    add_plugins(tmp_path)
    assert "shifted_tokens" in POS_EMBEDS.names()


def test_the_contract_runs_on_a_plugin(plugins):
    plugins(NEW_VARIANT)
    for check in contract_variants.CHECKS:
        if check.__name__ != "instances_with_other_options_share_nothing":  # a constant changes no logits
            with contextlib.suppress(pytest.skip.Exception):
                check("shifted_tokens")
    plugins(NEW_VARIANT.replace("relative = True", "relative = False"))
    POS_EMBEDS._made.pop("shifted_tokens")
    with pytest.raises(AssertionError, match="does not claim relative"):
        contract_variants.is_relative_where_it_claims_so("shifted_tokens")


def test_an_option_may_be_any_text_where_nothing_is_named_after_it(plugins):
    plugins(NEW_VARIANT.replace("mode: str", "file: Text").replace('"all_of_it"', '""'))
    written = "shifted_tokens:amount=2,on=true,times=3"
    assert POS_EMBEDS.canonical("shifted_tokens") == written  # what is empty cannot be written
    assert POS_EMBEDS.canonical(written) == written
    given = POS_EMBEDS.canonical("shifted_tokens:file=/a/b.c")
    assert given == "shifted_tokens:amount=2,file=/a/b.c,on=true,times=3"
    assert POS_EMBEDS.canonical(given) == given
    with pytest.raises(
        UserError, match="'shifted_tokens': got the type Text for option 'file', expected str"
    ):
        POS_EMBEDS.slug("shifted_tokens")


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
    assert (build("shifted_tokens", GEOMETRY).add(site_of(GEOMETRY), torch.zeros(1)) == 6).all()


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
