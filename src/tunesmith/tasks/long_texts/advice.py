"""What a warning about cut texts recommends."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.tasks.long_texts.options import LongTexts

__all__ = ["advice"]


def advice(long: LongTexts, times_windows: float) -> str | None:
    """Return how to read more of long texts, and what it costs; None if all is read.

    Args:
        long: what becomes of long texts now.
        times_windows: tokens of all windows, relative to those that are read now.
    """
    if long.in_windows:
        return None
    lines = [
        _("Or read them whole with --long windows, at {times:.1f} times the compute.").format(
            times=times_windows
        )
    ]
    if long.long == "head":
        lines.append(_("Or keep head and tail with --long head_tail, at the same compute."))
    lines.append(_("`tunesmith check` with --pilot compares them on some rows."))
    return "\n".join(lines)
