from __future__ import annotations

import pytest

from tunesmith.metrics.scores import Scores
from tunesmith.training.early_stopping import ModelSelection, is_over
from tunesmith.training.engine import MAX_SKIPPED
from tunesmith.training.progress import Progress


def scores(value: float | None) -> Scores:
    return Scores({"f1": value}, {})


def test_skipped_updates_in_a_row_end_with_the_next_applied_one() -> None:
    progress = Progress(step=40)
    for step, applied in enumerate([False, False, True, False], start=1):
        progress.count(step, applied=applied)
    assert (progress.skipped, progress.skipped_in_a_row, progress.step) == (3, 1, 40)


def test_a_run_that_diverges_is_at_the_step_where_it_did() -> None:
    """However many steps were made before their numbers arrived."""
    progress = Progress(step=40)
    for step in range(31, 31 + MAX_SKIPPED):
        progress.count(step, applied=False)
    assert progress.step == 30 + MAX_SKIPPED


@pytest.mark.parametrize(
    ("higher", "values", "best"),
    [(True, [0.5, 0.7, 0.7, None], [True, True, False, False]), (False, [0.5, 0.7], [True, False])],
)
def test_the_best_is_strictly_better(
    higher: bool, values: list[float | None], best: list[bool]
) -> None:
    progress, selection = Progress(), ModelSelection("f1", higher=higher)
    result = []
    for step, value in enumerate(values, start=1):
        progress.step = step
        result.append(progress.record(scores(value), selection))
    assert result == best
    assert progress.best_step == max(i + 1 for i, is_best in enumerate(best) if is_best)
    assert progress.evaluated_at == len(values)


def test_without_a_score_that_chooses_nothing_is_the_best() -> None:
    progress = Progress(step=3)
    assert not progress.record(scores(0.9), None)
    assert (progress.evaluated_at, progress.best_step) == (3, 0)


@pytest.mark.parametrize(("patience", "ends"), [(None, False), (3, False), (2, True)])
def test_patience_counts_evaluations(patience: int | None, ends: bool) -> None:
    assert is_over(ModelSelection("f1", higher=True, patience=patience), 2) is ends
    assert not is_over(None, 2)
