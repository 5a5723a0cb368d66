"""Which scores compare: those of the usual source, where what sees pictures alone has no reference."""

import pandas as pd

from analysis.study import comparable


def test_metrics_without_a_reference_compare_and_others_only_with_their_own():
    rows = pd.DataFrame({
        "run_id": ["a", "b", "c", "a", "b"], "extractor": ["digits"] * 3 + ["-"] * 2,
        "extractor_sha256": ["e"] * 3 + ["-"] * 2, "reference_sha256": ["r", "r", "x"] + ["-"] * 2,
        "n_real": pd.array([100, 100, 100, None, None], dtype="Int64"),
    })  # fmt: skip
    assert comparable(rows).index.tolist() == [0, 1, 3, 4]
    assert comparable(rows.head(0)).empty
