from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from tests.runs.test_session import session
from tests.training.fast.models import model_of
from tunesmith.errors import Severity
from tunesmith.runs import make_engine
from tunesmith.runs.open_session import write_recipe_and_plan
from tunesmith.training.engine import ExactEngine
from tunesmith.training.fast.engine import FastEngine


def test_the_recipe_chooses(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    for name, kind in (("fast", FastEngine), ("exact", ExactEngine)):
        made = session(tickets, tiny_bert, tmp_path / name, [f"train.engine={name}"])
        assert type(made.engine) is kind
        assert made.is_padded == (name == "exact")


@pytest.mark.parametrize(
    ("save_every", "sync_every"), [("epoch", 10), ("4 steps", 2), ("15 steps", 5)]
)
def test_the_engine_syncs_as_often_as_steps_are_read(
    save_every: str, sync_every: int, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(
        tickets, tiny_bert, tmp_path / "run",
        [f"train.save_every={save_every}", "train.log_every=10"],
    )  # fmt: skip
    assert make_engine._sync_every(made.job.recipe.train) == sync_every


def test_weights_that_take_no_part_are_seen(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.engine=exact"])
    assert not make_engine._leaves_weights_unused(made.network, made.job)
    made.network.idle = torch.nn.Linear(2, 2)
    assert make_engine._leaves_weights_unused(made.network, made.job)


def test_what_cannot_run_packed_is_reported(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deberta"
    config = AutoConfig.from_pretrained(tiny_bert)
    model_of("deberta-v2", vocab_size=config.vocab_size, type_vocab_size=2).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_bert / name, folder / name)
    made = session(tickets, folder, tmp_path / "run")
    (note,) = [problem for problem in made.warnings if problem.code == "M122"]
    assert note.severity is Severity.NOTE
    assert "parts of nearly equal length" in note.message and "attention" in note.message
    write_recipe_and_plan(made)
    assert made.run.plan_facts()["engine"]["layout"] == "parts of equal length"


def test_what_the_probe_found_is_kept(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.disable=[dropout]"])
    assert not [problem for problem in made.warnings if problem.code == "M122"]
    write_recipe_and_plan(made)
    engine = made.run.plan_facts()["engine"]
    assert engine["layout"] == "first token, last layer cut" and engine["disabled"] == ["dropout"]
    enabled = session(tickets, tiny_bert, tmp_path / "enabled", ["train.enable=[graphs]"])
    assert not enabled.warnings and "uses" not in enabled.engine_facts, "no GPU"
    exact = session(tickets, tiny_bert, tmp_path / "exact", ["train.engine=exact"])
    write_recipe_and_plan(exact)
    assert exact.run.plan_facts()["engine"] == {"name": "exact"}
