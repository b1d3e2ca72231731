"""Problems of rows that the recipe leaves out: warnings, no errors."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.errors import Problem, Severity
from tunesmith.i18n import gettext as _

__all__ = ["left_out"]


def left_out(problem: Problem) -> Problem:
    """Return an error about rows as the warning that they are left out; others as they are."""
    if problem.severity is not Severity.ERROR:
        return problem
    message = _("left out: {message}").format(message=problem.message)
    return replace(problem, message=message, severity=Severity.WARNING)
