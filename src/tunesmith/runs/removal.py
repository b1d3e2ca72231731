"""Deleting runs: only folders that a run made whole, never one in which a process trains."""

from __future__ import annotations

import os
from pathlib import Path

from tunesmith.errors import Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic
from tunesmith.storage.lock import hold_to_move
from tunesmith.storage.operating_system import delete_folder, is_inside
from tunesmith.text import quoted

__all__ = ["delete_run", "refuse_deletion"]


def refuse_deletion(run: RunFolder) -> None:
    """See that a folder may be deleted whole.

    Raises:
        RecipeError: it holds something that no run made, or this process works in it (R155).
    """
    folder = Path(os.path.realpath(run.path))
    if foreign := run.foreign_entries():
        raise RecipeError.of(
            "R155",
            _("the folder holds more than a run: {names}").format(names=quoted(foreign, at_most=5)),
            Place(str(run.path)),
            fix=_("Move that to another place, or delete the folder yourself."),
        )
    if is_inside(Path(os.path.realpath(".")), folder):
        raise RecipeError.of(
            "R155",
            _("this is the folder that you work in"),
            Place(str(run.path)),
            fix=_("Call the command from another folder."),
        )


def delete_run(run: RunFolder) -> None:
    """Delete a run with all that is in its folder; a kill leaves the whole of it or none.

    Raises:
        RecipeError: the folder may not be deleted (R155).
        FolderInUseError: a process trains in it (C106).
        ResourceError: the disk does not let it go (C107).
    """
    refuse_deletion(run)
    folder = Path(os.path.realpath(run.path))
    with hold_to_move(folder):
        trash = atomic.move_to_trash(folder)
    # after the lock, which is a file in it: on network disks an open one would keep its folder
    delete_folder(trash)
    if run.path.is_symlink():
        run.path.unlink()
