from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

import tunesmith
from tests.trainer.conftest import MakeModel


def test_what_example_scripts_call_at_the_end(
    tmp_path: Path, make_model: MakeModel, pairs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same lines and files as of transformers, also where nothing was saved before."""
    found = []
    for library in (transformers, tunesmith):
        output = tmp_path / library.__name__
        args = library.TrainingArguments(str(output), use_cpu=True, report_to="none")
        trainer = library.Trainer(make_model(), args, train_dataset=pairs["train"])
        trainer.log_metrics("eval", {"eval_loss": 0.123456, "eval_runtime": 61.5})
        trainer.save_metrics("train", {"train_loss": 1.0})
        trainer.save_metrics("eval", {"eval_loss": 2.0})
        trainer.save_metrics("test", {"test_loss": 3.0}, combined=False)
        trainer.save_state()
        files = {path.name: json.loads(path.read_text("utf-8")) for path in output.iterdir()}
        state = files.pop("trainer_state.json")
        found.append((capsys.readouterr().out, files, state["global_step"]))
    assert found[0] == found[1]
    assert found[1][1]["all_results.json"] == {"train_loss": 1.0, "eval_loss": 2.0}
