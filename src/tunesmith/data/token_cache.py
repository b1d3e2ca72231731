"""Tokenized rows on disk, kept for the runs that need them and mapped into memory.

A set is keyed by the content of the rows, the tokenizer and the settings of the encoding, so runs
share it and a changed file never meets an old one. It is committed whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.encoded import Encoded, Prepared, offsets_of
from tunesmith.data.rows import Row, Source
from tunesmith.data.scan import verified_chunks
from tunesmith.errors import (
    FolderInUseError,
    Place,
    Problem,
    RecipeError,
    ResourceError,
    Severity,
)
from tunesmith.i18n import gettext as _
from tunesmith.storage import atomic, notices
from tunesmith.storage.disk import as_path
from tunesmith.storage.lock import hold
from tunesmith.storage.operating_system import MOVES_OPEN_FILES

__all__ = [
    "cache_folder",
    "cache_limit",
    "prepare",
    "prepare_chunks",
]

LAYOUT = 2
"""Part of every key: another layout on disk is another set."""

_EXAMPLES = "examples"
_KEY = "[0-9a-f]{32}"
_UNUSED_DAYS, _DAMAGED_DAYS = 30, 7
_WAIT_SECONDS = 600.0
_DEFAULT_SIZE = "50 GB"
_LOOK_EVERY = 64
_sizes: dict[Path, tuple[int, int]] = {}
"""Bytes and new sets of each cache, as far as this process knows."""


def cache_folder() -> Path:
    """Where prepared data is kept: `TUNESMITH_CACHE`, else a folder of the user's cache."""
    if named := os.environ.get("TUNESMITH_CACHE"):
        return as_path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or "~/.cache"
    return as_path(base) / "tunesmith"


def cache_limit() -> int:
    """How many bytes of prepared data are kept: `TUNESMITH_CACHE_SIZE`, such as "20 GB".

    Raises:
        RecipeError: it is no size (C137).
    """
    written = os.environ.get("TUNESMITH_CACHE_SIZE") or _DEFAULT_SIZE
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([kMGT]?)B?\s*", written, re.IGNORECASE)
    if match is None:
        raise RecipeError.of(
            "C137",
            _('TUNESMITH_CACHE_SIZE is "{value}", which is no size').format(value=written),
            fix=_('Write bytes, or a number with kB, MB, GB or TB, such as "20 GB".'),
        )
    return int(float(match[1]) * 1000 ** " KMGT".index(match[2].upper() or " "))


def prepare(
    source: Source,
    *,
    columns: Sequence[str],
    digest: str,
    settings: Mapping[str, object],
    encode: Callable[[Sequence[Row]], Encoded],
    cache: Path | None = None,
    wait_seconds: float = _WAIT_SECONDS,
) -> Prepared:
    """The prepared form of a source: read from the cache, or made and kept there.

    Args:
        source: whose rows; all of them are encoded.
        columns: the used columns.
        digest: the content that the survey saw in them.
        settings: all else that the numbers depend on: tokenizer, lengths, labels.
        encode: turns rows into numbers.
        cache: where to keep it; None for `cache_folder()`.
        wait_seconds: how long to wait for another process that holds the cache; after that the
            data is prepared without it.

    Raises:
        IntegrityError: the source changed since the survey (D160).
        ResourceError: the disk is full or cannot be written (C107).
        RecipeError: TUNESMITH_CACHE_SIZE is no size (C137).
    """
    return prepare_chunks(
        lambda: verified_chunks(source, columns, digest),
        digest=digest,
        settings=settings,
        encode=encode,
        cache=cache,
        wait_seconds=wait_seconds,
    )


def prepare_chunks(
    read: Callable[[], Iterator[Sequence[Row]]],
    *,
    digest: str,
    settings: Mapping[str, object],
    encode: Callable[[Sequence[Row]], Encoded],
    cache: Path | None = None,
    wait_seconds: float = _WAIT_SECONDS,
    is_shard: bool = False,
) -> Prepared:
    """The prepared form of some rows, such as a shard; otherwise as `prepare`.

    Args:
        read: yields them, and sees to it that they are those of the digest.
        digest: of their content.
        settings: all else that the numbers depend on.
        encode: turns rows into numbers.
        cache: where to keep it; None for `cache_folder()`.
        wait_seconds: how long to wait for another process that holds the cache.
        is_shard: whether many more come, so that the cache is not tidied up for each.
    """
    facts = json.dumps([LAYOUT, digest, settings], sort_keys=True, ensure_ascii=True)
    key = hashlib.sha256(facts.encode()).hexdigest()[:32]
    home = (cache or cache_folder()) / "prepared"
    limit = cache_limit()
    target = home / key

    def write(folder: Path) -> None:
        _write(folder, read, encode)

    with ExitStack() as held:
        try:
            # others that want the same set wait and read it
            held.enter_context(hold(home, wait_seconds=wait_seconds, across_machines=True))
        except FolderInUseError as error:
            (problem,) = error.problems
            return _prepare_apart(key, write, problem.message, problem.place)
        if os.path.lexists(target) and atomic.damage(target):
            atomic.set_aside(target)
        if not target.exists():
            if not is_shard or home not in _sizes:
                atomic.sweep(home, _KEY)
                _remove_unused(home)
            if not _commit(target, write):
                message = _("another machine uses the folder")
                return _prepare_apart(key, write, message, Place(str(home)))
            if is_shard:
                _keep_within(home, limit, target)
            else:
                _remove_beyond(home, limit, except_for=target)
        with suppress(OSError):
            os.utime(target)
        return _open(target, key)


def _commit(target: Path, write: Callable[[Path], None]) -> bool:
    """Make a set, unless another machine, which took us for dead, cleared ours away.

    If it has committed the same one meanwhile, that is used.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    try:
        with atomic.publish(target) as unfinished:
            write(unfinished)
    except (OSError, ResourceError) as error:
        if target.is_dir() and atomic.damage(target) is None:
            return True
        reason = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(reason, FileNotFoundError):
            raise
        return False
    return True


def _prepare_apart(
    key: str, write: Callable[[Path], None], reason: str, place: Place | None
) -> Prepared:
    """Prepare in a folder of this process alone, which goes as soon as the arrays are mapped.

    Where a mapped file cannot be deleted they are read into memory.
    """
    notices.notify_once(
        "cache",
        Problem(
            "C128",
            _("the cache is not used: {reason}").format(reason=reason),
            place,
            fix=_("This run prepares its data for itself alone, and goes on."),
            severity=Severity.WARNING,
        ),
    )
    with atomic.scratch(Path(tempfile.gettempdir()), f"tunesmith-{key}") as folder:
        write(folder)
        return _open(folder, key, mapped=MOVES_OPEN_FILES)


def _write(
    folder: Path,
    read: Callable[[], Iterator[Sequence[Row]]],
    encode: Callable[[Sequence[Row]], Encoded],
) -> None:
    with _Writer(folder) as writer:
        writer.add(encode([]))  # every array exists, also where there is no row
        for chunk in read():
            writer.add(encode(chunk))
        writer.finish()


class _Writer:
    """Appends encoded rows to one file per array."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._arrays: dict[str, dict[str, object]] = {}
        self._lengths: dict[str, array[int]] = {}
        self._count = 0

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self._files.values():
            file.close()

    def add(self, encoded: Encoded) -> None:
        """Append one chunk."""
        for name, column in encoded.columns().items():
            self._append(f"{name}.flat", column.flat)
            self._lengths.setdefault(name, array("i")).extend(column.lengths.tolist())
        if encoded.parts is not None:
            self._lengths.setdefault(_EXAMPLES, array("i")).extend(encoded.parts.tolist())
        for name, values in encoded.fixed.items():
            self._append(f"{name}.fixed", values)
        self._append("rows", encoded.rows)
        self._append("full_lengths", encoded.full_lengths)
        self._count += len(encoded.rows)

    def finish(self) -> None:
        """Write the offsets and the index of all arrays."""
        for name, lengths in self._lengths.items():
            self._append(f"{name}.offsets", offsets_of(np.frombuffer(lengths, dtype=np.intc)))
        for file in self._files.values():
            file.close()
        index = {"examples": self._count, "arrays": self._arrays}
        text = json.dumps(index, indent=1)
        (self._folder / "index.json").write_text(text, encoding="utf-8", newline="\n")

    def _append(self, name: str, values: NDArray[Any]) -> None:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = (self._folder / f"{name}.bin").open("wb")
            self._arrays[name] = {"dtype": values.dtype.str, "shape": list(values.shape[1:])}
        file.write(np.ascontiguousarray(values).tobytes())


def _open(folder: Path, key: str, *, mapped: bool = True) -> Prepared:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    arrays = {name: _map(folder / f"{name}.bin", facts) for name, facts in index["arrays"].items()}
    if not mapped:
        arrays = {name: np.array(values) for name, values in arrays.items()}
    offsets = dict(_with_suffix(arrays, ".offsets"))
    parts = offsets.pop(_EXAMPLES, None)
    return Prepared(
        key,
        arrays["rows"],
        arrays["full_lengths"],
        dict(_with_suffix(arrays, ".fixed")),
        dict(_with_suffix(arrays, ".flat")),
        offsets,
        parts,
    )


def _with_suffix(
    arrays: Mapping[str, NDArray[Any]], suffix: str
) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, values in arrays.items():
        if name.endswith(suffix):
            yield name.removesuffix(suffix), values


def _map(path: Path, facts: Mapping[str, Any]) -> NDArray[Any]:
    dtype, inner = np.dtype(facts["dtype"]), tuple(facts["shape"])
    count = path.stat().st_size // (dtype.itemsize * int(np.prod(inner, dtype=np.int64)))
    if count == 0:  # an empty file cannot be mapped
        return np.empty((0, *inner), dtype)
    # a plain view: every slice of a memmap would pay for a subclass
    return np.asarray(np.memmap(path, dtype, "r", shape=(count, *inner)))


def _keep_within(home: Path, limit: int, made: Path) -> None:
    """Drop what was used longest ago if a new set may exceed the limit.

    All sets are only looked at if the last sum and what this process added since exceed it, and
    every 64 sets, since other processes add some, too: thousands of shards may be there.
    """
    size, number = _sizes.get(home, (limit, 0))
    size += sum(file.lstat().st_size for file in made.iterdir())
    if size > limit or number % _LOOK_EVERY == 0:
        _remove_beyond(home, limit, except_for=made)
        size = sum(size for size, _used in _entries(home).values())
    _sizes[home] = (size, number + 1)


def _remove_unused(home: Path) -> None:
    """Drop sets that no run has touched for a month, and damaged ones after a week.

    One that is still mapped stays readable.
    """
    now = time.time()
    for path, (_size, used) in _entries(home).items():
        days = _DAMAGED_DAYS if path.name.startswith(".bad-") else _UNUSED_DAYS
        if used < now - days * 86_400:
            _drop(path)


def _remove_beyond(home: Path, limit: int, *, except_for: Path) -> None:
    """Drop damaged sets, then those used longest ago, until all take at most `limit` bytes."""
    entries = _entries(home)
    total = sum(size for size, _used in entries.values())
    others = [path for path in entries if path != except_for]
    for path in sorted(others, key=lambda path: (path.name[0] != ".", entries[path][1])):
        if total <= limit:
            return
        if _drop(path):
            total -= entries[path][0]


def _entries(home: Path) -> dict[Path, tuple[int, float]]:
    """Each set, whole or damaged, with its bytes and when it was used last. Links are not ours."""
    entries = {}
    for path in home.iterdir():
        if re.fullmatch(rf"{_KEY}|\.bad-{_KEY}-.*", path.name):
            with suppress(OSError):
                size = sum(file.lstat().st_size for file in path.iterdir()) if path.is_dir() else 0
                entries[path] = (size, path.lstat().st_mtime)
    return entries


def _drop(path: Path) -> bool:
    """Delete a set if the disk lets us: one that stays is no reason to stop."""
    try:
        atomic.discard(path)
    except ResourceError:
        return False
    return True
