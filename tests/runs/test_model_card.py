from __future__ import annotations

import pytest
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.hostile import HOSTILE, Elements
from tunesmith.metrics.scores import Scores
from tunesmith.runs.model_card import CardFacts, with_calibration, write_card
from tunesmith.text import escape_controls


def facts(**changes: object) -> CardFacts:
    values: dict[str, object] = {
        "name": "tickets",
        "task": "text-classification",
        "pipeline": "text-classification",
        "base_model": "bert-base-uncased",
        "base_revision": "a" * 40,
        "dataset": "tickets.csv",
        "hub_dataset": None,
        "rows": {"train": 90, "validation": 10},
        "labels": ["2 classes: a 50, b 40"],
        "length": "rows are cut at 64 tokens (0 of 100 were longer)",
        "scores": {"validation": Scores({"f1": 0.8, "loss": 0.5, "pearson": None}, {})},
        "recipe": "task: text-classification\n",
        "seed": 42,
        "versions": {"torch": "2.13.0"},
        "usage": 'use("…")',
        "headline": "Good: it is.",
        **changes,
    }
    return CardFacts(**values)  # type: ignore[arg-type]


def test_the_metadata_is_what_the_hub_reads() -> None:
    card = ModelCard(write_card(facts()))
    data = card.data.to_dict()
    assert data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "text-classification"
    assert data["base_model"] == "bert-base-uncased"
    assert data["base_model_relation"] == "finetune"
    assert data["metrics"] == ["f1", "pearson"]
    (result,) = data["model-index"][0]["results"]
    assert result["dataset"]["name"] == "tickets.csv"
    assert {m["type"]: m["value"] for m in result["metrics"]} == {"f1": 0.8, "loss": 0.5}


def test_a_hub_data_set_is_named() -> None:
    card = ModelCard(write_card(facts(hub_dataset="nyu-mll/glue", dataset="nyu-mll/glue/mrpc")))
    assert card.data.to_dict()["datasets"] == ["nyu-mll/glue"]


def test_no_blank_is_left() -> None:
    for scores in ({}, {"validation": Scores({"f1": None}, {})}):
        text = write_card(facts(scores=scores))
        for blank in ("More information needed", "TODO", "None", "nan", "{"):
            assert blank not in text.split("```")[0], blank
    assert "## Scores" in write_card(facts())
    assert "## Scores" not in write_card(facts(scores={}))


def test_the_first_sentence_says_how_good_it_is() -> None:
    lines = write_card(facts()).split("---\n")[2].splitlines()
    assert [line for line in lines if line][:2] == ["# tickets", "**Good: it is.**"]


def test_how_to_use_it() -> None:
    card = write_card(facts(usage="use = 1\nprint(use)"))
    assert "## Use\n\n```python\nuse = 1\nprint(use)\n```\n" in card
    data = ModelCard(write_card(facts(pipeline=None))).data.to_dict()
    assert "pipeline_tag" not in data
    assert data["model-index"][0]["results"][0]["task"]["type"] == "text-classification"


def test_what_is_odd_about_the_rows_is_reported() -> None:
    assert "## Data warnings" not in write_card(facts())
    card = write_card(facts(warnings=["D403 3 texts | two labels", 'D315 "a_b" looks like an id']))
    section = card.split("## Data warnings\n")[1].split("\n## ")[0]
    assert r"- D403 3 texts \| two labels" in section
    assert r'- D315 "a\_b" looks like an id' in section


def calibration(**changes: object) -> dict[str, object]:
    before = {"ece": 0.25, "loss": 0.75, "accuracy": 0.5, "coverage": 1.0}
    return {
        "temperature": 1.23456,
        "rule": None,
        "goal": None,
        "thresholds": None,
        "split": "validation",
        "rows": 30,
        "before": before,
        "after": {**before, "ece": 0.125, "accuracy": None},
        **changes,
    }


def test_a_calibration_takes_its_place_in_the_card() -> None:
    card = write_card(facts())
    calibrated = with_calibration(card, calibration())
    section = calibrated.split("## Calibration\n")[1].split("\n## ")[0]
    assert "Temperature 1.235, fitted on the 30 rows of validation" in section
    assert "| ece | 0.2500 | 0.1250 |" in section
    assert "accuracy" not in section
    assert (
        calibrated.index("## Scores")
        < calibrated.index("## Calibration")
        < calibrated.index("## Use")
    )
    thresholds = {"a": 0.75, "never | given": None}
    calibrated = with_calibration(
        calibrated, calibration(rule="unsure", goal="precision=0.9", thresholds=thresholds)
    )
    assert calibrated.count("## Calibration") == 1
    for line in ("| accuracy | 0.5000 | - |", "| a | 0.7500 |", r"| never \| given | - |"):
        assert line in calibrated
    assert "goal `precision=0.9`" in calibrated
    begin, end = (calibrated.index(f"<!-- {mark}calibration -->") for mark in ("", "/"))
    assert (calibrated[:begin] + calibrated[end:]).replace("\n", "") == card.replace(
        "<!-- calibration -->", ""
    ).replace("\n", "")


def test_a_card_without_a_place_for_it_gets_it_at_its_end() -> None:
    calibrated = with_calibration("# mine\n", calibration())
    assert calibrated.startswith("# mine\n\n<!-- calibration -->\n\n## Calibration\n")
    assert with_calibration(calibrated, calibration()) == calibrated


MARKDOWN = [
    "<script>alert(1)</script>",
    "](javascript:alert(1))",
    "`x` ``y``",
    "---\nlibrary_name: evil\n---",
    "| a | b |\n|---|---|",
    "<img src=x onerror=alert(1)>",
    "\n# heading",
    "![x](http://e/x.png)",
]


@pytest.mark.parametrize("text", MARKDOWN)
def test_text_of_the_data_does_nothing(text: str) -> None:
    card = ModelCard(write_card(facts(labels=[text], dataset=text, name=text)))
    assert card.data.to_dict()["library_name"] == "transformers"
    body = card.content.split("---\n", 2)[2]
    headings = [line for line in body.splitlines() if line.startswith("# ")]
    assert len(headings) == 1
    outside_code = "".join(part for i, part in enumerate(body.split("`")) if i % 2 == 0)
    for tag in ("<s", "<i", "](javascript", "![x]"):
        assert tag not in outside_code


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_element_is_born_of_data(text: str) -> None:
    def shown(text: str) -> Elements:
        card_facts = facts(
            name=text,
            dataset=text,
            base_model=text,
            labels=[text],
            warnings=[text],
            headline=text,
        )
        named = calibration(rule="unsure", goal=text, thresholds={text: 0.5})
        card = ModelCard(with_calibration(write_card(card_facts), named))
        assert card.data.to_dict()["library_name"] == "transformers"
        body = card.content.split("---\n", 2)[2]
        assert escape_controls(body, keep="\n") == body
        return Elements(MarkdownIt("commonmark").enable("table").render(body))

    plain, hostile = shown("plain"), shown(text)
    assert not hostile.faults
    assert hostile.tags == plain.tags
    assert " ".join(escape_controls(text).split()) in hostile.words


@given(st.text(max_size=60))
def test_any_name_keeps_the_metadata_whole(text: str) -> None:
    text = "".join(c for c in text if c.isprintable())
    card = ModelCard(write_card(facts(dataset=text or "x", labels=[text])))
    assert card.data.to_dict()["pipeline_tag"] == "text-classification"
