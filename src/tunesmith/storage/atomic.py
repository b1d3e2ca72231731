"""The commit protocol: a folder is whole under its real name, or it is not there.

One implementation for checkpoints, prepared data and models:

1. write into `.tmp-NAME-NUMBER` next to the target; fsync each file;
2. write `MANIFEST.json` (bytes and sha256 of each file) last; fsync it and the folder;
3. rename to the real name, never over an existing folder; fsync the parent.

What fails verification is moved to `.bad-NAME-TIME`, never deleted. What is deleted is first
renamed to `.trash-NAME-NUMBER`, so that a part of it is never seen under its real name. A kill at
any time leaves only names that begin with a dot, which `sweep` removes under the lock; a folder
that was about to be amended gets its name back.

File systems that cannot sync a folder or change a mode (FUSE, CIFS, FAT) do without, once reported.
Windows renames no folder with an open file in it: writers close theirs before.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunesmith.errors import Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.storage import operating_system as system
from tunesmith.storage.disk import disk_errors
from tunesmith.storage.manifest import MANIFEST, as_manifest, damage, sha256_of
from tunesmith.storage.syncing import change_mode, sync_file, sync_folder, umask

__all__ = [
    "MANIFEST",
    "amend",
    "damage",
    "discard",
    "is_leftover",
    "move_aside",
    "move_to_trash",
    "publish",
    "refuse_existing",
    "remove",
    "replace_file",
    "scratch",
    "set_aside",
    "sha256_of",
    "sweep",
    "write_file",
]


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Yield a folder to write into; on a clean exit it becomes `target`, whole and durable.

    Whatever is raised inside, the unfinished folder is removed and nothing is seen at `target`.

    Raises:
        FileExistsError: `target` exists. The protocol never renames over a folder.
        ResourceError: the disk is full or cannot be written (C107).
    """
    if os.path.lexists(target):
        raise FileExistsError(target)
    with _made(target) as unfinished:
        yield unfinished
        _seal(unfinished)
        system.rename(unfinished, target)


@contextmanager
def amend(target: Path, *rewrites: str) -> Iterator[Path]:
    """Yield a folder with the files of a committed one; on a clean exit it takes its place.

    The files are hard links where the disk supports them, so none may be written into; those to be
    rewritten are left out. The old folder is renamed, then the new one takes its name; `sweep`
    restores the old one after a kill in between.

    Args:
        target: a whole folder.
        rewrites: the names of the files to be written again.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    old = target.parent / f".old-{target.name}-{system.own_number()}"
    with _made(target) as unfinished:
        left_out = shutil.ignore_patterns(*rewrites, MANIFEST)
        shutil.copytree(
            target, unfinished, copy_function=_link, ignore=left_out, dirs_exist_ok=True
        )
        yield unfinished
        _seal(unfinished, modes_of=target)
        change_mode(unfinished, stat.S_IMODE(target.stat().st_mode))
        system.rename(target, old)
        try:
            system.rename(unfinished, target)
        except BaseException:
            system.rename(old, target)
            raise
    system.delete_folder(old)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, target)


@contextmanager
def _made(target: Path) -> Iterator[Path]:
    """Yield an empty folder next to `target`; sync the parent on a clean exit."""
    unfinished = target.parent / f".tmp-{target.name}-{system.own_number()}"
    with disk_errors(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _delete(unfinished)
            unfinished.mkdir()
            yield unfinished
            sync_folder(target.parent)
        except BaseException:
            system.delete_folder(unfinished)
            raise


@contextmanager
def scratch(parent: Path, name: str) -> Iterator[Path]:
    """Yield a folder that is deleted afterwards; after a kill `sweep` removes it.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    folder = parent / f".tmp-{name}-{system.own_number()}"
    with disk_errors(folder):
        try:
            _delete(folder)
            folder.mkdir()
            yield folder
        finally:
            system.delete_folder(folder)


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a file to write; on a clean exit it replaces `path` atomically.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    unfinished = path.parent / f".tmp-{path.name}-{system.own_number()}"
    with disk_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield unfinished
            sync_file(unfinished)
            system.replace(unfinished, path)
            sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise


def write_file(path: Path, content: str) -> None:
    """Replace a small text file atomically; raises as `replace_file` does."""
    with replace_file(path) as unfinished:
        unfinished.write_text(content, encoding="utf-8", newline="\n")


def refuse_existing(
    paths: Iterable[Path], *, force: bool | None = False, option: str = "--out", code: str = "R115"
) -> None:
    """Refuse to overwrite what a user may have made.

    Args:
        paths: files or folders about to be written.
        force: whether to replace them; None if the command has no such option.
        option: the option that names another path.
        code: of the error.

    Raises:
        RecipeError: one of them exists (`code`), even as a link that leads nowhere.
    """
    existing = [] if force else [path for path in paths if os.path.lexists(path)]
    if not existing:
        return
    force_too = _("Name another with {option}, or replace it with --force.")
    fix = _("Name another with {option}.") if force is None else force_too
    raise RecipeError(
        [
            Problem(
                code,
                _("the file exists already"),
                Place(str(path)),
                fix=fix.format(option=option),
            )
            for path in existing
        ]
    )


def _seal(folder: Path, *, modes_of: Path | None = None) -> None:
    """Sync every file and write the manifest.

    Args:
        folder: what was written.
        modes_of: a folder whose files lend their modes; other files follow the umask.
    """
    plain = 0o666 & ~umask()
    entries = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        before = modes_of / path.relative_to(folder) if modes_of else None
        mode = stat.S_IMODE(before.stat().st_mode) if before and before.is_file() else plain
        change_mode(path, mode)  # safetensors writes 0600 whatever the umask says
        sync_file(path)
        name = path.relative_to(folder).as_posix()
        entries[name] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    manifest = folder / MANIFEST
    manifest.write_text(as_manifest(entries), encoding="utf-8", newline="\n")
    if modes_of and (modes_of / MANIFEST).is_file():
        change_mode(manifest, stat.S_IMODE((modes_of / MANIFEST).stat().st_mode))
    sync_file(manifest)
    for inner in sorted(path for path in folder.rglob("*") if path.is_dir()):
        sync_folder(inner)
    sync_folder(folder)


def set_aside(folder: Path) -> Path:
    """Rename a damaged folder, file or link to `.bad-NAME-TIME`.

    Returns:
        its new path.

    Raises:
        ResourceError: the disk does not let it be renamed (C107).
    """
    stamp = time.strftime("%Y%m%dT%H%M%S")
    target = _free_name(folder.parent / f".bad-{folder.name}-{stamp}")
    _rename(folder, target)
    return target


def _free_name(path: Path) -> Path:
    """Return the path, or the first of `PATH-2`, `PATH-3` … that is free."""
    candidate, number = path, 1
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def _rename(path: Path, target: Path) -> None:
    """Rename within a folder and sync the folder."""
    with disk_errors(path):
        system.rename(path, target)
        sync_folder(target.parent)


def move_aside(folder: Path, name: str) -> Path:
    """Rename a whole folder to `NAME`, or `NAME-2` … if that exists, in one operation.

    Returns:
        its new path.

    Raises:
        ResourceError: the disk does not let it be renamed (C107); nothing was changed.
    """
    target = _free_name(folder.parent / name)
    _rename(folder, target)
    return target


def discard(folder: Path) -> None:
    """Delete a folder atomically: a part of it is never seen under its real name.

    Raises:
        ResourceError: the disk does not let it be renamed (C107).
    """
    _delete(move_to_trash(folder))


def move_to_trash(folder: Path) -> Path:
    """Rename a folder that is about to be deleted; return its new path.

    Raises:
        ResourceError: the disk does not let it be renamed (C107).
    """
    trash = folder.parent / f".trash-{folder.name}-{system.own_number()}"
    _delete(trash)
    _rename(folder, trash)
    return trash


def remove(path: Path) -> None:
    """Delete a file or a folder, if it exists.

    Raises:
        ResourceError: the disk does not let it be deleted (C107).
    """
    if path.is_dir() and not path.is_symlink():
        discard(path)
        return
    with disk_errors(path):
        path.unlink(missing_ok=True)


_LEFTOVER = re.compile(r"\.(tmp|trash|old)-(?P<name>.+)-[1-9]\d*")


def sweep(parent: Path, names: str) -> None:
    """Delete what a kill left unfinished, and restore a folder that was being amended.

    The caller holds the lock on `parent`. Only what this module made is touched:
    `.tmp-NAME-NUMBER`, `.trash-NAME-NUMBER` and `.old-NAME-NUMBER` where NAME is of a known form.

    Args:
        parent: the folder; it need not exist.
        names: a regular expression that the whole of NAME matches.

    Raises:
        ResourceError: the disk does not let a folder have its name back (C107).
    """
    if not parent.is_dir():
        return
    leftovers = [
        (path, match["name"])
        for path in sorted(parent.iterdir())
        if (match := _LEFTOVER.fullmatch(path.name)) and re.fullmatch(names, match["name"])
    ]
    for path, name in leftovers:
        if path.name.startswith(".old-") and not os.path.lexists(parent / name):
            _rename(path, parent / name)
        else:
            _delete_whole(path, name)


def _delete_whole(path: Path, name: str) -> None:
    """Delete what was left behind, renamed first.

    If it is not left behind after all, but written on another machine, its writer finds nothing
    under its name and fails, and does not commit what remains.
    """
    trash = path.parent / f".trash-{name}-{system.own_number()}"
    if path != trash:
        _delete(trash)
        with suppress(OSError):
            system.rename(path, trash)
            path = trash
    _delete(path)


def is_leftover(name: str) -> bool:
    """Return whether a name is one of an unfinished, deleted or damaged folder of this module."""
    return _LEFTOVER.fullmatch(name) is not None or name.startswith(".bad-")


def _delete(path: Path) -> None:
    """Delete a file, link or folder, ignoring errors."""
    if path.is_dir() and not path.is_symlink():
        system.delete_folder(path)
    else:
        with suppress(OSError):
            path.unlink()
