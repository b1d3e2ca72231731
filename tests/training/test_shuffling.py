from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.test_plan import make
from tunesmith.recipe import TrainSettings
from tunesmith.rng import permuted
from tunesmith.training.plan import Plan, make_plan
from tunesmith.training.shuffling import BalancedClasses, row_order


@pytest.mark.parametrize("seed", [0, 42])
def test_the_order_is_that_of_transformers(seed: int) -> None:
    """What Trainer draws through Accelerate's seedable sampler, epoch by epoch."""
    import torch
    from accelerate.data_loader import SeedableRandomSampler

    sampler = SeedableRandomSampler(range(1000), data_seed=seed)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        assert list(sampler) == row_order(1000, seed, epoch, 0, 1000).tolist()
    assert torch.randperm(5).shape == (5,)


@given(st.integers(1, 5000), st.integers(0, 10))
def test_feistel_is_a_permutation(size: int, key: int) -> None:
    order = permuted(np.arange(size), size, key)
    assert sorted(order) == list(range(size))


def test_feistel_mixes_and_needs_no_table() -> None:
    size = 100_000
    order = permuted(np.arange(size), size, 1)
    other = permuted(np.arange(size), size, 2)
    assert abs(np.corrcoef(order, np.arange(size))[0, 1]) < 0.02
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.02
    assert abs(np.corrcoef(order, other)[0, 1]) < 0.02
    billion = row_order(10**9, 42, 0, 5_000, 5_032)
    assert len(set(billion)) == 32
    assert billion.max() < 10**9


imbalanced = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def balanced(sizes: list[int], batch: int, **more: object) -> tuple[Plan, np.ndarray]:
    """A plan over classes of these sizes, whose examples are in any order, and their classes."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    settings = TrainSettings.model_validate({"batch_size": batch, **more})
    classes = BalancedClasses.of(labels)
    return make_plan(settings, num_examples=len(labels), classes=classes), labels


def epoch_of(plan: Plan, epoch: int) -> list[int]:
    steps = range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch)
    return [int(i) for step in steps for i in plan.examples_at(step)]


@given(imbalanced, st.integers(1, 9), st.integers(0, 3))
def test_balanced_epochs_are_as_long_and_give_each_class_its_fraction_of_rows(
    sizes: list[int], batch: int, epoch: int
) -> None:
    plan, labels = balanced(sizes, batch)
    seen = epoch_of(plan, epoch)
    assert len(seen) == sum(sizes)
    counts = np.bincount(labels[seen], minlength=len(sizes))
    assert counts.max() - counts.min() <= 1


@given(imbalanced, st.integers(1, 4))
def test_over_epochs_no_class_and_no_row_of_one_is_favored(sizes: list[int], epochs: int) -> None:
    plan, labels = balanced(sizes, 7)
    seen = np.concatenate([epoch_of(plan, epoch) for epoch in range(epochs)])
    times = np.bincount(seen, minlength=len(labels))
    of_classes = [times[labels == number] for number in range(len(sizes))]
    totals = [int(result.sum()) for result in of_classes]
    assert max(totals) - min(totals) <= 1
    assert all(result.max() - result.min() <= 1 for result in of_classes)


@given(imbalanced, st.integers(0, 2**31), st.integers(0, 20))
def test_balanced_steps_are_a_function_of_seed_and_step(
    sizes: list[int], seed: int, step: int
) -> None:
    """A resumed run, which has seen no step before, takes the same examples."""
    straight, _labels = balanced(sizes, 4, seed=seed)
    for before in range(step):
        straight.examples_at(before)
    resumed, _labels = balanced(sizes, 4, seed=seed)
    assert resumed.examples_at(step).tolist() == straight.examples_at(step).tolist()


def test_balanced_epochs_are_mixed_and_differ() -> None:
    plan, labels = balanced([90, 10], 10)
    first, second = epoch_of(plan, 0), epoch_of(plan, 1)
    assert first != second
    shares = [labels[first[i : i + 10]].mean() for i in range(0, 100, 10)]
    assert np.std(shares) > 0  # drawn, not dealt out batch by batch
    other, _labels = balanced([90, 10], 10, seed=1)
    assert epoch_of(other, 0) != first


def test_a_balanced_plan_is_reported_as_numbers() -> None:
    import json

    plan, _labels = balanced([3, 1], 2)
    assert json.loads(json.dumps(plan.as_json())) == make(4, batch_size=2).as_json()
