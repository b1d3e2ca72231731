"""Data sets of the library `datasets`: from the Hugging Face Hub, from `save_to_disk`, from Python.

The library itself reads `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and the like. The
revision is resolved to a commit once, so that a run records what it read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.readers.arrow_rows import rows_of, type_name
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.rows import CHUNK_ROWS, Column, Marks, NumberedRows, Row, Splits, selected
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.storage.hub import resolve_commit, with_retries
from tunesmith.storage.hub_errors import valid_responses
from tunesmith.storage.library_logging import quiet_datasets
from tunesmith.text import nearest

__all__ = ["HubSplit", "open_dataset", "open_saved", "repository_and_config"]

OLD_NAMES = {"glue": "nyu-mll/glue", "super_glue": "aps/super_glue"}
"""Names from before data sets had owners; the course writes them so."""


@dataclass(frozen=True)
class HubSplit(NumberedRows):
    """One split of a `datasets` data set: from the Hub, from `save_to_disk`, or from Python.

    Attributes:
        dataset: a `datasets.Dataset`, which maps its file into memory.
        name: the data set and the split.
        revision: the commit, if it is from the Hub.
        repository: on the Hub, without the configuration.
    """

    dataset: Any
    name: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    revision: str | None = None
    repository: str | None = None

    @classmethod
    def of(
        cls, dataset: Any, name: str, *, revision: str | None = None, repository: str | None = None
    ) -> HubSplit:
        """Wrap a `datasets.Dataset`."""
        columns = tuple(_feature_column(key, kind) for key, kind in dataset.features.items())
        rows = dataset.with_format("arrow")
        return cls(rows, name, columns, revision=revision, repository=repository)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows, read chunk by chunk from the mapped file."""
        return self.chunks_from((0,), columns)

    @property
    def is_seekable(self) -> bool:
        """Always: it is mapped."""
        return True

    def marks(self) -> Marks:
        """Return where chunks of rows begin; nothing is read."""
        starts = range(0, max(1, len(self.dataset)), CHUNK_ROWS)
        return Marks(len(self.dataset), starts, [(start,) for start in starts])

    def chunks_from(
        self,
        mark: tuple[int, ...],
        columns: Collection[str] | None = None,
        count: int | None = None,
    ) -> Iterator[Sequence[Row]]:
        """Yield the rows from a number on, numbered from 0."""
        names = selected(self.columns, columns)
        chosen = self.dataset.select_columns(names) if names else self.dataset
        with coded(self.name, "Arrow"):
            tables = (
                chosen[start : start + CHUNK_ROWS]
                for start in range(mark[0], len(self.dataset), CHUNK_ROWS)
            )
            batches = (batch for table in tables for batch in table.to_batches())
            yield from rows_of(batches, names, self.name)

    def places_from(self, mark: tuple[int, ...], indices: Collection[int]) -> dict[int, Place]:
        """Return the numbers of some rows, which are numbered from a mark on."""
        return {index: Place(self.name, row=mark[0] + index) for index in indices}


def _feature_column(name: str, feature: Any) -> Column:
    inner = getattr(feature, "feature", None)
    own_names, item_names = getattr(feature, "names", None), getattr(inner, "names", None)
    if own_names is not None:
        return Column(name, "ClassLabel", tuple(own_names))
    if inner is not None or isinstance(feature, list):
        return Column(name, "list", tuple(item_names) if item_names else None)
    try:
        return Column(name, type_name(feature.pa_type))
    except AttributeError:
        return Column(name, type(feature).__name__)


def open_dataset(name: str, *, config: str | None, revision: str | None) -> Splits:
    """Open a Hub data set: `owner/name`, `owner/name/config`, or an old name with its config.

    Raises:
        DataError: no such data set, configuration or split.
        ResourceError: the Hub cannot be reached, or asks for a token.
    """
    repository, config = repository_and_config(name, config)
    commit = resolve_commit(repository, kind="dataset", revision=revision)
    with valid_responses(repository, "dataset"):
        loaded = _loaded(repository, config, commit)
    label = f"{repository}/{config}" if config else repository
    return {
        split: HubSplit.of(dataset, f"{label}:{split}", revision=commit, repository=repository)
        for split, dataset in loaded.items()
    }


def _loaded(repository: str, config: str | None, commit: str | None) -> Any:
    import datasets

    try:
        with quiet_datasets():
            return with_retries(
                lambda: datasets.load_dataset(repository, config, revision=commit),
                repository,
                kind="dataset",
            )
    except datasets.exceptions.DatasetNotFoundError as error:
        raise DataError.of(
            "D105", _("there is no such data set"), Place(repository), fix=str(error)
        ) from error
    except (ValueError, datasets.exceptions.DataFilesNotFoundError) as error:
        raise DataError(_unreadable(repository, config, error)) from error


def open_saved(path: Path) -> Splits:
    """Open a folder that `save_to_disk` of the `datasets` library wrote."""
    import datasets

    with coded(str(path), _("data set")):
        loaded = datasets.load_from_disk(str(path))
    if isinstance(loaded, datasets.Dataset):
        return {"train": HubSplit.of(loaded, str(path))}
    return {split: HubSplit.of(dataset, f"{path}:{split}") for split, dataset in loaded.items()}


def repository_and_config(name: str, config: str | None) -> tuple[str, str | None]:
    """Return the repository and configuration, for `load_dataset`, of a data set in a recipe."""
    parts = name.split("/")
    if parts[0] in OLD_NAMES and len(parts) <= 2:
        return OLD_NAMES[parts[0]], parts[1] if len(parts) == 2 else config
    if len(parts) == 3:
        return "/".join(parts[:2]), parts[2]
    return name, config


def _unreadable(repository: str, config: str | None, error: Exception) -> Problem:
    known = _configs(repository)
    close = nearest(config or "", known)
    message = (
        _('there is no configuration "{config}"').format(config=config)
        if config
        else _("it has several configurations; name one")
    )
    if not known:
        message = str(error).splitlines()[0]
    fix = _('Did you mean "{name}"?').format(name=f"{repository}/{close[0]}") if close else None
    if known and not fix:
        fix = _("Configurations: {names}.").format(names=", ".join(known[:30]))
    return Problem("D108", message, Place(repository), fix=fix)


def _configs(repository: str) -> list[str]:
    import datasets

    try:
        names: Any = datasets.get_dataset_config_names(repository)
        return list(names)
    except Exception:  # only for a better hint; the caller raises the real error
        return []
