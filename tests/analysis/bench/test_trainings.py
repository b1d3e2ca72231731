from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis.bench.test_contenders import settings
from tunesmith.analysis.bench.trainings import as_features, prepare, trainer_arguments


@pytest.mark.parametrize(("key", "value"), [
    ("train.sampling", "balanced"),
    ("options.class_weights", "balanced"),
    ("options.focal_gamma", 2.0),
    ("train.freeze", ["embeddings"]),
])  # fmt: skip
def test_what_trainer_would_do_differently_is_refused(
    key: str, value: object, tickets: Path, tiny_bert: Path
) -> None:
    plain = settings(tickets, tiny_bert)
    assert trainer_arguments(prepare(plain))["learning_rate"] > 0
    with pytest.raises(ValueError, match=f"Trainer does not support {key}"):
        trainer_arguments(prepare({**plain, key: value}))


def test_rows_as_a_collator_takes_them(tickets: Path, tiny_bert: Path) -> None:
    job = prepare(settings(tickets, tiny_bert))
    rows = as_features(job.examples["train"])
    assert [row["row"] for row in rows] == list(range(len(job.examples["train"])))
    for row in rows:
        assert len(row["attention_mask"]) == len(row["input_ids"]) and row["labels"] in (0, 1)
