from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.runs.stored_files import FACTS as STORED
from tests.storage.test_atomic import DAMAGES
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.errors import IntegrityError
from tunesmith.runs import predictions
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import Record, manifest_of, read_predictions, stored_name
from tunesmith.storage import atomic
from tunesmith.tasks.multi_label_classification import MultiLabelClassification

ROW = {"row": [7], "text": ["soup"], "predicted": ["a"], "score": [0.75]}
SCORES = {"scores": [{"a": 0.75, "b": 0.25}]}


def write(run: RunFolder, **columns: list[object]) -> None:
    with atomic.publish(run.predictions) as folder:
        pq.write_table(pa.table(columns), folder / "test.parquet")


@pytest.mark.parametrize("column", ["label", "score", "scores", "row", "predicted"])
def test_no_column_of_the_data_hides_an_answer(column: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    table = {"row": [7], stored_name(column): ["of the data"]}
    table |= {"predicted": ["a"], "score": [0.75], "scores": [{"a": 0.75, "b": 0.25}]}
    assert len(table) == 5
    write(run, **table)
    (record,) = read_predictions(run, "test", [column])
    answer = {"label": "a", "score": 0.75, "scores": {"a": 0.75, "b": 0.25}}
    assert record == Record(7, {column: "of the data"}, answer)


def test_without_any(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert read_predictions(run, "test", ["text"]) == []
    assert manifest_of(run) is None
    write(run, **ROW, **SCORES)
    assert read_predictions(run, "validation", ["text"]) == []
    (record,) = read_predictions(run, "test", ["text", "label"])
    assert record.values == {"text": "soup", "label": None}  # rows that had no label


@pytest.mark.parametrize("name", ["test.parquet", atomic.MANIFEST])
@pytest.mark.parametrize("harm", DAMAGES)
def test_damage_of_a_byte_is_an_error(
    harm: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path)
    write(run, **ROW, **SCORES)
    harm(run.predictions / name)
    with pytest.raises(IntegrityError, match="C132") as caught:
        read_predictions(run, "test", ["text"])
    assert caught.value.exit_code == 6
    assert str(run.predictions) in str(caught.value)


def test_half_of_the_rows_in_a_file_that_can_be_read(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, **{name: values * 2 for name, values in (ROW | SCORES).items()})
    table = pq.read_table(run.predictions / "test.parquet")
    pq.write_table(table.slice(0, 1), run.predictions / "test.parquet")
    with pytest.raises(IntegrityError, match="C132"):
        read_predictions(run, "test", ["text"])


def test_a_file_that_was_whole_but_is_no_table(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with atomic.publish(run.predictions) as folder:
        (folder / "test.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(IntegrityError, match=r"C132 .*cannot be read") as caught:
        read_predictions(run, "test", ["text"])
    assert "test.parquet" in str(caught.value)


@pytest.mark.parametrize(
    "columns",
    [
        ROW,
        SCORES | {"row": [1]},
        ROW | {"scores": [None]},
        ROW | {"scores": ["a"]},
        ROW | SCORES | {"row": ["seven"]},
        ROW | SCORES | {"row": [None]},
        ROW | SCORES | {"score": ["much"]},
        ROW | {"scores": [{"a": None, "b": 0.5}]},
    ],
)
def test_tables_of_another_form(columns: dict[str, list[object]], tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, **columns)
    with pytest.raises(IntegrityError, match="C133 "):
        read_predictions(run, "test", ["text"])


def test_those_of_another_model_are_refused(tmp_path: Path) -> None:
    """Whole, of the same rows and classes, and copied from another run."""
    one, other = RunFolder(tmp_path / "one"), RunFolder(tmp_path / "other")
    for run, score in ((one, 0.75), (other, 0.5)):
        write(run, **ROW | SCORES | {"score": [score]})
        with atomic.publish(run.model) as folder:
            facts = json.dumps({**STORED, "predictions": manifest_of(run)})
            (folder / "tunesmith.json").write_text(facts)
        assert read_predictions(run, "test", ["text"])[0].answer["score"] == score
    shutil.rmtree(one.predictions)
    shutil.copytree(other.predictions, one.predictions)
    with pytest.raises(IntegrityError, match=r"C133 .*another model"):
        read_predictions(one, "test", ["text"])
    shutil.rmtree(one.predictions)
    with pytest.raises(IntegrityError, match=r"C132 .*MANIFEST"):
        read_predictions(one, "test", ["text"])


def test_predictions_are_written_in_pieces_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pieces hold no label at all, whose type shows only in a later one."""
    task = MultiLabelClassification(Roles("text", None, "tags"), ("x", "y"))
    rows = [Row(i, {"text": f"t{i}", "tags": ["x"] * (i % 2)}) for i in range(5)]
    logits = np.array([[-1, -2], [-3, -1], [-2, -2], [2, -1], [1, 1]], dtype=np.float32)
    whole = predictions._table(task, {"logits": logits}, rows)
    assert whole["predicted"].to_pylist() == [[], [], [], ["x"], ["x", "y"]]
    assert whole["row"].to_pylist() == [0, 1, 2, 3, 4]
    assert whole["text"].to_pylist() == ["t0", "t1", "t2", "t3", "t4"]
    monkeypatch.setattr(predictions, "_ROWS_AT_ONCE", 2)
    pieces = predictions._table(task, {"logits": logits}, rows)
    assert pieces.schema == whole.schema
    assert pieces.to_pylist() == whole.to_pylist()
