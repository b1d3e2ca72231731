"""From the best answers of rows to the one that is given, and the threshold for giving none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.encoded import Ragged
from tunesmith.metrics.probabilities import softmax
from tunesmith.tasks.protocol import Predictions
from tunesmith.tasks.question_answering.rows import Span

__all__ = ["NO_ANSWER", "Candidates", "answer_rows", "encode_listed"]

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
        predictions: "spans", "scores" and "null" of rows.
        contexts: of the rows.
        threshold: above which `no_answer_score` leaves a row without an answer; None where every
            row has one.
    """
    spans, scores = predictions["spans"].split(), predictions["scores"].split()
    for context, own, sums, null in zip(
        contexts, spans, scores, predictions["null"].tolist(), strict=True
    ):
        texts = [Span.of(context, start, end) for start, end in own.tolist()]
        if threshold is None:
            shares = softmax(sums[None].astype(np.float64))[0] if texts else sums
            yield Candidates(texts, shares, 0.0, None, is_empty=False)
            continue
        shares = softmax(np.array([[*sums.tolist(), null]]))[0]
        difference = null - float(sums[0]) if texts else None
        is_empty = difference is None or difference > threshold
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
    }
