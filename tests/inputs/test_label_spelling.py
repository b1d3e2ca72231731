from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.columns import Roles
from tunesmith.data.near_duplicates import normalized
from tunesmith.data.open import from_python, open_splits
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import Source
from tunesmith.errors import RecipeError
from tunesmith.inputs import ValidatedInputs, resolve_inputs, validate_inputs
from tunesmith.inputs.label_spelling import normalize_labels
from tunesmith.recipe import DataSettings, gather
from tunesmith.tasks import Task, task_named

SETTINGS = DataSettings(train="rows")
SPELLINGS = ["pos", "Pos", " pos", "POS ", "ｐｏｓ", "neg", "Neg", "n eg", "n  eg"]


def task(name: str = "text-classification", label: Any = "label", **settings: object) -> Task:
    made = SETTINGS.model_copy(update=settings)
    return task_named(name).make(Roles("text", None, label), made, (), {})


def memory(labels: Sequence[object], name: str = "rows") -> Memory:
    return Memory.of_records([{"text": f"t{i}", "label": y} for i, y in enumerate(labels)], name)


def labels_of(source: Source) -> list[object]:
    return [row.values["label"] for chunk in source.chunks(["label"]) for row in chunk]


@given(st.lists(st.sampled_from(SPELLINGS), min_size=1, max_size=40))
def test_the_most_frequent_spelling_wins(labels: list[str]) -> None:
    counts = Counter(labels)
    made = normalize_labels(task(), {"train": memory(labels)})["train"]
    for before, after in zip(labels, labels_of(made), strict=True):
        alike = [name for name in counts if normalized([name]) == normalized([before])]
        assert after == min(alike, key=lambda name: (-counts[name], name))


@given(st.lists(st.sampled_from(SPELLINGS), min_size=1, max_size=40), st.randoms())
def test_the_order_of_rows_does_not_matter(labels: list[str], draw: Any) -> None:
    order = draw.sample(range(len(labels)), len(labels))
    one = labels_of(normalize_labels(task(), {"train": memory(labels)})["train"])
    shuffled = memory([labels[i] for i in order])
    other = labels_of(normalize_labels(task(), {"train": shuffled})["train"])
    assert [one[i] for i in order] == other


def test_what_was_joined_is_reported_for_each_source() -> None:
    sources = {
        "train": memory(["pos", "Pos", "pos", " pos", "neg"]),
        "validation": memory(["POS", "neg", "other"], "v"),
        "test": Memory.of_records([{"text": "a"}], "t"),
    }
    made = normalize_labels(task(), sources)
    assert made["train"].notes == (
        'rows: labels normalized: " pos" (1) → "pos", "Pos" (1) → "pos"',
    )
    assert made["validation"].notes == ('v: labels normalized: "POS" (1) → "pos"',)
    assert labels_of(made["validation"]) == ["pos", "neg", "other"]
    assert made["test"].notes == ()
    assert next(iter(made["test"].chunks()))[0].values == {"text": "a"}
    assert labels_of(sources["train"])[1] == "Pos"
    assert [row.values for row in next(iter(made["train"].chunks(["text"])))][1] == {"text": "t1"}


def test_a_known_spelling_wins() -> None:
    made = normalize_labels(task(), {"train": memory(["pos", "pos", "POS"])}, known=["POS", "neg"])
    assert labels_of(made["train"]) == ["POS"] * 3
    with pytest.raises(RecipeError, match="R191"):
        normalize_labels(task(), {"train": memory(["pos"])}, known=["POS", "pos"])


@pytest.mark.parametrize(
    ("settings", "before", "after"),
    [
        ({}, [["x", "Y"], ["y"], ["Y", "y", "Y "]], [["x", "Y"], ["Y"], ["Y"]]),
        ({"label_separator": "|"}, ["x|Y", "y|z", "Y"], ["x|Y", "Y|z", "Y"]),
    ],
)
def test_several_labels(settings: dict[str, str], before: list[Any], after: list[Any]) -> None:
    several = task("multi-label-classification", **settings)
    assert labels_of(normalize_labels(several, {"train": memory(before)})["train"]) == after


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("text-regression", "label"),
        ("masked-lm", None),
        ("multi-label-classification", ("a", "b")),
    ],
)
def test_tasks_without_names_in_rows_are_refused(name: str, label: Any) -> None:
    with pytest.raises(RecipeError, match="R190"):
        normalize_labels(task(name, label), {"train": memory(["a"])})


def checked(data: Any, *sets: str) -> ValidatedInputs:
    layers = gather(sets=["model=embedded:mini", "data.train=python", *sets], environment={})
    return validate_inputs(resolve_inputs(layers, from_python(data)), audited=True)


def test_a_recipe_that_asks_for_it() -> None:
    rows = [{"text": f"number {i}", "label": ["pos", "neg", "Pos"][i % 3]} for i in range(60)]
    result = checked({"train": rows}, "data.normalize_labels=true", "data.labels=[Pos,neg]")
    assert result.task.as_json()["labels"] == ("Pos", "neg")
    assert any('"pos" (20) → "Pos"' in note for note in result.notes)
    with pytest.raises(RecipeError) as caught:
        checked({"train": rows}, "data.normalize_labels=true", "task=masked-lm")
    assert str(caught.value.problems[0].place) == "--set data.normalize_labels=true"


def test_respelled_rows_are_other_content(tmp_path: Path) -> None:
    rows = [{"text": f"number {i}", "label": ["pos", "neg", "Pos"][i % 3]} for i in range(60)]
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"{r['text']},{r['label']}\n" for r in rows))
    plain = normalize_labels(task(), {"train": memory(["pos", "neg"])})["train"]
    assert plain.notes == ()
    spelled = checked({"train": rows}, "data.normalize_labels=true").splits["train"]
    lower = [{**row, "label": str(row["label"]).title()} for row in rows]
    assert spelled.source.name == "data:train"
    assert spelled.digest != checked({"train": lower}).splits["train"].digest
    source = normalize_labels(task(), open_splits(str(path)))["train"]
    assert source.places([2])[2].line == 4
