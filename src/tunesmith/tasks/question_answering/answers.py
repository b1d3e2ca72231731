"""From the best answers of rows to the one that is given, and the threshold for giving none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.encoded import Ragged
from tunesmith.metrics.probabilities import softmax
from tunesmith.metrics.squad import best_threshold
from tunesmith.tasks.outputs import Predictions
from tunesmith.tasks.question_answering.rows import Span

__all__ = ["NO_ANSWER", "Candidates", "answer_rows", "chosen_threshold", "encode_listed"]

NO_ANSWER = Span("", 0)

_LISTED = 5
"""Answers that the user gets to see for a row."""

_LEAST = 1e-30


@dataclass(frozen=True, slots=True)
class Candidates:
    """The answers to one question.

    Attributes:
        spans: in the context, the best first; none if no part of it may be an answer.
        shares: the probability of each.
        null_share: the probability that the context has no answer; 0 where there always is one.
        no_answer_score: by how much having no answer scores more than the best one; None where
            there always is an answer, or no part of the context may be one.
        is_empty: whether no answer is given.
    """

    spans: Sequence[Span]
    shares: NDArray[np.floating[Any]]
    null_share: float
    no_answer_score: float | None
    is_empty: bool

    @property
    def best(self) -> Span:
        """The best answer in the context, whether it is given or not."""
        return self.spans[0] if self.spans else NO_ANSWER

    @property
    def chosen(self) -> Span:
        """The answer; `NO_ANSWER` where it is empty."""
        return NO_ANSWER if self.is_empty else self.best

    @property
    def null_score(self) -> float:
        """By how much having no answer scores more; 0 where that is not known."""
        return self.no_answer_score or 0.0

    @property
    def score(self) -> float:
        """The probability of the answer that is given."""
        if self.is_empty:
            return self.null_share
        return float(self.shares[0]) if self.spans else 0.0

    def as_answer(self) -> dict[str, object]:
        """Return what the user gets."""
        listed = [
            {"text": span.text, "start": span.start, "end": span.end, "score": float(share)}
            for span, share in zip(self.spans[:_LISTED], self.shares, strict=False)
        ]
        answer = None if self.chosen is NO_ANSWER else self.chosen
        return {
            "label": self.chosen.text,
            "score": self.score,
            "scores": {},
            "start": None if answer is None else answer.start,
            "end": None if answer is None else answer.end,
            "n_best": listed,
            "no_answer_score": self.no_answer_score,
        }


def answer_rows(
    predictions: Predictions, contexts: Sequence[str], *, threshold: float | None
) -> Iterator[Candidates]:
    """Yield the answers to each question.

    Args:
        predictions: "spans", "scores" and "null" of rows; "is_empty" where it is known which of
            them have no answer, whatever the threshold.
        contexts: of the rows.
        threshold: above which `no_answer_score` leaves a row without an answer; None where every
            row has one.
    """
    spans, scores = predictions["spans"].split(), predictions["scores"].split()
    known = predictions.get("is_empty", [None] * len(spans))
    for context, own, sums, null, was_empty in zip(
        contexts, spans, scores, predictions["null"].tolist(), known, strict=True
    ):
        texts = [Span.of(context, start, end) for start, end in own.tolist()]
        if threshold is None:
            shares = softmax(sums[None].astype(np.float64))[0] if texts else sums
            yield Candidates(texts, shares, 0.0, None, is_empty=False)
            continue
        shares = softmax(np.array([[*sums.tolist(), null]]))[0]
        difference = null - float(sums[0]) if texts else None
        is_empty = difference is None or difference > threshold
        is_empty = is_empty if was_empty is None else bool(was_empty)
        yield Candidates(texts, shares[:-1], float(shares[-1]), difference, is_empty)


def encode_listed(answers: Sequence[Mapping[str, Any]]) -> Predictions:
    """Return predictions of rows that give these answers again."""
    spans, scores, null, counts = [], [], [], []
    for answer in answers:
        listed = answer["n_best"]
        sums = [float(np.log(max(one["score"], _LEAST))) for one in listed]
        spans += [(one["start"], one["end"]) for one in listed]
        scores += sums
        counts.append(len(listed))
        null.append((answer["no_answer_score"] or 0.0) + sums[0] if listed else 0.0)
    lengths = np.array(counts, dtype=np.int64)
    return {
        "spans": Ragged(np.array(spans, dtype=np.int32).reshape(-1, 2), lengths),
        "scores": Ragged(np.array(scores, dtype=np.float64), lengths),
        "null": np.array(null, dtype=np.float64),
        "is_empty": np.array([not answer["label"] for answer in answers], dtype=np.bool_),
    }


def chosen_threshold(columns: NDArray[np.float64], null_scores: Sequence[float]) -> float:
    """Return the threshold with the best F1, between two rows, so that rounding changes no answer.

    Args:
        columns: of `score_columns`.
        null_scores: of these rows.
    """
    _score, threshold = best_threshold(columns)
    scores = np.unique(np.array(null_scores))
    place = int(np.searchsorted(scores, threshold, side="right"))
    if place == 0:
        return float(scores[0]) - 1.0
    return float(scores[place - 1 : place + 1].mean()) if place < len(scores) else threshold + 1.0
