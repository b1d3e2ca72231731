"""Rows of a run read again by their numbers, and seen to be the ones that were surveyed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row, Source
from tunesmith.data.scan import verified_chunks
from tunesmith.data.sharded import Sharded
from tunesmith.inputs import Split

__all__ = ["rows_by_number"]


def rows_by_number(
    splits: Mapping[str, Split], roles: Roles, numbers: Mapping[str, Collection[int]]
) -> dict[str, dict[int, Row]]:
    """Return some rows of some splits with the used columns, by their number in the source.

    Args:
        splits: as they were surveyed.
        roles: the used columns.
        numbers: for each split, those of its rows.

    Raises:
        IntegrityError: the data is not what was surveyed (D160).
    """
    rows: dict[str, dict[int, Row]] = {name: {} for name in numbers}
    for source, names in _by_source(splits, numbers):
        present = {column.name for column in source.columns}
        columns = [name for name in roles.columns if name in present]
        if isinstance(source, Sharded):
            rows |= {name: source.rows_at(numbers[name], columns) for name in names}
            continue
        chosen = {name: set(numbers[name]) for name in names}
        for chunk in verified_chunks(source, columns, splits[names[0]].digest):
            for name in names:
                rows[name] |= {row.index: row for row in chunk if row.index in chosen[name]}
    return rows


def _by_source(splits: Mapping[str, Split], names: Iterable[str]) -> list[tuple[Source, list[str]]]:
    """Sources, each with the splits that are drawn from it."""
    shared: dict[int, tuple[Source, list[str]]] = {}
    for name in names:
        source = splits[name].source
        shared.setdefault(id(source), (source, []))[1].append(name)
    return list(shared.values())
