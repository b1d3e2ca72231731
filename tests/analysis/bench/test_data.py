from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis.bench.test_contenders import settings
from tunesmith.analysis.bench import contenders
from tunesmith.analysis.bench.data import as_features, in_their_words


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
    assert in_their_words(contenders._job(plain))["learning_rate"] > 0
    with pytest.raises(ValueError, match=f"{key} is not known to Trainer"):
        in_their_words(contenders._job({**plain, key: value}))


def test_rows_as_a_collator_takes_them(tickets: Path, tiny_bert: Path) -> None:
    job = contenders._job(settings(tickets, tiny_bert))
    rows = as_features(job.examples["train"])
    assert [row["row"] for row in rows] == list(range(len(job.examples["train"])))
    for row in rows:
        assert len(row["attention_mask"]) == len(row["input_ids"]) and row["labels"] in (0, 1)
