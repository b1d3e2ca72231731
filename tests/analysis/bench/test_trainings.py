from __future__ import annotations

import json
from pathlib import Path
from threading import Thread

import pytest

from tests.analysis.bench.test_contenders import settings
from tunesmith.analysis.bench.trainings import (
    Steps,
    TrainedStep,
    Training,
    as_features,
    prepare,
    trainer_arguments,
    trainer_steps,
    tunesmith_steps,
)
from tunesmith.api.data import load_data


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


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("entities", {"labels"}),
        ("choices", {"labels"}),
        ("questions", {"start_positions", "end_positions"}),
    ],
)
def test_trainer_learns_the_same_from_rows_of_every_form(
    data: str, names: set[str], tmp_path: Path
) -> None:
    """The first step, before any update: its loss is that of the same model."""
    source = load_data(f"embedded:{data}")["train"]
    rows = [dict(row.values) for chunk in source.chunks() for row in chunk][:60]
    rows = [row for row in rows if len(row.get("choices", range(4))) == 4][:12]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    plain = {
        "data.train": str(path), "data.validation": None, "model": "embedded:mini",
        "train.batch_size": 4, "train.max_steps": 2, "train.select_by": None,
        "train.evaluate_every": None, "train.dropout": 0.0, "train.device": "cpu",
        "train.max_length": 64, "train.log_every": 1,
    }  # fmt: skip
    assert names < set(as_features(prepare(plain).examples["train"])[0])
    ours = next(tunesmith_steps({**plain, "train.engine": "exact"}))
    theirs = first_of(trainer_steps(plain, {}, tunes_process=False))
    assert (ours.indices, ours.tokens) == (theirs.indices, theirs.tokens)
    if "labels" in names:  # of answers transformers' softmax includes padding, ours does not
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)


def first_of(training: Training) -> TrainedStep:
    """What a training does first; it then waits, and ends with the test."""
    steps = Steps()
    thread = Thread(target=steps.run, args=(training,))
    thread.start()
    try:
        return next(steps)
    finally:
        steps.stop()
        thread.join()


def test_a_training_that_ends_says_so() -> None:
    step = TrainedStep([1, 2], 7, 0.5)
    steps = Steps()
    thread = Thread(target=steps.run, args=(lambda own: own.give(step),))
    thread.start()
    assert next(steps) is step and steps.done == 1
    with pytest.raises(ValueError, match="the training is over"):
        next(steps)
    thread.join()


def test_one_that_is_never_requested_does_not_begin() -> None:
    steps = Steps()
    steps.stop()
    steps.run(lambda _own: pytest.fail("it began"))


def test_rows_as_a_collator_takes_them(tickets: Path, tiny_bert: Path) -> None:
    job = prepare(settings(tickets, tiny_bert))
    rows = as_features(job.examples["train"])
    assert [row["row"] for row in rows] == list(range(len(job.examples["train"])))
    for row in rows:
        assert len(row["attention_mask"]) == len(row["input_ids"]) and row["labels"] in (0, 1)
