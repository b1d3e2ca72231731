from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoConfig

from tests.runs.test_session import session
from tests.training.fast.models import model_of
from tunesmith.errors import (
    IntegrityError,
    ModelError,
    Problem,
    ResourceError,
    Severity,
)
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.open_session import (
    check_saved,
    discard_damaged_best,
    open_session,
    refuse_small_disk,
    write_recipe_and_plan,
)
from tunesmith.runs.prepare import prepare_run
from tunesmith.runs.session import Session
from tunesmith.runs.signals import StopRequest
from tunesmith.training import checkpoint
from tunesmith.training.device import make_accelerator


def test_a_fresh_one_writes_its_plan(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    assert made.resumed_from is None
    assert made.new_weights == ("classifier.bias", "classifier.weight")
    assert [path.name for path in made.run.path.iterdir()] == []  # until all was tried
    write_recipe_and_plan(made)
    assert gather(file=made.run.recipe, environment={}).recipe() == made.job.recipe
    facts = made.run.plan_facts()
    assert facts["model"]["name"] == str(tiny_bert)
    assert facts["model"]["revision"] is None
    train, prepared = made.job.examples["train"], made.job.examples["train"].prepared
    assert facts["data"].keys() == {"train", "validation"}
    assert facts["data"]["train"] == {
        "source": str(tickets),
        "revision": None,
        "rows": 54,
        "examples": 54,
        "tokens": int(train.lengths.sum()),
        "prepared": prepared.key,
    }
    assert facts["plan"] == json.loads(json.dumps(made.job.plan.as_json()))
    assert facts["task"] == json.loads(json.dumps(made.job.task.as_json()))
    assert facts["task"]["labels"] == ["order", "repair"]
    assert facts["max_length"] == made.job.max_length
    assert facts["engine"] == json.loads(json.dumps(made.engine_facts))


def test_settings_reach_the_model(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    made = session(
        tickets,
        tiny_bert,
        tmp_path / "run",
        ["train.freeze=embeddings", "train.dropout=0.3", "train.gradient_checkpointing=true"],
    )
    assert not made.network.bert.embeddings.word_embeddings.weight.requires_grad
    assert {m.p for m in made.network.modules() if isinstance(m, torch.nn.Dropout)} == {0.3}
    assert any(getattr(m, "gradient_checkpointing", False) for m in made.network.modules())


def test_gradient_checkpointing_changes_no_gradient(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """With dropout on: the recomputed pass must draw the same."""
    gradients = []
    for i, checkpointing in enumerate(("true", "false")):
        made = session(
            tickets, tiny_bert, tmp_path / str(i), [f"train.gradient_checkpointing={checkpointing}"]
        )
        ((_number, batch),) = made.micro_batches(0)
        made.engine.set_training(True)
        torch.manual_seed(5)
        made.engine.accumulate(batch, 1.0, is_last=True)
        gradients.append([p.grad for p in made.network.parameters() if p.grad is not None])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)


def test_a_disk_too_small_is_reported_before_training(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=100_000))
    with pytest.raises(ResourceError, match="C107") as caught:
        session(tickets, tiny_bert, tmp_path / "run")
    assert "are needed" in str(caught.value)
    assert not (tmp_path / "run" / "plan.json").exists()


def decoder_without_marks(tiny_bert: Path, folder: Path, **config: int) -> Path:
    """A decoder whose tokenizer names no padding token and no end of text."""
    from transformers import PreTrainedTokenizerFast

    size = AutoConfig.from_pretrained(tiny_bert).vocab_size
    model = model_of("gpt2", vocab_size=size, pad_token_id=0, bos_token_id=2, eos_token_id=3)
    model.save_pretrained(folder)
    facts = json.loads((folder / "config.json").read_text())
    facts |= {"pad_token_id": None, "eos_token_id": None, **config}
    (folder / "config.json").write_text(json.dumps(facts))
    bare = PreTrainedTokenizerFast(tokenizer_file=str(tiny_bert / "tokenizer.json"))
    bare.save_pretrained(folder)
    return folder


def test_without_a_padding_token_rows_cannot_share_a_batch(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = decoder_without_marks(tiny_bert, tmp_path / "bare")
    with pytest.raises(ModelError, match="M146") as caught:
        session(tickets, folder, tmp_path / "run")
    assert caught.value.exit_code == 2
    assert "pad_token" in str(caught.value)


def test_the_padding_token_of_the_config_will_do(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = decoder_without_marks(tiny_bert, tmp_path / "bare", pad_token_id=0)
    made = session(tickets, folder, tmp_path / "run")
    assert made.job.tokenizer.pad_token == "[PAD]"


def saved(made: Session, step: int, **fingerprint: object) -> Path:
    """A checkpoint of a session that has begun, as if saved at `step`."""
    write_recipe_and_plan(made)
    made.progress.step = step
    stored = {**made.fingerprint, **fingerprint}
    return checkpoint.save(made.run.checkpoints, made.engine, made.progress, {}, stored)


def test_another_runs_checkpoint_is_refused_whatever_its_shapes(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    first = session(tickets, tiny_bert, tmp_path / "run")
    saved(first, 2)
    again = session(tickets, tiny_bert, tmp_path / "run")
    assert again.resumed_from == "step-00000002"
    assert [p.code for p in again.take_warnings()] == []
    other = session(tickets, tiny_bert, tmp_path / "other", ["train.seed=7"])
    copied = first.run.checkpoints / "step-00000003"
    shutil.copytree(saved(other, 3), copied)
    with pytest.raises(IntegrityError, match="C109") as caught:
        session(tickets, tiny_bert, tmp_path / "run")
    assert "train.seed: 7 → 42" in str(caught.value)
    assert str(caught.value.problems[0].place) == str(copied)
    first.run.plan.unlink()
    with pytest.raises(IntegrityError, match="C109"):
        session(tickets, tiny_bert, tmp_path / "run")
    shutil.rmtree(copied)  # as the message asks
    again = session(tickets, tiny_bert, tmp_path / "run")
    assert again.resumed_from == "step-00000002"
    again.progress.best_step = 1
    foreign = first.run.checkpoints / "step-00000001"
    shutil.copytree(saved(other, 1), foreign)
    with pytest.raises(IntegrityError, match="C109"):
        discard_damaged_best(again, again.progress)
    shutil.move(saved(other, 4), first.run.checkpoints / "step-00000005")
    with pytest.raises(IntegrityError, match=r"C102 .*it holds step 4"):
        check_saved(again, first.run.checkpoints / "step-00000005")
    again.progress.best_step, again.progress.best_value = 5, 0.5
    again.take_warnings()
    discard_damaged_best(
        again, again.progress
    )  # one that cannot be chosen does not end the run for ever
    assert (again.progress.best_step, again.progress.best_value) == (0, None)
    (problem,) = again.take_warnings()
    assert problem.code == "C101" and "it holds step 4" in problem.message


@pytest.mark.parametrize("plan", ["whole", "cut", "gone"])
def test_what_changed_since_is_an_error_whatever_became_of_the_plan(
    plan: str, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    model = tmp_path / "bert"
    shutil.copytree(tiny_bert, model)
    first = session(tickets, model, tmp_path / "run")
    saved(first, 2)
    whole = first.run.plan.read_text()
    if plan == "cut":
        first.run.plan.write_text(whole[:-9])
    elif plan == "gone":
        first.run.plan.unlink()
    rows, weights = tickets.read_text(), (model / "model.safetensors").read_bytes()
    tickets.write_text(rows.replace("printer", "plotter"))
    with pytest.raises(IntegrityError, match=r"C104 .*the data changed") as caught:
        session(tickets, model, tmp_path / "run")
    assert caught.value.exit_code == 6
    tickets.write_text(rows)
    (model / "model.safetensors").write_bytes(weights[:-4] + bytes(4))
    with pytest.raises(IntegrityError, match=r"C104 .*the model changed") as caught:
        session(tickets, model, tmp_path / "run")
    assert "files.model.safetensors: " in str(caught.value)
    (model / "model.safetensors").write_bytes(weights)
    again = session(tickets, model, tmp_path / "run")
    told_of = [problem.code for problem in again.take_warnings()]
    assert told_of == ([] if plan == "whole" else ["C115"])
    write_recipe_and_plan(again)
    assert first.run.plan.read_text() == whole
    assert len(list(first.run.path.glob(".bad-plan.json-*"))) == (plan == "cut")
    assert [p.code for p in session(tickets, model, tmp_path / "run").take_warnings()] == []


def test_what_a_start_without_a_step_left_is_replaced(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    first = session(tickets, tiny_bert, tmp_path / "run", ["train.seed=7"])
    write_recipe_and_plan(first)
    first.run.log.write_text('{"event": "warned", "code": "D9", "message": "old", "step": 0}\n')
    first.run.rejected.write_text("{}\n")
    tickets.write_text(tickets.read_text().replace("printer", "plotter"))
    second = session(tickets, tiny_bert, tmp_path / "run")
    assert first.run.log.exists()
    write_recipe_and_plan(second)
    assert not first.run.log.exists() and not first.run.rejected.exists()
    assert gather(file=first.run.recipe, environment={}).recipe().train.seed == 42
    assert first.run.plan_facts()["fingerprint"] == json.loads(json.dumps(second.fingerprint))


def test_warnings_about_the_data_are_reported_until_they_are_logged(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    layers = gather(sets=[f"data.train={tickets}", f"model={tiny_bert}"], environment={})
    leak = Problem("D401", "rows leak", severity=Severity.WARNING)
    rare = Problem("D310", "a rare class", severity=Severity.WARNING)

    def made(*warnings: Problem) -> Session:
        job = replace(prepare_run(validate_inputs(resolve_inputs(layers))), warnings=warnings)
        (tmp_path / "run").mkdir(exist_ok=True)
        accelerator = make_accelerator(device="cpu")
        return open_session(
            job, RunFolder(tmp_path / "run"), accelerator, precision="fp32", stop=StopRequest()
        )

    first = made(leak, rare, leak)
    assert first.data_warnings == [leak, rare]
    assert first.take_warnings() == [leak, rare]
    saved(first, 1)
    log = first.run.log
    log.write_text('{"event": "warned", "step": 0, "code": "D401", "message": "rows leak"}\n')
    second = made()  # a resumed run is not audited again
    assert second.data_warnings == [leak, rare]
    assert second.take_warnings() == [rare]
    log.unlink()
    assert made(rare).take_warnings() == [leak, rare]


def test_a_model_folder_that_is_not_whole_is_set_aside(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    run.model.mkdir(parents=True)
    made = session(tickets, tiny_bert, run.path)
    (renamed,) = run.path.glob(".bad-model-*")
    problem = made.take_warnings()[-1]
    assert (problem.code, problem.severity) == ("C101", Severity.WARNING)
    assert problem.evidence == (f"kept as {renamed.name}",)
    assert not run.model.exists()


def test_a_best_of_this_step_or_of_none_needs_no_checkpoint(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    made.progress.step, made.progress.best_value = 3, 0.5
    for best, remaining in ((0, (0, 0.5)), (3, (3, 0.5)), (2, (0, None))):
        made.progress.best_step = best
        discard_damaged_best(made, made.progress)
        assert (made.progress.best_step, made.progress.best_value) == remaining
    assert [problem.code for problem in made.take_warnings()] == ["C101"]


@pytest.mark.parametrize(
    ("saved", "frozen", "needed"),
    [
        (0, False, int(1.1 * (4 * 1200 + 400))),  # a checkpoint: weights and two moments
        (0, True, int(1.1 * (4 * 400 + 400))),  # frozen weights have no moments
        (3, False, int(1.1 * (1 * 1200 + 400))),
        (9, False, int(1.1 * 400)),
    ],
)
def test_the_disk_space_that_is_needed(
    saved: int, frozen: bool, needed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Linear(9, 10)  # a hundred weights of four bytes
    network.requires_grad_(not frozen)
    run = RunFolder(tmp_path)
    for step in range(saved):
        (run.checkpoints / f"step-{step + 1:08d}").mkdir(parents=True)
    usage = shutil.disk_usage(tmp_path)
    checked = []

    def free_bytes(path: Path, free: int) -> object:
        checked.append(path)
        return usage._replace(free=free)

    monkeypatch.setattr(shutil, "disk_usage", lambda path: free_bytes(path, needed))
    refuse_small_disk(run, network, 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free_bytes(path, needed - 1))
    with pytest.raises(ResourceError, match="C107") as caught:
        refuse_small_disk(run, network, 2)
    assert caught.value.exit_code == 4
    assert checked == [tmp_path, tmp_path]
    assert "0.0 GB are needed for checkpoints and model, 0.0 are free" in str(caught.value)
