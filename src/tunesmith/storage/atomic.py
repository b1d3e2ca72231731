"""The commit protocol: a folder is whole under its real name, or it is not there.

One implementation for checkpoints, prepared data and models:

1. write into `.tmp-NAME-PID` beside the target; fsync each file;
2. write `MANIFEST.json` (bytes and sha256 of each file) last; fsync it and the folder;
3. rename to the real name, never over an existing folder; fsync the parent.

What fails verification is moved to `.bad-NAME-TIME`, never deleted. What is deleted is first
renamed to `.trash-NAME-PID`, so that no half of it is ever seen under its real name. A kill at any
instant leaves only names that begin with a dot, which `sweep` clears away under the lock; a folder
that was about to be amended gets its name back.

File systems that cannot sync a folder or change a mode (FUSE, CIFS, FAT) do without, once reported.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunesmith.errors import Place, Problem, RecipeError, ResourceError
from tunesmith.i18n import gettext as _
from tunesmith.storage.disk import disk_problem, lacks, report_missing_feature
from tunesmith.storage.manifest import MANIFEST, as_manifest, damage, sha256_of

__all__ = [
    "MANIFEST",
    "amend",
    "damage",
    "discard",
    "is_leftover",
    "move_aside",
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
        unfinished.rename(target)


@contextmanager
def amend(target: Path, *rewrites: str) -> Iterator[Path]:
    """Yield a folder with the files of a committed one; on a clean exit it takes its place.

    The files are linked where the disk can, so none of them may be written into; those that are to
    change are left out. The old folder steps aside by one rename and the new one takes its name by
    the next; `sweep` puts the old one back if a kill came between.

    Args:
        target: a whole folder.
        rewrites: the names of the files that are written anew.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    old = target.parent / f".old-{target.name}-{os.getpid()}"
    with _made(target) as unfinished:
        left_out = shutil.ignore_patterns(*rewrites, MANIFEST)
        shutil.copytree(
            target, unfinished, copy_function=_link, ignore=left_out, dirs_exist_ok=True
        )
        yield unfinished
        _seal(unfinished, modes_of=target)
        _change_mode(unfinished, stat.S_IMODE(target.stat().st_mode))
        target.rename(old)
        try:
            unfinished.rename(target)
        except BaseException:
            old.rename(target)
            raise
    shutil.rmtree(old, ignore_errors=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, target)


@contextmanager
def _made(target: Path) -> Iterator[Path]:
    """A fresh unfinished folder beside `target`, whose parent is synced on a clean exit."""
    unfinished = target.parent / f".tmp-{target.name}-{os.getpid()}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _delete(unfinished)
        unfinished.mkdir()
        yield unfinished
        _sync_folder(target.parent)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if problem := disk_problem(error, target):
            raise ResourceError(problem) from error
        raise


@contextmanager
def scratch(parent: Path, name: str) -> Iterator[Path]:
    """Yield a folder to write into that is gone afterwards; `sweep` takes what a kill leaves.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    folder = parent / f".tmp-{name}-{os.getpid()}"
    try:
        _delete(folder)
        folder.mkdir()
        yield folder
    except BaseException as error:
        if problem := disk_problem(error, folder):
            raise ResourceError(problem) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a file to write; on a clean exit it takes the place of `path`, never a half of it.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    unfinished = path.parent / f".tmp-{path.name}-{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        _sync_file(unfinished)
        unfinished.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink()
        if problem := disk_problem(error, path):
            raise ResourceError(problem) from error
        raise


def write_file(path: Path, content: str) -> None:
    """Replace one small text file whole; raises as `replace_file` does."""
    with replace_file(path) as unfinished:
        unfinished.write_text(content, encoding="utf-8")


def refuse_existing(
    paths: Iterable[Path], *, force: bool | None = False, option: str = "--out", code: str = "R115"
) -> None:
    """Refuse to write over what a user may have made: every path that a user names comes here.

    Args:
        paths: files or folders about to be written.
        force: the user asked to replace them; None where a command cannot be asked to.
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
    """Make every file durable and write the manifest that proves it.

    Args:
        folder: what was written.
        modes_of: files have the modes that they have there; others those of the umask.
    """
    plain = 0o666 & ~_umask()
    entries = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        before = modes_of / path.relative_to(folder) if modes_of else None
        mode = stat.S_IMODE(before.stat().st_mode) if before and before.is_file() else plain
        _change_mode(path, mode)  # safetensors writes 0600 whatever the umask says
        _sync_file(path)
        name = path.relative_to(folder).as_posix()
        entries[name] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    manifest = folder / MANIFEST
    manifest.write_text(as_manifest(entries), encoding="utf-8")
    if modes_of and (modes_of / MANIFEST).is_file():
        _change_mode(manifest, stat.S_IMODE((modes_of / MANIFEST).stat().st_mode))
    _sync_file(manifest)
    for inner in sorted(path for path in folder.rglob("*") if path.is_dir()):
        _sync_folder(inner)
    _sync_folder(folder)


def set_aside(folder: Path) -> Path:
    """Move a damaged folder, file or link out of the way, keeping it as evidence.

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
    """The path, or the first of `PATH-2`, `PATH-3` … that is free."""
    candidate, number = path, 1
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def _rename(path: Path, target: Path) -> None:
    """One rename within a folder, made durable."""
    try:
        path.rename(target)
        _sync_folder(target.parent)
    except OSError as error:
        if problem := disk_problem(error, path):
            raise ResourceError(problem) from error
        raise


def move_aside(folder: Path, kept: str) -> Path:
    """Rename a whole folder to the free name `KEPT`, `KEPT-2` … beside it, in one operation.

    Returns:
        its new path.

    Raises:
        ResourceError: the disk does not let it be renamed (C107); nothing was changed.
    """
    target = _free_name(folder.parent / kept)
    _rename(folder, target)
    return target


def discard(folder: Path) -> None:
    """Delete a folder so that no part of it is ever seen under its real name.

    Raises:
        ResourceError: the disk does not let it be renamed (C107).
    """
    trash = folder.parent / f".trash-{folder.name}-{os.getpid()}"
    _delete(trash)
    _rename(folder, trash)
    _delete(trash)


def remove(path: Path) -> None:
    """Delete a file or a folder, whichever it is; what is not there needs nothing.

    Raises:
        ResourceError: the disk does not let it be deleted (C107).
    """
    if path.is_dir() and not path.is_symlink():
        discard(path)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if problem := disk_problem(error, path):
            raise ResourceError(problem) from error
        raise


_LEFTOVER = re.compile(r"\.(tmp|trash|old)-(?P<name>.+)-[1-9]\d*")


def sweep(parent: Path, names: str) -> None:
    """Clear away what a kill left unfinished, and put back what it left without a successor.

    Only for one who holds the lock on `parent`. Only what this module made is touched:
    `.tmp-NAME-PID`, `.trash-NAME-PID` and `.old-NAME-PID` where NAME is of a known form.

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
            _delete(path)


def is_leftover(name: str) -> bool:
    """Whether a name has the form of what this module makes while it works, or sets aside."""
    return _LEFTOVER.fullmatch(name) is not None or name.startswith(".bad-")


def _delete(path: Path) -> None:
    """Delete a file, link or folder as far as the disk lets us."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _change_mode(path: Path, mode: int) -> None:
    try:
        path.chmod(mode)
    except OSError as error:
        if not lacks(error):
            raise
        effect = _("Files keep the mode that the file system gives them.")
        report_missing_feature(path, _("changing the mode of a file"), effect, error)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not lacks(error):
            raise
        effect = _("After a power cut the newest files may be lost; a kill loses nothing.")
        report_missing_feature(path, _("syncing a file"), effect, error)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    if (
        os.name == "nt"
    ):  # Windows cannot sync a folder; its renames to a fresh name are durable enough
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (lacks(error) or error.errno in (errno.EACCES, errno.EBADF, errno.EISDIR)):
            raise
        effect = _("After a power cut the newest files may be lost; a kill loses nothing.")
        report_missing_feature(path, _("syncing a folder"), effect, error)
