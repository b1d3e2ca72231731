"""The predictions that a finished run leaves behind, read again. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.errors import IntegrityError, Place, Problem
from tunesmith.language import gettext as _
from tunesmith.run.folder import RunFolder

__all__ = ["Record", "read_predictions", "stored_name"]

_OWN = ("row", "predicted", "score", "scores")


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a split and the model's answer.

    Attributes:
        row: its number in the source.
        values: its texts and label, by column.
        score: the highest probability, or the predicted number.
        scores: the probability of each class or label.
    """

    row: int
    values: Mapping[str, object]
    score: float
    scores: Mapping[str, float]


def stored_name(column: str) -> str:
    """Under which name a column of the data lies beside the answers: its own, if that is free."""
    return f"data.{column}" if column in _OWN else column


def read_predictions(run: RunFolder, split: str, columns: Sequence[str]) -> list[Record]:
    """The predictions for a split with the named columns of the data; empty if there are none.

    Raises:
        IntegrityError: the file is damaged or lacks a column (C132).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run.predictions / f"{split}.parquet"
    if not path.is_file():
        return []
    try:
        with pq.ParquetFile(path) as file:  # `read_table` would load pandas
            found: list[dict[str, Any]] = file.read().to_pylist()
        return [
            Record(
                record["row"],
                {name: record.get(stored_name(name)) for name in columns},
                record["score"],
                record["scores"],
            )
            for record in found
        ]
    except (OSError, KeyError, pa.ArrowException) as error:
        raise IntegrityError(
            Problem(
                "C132",
                _("the predictions cannot be read: {reason}").format(
                    reason=str(error).splitlines()[0]
                ),
                Place(str(path)),
                fix=_("Train again with --restart; the old run is kept."),
            )
        ) from error
