"""Predictions as a table: the columns of the input and what the model says, row by row.

Rows are written as they are predicted, so any number of them fits; the file takes its name when
it is whole.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tunesmith.data.rows import Column, Row
from tunesmith.errors import Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.output_kinds import ColumnType
from tunesmith.storage import atomic
from tunesmith.tasks import Task

__all__ = ["FORMATS", "OutputColumns", "refuse_format", "write_predictions"]

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz")
"""The endings of files that can be written."""

_ROWS_AT_ONCE = 10_000
"""Rows of one row group of a Parquet file."""

WriteRow = Callable[[Mapping[str, object]], None]


@dataclass(frozen=True, slots=True)
class OutputColumns:
    """The columns of a table of predictions and how an answer fills them.

    Attributes:
        inputs: the columns of the input.
        prediction: the name of the column of the answer.
        probability: of the column of its probability; None for tasks without.
        scores: the column of the probability of each class or label; empty unless asked for.
        separator: between several labels of one field.
        column_type: of the column of the answer.
    """

    inputs: tuple[Column, ...]
    prediction: str
    probability: str | None
    scores: Mapping[str, str]
    separator: str
    column_type: ColumnType

    @classmethod
    def of(cls, task: Task, inputs: Sequence[Column], *, with_scores: bool) -> OutputColumns:
        """The columns for a task.

        Args:
            task: of the model.
            inputs: the columns of the input; a name that is taken there gets a number.
            with_scores: whether each class or label has a column of its own. Several labels always
                have: no single probability says how sure they are.
        """
        names = {column.name for column in inputs}

        def free(name: str) -> str:
            candidates = (name if i == 1 else f"{name}_{i}" for i in range(1, len(names) + 2))
            chosen = next(candidate for candidate in candidates if candidate not in names)
            names.add(chosen)
            return chosen

        kind = task.output
        prediction = free("prediction")
        probability = free("probability") if kind.has_probability else None
        scored = kind.labels if with_scores or not kind.has_probability else ()
        return cls(
            tuple(inputs),
            prediction,
            probability,
            {name: free(f"probability:{name}") for name in scored},
            kind.field_separator,
            kind.column_type,
        )

    @property
    def names(self) -> list[str]:
        """All of them, in order."""
        own = [self.prediction, *([self.probability] if self.probability else [])]
        return [*(column.name for column in self.inputs), *own, *self.scores.values()]

    def fill(self, row: Row, answer: Mapping[str, object]) -> dict[str, object]:
        """One line of the table."""
        line = {column.name: row.values.get(column.name) for column in self.inputs}
        line[self.prediction] = answer["score" if self.column_type == "number" else "label"]
        if self.probability:
            line[self.probability] = answer["score"]
        scores = answer["scores"]
        for name, column in self.scores.items():
            line[column] = scores.get(name) if isinstance(scores, Mapping) else None
        return line


def refuse_format(path: Path) -> None:
    """See that a file can be written in the format that its name says.

    Raises:
        RecipeError: it says none that is written here (R153).
    """
    if not path.name.lower().endswith(FORMATS):
        raise RecipeError.of(
            "R153",
            _("predictions cannot be written in this format"),
            Place(str(path)),
            fix=_("Name a file that ends in {endings}.").format(endings=", ".join(FORMATS)),
        )


def write_predictions(
    path: Path,
    answered: Iterable[tuple[Row, Mapping[str, object]]],
    columns: OutputColumns,
) -> int:
    """Write rows with their answers; returns how many these are.

    Args:
        path: of the file; what is there is replaced once the new one is whole.
        answered: rows with all columns of the input, and their answers.
        columns: what to write.

    Raises:
        RecipeError: an unknown format (R153).
        RecipeError: a value does not fit the type of its column in a Parquet file (R163).
        ResourceError: the disk is full or cannot be written (C107).
    """
    refuse_format(path)
    count = 0
    with atomic.replace_file(path) as unfinished, _writer(path, unfinished, columns) as write:
        for row, answer in answered:
            write(columns.fill(row, answer))
            count += 1
    return count


@contextmanager
def _writer(path: Path, unfinished: Path, columns: OutputColumns) -> Iterator[WriteRow]:
    name = path.name.lower()
    if name.endswith(".parquet"):
        with _parquet_writer(path, unfinished, columns) as write:
            yield write
        return
    delimiter = "\t" if name.removesuffix(".gz").endswith(".tsv") else ","
    is_json = name.removesuffix(".gz").endswith(".jsonl")
    with _text_file(unfinished, is_packed=name.endswith(".gz"), with_mark=not is_json) as file:
        if is_json:
            yield lambda line: _write_json(file, line)
        else:
            table = csv.writer(file, delimiter=delimiter, lineterminator="\n")
            table.writerow(columns.names)
            yield lambda line: _write_fields(table, line, columns.separator)


@contextmanager
def _text_file(path: Path, *, is_packed: bool, with_mark: bool) -> Iterator[IO[str]]:
    """A file of text; tables begin with the mark by which Excel knows UTF-8.

    Halves of surrogate pairs, which UTF-8 cannot hold, are written as JSON writes them.
    """
    encoding, errors = "utf-8-sig" if with_mark else "utf-8", "backslashreplace"
    if is_packed:
        with gzip.open(path, "wt", encoding=encoding, errors=errors, newline="") as packed:
            yield packed
    else:
        with path.open("w", encoding=encoding, errors=errors, newline="") as file:
            yield file


def _write_json(file: IO[str], line: Mapping[str, object]) -> None:
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in line.items()
    }
    file.write(json.dumps(finite, ensure_ascii=False, default=str) + "\n")


def _write_fields(table: Any, line: Mapping[str, object], separator: str) -> None:
    table.writerow([_as_field(value, separator) for value in line.values()])


def _as_field(value: object, separator: str) -> object:
    """A value as text: several labels joined, other lists and objects as JSON."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return separator.join(value)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value


@contextmanager
def _parquet_writer(path: Path, unfinished: Path, columns: OutputColumns) -> Iterator[WriteRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}
    types = {column.name: kinds.get(column.type, pa.string()) for column in columns.inputs}
    answers = {"number": pa.float64(), "list": pa.list_(pa.string()), "text": pa.string()}
    types[columns.prediction] = answers[columns.column_type]
    schema = pa.schema((name, types.get(name, pa.float64())) for name in columns.names)
    held: list[Mapping[str, object]] = []

    def flush() -> None:
        arrays = [
            _as_array(path, field.name, [line[field.name] for line in held], field.type)
            for field in schema
        ]
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        held.clear()

    def write(line: Mapping[str, object]) -> None:
        held.append(line)
        if len(held) == _ROWS_AT_ONCE:
            flush()

    with pq.ParquetWriter(unfinished, schema) as writer:
        yield write
        if held:
            flush()


def _as_array(path: Path, name: str, values: Sequence[object], kind: Any) -> Any:
    """One column of a Parquet file; what is no number or truth value becomes text.

    Raises:
        RecipeError: a value does not fit the others (R163).
    """
    import pyarrow as pa

    if kind == pa.string():
        values = [None if value is None else _as_text(value) for value in values]
    try:
        if kind == pa.int64() and any(isinstance(value, float) for value in values):
            return pa.array(values, type=pa.float64()).cast(kind)  # alone it would cut 1.5 to 1
        return pa.array(values, type=kind)
    except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:
        raise RecipeError.of(
            "R163",
            _("its column {name} holds values of several types: {reason}").format(
                name=name, reason=str(error).split("\n")[0]
            ),
            Place(str(path)),
            fix=_("Write .jsonl, which keeps each value as it is."),
        ) from error


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
