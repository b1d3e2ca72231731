from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.analysis.label_errors.ranking import _by_length, _by_script, score_slices


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), min_size=1, max_size=40))
def test_slices_share_out_all_rows(rows: list[tuple[bool, str]]) -> None:
    merits = np.array([float(right) for right, _name in rows])
    result = score_slices(
        merits, {"class": [name for _right, name in rows]}, higher_is_better=True, fewest=1
    )
    if len({name for _right, name in rows}) < 2:
        assert result == []
        return
    assert sum(part.rows for part in result) == len(rows)
    assert np.isclose(sum(part.rows * part.score for part in result), merits.sum())
    scores = [part.score for part in result]
    assert scores == sorted(scores)


def test_small_slices_are_left_out_and_errors_are_worst_when_high() -> None:
    merits = np.array([0.1] * 12 + [0.9] * 12 + [5.0])
    groups = {"class": ["a"] * 12 + ["b"] * 12 + ["c"]}
    result = score_slices(merits, groups, higher_is_better=False)
    assert [part.value for part in result] == ["b", "a"]
    assert result[0].as_json() == {"by": "class", "value": "b", "rows": 12, "score": 0.9}


@given(st.lists(st.text(max_size=30), max_size=40))
def test_quarters_rise_with_the_length(texts: list[str]) -> None:
    order = ["short", "below the median", "above the median", "long"]
    result = [order.index(name) for name in _by_length([(text,) for text in texts])]
    by_rising_length = sorted(zip(map(len, texts), result, strict=True))
    quarters = [quarter for _length, quarter in by_rising_length]
    assert quarters == sorted(quarters)


def test_scripts() -> None:
    assert _by_script([("the soup",), ("汤很好喝",), ("суп", "хороший"), ("12",)]) == [
        "latin", "chinese", "other", "latin",
    ]  # fmt: skip
