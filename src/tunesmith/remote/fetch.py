"""Bringing the newest whole state of a run here, each file checked before it counts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tunesmith.errors import IntegrityError, Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.remote.snapshot import MANIFESTS, File, Snapshot, newest_first, object_key
from tunesmith.remote.store import Store
from tunesmith.storage import atomic
from tunesmith.storage.disk import disk_errors
from tunesmith.storage.manifest import recorded_hashes, sha256_of

__all__ = ["Damaged", "fetch_files", "fetch_newest", "snapshots"]


_FOLDER = re.compile(r"(checkpoints/[^/]+|predictions|model)/")
"""What is committed as a folder."""


class Damaged(Exception):
    """An object of a state is missing, or not what its manifest says."""


def snapshots(store: Store) -> tuple[list[Snapshot], list[Problem]]:
    """Return the states of the newest run, the newest first, and warnings about damaged manifests.

    Raises:
        ResourceError: the store cannot be used (C162).
        IntegrityError: there are manifests and none can be read (C168).
    """
    states: list[Snapshot] = []
    damaged: list[Problem] = []
    for key in newest_first(store.keys(MANIFESTS)):
        stored = store.read(key)
        if stored is None:  # deleted meanwhile, since there is a newer one
            continue
        try:
            states.append(Snapshot.read(key, stored.content))
        except ValueError as error:
            damaged.append(_damaged(store, key, str(error)))
    if damaged and not states:
        raise IntegrityError(_none_whole(store, damaged))
    return [one for one in states if one.run == states[0].run], damaged


def fetch_newest(
    store: Store, folder: Path, needs: Callable[[str], bool] = lambda _name: True
) -> tuple[Snapshot | None, list[Problem]]:
    """Put the newest whole state into a run folder; what is there already is not fetched again.

    Args:
        store: where from.
        folder: of the run.
        needs: whether a file is fetched, by its name.

    Returns:
        the state, None if there is none; and warnings about damaged newer ones.

    Raises:
        ResourceError: the store (C162) or the disk (C107) cannot be used.
        IntegrityError: there are states and none is whole (C168).
    """
    candidates, warnings = snapshots(store)
    tried: set[str] = set()
    while True:
        left = [one for one in candidates if one.key not in tried]
        if not left:
            break
        snapshot = left[0]
        tried.add(snapshot.key)
        try:
            fetch_files(store, snapshot, folder, filter(needs, snapshot.files))
        except Damaged as error:
            newer, _damage = snapshots(store)
            if newer and newer[0].key != candidates[0].key:  # its writer went on meanwhile
                candidates = newer
                continue
            warnings.append(_damaged(store, snapshot.key, str(error)))
        else:
            return snapshot, warnings
    if tried:
        raise IntegrityError(_none_whole(store, warnings))
    return None, warnings


def fetch_files(store: Store, snapshot: Snapshot, folder: Path, names: Iterable[str]) -> None:
    """Fetch some files of a state; what makes it count comes last.

    First the recipe, with which the folder is one of a run, then loose files, then folders, each
    whole or not at all: checkpoints by step, predictions, the model.

    Raises:
        Damaged: an object is missing or damaged.
        ResourceError: the store (C162) or the disk (C107) cannot be used.
    """
    folders: dict[str, dict[str, File]] = {}
    loose: dict[str, File] = {}
    for name in names:
        matched = _FOLDER.match(name)
        files = folders.setdefault(matched[1], {}) if matched else loose
        files[name] = snapshot.files[name]
    for name in sorted(loose, key=lambda name: (name != "recipe.yaml", name)):
        with atomic.replace_file(folder / name) as unfinished:
            _fetch(store, snapshot, name, loose[name], unfinished)
    for root in sorted(folders, key=lambda root: (root == "model", root)):
        _fetch_folder(store, snapshot, folder, root, folders[root])


def _fetch_folder(
    store: Store, snapshot: Snapshot, folder: Path, root: str, files: Mapping[str, File]
) -> None:
    target = folder / root
    hashes = {name.removeprefix(root + "/"): file.sha256 for name, file in files.items()}
    if os.path.lexists(target):
        if recorded_hashes(target) == hashes and atomic.damage(target) is None:
            return
        atomic.set_aside(target)
    with atomic.publish(target) as unfinished:
        for name, file in files.items():
            path = unfinished / name.removeprefix(root + "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            _fetch(store, snapshot, name, file, path)


def _fetch(store: Store, snapshot: Snapshot, name: str, file: File, path: Path) -> None:
    """Fetch a file, part by part.

    Raises:
        Damaged: it is missing, or not what the manifest says.
    """
    if len(file.parts) == 1:
        if not store.download(object_key(snapshot.fence, file.parts[0].sha256), path):
            raise Damaged(_("{file} is missing").format(file=name))
    else:
        with TemporaryDirectory() as folder, disk_errors(path), path.open("wb") as whole:
            for part in file.parts:
                piece = Path(folder, "part")
                if not store.download(object_key(snapshot.fence, part.sha256), piece):
                    raise Damaged(_("{file} is missing").format(file=name))
                whole.write(piece.read_bytes())
    if path.stat().st_size != file.size or sha256_of(path) != file.sha256:
        raise Damaged(_("{file} does not have the content it was written with").format(file=name))


def _damaged(store: Store, key: str, reason: str) -> Problem:
    return Problem(
        "C168",
        _("a state in the store is damaged: {reason}").format(reason=reason),
        Place(f"{store.location}/{key}"),
        fix=_("The one before it is used; what came after it is trained again."),
        severity=Severity.WARNING,
    )


def _none_whole(store: Store, damaged: Iterable[Problem]) -> list[Problem]:
    return [
        *damaged,
        Problem(
            "C168",
            _("no state in the store is whole"),
            Place(str(store.location)),
            fix=_("Train again with another remote folder, or delete this one."),
        ),
    ]
