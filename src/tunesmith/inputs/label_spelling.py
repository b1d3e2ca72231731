"""Normalization of labels that differ only by case, width, white space or invisible characters.

The data itself is never changed. Labels are normalized as the rows are read, so classes, splits,
hashes and caches follow from one spelling.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.data.labels import label_key, spelled
from tunesmith.data.rows import Row, Source, readable_rows
from tunesmith.data.wrapped import WrappedSource
from tunesmith.errors import Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.tasks import Task
from tunesmith.text import quoted

__all__ = ["NormalizedLabels", "normalize_labels"]

_SHOWN = 10


def normalize_labels(
    task: Task, sources: Mapping[str, Source], *, known: Sequence[str] = ()
) -> dict[str, Source]:
    """Return the sources with one spelling for each class or label.

    The most frequent spelling of the training rows wins, of equally frequent ones the first in
    order; a known spelling wins over both.

    Args:
        task: its columns hold the labels.
        sources: with "train", whose labels count, if there are training rows.
        known: labels with the right spelling, from the recipe or a finished model.

    Raises:
        RecipeError: the task has no labels with names in its rows (R190), or two known ones differ
            in spelling only (R191).
    """
    if not task.has_named_labels:
        raise RecipeError.of(
            "R190",
            _("{task} has no class names in its rows that could be normalized").format(
                task=task.name
            ),
            Place("data.normalize_labels"),
            fix=_("Remove data.normalize_labels."),
        )
    spellings = {name: _spellings(source, task) for name, source in sources.items()}
    winners = {**_winners(spellings.get("train", Counter())), **_by_key(known)}
    return {
        name: NormalizedLabels.of(source, task, winners, spellings[name])
        for name, source in sources.items()
    }


def _spellings(source: Source, task: Task) -> Counter[str]:
    """How often each label occurs, as it is written, in the rows that can be read."""
    names = {column.name for column in source.columns}
    columns = [name for name in task.roles.label_columns if name in names]
    if not columns:
        return Counter()
    return Counter(name for row in readable_rows(source, columns) for name in task.labels_of(row))


def _winners(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the spelling of each label, by its `label_key`."""
    winners: dict[str, str] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        winners.setdefault(label_key(name), name)
    return winners


def _by_key(known: Sequence[str]) -> dict[str, str]:
    by_key: dict[str, str] = {}
    for name in known:
        other = by_key.setdefault(label_key(name), name)
        if other != name:
            raise RecipeError.of(
                "R191",
                _("{names} differ in spelling only").format(names=quoted([other, name])),
                Place("data.labels"),
                fix=_("Keep one of them, or remove data.normalize_labels."),
            )
    return by_key


@dataclass(frozen=True)
class NormalizedLabels(WrappedSource):
    """A source with one spelling of each label.

    Attributes:
        task: reads the labels of a row.
        spelling: the right one of each label that is spelled otherwise.
    """

    task: Task
    spelling: Mapping[str, str]

    @classmethod
    def of(
        cls,
        source: Source,
        task: Task,
        winners: Mapping[str, str],
        counts: Mapping[str, int],
    ) -> NormalizedLabels:
        """Normalize the labels of a source.

        Args:
            source: the rows.
            task: reads the labels of a row.
            winners: the right spelling by `label_key`.
            counts: how often each label of the source occurs.
        """
        right = {name: winners.get(label_key(name), name) for name in counts}
        spelling = {name: wins for name, wins in right.items() if name != wins}
        said = (f"{source.name}: {_describe(spelling, counts)}",) if spelling else ()
        return cls(source, task, spelling, own_notes=said)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows, normalized."""
        label = self.task.roles.label_columns
        applies = self.spelling and (columns is None or set(label) <= set(columns))
        for chunk in self.source.chunks(columns):
            yield [self._normalized(row) for row in chunk] if applies else chunk

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """Return the same numbers: no row is left out."""
        return {index: index for index in indices}

    def _normalized(self, row: Row) -> Row:
        names = self.task.labels_of(row)
        right = tuple(dict.fromkeys(self.spelling.get(name, name) for name in names))
        return (
            row
            if right == names
            else Row(row.index, {**row.values, **self.task.label_values(right)})
        )


def _describe(spelling: Mapping[str, str], counts: Mapping[str, int]) -> str:
    """Say which spellings were joined, the most frequent first."""
    names = sorted(spelling, key=lambda name: (-counts[name], name))
    shown = ", ".join(
        f'"{spelled(name)}" ({counts[name]}) → "{spelled(spelling[name])}"'
        for name in names[:_SHOWN]
    )
    if len(names) > _SHOWN:
        shown += ", " + _("and {count} more").format(count=len(names) - _SHOWN)
    return _("labels normalized: {names}").format(names=shown)
