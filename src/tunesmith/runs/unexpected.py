"""Any exception as an error with a code."""

from __future__ import annotations

from tunesmith.errors import ModelError, Place, RecipeError, ResourceError, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.storage.disk import is_too_long, name_too_long
from tunesmith.text import shortened
from tunesmith.training.memory import is_out_of_memory, memory_problem

__all__ = ["as_known"]


def as_known(error: Exception, *, debug: bool = False) -> TunesmithError:
    """Return the error with its code; an unexpected exception is reported as a bug (M000).

    Args:
        error: what ended a command.
        debug: whether its traceback was printed.
    """
    if isinstance(error, TunesmithError):
        cause = error.__cause__
        is_memory = isinstance(error, ModelError) and cause is not None and is_out_of_memory(cause)
        return ResourceError(memory_problem(cause)) if cause and is_memory else error
    if isinstance(error, OSError) and error.errno is not None:
        return _system_error(error)
    if is_out_of_memory(error):
        return ResourceError(memory_problem(error))
    first, *more = f"{type(error).__name__}: {error}".split("\n")
    return TunesmithError.of(
        "M000",
        _("a bug in tunesmith: {error}").format(error=first),
        evidence=tuple(more),
        fix=None if debug else _("Run again with --debug for the traceback."),
    )


def _system_error(error: OSError) -> TunesmithError:
    """An error of the operating system: a name that is too long, a disk that fails."""
    if is_too_long(error):
        return RecipeError(name_too_long(str(error.filename)))
    place = Place(shortened(str(error.filename or "-")))
    return ResourceError.of(
        "C107",
        _("operating system error: {reason}").format(reason=error.strerror or error),
        place,
        fix=_("Check this file, its folder and the disk; --debug shows the traceback."),
    )
