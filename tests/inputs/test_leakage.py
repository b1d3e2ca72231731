"""Leaks and duplicates that were planted are found, and little else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.inputs.test_corrections_table import doubt
from tunesmith.data.embedded.tickets import faults
from tunesmith.data.near_duplicates import NEAR, similarities
from tunesmith.data.open import from_python, open_splits
from tunesmith.data.readers.hub_reader import HubSplit
from tunesmith.data.rows import Splits
from tunesmith.errors import DataError, Problem, Severity
from tunesmith.inputs import column_stats, resolve_inputs, validate_inputs
from tunesmith.inputs.corrections_table import write_issues
from tunesmith.recipe import gather

Records = dict[str, list[dict[str, Any]]]


def reported(data: Splits, *sets: str) -> dict[tuple[str, str], Problem]:
    """The problems by code and split."""
    layers = gather(sets=["model=embedded:mini", "data.train=python", *sets], environment={})
    try:
        problems = validate_inputs(resolve_inputs(layers, data), audited=True).warnings
    except DataError as error:
        problems = error.problems
    return {(p.code, str(p.place).split(":")[-1].split("[")[0]): p for p in problems}


def test_texts_are_shown_as_they_were_written() -> None:
    rows = [{"text": f"Row Number {i}！", "label": "ab"[i % 2]} for i in range(40)]
    rows.append({"text": "row number 3!", "label": "a"})
    for data, text in ((rows, "row number 3!"), (rows[::-1], "Row Number 3！")):
        problems = reported(from_python(data))
        (problem,) = (problem for (code, _), problem in problems.items() if code == "D403")
        assert problem.evidence[0].endswith(f": {text}")


def test_the_planted_faults_are_found_and_nothing_else() -> None:
    result = reported(open_splits("embedded:tickets"))
    planted: dict[str, set[int]] = {}
    for fault in faults():
        planted.setdefault(fault.kind, set()).add(fault.row)
    twins = {fault.row: fault.twin for fault in faults() if fault.twin is not None}

    def rows(kinds: list[str]) -> set[int]:
        """Of a row and its twin the later one is reported."""
        return {max(row, twins[row]) for kind in kinds for row in planted[kind]}  # type: ignore[type-var]

    repeated = set(result["D408", "train"].row_numbers)
    assert repeated == rows(["duplicate", "near duplicate"])
    assert set(result["D403", "train"].row_numbers) == rows(["conflict"])
    leak = result["D401", "test"]
    assert set(leak.row_numbers) == planted["leak"]
    assert leak.severity is Severity.WARNING  # 0.8 % of a published set
    assert "(0.83%)" in leak.message


def mrpc(folder: Path) -> Records:
    return {
        split: [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        for split in ("train", "validation", "test")
    }


def disturbed(record: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """The same pair with a word of one sentence gone, another or twice."""
    side = draw.choice(["sentence1", "sentence2"])
    words = record[side].split()
    place = draw.randrange(len(words))
    words[place : place + 1] = draw.choice([[], ["whatever"], [words[place]] * 2])
    return {**record, side: " ".join(words)}


def test_leaks_planted_into_mrpc(glue: Callable[[str], Path]) -> None:
    """2 % of the test rows copied from train, 5 % nearly so."""
    data, draw = mrpc(glue("mrpc")), random.Random(3)
    before = reported(from_python(data), "data.validation=null")
    test, train = data["test"], data["train"]
    places = draw.sample(range(len(test)), round(0.07 * len(test)))
    copied, changed = places[: round(0.02 * len(test))], places[round(0.02 * len(test)) :]
    for row in copied:
        test[row] = {**draw.choice(train), "idx": row}
    for row in changed:
        test[row] = disturbed(draw.choice(train), draw)
    result = reported(from_python(data), "data.validation=null")
    leak, near = result["D401", "test"], result["D402", "test"]
    assert leak.severity is Severity.ERROR
    assert ("D401", "test") not in before
    assert set(leak.row_numbers) == set(copied)
    reported_near = set(near.row_numbers)
    assert len(reported_near & set(changed)) >= 0.95 * len(changed)
    natural = set(before["D402", "test"].row_numbers)
    assert len(reported_near & (set(changed) | natural)) >= 0.95 * len(reported_near)


def rows(texts: list[str], labels: str = "ab") -> list[dict[str, Any]]:
    return [{"text": text, "label": labels[i % len(labels)]} for i, text in enumerate(texts)]


WORDS = "soup rice table printer broken again please cold late good bad fine green river".split()


def sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=9)) for _row in range(count)]


def with_leak(leaked: int, of: int = 200) -> Records:
    train = rows(sentences(300, 1))
    return {"train": train, "test": [*train[:leaked], *rows(sentences(of - leaked, 2))]}


@pytest.mark.parametrize(
    ("leaked", "sets", "severity"),
    [
        (2, [], Severity.ERROR),
        (1, [], Severity.WARNING),
        (20, ["data.allow_leak=true"], Severity.WARNING),
    ],
)
def test_from_one_percent_on_a_leak_of_own_rows_stops(
    leaked: int, sets: list[str], severity: Severity
) -> None:
    problem = reported(from_python(with_leak(leaked)), "data.validation=null", *sets)[
        "D401", "test"
    ]
    assert (problem.count, problem.severity) == (leaked, severity)
    assert "--allow-leak" in str(problem)


def test_published_splits_are_warned_of() -> None:
    from datasets import Dataset

    data = {
        name: HubSplit.of(Dataset.from_list(made), f"owner/name:{name}", revision="0" * 40)
        for name, made in with_leak(20).items()
    }
    assert reported(data)["D401", "test"].severity is Severity.WARNING


@pytest.mark.parametrize("key", ["data.corrections", "data.normalize_labels", "data.on_bad_row"])
def test_published_splits_stay_so_when_labels_are_fixed_or_rows_left_out(
    key: str, tmp_path: Path
) -> None:
    from datasets import Dataset

    made = with_leak(20)
    text = made["train"][0]["text"]
    write_issues(tmp_path / "t.csv", [doubt(0, text, made["train"][0]["label"], "b")])
    made["train"] += [{"text": "one more", "label": "B"}, {"text": " ", "label": "a"}]
    value = {"data.corrections": f"[{tmp_path / 't.csv'}]", "data.normalize_labels": "true"}
    settings = {"data.on_bad_row": "skip", **({key: value[key]} if key in value else {})}
    data = {
        name: HubSplit.of(Dataset.from_list(rows), f"owner/name:{name}", revision="0" * 40)
        for name, rows in made.items()
    }
    result = reported(data, *(f"{name}={setting}" for name, setting in settings.items()))
    assert result["D401", "test"].severity is Severity.WARNING


def test_the_order_of_rows_changes_no_count() -> None:
    data = with_leak(9)
    data["train"] += [{**row, "text": row["text"] + " ok"} for row in data["train"][:30]]
    before = reported(from_python(data), "data.validation=null")
    for made in data.values():
        random.Random(5).shuffle(made)
    after = reported(from_python(data), "data.validation=null")
    assert {"D401", "D409"} <= {code for code, _split in before}
    assert {key: p.count for key, p in before.items()} == {key: p.count for key, p in after.items()}


def test_texts_that_are_not_held_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_leak(9)
    data["test"] += [{**row, "text": row["text"] + " ok"} for row in data["train"][:30]]
    held = reported(from_python(data), "data.validation=null")
    monkeypatch.setattr(column_stats, "_HELD_BYTES", 100)
    read = reported(from_python(data), "data.validation=null")
    assert held == read
    assert {"D401", "D402"} <= {code for code, _split in held}


def test_near_rows_are_those_that_comparing_all_with_all_finds() -> None:
    train = sentences(120, 1)
    test = [" ".join(text.split()[: 9 - i % 4]) for i, text in enumerate(train[:80])]
    alike = [max(similarities([text] * len(train), train)) for text in test]
    near = {i for i, share in enumerate(alike) if share >= NEAR and test[i] not in train}
    result = reported(
        from_python({"train": rows(train), "test": rows(test)}), "data.validation=null"
    )
    reported_rows = set(result["D402", "test"].row_numbers)
    assert reported_rows <= near
    assert len(reported_rows) >= 0.95 * len(near) > 10


def test_a_pair_turned_round_is_near() -> None:
    texts = sentences(40, 1)
    pairs = [{"text": texts[i], "text_pair": texts[i + 1], "label": "ab"[i % 2]} for i in range(38)]
    turned = {**pairs[4], "text": pairs[4]["text_pair"], "text_pair": pairs[4]["text"]}
    result = reported(from_python({"train": pairs, "validation": [turned, *pairs[:1]]}))
    assert result["D402", "validation"].row_numbers == (0,)


def test_shares_never_leak(tmp_path: Path) -> None:
    made = rows([text.upper() if i % 3 else text for i, text in enumerate(sentences(60, 1) * 3)])
    result = reported(from_python({"train": made}), "data.validation=20%")
    assert ("D401", "train") not in result
    assert result["D408", "train"].count == 120


def authored(count: int, authors: int) -> list[dict[str, Any]]:
    return [
        {"text": text, "label": "ab"[i % 2], "author": f"Author {i % authors}"}
        for i, text in enumerate(sentences(count, 3))
    ]


def test_groups_in_two_splits_are_found() -> None:
    made = authored(40, 10)
    made[-1]["author"] = made[-2]["author"] = None  # no group, so no relative
    data = from_python({"train": made[:20], "test": made[30:]})
    assert ("D412", "test") not in reported(data, "data.validation=null")
    leak = reported(data, "data.validation=null", "data.group=author")["D412", "test"]
    assert leak.severity is Severity.ERROR
    assert leak.message == '8 of 10 test rows have the "author" of rows of train'
    assert leak.evidence[0].startswith("data:test[0] as data:train[0]: ")
    sets = ("data.validation=null", "data.group=author", "data.allow_leak=true")
    assert reported(data, *sets)["D412", "test"].severity is Severity.WARNING
    without = [{"text": row["text"], "label": row["label"]} for row in made[30:]]
    data = from_python({"train": made[:20], "test": without})
    assert ("D412", "test") not in reported(data, "data.validation=null", "data.group=author")


def test_drawn_splits_keep_groups_together() -> None:
    layers = gather(
        sets=["model=embedded:mini", "data.train=python", "data.group=author"],
        environment={},
    )
    made = authored(60, 12)
    splits = validate_inputs(resolve_inputs(layers, from_python(made)), audited=True).splits
    places = [split.places for split in splits.values() if split.places is not None]
    parts = [{made[i]["author"] for i in numbers} for numbers in places]
    assert len(parts) == 2 and not set.intersection(*parts)


def test_too_few_groups_are_an_error_that_says_so() -> None:
    result = reported(from_python(authored(20, 2)), "data.group=author")
    assert 'Rows with one "author"' in str(next(iter(result.values())).fix)
    assert next(iter(result))[0] == "D120"
    (problem,) = reported(from_python(authored(20, 2)), "data.group=writer").values()
    assert problem.code == "D301" and "data.group" in str(problem.place) + problem.message
