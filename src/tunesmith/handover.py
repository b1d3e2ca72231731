"""Data and models as `datasets` and `transformers` take them, for code that is written with these.

from tunesmith import load_dataset, model_folder

raw_datasets = load_dataset("embedded:pairs")        # or load_dataset("glue", "mrpc")
tokenizer = AutoTokenizer.from_pretrained(model_folder("embedded:mini"))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tunesmith.data.columnar import HubSplit
from tunesmith.data.rows import Source
from tunesmith.data.sources import Options, open_splits
from tunesmith.errors import DataError, Place, Problem, nearest
from tunesmith.language import gettext as _
from tunesmith.model import locate
from tunesmith.quiet import quiet_datasets

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

__all__ = ["load_dataset", "model_folder"]


def load_dataset(
    path: str, name: str | None = None, *, split: str | None = None, revision: str | None = None
) -> DatasetDict | Dataset:
    """What `datasets.load_dataset` gives, also for embedded sets, files and folders.

    Class names become a `ClassLabel` with integers behind it. Rows that do not come from the Hub or
    from `save_to_disk` are held in memory.

    Args:
        path: a Hub name ("glue", "owner/name"), a file, a folder, or "embedded:NAME".
        name: configuration of a Hub data set, such as "mrpc".
        split: one of its splits; None for all.
        revision: branch, tag or commit of a Hub data set.

    Raises:
        DataError: it does not exist, cannot be read, or has no such split (D307).
        ResourceError: the Hub is out of reach.
    """
    splits = open_splits(path, Options(config=name, revision=revision))
    if split is None:
        from datasets import DatasetDict

        return DatasetDict({key: _dataset(source) for key, source in splits.items()})
    if split not in splits:
        close = nearest(split, splits)
        fix = _("Splits: {names}.").format(names=", ".join(splits))
        if close:
            fix = _('Did you mean "{name}"?').format(name=close[0]) + "\n" + fix
        problem = Problem(
            "D307", _('there is no split "{name}"').format(name=split), Place(path), fix=fix
        )
        raise DataError(problem)
    return _dataset(splits[split])


def model_folder(name: str, *, revision: str | None = None) -> str:
    """The folder that `from_pretrained` takes: of an embedded model, a run, or a Hub model.

    Only safetensors, tokenizer files and configuration are ever downloaded.

    Raises:
        ModelError: there is no such model, or it has no safetensors.
        ResourceError: the Hub is out of reach or wants a token.
    """
    return str(locate(name, revision=revision).folder)


def _dataset(source: Source) -> Any:
    if isinstance(source, HubSplit):
        return source.dataset.with_format(None)
    from datasets import ClassLabel, Dataset
    from datasets import List as ListOf

    columns = {column.name: list(_values(source, column.name)) for column in source.columns}
    with quiet_datasets():
        dataset = Dataset.from_dict(columns)
        for column in source.columns:
            if column.class_names is not None:
                label = ClassLabel(names=list(column.class_names))
                kind = ListOf(label) if column.type == "list" else label
                dataset = dataset.cast_column(column.name, kind)
    return dataset


def _values(source: Source, column: str) -> Iterator[object]:
    for chunk in source.chunks([column]):
        for row in chunk:
            yield row.values[column]
