"""Rows read again, and seen to be the ones that were surveyed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from tunesmith.data.rows import Row, Source
from tunesmith.data.scan import content_of
from tunesmith.errors import DataError, IntegrityError, Place, Problem
from tunesmith.i18n import gettext as _

__all__ = ["verified_chunks"]


def verified_chunks(source: Source, columns: Sequence[str], digest: str) -> Iterator[Sequence[Row]]:
    """All rows with the named columns; only an iteration to the end proves what was handed on.

    Args:
        source: whose rows.
        columns: those that the survey hashed, in its order.
        digest: the sha256 of their content, as the survey saw it.

    Raises:
        IntegrityError: the content is another one by now, or cannot be read (D160).
    """
    seen = hashlib.sha256()
    try:
        for chunk in source.chunks(columns):
            for row in chunk:
                seen.update(content_of(row, columns))
            yield chunk
    except DataError as error:
        raise IntegrityError(_changed(source, error.problems[0].message)) from error
    except Exception as error:  # whatever a reader makes of content that it was not opened for
        raise IntegrityError(_changed(source, f"{type(error).__name__}: {error}")) from error
    if seen.hexdigest() != digest:
        raise IntegrityError(_changed(source))


def _changed(source: Source, *reasons: str) -> Problem:
    return Problem(
        "D160",
        _("the data changed while the run was using it"),
        Place(source.name),
        evidence=reasons,
        fix=_(
            "Bring the old content back and run the same command again: nothing that was computed "
            "is lost. Or train on the new rows with another --out."
        ),
    )
