"""The answers of a finished run, read from its predictions: counts, chances, the worst of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.tasks.sequence import label_text

__all__ = ["ClassAnswers", "NumberAnswers", "read_answers"]

_LEAST = 1e-12


@dataclass(frozen=True)
class _Answers:
    """Answers for rows of one split.

    Attributes:
        rows: row numbers in the source, (N,).
        texts: what the rows say, an Arrow column for each text column.
    """

    rows: NDArray[np.int64]
    texts: Sequence[Any]

    def text_of(self, place: int) -> str:
        """The text of a row, a pair with a bar between."""
        return " | ".join(str(column[place].as_py()) for column in self.texts)


@dataclass(frozen=True)
class ClassAnswers(_Answers):
    """Answers that choose one class.

    Attributes:
        names: of the classes.
        gold: the right class of each row, (N,).
        chances: the model's probabilities, (N, C).
    """

    names: tuple[str, ...]
    gold: NDArray[np.int64]
    chances: NDArray[np.float64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The likeliest class of each row."""
        found: NDArray[np.int64] = self.chances.argmax(axis=1)
        return found

    @property
    def losses(self) -> NDArray[np.float64]:
        """The negative log of the chance given to the right class."""
        chance = np.take_along_axis(self.chances, self.gold[:, None], axis=1)[:, 0]
        lost: NDArray[np.float64] = -np.log(np.maximum(chance, _LEAST))
        return lost

    def confusion(self) -> NDArray[np.int64]:
        """How often each right class (down) got each answer (across), (C, C)."""
        size = len(self.names)
        places = self.gold * size + self.predicted
        return np.bincount(places, minlength=size * size).reshape(size, size)

    def worst(self, count: int) -> list[int]:
        """The wrong rows that the model was surest of, worst first."""
        wrong = np.flatnonzero(self.predicted != self.gold)
        order: NDArray[np.int64] = wrong[np.argsort(-self.losses[wrong], kind="stable")]
        return [int(place) for place in order[:count]]


@dataclass(frozen=True)
class NumberAnswers(_Answers):
    """Answers that are a number.

    Attributes:
        gold: the right number of each row, (N,).
        predicted: the model's, (N,).
    """

    gold: NDArray[np.float64]
    predicted: NDArray[np.float64]

    def worst(self, count: int) -> list[int]:
        """The rows farthest off, worst first."""
        order = np.argsort(-np.abs(self.predicted - self.gold), kind="stable")
        return [int(place) for place in order[:count]]


def read_answers(path: Path, task: dict[str, Any]) -> ClassAnswers | NumberAnswers | None:
    """The answers for one split; None where they were not kept or hold no one label per row.

    Args:
        path: a file of the folder `predictions`.
        task: what `tunesmith.json` says of the task.
    """
    roles = task.get("roles", {})
    label = roles.get("label")
    if not path.is_file() or not isinstance(label, str):
        return None
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    if label not in table.column_names or table.num_rows == 0:
        return None
    texts = [table[name] for name in (roles["text"], roles.get("text_pair")) if name]
    rows = table["row"].to_numpy()
    if task["task"] == "text-classification":
        names = tuple(task["labels"])
        places = {name: number for number, name in enumerate(names)}
        written = (label_text(value, task["class_names"]) for value in table[label].to_pylist())
        gold = np.fromiter((places[str(name)] for name in written), np.int64, len(rows))
        return ClassAnswers(rows, texts, names, gold, _by_name(table["scores"], names))
    if task["task"] == "text-regression":
        numbers = np.array([float(value) for value in table[label].to_pylist()])
        return NumberAnswers(rows, texts, numbers, table["score"].to_numpy())
    return None


def _by_name(scores: Any, names: Sequence[str]) -> NDArray[np.float64]:
    joined = scores.combine_chunks()
    return np.stack([joined.field(name).to_numpy() for name in names], axis=1)
