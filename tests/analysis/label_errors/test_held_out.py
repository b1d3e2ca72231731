from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunesmith.analysis.label_errors import held_out
from tunesmith.analysis.label_errors.held_out import HeldOut
from tunesmith.analysis.label_errors.ranking import suspect
from tunesmith.data.columns import Roles
from tunesmith.data.embedded.tickets import CLASSES, faults, make_tickets
from tunesmith.data.readers.memory import Memory
from tunesmith.data.scan import content_of
from tunesmith.errors import IntegrityError
from tunesmith.inputs import Split
from tunesmith.recipe import DataSettings
from tunesmith.tasks import Task, task_named

Records = list[dict[str, Any]]


def split_of(records: Records, places: list[int] | None = None) -> Split:
    chosen = None if places is None else np.array(places)
    return Split("train", Memory.of_records(records, "rows"), "", chosen, len(places or records))


def by_folds(task: Task, split: Split) -> HeldOut:
    """The answers for rows that are, by their hash, those that were surveyed."""
    seen = hashlib.sha256()
    for chunk in split.source.chunks(task.roles.columns):
        for row in chunk:
            seen.update(content_of(row, task.roles.columns))
    result = held_out.by_folds(task, replace(split, digest=seen.hexdigest()))
    assert result is not None
    return result


def fitted(name: str, roles: Roles, split: Split) -> Task:
    settings = DataSettings(train="rows")
    made = task_named(name).make(roles, settings, split.source.columns, {})
    task = made.fit(row for chunk in split.source.chunks() for row in chunk)
    return task


def fixed_tickets() -> Records:
    """The training rows with the labels that they should have."""
    rows = [dict(row) for row in make_tickets()["train"]]
    for fault in faults():
        if fault.kind == "wrong label":
            rows[fault.row]["label"] = fault.right_label
        elif fault.kind == "conflict" and fault.twin is not None:
            rows[fault.row]["label"] = rows[fault.twin]["label"]
    return rows


def flipped(rows: Records, *, share: float, seed: int = 0) -> set[int]:
    """Give a fraction of the rows another class, in place; which ones."""
    chance = np.random.default_rng(seed)
    chosen = chance.choice(len(rows), round(share * len(rows)), replace=False).tolist()
    for i in chosen:
        others = [name for name in CLASSES if name != rows[i]["label"]]
        rows[i]["label"] = others[int(chance.integers(len(others)))]
    return set(chosen)


def precision(rows: Records, wrong: set[int]) -> tuple[float, int]:
    """The fraction of wrong labels among as many suspects as are wrong, and how many these are."""
    split = split_of(rows)
    task = fitted("text-classification", Roles("text", None, "label"), split)
    result = suspect(by_folds(task, split), len(wrong))
    return sum(row.row in wrong for row in result) / len(result), len(result)


def test_planted_flips_are_found() -> None:
    rows = fixed_tickets()[:400]
    share, result = precision(rows, flipped(rows, share=0.03))
    assert share >= 0.8 and result >= 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_planted_flips_are_found_in_all_tickets(seed: int) -> None:
    rows = fixed_tickets()
    wrong = flipped(rows, share=0.03, seed=seed)
    share, result = precision(rows, wrong)
    assert share >= 0.8 and result >= 0.6 * len(wrong)


def alike(count: int, *, seed: int = 0) -> Records:
    """Pairs of random words; the second text says the same in every other row."""
    chance = np.random.default_rng(seed)

    def words() -> list[str]:
        return [f"word{i}" for i in chance.integers(0, 2000, 12)]

    def row(same: bool) -> dict[str, Any]:
        one = words()
        two = one[:8] + words()[:4] if same else one[:3] + words()[:9]
        return {
            "one": " ".join(one),
            "two": " ".join(chance.permutation(two)),
            "label": "same" if same else "other",
        }

    return [row(i % 2 == 0) for i in range(count)]


def test_pairs_are_judged_by_how_alike_their_texts_are() -> None:
    """Words alone know nothing here: none says more of one class than of the other."""
    rows = alike(300)
    for i in (5, 8, 41, 70, 123, 200, 201, 250, 299):
        rows[i]["label"] = "other" if rows[i]["label"] == "same" else "same"
    split = split_of(rows)
    task = fitted("text-classification", Roles("one", "two", "label"), split)
    result = suspect(by_folds(task, split))
    assert {row.row for row in result} == {5, 8, 41, 70, 123, 200, 201, 250, 299}


def test_pairs_are_judged_by_words_where_these_know_more() -> None:
    """A title and a text: how alike they are says nothing of the topic."""
    rows = [{**row, "title": row["text"].split()[0]} for row in fixed_tickets()[:400]]
    wrong = flipped(rows, share=0.03)
    split = split_of(rows)
    task = fitted("text-classification", Roles("title", "text", "label"), split)
    result = suspect(by_folds(task, split), len(wrong))
    assert sum(row.row in wrong for row in result) >= 0.8 * len(result) >= 4


def test_numbers_for_pairs() -> None:
    """The answer is how alike both are, from 0 to 1."""
    rows = alike(200)
    for row in rows:
        row["label"] = float(row["label"] == "same")
    rows[17]["label"], rows[100]["label"] = 1.0, 0.0
    split = split_of(rows)
    task = fitted("text-regression", Roles("one", "two", "label"), split)
    result = suspect(by_folds(task, split), 2)
    assert {row.row for row in result} == {17, 100}


def test_the_answer_never_saw_the_label_nor_its_twin() -> None:
    """Two texts alike but for case: each is answered as if both were unknown."""
    rows = [{"text": f"word{i % 2} again {i}", "label": "ab"[i % 2]} for i in range(40)]
    twins = [{"text": "odd one", "label": "a"}, {"text": "Odd  one", "label": "a"}]
    split = split_of([*rows, *twins])
    task = fitted("text-classification", Roles("text", None, "label"), split)
    outputs = by_folds(task, split).answers.probabilities
    assert np.allclose(outputs.sum(axis=1), 1)
    assert (outputs[:40].argmax(axis=1) == np.arange(40) % 2).all()
    assert np.allclose(outputs[40:, 0], 0.5, atol=0.1)


def test_only_the_rows_of_the_split() -> None:
    rows = [{"text": f"word{i % 2} again", "label": "ab"[i % 2]} for i in range(30)]
    split = split_of(rows, [0, 3, 5, 8, 20, 21])
    answered = by_folds(fitted("text-classification", Roles("text", None, "label"), split), split)
    assert [row.index for row in answered.rows] == [0, 3, 5, 8, 20, 21]
    assert answered.places([1])[0].row == 3


@pytest.mark.parametrize(
    ("name", "roles", "extra", "shape"),
    [
        ("text-regression", Roles("text", None, "label"), {"label": 1.5}, (24,)),
        ("text-classification", Roles("text", "other", "label"), {"other": "the x"}, (24, 3)),
        ("multi-label-classification", Roles("text", None, "label"), {}, (24, 2)),
    ],
)
def test_each_task(
    name: str, roles: Roles, extra: Mapping[str, object], shape: tuple[int, ...]
) -> None:
    """Rare classes too: a fold may lack what its model should know."""
    labels: list[Any] = ["a", "b"] * 11 + ["a", "c"]
    if name == "text-regression":
        labels = [float(i % 5) for i in range(24)]
    elif name == "multi-label-classification":
        labels = [["x"], ["x", "y"], []] * 8
    rows = [{"text": f"w{i} again", **extra, "label": labels[i]} for i in range(24)]
    split = split_of(rows)
    answered = by_folds(fitted(name, roles, split), split)
    answers = answered.answers
    outputs = answers.probabilities if answers.probabilities.size else answers.predicted
    assert outputs.shape == shape and np.isfinite(outputs).all()
    assert len(answers.truth) == 24


def test_two_classes_of_which_one_has_a_single_row() -> None:
    rows = [{"text": f"w{i}", "label": "b" if i == 7 else "a"} for i in range(12)]
    split = split_of(rows)
    answered = by_folds(fitted("text-classification", Roles("text", None, "label"), split), split)
    shares = answered.answers.probabilities
    assert shares.shape == (12, 2) and np.isfinite(shares).all()


def test_rows_that_are_not_those_of_the_run_are_refused() -> None:
    split = split_of([{"text": f"soup {i}", "label": "ab"[i % 2]} for i in range(20)])
    task = fitted("text-classification", Roles("text", None, "label"), split)
    with pytest.raises(IntegrityError, match="D160"):
        held_out.by_folds(task, split)


def test_rows_of_a_group_are_answered_by_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        {"text": f"{word} {i}", "label": "ab"[i % 2], "author": i // 6 if i < 54 else None}
        for i, word in enumerate(["soup", "tea", "rice"] * 20)
    ]
    seen: list[list[np.ndarray]] = []
    drawn = held_out.random_splits

    def draw(*arguments: Any, **more: Any) -> list[np.ndarray]:
        seen.append(drawn(*arguments, **more))
        return seen[-1]

    monkeypatch.setattr(held_out, "random_splits", draw)
    split = split_of(records)
    for group in (None, "author"):
        by_folds(
            fitted("text-classification", Roles("text", None, "label", group=group), split), split
        )
    folds = [
        [{i for i, part in enumerate(parts) if row in part} for row in range(60)] for parts in seen
    ]
    together = [
        sum(len(set.union(*fold[a : a + 6])) == 1 for a in range(0, 54, 6)) for fold in folds
    ]
    assert together[0] < 3 and together[1] == 9
