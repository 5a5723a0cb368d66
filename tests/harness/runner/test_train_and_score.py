"""The loop of a run: what it logs, saves and scores, and how it stops."""

from dataclasses import replace

import pytest
from loops import (  # noqa: F401  fixtures
    TIMED,
    Run,
    Scorer,
    Time,
    bad_from,
    comparable,
    stopped,
    time_fixture,
    unchecked_fixture,
)
from tiny import CONFIG, batch, copies, same

from rope_dit.checkpoint import Checkpoints
from rope_dit.errors import Stopped
from rope_dit.trainer import Diverged, learning_rate

# Curves, and where a run goes on


def test_a_run_logs_its_curves_and_saves_at_its_end(tmp_path):
    run = Run(tmp_path).train()
    assert run.events == [("log", 5), ("log", 10), ("log", 12), ("save", 12)]
    step, saved = run.saved()
    assert step == run.step == 12
    assert same(saved, copies(run.training))
    for step, row in run.logs.items():
        assert row["train/lr"] == learning_rate(CONFIG, CONFIG.lr, step - 1)
        assert all(row[key] > 0 for key in ("train/loss", "train/grad_norm", *TIMED))
        assert any(key.startswith("loss_by_t/") for key in row)


@pytest.mark.parametrize("how", ["paused", "stopped"])
@pytest.mark.parametrize("last", range(1, CONFIG.steps))
def test_a_run_that_goes_on_is_the_same_to_the_bit(tmp_path, last, how):
    whole = Run(tmp_path / "whole").train()
    first = Run(tmp_path / "parts", until=last if how == "paused" else 0)
    if how == "stopped":
        first.stop = lambda: first.step == last
        with pytest.raises(Stopped):
            first.train()
    else:
        first.train()
    assert first.what("save") == [last]
    second = Run(tmp_path / "parts").resume()
    assert second.step == last
    second.train()
    assert same(copies(second.training), copies(whole.training))
    assert comparable(first.logs | second.logs) == comparable(whole.logs)


def test_a_finished_run_trains_saves_and_logs_nothing(tmp_path):
    Run(tmp_path).train()
    again = Run(tmp_path).resume().train()
    assert again.events == []
    assert again.step == 12


# Saves and stops


@pytest.mark.parametrize("save_seconds", [1e9, 0.0])
def test_a_signal_saves_exactly_one_checkpoint(tmp_path, save_seconds):
    """Also where the clock had one saved at that very step."""
    run = Run(tmp_path, replace(CONFIG, save_seconds=save_seconds))
    run.stop = lambda: run.step == 4
    with pytest.raises(Stopped):
        run.train()
    assert run.what("save") == ([4] if save_seconds else [1, 2, 3, 4])
    step, saved = run.saved()
    assert step == run.step == 4
    assert same(saved, copies(run.training))


def test_a_signal_in_the_last_step_lets_the_run_end(tmp_path):
    """What follows, the scoring, asks for itself."""
    run = Run(tmp_path)
    run.stop = lambda: run.step == 12
    assert run.train().what("save") == [12]


def test_stopped_by_a_long_scoring_saves_once_too(tmp_path):
    run = Run(tmp_path, every=3)
    run.scorer.score = stopped
    with pytest.raises(Stopped):
        run.train()
    assert run.what("save") == [3]
    assert same(run.saved()[1], copies(run.training))


def test_stopped_by_a_scoring_at_the_start_saves_nothing_anew(tmp_path):
    Run(tmp_path, until=6).train()
    run = Run(tmp_path, every=6).resume()
    run.scorer.score = stopped
    with pytest.raises(Stopped):
        run.train()
    assert (run.step, run.events) == (6, [])


def test_saves_by_the_clock_and_at_the_end(tmp_path, time):
    run = Run(tmp_path, replace(CONFIG, save_seconds=5.0))
    run.batch = time.takes(1, batch)
    assert run.train().what("save") == [5, 10, 12]


def test_what_is_behind_a_checkpoint_was_logged_before_it(tmp_path):
    """A run that goes on from it does not log that again."""
    run = Run(tmp_path, replace(CONFIG, save_seconds=0.0), every=5).train()
    assert [event for event in run.events if event[1] == 5] == [("log", 5), ("save", 5), ("score", 5)]
    assert [event for event in run.events if event[1] == 12] == [("log", 12), ("save", 12)]


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path):
    run = Run(tmp_path, replace(CONFIG, save_seconds=0.0))
    (tmp_path / "file").write_text("")
    run.checkpoints = Checkpoints(tmp_path / "file", {})
    with pytest.raises(OSError, match="file"):
        run.train()


# Bad numbers


@pytest.mark.parametrize("k", [0, 4, 7, 11])
def test_a_bad_step_leaves_the_checkpoint_of_before(tmp_path, k):
    run = Run(tmp_path, replace(CONFIG, save_seconds=0.0))
    run.batch = bad_from(k)
    with pytest.raises(Diverged, match=f"at step {k}"):
        run.train()
    assert run.what("save") == list(range(1, k + 1))


@pytest.mark.usefixtures("unchecked")
def test_an_unnoticed_bad_step_is_seen_before_the_next_checkpoint(tmp_path):
    run = Run(tmp_path, replace(CONFIG, save_seconds=0.0))
    run.batch = bad_from(6)
    with pytest.raises(Diverged, match="at step 6"):
        run.train()
    assert run.step == 7
    assert run.what("save") == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("unchecked")
def test_an_unnoticed_bad_step_is_seen_before_the_next_point_of_the_curves(tmp_path):
    run = Run(tmp_path)
    run.batch = bad_from(6)
    with pytest.raises(Diverged, match="at step 6"):
        run.train()
    assert run.step == 10
    assert run.events == [("log", 5)]


@pytest.mark.usefixtures("unchecked")
def test_a_signal_after_an_unnoticed_bad_step_saves_nothing_bad(tmp_path):
    run = Run(tmp_path)
    run.batch, run.stop = bad_from(6), lambda: run.step == 8
    with pytest.raises(Diverged, match="at step 6"):
        run.train()
    assert run.what("save") == []


# Scores on the way


def test_averages_are_scored_where_they_are_due(tmp_path):
    assert Run(tmp_path / "3", every=3).train().what("score") == [3, 6, 9, 12]
    assert Run(tmp_path / "5", every=5).train().what("score") == [5, 10]
    assert Run(tmp_path / "0").train().what("score") == []


def test_scores_that_a_kill_prevented_are_made_up_for(tmp_path):
    """A kill may come between a checkpoint and its scores; those that are there are not made again."""
    Run(tmp_path, until=6, every=0).train()
    run = Run(tmp_path, every=3).resume()
    assert run.train().events[0] == ("score", 6)
    Run(tmp_path / "other", until=6).train()
    again = Run(tmp_path / "other", every=3).resume()
    again.scorer.done = [3, 6, 9]
    assert again.train().what("score") == [12]
