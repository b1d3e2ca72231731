from __future__ import annotations

import numpy as np
import pytest
import torch

from tunesmith.data.batches import Batch
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Column, Row
from tunesmith.errors import DataError, RecipeError
from tunesmith.metrics.scores import METRICS
from tunesmith.recipe import DataSettings
from tunesmith.tasks.text_classification import TextClassification, order_labels

ROLES = Roles("text", None, "label")


def task(class_names: tuple[str, ...] | None = None, **settings: object) -> TextClassification:
    data = DataSettings.model_validate({"train": "x", **settings})
    columns = [Column("text", "text"), Column("label", "x", class_names)]
    return TextClassification.make(ROLES, data, columns, {})


def rows(*labels: object) -> list[Row]:
    return [Row(i, {"text": "x", "label": label}) for i, label in enumerate(labels)]


class Logits(torch.nn.Module):
    """A stand-in network that gives the logits it was made with."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, **_inputs: torch.Tensor) -> Logits:
        return self


def test_labels_are_sorted_and_counted() -> None:
    fitted = task().fit(rows("b", "a", "b", "c"))
    assert fitted.labels == ("a", "b", "c")
    assert dict(fitted.counts) == {"a": 1, "b": 2, "c": 1}
    assert fitted.default_metrics == ("f1_macro", "accuracy")
    assert "b 2" in fitted.summary()[0]


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        (["10", "9", "1"], ("1", "9", "10")),
        (["-1", "1", "0"], ("-1", "0", "1")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["否", "是"], ("否", "是")),
    ],
)
def test_the_order_of_labels(labels: list[str], ordered: tuple[str, ...]) -> None:
    assert order_labels(labels) == ordered


def test_the_order_is_given_else_the_columns_own() -> None:
    assert task(labels=["b", "a"]).fit(rows("a", "b")).labels == ("b", "a")
    assert task(("no", "yes")).fit(rows(1, 0)).labels == ("no", "yes")
    assert task(("no", "yes"), labels=["yes", "no"]).fit(rows(1, 0)).labels == ("yes", "no")


def test_the_positive_class() -> None:
    assert task().fit(rows("a", "b")).output.positive == 1
    assert task(positive_label="a").fit(rows("a", "b")).output.positive == 0
    assert "binary F1 counts b" in task().fit(rows("a", "b")).summary()[1]
    with pytest.raises(RecipeError, match="R112"):
        task(positive_label="c").fit(rows("a", "b"))


@pytest.mark.parametrize(
    ("labels", "code", "words"),
    [
        (["pos"] * 8, "D204", 'all 8 rows are "pos"'),
        ([str(i) for i in range(12)], "D205", '12 classes in 12 rows; is "label" an id'),
        ([-1, 0, 1, 1], "D213", "1 rows are labeled -1"),
    ],
)
def test_labels_that_teach_nothing(labels: list[object], code: str, words: str) -> None:
    with pytest.raises(DataError, match=code) as caught:
        task().fit(rows(*labels))
    assert words in str(caught.value)


def test_minus_one_is_a_class_where_it_is_said_or_plain() -> None:
    assert task(labels=[-1, 0, 1]).fit(rows(-1, 0, 1)).labels == ("-1", "0", "1")
    assert task().fit(rows(-1, 1, 1)).labels == ("-1", "1")


def test_a_given_label_that_no_row_has() -> None:
    with pytest.raises(RecipeError, match="R112"):
        task(labels=["a", "b", "c"]).fit(rows("a", "b"))


def test_rows_that_cannot_be_used() -> None:
    fitted = task().fit(rows("good", "bad"))
    for label, code in (("good", None), ("goood", "D206"), (["a"], "D208"), ({"k": 1}, "D217")):
        (row,) = rows(label)
        finding = fitted.validate_row(row)
        assert (finding.code if finding else None) == code
    (row,) = rows("goood")
    result = fitted.validate_row(row)
    assert result is not None and 'did you mean "good"' in str(result.fix)
    assert not fitted.is_labeled(rows(None)[0])
    assert task(("no", "yes")).is_labeled(rows(1)[0])
    assert not task(("no", "yes")).is_labeled(rows(-1)[0])


def test_the_loss_is_a_sum() -> None:
    fitted = task().fit(rows("a", "b"))
    logits, labels = torch.randn(5, 2), torch.tensor([0, 1, 1, 0, 1])
    batch = Batch({}, labels, 5, 0, np.arange(5))
    outputs = fitted.forward(Logits(logits), batch)
    mean = torch.nn.functional.cross_entropy(logits, labels)
    assert outputs.loss_sum is not None
    torch.testing.assert_close(outputs.loss_sum / 5, mean)
    assert fitted.forward(Logits(logits), Batch({}, None, 0, 0, np.arange(5))).loss_sum is None


def test_answers_as_text() -> None:
    fitted = task().fit(rows("a", "b"))
    logits = np.array([[0.0, np.log(3)], [1000.0, -1000.0]], np.float32)
    first, second = fitted.decode({"logits": logits}, ())
    assert first["label"] == "b"
    assert first["score"] == pytest.approx(0.75)
    assert first["scores"] == pytest.approx({"a": 0.25, "b": 0.75})
    assert second["score"] == 1.0


def test_scores_count_the_positive_class() -> None:
    fitted = task(positive_label="a").fit(rows("a", "b"))
    truth = fitted.targets(rows("a", "a", "b", "b"))
    logits = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
    scores = fitted.score([METRICS["f1"], METRICS["accuracy"]], {"logits": logits}, truth, 0.5)
    assert scores["f1"] == pytest.approx(2 / 3)
    assert scores["accuracy"] == 0.75
    assert scores["loss"] == 0.5
