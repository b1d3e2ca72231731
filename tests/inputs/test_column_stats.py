from __future__ import annotations

from itertools import pairwise

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.readers.memory import Memory
from tunesmith.data.scan import Survey
from tunesmith.inputs import column_stats
from tunesmith.inputs.column_stats import SourceStats, SplitStats


def part(count: int) -> SplitStats:
    source = Memory.of_records(
        [{"text": f"Text {i} of them", "label": "aab"[i % 3]} for i in range(count)], "m"
    )
    counted = SourceStats(source, Roles("text", None, "label"))
    survey = Survey(
        source,
        columns=["text", "label"],
        text_columns=["text"],
        examine=lambda _row: None,
        stratum=lambda row: str(row.values["label"]),
        watch=counted.watch,
    )
    assert len(list(survey.rows())) == count
    return counted.of_split("train", survey)


def test_every_row_is_counted_once() -> None:
    result = part(2_345)
    assert result.keys is not None
    assert len(result.rows) == len(result.hashes) == len(result.keys) == 2_345
    assert result.counts() == {"a": 1564, "b": 781}
    assert result.stats.texts([3, 2000]) == {3: "text 3 of them", 2000: "text 2000 of them"}
    share = result.select("validation", result.rows[:10])
    assert share.counts() == {"a": 7, "b": 3}


def test_texts_that_are_too_long_together_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_stats, "_HELD_BYTES", 100)
    result = part(50)
    assert result.stats._held.get(0) is None
    assert result.stats.texts([3, 40]) == {3: "text 3 of them", 40: "text 40 of them"}
    assert result.stats.texts([3, 99]) == {3: "text 3 of them"}
    assert result.stats.texts([]) == {}


def test_rows_that_are_left_out_do_not_shift_the_texts() -> None:
    source = Memory.of_records([{"text": f"Text {i}", "label": "a"} for i in range(9)], "m")
    counted = SourceStats(source, Roles("text", None, "label"))
    for chunk in source.chunks():
        for row in chunk:
            if row.index != 3:
                counted.watch(row, f"text {row.index}")
    assert counted.texts([2, 3, 4, 8]) == {2: "text 2", 3: "text 3", 4: "text 4", 8: "text 8"}
    assert dict(counted.label_kinds) == {"text": 8}


def test_the_sample_is_spread_evenly() -> None:
    sample = [int(text.split()[1]) for (text,) in part(20_000).stats.sample]
    assert 4_000 <= len(sample) <= 8_000
    assert {b - a for a, b in pairwise(sample)} == {4}


def test_of_too_many_rows_nothing_is_sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_stats, "MOST_SKETCHED", 1_500)
    assert part(1_500).keys is not None
    result = part(2_500)
    assert result.keys is None
    assert result.select("test", result.rows[:5]).keys is None
