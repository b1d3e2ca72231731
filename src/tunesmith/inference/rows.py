"""What a finished model is called with, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tunesmith.data.columns import Roles, missing_columns
from tunesmith.data.open import from_python, open_splits
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.rows import Row, Source
from tunesmith.errors import DataError, Place
from tunesmith.i18n import gettext as _
from tunesmith.inference.bad_rows import BadRows
from tunesmith.inputs.label_spelling import normalize_labels
from tunesmith.tasks import Task

__all__ = ["as_known", "in_thousands", "is_table", "need_columns", "source_of"]

_ROWS_AT_ONCE = 10_000
"""Rows sorted by length and predicted together: enough to sort well, few enough to hold."""


def source_of(rows: object, roles: Roles, options: ReadingOptions) -> Source:
    """Return texts, pairs, records, a frame, a data set or the path of a file as one source.

    Args:
        rows: what the model is called with.
        roles: which columns the model reads.
        options: how to read a file.

    Raises:
        DataError: there are none (D120), or they have another number of texts (D332).
    """
    if isinstance(rows, Path) or (isinstance(rows, str) and _is_file(rows)):
        return next(iter(open_splits(str(rows), options).values()))
    if isinstance(rows, str) or _is_record(rows):
        rows = [rows]
    if isinstance(rows, list | tuple) and not rows:
        fix = _("Pass one text or row at least.")
        raise DataError.of("D120", _("no rows"), Place(_("the given rows")), fix=fix)
    if isinstance(rows, list | tuple):
        rows = [
            item if isinstance(item, Mapping) else _record(item, i, roles.text_columns)
            for i, item in enumerate(rows)
        ]
    return next(iter(from_python(rows, name=_("the given rows")).values()))


def is_table(rows: object) -> bool:
    """Return whether rows are a file, a frame or a data set, not texts and dicts."""
    if isinstance(rows, str):
        return _is_file(rows)
    return not (isinstance(rows, list | tuple) or _is_record(rows))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a path, or with a NUL: it is a text
        return False


def _is_record(rows: object) -> bool:
    """Return whether it is a single row; a dict of data sets holds no plain values."""
    return isinstance(rows, Mapping) and any(
        value is None or isinstance(value, str | int | float) for value in rows.values()
    )


def _record(item: object, row: int, columns: Sequence[str]) -> Mapping[str, object]:
    if item is None:  # reported with its row, like any empty text
        return dict.fromkeys(columns, "")
    texts = [item] if isinstance(item, str) else list(item) if isinstance(item, Iterable) else []
    if len(texts) != len(columns):
        raise DataError.of(
            "D332",
            _("this model reads {count} texts per row ({columns}), not {found}").format(
                count=len(columns), columns=", ".join(columns), found=len(texts)
            ),
            Place(_("the given rows"), row=row),
            fix=_("Pass a text for each of these columns, such as a tuple, or a dict."),
        )
    return dict(zip(columns, texts, strict=True))


def in_thousands(source: Source | BadRows, columns: Sequence[str] | None) -> Iterator[list[Row]]:
    """Yield some thousand rows at a time, with these columns; None for all."""
    held: list[Row] = []
    for chunk in source.chunks(columns):
        held.extend(chunk)
        if len(held) >= _ROWS_AT_ONCE:
            yield held
            held = []
    if held:
        yield held


def as_known(source: Source, task: Task) -> Source:
    """Return the rows with their labels spelled like the model's."""
    return normalize_labels(task, {"data": source}, known=task.output.labels)["data"]


def need_columns(columns: Sequence[str], source: Source) -> None:
    """Check that a source has these columns.

    Raises:
        DataError: it lacks some (D301), or has some twice (D302).
    """
    named = [(name, name) for name in columns]
    if problems := [problem for _role, problem in missing_columns(named, source)]:
        raise DataError(problems)
