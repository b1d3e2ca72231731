from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.shards import write_shards
from tests.runs.test_streaming import ROWS, SETTINGS
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather
from tunesmith.runs.prepare import prepare_run


def test_every_training_row_once_and_no_other(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = write_shards(tmp_path / "data", ROWS)
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    sets = [f"{key}={value}" for key, value in SETTINGS.items()]
    layers = gather(sets=[f"data.train={shards}", f"model={tiny_bert}", *sets], environment={})
    job = prepare_run(validate_inputs(resolve_inputs(layers)))
    train_examples, validation = job.examples["train"], job.examples["validation"]
    assert (len(train_examples), len(validation)) == (162, 18)
    source = job.splits["validation"].source
    held_out = set(source.originals(range(18)).values())  # type: ignore[attr-defined]
    for epoch in (0, 1):
        seen: list[int] = []
        for step in range(epoch * 27, epoch * 27 + 27):
            places = job.plan.examples_at(step)
            batch = job.batch(step, places)
            rows = train_examples.rows_of(places).tolist()
            labels = job.rows({"train": rows})["train"]
            assert batch.labels is not None
            assert batch.labels.tolist() == [
                job.task.output.names.index(str(labels[row].values["label"])) for row in rows
            ]
            seen += rows
        assert sorted(seen) == sorted(set(range(ROWS)) - held_out)
