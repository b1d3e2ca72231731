"""Data from files, folders, the Hub or Python objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.data.open import from_python, open_splits
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.readers.registry import refuse_header
from tunesmith.data.rows import Splits
from tunesmith.i18n import gettext as _

__all__ = ["load_data"]


def load_data(
    where: object,
    *,
    config: str | None = None,
    revision: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: Sequence[str] | None = None,
    sheet: str | None = None,
    offsets: str | None = None,
) -> Splits:
    """Open data: a file, a list of files, a folder, a Hub data set, or Python objects.

    Rows are read as `tunesmith.train` reads them. `tunesmith.load_dataset` gives a
    `datasets.Dataset` instead.

    Args:
        where: a path or name, or a list of dicts, a pandas frame, a `datasets.Dataset` or
            `DatasetDict`, or a dict from split names to these.
        config: configuration of a Hub data set.
        revision: branch, tag or commit of a Hub data set.
        encoding: of text files; None for UTF-8 or what a byte-order mark says, "auto" to detect it.
        delimiter: between fields of text tables; None for what the suffix or the first lines say.
        header: names of the columns of CSV and TSV files whose first line is a row.
        sheet: of an Excel file; None for the first one.
        offsets: how positions in texts are counted, as `data.offsets` in a recipe; None: as nearly
            all rows agree.

    Returns:
        The splits by name; a single table is the split "train".

    Raises:
        DataError: it does not exist or cannot be read, or `header` does not fit it (D114).
        ResourceError: the Hub is out of reach.
    """
    names = None if header is None else tuple(header)
    options = ReadingOptions(encoding, delimiter, config, revision, names, sheet, offsets)
    if isinstance(where, str | Path):
        return open_splits(str(where), options)
    if isinstance(where, list | tuple) and where and isinstance(where[0], str | Path):
        return open_splits([str(part) for part in where], options)
    refuse_header(_("Python objects"), options)
    return from_python(where, offsets=offsets)
