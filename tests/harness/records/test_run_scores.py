"""scores.csv of a run folder: written once, of this run alone, and named where it is damaged."""

import pytest
from mirrors import make_run, scored

from experiments.records.run_folder import RunFolder
from rope_dit.errors import UserError


@pytest.fixture
def folder(tmp_path):
    return make_run(tmp_path / "run")


def test_a_score_that_was_edited_or_is_of_another_run_is_not_believed(folder, tmp_path):
    folder.add_scores([scored()])
    file = folder.path / "scores.csv"
    whole = file.read_text()
    other = make_run(tmp_path / "other")
    other.add_scores([scored()])
    for text in (whole.replace(",2.5,", ",0.001,"), (other.path / "scores.csv").read_text()):
        assert text != whole
        file.write_text(text)
        for use in (folder.scores, lambda: folder.add_scores([scored(n=50)])):
            with pytest.raises(UserError, match=r"scores\.csv is damaged \(it was changed after"):
                use()
    file.write_text(whole)
    assert folder.scores() == [scored()]


def test_a_run_without_scores_has_none(folder):
    assert folder.scores() == []
    folder.add_scores([])
    assert not (folder.path / "scores.csv").exists()


def test_a_score_is_written_once(folder):
    first = [scored(1.5, n=50), scored(2.5, n=100)]
    folder.add_scores(one for one in first)
    folder.add_scores([scored(9.9, n=100), scored(3.5, n=200), scored(4.5, n=200)])
    assert RunFolder(folder.path).scores() == [*first, scored(3.5, n=200)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no rows"),
        (b"\xef\xbb\xbfarm,", "byte order mark"),
        ("arm,".encode("utf-16"), "'utf-8' codec can't decode"),
        (b"arm,\xff", "'utf-8' codec can't decode"),
        (b"arm\0", "NUL"),
        (b"PK\x03\x04", "no rows"),
    ],
)
def test_a_damaged_table_of_scores_is_named(folder, content, says):
    folder.add_scores([scored()])
    (folder.path / "scores.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"scores\.csv is damaged \(.*{says}.*\)\. Restore it, or remove it"):
        folder.scores()
    with pytest.raises(UserError, match="is damaged"):
        folder.add_scores([scored(n=50)])


def test_scores_of_an_earlier_version_stay_and_are_not_made_again(folder):
    """Their row has fewer columns and another text for the same guidance."""
    (folder.path / "scores.csv").write_text(
        "arm,seed,train_step,sampler,guidance,nfe,grid,ema,extractor,metric,n,n_real,sampling_seed,value,better,"
        "real_floor,images_sha256,reference_sha256,extractor_sha256,sampling_seconds,time\n"
        'rope2d:theta=100,0,20,"heun:grid=uniform,steps=2",1,4.0,uniform,0.9,digits,fd_digits,100,1437,0,2.5,lower,'
        "0.5,a,b,c,1.5,1000000000.0\n"
    )
    assert folder.scores() == [scored()]
    folder.add_scores([scored(7.0), scored(3.5, n=50)])
    assert folder.scores() == [scored(), scored(3.5, n=50)]
