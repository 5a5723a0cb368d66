"""Where the MLflow store may be, and the names and texts that it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.records.mlflow_names import metric_name, shorten
from experiments.records.mlflow_store import tracking_uri
from experiments.records.stores.store_errors import hidden
from rope_dit.errors import UserError


def test_shortened_texts_still_differ():
    assert len({shorten("x" * 100 + end, 60) for end in "abc"}) == 3


@given(st.text(min_size=1, max_size=300))
def test_mlflow_takes_every_metric_name(name):
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_name(name))
    assert len(metric_name(name)) <= 250


ODD = [
    "a@b",
    "a#b",
    "a_b",
    "/a",
    "a/",
    "a//b",
    "a/../b",
    "../a",
    "..",
    "a" * 300,
    "a" * 301,
    "\u00e4",
    "a\nb",
]


@pytest.mark.parametrize("name", ODD)
def test_mlflow_takes_odd_names(name):
    test_mlflow_takes_every_metric_name.hypothesis.inner_test(name)


def test_names_are_kept_or_stay_apart():
    kept = ["fd_digits/heun-25-cfg1", "by_nfe/fid/euler-shifted-shift3-cfg3-0.2to0.9-seed1", "train/loss"]
    assert [metric_name(name) for name in kept] == kept
    assert len({metric_name(name) for name in ODD}) == len(ODD)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///tmp/mlruns",
        "./mlruns",
        "mlruns",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "databricks",
    ],
)
def test_a_store_that_cannot_be_written_is_refused(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match="MLFLOW_TRACKING_URI got") as caught:
        tracking_uri()
    assert len(str(caught.value)) <= 192


@pytest.mark.parametrize(
    "uri",
    ["postgresql://me:secret@host/db", "http://me:secret@host:5000", "mysql+pymysql://me:secret@host/db",
     "postgresql://host/db?user=me&password=secret&x=1", "failed at https://me:secret@host/api (retry)"],
)  # fmt: skip
def test_passwords_are_hidden(uri):
    assert "secret" not in hidden(uri)
    assert "host" in hidden(uri)
    assert hidden("http://host:5000/a") == "http://host:5000/a"
