from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.data.batches import Batch, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded, hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.models import load_tokenizer, locate
from tunesmith.recipe import DataSettings
from tunesmith.tasks import TASKS, task_named
from tunesmith.tasks.default_methods import TaskDefaults
from tunesmith.tasks.token_classification.task import TokenClassification


class Bare(TaskDefaults):
    roles = Roles("one", "two")


def test_a_task_without_named_labels_has_none() -> None:
    row = Row(0, {"one": "a", "two": "b"})
    bare, batch = Bare(), Batch({}, None, 0, 0, np.arange(0))
    assert bare.texts_of(row) == ("a", "b")
    assert (bare.has_named_labels, bare.label_counts, bare.labels_of(row)) == (False, {}, ())
    assert bare.label_values(()) == {}
    assert bare.corrupt(batch, seed=1) is batch and bare.with_tokenizer(None) is bare
    assert bare.baselines([row], [row]) == [{}] and bare.targets([row, row]).tolist() == [0, 0]
    assert bare.fit([row]) is bare and bare.stratum(row) == bare.stratum(Row(1, {}))
    assert bare.from_config({}, bare.roles) is None and bare.script_parts is None
    assert bare.summary() == [] and bare.pipeline is None
    assert bare.constant([row]) is None and bare.encode_answers([{"label": "a"}]) is None
    count, predictions = np.arange(2), {"logits": np.zeros((2, 3))}
    examples = Examples(hold_in_memory(Encoded({}, {}, count, count)))
    assert bare.join(predictions, examples) is predictions
    assert bare.truth(examples, iter([row, row])).tolist() == [0, 0]


def test_every_task_has_them() -> None:
    assert all(issubclass(task_named(name), TaskDefaults) for name in TASKS)


@pytest.mark.parametrize("has_pipeline", [True, False])
@pytest.mark.parametrize("pair", [None, "pair"])
@pytest.mark.parametrize("name", TASKS)
def test_the_usage_of_a_model_runs(
    name: str,
    pair: str | None,
    has_pipeline: bool,
    tiny_bert: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With transformers alone, by its pipeline, or by the model where it has none."""
    if name == "masked-lm" and pair:
        pytest.skip("its pipeline takes one text")
    settings = DataSettings(train="x", labels=("a", "b"))
    made: Any = task_named(name).make(Roles("text", pair, "label"), settings, [], {})
    if isinstance(made, TokenClassification):  # which learns its labels from the rows
        made = replace(made, labels=("O", "B-a", "I-a"))
    files = locate(str(tiny_bert))
    tokenizer = load_tokenizer(files)
    made = made.with_tokenizer(tokenizer)
    made.build(files, seed=0, dropout=None).model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    if made.pipeline is None and has_pipeline:
        pytest.skip("it has no pipeline")
    if not has_pipeline:
        monkeypatch.setattr(task_named(name), "pipeline", None)
    assert ("pipeline" in made.usage) == has_pipeline
    code = made.usage.replace("path/to/this/folder", str(tmp_path)).replace("…", "the soup")
    if "sentence_transformers" in code:
        pytest.importorskip("sentence_transformers")
    exec(code, {})
    said = capsys.readouterr().out
    own = {
        "multiple-choice": "softmax",
        "question-answering": "score",
        "text-ranking": "scores",
    }
    shown = own.get(name, "score" if has_pipeline else "logits")
    assert shown.lower() in said.lower()
