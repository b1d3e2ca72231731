from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather
from tunesmith.runs import baselines as room
from tunesmith.runs.baselines import BaselineScores, baseline_scores
from tunesmith.runs.prepare import PreparedRun, prepare_run


def job_of(train: object, model: Path, **more: Any) -> PreparedRun:
    settings = {"data.train": str(train), "model": str(model), **more}
    sets = [f"{key}={value}" for key, value in settings.items()]
    return prepare_run(validate_inputs(resolve_inputs(gather(sets=sets, environment={}))))


def test_both_are_scored_on_each_split(tickets: Path, tiny_bert: Path) -> None:
    job = job_of(tickets, tiny_bert, **{"data.test": "20%"})
    baselines = baseline_scores(job, ["validation", "test"])
    assert set(baselines.scores) == {"validation", "test"}
    for simple in baselines.scores.values():
        assert set(simple) == {"constant", "tfidf"}
        assert simple["constant"]["accuracy"] == pytest.approx(0.5)
        assert simple["tfidf"]["accuracy"] == 1.0  # two words tell these classes apart
        assert "loss" not in simple["constant"]
    for split, by_baseline in baselines.answers.items():
        assert by_baseline["constant"].places is None
        assert by_baseline["tfidf"].places is not None
        assert by_baseline["tfidf"].places.tolist() == list(range(len(job.examples[split])))
        assert (by_baseline["tfidf"].answers.predicted == by_baseline["tfidf"].answers.truth).all()
    assert baselines.constant is not None and len(baselines.constant) == 2
    assert baselines.learned == baselines.rows == len(job.examples["train"])
    alone = baseline_scores(job, ["test"])  # whichever rows are answered with them
    assert alone.scores["test"] == baselines.scores["test"]


def test_of_many_rows_some_teach_and_all_count(
    write_jsonl: Any, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": f"the soup {i} is good", "label": "ab"[i % 5 == 0]} for i in range(60)]
    job = job_of(write_jsonl(rows), tiny_bert, **{"data.validation": "50%"})
    whole = baseline_scores(job, ["validation"])
    monkeypatch.setattr(room, "_MOST_ROWS", 10)
    some = baseline_scores(job, ["validation"])
    assert (some.learned, some.rows) == (10, whole.rows)
    assert some.scores["validation"]["constant"] == whole.scores["validation"]["constant"]
    assert some.scores["validation"]["tfidf"]["accuracy"] is not None
    by_baseline = some.answers["validation"]
    assert by_baseline["tfidf"].places is not None
    assert len(set(by_baseline["tfidf"].places.tolist())) == 10
    truth = by_baseline["constant"].answers.truth
    assert (by_baseline["tfidf"].answers.truth == truth[by_baseline["tfidf"].places]).all()
    monkeypatch.setattr(room, "_MOST_CHARACTERS", 100)
    assert 1 <= baseline_scores(job, ["validation"]).learned < 10


def test_numbers_have_a_mean(tiny_bert: Path, write_jsonl: Any) -> None:
    rows = [{"text": f"{'good ' * (i % 5 + 1)}{i}", "stars": float(i % 5) + 0.5} for i in range(40)]
    job = job_of(
        write_jsonl(rows),
        tiny_bert,
        task="text-regression",
        **{"data.text": "text", "data.label": "stars", "data.validation": "50%"},
    )
    baselines = baseline_scores(job, ["validation"])
    assert baselines.constant == [pytest.approx(2.5, abs=0.2)]
    assert baselines.scores["validation"]["constant"]["pearson"] is None
    assert baselines.scores["validation"]["constant"]["mean_squared_error"] is not None


def test_nothing_simple_fills_in_words(tiny_bert: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("\n".join(f"the soup {i} is good" for i in range(20)))
    job = job_of(path, tiny_bert, task="masked-lm")
    assert baseline_scores(job, ["validation"]) == BaselineScores()
