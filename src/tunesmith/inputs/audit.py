"""The audit: problems of the rows as a whole, found in the pass that checks each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.rows import Source
from tunesmith.data.scan import Survey
from tunesmith.errors import Place, Problem
from tunesmith.inputs.column_stats import Census, Part
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
        seen: the resolved inputs.
        lengths: tokens per row of the training source, after `problems` and if the tokenizer of
            the model is on this machine.
    """

    seen: ResolvedInputs
    lengths: Lengths | None = None
    _parts: dict[str, Part] = field(default_factory=dict)

    def census(self, source: Source) -> Census:
        """Return an empty census for the rows of one source."""
        return Census(source, self.seen.task.roles)

    def close(self, name: str, census: Census, survey: Survey, *, is_labeled: bool = True) -> None:
        """Store the census of a source once all its rows are read."""
        if len(survey.text_hashes):
            self._parts[name] = census.part(name, survey, is_labeled=is_labeled)

    def problems(
        self, task: Task, drawn: Mapping[str, NDArray[np.int64] | None]
    ) -> Iterator[Problem]:
        """Yield all problems.

        Args:
            task: fitted, if it could be.
            drawn: for each split of the training source the indices of its valid rows.
        """
        if "train" not in self._parts:
            return
        source = self._parts["train"]
        for part in self._parts.values():
            yield from part.census.odd.problems()
            yield from within(part)
        yield from self._classes(source, task)
        yield from self._columns()
        shares = {name: source.share(name, places) for name, places in drawn.items()}
        train = shares.pop("train", source)
        others = [part for name, part in self._parts.items() if name != "train"]
        for part in (*shares.values(), *others):
            yield from across(train, part, allow_leak=self.seen.recipe.data.allow_leak)
            yield from split_problems(train, part)
        yield from self._model(source, task)

    def _classes(self, train: Part, task: Task) -> Iterator[Problem]:
        source, settings = train.census.source, self.seen.recipe.data
        roles = self.seen.task.roles
        place, counts, column = Place(source.name), train.counts(), str(roles.label)
        has_names = any(c.class_names for c in source.columns if c.name == column)
        labels = counts
        if task.needs_label and isinstance(roles.label, str) and not counts:
            labels = dict(task.label_counts)
            yield from label_set_problems(train.class_names, len(train.rows), column, place)
        if labels and not settings.labels and not has_names:
            yield from spelling_problems(labels, train.census.label_kinds, column, place)
            yield from misspelling_problems(labels, column, place)
        if counts and not settings.labels and not has_names:
            names = [one.name for one in source.columns]
            yield from header_problem(counts, roles, names, place)
        yield from class_problems(counts, column, place)

    def _columns(self) -> Iterator[Problem]:
        train = self._parts["train"].census
        yield from column_problems(train.columns, Place(train.source.name))
        for name, part in self._parts.items():
            if name != "train":
                place = Place(part.census.source.name)
                yield from swapped_problems(train.columns, part.census.columns, place)

    def _model(self, train: Part, task: Task) -> Iterator[Problem]:
        recipe = self.seen.recipe
        reader = reader_of(recipe.model, recipe.revision)
        place = Place(train.census.source.name)
        if reader is None:
            sample, limit = train.census.sample, recipe.train.max_length
            yield from estimated_length_problems(sample, limit, place)
            return
        limit = reader.limit(recipe.train.max_length)
        self.lengths = measure(reader, train.census.sample, limit)
        yield from length_problems(self.lengths, reader.name, place)
        yield from self._label_order(reader, task)

    def _label_order(self, reader: Reader, task: Task) -> Iterator[Problem]:
        labels, own = task.output.labels, reader.files.config().get("id2label")
        if labels and isinstance(own, dict):
            problem = order_problem(labels, reader.name, own)
            if problem is not None:
                yield replace(at_key(problem, self.seen.layers), severity=problem.severity)
