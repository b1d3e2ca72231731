"""Scores with ranks: how wrong each passage is, and where the first relevant one of a query is."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.tasks.text_ranking.relevance import JUDGED, Relevance

KIND = Relevance(("label",), 1.0)
TRUTH = np.array([(1, 5), (0, 5), (0, 5), (2, 5), (0, -3), (0, 8), (1, 8)], JUDGED)
SCORES = [0.3, 0.6, 0.3, 0.9, 0.5, 0.2, 0.1]
ANSWERS = KIND.recorded([{"score": score} for score in SCORES], TRUTH)


def test_answers_have_a_rank() -> None:
    assert [KIND.format(entry) for entry in ANSWERS.predicted[:3]] == [
        "0.300, rank 3.5 of 4",
        "0.600, rank 2 of 4",
        "0.300, rank 3.5 of 4",
    ]
    assert [KIND.format(entry) for entry in ANSWERS.truth[:4]] == ["1", "0", "0", "2"]
    assert KIND.is_right(ANSWERS) is None and KIND.raw_kind is None


def test_a_loss_counts_passages_on_the_wrong_side() -> None:
    assert KIND.row_losses(ANSWERS).tolist() == [1.5, 1, 0.5, 0, 0, 1, 1]
    assert KIND.merits(ANSWERS) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0, 0])


def test_queries_are_counted_by_their_first_relevant_passage() -> None:
    rows = KIND.counted(ANSWERS)
    assert [list(row.values()) for row in rows] == [
        ["1", 1, 0.5], ["2–3", 1, 0.5], ["4–5", 0, 0.0], ["6–10", 0, 0.0], ["≥ 11", 0, 0.0],
    ]  # fmt: skip
