"""What a Parquet file decodes to, found out before any row is decoded.

The footer tells the size as it is stored, where a few bytes may name one text of a megabyte a
million times. So the dictionaries of texts are read: nothing is longer than their longest, but what
is stored in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.data.readers.arrow_rows import bomb_limit, decoded_sizes, too_large_decoded

__all__ = ["check_dictionaries", "check_footer", "longest_texts", "text_leaves"]


def text_leaves(schema: Any) -> dict[int, Any]:
    """The leaves of a Parquet schema that hold texts or bytes, by their numbers."""
    leaves = ((i, schema.column(i)) for i in range(len(schema)))
    return {i: leaf for i, leaf in leaves if leaf.physical_type == "BYTE_ARRAY"}


def longest_texts(file: Any, leaves: Mapping[int, Any]) -> Iterator[tuple[tuple[int, int], int]]:
    """For each row group and leaf of texts the longest text of its dictionary, 0 without one."""
    for group in range(file.num_row_groups):
        footer = file.metadata.row_group(group)
        for i, leaf in leaves.items() if footer.num_rows else ():
            batches = file.iter_batches(
                batch_size=1, row_groups=[group], columns=[leaf.path], use_threads=False
            )
            try:
                yield (group, i), _longest_in(next(batches).column(0))
            except pa.ArrowNotImplementedError:  # a first list over several dictionaries
                yield (group, i), footer.column(i).total_uncompressed_size


def _longest_in(values: Any) -> int:
    """The longest text of the dictionary within a column, however deep it is nested."""
    if pa.types.is_dictionary(values.type):
        longest = pc.max(pc.binary_length(values.dictionary)).as_py()
        return int(longest or 0)
    if pa.types.is_struct(values.type):
        return max(map(_longest_in, values.flatten()), default=0)
    return _longest_in(values.flatten()) if pa.types.is_nested(values.type) else 0


def check_dictionaries(
    file: Any, leaves: Mapping[int, Any], longest: Mapping[tuple[int, int], int], path: Path
) -> None:
    """See what texts decode to that dictionaries name again and again.

    Raises:
        DataError: to too much (D131).
    """
    limit = bomb_limit(path.stat().st_size)
    most = {
        (group, i): size * file.metadata.row_group(group).column(i).num_values
        for (group, i), size in longest.items()
    }
    nested = [at for at in most if leaves[at[1]].max_repetition_level]
    if (size := sum(most[at] for at in nested)) > limit:  # lists are not read to be counted
        raise too_large_decoded(str(path), size)
    if sum(most.values()) <= limit:
        return
    size = 0
    for group, i in most.keys() - nested:
        for batch in file.iter_batches(
            row_groups=[group], columns=[leaves[i].path], use_threads=False
        ):
            size += int(decoded_sizes(batch.column(0)).sum())
        if size > limit:
            raise too_large_decoded(str(path), size)


def check_footer(footer: Any, path: Path) -> None:
    """Compare what a Parquet footer promises with the size of its file.

    Raises:
        DataError: it promises too much (D131).
    """
    limit = bomb_limit(path.stat().st_size)
    if footer.num_rows > limit:
        raise too_large_decoded(str(path), footer.num_rows)
    size = sum(
        max(chunk.total_uncompressed_size, chunk.num_values // 8)
        for group in range(footer.num_row_groups)
        for chunk in map(footer.row_group(group).column, range(footer.num_columns))
    )
    if size > limit:
        raise too_large_decoded(str(path), size)
