"""Sources that a user wrote: rows come from their code, and so do exceptions."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.readers.read_errors import reason_of
from tunesmith.data.rows import Row
from tunesmith.data.wrapped import WrappedSource
from tunesmith.errors import DataError, Place, Problem, TunesmithError
from tunesmith.i18n import gettext as _

__all__ = ["ForeignSource"]

_OURS = Path(__file__).parents[1]


@dataclass(frozen=True)
class ForeignSource(WrappedSource):
    """A user's own source, whose exceptions name the line of their code that raised them."""

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """The rows of the source.

        Raises:
            DataError: its code raised an exception (D134).
        """
        try:
            yield from self.source.chunks(columns)
        except TunesmithError:
            raise
        except Exception as error:
            raise DataError(_failure(error, self.name)) from None

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """The same numbers."""
        return {index: index for index in indices}


def _failure(error: Exception, name: str) -> Problem:
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if _OURS not in Path(frame.filename).parents]
    place = Place(theirs[-1].filename, theirs[-1].lineno) if theirs else Place(name)
    return Problem(
        "D134",
        _("the code that makes the rows of {name} raised {kind}: {reason}").format(
            name=name, kind=type(error).__name__, reason=reason_of(error)
        ),
        place,
        fix=_("Correct it; it must yield every row each time it is asked."),
    )
