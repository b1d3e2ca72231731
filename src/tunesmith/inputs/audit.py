"""The audit: problems of the rows as a whole, found in the pass that checks each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.rows import Source
from tunesmith.data.scan import Survey
from tunesmith.errors import Place, Problem
from tunesmith.inputs.column_stats import SourceStats, SplitStats
from tunesmith.inputs.label_checks import (
    class_problems,
    header_problem,
    label_set_problems,
    order_problem,
    spelling_problems,
    split_problems,
)
from tunesmith.inputs.label_misspellings import misspelling_problems
from tunesmith.inputs.leakage import across, within
from tunesmith.inputs.length_checks import (
    Lengths,
    Reader,
    estimated_length_problems,
    length_problems,
    measure,
    reader_of,
)
from tunesmith.inputs.resolve import ResolvedInputs, at_key
from tunesmith.inputs.text_checks import column_problems, swapped_problems
from tunesmith.tasks import Task

__all__ = ["Audit"]


@dataclass
class Audit:
    """Collects statistics of each source, and reports problems when all are read.

    Attributes:
        resolved: the resolved inputs.
        lengths: tokens per row of the training source, after `problems` and if the tokenizer of
            the model is on this machine.
    """

    resolved: ResolvedInputs
    lengths: Lengths | None = None
    _splits: dict[str, SplitStats] = field(default_factory=dict)

    def stats(self, source: Source) -> SourceStats:
        """Return empty statistics of a source."""
        task = self.resolved.task
        return SourceStats(source, task.roles, task.texts_of)

    def close(
        self, name: str, stats: SourceStats, survey: Survey, *, is_labeled: bool = True
    ) -> None:
        """Store the statistics of a source once all its rows are read."""
        if len(survey.text_hashes):
            self._splits[name] = stats.of_split(name, survey, is_labeled=is_labeled)

    def problems(
        self, task: Task, drawn: Mapping[str, NDArray[np.int64] | None]
    ) -> Iterator[Problem]:
        """Yield all problems.

        Args:
            task: fitted, if it could be.
            drawn: for each split of the training source the indices of its valid rows.
        """
        if "train" not in self._splits:
            return
        source = self._splits["train"]
        for split in self._splits.values():
            yield from split.stats.odd.problems()
            yield from within(split)
        yield from self._classes(source, task)
        yield from self._columns()
        parts = {name: source.select(name, places) for name, places in drawn.items()}
        train = parts.pop("train", source)
        others = [split for name, split in self._splits.items() if name != "train"]
        for split in (*parts.values(), *others):
            yield from across(
                train,
                split,
                allow_leak=self.resolved.recipe.data.allow_leak,
                group_column=task.group_column,
            )
            yield from split_problems(train, split)
        yield from self._model(source, task)

    def _classes(self, train: SplitStats, task: Task) -> Iterator[Problem]:
        source, settings = train.stats.source, self.resolved.recipe.data
        roles = self.resolved.task.roles
        place, counts, column = Place(source.name), train.counts(), str(roles.label)
        has_names = any(c.class_names for c in source.columns if c.name == column)
        labels = counts
        if task.needs_label and isinstance(roles.label, str) and not counts:
            labels = dict(task.label_counts)
            if task.output.column_type == "list":
                yield from label_set_problems(train.class_names, len(train.rows), column, place)
        if labels and not settings.labels and not has_names:
            yield from spelling_problems(labels, train.stats.label_kinds, column, place)
            yield from misspelling_problems(labels, column, place)
        if counts and not settings.labels and not has_names:
            names = [one.name for one in source.columns]
            yield from header_problem(counts, roles, names, place)
        yield from class_problems(counts, column, place)

    def _columns(self) -> Iterator[Problem]:
        train = self._splits["train"].stats
        yield from column_problems(train.columns, Place(train.source.name))
        for name, split in self._splits.items():
            if name != "train":
                place = Place(split.stats.source.name)
                yield from swapped_problems(train.columns, split.stats.columns, place)

    def _model(self, train: SplitStats, task: Task) -> Iterator[Problem]:
        recipe = self.resolved.recipe
        reader = reader_of(recipe.model, recipe.revision)
        place = Place(train.stats.source.name)
        if reader is None:
            sample, limit = train.stats.sample, recipe.train.max_length
            yield from estimated_length_problems(sample, limit, place, task)
            return
        limit = reader.limit(recipe.train.max_length)
        self.lengths = measure(reader, train.stats.sample, limit)
        yield from length_problems(self.lengths, reader.name, place, task)
        yield from self._label_order(reader, task)

    def _label_order(self, reader: Reader, task: Task) -> Iterator[Problem]:
        labels, own = task.output.labels, reader.files.config().get("id2label")
        if labels and isinstance(own, dict):
            problem = order_problem(labels, reader.name, own)
            if problem is not None:
                yield replace(at_key(problem, self.resolved.layers), severity=problem.severity)
