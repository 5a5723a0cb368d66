"""config.json that was changed by hand, damaged, or does not agree with itself."""

import json
from dataclasses import replace

import pytest
from mirrors import SMOKE, make_run

from experiments.records.run_folder import RunFolder
from experiments.records.seal import sealed
from rope_dit.errors import UserError

IDENTITY = {"seed": "0", "variant": "rope2d:theta=100"}


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    made.path.mkdir()
    made.create(IDENTITY, SMOKE, {"inputs_sha256": "0"}, {"device": "cpu"})
    return made


def change(folder: RunFolder, seal: bool, *where: str, to: object) -> None:
    """Change a value in config.json, with its SHA-256 or without."""
    written = json.loads((folder.path / "config.json").read_text())
    inside = written
    for name in where[:-1]:
        inside = inside[name]
    assert inside[where[-1]] != to
    inside[where[-1]] = to
    (folder.path / "config.json").write_text(json.dumps(sealed(written) if seal else written))


@pytest.mark.parametrize(
    "where",
    [("id",), ("created",), ("config", "arm"), ("config", "train", "lr"), ("origin", "device"), ("sha256",)],
)
def test_a_changed_record_is_named_and_not_believed(folder, where):
    change(folder, False, *where, to="0")
    for use in (
        lambda: folder.record,
        lambda: folder.check_free_for(IDENTITY),
        lambda: folder.open_metrics(0),
    ):
        with pytest.raises(
            UserError, match=r"run/config\.json was changed after it was written .*; restore it, or"
        ):
            use()


def test_a_record_is_sealed_again_with_another_identity(folder):
    folder.rewrite_identity({**IDENTITY, "train.lr": "1"})
    assert folder.record.identity == {**IDENTITY, "train.lr": "1"}
    change(folder, False, "id", to="0")
    with pytest.raises(UserError, match="was changed"):
        folder.record  # noqa: B018


@pytest.mark.parametrize(
    ("name", "to", "says"),
    [
        ("variant", "learned", "variant learned:std=0.02, its identity rope2d:theta=100"),
        ("variant", "rope2d:theta=50", "variant rope2d:theta=50, its identity rope2d:theta=100"),
        ("seed", 1, "seed 1, its identity 0"),
    ],
)
def test_settings_of_another_run_than_the_identity_s_are_refused_whatever_the_seal_says(
    folder, name, to, says
):
    """Scores would be named after them."""
    change(folder, True, "config", name, to=to)
    with pytest.raises(UserError, match=f"was changed after it was written: its settings have {says}"):
        folder.record  # noqa: B018


def test_a_variant_may_be_written_in_short_and_be_a_plug_in_s(folder):
    for said, known in (("rope2d", "rope2d:theta=100"), ("mine:w=3", "mine:w=3"), ("mine", "mine:w=3")):
        folder.create(IDENTITY | {"variant": known}, replace(SMOKE, variant=said), {}, {})
        assert folder.record.config["variant"] == said


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", 5), ("created", "now"), ("created", True), ("pairing", []), ("pairing", {"a": 1}),
     ("origin", None), ("origin", {"command": None}), ("identity", {"seed": 0}), ("config", [])],
)  # fmt: skip
def test_a_record_of_other_types_is_not_ours(folder, name, value):
    change(folder, True, name, to=value)
    with pytest.raises(UserError, match=r"config\.json was not written by this program"):
        folder.record  # noqa: B018


def test_a_record_of_an_earlier_version_is_read_and_said_to_have_no_sha256(folder, caplog):
    written = json.loads((folder.path / "config.json").read_text())
    del written["sha256"]
    (folder.path / "config.json").write_text(json.dumps(written))
    assert folder.record.identity == IDENTITY
    folder.open_metrics(0)
    (said,) = [record.getMessage() for record in caplog.records]
    assert (
        said
        == f"{folder.path}: config.json without a SHA-256, as an earlier version wrote it: read unchecked"
    )


def test_a_new_run_has_all_its_sums(tmp_path, caplog):
    make_run(tmp_path / "run").open_metrics(0)
    assert not caplog.records


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\x00", b'{"id": "\\ud800"}'])
def test_what_is_no_json_is_a_line(folder, content):
    (folder.path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged|was not written by this program"):
        folder.record  # noqa: B018
