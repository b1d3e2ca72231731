"""Data and models in the shapes of `datasets` and `transformers`, for code that uses these.

from tunesmith import load_dataset, model_folder

raw_datasets = load_dataset("embedded:pairs")        # or load_dataset("glue", "mrpc")
raw_datasets = load_dataset("tickets.csv", labels=["order", "repair"])
tokenizer = AutoTokenizer.from_pretrained(model_folder("embedded:mini"))

`load_dataset` returns a `datasets.Dataset`; `tunesmith.load_data` returns rows as
`tunesmith.train` reads them, with their line numbers, and never loads all of them at once.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.data.open import open_splits
from tunesmith.data.profile import profile
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.readers.hub_reader import HubSplit
from tunesmith.data.rows import Source, Splits
from tunesmith.errors import DataError, Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.models import locate
from tunesmith.recipe import DataSettings
from tunesmith.storage.library_logging import quiet_datasets
from tunesmith.tasks import suggest_label
from tunesmith.text import did_you_mean, quoted

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

__all__ = ["load_dataset", "model_folder"]

DataFiles = str | Path | Sequence[str | Path] | Mapping[str, str | Path | Sequence[str | Path]]

_READERS = ("csv", "json", "text", "parquet", "arrow")
"""The readers of `datasets.load_dataset`; here the format follows from the file itself."""


def load_dataset(
    path: str | Path,
    name: str | None = None,
    *,
    data_files: DataFiles | None = None,
    split: str | None = None,
    revision: str | None = None,
    labels: Sequence[str] | None = None,
    label: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    column_names: Sequence[str] | None = None,
) -> DatasetDict | Dataset:
    """Load what `datasets.load_dataset` loads, and embedded sets, files and folders.

    Class names of the Hub become a `ClassLabel` of integers, and so do the labels of your own file
    if `labels` names them: the models of transformers need integers. Rows are held in memory unless
    they come from the Hub or from `save_to_disk`.

    Args:
        path: a Hub name ("glue", "owner/name"), a file, a folder, "embedded:NAME", or, with
            `data_files`, "csv", "json", "text", "parquet" or "arrow".
        name: configuration of a Hub data set, such as "mrpc".
        data_files: a file or pattern, several, or a dict from split names to these; relative to
            `path` if that is a folder.
        split: one of its splits, or a part such as "train[:100]" or "train+test"; None for all.
        revision: branch, tag or commit of a Hub data set.
        labels: the class names, in the order of their integers.
        label: the column of the labels; None for the most likely one.
        encoding: of text files; None for UTF-8 or that of a byte-order mark.
        delimiter: between the fields of text tables.
        column_names: of text tables without a header line.

    Raises:
        DataError: it does not exist, cannot be read, has no such split (D307), or a label is not
            among `labels` (D206).
        RecipeError: `data_files` for a Hub data set (R156), or no label column (R157).
        ResourceError: the Hub cannot be reached.
    """
    header = None if column_names is None else tuple(column_names)
    options = ReadingOptions(encoding, delimiter, name, revision, header)
    sources = _open(path, data_files, options)
    chosen = _requested(split, sources, str(path))
    column = _label_column(sources, label, str(path)) if labels is not None else None
    made = {
        key: _dataset(source, column, tuple(labels or ()))
        for key, source in sources.items()
        if chosen is None or key in chosen
    }
    if split is not None:
        return made[split] if split in made else _cut(made, split, str(path))
    from datasets import DatasetDict

    return DatasetDict(made)


def model_folder(name: str, *, revision: str | None = None) -> str:
    """Return the folder of an embedded model, a run, or a Hub model, for `from_pretrained`.

    Only safetensors, tokenizer files and the configuration are downloaded.

    Raises:
        ModelError: there is no such model, or it has no safetensors.
        ResourceError: the Hub cannot be reached or requires a token.
    """
    return str(locate(name, revision=revision).folder)


def _open(path: str | Path, data_files: DataFiles | None, options: ReadingOptions) -> Splits:
    where = os.fspath(path)
    if data_files is None:
        return open_splits(where, options)
    folder = Path(where)
    if not folder.is_dir():
        if where not in _READERS:
            message = _("data_files is for a folder or for one of {names}")
            fix = _("Give the files alone: load_dataset({files}).").format(files=repr(data_files))
            names = quoted(_READERS)
            raise RecipeError.of("R156", message.format(names=names), Place(where), fix=fix)
        folder = Path()
    by_split = data_files if isinstance(data_files, Mapping) else {"train": data_files}
    return {
        str(split): open_splits(_files(folder, files), options)["train"]
        for split, files in by_split.items()
    }


def _files(folder: Path, files: str | Path | Sequence[str | Path]) -> list[str]:
    """Return the files of a split, with patterns expanded in order."""
    paths = []
    for file in [files] if isinstance(files, str | Path) else files:
        path = str(folder / file)
        expanded = sorted(glob.glob(path)) if glob.has_magic(path) else [path]  # noqa: PTH207
        paths += expanded or [path]  # a missing file is reported as it was written
    return paths


def _requested(split: str | None, sources: Splits, where: str) -> set[str] | None:
    """Return the splits that a request such as "train[:100]+test" names; None for all.

    Raises:
        DataError: there is no such split (D307).
    """
    if split is None or split in sources:
        return None if split is None else {split}
    names = {part.partition("[")[0].strip() for part in split.split("+")}
    for name in sorted(names - set(sources)):
        known = _("Splits: {names}.").format(names=", ".join(sources))
        fix = did_you_mean(name, sources, otherwise=known)
        message = _('there is no split "{name}"').format(name=name)
        raise DataError.of("D307", message, Place(where), fix=fix)
    return names


def _cut(made: Mapping[str, Dataset], split: str, where: str) -> Dataset:
    """Return a part of some splits, such as "train[:100]".

    Raises:
        DataError: `split` cannot be read (D307).
    """
    from datasets import ReadInstruction, concatenate_datasets

    lengths = {name: len(dataset) for name, dataset in made.items()}
    try:
        parts = ReadInstruction.from_spec(split).to_absolute(lengths)
    except (ValueError, AssertionError) as error:
        message = _('"{split}" is not a part of the data: {reason}')
        message = message.format(split=split, reason=str(error).split("\n")[0])
        fix = _("Write for example train[:100], train[:10%] or train+test.")
        raise DataError.of("D307", message, Place(where), fix=fix) from error
    pieces = [made[part.splitname].select(range(part.from_, part.to)) for part in parts]
    return pieces[0] if len(pieces) == 1 else concatenate_datasets(pieces)


def _label_column(sources: Splits, label: str | None, where: str) -> str:
    """Return the label column.

    Raises:
        RecipeError: there is none (R157).
    """
    source = next(iter(sources.values()))
    names = [column.name for column in source.columns]
    if label is None:
        label = suggest_label(profile(source, rows=1000), DataSettings(train=where))
        label = "label" if label is None and "label" in names else label
    if label in names:
        return label
    message = _("no column looks like labels")
    if label is not None:
        message = _('there is no column "{name}"').format(name=label)
    name_it = _("Name it: label={names}.").format(names=quoted(names))
    fix = did_you_mean(label or "", names, otherwise=name_it)
    raise RecipeError.of("R157", message, Place(where), fix=fix)


def _dataset(source: Source, label: str | None, labels: tuple[str, ...]) -> Dataset:
    from datasets import ClassLabel, Dataset
    from datasets import List as ListOf

    if isinstance(source, HubSplit) and label is None:
        return source.dataset.with_format(None)
    columns: dict[str, list[object]] = {column.name: [] for column in source.columns}
    for row in chain.from_iterable(source.chunks()):
        for name, values in columns.items():
            values.append(row.values[name])
    for column in source.columns:
        if column.type == "answers":
            columns[column.name] = [_as_lists(answers) for answers in columns[column.name]]
    class_names = {column.name: column.class_names for column in source.columns}
    if label is not None:
        columns[label] = _as_integers(columns[label], source, label, labels)
        class_names[label] = labels
    with quiet_datasets():
        dataset = Dataset.from_dict(columns)
        for column in source.columns:
            if (names := class_names[column.name]) is not None:
                kind: Any = ClassLabel(names=list(names))
                is_list = column.type == "list" or any(
                    isinstance(value, list) for value in columns[column.name][:100]
                )
                dataset = dataset.cast_column(column.name, ListOf(kind) if is_list else kind)
    return dataset


def _as_lists(answers: Any) -> object:
    """Return answers as the Hub's SQuAD has them: a list of texts, and one of their starts."""
    if not isinstance(answers, list):
        return answers
    return {key: [answer[key] for answer in answers] for key in ("text", "answer_start")}


def _as_integers(
    values: Sequence[object], source: Source, label: str, labels: tuple[str, ...]
) -> list[object]:
    """Return labels as their index among the class names; an integer stays if it is an index.

    Raises:
        DataError: a label is not among them (D206).
    """
    numbers = {name: number for number, name in enumerate(labels)}
    own_names = next(column.class_names for column in source.columns if column.name == label)
    unknown: dict[str, int] = {}

    def number_of(value: object, row: int) -> object:
        if value is None or value == "":
            return None
        if isinstance(value, list):
            return [number_of(item, row) for item in value]
        if own_names and isinstance(value, int) and 0 <= value < len(own_names):
            value = own_names[value]
        if str(value) in numbers:
            return numbers[str(value)]
        if isinstance(value, int) and 0 <= value < len(labels):
            return int(value)
        unknown.setdefault(str(value), row)
        return None

    integers = [number_of(value, row) for row, value in enumerate(values)]
    if unknown:
        word, row = next(iter(unknown.items()))
        known = _("Labels: {names}.").format(names=quoted(labels))
        message = _("{column} has labels that are not among those named: {names}").format(
            column=label, names=quoted(list(unknown), at_most=5)
        )
        place = source.places([row]).get(row, Place(source.name, row=row))
        fix = did_you_mean(word, labels, otherwise=known)
        raise DataError.of("D206", message, place, fix=fix)
    return integers
