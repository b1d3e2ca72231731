"""A validated recipe prepared for training: tokenized rows, plan and metrics."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples, Padding, make_batch
from tunesmith.data.rows import Rejected, Row
from tunesmith.errors import DataError, Place, Problem, RecipeError, Severity, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext, split_name
from tunesmith.inputs import Split, ValidatedInputs
from tunesmith.inputs.resolve import no_token
from tunesmith.metrics.scores import Metric
from tunesmith.models import ModelFiles, load_tokenizer, locate, longest_input
from tunesmith.recipe import Layers, Recipe
from tunesmith.runs.fingerprint import hash_of, lasting_settings, versions
from tunesmith.runs.model_selection import choose_scores
from tunesmith.runs.rows import rows_by_number
from tunesmith.runs.tokenize import order_of, tokenize, tokenizer_identity
from tunesmith.runs.trackers import check_trackers
from tunesmith.tasks import Task
from tunesmith.training.early_stopping import ModelSelection
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.plan import Plan, make_plan
from tunesmith.training.shuffling import BalancedClasses

__all__ = ["PreparedRun", "prepare_run"]


@dataclass(frozen=True)
class PreparedRun:
    """Everything that training needs and that does not change while it trains.

    Attributes:
        recipe: whole.
        layers: where each value comes from.
        task: fitted.
        files: the pretrained model.
        tokenizer: its tokenizer.
        max_length: tokens per row; longer rows are cut.
        padding: how batches are filled.
        splits: the rows of each split.
        examples: the same, tokenized.
        plan: what follows from recipe and data.
        metrics: what is computed at each evaluation.
        selection: which score chooses; None keeps the last weights.
        fingerprint: what the run's numbers depend on, without the machine.
        notes: what was chosen and found, a line each.
        warnings: what is odd but does not stop.
        rejected: rows that were left out and are to be written down, each with its split.
    """

    recipe: Recipe
    layers: Layers
    task: Task
    files: ModelFiles
    tokenizer: Any
    max_length: int
    padding: Padding
    splits: Mapping[str, Split]
    examples: Mapping[str, Examples]
    plan: Plan
    metrics: Sequence[Metric]
    selection: ModelSelection | None
    fingerprint: Mapping[str, Any]
    notes: Sequence[str]
    warnings: Sequence[Problem]
    rejected: Sequence[tuple[str, Rejected]] = ()

    def rows(self, numbers: Mapping[str, Collection[int]]) -> dict[str, dict[int, Row]]:
        """Some rows of some splits with the used columns, by their number in the source.

        A source that several splits share is read once.

        Raises:
            IntegrityError: the data is not what was surveyed (D160).
        """
        return rows_by_number(self.splits, self.task.roles, numbers)

    def truth(self, split: str, examples: Examples | None = None) -> NDArray[Any]:
        """The true answers of the rows of a labeled split, or of the rows of some examples.

        Raises:
            IntegrityError: the data is not what was surveyed (D160).
        """
        examples = examples or self.examples[split]

        def rows() -> Iterator[Row]:
            numbers = examples.row_numbers.tolist()
            by_number = self.rows({split: numbers})[split]
            yield from (by_number[number] for number in numbers)

        return self.task.truth(examples, rows())

    def places_of(self, split: str, rows: Sequence[int]) -> list[Place]:
        """Where source rows of a split are, for messages; by their number if it cannot be read."""
        source = self.splits[split].source
        known: Mapping[int, Place] = {}
        with suppress(TunesmithError):
            known = source.places(rows)
        return [known.get(row, Place(source.name, row=row)) for row in rows]

    def sample_batch(self, places: NDArray[Any]) -> Batch:
        """Some of the training examples that lengths are known of, as in a first step."""
        batch = make_batch(self.examples["train"].sample, places, self.padding)
        return self.task.corrupt(batch, seed=self.plan.draw_seed(0))

    def batch(self, step: int, places: NDArray[Any], *, is_dummy: bool = False) -> Batch:
        """Some training examples, with what chance decides about them in a step."""
        batch = make_batch(self.examples["train"], places, self.padding, is_dummy=is_dummy)
        return self.task.corrupt(batch, seed=self.plan.draw_seed(step))

    def placed(
        self, error: OneRowTooLarge, split: str, examples: Examples | None = None
    ) -> OneRowTooLarge:
        """The same error, with the place of the row in its file unless it has one."""
        if error.place is not None:
            return error
        row = int((examples or self.examples[split]).rows[error.example])
        return error.at(self.places_of(split, [row])[0])


def prepare_run(
    checked: ValidatedInputs,
    *,
    num_processes: int = 1,
    custom_metrics: bool = False,
    revision: str | None = None,
) -> PreparedRun:
    """Find the model, tokenize what is not tokenized yet, derive the plan.

    Args:
        checked: from `validate_inputs`.
        num_processes: processes that share each step.
        custom_metrics: whether `compute_metrics` brings scores that only it knows.
        revision: the commit of the model that the run began with; None for the recipe's.

    Raises:
        TunesmithError: the model, a score or a tracker does not exist or does not fit.
    """
    recipe, task = checked.recipe, checked.task
    check_trackers(recipe.trackers)
    metrics, selection = choose_scores(checked, custom_metrics=custom_metrics)
    assert recipe.model is not None  # noqa: S101 - filled in by `resolve_inputs`
    files = locate(recipe.model, revision=revision or recipe.revision)
    tokenizer = load_tokenizer(files)
    task = task.with_tokenizer(tokenizer)
    limit = longest_input(files, tokenizer)
    max_length = min(recipe.train.max_length or task.default_length or limit, limit)
    identity = tokenizer_identity(tokenizer)
    examples = tokenize(checked, task, tokenizer, max_length, identity)
    for name, split_examples in examples.items():
        if not len(split_examples):
            source = checked.splits[name].source
            raise DataError(no_token(source))
    plan = make_plan(
        recipe.train,
        num_examples=len(examples["train"]),
        num_processes=num_processes,
        classes=_classes(checked, examples["train"]),
        order=order_of(examples["train"]),
    )
    notes = [*checked.notes, *_notes(checked, examples, max_length), *_repetition(plan)]
    warnings = list(checked.warnings)
    if recipe.train.max_length and recipe.train.max_length > limit:
        warnings.append(
            Problem(
                "M119",
                _("train.max_length is {asked}, {model} takes at most {limit}").format(
                    asked=recipe.train.max_length, model=files.name, limit=limit
                ),
                fix=_("The limit of the model is used. Lower train.max_length."),
                severity=Severity.WARNING,
            )
        )
    fingerprint = {
        "recipe": lasting_settings(recipe),
        "data": {name: split.digest for name, split in checked.splits.items()},
        "tokenizer": identity,
        "model": {
            "name": files.name,
            "revision": files.revision,
            "config": hash_of(files.config()),
            "files": files.fingerprint(),
        },
        "versions": versions(),
    }
    return PreparedRun(
        recipe=recipe,
        layers=checked.layers,
        task=task,
        files=files,
        tokenizer=tokenizer,
        max_length=max_length,
        padding=Padding.of(tokenizer),
        splits=checked.splits,
        examples=examples,
        plan=plan,
        metrics=metrics,
        selection=selection,
        fingerprint=fingerprint,
        notes=notes,
        warnings=warnings,
        rejected=checked.rejected,
    )


def _classes(checked: ValidatedInputs, examples: Examples) -> BalancedClasses | None:
    """The classes of the training examples, if their shares are to be equal.

    Raises:
        RecipeError: the rows have no classes (R189).
    """
    if checked.recipe.train.sampling == "natural":
        return None
    labels = examples.prepared.fixed.get("labels")
    if labels is None or labels.ndim > 1 or labels.dtype.kind not in "iu":
        raise RecipeError(
            checked.layers.problem(
                "R189",
                _("balanced sampling needs one class per row; {task} has none").format(
                    task=checked.task.name
                ),
                "train",
                "sampling",
                fix=_("Several labels per row can be weighted: options.class_weights=balanced.")
                if labels is not None and labels.ndim > 1
                else _("Set train.sampling to natural."),
            )
        )
    return BalancedClasses.of(examples.labels)


def _repetition(plan: Plan) -> list[str]:
    """Return what balanced sampling does, as text."""
    if plan.classes is None:
        return []
    sizes = [len(members) for members in plan.classes.members]
    share = plan.num_examples / len(sizes)
    words = _(
        "balanced sampling: about {share:.0f} rows of each class per epoch; a row of the rarest "
        "class comes {most:.1f} times, one of the most frequent {least:.2f} times"
    )
    return [words.format(share=share, most=share / min(sizes), least=share / max(sizes))]


def _notes(
    checked: ValidatedInputs, examples: Mapping[str, Examples], max_length: int
) -> list[str]:
    notes = []
    # the check before has said it, of a sample; splits drawn from one source share their set
    is_reported = any(problem.code == "D320" for problem in checked.warnings)
    reported: set[str] = set()
    for name, split in checked.splits.items():
        split_examples = examples[name]
        prepared, lengths = split_examples.prepared, split_examples.lengths
        rows = split_examples.num_rows
        parts = [ngettext("{split}: {count} row", "{split}: {count} rows", rows)]
        is_streamed = split_examples.sample is not split_examples
        if is_streamed:
            parts.append(_("read shard by shard"))
        elif len(split_examples) != rows:
            parts.append(_("{sequences} sequences"))
        parts.append(_("median {median} tokens, longest {longest}"))
        if is_streamed:
            parts.append(_("in a sample of {sampled} rows"))
        if not split.is_labeled:
            parts.append(_("without labels: predicted, not scored"))
        notes.append(
            _(", ")
            .join(parts)
            .format(
                split=split_name(name),
                count=rows,
                sequences=len(split_examples),
                sampled=len(lengths),
                median=int(np.median(lengths)),
                longest=int(lengths.max()),
            )
        )
        if prepared.num_cut and not is_reported and split.source.name not in reported:
            reported.add(split.source.name)
            notes.append(
                _("{source}: {rows} rows were longer than {limit} tokens and lost {tokens}").format(
                    source=split.source.name,
                    rows=prepared.num_cut,
                    limit=max_length,
                    tokens=prepared.tokens_cut,
                )
            )
    return notes
