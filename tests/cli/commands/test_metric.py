from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tests.conftest import WriteRows


def test_two_columns_of_a_file(tunesmith: Command, write_csv: WriteRows) -> None:
    rows = [["predicted", "label"], ["1", "1"], ["1", "0"], ["0", "0"], ["1", "1"]]
    output = tunesmith("metric", "glue/mrpc", write_csv(rows))
    assert output.code == 0 and output.out == "accuracy 0.7500  f1 0.8000\n"


def test_names_of_classes(tunesmith: Command, write_csv: WriteRows) -> None:
    rows = [["guess", "truth"], ["equal", "equal"], ["equal", "other"], ["other", "other"]]
    path = write_csv(rows)
    columns = ("--predicted", "guess", "--label", "truth")
    output = tunesmith("metric", "f1", path, *columns, "--positive", "equal", "--json")
    assert output.code == 0
    (record,) = output.records
    assert record == {"metric": "f1", "rows": 3, "scores": {"f1": 2 / 3}}
    output = tunesmith("metric", "f1", path, *columns)
    assert output.code == 2 and "R120" in output.err and "--positive" in output.err
    output = tunesmith("metric", "f1", path, *columns, "--average", "macro")
    assert output.code == 0
    output = tunesmith("metric", "glue/mrpc", path, *columns, "--positive", "equal")
    assert output.code == 0 and output.out == "accuracy 0.6667  f1 0.6667\n"


def test_empty_values_are_no_class(tunesmith: Command, write_csv: WriteRows) -> None:
    output = tunesmith(
        "metric", "accuracy", write_csv([["predicted", "label"], ["1", "1"], ["", "1"]])
    )
    assert output.code == 3 and "D309" in output.err and ":3" in output.err
    output = tunesmith(
        "metric", "pearsonr", write_csv([["predicted", "label"], ["1", "1"], ["1", "2"]]), "--json"
    )
    assert output.records[0]["scores"] == {"pearsonr": None}


def test_predictions_of_a_run(tunesmith: Command, trained: Path) -> None:
    output = tunesmith(
        "metric", "accuracy", trained / "predictions" / "validation.parquet", "--label", "queue"
    )
    assert output.code == 0 and output.out.startswith("accuracy ")


def test_columns_that_are_not_there(tunesmith: Command, write_csv: WriteRows) -> None:
    output = tunesmith("metric", "accuracy", write_csv([["predictd", "label"], ["1", "1"]]))
    assert output.code == 3 and "D301" in output.err and 'did you mean "predictd"' in output.err
    output = tunesmith("metric", "glue/mrcp", "x.csv")
    assert output.code == 2 and "R117" in output.err
