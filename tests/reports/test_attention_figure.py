"""The figure of what the probe attention saw: its dots and maps are the tables' numbers."""

import numpy as np
import pytest
from subjects import subject

from analysis.figures.apart.attention import TABLES, draw, read
from analysis.figures.apart.drawing import drawing, read_table
from experiments.scoring.probes.attention_base import seen
from rope_dit.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    there, found = tmp_path_factory.mktemp("seen"), seen(subject(n=2))
    found.heads().to_csv(there / "heads.csv", index=False)
    found.maps().to_csv(there / "maps.csv", index=False)
    return there


def test_dots_and_maps_are_those_of_the_tables(folder):
    heads, maps = read(folder)
    made = draw(heads, maps)
    left, right, *pictures = made.axes
    for ax, value in ((left, "distance"), (right, "share")):
        dots = np.asarray(ax.collections[0].get_offsets())
        np.testing.assert_allclose(dots, heads[["layer", value]].to_numpy())
    assert len(pictures) == 3 * 2  # queries by layers
    corner = maps[(maps["query"] == "corner") & (maps["layer"] == 1)]
    expected = corner.groupby(["row", "column"])["share"].mean().to_numpy().reshape(4, 5)
    np.testing.assert_allclose(pictures[2 + 1].images[0].get_array(), expected)
    assert [ax.get_ylabel() for ax in pictures[::2]] == ["centre", "corner", "edge"]


def test_the_command_writes_it(folder, tmp_path, capsys):
    out = tmp_path / "new" / "attention.png"
    command = drawing("this", "", lambda path: draw(*read(path)))
    assert command([str(folder), "--out", str(out)], None) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"{out}\n"


def test_what_is_no_table_of_it_is_refused(folder, tmp_path):
    with pytest.raises(UserError, match=r"heads\.csv"):
        read(tmp_path)
    with pytest.raises(UserError, match="no column query; expected a table of somebody"):
        read_table(folder / "heads.csv", ("layer", "query"), "somebody")
    (tmp_path / "heads.csv").write_text(",".join(TABLES["heads"]) + "\n")
    with pytest.raises(UserError, match="no rows"):
        read(tmp_path)
