"""Exact match and F1 of answers, as the script of SQuAD computes them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.scores import Metric

__all__ = ["QUESTION_METRICS", "best_threshold", "columns_of", "exact", "f1"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_SIGNS = str.maketrans("", "", string.punctuation)

EXACT, F1, HAS, SCORE, BEST_EXACT, BEST_F1 = range(6)


def _normalized(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_SIGNS)).split())


def exact(predicted: str, truths: Sequence[str]) -> float:
    """Return 1 if an answer is one of those that are right, else 0."""
    answer = _normalized(predicted)
    return float(any(answer == _normalized(truth) for truth in truths or [""]))


def f1(predicted: str, truths: Sequence[str]) -> float:
    """Return the F1 of the words of an answer, with the nearest of those that are right."""
    return max(_f1(_normalized(predicted).split(), _normalized(t).split()) for t in truths or [""])


def _f1(predicted: Sequence[str], truth: Sequence[str]) -> float:
    if not predicted or not truth:
        return float(predicted == truth)
    common = sum((Counter(predicted) & Counter(truth)).values())
    return 2 * common / (len(predicted) + len(truth))


def columns_of(rows: Iterable[tuple[str, str, float, Sequence[str]]]) -> NDArray[np.float64]:
    """Return what the scores are computed from, shape (n, columns).

    Args:
        rows: of each the answer that is given, the best one in the context, by how much having
            none scores more than that, and the right ones.
    """
    columns = [
        (exact(chosen, truths), f1(chosen, truths), bool(truths), score, exact(best, truths),
         f1(best, truths))
        for chosen, best, score, truths in rows
    ]  # fmt: skip
    return np.array(columns, dtype=np.float64).reshape(len(columns), 6)


def best_threshold(columns: NDArray[np.float64], *, by: int = BEST_F1) -> float:
    """Return the score of having no answer above which it is best to give none.

    It is between two rows, so that rounding changes no answer; of equally good ones the nearest to
    zero.
    """
    order = np.argsort(columns[:, SCORE], kind="stable")
    gains = np.where(columns[:, HAS] > 0, columns[:, by], -1.0)[order]
    totals = np.concatenate([[0.0], np.cumsum(gains)])
    scores = columns[order, SCORE]
    borders = np.concatenate([scores[:1] - 1, (scores[1:] + scores[:-1]) / 2, scores[-1:] + 1])
    is_border = np.concatenate([[True], scores[1:] > scores[:-1], [True]])
    best = is_border & (totals >= totals[is_border].max() - 1e-9)
    return float(min(borders[best].tolist(), key=abs))


def _mean(column: int, has: float | None, columns: NDArray[Any]) -> float:
    chosen = columns if has is None else columns[columns[:, HAS] == has]
    return float(100 * chosen[:, column].mean()) if len(chosen) else float("nan")


QUESTION_METRICS: Mapping[str, Metric] = {
    name: Metric(name, (), lambda columns, _t, _p, c=c, h=h: _mean(c, h, columns), by_example=True)  # type: ignore[misc]
    for name, c, h in (
        ("f1", F1, None), ("exact", EXACT, None), ("HasAns_exact", EXACT, 1.0),
        ("HasAns_f1", F1, 1.0), ("NoAns_exact", EXACT, 0.0), ("NoAns_f1", F1, 0.0),
    )
}  # fmt: skip
