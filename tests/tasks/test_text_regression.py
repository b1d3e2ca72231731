from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tasks.test_text_classification import Logits
from tunesmith.data.batches import Batch
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.errors import DataError
from tunesmith.metrics.scores import METRICS
from tunesmith.recipe import DataSettings
from tunesmith.tasks.text_regression import TextRegression

TASK = TextRegression.make(Roles("text", None, "score"), DataSettings(train="x"), [], {})


def rows(*scores: object) -> list[Row]:
    return [Row(i, {"text": "x", "score": score}) for i, score in enumerate(scores)]


def test_the_range_is_learned() -> None:
    fitted = TASK.fit(rows("0.5", 5, 2.25))
    assert (fitted.lowest, fitted.highest) == (0.5, 5.0)
    assert fitted.summary() == ["targets from 0.5 to 5"]
    with pytest.raises(DataError, match="D204"):
        TASK.fit(rows(1, 1.0, "1"))


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        ("1.5", None, ""),
        (3, None, ""),
        (None, None, ""),
        ("inf", "D210", "infinite" if False else "inf"),
        (float("inf"), "D210", "inf"),
        (float("nan"), "D210", "nan"),
        (1e39, "D210", "too large"),
        ("-1e39", "D210", "too large"),
        (3e38, None, ""),
        ("1,234", "D211", "thousands separator"),
        ("good", "D211", '"good" is not a number'),
        pytest.param(
            10**5_000, "D211", '"a number of thousands of digits" is not a number', id="huge"
        ),
        (10**300, "D210", f"the target 1{'0' * 78}… is too large"),
    ],
)
def test_targets_that_are_none(value: object, code: str | None, words: str) -> None:
    finding = TASK.validate_row(rows(value)[0])
    assert (finding.code if finding else None) == code
    if finding:
        assert words in f"{finding.message} {finding.fix}"


def test_the_loss_is_the_summed_squared_error() -> None:
    values, labels = torch.randn(6, 1), torch.randn(6)
    outputs = TASK.forward(Logits(values), Batch({}, labels, 6, 0, np.arange(6)))
    assert outputs.loss_sum is not None
    torch.testing.assert_close(outputs.loss_sum, ((values[:, 0] - labels) ** 2).sum())
    assert outputs.per_example["logits"].shape == (6, 1)


def test_answers_bear_the_name_of_the_target() -> None:
    (answer,) = TASK.decode({"logits": np.array([[2.5]], np.float32)}, ())
    assert answer == {"label": "score", "score": 2.5, "scores": {"score": 2.5}}


def test_scores() -> None:
    truth = TASK.targets(rows(1, 2, 3))
    predicted = np.array([[2.0], [3.0], [4.0]], np.float32)
    scores = TASK.score(
        [METRICS["pearson"], METRICS["mean_squared_error"]], {"logits": predicted}, truth, 1.0
    )
    assert scores["pearson"] == pytest.approx(1)
    assert scores["mean_squared_error"] == pytest.approx(1)


def test_strata_are_the_targets() -> None:
    assert TASK.stratum(rows("2.5")[0]) == 2.5
    assert TASK.stratum(rows(None)[0]) == 0.0
