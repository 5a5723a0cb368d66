"""Reports of studies that have hardly anything yet: no runs of an arm, no scores, one seed, one arm."""

from pathlib import Path

import pytest
from report_pages import texts, tiny_fixture, write  # noqa: F401
from report_stores import ARMS, copy_of, definition, made_up, redefine, run_id, uri_of, whole_copy

from experiments.records.mlflow_store import connect
from experiments.records.stores.run_files import local_folder


def without_scores(folder: Path, *cells: tuple[str, int]) -> None:
    """Let these runs be at work, with no score yet."""
    client = connect(uri_of(folder))
    for arm, seed in cells:
        run = client.get_run(run_id(folder, arm, seed))
        client.update_run(run.info.run_id, "RUNNING")
        (local_folder(uri_of(folder), run) / "scores.csv").unlink()


CELLS = [(arm, seed) for arm in ARMS for seed in range(2)]


@pytest.mark.parametrize(
    "bare", [[("rope2d", 0), ("rope2d", 1)], CELLS[1:], CELLS], ids=["an arm", "all but one run", "all"]
)
def test_arms_without_scores_are_in_the_report(tiny, tmp_path, bare):
    store = whole_copy(tiny, tmp_path)
    without_scores(store, *bare)
    text = texts(store)[1]
    assert f"Partial: of 6 runs {len(bare)} {'are' if len(bare) > 1 else 'is'} running" in text
    assert all(f"- {arm}, seed {seed}: running" in text for arm, seed in bare)


def test_arms_without_runs_are_in_the_report(tiny, tmp_path):
    store = whole_copy(tiny, tmp_path)
    client = connect(uri_of(store))
    for arm, seed in CELLS:
        if arm != "learned":
            client.delete_run(run_id(store, arm, seed))
    text = (write(store) / "report.md").read_text()  # figures and all
    assert "| rope2d | 0 of 2 |" in text
    assert all(
        f"- {arm}, seed {seed}: missing (not begun)" in text for arm, seed in CELLS if arm != "learned"
    )


def test_an_arm_whose_runs_all_failed_leaves_a_report_with_verdicts_of_the_others(tiny, tmp_path):
    store = whole_copy(tiny, tmp_path)
    redefine(store, comparisons=(("twin", "learned"), ("rope2d", "learned")))
    without_scores(store, ("rope2d", 0), ("rope2d", 1))
    client = connect(uri_of(store))
    for seed in range(2):
        client.set_tag(run_id(store, "rope2d", seed), "outcome", "error")
        client.update_run(run_id(store, "rope2d", seed), "FAILED")
    text = (write(store) / "report.md").read_text()  # figures and all
    assert "- rope2d, seed 0: failed" in text
    assert "rope2d against learned is inconclusive: 0 paired seeds cannot give an interval" in text
    assert "twin against learned is inconclusive: FD" in text


@pytest.mark.parametrize(("arms", "seeds"), [(["none"], 1), (["none"], 3), (["none", "learned"], 1)])
def test_one_arm_and_one_seed_are_enough_for_a_report(tiny, tmp_path, arms, seeds):
    made_up(copy_of(tiny, tmp_path), definition(dict.fromkeys(arms, "none"), range(seeds)),
            lambda arm, seed: 5.0 + seed + len(arm), name="few")  # fmt: skip
    assert f"| none | {seeds} of {seeds} |" in texts(tmp_path, "few")[1]
