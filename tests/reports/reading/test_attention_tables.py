"""What the probe attention left with runs of the store is what the report's figure is drawn from."""

import pandas as pd
from report_pages import write
from report_stores import definition, made_up, run_id, uri_of

from analysis.figures.attention import attention_seen
from analysis.figures.examples.evidence import example_evidence
from analysis.study import load_study
from experiments.records.mlflow_store import connect

WANTED = definition({"learned": "learned", "rope2d": "rope2d"}, range(2))


def leave(folder, tmp_path, arm, seed, names, step=20) -> None:
    """Tables of the probe among the artifacts of a run."""
    heads, maps = example_evidence().attention[arm]
    place = tmp_path / f"{arm}-{seed}-{step}" / "probes" / f"{step:08d}-attention"
    place.mkdir(parents=True)
    for name in names:
        {"heads": heads, "maps": maps}[name].to_csv(place / f"{name}.csv", index=False)
    run = run_id(folder, arm, seed, "made-up")
    connect(uri_of(folder)).log_artifacts(run, str(place.parent.parent))


def test_heads_and_maps_are_those_of_the_seed_and_step(tmp_path):
    (tmp_path / "store").mkdir()
    folder = made_up(tmp_path / "store", WANTED, lambda arm, seed: 20.0 + seed)
    assert attention_seen(load_study("made-up", uri_of(folder)), uri_of(folder), 0) == {}
    leave(folder, tmp_path, "rope2d", 0, ["heads", "maps"])
    leave(folder, tmp_path, "learned", 0, ["heads"])
    leave(folder, tmp_path, "learned", 1, ["heads", "maps"], step=10)
    study = load_study("made-up", uri_of(folder))
    found = attention_seen(study, uri_of(folder), 0)
    assert [*found] == ["rope2d"]
    for read, made in zip(found["rope2d"], example_evidence().attention["rope2d"], strict=True):
        pd.testing.assert_frame_equal(read, made)
    assert attention_seen(study, uri_of(folder), 1) == {}
    assert "(figures/attention.png)" in (write(folder, "made-up") / "report.md").read_text()
