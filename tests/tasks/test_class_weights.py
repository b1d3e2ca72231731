from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

import tunesmith as ts
from tunesmith.data.batches import Batch
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.errors import RecipeError
from tunesmith.recipe import DataSettings, read_options
from tunesmith.storage.atomic import sha256_of
from tunesmith.tasks.class_weights import ImbalanceOptions, LossWeights
from tunesmith.tasks.multi_label_classification import MultiLabelClassification
from tunesmith.tasks.text_classification import TextClassification

ROLES = Roles("text", None, "label")
DATA = DataSettings.model_validate({"train": "x", "label_separator": "|"})
counted = st.lists(st.integers(1, 50), min_size=2, max_size=5)


class Logits(torch.nn.Module):
    """A stand-in network that gives the logits it was made with."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, **_inputs: torch.Tensor) -> Logits:
        return self


def rows(*labels: str) -> list[Row]:
    return [Row(i, {"text": "x", "label": label}) for i, label in enumerate(labels)]


def named(counts: Sequence[int]) -> dict[str, int]:
    return {f"c{i}": count for i, count in enumerate(counts)}


def loss(task: Any, logits: torch.Tensor, labels: torch.Tensor, *, training: bool = True) -> float:
    batch = Batch({}, labels, labels.numel(), 0, np.arange(len(labels)))
    with torch.inference_mode(not training):
        result = task.forward(Logits(logits), batch).loss_sum
    assert result is not None
    return float(result.detach())


@given(counted)
def test_balanced_classes_weigh_the_same_and_rows_one_on_average(counts: list[int]) -> None:
    weights = LossWeights("balanced").for_classes(named(counts)).weights
    assert weights is not None
    parts = [w * n for w, n in zip(weights, counts, strict=True)]
    assert parts == pytest.approx([sum(counts) / len(counts)] * len(counts))


@given(counted, st.floats(0.1, 10))
def test_weights_of_ones_own_keep_their_ratios(counts: list[int], of_first: float) -> None:
    requested: dict[str, float] = {"c0": of_first}
    weights = LossWeights(requested).for_classes(named(counts)).weights
    listed = [of_first] + [1.0] * (len(counts) - 1)
    assert LossWeights(listed).for_classes(named(counts)).weights == weights
    assert weights is not None
    assert sum(w * n for w, n in zip(weights, counts, strict=True)) == pytest.approx(sum(counts))
    assert weights[0] / weights[1] == pytest.approx(of_first)


@given(counted, st.integers(0, 20))
def test_presence_and_absence_of_a_label_weigh_the_same(counts: list[int], more: int) -> None:
    total = max(counts) + more
    weights = LossWeights("balanced").for_labels(named(counts), total).weights
    assert weights is not None
    for (absent, present), count in zip(weights, counts, strict=True):
        assert absent * (total - count) + present * count == pytest.approx(total)
        if count < total:
            assert absent * (total - count) == pytest.approx(present * count)


def test_weights_as_scikit_learn_has_them() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 7 + [1] * 2 + [2])
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    ours = LossWeights("balanced").for_classes({"a": 7, "b": 2, "c": 1}).weights
    assert ours == pytest.approx(tuple(theirs))


LABELS = torch.tensor([0, 1, 1, 0, 0])
SETS = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])


ONE, SEVERAL = ("a", "a", "a", "b"), ("a", "a|b", "a", "b")


def task_of(kind: type[Any], **options: object) -> Any:
    made = kind.make(ROLES, DATA, [], options)
    return made.fit(rows(*ONE) if kind is TextClassification else rows(*SEVERAL))


@pytest.mark.parametrize("training", [True, False])
def test_without_options_the_loss_is_bit_for_bit_what_it_was(training: bool) -> None:
    logits = torch.randn(5, 2)
    result = loss(task_of(TextClassification), logits, LABELS, training=training)
    assert result == float(functional.cross_entropy(logits, LABELS, reduction="sum"))
    result = loss(task_of(MultiLabelClassification), logits, SETS, training=training)
    expected = functional.binary_cross_entropy_with_logits(logits, SETS, reduction="sum")
    assert result == float(expected)


@pytest.mark.parametrize("options", [{"class_weights": "balanced"}, {"focal_gamma": 2.0}])
def test_evaluations_measure_the_plain_loss(options: dict[str, object]) -> None:
    logits = torch.randn(5, 2)
    for kind, labels in ((TextClassification, LABELS), (MultiLabelClassification, SETS)):
        plain = loss(task_of(kind), logits, labels)
        assert loss(task_of(kind, **options), logits, labels, training=False) == plain
        assert loss(task_of(kind, **options), logits, labels) != plain


def test_weighted_losses_are_those_of_torch() -> None:
    logits = torch.randn(5, 2)
    task = task_of(TextClassification, class_weights={"b": 3.0})
    weights = torch.tensor([4 / 6, 12 / 6])
    expected = functional.cross_entropy(logits, LABELS, weight=weights, reduction="sum")
    assert loss(task, logits, LABELS) == pytest.approx(float(expected), rel=1e-6)

    task = task_of(MultiLabelClassification, class_weights=[1.0, 5.0])
    scale = torch.tensor([1.0, 2 / 6])  # half of the rows have b
    expected = functional.binary_cross_entropy_with_logits(
        logits, SETS, weight=scale, pos_weight=torch.tensor([1.0, 5.0]), reduction="sum"
    )
    assert loss(task, logits, SETS) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_the_focal_loss_is_its_formula(gamma: float) -> None:
    logits = torch.randn(5, 2, dtype=torch.float64)
    p = logits.softmax(-1)[torch.arange(5), LABELS]
    expected = (-((1 - p) ** gamma) * p.log()).sum()
    result = loss(task_of(TextClassification, focal_gamma=gamma), logits, LABELS)
    assert result == pytest.approx(float(expected), rel=1e-5)
    p = torch.where(SETS > 0, logits.sigmoid(), 1 - logits.sigmoid())
    expected = (-((1 - p) ** gamma) * p.log()).sum()
    result = loss(task_of(MultiLabelClassification, focal_gamma=gamma), logits, SETS)
    assert result == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.3, 2.0])
def test_gradients_stay_finite_for_the_surest_and_the_most_mistaken(gamma: float) -> None:
    logits = torch.tensor([[1000.0, -1000.0], [20.0, -20.0], [0.0, 0.0]], requires_grad=True)
    loss_weights = LossWeights(gamma=gamma)
    for labels in (torch.tensor([0, 0, 0]), torch.tensor([1, 1, 1])):
        result = loss_weights.loss_sum(functional.cross_entropy, logits, labels)
        (slope,) = torch.autograd.grad(result, logits)
        assert torch.isfinite(slope).all()
        assert math.isfinite(float(result.detach()))


@given(st.integers(1, 4))
def test_the_loss_does_not_see_the_cut_into_micro_batches(size: int) -> None:
    logits = torch.randn(5, 2)
    for kind, labels in ((TextClassification, LABELS), (MultiLabelClassification, SETS)):
        task = task_of(kind, class_weights="balanced", focal_gamma=2.0)
        parts = [loss(task, logits[i : i + size], labels[i : i + size]) for i in range(0, 5, size)]
        assert sum(parts) == pytest.approx(loss(task, logits, labels), rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0], "1 weights for 2 classes"),
        ({"bb": 2.0}, 'did you mean "b"?'),
    ],
)
def test_weights_that_do_not_fit_the_classes(weights: object, words: str) -> None:
    for kind in (TextClassification, MultiLabelClassification):
        with pytest.raises(RecipeError, match="R188") as caught:
            task_of(kind, class_weights=weights)
        (problem,) = caught.value.problems
        assert words in str(problem)
        assert str(problem.place) == "options.class_weights"


@pytest.mark.parametrize(
    "weights",
    ["balancd", 3, True, [], {}, [1.0, 0.0], [1, -1], [1, "2"], {"a": None}, [math.inf, 1]],
)
def test_weights_that_are_none(weights: object) -> None:
    with pytest.raises(RecipeError, match="R104") as caught:
        read_options(ImbalanceOptions, {"class_weights": weights})
    assert len(caught.value.problems) == 1


def test_what_it_learned_is_said_and_not_kept_with_the_model() -> None:
    task = task_of(TextClassification, class_weights="balanced", focal_gamma=2)
    assert task.summary()[-2:] == ["weights in the loss: a 0.667, b 2", "focal loss with gamma 2"]
    plain = task_of(TextClassification)
    assert task.as_json() == plain.as_json()
    assert task.encoding == plain.encoding
    assert TextClassification.from_json(task.as_json()).loss_weights == LossWeights()
    label = task_of(MultiLabelClassification, class_weights="balanced")
    assert label.summary()[-1] == "weights in the loss: a 0.667, b 1"


RARE = [
    {"text": f"the {'soup' if i % 6 else 'rice'} {i} is good", "label": "ab"[i % 6 == 0]}
    for i in range(48)
]
EMPHASIS = {
    "train.sampling": "balanced", "options.class_weights": {"b": 2}, "options.focal_gamma": 1.5,
    "train.epochs": 2, "train.learning_rate": 1e-3, "train.log_every": 1,
}  # fmt: skip


def losses_of(run: ts.Run) -> list[float]:
    return [event["loss"] for event in run.events() if event["event"] == "step"]


def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path, tiny_bert: Path) -> None:
    settings = {**EMPHASIS, "model": str(tiny_bert), "train.save_every": "3 steps"}
    data = {"train": RARE[12:], "validation": RARE[:12]}
    straight = ts.train(data, out=tmp_path / "straight", settings=settings)
    plain = ts.load(straight.model).evaluate(RARE[:12])  # by a task that knows no emphasis
    assert straight.scores["loss"] == pytest.approx(plain["loss"], rel=1e-5)
    events = ts.start(data, out=tmp_path / "stopped", settings=settings)
    assert any(isinstance(event, ts.Saved) and event.step == 9 for event in events)
    events.close()
    resumed = ts.train(data, out=tmp_path / "stopped", settings=settings)
    assert losses_of(resumed) == losses_of(straight)
    one, two = (sha256_of(run.model / "model.safetensors") for run in (straight, resumed))
    assert one == two


def test_micro_batches_of_a_run_add_up(tmp_path: Path, tiny_bert: Path) -> None:
    settings = {**EMPHASIS, "model": str(tiny_bert), "train.dropout": 0.0, "train.epochs": 1}
    runs = [
        ts.train(
            RARE,
            out=tmp_path / f"run-{size}",
            settings={**settings, "train.micro_batch_size": size},
        )
        for size in (8, 3)
    ]
    assert losses_of(runs[1]) == pytest.approx(losses_of(runs[0]), rel=1e-4)
