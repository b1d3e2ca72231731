from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunesmith.errors import IntegrityError
from tunesmith.run.folder import RunFolder
from tunesmith.run.predictions import read_predictions, stored_name


@pytest.mark.parametrize("column", ["label", "score", "scores", "row", "predicted"])
def test_no_column_of_the_data_hides_an_answer(column: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.predictions.mkdir()
    table = {"row": [7], stored_name(column): ["of the data"]}
    table |= {"predicted": ["a"], "score": [0.75], "scores": [{"a": 0.75, "b": 0.25}]}
    assert len(table) == 5
    pq.write_table(pa.table(table), run.predictions / "test.parquet")
    (record,) = read_predictions(run, "test", [column])
    assert record.row == 7 and record.values == {column: "of the data"}
    assert record.score == 0.75 and record.scores == {"a": 0.75, "b": 0.25}


def test_none_and_damaged(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert read_predictions(run, "test", ["text"]) == []
    run.predictions.mkdir()
    (run.predictions / "test.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(IntegrityError, match="C132"):
        read_predictions(run, "test", ["text"])
