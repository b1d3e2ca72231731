"""Steps over static memory against the ordinary fast engine; on a GPU recorded, too."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.fast.models import batch_of, classify, model_of
from tests.training.fast.test_engine import fast_engine, still
from tests.training.stepping import update
from tunesmith.data.batches import Batch, Examples, Padding, make_batch
from tunesmith.data.encoded import Encoded, Ragged, hold_in_memory
from tunesmith.errors import IntegrityError
from tunesmith.recipe import TrainSettings
from tunesmith.training.device import make_accelerator
from tunesmith.training.engine import MAX_SKIPPED
from tunesmith.training.events import Event, StepDone, Warned
from tunesmith.training.fast.engine import FastEngine
from tunesmith.training.fast.graphs.engine import GraphedEngine, against_graphs
from tunesmith.training.fast.probe import ProbeResult, probe
from tunesmith.training.loop import train
from tunesmith.training.optimizer import make_optimizer
from tunesmith.training.plan import make_plan
from tunesmith.training.progress import Progress

CPU = torch.device("cpu")
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
ROWS = 38
"""Not a multiple of the batch size: the last batch of an epoch is short."""


def examples() -> Examples:
    random = np.random.default_rng(5)
    lengths = random.integers(2, 33, ROWS)
    flat = random.integers(5, 100, lengths.sum()).astype(np.int32)
    kinds = (np.arange(len(flat)) % 2).astype(np.int32)
    ragged = {"input_ids": Ragged(flat, lengths), "token_type_ids": Ragged(kinds, lengths)}
    return Examples(
        hold_in_memory(Encoded(ragged, {"labels": np.arange(ROWS) % 2}, np.arange(ROWS), lengths))
    )


def graphed_engine(
    model: Any, settings: TrainSettings, *, half: bool = False, device: str = "cpu", **more: Any
) -> GraphedEngine:
    notes: list[str] = []
    model.to(device)
    engine = GraphedEngine(
        model,
        classify,
        make_accelerator(device=device),
        make_optimizer=lambda: make_optimizer(model, settings),
        max_grad_norm=settings.max_grad_norm,
        probe_result=probe(model, classify, batch_of(), torch.device(device)),
        half=half,
        used_tokens=range(5, 100),
        longest=int(examples().lengths.max()),
        note=notes.append,
        **more,
    )
    engine.notes = notes  # type: ignore[attr-defined]
    return engine


def run(
    engine: FastEngine,
    settings: TrainSettings,
    *,
    arguments: Examples | None = None,
    progress: Progress | None = None,
    poisoned: frozenset[int] = frozenset(),
) -> list[Event]:
    """The loop over the rows; in poisoned steps a weight of the head is infinite for a moment."""
    rows = arguments or examples()
    plan = make_plan(settings, num_examples=ROWS, num_processes=1)
    padding = Padding({"input_ids": 1})

    def micro_batches(step: int) -> list[tuple[int, Batch]]:
        result = []
        for number, places in plan.micro_batches_at(step):
            light = engine.batch(places) if isinstance(engine, GraphedEngine) else None
            batch = light or make_batch(rows, places, padding)
            result.append((number, batch))
        return result

    accumulate = engine.accumulate
    count = iter(range(10_000))

    def poisoning(batch: Batch, weight: float, *, is_last: bool) -> torch.Tensor:
        bad = next(count) in poisoned
        return accumulate(batch, math.inf if bad else weight, is_last=is_last)

    engine.accumulate = poisoning  # type: ignore[method-assign]
    events: list[Event] = []
    try:
        for event in train(
            engine,
            plan=plan,
            progress=progress or Progress(),
            micro_batches=micro_batches,
        ):
            events.append(event)  # noqa: PERF402 - what came before an error counts
    except IntegrityError as error:
        events.append(Warned(-1, error.problems[0]))
    return events


def numbers(events: list[Event]) -> list[tuple[int, float, float]]:
    return [(e.step, e.loss, e.grad_norm) for e in events if isinstance(e, StepDone)]


def weights(engine: FastEngine) -> dict[str, torch.Tensor]:
    with engine.plain_model():
        return {name: p.detach().clone() for name, p in engine.network.named_parameters()}


SETTINGS = TrainSettings(
    learning_rate=1e-3, weight_decay=0.1, max_grad_norm=0.5, batch_size=8, epochs=3
)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "modernbert", "gpt2", "llama"])
@pytest.mark.parametrize("whole", [False, True], ids=["batch by batch", "data on the device"])
def test_the_same_losses_norms_and_weights(family: str, whole: bool) -> None:
    """Fifteen steps, three of them of a short last batch."""
    plain = fast_engine(still(family), SETTINGS)
    static = graphed_engine(still(family), SETTINGS)
    static.sync_every = 4
    if whole:
        assert static.keep(examples())
    theirs, ours = numbers(run(plain, SETTINGS)), numbers(run(static, SETTINGS))
    assert len(theirs) == 15
    np.testing.assert_allclose(ours, theirs, rtol=2e-4)
    for (name, a), b in zip(weights(plain).items(), weights(static).values(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-4, msg=name)


def test_in_double_precision_nothing_is_left_of_the_difference() -> None:
    settings = SETTINGS.model_copy(update={"epochs": 20})
    result = []
    for build in (fast_engine, graphed_engine):
        engine: Any = build(still("bert").double(), settings)

        def forward(network: Any, batch: Batch) -> Any:
            outputs = classify(network, batch)
            logits = network(**batch.inputs).logits
            loss = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="sum")
            return replace(outputs, loss_sum=loss)

        engine._run = forward
        result.append(numbers(run(engine, settings)))
    assert len(result[0]) == 100
    np.testing.assert_allclose(result[1], result[0], rtol=1e-9)


def test_micro_batches_add_up() -> None:
    settings = SETTINGS.model_copy(update={"micro_batch_size": 3})
    whole = graphed_engine(still("bert"), SETTINGS)
    cut = graphed_engine(still("bert"), settings)
    assert cut.keep(examples())
    one, two = numbers(run(whole, SETTINGS)), numbers(run(cut, settings))
    np.testing.assert_allclose(two, one, rtol=1e-4)


def test_copies_in_bfloat16_follow_and_stay_in_place() -> None:
    plain = fast_engine(still("bert"), SETTINGS, half=True)
    static = graphed_engine(still("bert"), SETTINGS, half=True)
    theirs, ours = numbers(run(plain, SETTINGS)), numbers(run(static, SETTINGS))
    np.testing.assert_allclose(ours, theirs, rtol=0.05)
    assert static._copies is not None
    before = [copy.data_ptr() for copy in static._copies._copies]
    weights(static)  # restores and patches again
    assert [copy.data_ptr() for copy in static._copies._copies] == before
    for copy, master in zip(static._copies._copies, static._copies._masters, strict=True):
        assert torch.equal(copy, master.to(torch.bfloat16))


def test_clipping_apart_is_the_same() -> None:
    folded = graphed_engine(still("bert"), SETTINGS)
    apart = graphed_engine(still("bert"), SETTINGS, disabled=frozenset({"clipping"}))
    np.testing.assert_allclose(
        numbers(run(apart, SETTINGS)), numbers(run(folded, SETTINGS)), rtol=1e-4
    )


def test_a_step_that_is_not_finite_is_skipped() -> None:
    plain, static = (build(still("bert"), SETTINGS) for build in (fast_engine, graphed_engine))
    static.sync_every = 5
    theirs = run(plain, SETTINGS, poisoned=frozenset({3, 4, 8}))
    ours = run(static, SETTINGS, poisoned=frozenset({3, 4, 8}))
    np.testing.assert_allclose(numbers(ours), numbers(theirs), rtol=2e-4)
    warned = [
        [(e.step, e.rows) for e in events if isinstance(e, Warned)] for events in (theirs, ours)
    ]
    assert warned[0] == warned[1] and [step for step, _rows in warned[0]] == [4, 5, 9]
    assert [len(rows) for _step, rows in warned[0]] == [8, 6, 8]


def test_three_in_a_row_stop_the_run_where_they_happened() -> None:
    """Steps after the third change nothing, however late someone looks."""
    stopped = graphed_engine(still("bert"), SETTINGS)
    stopped.sync_every = 15
    progress = Progress()
    events = run(stopped, SETTINGS, progress=progress, poisoned=frozenset({5, 6, 7}))
    reported = events[-1]
    assert isinstance(reported, Warned) and reported.problem.code == "M110"
    assert progress.step == 8 and progress.skipped == MAX_SKIPPED
    assert [e.step for e in events[:-1]] == list(range(1, 9))
    state = stopped.state()
    assert {float(t) for name, t in state.items() if name.endswith(".step")} == {5.0}
    short = fast_engine(still("bert"), SETTINGS)
    plain = run(short, SETTINGS, poisoned=frozenset({5, 6, 7}))
    assert [type(e) for e in plain] == [type(e) for e in events]
    for (name, a), b in zip(weights(short).items(), weights(stopped).values(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("whole", [False, True])
def test_a_run_goes_on_to_the_bit(whole: bool) -> None:
    def made() -> GraphedEngine:
        engine = graphed_engine(still("bert"), SETTINGS)
        engine.sync_every = 5
        assert not whole or engine.keep(examples())
        return engine

    straight = made()
    progress = Progress()
    stream = _stream(straight, progress)
    for _step in range(5):
        next(stream)
    assert progress.step == 5
    held = weights(straight)
    with straight.plain_model():
        state = {name: tensor.clone() for name, tensor in straight.state().items()}
    rest = numbers(list(stream))

    resumed = made()
    with resumed.plain_model():
        resumed.network.load_state_dict(held, strict=False)
        assert resumed.load_state(state) == []
    again = numbers(list(_stream(resumed, replace(progress, step=5))))
    assert again == rest and len(again) == 10
    assert all(
        torch.equal(a, b)
        for a, b in zip(weights(straight).values(), weights(resumed).values(), strict=True)
    )


def _stream(engine: GraphedEngine, progress: Progress) -> Any:
    rows, padding = examples(), Padding({"input_ids": 1})
    plan = make_plan(SETTINGS, num_examples=ROWS, num_processes=1)

    def micro_batches(step: int) -> list[tuple[int, Batch]]:
        return [
            (number, engine.batch(places) or make_batch(rows, places, padding))
            for number, places in plan.micro_batches_at(step)
        ]

    return train(engine, plan=plan, progress=progress, micro_batches=micro_batches)


def test_few_buckets_serve_a_run() -> None:
    engine = graphed_engine(still("bert"), SETTINGS)
    run(engine, SETTINGS)
    tokens = {(key[0].tokens, key[0].rows) for key in engine._passes}
    assert len(tokens) < 8 and {rows for _tokens, rows in tokens} == {8, 6}


def test_rows_longer_than_all_training_rows_take_the_ordinary_way() -> None:
    engine = graphed_engine(still("bert"), SETTINGS)
    engine.set_training(True)
    batch = batch_of([60, 40, 5])
    loss = engine.accumulate(batch, 1 / 3, is_last=True)
    plain = fast_engine(still("bert"), SETTINGS)
    plain.set_training(True)
    torch.testing.assert_close(loss, plain.accumulate(batch, 1 / 3, is_last=True))
    assert engine._passes == {}
    assert update(engine, 1e-3) == pytest.approx(update(plain, 1e-3))


def test_forgetting_leaves_no_gradient() -> None:
    engine = graphed_engine(still("bert"), SETTINGS)
    engine.set_training(True)
    engine.accumulate(batch_of(), math.inf, is_last=True)
    engine.discard_gradients()
    assert update(engine, 1e-3) == 0.0


@ON_GPU
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_on_a_gpu_recorded_steps_are_called_steps(half: bool, whole: bool) -> None:
    """With dropout, whose seeds both obey; over buckets that are called, recorded and replayed."""
    result = []
    for records in (True, False):
        engine = graphed_engine(model_of("bert"), SETTINGS, half=half, device="cuda")
        engine._graphs._records = records
        engine.sync_every = 4
        assert not whole or engine.keep(examples())
        result.append((numbers(run(engine, SETTINGS)), weights(engine)))
        assert engine.notes == []  # type: ignore[attr-defined]
        assert bool(engine._graphs._graphs) is records
    np.testing.assert_allclose(result[0][0], result[1][0], rtol=2e-2 if half else 1e-4)
    for one, two in zip(result[0][1].values(), result[1][1].values(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-2, atol=2e-3 if half else 1e-4)


@ON_GPU
def test_on_a_gpu_static_steps_are_those_of_the_cpu() -> None:
    result = []
    for device in ("cpu", "cuda"):
        engine = graphed_engine(still("bert"), SETTINGS, device=device)
        assert engine.keep(examples())
        result.append(numbers(run(engine, SETTINGS, poisoned=frozenset({3, 9}))))
    np.testing.assert_allclose(result[1], result[0], rtol=5e-3)


def test_what_speaks_against_graphs() -> None:
    cuda = torch.device("cuda")
    requested: dict[str, Any] = {
        "num_processes": 1,
        "in_groups": False,
        "longest": 9,
        "disabled": frozenset(),
    }
    first = ProbeResult("first token", by_length=False, reason="")
    assert against_graphs(first, cuda, **requested) is None
    assert against_graphs(first, CPU, **requested) == ""
    assert against_graphs(first, cuda, **{**requested, "disabled": frozenset({"graphs"})}) == ""
    assert against_graphs(ProbeResult(None, True, ""), cuda, **requested) == ""
    assert against_graphs(first, cuda, **{**requested, "num_processes": 2})
    assert against_graphs(first, cuda, **{**requested, "in_groups": True})
    assert against_graphs(first, cuda, **{**requested, "longest": None})
    assert against_graphs(ProbeResult("padded", False, ""), cuda, **requested)
    assert against_graphs(ProbeResult("every token", False, ""), cuda, **requested)
