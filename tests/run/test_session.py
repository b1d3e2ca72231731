from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from tests.fast.models import model_of
from tunesmith.device import make_accelerator
from tunesmith.errors import ModelError, ResourceError
from tunesmith.inputs import check, look
from tunesmith.recipe import gather
from tunesmith.run.folder import RunFolder
from tunesmith.run.job import make_job
from tunesmith.run.session import Session
from tunesmith.run.signals import StopRequest


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
    facts = made.run.plan_facts()
    assert facts["model"]["name"] == str(tiny_bert)
    assert facts["data"]["train"]["rows"] == 54
    assert facts["plan"]["batch_size"] == 8
    assert facts["task"]["labels"] == ["order", "repair"]


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
        made.engine.begin(training=True)
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
        made.engine.begin(training=False)
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
        make_job(check(look(layers)), own_scores=True),
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
