"""What a finished model answers: answers as text, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.encoded import Ragged, concatenate
from tunesmith.data.rows import Row
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.inference.bad_rows import BadRows
from tunesmith.metrics.output_kinds import shown_label
from tunesmith.tasks import Predictions
from tunesmith.text import html_table, shortened

if TYPE_CHECKING:
    from tunesmith.training.predict import Evaluation

__all__ = ["Predicted", "PredictedPart", "joined", "mean_loss", "with_empty_answers"]

_SHOWN = 10
"""Answers shown in a notebook."""

_WIDTH = 120
"""Characters of a text shown there."""


@dataclass(frozen=True, repr=False)
class Predicted:
    """Answers, and the numbers behind them.

    Attributes:
        answers: one per row: "label", "score", "scores"; the label of an abstention is None, and of
            a row that could not be predicted all three, with "problem", the code of what is wrong.
        predictions: what the task collects of each row, by name; NaN (-1 among integers) for rows
            that could not be predicted.
        labels (array | None): the rows' own labels as the model numbers them, shape (n,) or (n, C);
            None without.
        loss: the mean loss; None without labels.
        texts: what was read of each row, by column; empty if that is not known.
    """

    answers: Sequence[Mapping[str, object]]
    predictions: Predictions
    labels: NDArray[Any] | None
    loss: float | None
    texts: Sequence[Mapping[str, object]] = ()

    @property
    def logits(self) -> NDArray[np.float32]:
        """Raw outputs, shape (n, C); (408, 2) for the validation rows of MRPC.

        Raises:
            KeyError: the task has none, such as masked-lm.
        """
        logits: NDArray[np.float32] = self.predictions["logits"]
        return logits

    def __repr__(self) -> str:
        return f"Predicted({len(self)} answers)"

    def __len__(self) -> int:
        return len(self.answers)

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        return iter(self.answers)

    def __getitem__(self, index: int) -> Mapping[str, object]:
        return self.answers[index]

    def _repr_html_(self) -> str:
        """The first answers as a table in a notebook."""
        rows = []
        for i, answer in enumerate(self.answers[:_SHOWN]):
            texts = self.texts[i] if i < len(self.texts) else {}
            score = answer["score"]
            rows.append(
                {
                    "": i,
                    **{
                        name: "" if text is None else shortened(str(text), at_most=_WIDTH)
                        for name, text in texts.items()
                    },
                    _("prediction"): _as_text(answer),
                    _("score"): f"{score:.4f}" if isinstance(score, float) else "",
                }
            )
        more = ngettext("{count} row", "{count} rows", len(self)).format(count=len(self))
        return html_table(rows, align_right=["", _("score")], caption=more)


def _as_text(answer: Mapping[str, object]) -> str:
    """Return the label, "abstained", or the code of what is wrong with the row."""
    label = answer["label"]
    if label is None:
        return str(answer["problem"]) if "problem" in answer else _("abstained")
    return shown_label(label)


@dataclass(frozen=True, slots=True)
class PredictedPart:
    """Some thousand rows, predicted; `evaluation` is None if not one of them could be."""

    rows: Sequence[Row]
    answers: Sequence[Mapping[str, object]]
    evaluation: Evaluation | None
    truth: NDArray[Any] | None


def with_empty_answers(
    part: PredictedPart | None, rows: Sequence[Row], codes: Mapping[int, str]
) -> PredictedPart:
    """Return the answers to all rows, in order, empty for those with a code."""
    if part is None or part.evaluation is None:
        answers = [BadRows.empty_answer(codes[row.index]) for row in rows]
        return PredictedPart(rows, answers, None, None)
    good = iter(part.answers)
    answers = [
        BadRows.empty_answer(codes[row.index]) if row.index in codes else next(good) for row in rows
    ]
    is_good = np.array([row.index not in codes for row in rows])
    spread = {}
    for name, values in part.evaluation.predictions.items():
        spread[name] = _spread(values, is_good)
    return PredictedPart(rows, answers, replace(part.evaluation, predictions=spread), None)


def _spread(values: Any, is_good: NDArray[np.bool_]) -> Any:
    """Return values of good rows among empty ones: NaN, -1 among integers, or no sequence."""
    if isinstance(values, Ragged):
        lengths = np.zeros(len(is_good), dtype=np.int64)
        lengths[is_good] = values.lengths
        return Ragged(values.flat, lengths)
    fill = np.nan if np.issubdtype(values.dtype, np.floating) else -1
    spread = np.full((len(is_good), *values.shape[1:]), fill, dtype=values.dtype)
    spread[is_good] = values
    return spread


def joined(parts: Sequence[PredictedPart]) -> Predictions:
    """Return the predictions of all parts; those without any are filled like bad rows."""
    known = [part.evaluation.predictions for part in parts if part.evaluation is not None]
    if not known:
        return {}
    return {
        name: concatenate(
            [
                _spread(like[:0], np.zeros(len(part.answers), dtype=np.bool_))
                if part.evaluation is None
                else part.evaluation.predictions[name]
                for part in parts
            ]
        )
        for name, like in known[0].items()
    }


def mean_loss(parts: Sequence[PredictedPart]) -> float:
    """Return the mean over the targets of all parts."""
    evaluations = [part.evaluation for part in parts if part.evaluation is not None]
    targets = sum(evaluation.num_targets for evaluation in evaluations)
    return (
        sum((evaluation.loss or 0) * evaluation.num_targets for evaluation in evaluations) / targets
    )
