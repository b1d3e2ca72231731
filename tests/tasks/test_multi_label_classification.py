from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tasks.test_text_classification import Logits
from tunesmith.data.batches import Batch
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Column, Row
from tunesmith.errors import DataError
from tunesmith.metrics.scores import METRICS
from tunesmith.recipe import DataSettings
from tunesmith.tasks.multi_label_classification import MultiLabelClassification


def task(
    label: str | tuple[str, ...] = "tags",
    class_names: tuple[str, ...] | None = None,
    **settings: object,
) -> MultiLabelClassification:
    data = DataSettings.model_validate({"train": "x", **settings})
    columns = [Column("text", "text"), Column("tags", "list", class_names)]
    return MultiLabelClassification.make(Roles("text", None, label), data, columns, {})


def row(**values: object) -> Row:
    return Row(0, {"text": "x", **values})


@pytest.mark.parametrize(
    ("made", "values", "target"),
    [
        (task(), {"tags": ["b", "a"]}, ("b", "a")),
        (task(), {"tags": []}, ()),
        (task(), {"tags": None}, None),
        (task(class_names=("x", "y")), {"tags": [1, 0]}, ("y", "x")),
        (task(label_separator="|"), {"tags": "a| b |"}, ("a", "b")),
        (task(label_separator=","), {"tags": ""}, ()),
        (task(("p", "q")), {"p": "1", "q": 0}, ("p",)),
        (task(("p", "q")), {"p": True, "q": 1.0}, ("p", "q")),
        (task(("p", "q")), {"p": None, "q": None}, None),
        (task(("p", "q")), {"p": "1.0", "q": "0.0"}, ("p",)),
        (task(("p", "q")), {"p": np.True_, "q": None}, ("p",)),
        (task(), {"tags": ["a", "a"]}, ("a",)),
        (task(), {"tags": np.array(["a", "b"])}, ("a", "b")),
        (task(), {"tags": "a|b"}, ("a|b",)),
        (task(), {"tags": 3}, ("3",)),
        (task(), {"tags": float("nan")}, None),
        (task(label_separator=";"), {"tags": ["a;b"]}, ("a;b",)),
        (task(label_separator="json"), {"tags": '["a", 1]'}, ("a", "1")),
        (task(label_separator="json"), {"tags": "[]"}, ()),
        (task(label_separator="json"), {"tags": " "}, ()),
        (task(label_separator="json"), {"tags": "a"}, None),
    ],
)
def test_how_labels_come(
    made: MultiLabelClassification, values: dict[str, object], target: tuple[str, ...] | None
) -> None:
    assert made._target(row(**values)) == target
    assert made.is_labeled(row(**values)) == (target is not None)


def test_labels_are_learned_and_become_numbers() -> None:
    fitted = task().fit([row(tags=["b", "a"]), row(tags=[]), row(tags=["b"])])
    assert fitted.labels == ("a", "b")
    assert dict(fitted.counts) == {"a": 1, "b": 2}
    assert fitted.targets([row(tags=["b"]), row(tags=[])]).tolist() == [[0, 1], [0, 0]]
    with pytest.raises(DataError, match="D204"):
        task().fit([row(tags=[])])


def test_bad_labels() -> None:
    fitted = task().fit([row(tags=["a"])])
    unknown = fitted.validate_row(row(tags=["z"]))
    assert unknown is not None and unknown.code == "D206"
    assert fitted.validate_row(row(tags=["a"])) is None
    assert fitted.validate_row(row(tags=None)) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [("2", "2"), (2, "2"), ("y", "y"), (["1"], "list"), (2**14000, "int"), (b"1", "bytes")],
)
def test_columns_that_are_no_flags(value: object, shown: str) -> None:
    finding = task(("p", "q")).validate_row(row(p=value, q="0"))
    assert finding is not None and finding.code == "D217"
    assert finding.message == f'"p" is "{shown}", neither 0 nor 1'


@pytest.mark.parametrize(
    ("made", "tags", "code"),
    [
        (task(), ["a", None], "D217"),
        (task(), [1, "a"], "D207"),
        (task(), {"a": 1}, "D217"),
        (task(label_separator="json"), "a", "D217"),
        (task(label_separator="json"), "[1, 'a']", "D207"),
        (task(label_separator=";"), "a;\ud800", "D142"),
        (task(class_names=("x", "y")), [2], "D217"),
    ],
)
def test_what_is_no_list_of_labels(made: MultiLabelClassification, tags: object, code: str) -> None:
    finding = made.validate_row(row(tags=tags))
    assert finding is not None and finding.code == code


def test_labels_are_written_in_the_form_of_their_column() -> None:
    for separator, written in ((None, ["b", "a"]), ("json", ["b", "a"]), (";", "b;a")):
        made = task(label_separator=separator) if separator else task()
        assert made.label_values(["b", "a"]) == {"tags": written}
        words = "b;a" if separator == ";" else "b|a"
        assert made.parse_label(words) == ("b", "a")
        assert made._target(row(**made.label_values(("b", "a")))) == ("b", "a")
    assert task(("p", "q")).label_values(["q"]) == {"p": "0", "q": "1"}


def test_a_stratum_is_a_set() -> None:
    assert task().stratum(row(tags=["b", "a", "b"])) == ("a", "b")
    assert task().stratum(row(tags=None)) == ()


def test_rows_without_a_label_are_counted() -> None:
    fitted = task().fit([row(tags=["a"]), row(tags=[]), row(tags=[])])
    assert fitted.num_empty == 2
    assert fitted.summary() == [
        "1 label: a 1",
        "2 rows have no label: none of the labels applies",
    ]
    assert task(label_separator="\t").fit([row(tags="a")]).summary()[1:] == [
        'several labels in one field: separated by "\\t"'
    ]
    assert task(label_separator="json").fit([row(tags="[1]")]).summary()[1:] == [
        "several labels in one field: written as a list"
    ]
    assert "num_empty" not in fitted.as_json()


def test_the_loss_is_summed_over_texts_and_labels() -> None:
    fitted = task().fit([row(tags=["a", "b", "c"])])
    logits, labels = torch.randn(4, 3), torch.randint(0, 2, (4, 3)).float()
    outputs = fitted.forward(Logits(logits), Batch({}, labels, 12, 0, np.arange(4)))
    mean = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    assert outputs.loss_sum is not None
    torch.testing.assert_close(outputs.loss_sum / 12, mean)


def test_answers_and_scores() -> None:
    fitted = task().fit([row(tags=["a", "b"])])
    logits = np.array([[2.0, 1.0], [-1.0, -2.0]], np.float32)
    first, second = fitted.decode({"logits": logits}, ())
    assert first["label"] == ["a", "b"]
    assert second["label"] == []
    assert 0 < float(str(second["score"])) < 0.5
    truth = np.array([[1, 1], [0, 1]], np.uint8)
    scores = fitted.score([METRICS["accuracy"]], {"logits": logits}, truth, None)
    assert scores["accuracy"] == 0.5
