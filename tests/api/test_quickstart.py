from __future__ import annotations

from pathlib import Path

import pytest

import tunesmith as ts
from tests.api.short_lessons import short_lessons
from tunesmith.api import quickstart as room
from tunesmith.api.quickstart import (
    LESSONS,
    Answer,
    Begun,
    Compared,
    DataSeen,
    TokensSeen,
    Trained,
    quickstart,
)

__all__ = ["short_lessons"]  # the fixture


@pytest.mark.usefixtures("short_lessons")
@pytest.mark.parametrize("task", LESSONS)
def test_the_stages_of_each_lesson(task: str, tmp_path: Path) -> None:
    stages = list(quickstart(task, tmp_path, "en"))
    kinds = (DataSeen, TokensSeen, Begun, Trained, Compared, Answer)
    order = [type(stage) for stage in stages if isinstance(stage, kinds)]
    assert order == [DataSeen, TokensSeen, Begun, Trained, Begun, Trained, Compared, Answer]
    seen, tokens = stages[0], stages[1]
    assert isinstance(seen, DataSeen) and isinstance(tokens, TokensSeen)
    assert set(seen.rows) == {"train", "validation", "test"}
    assert tokens.shape == (8, max(tokens.lengths)) and len(tokens.tokens) == tokens.lengths[0]
    compared, answer = stages[-2], stages[-1]
    compared_with = ["constant", "frequent" if task == "entities" else "tfidf"]
    assert isinstance(compared, Compared) and isinstance(answer, Answer)
    assert [who for who, _scores in compared.rows] == [
        *compared_with, "embedded:mini-untrained", "embedded:mini",
    ]  # fmt: skip
    assert answer.texts == LESSONS[task].question["en"]
    assert {path.name for path in (tmp_path / task).iterdir()} == {"mini", "mini-untrained"}


@pytest.mark.slow
def test_pretraining_is_the_lesson(tmp_path: Path) -> None:
    (compared,) = [s for s in quickstart("pairs", tmp_path, "zh") if isinstance(s, Compared)]
    accuracy = {who: scores["accuracy"] or 0.0 for who, scores in compared.rows}
    assert accuracy["embedded:mini"] > accuracy["embedded:mini-untrained"] + 0.05
    assert accuracy["embedded:mini"] > accuracy["tfidf"] + 0.10
    assert accuracy["tfidf"] < 0.75


@pytest.mark.slow
def test_nearly_all_pairs_are_distinguished(tmp_path: Path) -> None:
    """The mean of three seeds, on the test rows."""
    result = []
    for seed in (1, 2, 3):
        settings = {"model": room.MODEL, **LESSONS["pairs"].settings, "train.seed": seed}
        run = ts.train(LESSONS["pairs"].data, out=tmp_path / str(seed), settings=settings)
        result.append(run.test_scores["accuracy"])
    assert sum(result) / len(result) > 0.88
