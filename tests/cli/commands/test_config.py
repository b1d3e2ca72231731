from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_every_value_with_its_origin(
    tunesmith: Command, tickets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("r.yaml").write_text(f"data: {{train: {tickets}}}\ntrain: {{seed: 7}}\n")
    monkeypatch.setenv("TUNESMITH_TRAIN__EPOCHS", "2")
    output = tunesmith(
        "config",
        "show",
        "r.yaml",
        "--model",
        "embedded:mini",
        "--set",
        "train.log_every=5",
        "--json",
    )
    (record,) = output.records
    kinds = {key: value["origin"] for key, value in record.items()}
    assert kinds["train.log_every"] == "set"
    assert kinds["model"] == "flag"
    assert kinds["train.epochs"] == "environment"
    assert kinds["train.seed"] == "recipe"
    assert kinds["train.weight_decay"] == "preset"
    assert kinds["data.label"] == "automatic"
    assert kinds["train.device"] == "default"
    assert record["train.seed"]["detail"] == "r.yaml:2:15"
    output = tunesmith("config", "show", "r.yaml")
    assert "TUNESMITH_TRAIN__EPOCHS" in output.out


def test_show_without_data(tunesmith: Command) -> None:
    output = tunesmith("config", "show", "no.csv")
    assert output.code == 0
    assert "train.epochs" in output.out
    assert "D105" in output.err


def test_all_problems_of_a_recipe(tunesmith: Command) -> None:
    Path("r.yaml").write_text("data: {train: a.csv}\ntrain: {epocs: 3, num_train_epochs: 3}\n")
    output = tunesmith("config", "show", "r.yaml")
    assert output.code == 2
    assert output.err.count("R101") == 2
    assert "here train.epochs" in output.err


def test_the_schema_is_json(tunesmith: Command) -> None:
    plain = json.loads(tunesmith("config", "schema").out)
    (record,) = tunesmith("config", "schema", "--json").records
    assert plain == record
    assert plain["title"] == "Tunesmith recipe"
