from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.test_prepare import job
from tunesmith.errors import RecipeError, TunesmithError


@pytest.mark.parametrize(
    ("sets", "code", "words"),
    [
        (["metrics=[acuracy]"], "R110", 'did you mean "accuracy"'),
        (["metrics=[pearson]"], "R110", "does not score text-classification"),
        (["train.select_by=macro_f1"], "R110", 'did you mean "f1_macro"'),
        (["train.select_by=highest nothing"], "R110", 'no score "nothing"'),
        (["data.validation=null", "train.early_stopping=3"], "R114", "needs validation"),
        (["train.evaluate_every=never", "train.early_stopping=3"], "R114", "or remove train.early"),
        (
            ["train.evaluate_every=never", "train.select_by=accuracy"],
            "R114",
            "train.select_by needs eval",
        ),
        (["trackers=[tensorbord]"], "R113", "tensorboard"),
        (["model=./none"], "M107", "no such model folder"),
    ],
)
def test_wrong_names_are_found_before_training(
    sets: list[str], code: str, words: str, tickets: Path, tiny_bert: Path
) -> None:
    with pytest.raises(TunesmithError, match=code) as caught:
        job(tickets, tiny_bert, *sets)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("best", "score", "higher"),
    [
        ("loss", "loss", False),
        ("accuracy", "accuracy", True),
        ("matthews_correlation", "matthews_correlation", True),
        ("lowest loss", "loss", False),
        ("highest mine", "mine", True),
        ("lowest mine", "mine", False),
    ],
)
def test_what_chooses(best: str, score: str, higher: bool, tickets: Path, tiny_bert: Path) -> None:
    made = job(tickets, tiny_bert, f"train.select_by={best}", custom_metrics=True)
    assert made.selection is not None
    assert (made.selection.score, made.selection.higher) == (score, higher)
    if score in ("matthews_correlation",):
        assert score in [metric.name for metric in made.metrics]


def test_an_own_score_needs_a_direction(tickets: Path, tiny_bert: Path) -> None:
    with pytest.raises(RecipeError, match='write "highest mine"'):
        job(tickets, tiny_bert, "train.select_by=mine", custom_metrics=True)


def test_nothing_chooses_without_validation(tickets: Path, tiny_bert: Path) -> None:
    assert job(tickets, tiny_bert, "data.validation=null").selection is None
    assert job(tickets, tiny_bert, "train.select_by=null").selection is None
    patient = job(tickets, tiny_bert, "train.early_stopping=3 evaluations").selection
    assert patient is not None and patient.patience == 3


def test_without_evaluations_the_score_that_is_filled_in_is_no_mistake(
    tickets: Path, tiny_bert: Path
) -> None:
    assert job(tickets, tiny_bert, "train.evaluate_every=never").plan.evaluation_interval is None
    job(tickets, tiny_bert, "train.evaluate_every=never", "train.select_by=f1")
