from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunesmith.data.batches import Batch
from tunesmith.recipe import Duration, Percentage, TrainSettings
from tunesmith.training import plan as planning
from tunesmith.training.plan import Plan, make_plan, reaches_multiple
from tunesmith.training.shuffling import BalancedClasses, row_order


def make(n: int = 100, processes: int = 1, **train: object) -> Plan:
    return make_plan(TrainSettings.model_validate(train), num_examples=n, num_processes=processes)


def test_mrpc_at_the_course_defaults_is_1377_steps() -> None:
    assert make(3668).total_steps == 1377


sizes = st.tuples(st.integers(1, 200), st.integers(1, 20), st.integers(1, 8), st.integers(1, 4))


@given(sizes, st.integers(0, 3))
def test_each_example_once_an_epoch(sizes: tuple[int, int, int, int], epoch: int) -> None:
    n, batch, micro, processes = sizes
    plan = make(n, processes, batch_size=batch, micro_batch_size=micro)
    seen = []
    for step in range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch):
        parts = [plan.micro_batches_at(step, rank) for rank in range(processes)]
        dealt = {number: rows for part in parts for number, rows in part}
        assert all(len(rows) <= micro for rows in dealt.values())
        joined = np.concatenate([dealt[number] for number in sorted(dealt)])
        assert joined.tolist() == plan.examples_at(step).tolist()
        assert len(joined) <= batch
        seen += joined.tolist()
    assert sorted(seen) == list(range(n))


@given(sizes)
def test_the_cut_does_not_depend_on_the_number_of_processes(
    sizes: tuple[int, int, int, int],
) -> None:
    n, batch, micro, processes = sizes
    one = make(n, 1, batch_size=batch, micro_batch_size=micro)
    several = make(n, processes, batch_size=batch, micro_batch_size=micro)
    alone = {number: rows.tolist() for number, rows in one.micro_batches_at(0)}
    shared = {
        number: rows.tolist()
        for rank in range(processes)
        for number, rows in several.micro_batches_at(0, rank)
    }
    assert alone == shared


Read = dict[int, tuple[list[int], int]]
"""The micro-batches of a step by their numbers: examples, and seed of the dropout."""


def read_at(plan: Plan, step: int, at_most: int | None = None) -> Read:
    """What all processes read in a step; dummies, which count for nothing, are left out."""
    read: Read = {}

    def made(number: int, examples: NDArray[np.int64], is_dummy: bool) -> Batch:
        return Batch({}, None, 0, 0, examples, is_dummy=is_dummy)

    for rank in range(plan.num_processes):
        batches = plan.batches_at(step, rank, made, at_most=at_most)
        assert batches, "a process without a backward pass would keep the others waiting"
        for number, batch in batches:
            assert number not in read or batch.is_dummy
            if not batch.is_dummy:
                read[number] = batch.examples.tolist(), plan.dropout_seed(step, number)
    return read


processes = st.lists(st.integers(1, 7), min_size=1, max_size=12)


@given(
    st.integers(1, 60), st.integers(1, 20), st.integers(1, 24), processes,
    st.integers(0, 5), st.booleans(),
)  # fmt: skip
def test_the_number_of_processes_may_change_between_any_two_steps(
    n: int, batch: int, micro: int, processes: list[int], at_most: int, balanced: bool
) -> None:
    """Same rows, micro-batches, and seeds as one process; each row once per epoch."""
    classes = BalancedClasses.of(np.arange(n) % 3) if balanced else None
    one = replace(make(n, 1, batch_size=batch, micro_batch_size=micro), classes=classes)
    for epoch in range(2):
        seen: list[int] = []
        for step in range(epoch * one.steps_per_epoch, (epoch + 1) * one.steps_per_epoch):
            count = processes[step % len(processes)]
            several = make(n, count, batch_size=batch, micro_batch_size=micro)
            several = replace(several, classes=classes)
            read = read_at(several, step, at_most or None)
            assert read == read_at(one, step, at_most or None)
            assert several.learning_rate_at(step) == one.learning_rate_at(step)
            assert several.evaluation_due(step) == one.evaluation_due(step)
            assert several.draw_seed(step) == one.draw_seed(step)
            seen += [example for number in sorted(read) for example in read[number][0]]
        assert balanced or sorted(seen) == list(range(n))


@given(st.integers(1, 40), processes)
def test_micro_batches_that_no_recipe_sets_become_smaller_only_for_more_processes(
    batch: int, processes: list[int]
) -> None:
    plan = make(100, processes[0], batch_size=batch)
    for count in processes[1:]:
        fresh = make(100, count, batch_size=batch)
        now = fresh.continuing(plan.micro_batch_size)
        assert now.num_processes == count
        if plan.micro_batch_size <= fresh.micro_batch_size:  # all have work as it is
            assert read_at(now, 3) == read_at(replace(plan, num_processes=1), 3)
        else:
            assert now == fresh
        plan = now
    assert plan.continuing(None) == plan


SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "polynomial": "polynomial",
    "inverse_sqrt": "inverse_sqrt",
}


@pytest.mark.parametrize("warmup", [0, 1, 10])
@pytest.mark.parametrize(("ours", "theirs"), SCHEDULES.items())
def test_schedules_are_those_of_transformers(ours: str, theirs: str, warmup: int) -> None:
    import torch
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=5e-5)
    scheduler = get_scheduler(theirs, optimizer, num_warmup_steps=warmup, num_training_steps=57)
    plan = make(max_steps=57, warmup=warmup, schedule=ours)
    for step in range(60):
        assert plan.learning_rate_at(step) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        scheduler.step()


def test_warmup_in_steps_shares_and_epochs() -> None:
    assert make(warmup=Percentage(0.1), batch_size=10, epochs=3).warmup_steps == 3
    assert make(warmup=Percentage(0.11), batch_size=10, epochs=3).warmup_steps == 4
    assert make(warmup="1 epoch", batch_size=10).warmup_steps == 10
    assert make(warmup="7 steps").warmup_steps == 7


@given(st.integers(0, 2**40), st.integers(0, 10_000), st.integers(0, 100))
def test_dropout_seeds_differ_in_all_bits(seed: int, step: int, micro: int) -> None:
    plan = make(seed=seed % 2**31)
    one = plan.dropout_seed(step, micro)
    assert 0 <= one < 2**64
    for other in (plan.dropout_seed(step + 1, micro), plan.dropout_seed(step, micro + 1)):
        assert 8 < (one ^ other).bit_count() < 56
        # torch's generator on the CPU takes only the low half
        assert (one ^ other) & 0xFFFFFFFF


def due(plan: Plan) -> list[int]:
    return [step for step in range(plan.total_steps + 1) if plan.evaluation_due(step)]


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ("1 epoch", [10, 20, 30]),
        ("0.5 epochs", [5, 10, 15, 20, 25, 30]),
        ("7 steps", [7, 14, 21, 28, 30]),
        ("100 steps", [30]),
        ("never", []),
    ],
)
def test_evaluations_are_due(every: str, steps: list[int]) -> None:
    assert due(make(batch_size=10, evaluate_every=every)) == steps


def test_thirds_of_an_epoch_come_out() -> None:
    plan = make(batch_size=10, evaluate_every=Duration(1 / 3, "epochs"))
    assert len(due(plan)) == 9


@given(st.integers(1, 50), st.floats(1, 20))
def test_as_many_multiples_as_fit(steps: int, every: float) -> None:
    reached = sum(reaches_multiple(step, every) for step in range(1, steps + 1))
    assert abs(reached - steps / every) <= 1


def test_epochs_may_be_a_fraction_and_max_steps_overrides() -> None:
    assert make(batch_size=10, epochs=1.55).total_steps == 16
    assert make(batch_size=10, max_steps=3).total_steps == 3
    assert make(batch_size=10).epoch_at(15) == 1.5


def test_micro_batches_follow_from_the_processes() -> None:
    assert make(batch_size=8).micro_batch_size == 8
    assert make(processes=2, batch_size=8).micro_batch_size == 4
    assert make(processes=3, batch_size=8).micro_batch_size == 3
    assert make(batch_size=8, micro_batch_size=100).micro_batch_size == 8


@given(sizes, st.integers(1, 30), st.integers(0, 5), st.booleans())
def test_the_largest_micro_batch_is_the_largest_of_all(
    sizes: tuple[int, int, int, int], max_steps: int, at_most: int, padded: bool
) -> None:
    n, batch, micro, processes = sizes
    plan = make(n, processes, batch_size=batch, micro_batch_size=micro, max_steps=max_steps)
    lengths = np.random.default_rng(n).integers(1, 50, n)
    limit = at_most or None

    def tokens(places: object) -> int:
        result = lengths[places]
        return int(result.max() * len(result) if padded else result.sum())

    every = [
        tokens(places)
        for step in range(plan.total_steps)
        for rank in range(processes)
        for _number, places in plan.micro_batches_at(step, rank, at_most=limit)
    ]
    largest = plan.largest_micro_batch(lengths, at_most=limit, padded=padded)
    assert tokens(largest) == max(every)
    assert limit is None or len(largest) <= limit


def test_the_largest_micro_batch_holds_rare_rows_that_come_often() -> None:
    """Balanced sampling draws the long rows of a rare class again and again."""
    labels = np.array([0] * 95 + [1] * 5)
    plan = replace(make(100, batch_size=8, micro_batch_size=8), classes=BalancedClasses.of(labels))
    lengths = np.where(labels == 1, 100, 5)
    every = [lengths[plan.examples_at(step)].sum() for step in range(plan.total_steps)]
    assert lengths[plan.largest_micro_batch(lengths, padded=False)].sum() == max(every) > 500


def test_of_a_very_large_run_the_beginning_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_SEARCHED_EXAMPLES", 40)
    plan = make(100, batch_size=8, epochs=9)
    order = row_order(100, plan.seed, 0, 0, 100)
    lengths = np.ones(100, dtype=np.int64)
    lengths[order[50]], lengths[order[39]] = 9, 5
    assert order[39] in plan.largest_micro_batch(lengths, padded=True)


@given(sizes, st.integers(1, 8))
def test_smaller_micro_batches_hold_the_same_examples(
    sizes: tuple[int, int, int, int], at_most: int
) -> None:
    n, batch, micro, _processes = sizes
    plan = make(n, batch_size=batch, micro_batch_size=micro)
    parts = [rows for _number, rows in plan.micro_batches_at(0, at_most=at_most)]
    assert all(len(rows) <= min(micro, at_most) for rows in parts)
    assert np.concatenate(parts).tolist() == plan.examples_at(0).tolist()


@given(sizes, st.integers(0, 30))
def test_every_process_has_a_batch_and_a_dummy_where_there_are_no_rows(
    sizes: tuple[int, int, int, int], step: int
) -> None:
    n, batch, micro, processes = sizes
    plan = make(n, processes, batch_size=batch, micro_batch_size=micro)
    given_: list[tuple[int, bool]] = []

    def made(number: int, examples: NDArray[np.int64], is_dummy: bool) -> Batch:
        given_.append((number, is_dummy))
        return Batch({}, None, 0, 0, examples, is_dummy=is_dummy)

    for rank in range(processes):
        own = plan.micro_batches_at(step, rank)
        batches = plan.batches_at(step, rank, made, at_most=None)
        if own:
            assert [(number, b.examples.tolist()) for number, b in batches] == [
                (number, examples.tolist()) for number, examples in own
            ]
        assert all(b.is_dummy == (not own) for _number, b in batches)
        assert len(batches) == max(1, len(own))
    numbers = [number for number, _is_dummy in given_]
    assert len(set(numbers)) == len(numbers)
