"""Found before the first step; and a run is the same with it and without."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig

import tunesmith as ts
from tests.conftest import WriteRows
from tests.runs.test_session import session
from tests.runs.test_train import strip_times, weights
from tests.training.fast.models import model_of
from tunesmith.errors import ModelError, RecipeError, ResourceError
from tunesmith.models import LoadedModel
from tunesmith.runs.preflight import preflight
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.training.events import Event, StepDone, Warned

SHORT = {"train.max_steps": 4, "train.evaluate_every": "2 steps", "train.dropout": 0.0}


@pytest.fixture
def signed_zeros(tiny_bert: Path, tmp_path: Path) -> Path:
    """A model with weights that are minus zero, as those of rounded files are."""
    folder = tmp_path / "signed"
    shutil.copytree(tiny_bert, folder)
    tensors = load_file(folder / "model.safetensors")
    for tensor in tensors.values():
        tensor.view(-1)[::7] = -0.0
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("engine", ["fast", "exact"])
def test_it_changes_no_bit_of_a_run(
    engine: str, tickets: Path, signed_zeros: Path, tmp_path: Path
) -> None:
    runs = []
    for enabled in (True, False):
        out = tmp_path / f"{engine}-{enabled}"
        settings = {
            "train.max_steps": 3,
            "train.warmup": 1,  # a first step that learns nothing keeps every sign
            "train.engine": engine,
            "train.preflight": enabled,
            "train.weight_decay": 0.01,
        }
        runs.append(ts.train(str(tickets), out=out, model=str(signed_zeros), settings=settings))
        assert [p.name for p in out.iterdir() if p.name.startswith(".tmp")] == []
    assert weights(runs[0].folder) == weights(runs[1].folder)
    assert strip_times(runs[0].events()) == strip_times(runs[1].events())


def test_it_leaves_weights_optimizer_and_chance_alone(
    tickets: Path, signed_zeros: Path, tmp_path: Path
) -> None:
    made = session(tickets, signed_zeros, tmp_path / "run")

    def bits() -> list[Any]:
        state = [p.detach().view(torch.int32).clone() for p in made.network.parameters()]
        return [*state, torch.get_rng_state()]

    before = bits()
    assert any(bool((part == -(2**31)).any()) for part in before[:-1])  # minus zero
    preflight(made)
    assert all(torch.equal(*pair) for pair in zip(before, bits(), strict=True))
    assert made.engine.state() == {}
    assert all(p.grad is None for p in made.network.parameters())
    assert made.take_warnings() == []
    assert made.progress.step == 0 and made.progress.micro_batch_size is None


Plant = Callable[[nn.Module, int], None]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[Plant], None]:
    """Let every model be built with a fault; the number says which one of this run it is."""

    def install(fault: Plant) -> None:
        build, count = TextClassification.build, iter(range(1000))

        def faulty(self: TextClassification, *args: Any, **more: Any) -> LoadedModel:
            loaded = build(self, *args, **more)
            fault(loaded.model, next(count))
            return loaded

        monkeypatch.setattr(TextClassification, "build", faulty)

    return install


def memory_for(rows: int) -> Plant:
    """No memory for more rows at once: packed or padded, the head sees a row for each."""

    def full(_module: nn.Module, tensors: tuple[torch.Tensor, ...]) -> None:
        if len(tensors[0]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    return lambda model, _number: model.classifier.register_forward_pre_hook(full)  # type: ignore


def started(tickets: Path, model: Path, out: Path, **more: Any) -> Iterator[Event]:
    settings = {"model": str(model), **SHORT, **more.pop("settings", {})}
    return ts.start(str(tickets), out=out, settings=settings, **more)


@pytest.mark.parametrize("engine", ["fast", "exact"])
def test_memory_is_tried_out_and_the_result_is_the_same(
    engine: str,
    tickets: Path,
    tiny_bert: Path,
    tmp_path: Path,
    plant: Callable[[Plant], None],
) -> None:
    chosen = {"settings": {"train.engine": engine}}
    roomy = list(started(tickets, tiny_bert, tmp_path / "roomy", **chosen))
    plant(memory_for(3))
    tight = list(started(tickets, tiny_bert, tmp_path / "tight", **chosen))
    warned = [event.problem.code for event in tight if isinstance(event, Warned)]
    assert warned == ["M140", "M140", "M142"]
    assert isinstance(tight[2], Warned) and isinstance(tight[3], StepDone)
    weights = [
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("roomy", "tight")
    ]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-4, atol=1e-5)
    assert [e.loss for e in tight if isinstance(e, StepDone)] == pytest.approx(
        [e.loss for e in roomy if isinstance(e, StepDone)], rel=1e-5
    )


def test_the_smaller_size_stays_when_a_run_is_continued(
    tickets: Path, tiny_bert: Path, tmp_path: Path, plant: Callable[[Plant], None]
) -> None:
    plant(memory_for(4))
    settings = {"train.save_every": "1 step", "train.dropout": 0.1}
    through = list(started(tickets, tiny_bert, tmp_path / "through", settings=settings))
    stream = started(tickets, tiny_bert, tmp_path / "stopped", settings=settings)
    for event in stream:
        if event.step == 2 and not isinstance(event, StepDone):
            break
    stream.close()  # type: ignore[attr-defined]
    rest = list(started(tickets, tiny_bert, tmp_path / "stopped", settings=settings))
    assert not [e for e in rest if isinstance(e, Warned) and e.problem.code == "M140"]
    assert weights(tmp_path / "stopped") == weights(tmp_path / "through")
    assert isinstance(through[0], Warned)


@pytest.mark.parametrize("settings", [{"train.engine": "exact"}, {}])
def test_a_row_that_does_not_fit_is_named(
    settings: dict[str, object],
    tickets: Path,
    tiny_bert: Path,
    tmp_path: Path,
    plant: Callable[[Plant], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "tunesmith.runs.open_session.try_model", lambda *_given: None
    )  # it is no row
    plant(memory_for(0))
    with pytest.raises(ResourceError, match="M111") as caught:
        list(started(tickets, tiny_bert, tmp_path / "run", settings=settings))
    assert caught.value.exit_code == 4
    (problem,) = caught.value.problems
    assert problem.place is not None
    line = problem.place.line or 0
    text = tickets.read_text().splitlines()[line - 1].split(",")[1]
    read = len(ts.load_data(str(tickets))) and len(text)
    assert problem.place.source == str(tickets) and read
    assert "a single row of" in problem.message


def test_a_head_that_is_not_saved(
    tickets: Path, tiny_bert: Path, tmp_path: Path, plant: Callable[[Plant], None]
) -> None:
    def forgetful(model: nn.Module, _number: int) -> None:
        model._keys_to_ignore_on_save = {"classifier.weight"}  # type: ignore[assignment]

    plant(forgetful)
    made = session(tickets, tiny_bert, tmp_path / "run")
    with pytest.raises(ModelError, match=r'M143.*"classifier.weight"'):
        preflight(made)
    assert [p.name for p in made.run.path.iterdir()] == []


def test_a_model_that_answers_otherwise_once_loaded(
    tickets: Path, tiny_bert: Path, tmp_path: Path, plant: Callable[[Plant], None]
) -> None:
    def shifted(model: nn.Module, number: int) -> None:
        if number == 0:
            model.classifier.register_forward_hook(lambda _m, _i, output: output + 1)  # type: ignore

    plant(shifted)
    with pytest.raises(ModelError, match=r"M143.*its answers are off by"):
        preflight(session(tickets, tiny_bert, tmp_path / "run"))


def decoder(tiny_bert: Path, folder: Path, pad_token_id: int | None) -> Path:
    """A decoder for the vocabulary of `tiny_bert`, whose padding token has the number 0."""
    size = AutoConfig.from_pretrained(tiny_bert).vocab_size
    model = model_of("gpt2", vocab_size=size, pad_token_id=0, bos_token_id=2, eos_token_id=3)
    model.config.pad_token_id = pad_token_id
    model.config.eos_token_id = None
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_bert / name, folder / name)
    return folder


def test_another_padding_token_than_the_tokenizers(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    made = session(tickets, decoder(tiny_bert, tmp_path / "gpt2", 4), tmp_path / "run")
    preflight(made)
    (warning,) = [problem for problem in made.take_warnings() if problem.code == "M144"]
    assert "padding changes the answers" in warning.message
    agreeing = session(tickets, decoder(tiny_bert, tmp_path / "same", 0), tmp_path / "other")
    preflight(agreeing)
    assert "M144" not in [problem.code for problem in agreeing.take_warnings()]


def test_own_scores_that_fail_do_so_before_the_first_step(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    events = started(tickets, tiny_bert, tmp_path / "run", compute_metrics=lambda _pair: 0.5)
    with pytest.raises(RecipeError, match="R170"):
        list(events)
    assert not (tmp_path / "run" / "events.jsonl").exists()


def test_own_scores_that_need_more_rows_are_given_them(
    tiny_bert: Path, tmp_path: Path, write_csv: WriteRows
) -> None:
    from tests.conftest import ticket_rows

    seen = []

    def compute(pair: tuple[Any, Any]) -> dict[str, float]:
        seen.append(len(pair[1]))
        if len(pair[1]) < 40:
            raise ValueError("only one class")
        return {"mine": 1.0}

    data = write_csv(ticket_rows(120))
    settings = {"data.validation": "40%", "train.max_steps": 1}
    list(started(data, tiny_bert, tmp_path / "run", settings=settings, compute_metrics=compute))
    assert seen[:2] == [32, 48]


def test_a_score_to_select_by_that_no_code_computes(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    events = started(
        tickets,
        tiny_bert,
        tmp_path / "run",
        settings={"train.select_by": "highest spraed"},
        compute_metrics=lambda pair: {"spread": float(np.ptp(pair[0]))},
    )
    with pytest.raises(RecipeError, match="R171") as caught:
        list(events)
    assert 'did you mean "spread"?' in str(caught.value)
    assert "R171 train.select_by: " in str(caught.value)


def test_it_can_be_left_out(
    tickets: Path, tiny_bert: Path, tmp_path: Path, plant: Callable[[Plant], None]
) -> None:
    plant(memory_for(6))
    events = list(
        started(tickets, tiny_bert, tmp_path / "run", settings={"train.preflight": False})
    )
    assert [type(event).__name__ for event in events[:2]] == ["Warned", "StepDone"]


def test_a_run_is_continued_with_smaller_micro_batches(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """What M145 says to do, where one of several processes lacked memory."""
    every = {"train.save_every": "1 step", "train.preflight": False}
    stream = started(tickets, tiny_bert, tmp_path / "run", settings=every)
    for event in stream:
        if event.step == 2 and not isinstance(event, StepDone):
            break
    stream.close()  # type: ignore[attr-defined]
    smaller = {**every, "train.micro_batch_size": 2}
    rest = list(started(tickets, tiny_bert, tmp_path / "run", settings=smaller))
    (warned,) = [event for event in rest if isinstance(event, Warned)]
    assert warned.problem.code == "C103"
    assert "micro_batch_size 8 → 2" in warned.problem.message
    assert [event.step for event in rest if isinstance(event, StepDone)] == [3, 4]
