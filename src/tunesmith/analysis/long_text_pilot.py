"""A short trial before a long run: do long texts gain by being read otherwise?

The same rows are learned with each way to read long texts, and scored on other long rows. The runs
are in a temporary folder and leave nothing behind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.compare import compare_runs
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import Column, Row
from tunesmith.errors import Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.inputs import ValidatedInputs
from tunesmith.metrics.differences import Difference
from tunesmith.recipe import KeyPath, gather
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.prepare import PreparedRun, prepare_run
from tunesmith.runs.signals import StopRequest
from tunesmith.runs.start import start
from tunesmith.runs.train import train_run

__all__ = ["WAYS", "Pilot", "run_pilot"]

WAYS = ("head", "head_tail", "windows")
"""Values of the option that are tried; the others are compared with the first."""
_OPTION = "long"
_FEWEST = 30
"""Long rows to score: of fewer, hardly a difference would be significant."""
_EPOCHS = 3


@dataclass(frozen=True)
class Pilot:
    """What came of it.

    Attributes:
        train: rows that were learned.
        train_long: how many of them are long.
        scored: long rows that were scored.
        limit: tokens that a sequence may have.
        tokens: of the scored rows as each way reads them.
        differences: of each other way to the first one, by score.
        score: the one that decides.
        best: the way that gains most of those that are significantly better than the first one; the
            first one if none is.
    """

    train: int
    train_long: int
    scored: int
    limit: int
    tokens: Mapping[str, int]
    differences: Mapping[str, Mapping[str, Difference]]
    score: str
    best: str

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def run_pilot(
    checked: ValidatedInputs, *, rows: int, say: Callable[[str], None] = lambda line: None
) -> Pilot:
    """Train briefly with each way to read long texts, and compare.

    Args:
        checked: the data and the recipe of the long run.
        rows: most rows to learn, half of them long if there are as many; half as many long rows
            are scored.
        say: called with a line before each training.

    Raises:
        RecipeError: the task has no such option (R225), or too few rows are long (R226).
    """
    task = checked.task
    if _OPTION not in type(task).options_type.model_fields:
        raise RecipeError.of(
            "R225",
            _("{task} has no ways to read long texts that could be compared").format(
                task=task.name
            ),
            fix=_("Leave out --pilot."),
        )
    job = prepare_run(checked)
    data, train_long = _sample(job, rows)
    scored = len(data["validation"].records)
    tokens, comparisons = {}, {}
    with tempfile.TemporaryDirectory(prefix="tunesmith-pilot-") as folder, StopRequest() as stop:
        for way in WAYS:
            layers = gather(recipe=checked.recipe, flags=_settings(checked, way), environment={})
            with start(layers, out=Path(folder) / way, data=data, named_after="pilot") as started:
                way_job = prepare_run(started.checked, revision=started.revision)
                tokens[way] = int(way_job.examples["validation"].lengths.sum())
                say(
                    _("{way}: {rows} rows, {tokens} tokens, {steps} steps").format(
                        way=way,
                        rows=len(data["train"].records),
                        tokens=int(way_job.examples["train"].lengths.sum()),
                        steps=way_job.plan.total_steps,
                    )
                )
                for _event in train_run(way_job, started.run, stop=stop):
                    pass
            if way != WAYS[0]:
                runs = [RunFolder(Path(folder) / name) for name in (WAYS[0], way)]
                comparisons[way] = compare_runs(*runs)["validation"].scores
    score = next(iter(comparisons[WAYS[-1]]))
    metric = task.metrics.get(score)
    return Pilot(
        train=len(data["train"].records),
        train_long=train_long,
        scored=scored,
        limit=job.max_length,
        tokens=tokens,
        differences=comparisons,
        score=score,
        best=_best(comparisons, score, 1 if metric is None or metric.higher_is_better else -1),
    )


def _best(comparisons: Mapping[str, Mapping[str, Difference]], score: str, sign: int) -> str:
    gains = {way: sign * names[score].change for way, names in comparisons.items()}
    better = [way for way, gain in gains.items() if gain > 0 and comparisons[way][score].is_sure]
    return max(better, key=lambda way: gains[way], default=WAYS[0])


def _settings(checked: ValidatedInputs, way: str) -> dict[KeyPath, tuple[str, object]]:
    """Recipe keys that differ from those of the long run: it ends early and keeps nothing."""
    values: dict[str, object] = {
        "data.train": "python", "data.validation": "validation", "data.test": None,
        "data.corrections": [], "data.labels": None, "data.positive_label": None,
        "data.allow_leak": True, f"options.{_OPTION}": way, "trackers": [],
        "train.max_steps": None, "train.epochs": min(_EPOCHS, checked.recipe.train.epochs),
        "train.evaluate_every": None, "train.select_by": None, "train.early_stopping": None,
        "train.save_every": None, "train.preflight": False,
    }  # fmt: skip
    return {tuple(key.split(".")): ("--pilot", value) for key, value in values.items()}


def _sample(job: PreparedRun, most: int) -> tuple[dict[str, Memory], int]:
    """Return rows to learn and long rows to score, and how many of the former are long."""
    examples = job.examples["train"]
    full = examples.prepared.full_lengths[examples.at(examples.row_starts)]
    is_long = full > job.max_length
    random = np.random.default_rng(job.recipe.data.seed)
    long, short = (random.permutation(examples.row_numbers[where]) for where in (is_long, ~is_long))
    scored = min(most // 2, len(long) // 3)
    if scored < _FEWEST:
        raise RecipeError.of(
            "R226",
            _("{count} rows are longer than {limit} tokens; a pilot needs {least} or more").format(
                count=len(long), limit=job.max_length, least=3 * _FEWEST
            ),
            Place(job.splits["train"].source.name),
            fix=_("Leave out --pilot: so few long rows change little."),
        )
    to_score, rest = long[:scored], long[scored:]
    learned_long = rest[: max(most // 2, most - len(short))]
    learned = np.concatenate([learned_long, short[: most - len(learned_long)]])
    return _as_splits(job, learned, to_score), len(learned_long)


def _as_splits(
    job: PreparedRun, learned: NDArray[np.int64], scored: NDArray[np.int64]
) -> dict[str, Memory]:
    """Return the rows; of those to score only rows with labels that are learned, too."""
    numbers = np.sort(np.concatenate([learned, scored])).tolist()
    rows = job.rows({"train": numbers})["train"]
    known = {name for number in learned.tolist() for name in job.task.labels_of(rows[number])}
    splits = {
        "train": [rows[number] for number in np.sort(learned).tolist()],
        "validation": [
            rows[number]
            for number in np.sort(scored).tolist()
            if known.issuperset(job.task.labels_of(rows[number]))
        ],
    }
    used = set(job.task.roles.columns)
    columns = tuple(c for c in job.splits["train"].source.columns if c.name in used)
    return {name: _in_memory(each, name, columns) for name, each in splits.items()}


def _in_memory(rows: Sequence[Row], name: str, columns: tuple[Column, ...]) -> Memory:
    return Memory([dict(row.values) for row in rows], f"pilot:{name}", columns)
