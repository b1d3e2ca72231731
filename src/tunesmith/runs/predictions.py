"""The predictions of a finished run: a Parquet file per split, under a manifest. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from tunesmith.data.rows import Row
from tunesmith.errors import IntegrityError, Place
from tunesmith.i18n import gettext as _
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic
from tunesmith.tasks import Predictions, Task

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Record", "manifest_of", "read_predictions", "stored_name", "write_predictions"]

_OWN = ("row", "predicted", "score", "scores")
_DETAILS = "answer.details"
"""What an answer has in addition, as JSON; only where a task has more."""
_ANSWER = frozenset({"label", "score", "scores"})
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a split and the model's answer.

    Attributes:
        row: its number in the source.
        values: its texts and label, by column.
        answer: "label", "score" and, by class or label, "scores", as the task decoded it, with
            what else it has.
    """

    row: int
    values: Mapping[str, object]
    answer: Mapping[str, Any]


def stored_name(column: str) -> str:
    """Return the name of a column of the data among the answers: its own, if it is free."""
    return f"data.{column}" if column in _OWN else column


def manifest_of(run: RunFolder) -> str | None:
    """Return the sha256 of the manifest, which `tunesmith.json` holds; None without predictions."""
    path = run.predictions / atomic.MANIFEST
    return atomic.sha256_of(path) if path.is_file() else None


def write_predictions(
    run: RunFolder,
    task: Task,
    predictions: Mapping[str, Predictions],
    rows: Mapping[str, Sequence[Row]],
) -> None:
    """Write each row of some splits with its number, texts, label and answer.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    import pyarrow.parquet as pq

    atomic.remove(run.predictions)  # of an end that was interrupted before the model was written
    if predictions:
        with atomic.publish(run.predictions) as folder:
            for split, values in predictions.items():
                pq.write_table(_table(task, values, rows[split]), folder / f"{split}.parquet")


def _table(task: Task, predictions: Predictions, rows: Sequence[Row]) -> pa.Table:
    import pyarrow as pa

    parts = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):  # an answer is ten times its numbers
        chosen = slice(start, start + _ROWS_AT_ONCE)
        some = rows[chosen]
        answers = task.decode({name: values[chosen] for name, values in predictions.items()}, some)
        table: dict[str, object] = {"row": [row.index for row in some]}
        for name in rows[0].values:
            table[stored_name(name)] = [row.values[name] for row in some]
        table["predicted"] = [answer["label"] for answer in answers]
        table["score"] = [answer["score"] for answer in answers]
        scores: list[Any] = [answer["scores"] for answer in answers]
        if not any(scores):  # Parquet has no structs without a field
            scores = pa.array([[]] * len(scores), pa.map_(pa.string(), pa.float64()))
        table["scores"] = scores
        if answers[0].keys() - _ANSWER:
            details = [{k: v for k, v in one.items() if k not in _ANSWER} for one in answers]
            table[_DETAILS] = [json.dumps(one, ensure_ascii=False) for one in details]
        parts.append(pa.table(table))
    return pa.concat_tables(parts, promote_options="permissive")


def read_predictions(run: RunFolder, split: str, columns: Sequence[str]) -> list[Record]:
    """Return the predictions for a split with the named columns of the data; empty without any.

    Raises:
        IntegrityError: they are damaged, or not as they were written (C132); they are those of
            another model, or lack an answer (C133).
    """
    known = run.facts().get("predictions")
    if known is None and not run.predictions.exists():
        return []
    _refuse_damaged(run, known)
    path = run.predictions / f"{split}.parquet"
    if not path.is_file():
        return []
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:  # `read_table` would load pandas
            needed = [*_OWN, *map(stored_name, columns)]
            needed += [_DETAILS] if _DETAILS in file.schema_arrow.names else []
            rows: list[dict[str, Any]] = file.read(columns=needed).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise IntegrityError.of(
            "C132",
            _("the predictions cannot be read: {reason}").format(reason=str(error).splitlines()[0]),
            Place(str(path)),
            fix=_again(),
        ) from error
    try:
        return [_as_record(row, columns) for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError.of(
            "C133",
            _("the predictions do not have the form of a run's: {reason}").format(
                reason=repr(error)
            ),
            Place(str(path)),
            fix=_again(),
        ) from error


def _as_record(row: Mapping[str, Any], columns: Sequence[str]) -> Record:
    scores = dict(row["scores"])  # a map of Arrow comes as pairs
    # a row may lack the last ones that another has, such as a fifth choice
    numbers = list(takewhile(lambda score: score is not None, scores.values()))
    if any(score is not None for score in list(scores.values())[len(numbers) :]):
        raise ValueError(scores)
    scores = {name: float(score) for name, score in zip(scores, numbers, strict=False)}
    details = json.loads(row.get(_DETAILS) or "{}")
    return Record(
        int(row["row"]),
        {name: row.get(stored_name(name)) for name in columns},
        {"label": row["predicted"], "score": float(row["score"]), "scores": scores, **details},
    )


def _refuse_damaged(run: RunFolder, known: object) -> None:
    """Refuse predictions that are not, to the byte, those that the run wrote.

    Args:
        run: whose predictions.
        known: the hash of their manifest in `tunesmith.json`; None if it has none.

    Raises:
        IntegrityError: a file is damaged or missing (C132), or another run wrote them (C133).
    """
    if damage := atomic.damage(run.predictions):
        raise IntegrityError.of(
            "C132",
            _("the predictions are damaged: {damage}").format(damage=damage),
            Place(str(run.predictions)),
            fix=_again(),
        )
    if known is not None and known != manifest_of(run):
        raise IntegrityError.of(
            "C133",
            _("the predictions are those of another model"),
            Place(str(run.predictions)),
            fix=_again(),
        )


def _again() -> str:
    return _("Train again with --restart; the old run is kept.")
