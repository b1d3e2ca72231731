"""Restarts by a launcher that bring a run no further.

torchrun starts all processes again when one fails, as often as `--max-restarts` says, and when a
machine comes or goes, which it does not count. A run that is started again and again from the same
checkpoint would never end.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from tunesmith.errors import RestartError
from tunesmith.i18n import gettext as _
from tunesmith.jobs.worker import job_folder

__all__ = ["MOST", "refuse_futile_restart"]

MOST = 3
"""So many restarts without a new checkpoint are tried."""


def refuse_futile_restart(checkpoint: str | None, *, folder: Path | None = None) -> None:
    """Note which checkpoint the first process of a job resumes from.

    Args:
        checkpoint: its name; None for a fresh start.
        folder: of the job, which ends with its launcher; None for that of this process, if
            `tunesmith launch` has started it.

    Raises:
        RestartError: too many restarts in a row have resumed from it (C159).
    """
    folder = folder or job_folder()
    if folder is None:
        return
    path, now = folder / "resumed", checkpoint or "-"
    before: list[str] = []
    with suppress(OSError):
        before = path.read_text(encoding="utf-8").split()
    with suppress(OSError), path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(f"{now}\n")
    restarts = len(list(takewhile(lambda name: name == now, reversed(before))))
    if restarts > MOST:
        raise RestartError.of(
            "C159",
            _("{count} restarts without a new checkpoint").format(count=MOST),
            fix=_(
                "See what ended the processes, above or in the log. Machines that come and go may "
                "need a lower train.save_every."
            ),
        )
