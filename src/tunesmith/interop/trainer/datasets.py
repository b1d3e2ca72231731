"""A tokenized data set as batches, made by the script's collator."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import set_seed

from tunesmith.data.batches import Batch, LabelsAre, count_targets
from tunesmith.errors import DatasetError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.interop.trainer.arrow_batches import ArrowBatches
from tunesmith.interop.trainer.losses import shifts_labels
from tunesmith.interop.trainer.support import notice
from tunesmith.interop.trainer.unsupported import without_data
from tunesmith.rng import seed_of
from tunesmith.tasks import EVALUATION_SEED

__all__ = ["Collator", "DataSets", "Owner", "Rows", "each", "is_plain", "is_stream"]

Collator = Callable[[list[Any]], Mapping[str, Any]]


class Rows:
    """The rows of a data set, to be cut into batches.

    Attributes:
        name: "train", "evaluation" or "test", for messages.
        token_ids: every token id that occurs; None if that is not known.
        longest: the most tokens of a row, or of one that was left out; None if that is not known.
    """

    def __init__(
        self,
        data: Any,
        name: str,
        *,
        collate: Collator,
        columns: frozenset[str] | None,
        shifts: bool = False,
        main_input: str = "input_ids",
        pad_id: int | None = None,
    ) -> None:
        """Look at the columns; what the model does not take is left out, and said.

        Args:
            data: a `datasets.Dataset`, or anything with a length whose items are mappings.
            name: for messages.
            collate: makes tensors of a list of rows.
            columns: which to keep; None for all.
            shifts: whether the loss compares each label with the token before, so that the first
                of a row is no target.
            main_input: what the model is shown, to be counted.
            pad_id: the token that fills up rows, not to be counted where there is no mask.

        Raises:
            DatasetError: it has no length, no rows, or no column that the model takes (R133), or
                its labels are words (R158).
        """
        self.name = name
        self._collate = collate
        self._draws = not is_plain(collate)
        self._columns = columns
        self._shifts = shifts
        self._main_input, self._pad_id = main_input, pad_id
        if not hasattr(data, "__len__"):
            raise DatasetError(_without_length(name))
        if not len(data):
            fix = _("Pass a data set with rows.")
            raise DatasetError.of("R133", _("the data set has no rows"), Place(name), fix=fix)
        self._data = self._narrowed(data)
        if is_plain(collate):
            _refuse_words(self._data, name)
        self._arrow = ArrowBatches.of(self._data, collate)
        self._is_compared = False
        tokens = _token_column(self._data)
        self.token_ids = None if tokens is None else _token_ids(tokens)
        self.longest = None if tokens is None else _longest(tokens)

    def __len__(self) -> int:
        return len(self._data)

    def _narrowed(self, data: Any) -> Any:
        """The data without the columns that the model does not take."""
        first = data.column_names if hasattr(data, "column_names") else data[0]
        if self._columns is None or not isinstance(first, list | Mapping):
            return data
        extra = [column for column in first if column not in self._columns]
        if len(extra) == len(list(first)):
            raise DatasetError(_without_columns(self.name, extra, self._columns))
        if extra:
            notice(
                _("{data} data: columns that the model does not take are left out: {names}").format(
                    data=self.name, names=", ".join(extra)
                )
            )
        return data.remove_columns(extra) if hasattr(data, "remove_columns") else data

    def collated(self, places: Sequence[int]) -> Mapping[str, Any]:
        """The tensors that the collator makes of some rows."""
        fetch = getattr(self._data, "__getitems__", None)
        rows = fetch(places) if fetch else [self._data[place] for place in places]
        if self._columns is not None:
            rows = [
                {name: value for name, value in row.items() if name in self._columns}
                if isinstance(row, Mapping)
                else row
                for row in rows
            ]
        return self._collate(rows)

    def batch(self, places: NDArray[np.int64], *, seed: int, is_dummy: bool = False) -> Batch:
        """The same for one forward pass.

        Args:
            places: which rows, shape (B,).
            seed: of what a collator draws, such as hidden words.
            is_dummy: True to make a batch whose targets do not count.
        """
        if self._draws:
            set_seed(seed % 2**32)
        inputs = self._tensors(places.tolist())
        labels = inputs.pop("labels", None)
        targets = len(places) if labels is None else self._count(labels)
        return Batch(
            inputs, labels, 0 if is_dummy else targets, self._tokens(inputs), places,
            is_dummy=is_dummy, labels_are=self._labels_are(inputs, labels),
        )  # fmt: skip

    def _tensors(self, places: Sequence[int]) -> dict[str, Any]:
        """As the collator makes them; from Arrow, once that was seen to give the same."""
        if self._arrow is not None and self._is_compared:
            tensors = self._arrow.tensors(places)
            if tensors is not None:
                return dict(tensors)
        made = dict(self.collated(places))
        if self._arrow is not None and not self._is_compared:
            self._is_compared = True
            self._arrow = self._arrow if self._arrow.agrees(places, made) else None
        return made

    def _labels_are(self, inputs: Mapping[str, Any], labels: Any) -> LabelsAre:
        """What a collator does not say: classes of the shape of the tokens are one per token."""
        shown = inputs.get(self._main_input)
        if isinstance(labels, torch.Tensor) and isinstance(shown, torch.Tensor):
            is_per_token = labels.shape[1:] == shown.shape[1:] and not labels.is_floating_point()
            return "token" if is_per_token else "example"
        return "example"

    def _tokens(self, inputs: Mapping[str, Any]) -> int:
        """What is no padding: by the mask, else by the padding token, else everything."""
        mask, shown = inputs.get("attention_mask"), inputs.get(self._main_input)
        if mask is not None:
            return int(mask.sum())
        if shown is None:
            return 0
        return int(shown.numel() if self._pad_id is None else (shown != self._pad_id).sum())

    def size_of(self, batch: Batch) -> int:
        """The entries of what the model is shown, padding included; 0 if it is not there."""
        shown = batch.inputs.get(self._main_input)
        return 0 if shown is None else int(shown.numel())

    def _count(self, labels: torch.Tensor) -> int:
        shifted = labels[..., 1:] if self._shifts else labels
        return count_targets(shifted)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows in batches, in their order."""
        for start in range(0, len(self), batch_size):
            places = np.arange(start, min(start + batch_size, len(self)))
            yield self.batch(places, seed=seed_of(EVALUATION_SEED, start))


class Owner(Protocol):
    """A Trainer as far as its rows follow from it; what a script sets later counts from then on."""

    model: Any
    args: Any
    data_collator: Any
    processing_class: Any
    label_names: Sequence[str]
    train_dataset: Any
    eval_dataset: Any


class DataSets:
    """The rows of each data set that a Trainer is given, looked at once.

    Those of the Trainer's own data sets are kept, and of others the latest.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._rows: dict[tuple[int, int, str], tuple[Any, Rows]] = {}

    def rows(self, data: Any, name: str) -> Rows:
        """The rows of a data set.

        Args:
            data: the data set.
            name: "train", "evaluation" or "test", for messages.

        Raises:
            ArgumentError: there is none (R135).
            DatasetError: as `Rows` does.
        """
        if data is None:
            raise without_data(name)
        owner = self._owner
        key = (id(data), id(owner.data_collator), name)
        if key not in self._rows:  # the data set is held, so that its id stays its own
            rows = self._look(data, name)
            own = {id(one) for one in (owner.train_dataset, *each(owner.eval_dataset))}
            self._rows = {k: entry for k, entry in self._rows.items() if k[0] in own}
            self._rows[key] = data, rows
        return self._rows[key][1]

    def _look(self, data: Any, name: str) -> Rows:
        owner = self._owner
        columns = _accepted_columns(owner.model, owner.label_names)
        return Rows(
            data, name,
            collate=owner.data_collator,
            columns=columns if owner.args.remove_unused_columns else None,
            shifts=shifts_labels(owner.model),
            main_input=getattr(owner.model, "main_input_name", "input_ids"),
            pad_id=getattr(owner.processing_class, "pad_token_id", None),
        )  # fmt: skip


def each(data: Any) -> list[Any]:
    """A data set, or those of a dictionary of several; none of None."""
    if data is None:
        return []
    return list(data.values()) if isinstance(data, dict) else [data]


def is_stream(data: Any) -> bool:
    """Whether rows come one after the other, so that none can be asked for by its place."""
    return isinstance(data, torch.utils.data.IterableDataset) or not hasattr(data, "__len__")


def _accepted_columns(model: Any, label_names: Iterable[str]) -> frozenset[str]:
    """The columns that a model takes, and the names that collators make labels of."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    taken = inspect.signature(inner.forward).parameters
    return frozenset({*taken, "label", "label_ids", *label_names})


def _refuse_words(data: Any, name: str) -> None:
    """Labels must be numbers before a collator makes tensors of them.

    Raises:
        DatasetError: they are words (R158).
    """
    first = data[0]
    if not isinstance(first, Mapping):
        return
    for column in ("labels", "label"):
        value = first.get(column)
        word = value[0] if isinstance(value, list) and value else value
        if isinstance(word, str):
            raise DatasetError.of(
                "R158",
                _('the labels are words, such as "{word}"').format(word=word),
                Place(f"{name}.{column}"),
                fix=_(
                    'Read the file with tunesmith.load_dataset(FILE, labels=["…", "…"]), or '
                    'call dataset.class_encode_column("{column}").'
                ).format(column=column),
            )


def is_plain(collate: object) -> bool:
    """Whether a collator pads and does nothing else, so that rows stay what they are."""
    from transformers import DataCollatorForTokenClassification, DataCollatorWithPadding
    from transformers.data.data_collator import DefaultDataCollator, default_data_collator

    known = (DataCollatorWithPadding, DataCollatorForTokenClassification, DefaultDataCollator)
    return collate is default_data_collator or type(collate) in known


def _token_column(data: Any) -> Any:
    """Return the token ids of an Arrow data set; None if rows are made on the way out."""
    if "input_ids" not in getattr(data, "column_names", ()) or data.format["type"] == "custom":
        return None
    return data.data.column("input_ids")


def _longest(column: Any) -> int | None:
    """Return the most tokens of a row of a column; None if its rows are no lists of tokens."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_nested(column.type) or pa.types.is_nested(column.type.value_type):
        return None
    longest: int | None = pc.max(pc.list_value_length(column)).as_py()
    return longest


def _token_ids(column: Any) -> set[int]:
    """Return every token id of a column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    while pa.types.is_nested(column.type):
        column = pc.list_flatten(column)
    return set(pc.unique(column).to_pylist())


def _without_length(name: str) -> Problem:
    return Problem(
        "R133",
        _("the data set has no length: the order of rows and the number of steps follow from it"),
        Place(name),
        fix=_("Read a stream into a data set first, for example with Dataset.from_generator."),
    )


def _without_columns(name: str, columns: Sequence[str], taken: frozenset[str]) -> Problem:
    return Problem(
        "R133",
        _("no column is one that the model takes; found: {names}").format(names=", ".join(columns)),
        Place(name),
        evidence=(_("the model takes {names}").format(names=", ".join(sorted(taken))),),
        fix=_("Tokenize the texts first, or pass remove_unused_columns=False."),
    )
