"""What a check of a sample says about all rows, and how sure it is."""

from __future__ import annotations

from tunesmith.errors import Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.inputs.streaming import Streaming
from tunesmith.tasks import Task

__all__ = ["sampling_note"]


def sampling_note(streaming: Streaming, task: Task) -> Problem:
    """Return the note that a sample was checked: how many rows, of how many, by which seed."""
    return Problem(
        "D222",
        _("{sampled} of {total} training rows were checked, chosen by data.seed {seed}").format(
            sampled=len(streaming.sample.numbers),
            total=streaming.num_rows,
            seed=streaming.held_out.seed,
        ),
        Place(streaming.source.name),
        fix=_("Training checks every row that it reads, and stops at one that it cannot use."),
        severity=Severity.NOTE,
    )
