"""Whether training data is read shard by shard, and what is taken out of it beforehand.

Validation and test rows are held out by their numbers, and a sample of the training rows is what
checks, labels and baselines see.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.held_out import HeldOut
from tunesmith.data.rows import Source, first_rows
from tunesmith.data.shard_index import path_of
from tunesmith.data.sharded import Picked, Sharded, parts_of, unseekable_part
from tunesmith.errors import RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.recipe import Layers, Recipe
from tunesmith.rng import permuted, seed_of
from tunesmith.tasks import Task

__all__ = ["STREAMED_FROM", "Streaming", "default_share", "sharded_of", "streaming_of"]

STREAMED_FROM = 5_000_000
"""Above so many rows data is streamed, unless the recipe says otherwise or prevents it."""

_SHARD_ROWS, _SHARDS = 16_384, 32
_SAMPLE_ROWS, _SAMPLED_SHARDS = 200_000, 256
_MOST_HELD_OUT = 1_000_000
_HELD_OUT_ROWS = 20_000
"""Rows that validation takes if the recipe does not say."""


@dataclass(frozen=True)
class Streaming:
    """Training data that is read shard by shard.

    Attributes:
        source: all rows.
        held_out: those that are no training rows.
        sample: some training rows.
        window: rows that are shuffled together.
    """

    source: Sharded
    held_out: HeldOut
    sample: Picked
    window: int

    @property
    def num_rows(self) -> int:
        """Training rows."""
        return int(self.held_out.remaining.sum())

    @property
    def sampled_share(self) -> float:
        """The fraction of the training rows that is in the sample."""
        return len(self.sample.numbers) / max(1, self.num_rows)

    def picked(self, part: int) -> Picked:
        """Return the rows of a part that is held out, as a source."""
        return Picked(self.source, self.held_out.rows(part))


def _about_rows(source: Source) -> int:
    """Return about how many rows a source has, without reading it."""
    total = 0
    for part in parts_of(source):
        path = path_of(part)
        if path is None or not hasattr(part, "text"):
            total += part.marks().rows if getattr(part, "is_seekable", False) else 0  # type: ignore[attr-defined]
            continue
        rows = first_rows(part, 100)
        size = sum(len(str(value).encode()) + 1 for row in rows for value in row.values.values())
        total += path.stat().st_size * len(rows) // max(1, size)
    return total


def _reason_against(recipe: Recipe, source: Source, task: type[Task]) -> str | None:
    """Return why data cannot be read shard by shard, with what to do; None if it can."""
    part = unseekable_part(source)
    if part is not None:
        return _(
            "{name} can only be read from its start. Unpack it, or save it as Parquet, CSV or JSON "
            "lines."
        ).format(name=part.name)
    reasons = (
        (
            not task.one_example_per_row,
            _("{task} makes several examples of a row, or needs groups of rows.").format(
                task=task.name
            ),
        ),
        (
            recipe.train.sampling == "balanced",
            _("Balanced sampling needs the classes of all rows: set options.class_weights."),
        ),
        (
            recipe.data.on_bad_row == "quarantine",
            _("Bad rows are not collected while training: set data.on_bad_row to skip or fail."),
        ),
        (
            bool(recipe.data.corrections) or recipe.data.normalize_labels,
            _("Labels cannot be corrected on the way: save a corrected copy of the data."),
        ),
        (
            recipe.data.group is not None,
            _(
                "Rows are held out by their numbers, whatever their group: name files for "
                "validation and test, and leave out data.group."
            ),
        ),
    )
    return next((reason for applies, reason in reasons if applies), None)


def sharded_of(layers: Layers, recipe: Recipe, source: Source, task: type[Task]) -> Sharded | None:
    """Return data with the index of its files; None if it is read as a whole.

    Args:
        layers: where the values of the recipe come from.
        recipe: complete.
        source: of the training rows.
        task: what is learned.

    Raises:
        RecipeError: it is to be streamed, and cannot be (R231).
        DataError: some records cannot be read.
    """
    requested = recipe.data.streaming
    if requested is False:
        return None
    against = _reason_against(recipe, source, task)
    if against is not None:
        if requested is None:
            return None
        message = _("this data cannot be streamed")
        fix = _("Or leave out data.streaming: then all rows are tokenized before the first step.")
        problem = layers.problem("R231", message, "data", "streaming", fix=f"{against}\n{fix}")
        raise RecipeError(problem)
    if requested is None and _about_rows(source) < STREAMED_FROM // 2:
        return None
    shard_rows = max(1, min(_SHARD_ROWS, recipe.data.window // _SHARDS))
    sharded = Sharded.of(source, shard_rows, skips_bad=recipe.data.on_bad_row == "skip")
    return sharded if requested or sharded.num_rows > STREAMED_FROM else None


def default_share(num_rows: int, share: float) -> str | None:
    """Return the fraction of rows to validate on; None if the usual one is small enough."""
    if share * num_rows <= _HELD_OUT_ROWS:
        return None
    percent = 100 * _HELD_OUT_ROWS / num_rows
    digits = max(0, 1 - math.floor(math.log10(percent)))
    return f"{percent:.{digits}f}%"


def streaming_of(
    layers: Layers, recipe: Recipe, source: Sharded, fractions: Mapping[str, float]
) -> Streaming:
    """Return what is held out of the data, and a sample of the rest.

    Args:
        layers: where the values of the recipe come from.
        recipe: complete.
        source: of the training rows.
        fractions: of them that are held out, by split.

    Raises:
        RecipeError: more rows are held out than can be evaluated (R232).
    """
    for name, fraction in fractions.items():
        count = round(fraction * source.num_rows)
        if count > _MOST_HELD_OUT:
            message = _("{count} rows are too many to evaluate at once").format(count=count)
            fix = _("Write a smaller fraction, such as 0.1%: at most {most} rows.")
            fix = fix.format(most=_MOST_HELD_OUT)
            raise RecipeError(layers.problem("R232", message, "data", name, fix=fix))
    held_out = HeldOut.of(source.sizes, list(fractions.values()), recipe.data.seed)
    sample = Picked(source, _sampled(held_out, recipe.data.seed))
    return Streaming(source, held_out, sample, recipe.data.window)


def _sampled(held_out: HeldOut, seed: int) -> NDArray[np.int64]:
    """Return the numbers of some training rows, rising: a run of neighbors of each of many shards.

    Neighbors are read at once; that they resemble each other is why there are many shards.
    """
    shards = np.flatnonzero(held_out.sizes)
    count = min(len(shards), _SAMPLED_SHARDS)
    chosen = shards[np.sort(permuted(np.arange(count), len(shards), seed_of(seed, 2)))]
    length = -(-_SAMPLE_ROWS // max(1, count))
    chosen_rows = []
    for shard in chosen.tolist():
        size, first = int(held_out.sizes[shard]), int(held_out.firsts[shard])
        start = seed_of(seed, 3, shard) % max(1, size - length + 1)
        rows = np.arange(first + start, first + min(size, start + length), dtype=np.int64)
        taken = int(held_out.shares[:, shard].sum())
        if taken:
            training = held_out.training_rows(shard, np.arange(size - taken))
            rows = rows[np.isin(rows, training)]
        chosen_rows.append(rows)
    return np.concatenate(chosen_rows) if chosen_rows else np.empty(0, dtype=np.int64)
