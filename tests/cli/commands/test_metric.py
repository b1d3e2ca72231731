from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tests.conftest import WriteRows


def test_two_columns_of_a_file(tunesmith: Command, write_csv: WriteRows) -> None:
    rows = [["predicted", "label"], ["1", "1"], ["1", "0"], ["0", "0"], ["1", "1"]]
    said = tunesmith("metric", "glue/mrpc", write_csv(rows))
    assert said.code == 0 and said.out == "accuracy 0.7500  f1 0.8000\n"


def test_names_of_classes(tunesmith: Command, write_csv: WriteRows) -> None:
    rows = [["guess", "truth"], ["equal", "equal"], ["equal", "other"], ["other", "other"]]
    path = write_csv(rows)
    columns = ("--predicted", "guess", "--label", "truth")
    said = tunesmith("metric", "f1", path, *columns, "--positive", "equal", "--json")
    assert said.code == 0
    (record,) = said.records
    assert record == {"metric": "f1", "rows": 3, "scores": {"f1": 2 / 3}}
    said = tunesmith("metric", "f1", path, *columns)
    assert said.code == 2 and "R120" in said.err and "--positive" in said.err
    said = tunesmith("metric", "f1", path, *columns, "--average", "macro")
    assert said.code == 0
    said = tunesmith("metric", "glue/mrpc", path, *columns, "--positive", "equal")
    assert said.code == 0 and said.out == "accuracy 0.6667  f1 0.6667\n"


def test_what_is_not_there_is_no_class(tunesmith: Command, write_csv: WriteRows) -> None:
    said = tunesmith(
        "metric", "accuracy", write_csv([["predicted", "label"], ["1", "1"], ["", "1"]])
    )
    assert said.code == 3 and "D309" in said.err and ":3" in said.err
    said = tunesmith(
        "metric", "pearsonr", write_csv([["predicted", "label"], ["1", "1"], ["1", "2"]]), "--json"
    )
    assert said.records[0]["scores"] == {"pearsonr": None}


def test_predictions_of_a_run(tunesmith: Command, trained: Path) -> None:
    said = tunesmith(
        "metric", "accuracy", trained / "predictions" / "validation.parquet", "--label", "queue"
    )
    assert said.code == 0 and said.out.startswith("accuracy ")


def test_columns_that_are_not_there(tunesmith: Command, write_csv: WriteRows) -> None:
    said = tunesmith("metric", "accuracy", write_csv([["predictd", "label"], ["1", "1"]]))
    assert said.code == 3 and "D301" in said.err and 'did you mean "predictd"' in said.err
    said = tunesmith("metric", "glue/mrcp", "x.csv")
    assert said.code == 2 and "R117" in said.err
