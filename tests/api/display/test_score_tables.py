from __future__ import annotations

import pytest

from tunesmith.api.display.score_tables import format_scores, score_warnings, show_scores
from tunesmith.api.display.terminal import Terminal
from tunesmith.metrics.score_table import as_interval

FACTS = {
    "scores": {"validation": {"f1": 0.8997, "accuracy": None}, "test": {"f1": 0.9}},
    "intervals": {"validation": {"f1": [0.8741, 0.923]}},
    "baselines": {"validation": {"constant": {"f1": 0.8122}, "tfidf": {"f1": 0.8217}}},
    "verdicts": {"validation": {"code": "M135", "rows": 408}},
    "words_counted_in": [20000, 363846],
}


def test_format_scores() -> None:
    assert format_scores({"f1": 0.51236, "loss": None}) == "f1 0.5124  loss -"


def test_a_table_per_split(capsys: pytest.CaptureFixture[str]) -> None:
    show_scores(Terminal(), FACTS)
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "→ No baseline to compare with: f1 0.9000 on the rows of test.",
        "→ M135 validation: collapsed: the predictions for all 408 rows are the same",
        "validation   score  95%               TF-IDF  majority class",
        "f1          0.8997  0.8741 to 0.9230  0.8217          0.8122",
        "accuracy         -  -                      -               -",
        "test   score  95%",
        "f1    0.9000  -",
    ]
    assert "20000 of 363846 training rows" in said.err


def test_facts_of_an_older_version(capsys: pytest.CaptureFixture[str]) -> None:
    show_scores(Terminal(), {"scores": {"test": {"f1": 0.9}}})
    show_scores(Terminal(), {})
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_shortfalls_are_warnings_with_codes() -> None:
    (problem,) = score_warnings(FACTS)
    assert str(problem).startswith("warning M135: validation: collapsed")
    assert not list(score_warnings({}))


def test_the_ends_of_an_interval() -> None:
    assert as_interval(None) == "-"
    assert as_interval([-0.01, 0.02], sign="+") == "-0.0100 to +0.0200"
