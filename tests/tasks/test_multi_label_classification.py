from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tasks.test_text_classification import Logits
from tunesmith.batching import Batch, Examples
from tunesmith.data.prepared import Encoded, hold_in_memory
from tunesmith.data.roles import Roles
from tunesmith.data.rows import Column, Row
from tunesmith.errors import DataError
from tunesmith.metrics import METRICS
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
    ],
)
def test_how_labels_come(
    made: MultiLabelClassification, values: dict[str, object], target: tuple[str, ...] | None
) -> None:
    assert made._target(row(**values)) == target
    assert made.is_labelled(row(**values)) == (target is not None)


def test_labels_are_learnt_and_become_numbers() -> None:
    fitted = task().fit([row(tags=["b", "a"]), row(tags=[]), row(tags=["b"])])
    assert fitted.labels == ("a", "b")
    assert dict(fitted.counts) == {"a": 1, "b": 2}
    assert fitted.targets([row(tags=["b"]), row(tags=[])]).tolist() == [[0, 1], [0, 0]]
    with pytest.raises(DataError, match="D204"):
        task().fit([row(tags=[])])


def test_bad_labels() -> None:
    fitted = task().fit([row(tags=["a"])])
    unknown = fitted.examine(row(tags=["z"]))
    assert unknown is not None and unknown.code == "D206"
    flag = task(("p", "q")).examine(row(p="2", q="0"))
    assert flag is not None and flag.code == "D217"


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
    first, second = fitted.decode({"logits": logits})
    assert first["label"] == ["a", "b"]
    assert second["label"] == []
    assert 0 < float(str(second["score"])) < 0.5
    labels = np.array([[1, 1], [0, 1]], np.uint8)
    count = np.arange(2)
    examples = Examples(hold_in_memory(Encoded({}, {"labels": labels}, count, count)))
    scores = fitted.score([METRICS["accuracy"]], {"logits": logits}, examples, None)
    assert scores["accuracy"] == 0.5
