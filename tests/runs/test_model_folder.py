from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.capabilities import needs
from tunesmith.api.train import train
from tunesmith.data.columns import Roles
from tunesmith.errors import ModelError
from tunesmith.runs.model_folder import FACTS, amend_facts, read_facts
from tunesmith.storage import atomic
from tunesmith.tasks import Task
from tunesmith.tasks.masked_lm.task import MaskedLanguageModel
from tunesmith.tasks.multi_label_classification import MultiLabelClassification
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.tasks.text_regression import TextRegression

FINE: dict[str, Any] = {
    "format": 1,
    "max_length": 64,
    "scores": {},
    "task": json.loads(
        json.dumps(TextClassification(Roles("text", None, "label"), ("a", "b")).as_json())
    ),
}

PLAIN = """
import sys
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
folder = {folder!r}
model = AutoModelForSequenceClassification.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
assert model.config.id2label == {{0: "order", 1: "repair"}}, model.config.id2label
assert model.config.label2id == {{"order": 0, "repair": 1}}
(answers,) = pipeline("text-classification", model=folder, top_k=None)(["the printer is broken"])
print({{answer["label"]: round(answer["score"], 5) for answer in answers}})
assert "tunesmith" not in sys.modules
"""


def test_a_process_that_does_not_know_us_loads_it(
    tmp_path: Path, tickets: Path, tiny_bert: Path
) -> None:
    import tunesmith as ts

    run = train(
        str(tickets), out=tmp_path / "run", model=str(tiny_bert), settings={"train.epochs": 1}
    )
    assert {p.name for p in run.model.iterdir()} >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
        FACTS,
    }
    done = subprocess.run(
        [sys.executable, "-c", PLAIN.format(folder=str(run.model))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    theirs = eval(done.stdout)
    ours = ts.load(run.model).predict("the printer is broken")[0]["scores"]
    assert ours == pytest.approx(theirs, abs=2e-5)


def test_facts(tmp_path: Path) -> None:
    assert read_facts(tmp_path) is None
    (tmp_path / FACTS).write_text("{")
    with pytest.raises(ModelError, match="M109"):
        read_facts(tmp_path)


def test_facts_are_added_and_the_folder_stays_whole(tmp_path: Path) -> None:
    with atomic.publish(tmp_path / "model") as folder:
        (folder / FACTS).write_text(json.dumps({**FINE, "a": 1}))
        (folder / "model.safetensors").write_bytes(b"weights")
    amend_facts(tmp_path / "model", {"a": 2, "b": "字"})
    assert read_facts(tmp_path / "model") == {**FINE, "a": 2, "b": "字"}
    assert atomic.damage(tmp_path / "model") is None


def facts_of(tmp_path: Path, text: str) -> dict[str, Any]:
    (tmp_path / FACTS).write_text(text)
    facts = read_facts(tmp_path)
    assert facts is not None
    return facts


def test_every_task_is_read_back(tmp_path: Path) -> None:
    assert read_facts(tmp_path) is None
    tasks: list[Task] = [
        TextClassification(Roles("text", "other", "label"), ("a", "b"), "b"),
        MultiLabelClassification(Roles("text", None, ("x", "y")), ("x", "y")),
        TextRegression(Roles("text", None, "label"), 0.0, 1.0),
        MaskedLanguageModel(Roles("text")),
    ]
    for task in tasks:
        facts = json.dumps({**FINE, "task": task.as_json()})
        assert facts_of(tmp_path, facts) == json.loads(facts)


CALIBRATED: dict[str, Any] = {
    "kind": "classes", "temperature": 2, "rule": "each", "thresholds": {"a": 0.5, "b": None},
    "goal": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 2}, "format: "),
        ({"max_length": 0}, "max_length: "),
        ({"max_length": "64"}, "max_length: "),
        ({"max_length": 6.5}, "max_length: "),
        ({"task": None}, "task: "),
        ({"task": {}}, "KeyError: 'task'"),
        ({"task": {"task": "evil"}}, 'there is no task "evil"'),
        ({"task": {**FINE["task"], "labels": 5}}, "labels: "),
        ({"task": {**FINE["task"], "labels": ["a", 5]}}, "labels.1: "),
        ({"task": {**FINE["task"], "roles": {}}}, "roles.text: "),
        ({"task": {**FINE["task"], "roles": None}}, "roles: "),
        ({"task": {**FINE["task"], "more": 1}}, "unexpected keyword argument 'more'"),
        ({"task": {**FINE["task"], "positive_label": "c"}}, "tuple.index"),
        ({"metrics": "f1"}, "metrics: "),
        ({"scores": {"test": 1}}, "scores.test: "),
        ({"scores": {"test": {"f1": "x"}}}, "scores.test.f1: "),
        ({"intervals": []}, "intervals: "),
        ({"baselines": {"test": {"constant": {"f1": []}}}}, "baselines.test.constant.f1: "),
        ({"verdicts": {"test": None}}, "verdicts.test: "),
        ({"constant": [1.0]}, "constant: 1 numbers, not 2"),
        ({"constant": ["x", 1]}, "constant.0: "),
        ({"precision": 32}, "precision: "),
        ({"calibration": []}, "calibration: "),
        ({"calibration": {}}, "kind: "),
        (
            {"calibration": {**CALIBRATED, "temperature": 0}},
            "temperature: Input should be greater",
        ),
        ({"calibration": {**CALIBRATED, "temperature": "x"}}, "temperature: "),
        ({"calibration": {**CALIBRATED, "rule": "evil"}}, "rule: "),
        ({"calibration": {**CALIBRATED, "thresholds": {"a": 1}}}, 'calibration.thresholds: "a"'),
    ],
)
def test_every_field_is_checked(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    fine = {**FINE, "constant": [1.0, -1.0], "calibration": CALIBRATED, "more": "is kept"}
    assert facts_of(tmp_path, json.dumps(fine)) == fine
    with pytest.raises(ModelError, match="M109") as caught:
        facts_of(tmp_path, json.dumps({**fine, **changes}))
    assert "it is not as tunesmith wrote it: " in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", ["{}", "[]", "5", "", "{", '{"format": NaN}', "[" * 100_000])
def test_what_is_no_such_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ModelError, match="M109"):
        facts_of(tmp_path, text)


@needs("pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FACTS)
    with pytest.raises(ModelError, match="not a regular file"):
        read_facts(tmp_path)
