"""The laws of the loop, on models small enough to check by hand."""

from __future__ import annotations

import ast
import builtins
import inspect
import io
import math
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.data.batches import Batch
from tunesmith.errors import IntegrityError, ResourceError
from tunesmith.metrics.scores import Scores
from tunesmith.recipe import TrainSettings
from tunesmith.tasks import Outputs
from tunesmith.training import engine as engines
from tunesmith.training import loop
from tunesmith.training.device import make_accelerator
from tunesmith.training.early_stopping import ModelSelection
from tunesmith.training.engine import MAX_SKIPPED, ExactEngine, FinishedStep, MicroBatch, Step
from tunesmith.training.events import Evaluated, Event, StepDone, Warned
from tunesmith.training.loop import train
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.plan import Plan, make_plan
from tunesmith.training.progress import Progress

ROWS, WIDTH = 37, 6


class Later(ExactEngine):
    """Returns finished steps every `sync_every` steps, as an engine on a busy device does."""

    sync_every = 1

    def update(self, step: Step, *, wait: bool) -> list[FinishedStep]:
        unread: list[FinishedStep] = self.__dict__.setdefault("unread", [])
        unread += super().update(step, wait=wait)
        if not wait and step.number % self.sync_every:
            return []
        self.unread: list[FinishedStep] = []
        return unread


class World:
    """Random rows of ragged targets, a small network with dropout, and the loop over them."""

    def __init__(self, *, dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> None:
        random = torch.Generator().manual_seed(3)
        self.inputs = torch.randn(ROWS, WIDTH, generator=random, dtype=dtype)
        self.targets = torch.randint(0, 4, (ROWS, 5), generator=random)
        for i in range(ROWS):  # ragged: between one and five targets a row
            self.targets[i, 1 + i % 5 :] = -100
        torch.manual_seed(1)
        self.model = nn.Sequential(
            nn.Linear(WIDTH, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 5 * 4)
        ).to(dtype)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1, weight_decay=0.0)
        self.progress = Progress()
        self.poisoned: set[int] = set()
        self.scores: list[float] = []

    def plan(self, *, num_processes: int = 1, **settings: object) -> Plan:
        expectation = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, **settings}
        return make_plan(
            TrainSettings.model_validate(expectation),
            num_examples=ROWS,
            num_processes=num_processes,
        )

    def batches(self, plan: Plan) -> Callable[[int], list[MicroBatch]]:
        def at(step: int) -> list[MicroBatch]:
            made = []
            at_most = self.progress.micro_batch_size
            for number, places in plan.micro_batches_at(step, at_most=at_most):
                rows = torch.from_numpy(places)
                inputs = self.inputs[rows]
                if step in self.poisoned:
                    inputs = inputs * float("nan")
                targets = self.targets[rows]
                count = int((targets != -100).sum())
                made.append((number, Batch({"x": inputs}, targets, count, 5 * len(rows), places)))
            return made

        return at

    @staticmethod
    def loss_sum(model: nn.Module, batch: Batch) -> torch.Tensor:
        logits = model(batch.inputs["x"]).reshape(-1, 4)
        assert batch.labels is not None
        return nn.functional.cross_entropy(logits, batch.labels.reshape(-1), reduction="sum")

    def evaluate(self) -> Scores:
        value = self.scores.pop(0) if self.scores else 0.5
        return Scores({"f1": value if math.isfinite(value) else None, "loss": 1.0}, {})

    def events(
        self,
        plan: Plan,
        *,
        selection: ModelSelection | None = None,
        evaluate: bool = False,
        max_grad_norm: float | None = 1.0,
        sync_every: int = 1,
    ) -> Iterator[Event]:
        engine = Later(
            self.model,
            lambda model, batch: Outputs(self.loss_sum(model, batch), {}),
            make_accelerator(device="cpu"),
            make_optimizer=lambda: self.optimizer,
            max_grad_norm=max_grad_norm,
        )
        engine.sync_every = sync_every
        return train(
            engine,
            plan=plan,
            progress=self.progress,
            micro_batches=self.batches(plan),
            evaluate=self.evaluate if evaluate else None,
            selection=selection,
        )

    def weights(self) -> torch.Tensor:
        return torch.cat([p.detach().reshape(-1) for p in self.model.parameters()])


def losses(events: list[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, StepDone)]


@pytest.mark.parametrize("micro", [1, 2, 3, 4, 8])
def test_the_cut_into_micro_batches_changes_only_rounding(micro: int) -> None:
    """Ragged targets and a short last batch: a mean of means would be off by percents."""
    whole, cut = World(dtype=torch.float64), World(dtype=torch.float64)
    first = list(whole.events(whole.plan()))
    second = list(cut.events(cut.plan(micro_batch_size=micro)))
    assert losses(first) == pytest.approx(losses(second), rel=1e-12)
    torch.testing.assert_close(whole.weights(), cut.weights(), rtol=1e-10, atol=1e-12)


def test_a_mean_of_means_would_be_caught() -> None:
    """The negative control of the law above."""
    world = World(dtype=torch.float64)
    plan = world.plan(micro_batch_size=2)
    batches = world.batches(plan)(0)
    sums = [world.loss_sum(world.model, batch).item() for _number, batch in batches]
    counts = [batch.num_targets for _number, batch in batches]
    mean = sum(sums) / sum(counts)
    means = [loss / count for loss, count in zip(sums, counts, strict=True)]
    assert abs(sum(means) / len(means) / mean - 1) > 1e-3
    (first, *_rest) = list(world.events(plan))
    assert isinstance(first, StepDone)
    assert first.loss == pytest.approx(mean, rel=1e-12)


def test_training_begins_with_dropout_whatever_mode_the_model_is_in() -> None:
    losses = []
    for training in (True, False):
        world = World(dropout=0.5)
        world.model.train(training)
        plan = world.plan(max_steps=3)
        losses.append([e.loss for e in world.events(plan) if isinstance(e, StepDone)])
        assert world.model.training
    assert losses[0] == losses[1]


def test_the_same_seed_gives_the_same_bits_with_dropout() -> None:
    runs = []
    for _time in range(2):
        world = World(dropout=0.3)
        torch.manual_seed(len(runs) * 77)  # whatever state the process is in
        list(world.events(world.plan(micro_batch_size=3)))
        runs.append(world.weights())
    assert torch.equal(*runs)


@pytest.mark.parametrize("stop", [1, 4, 5, 7])
def test_resumed_equals_never_stopped(stop: int) -> None:
    through = World(dropout=0.3)
    list(through.events(through.plan()))
    world = World(dropout=0.3)
    for event in world.events(world.plan()):
        if event.step == stop:
            break
    torch.manual_seed(999)
    list(world.events(world.plan()))
    assert torch.equal(world.weights(), through.weights())
    assert world.progress == through.progress


@pytest.mark.parametrize("sync_every", [2, 3, 100])
def test_steps_that_finish_later_give_the_same_events(sync_every: int) -> None:
    """Steps come several at once, and then `progress` is at the last of them."""
    at_once, later = World(dropout=0.3), World(dropout=0.3)
    at_once.poisoned = later.poisoned = {2, 3, 6}
    first = list(at_once.events(at_once.plan(), evaluate=True))
    second, steps = [], []
    for event in later.events(later.plan(), evaluate=True, sync_every=sync_every):
        second.append(event)
        steps.append(later.progress.step)
    assert second == first
    assert later.progress == at_once.progress
    assert torch.equal(later.weights(), at_once.weights())
    assert all(event.step <= step for event, step in zip(second, steps, strict=True))
    evaluated = [i for i, event in enumerate(second) if isinstance(event, Evaluated)]
    assert all(steps[i] == second[i].step for i in evaluated)


def test_a_run_that_diverged_stops_there_however_late_its_steps_finish() -> None:
    world = World()
    world.poisoned = {3, 4, 5}
    reported: list[Event] = []
    with pytest.raises(IntegrityError, match="stopped at step 6"):
        for event in world.events(world.plan(), sync_every=100):
            reported.append(event)  # noqa: PERF402 - what came before the error counts
    assert [event.step for event in reported] == [1, 2, 3, 4, 5, 6]
    assert [sorted(event.rows) for event in reported if isinstance(event, Warned)] == [
        sorted(world.plan().examples_at(step).tolist()) for step in (3, 4, 5)
    ]


def test_learning_rates_and_norms_are_reported() -> None:
    world = World()
    plan = world.plan(warmup=3)
    events = [e for e in world.events(plan) if isinstance(e, StepDone)]
    assert [e.learning_rate for e in events] == [
        plan.learning_rate_at(step) for step in range(plan.total_steps)
    ]
    assert [e.step for e in events] == list(range(1, plan.total_steps + 1))
    assert [e.examples for e in events[:5]] == [8, 8, 8, 8, 5]
    assert all(e.grad_norm > 0 for e in events)


def test_clipping_shortens_the_gradient() -> None:
    clipped, free = World(), World()
    list(clipped.events(clipped.plan(max_steps=1), max_grad_norm=1e-9))
    list(free.events(free.plan(max_steps=1), max_grad_norm=None))
    assert not torch.equal(clipped.weights(), free.weights())


def test_a_poisoned_step_is_skipped_and_reported() -> None:
    world = World()
    world.poisoned = {2}
    events = list(world.events(world.plan()))
    (warned,) = [event for event in events if isinstance(event, Warned)]
    assert warned.step == 3
    assert warned.problem.code == "M116"
    assert sorted(warned.rows) == sorted(world.plan().examples_at(2).tolist())
    assert world.progress.skipped == 1
    assert torch.isfinite(world.weights()).all()
    assert all(math.isfinite(loss) for loss in losses(events))
    assert events[-1].step == world.plan().total_steps


def test_a_skipped_step_moves_nothing() -> None:
    world = World()
    world.poisoned = {0}
    before = world.weights()
    next(world.events(world.plan()))
    assert torch.equal(world.weights(), before)
    assert world.optimizer.state == {}


@pytest.mark.parametrize("whole", [True, False])
def test_a_step_without_targets_has_no_loss(whole: bool) -> None:
    """Whether the step has none at all or one of its micro-batches."""
    world = World(dtype=torch.float64)
    plan = world.plan(micro_batch_size=4)
    world.targets[plan.examples_at(1)[: 8 if whole else 4]] = -100
    before = losses(list(world.events(plan)))
    assert len(before) == plan.total_steps and all(math.isfinite(loss) for loss in before)
    assert (before[1] == 0.0) == whole
    assert torch.isfinite(world.weights()).all()


def test_three_in_a_row_end_the_run() -> None:
    world = World()
    world.poisoned = {1, 3, 4, 5, 6}
    events = []
    with pytest.raises(IntegrityError, match="M110") as caught:
        events.extend(world.events(world.plan()))
    assert caught.value.exit_code == 6
    assert events[-1].step == 6
    assert sum(isinstance(event, Warned) for event in events) == 1 + MAX_SKIPPED


SELECTION = ModelSelection("f1", higher=True)


def evaluations(events: list[Event]) -> list[tuple[int, bool]]:
    return [(e.step, e.is_best) for e in events if isinstance(e, Evaluated)]


def test_the_best_is_remembered() -> None:
    world = World()
    world.scores = [0.5, 0.7, 0.7, 0.6]
    plan = world.plan(evaluate_every="3 steps")
    events = list(world.events(plan, selection=SELECTION, evaluate=True))
    assert evaluations(events) == [(3, True), (6, True), (9, False), (10, False)]
    assert (world.progress.best_step, world.progress.best_value) == (6, 0.7)


def test_early_stopping_counts_evaluations() -> None:
    world = World()
    world.scores = [0.5, 0.4, 0.3, 0.9]
    plan = world.plan(evaluate_every="2 steps")
    patient = ModelSelection("f1", higher=True, patience=2)
    events = list(world.events(plan, selection=patient, evaluate=True))
    assert events[-1].step == 6
    assert world.progress.best_step == 2
    assert list(world.events(plan, selection=patient, evaluate=True)) == []


def test_a_score_that_is_none_is_never_the_best() -> None:
    world = World()
    world.scores = [float("nan")] * 9
    plan = world.plan(evaluate_every="5 steps")
    events = list(world.events(plan, selection=SELECTION, evaluate=True))
    assert evaluations(events) == [(5, False), (10, False)]
    assert world.progress.best_step == 0


def test_a_pending_evaluation_is_made_on_return() -> None:
    """Stopped between a step and its evaluation, the rerun makes it first."""
    world = World()
    plan = world.plan(evaluate_every="5 steps")
    for event in world.events(plan, selection=SELECTION, evaluate=True):
        if isinstance(event, StepDone) and event.step == 5:
            break
    again = list(world.events(plan, selection=SELECTION, evaluate=True))
    assert isinstance(again[0], Evaluated)
    assert again[0].step == 5
    assert evaluations(again) == [(5, True), (10, False)]


def test_a_finished_run_has_nothing_to_say() -> None:
    world = World()
    plan = world.plan(max_steps=2, evaluate_every="1 epoch")
    list(world.events(plan, selection=SELECTION, evaluate=True))
    assert list(world.events(plan, selection=SELECTION, evaluate=True)) == []


def test_lower_is_better_where_it_is() -> None:
    world = World()
    world.scores = [0.5, 0.4, 0.6]
    plan = world.plan(evaluate_every="4 steps")
    events = list(world.events(plan, selection=ModelSelection("f1", higher=False), evaluate=True))
    assert evaluations(events) == [(4, True), (8, True), (10, False)]
    assert np.isclose(world.progress.best_value or 0, 0.4)


def hold(model: nn.Module, rows: int, *, backward: bool = False) -> None:
    """Let a model have memory for so many rows at once, in one direction or the other."""

    def full(_module: nn.Module, tensors: tuple[torch.Tensor, ...]) -> None:
        if len(tensors[0]) > rows:
            raise torch.OutOfMemoryError(f"no memory for {len(tensors[0])} rows")

    last = list(model.modules())[-1]
    if backward:
        last.register_full_backward_pre_hook(full)  # type: ignore[arg-type]
    else:
        last.register_forward_pre_hook(full)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 7])
def test_what_does_not_fit_is_halved_and_the_step_made_again(rows: int, backward: bool) -> None:
    roomy, tight = World(dtype=torch.float64), World(dtype=torch.float64)
    hold(tight.model, rows, backward=backward)
    expected = list(roomy.events(roomy.plan()))
    events = list(tight.events(tight.plan()))
    warned = [event for event in events if isinstance(event, Warned)]
    assert len(warned) == {7: 1, 3: 2, 1: 3}[rows]
    assert {(event.step, event.problem.code, event.rows) for event in warned} == {(0, "M140", ())}
    done = [event for event in events if isinstance(event, StepDone)]
    assert [event.step for event in done] == [event.step for event in expected]
    assert losses(events) == pytest.approx(losses(expected), rel=1e-12)
    torch.testing.assert_close(tight.weights(), roomy.weights(), rtol=1e-10, atol=1e-12)
    assert tight.progress.micro_batch_size == {7: 4, 3: 2, 1: 1}[rows]


def test_a_gradient_of_half_a_step_is_thrown_away() -> None:
    """The second micro-batch does not fit: what the first one left must not count twice."""
    roomy, tight = World(dtype=torch.float64), World(dtype=torch.float64)
    fitted = []

    def full(_module: nn.Module, tensors: tuple[torch.Tensor, ...]) -> None:
        fitted.append(len(tensors[0]))
        if len(fitted) == 2:
            raise torch.OutOfMemoryError

    tight.model.register_forward_pre_hook(full)
    list(roomy.events(roomy.plan(micro_batch_size=4, max_steps=1)))
    list(tight.events(tight.plan(micro_batch_size=4, max_steps=1)))
    assert fitted == [4, 4, 2, 2, 2, 2]
    torch.testing.assert_close(tight.weights(), roomy.weights(), rtol=1e-10, atol=1e-12)


def test_a_single_row_that_does_not_fit_ends_the_run() -> None:
    world = World()
    hold(world.model, 0)
    before = world.weights()
    with pytest.raises(OneRowTooLarge, match="M111") as caught:
        list(world.events(world.plan()))
    assert caught.value.exit_code == 4
    assert caught.value.example == world.plan().examples_at(0)[0]
    assert "a single row of 5 tokens" in str(caught.value)
    assert torch.equal(world.weights(), before)


def test_one_of_several_processes_cannot_halve_alone() -> None:
    world = World()
    hold(world.model, 2)
    with pytest.raises(ResourceError, match="M145") as caught:
        list(world.events(world.plan(num_processes=2)))
    assert "train.micro_batch_size=2" in str(caught.value)


def test_other_errors_are_not_read_as_a_lack_of_memory() -> None:
    world = World()
    world.model.register_forward_pre_hook(lambda *_given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(world.events(world.plan()))


@pytest.mark.parametrize("scales", [(1.0, 1.0), (1.0, 0.25)])
def test_each_group_has_its_fraction_of_the_learning_rate(scales: tuple[float, float]) -> None:
    world = World()
    first, *rest = world.model.parameters()
    groups = [{"params": [first], "lr_scale": scales[0]}, {"params": rest, "lr_scale": scales[1]}]
    world.optimizer = torch.optim.AdamW(groups, lr=0.1)
    plan = world.plan(warmup=3)
    for event in world.events(plan):
        assert isinstance(event, StepDone)
        rates = [group["lr"] for group in world.optimizer.param_groups]
        assert rates == [event.learning_rate * scale for scale in scales]
        assert event.learning_rate == plan.learning_rate_at(event.step - 1)


def test_learning_rates_of_a_scheduler_are_left_alone() -> None:
    world = World()
    plan = replace(world.plan(max_steps=2), schedule=None)
    list(world.events(plan))
    assert [group["lr"] for group in world.optimizer.param_groups] == [0.1]


# how much code one step is


def test_one_step_reads_in_one_breath() -> None:
    """All that runs in one step with the exact engine, but for texts of failures and the plan."""
    lines = {name: len(code_lines(part)) for name, part in STEP.items()}
    print(lines, sum(lines.values()))  # shown by pytest -s
    assert sum(lines.values()) <= 80
    assert calls_of(loop.train) <= CALLED_BY_TRAIN | set(dir(builtins)), "count these, too"


STEP: dict[str, object] = {
    "loop.train": loop.train,
    "loop._report": loop._report,
    "engine.Step": Step,
    "ExactEngine.accumulate": ExactEngine.accumulate,
    "ExactEngine.update": ExactEngine.update,
    "engine.sum_over_ranks": engines.sum_over_ranks,
    "ExactEngine.set_training": ExactEngine.set_training,
    "Progress.count": Progress.count,
}
"""The functions and classes of a step."""

CALLED_BY_TRAIN = {
    # counted above
    "_report", "accumulate", "set_training", "update", "Step", "sum_over_ranks",
    # torch, lists and generators
    "append", "len", "manual_seed", "stack", "sum",
    # pure functions of the step, events, and evaluations
    "dropout_seed", "rng_of", "evaluation_due", "set_learning_rates", "micro_batches",
    "evaluate", "Evaluated", "record", "is_over",
    # failures
    "is_out_of_memory", "repeat_smaller", "diverged",
}  # fmt: skip


def parsed(part: object) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(part)))  # type: ignore[arg-type]


def code_lines(part: object) -> set[int]:
    """The lines that hold code: no docstrings, comments or blank lines."""
    tree = parsed(part)
    documented = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    docstrings: set[int] = set()
    for node in documented:
        if ast.get_docstring(node) is not None:
            docstrings |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    source = io.StringIO(textwrap.dedent(inspect.getsource(part)))  # type: ignore[arg-type]
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    result: set[int] = set()
    for token in tokenize.generate_tokens(source.readline):
        if token.type not in blank and token.type != tokenize.ENDMARKER:
            result |= set(range(token.start[0], token.end[0] + 1))
    return result - docstrings


def calls_of(part: object) -> set[str]:
    calls = [node.func for node in ast.walk(parsed(part)) if isinstance(node, ast.Call)]
    return {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in calls
        if isinstance(node, ast.Attribute | ast.Name)
    }
