"""Open data by name: files, folders, Hub data sets, embedded sets; or objects of Python."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.data.readers import hub_reader
from tunesmith.data.readers.class_folder import (
    SPLIT_WORDS,
    ClassFolder,
    class_folders,
    tables_among_classes,
)
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.readers.hub_reader import HubSplit
from tunesmith.data.readers.memory import Memory
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.registry import has_known_suffix, open_file, refuse_header
from tunesmith.data.rows import Concatenated, Source, Splits
from tunesmith.data.shapes import canonical
from tunesmith.data.wrapped import CustomSource, innermost
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.text import nearest, quoted

__all__ = [
    "detected",
    "from_python",
    "is_published",
    "looks_like_a_file",
    "open_source",
    "open_splits",
]

_DEFAULTS = ReadingOptions()


def open_splits(where: str | Sequence[str], options: ReadingOptions = _DEFAULTS) -> Splits:
    """Open a data set by name. A file, a list of files, or all that fit a pattern are "train".

    Rows that other tools wrote in shapes of their own become those that tasks read: see `shapes`.

    Raises:
        DataError: it does not exist, it cannot be read, or `options` name columns that it names
            itself (D114).
        ResourceError: the Hub cannot be reached.
    """
    return _canonical(_open_splits(where, options), options.offsets)


def _canonical(splits: Splits, offsets: str | None) -> Splits:
    return {name: canonical(source, offsets) for name, source in splits.items()}


def _open_splits(where: str | Sequence[str], options: ReadingOptions) -> Splits:
    if not isinstance(where, str):
        parts = [_first(_open_splits(name, options)) for name in where]
        return {"train": _concatenate(parts)}
    if where.startswith("embedded:"):
        from tunesmith.data.embedded import open_embedded

        refuse_header(where, options)
        return open_embedded(where.removeprefix("embedded:"))
    with coded(where, _("data"), (PermissionError, RuntimeError, ValueError)):
        path = Path(where).expanduser()
        if path.is_dir():
            return _open_folder(path, options)
        if path.exists():
            return {"train": open_file(path, options)}
        if files := _matching(path):
            return {"train": _concatenate([open_file(file, options) for file in files])}
    if looks_like_a_file(where):
        raise DataError(_no_such_file(path))
    refuse_header(where, options)
    return hub_reader.open_dataset(where, config=options.config, revision=options.revision)


def _matching(pattern: Path) -> list[Path]:
    """Return the files whose names fit a pattern such as data/*.parquet, in order."""
    if not any(sign in pattern.name for sign in "*?["):
        return []
    files = (path for path in pattern.parent.glob(pattern.name) if path.is_file())
    return sorted(files, key=lambda path: path.name)


def looks_like_a_file(where: str) -> bool:
    """Return whether a name can only be that of a local file or folder, not of a Hub data set."""
    if has_known_suffix(where, or_spreadsheet=True):
        return True
    if where.startswith((".", "/", "~")) or "\\" in where:
        return True
    return re.fullmatch(r"[\w.-]+(/[\w.-]+){0,2}", where) is None


def is_published(source: Source) -> bool:
    """Return whether a source is a published data set, not the user's own data.

    It still is if labels are corrected or normalized, or rows left out.
    """
    data = innermost(source)
    if isinstance(data, Concatenated):
        return all(map(is_published, data.parts))
    is_from_hub = isinstance(data, HubSplit) and data.revision is not None
    return is_from_hub or data.name.startswith("embedded:")


def from_python(data: object, name: str = "data", *, offsets: str | None = None) -> Splits:
    """Wrap data from Python.

    Args:
        data: a `datasets.Dataset` or `DatasetDict`, a list of dicts, a pandas frame, or a dict from
            split names to any of these.
        name: in messages.
        offsets: as in `ReadingOptions`.

    Raises:
        DataError: an object of another kind (D107).
    """
    if isinstance(data, Mapping):
        splits = {str(key): _one_object(value, f"{name}:{key}") for key, value in data.items()}
        return _canonical(splits, offsets)
    return _canonical({"train": _one_object(data, name)}, offsets)


def _one_object(data: Any, name: str) -> Source:
    if isinstance(data, list | tuple):
        return Memory.of_records(data, name)
    kind = f"{type(data).__module__.split('.')[0]}.{type(data).__name__}"
    if kind == "datasets.Dataset":
        return HubSplit.of(data, name)
    if kind == "pandas.DataFrame":
        return Memory.of_frame(data, name)
    if hasattr(data, "chunks") and hasattr(data, "places"):
        return data if kind.startswith("tunesmith.") else CustomSource(data)
    message = _("cannot read rows from {kind}").format(kind=kind)
    fix = _("Give a list of dicts, a pandas frame, a datasets.Dataset or DatasetDict.")
    raise DataError.of("D107", message, fix=fix)


def detected(source: Source) -> dict[str, str]:
    """Return the detected "encoding" and "delimiter" of a source, where all its files agree."""
    data = innermost(source)
    parts = data.parts if isinstance(data, Concatenated) else (data,)
    first, *others = [dict(getattr(innermost(part), "detected", {})) for part in parts]
    return {
        key: value
        for key, value in first.items()
        if all(other.get(key) == value for other in others)
    }


def _open_folder(path: Path, options: ReadingOptions) -> Splits:
    """A folder of `save_to_disk`, of files named after splits, or of classes."""
    if (path / "dataset_dict.json").is_file() or (path / "dataset_info.json").is_file():
        refuse_header(str(path), options)
        return hub_reader.open_saved(path)
    files = [file for file in path.iterdir() if file.is_file() and has_known_suffix(file.name)]
    files.sort(key=lambda file: file.name)  # by paths Windows would sort without regard to case
    named = {
        split: [file for file in files if re.split(r"[-_.]", file.name.lower())[0] in words]
        for split, words in SPLIT_WORDS.items()
    }
    if named["train"]:
        return {
            split: _concatenate([open_file(part, options) for part in parts])
            for split, parts in named.items()
            if parts
        }
    folders = class_folders(path)
    if not folders:
        raise DataError(_no_training_file(path, [file.name for file in files]))
    if tables := [file.name for file in files if file.suffix.lower() != ".txt"]:
        raise DataError(tables_among_classes(path, tables, folders))
    refuse_header(str(path), options)
    return {split: ClassFolder.open(folder, options.encoding) for split, folder in folders.items()}


def _no_training_file(path: Path, names: Sequence[str]) -> Problem:
    files = "\n" + _("Found: {names}.").format(names=quoted(names)) if names else ""
    return Problem(
        "D105",
        _("the folder holds no training file"),
        Place(str(path)),
        fix=_(
            "Name files train.*, validation.* and test.*, give the files themselves, or put a "
            ".txt file for each text into a folder named after its class."
        )
        + files,
    )


def open_source(where: str, options: ReadingOptions = _DEFAULTS) -> Source:
    """Open a data set by name; return its split "train", else its first one."""
    return _first(open_splits(where, options))


def _first(splits: Splits) -> Source:
    return splits["train"] if "train" in splits else next(iter(splits.values()))


def _concatenate(parts: Sequence[Source]) -> Source:
    if len(parts) == 1:
        return parts[0]
    first = {column.name for column in parts[0].columns}
    problems = []
    for part in parts[1:]:
        names = {column.name for column in part.columns}
        if names != first:
            problems.append(
                Problem(
                    "D306",
                    _("its columns differ from those of {first}").format(first=parts[0].name),
                    Place(part.name),
                    evidence=(
                        _("only here: {names}").format(names=quoted(sorted(names - first)) or "-"),
                        _("only there: {names}").format(names=quoted(sorted(first - names)) or "-"),
                    ),
                    fix=_("Give all files of a split the same columns."),
                )
            )
    if problems:
        raise DataError(problems)
    return Concatenated(tuple(parts))


def _no_such_file(path: Path) -> Problem:
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    close = nearest(path.name, siblings)
    if close:
        fix = _('Did you mean "{name}"?').format(name=path.parent / close[0])
    elif not path.parent.is_dir():
        fix = _("There is no folder {folder}.").format(folder=path.parent)
    else:
        fix = _("The folder holds {names}.").format(
            names=quoted(sorted(siblings), at_most=8) or "-"
        )
    return Problem("D105", _("no such file or folder"), Place(str(path)), fix=fix)
