from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith import commit
from tunesmith.api import train
from tunesmith.artifact.folder import FACTS, amend_facts, read_facts
from tunesmith.errors import ModelError

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
    with commit.publish(tmp_path / "model") as folder:
        (folder / FACTS).write_text('{"format": 1, "a": 1}')
        (folder / "model.safetensors").write_bytes(b"weights")
    amend_facts(tmp_path / "model", {"a": 2, "b": "字"})
    assert read_facts(tmp_path / "model") == {"format": 1, "a": 2, "b": "字"}
    assert commit.damage(tmp_path / "model") is None
