from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig

from tests.training.fast.models import model_of
from tunesmith.errors import (
    IntegrityError,
    Interrupted,
    ModelError,
    Problem,
    ResourceError,
    Severity,
)
from tunesmith.inputs import check, look
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.prepare import make_job
from tunesmith.runs.session import Session
from tunesmith.runs.signals import StopRequest
from tunesmith.training import checkpoint
from tunesmith.training.device import make_accelerator
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.predict import Evaluation


def session(
    tickets: Path, model: Path, run: Path, sets: Sequence[str] = (), *, precision: str = "fp32"
) -> Session:
    layers = gather(sets=[f"data.train={tickets}", f"model={model}", *sets], environment={})
    run.mkdir(exist_ok=True)
    return Session(
        make_job(check(look(layers))),
        RunFolder(run),
        make_accelerator(device="cpu", precision=precision),
        precision=precision,
        stop=StopRequest(),
    )


def test_a_fresh_one_writes_its_plan(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    assert made.resumed_from is None
    assert made.new_weights == ("classifier.bias", "classifier.weight")
    assert [path.name for path in made.run.path.iterdir()] == []  # until all was tried
    made.begin()
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
    assert facts["engine"] == json.loads(json.dumps(made.how))


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
    for i, wanted in enumerate(("true", "false")):
        made = session(
            tickets, tiny_bert, tmp_path / str(i), [f"train.gradient_checkpointing={wanted}"]
        )
        ((_number, batch),) = made.micro_batches(0)
        made.engine.set_training(True)
        torch.manual_seed(5)
        made.engine.accumulate(batch, 1.0, is_last=True)
        gradients.append([p.grad for p in made.network.parameters() if p.grad is not None])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)


def test_bf16_is_near_fp32(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        made = session(tickets, tiny_bert, tmp_path / precision, precision=precision)
        ((_number, batch),) = made.micro_batches(0)
        made.engine.set_training(False)
        losses.append(made.engine.outputs(batch).loss_sum)
    assert losses[0] is not None
    exact, near = losses[0].item(), losses[1]
    assert near is not None
    assert near.dtype == torch.float32
    assert near.item() == pytest.approx(exact, rel=0.02)
    assert near.item() != exact


def test_own_scores_stand_beside_the_others(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    layers = gather(sets=[f"data.train={tickets}", f"model={tiny_bert}"], environment={})
    seen = []

    def compute(pair):  # type: ignore[no-untyped-def]
        logits, labels = pair
        seen.append((logits.shape, labels.shape))
        return {"mine": (logits.argmax(-1) == labels).mean()}

    (tmp_path / "run").mkdir()
    made = Session(
        make_job(check(look(layers)), custom_metrics=True),
        RunFolder(tmp_path / "run"),
        make_accelerator(device="cpu"),
        precision="fp32",
        stop=StopRequest(),
        compute_metrics=compute,
    )
    scores = made.evaluate()
    assert scores["mine"] == scores["accuracy"]
    assert seen == [((6, 2), (6,))]


def test_a_disk_too_small_is_told_before_training(
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
    """A checkpoint of a session that has begun, as if it stood at a step."""
    made.begin()
    made.progress.step = step
    kept = {**made.fingerprint, **fingerprint}
    return checkpoint.save(made.run.checkpoints, made.engine, made.progress, {}, kept)


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
    with pytest.raises(IntegrityError, match="C109") as told:
        session(tickets, tiny_bert, tmp_path / "run")
    assert "train.seed: 7 → 42" in str(told.value)
    assert str(told.value.problems[0].place) == str(copied)
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
        again._check_best()
    shutil.move(saved(other, 4), first.run.checkpoints / "step-00000005")
    with pytest.raises(IntegrityError, match=r"C102 .*it holds step 4"):
        again.check_saved(first.run.checkpoints / "step-00000005")
    again.progress.best_step, again.progress.best_value = 5, 0.5
    again.take_warnings()
    again._check_best()  # one that cannot be chosen does not end the run for ever
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
    with pytest.raises(IntegrityError, match=r"C104 .*the data changed") as told:
        session(tickets, model, tmp_path / "run")
    assert told.value.exit_code == 6
    tickets.write_text(rows)
    (model / "model.safetensors").write_bytes(weights[:-4] + bytes(4))
    with pytest.raises(IntegrityError, match=r"C104 .*the model changed") as told:
        session(tickets, model, tmp_path / "run")
    assert "files.model.safetensors: " in str(told.value)
    (model / "model.safetensors").write_bytes(weights)
    again = session(tickets, model, tmp_path / "run")
    told_of = [problem.code for problem in again.take_warnings()]
    assert told_of == ([] if plan == "whole" else ["C115"])
    again.begin()
    assert first.run.plan.read_text() == whole
    assert len(list(first.run.path.glob(".bad-plan.json-*"))) == (plan == "cut")
    assert [p.code for p in session(tickets, model, tmp_path / "run").take_warnings()] == []


def test_what_a_start_without_a_step_left_is_replaced(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    first = session(tickets, tiny_bert, tmp_path / "run", ["train.seed=7"])
    first.begin()
    first.run.log.write_text('{"event": "warned", "code": "D9", "message": "old", "step": 0}\n')
    first.run.rejected.write_text("{}\n")
    tickets.write_text(tickets.read_text().replace("printer", "plotter"))
    second = session(tickets, tiny_bert, tmp_path / "run")
    assert first.run.log.exists()
    second.begin()
    assert not first.run.log.exists() and not first.run.rejected.exists()
    assert gather(file=first.run.recipe, environment={}).recipe().train.seed == 42
    assert first.run.plan_facts()["fingerprint"] == json.loads(json.dumps(second.fingerprint))


def test_warnings_about_the_data_are_told_until_they_are_logged(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    layers = gather(sets=[f"data.train={tickets}", f"model={tiny_bert}"], environment={})
    leak = Problem("D401", "rows leak", severity=Severity.WARNING)
    rare = Problem("D310", "a rare class", severity=Severity.WARNING)

    def made(*warnings: Problem) -> Session:
        job = replace(make_job(check(look(layers))), warnings=warnings)
        (tmp_path / "run").mkdir(exist_ok=True)
        accelerator = make_accelerator(device="cpu")
        return Session(
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


def test_a_process_without_a_share_of_a_step_keeps_in_step(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    plan = replace(made.job.plan, num_processes=2, micro_batch_size=4)
    made.job = replace(made.job, plan=plan)
    last = plan.steps_per_epoch - 1
    assert len(plan.examples_at(last)) == 6
    made.accelerator = SimpleNamespace(process_index=1)  # type: ignore[assignment]
    ((number, batch),) = made.micro_batches(last)
    assert (number, batch.is_dummy) == (1, False)
    assert batch.examples.tolist() == plan.examples_at(last)[4:].tolist()
    made.job = replace(made.job, plan=replace(plan, micro_batch_size=8))
    ((number, batch),) = made.micro_batches(last)
    assert (number, batch.is_dummy) == (3, True)  # a number that no batch that counts has
    assert batch.examples.tolist() == plan.examples_at(last)[:1].tolist()


def test_the_largest_batch_is_that_of_the_cut_in_force(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    lengths = made.job.examples["train"].lengths
    for at_most in (None, 2):
        made.progress.micro_batch_size = at_most
        expected = made.job.plan.largest_micro_batch(
            lengths, at_most=at_most, padded=made.is_padded
        )
        assert made.largest_micro_batch().examples.tolist() == expected.tolist()
        assert len(expected) == (at_most or 8)


def test_a_stop_is_obeyed_between_batches_of_an_evaluation(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run", ["train.eval_batch_size=2"])
    assert len(made.predict("validation").predictions["logits"]) == 6
    made.stop.signal = 15
    with pytest.raises(Interrupted, match="stopped on request"):
        made.predict("validation")


def test_memory_that_halves_an_evaluation_is_told_once(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    made.take_warnings()
    before: list[int] = []

    def halved(*_arguments: Any, halvings: int, **_keywords: Any) -> Evaluation:
        before.append(halvings)
        return Evaluation({"logits": np.zeros((6, 2))}, None, 6, halvings=2)

    monkeypatch.setattr("tunesmith.runs.session.predict", halved)
    made.predict("validation")
    (problem,) = made.take_warnings()
    assert (problem.code, problem.severity) == ("M142", Severity.WARNING)
    assert "1/4 of their size" in problem.message
    made.predict("validation")
    assert (made.take_warnings(), before) == ([], [0, 2])

    def too_large(*_arguments: Any, **_keywords: Any) -> Evaluation:
        raise OneRowTooLarge(1, 99)

    monkeypatch.setattr("tunesmith.runs.session.predict", too_large)
    with pytest.raises(OneRowTooLarge, match="99 tokens") as caught:
        made.predict("validation")
    row = int(made.job.examples["validation"].rows[1])
    assert str(caught.value.place) == str(made.job.places_of("validation", [row])[0])


def test_a_model_folder_that_is_not_whole_is_set_aside(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    run.model.mkdir(parents=True)
    made = session(tickets, tiny_bert, run.path)
    (kept,) = run.path.glob(".bad-model-*")
    problem = made.take_warnings()[-1]
    assert (problem.code, problem.severity) == ("C101", Severity.WARNING)
    assert problem.evidence == (f"kept as {kept.name}",)
    assert not run.model.exists()


def test_a_best_of_this_step_or_of_none_needs_no_checkpoint(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, tiny_bert, tmp_path / "run")
    made.progress.step, made.progress.best_value = 3, 0.5
    for best, kept in ((0, (0, 0.5)), (3, (3, 0.5)), (2, (0, None))):
        made.progress.best_step = best
        made._check_best()
        assert (made.progress.best_step, made.progress.best_value) == kept
    assert [problem.code for problem in made.take_warnings()] == ["C101"]
