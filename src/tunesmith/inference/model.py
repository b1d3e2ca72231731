"""A finished model: predict texts, score labeled data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.data.batches import Examples, Padding
from tunesmith.data.encoded import Encoded, hold_in_memory
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.rows import Row, Source
from tunesmith.errors import DataError
from tunesmith.inference.bad_rows import BadRows, OnBadRow, errors_among
from tunesmith.inference.baselines import score_baselines
from tunesmith.inference.decisions import choose_calibration, decided_answers, decided_scores
from tunesmith.inference.predicted import (
    Predicted,
    PredictedPart,
    joined,
    mean_loss,
    with_empty_answers,
)
from tunesmith.inference.prediction_files import OutputColumns, refuse_format, write_predictions
from tunesmith.inference.rows import as_known, in_thousands, is_table, need_columns, source_of
from tunesmith.inputs import validate_split
from tunesmith.inputs.resolve import no_rows, no_token
from tunesmith.metrics.calibration import Calibration
from tunesmith.metrics.scores import BaselineAnswers, Metric, Scores, choose_metrics
from tunesmith.metrics.uncertainty import with_intervals
from tunesmith.storage import atomic
from tunesmith.tasks import Task
from tunesmith.training.device import make_accelerator, resolve_precision

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.training.fast.predictor import Predictor

__all__ = ["Model"]


@dataclass(frozen=True)
class Model:
    """A fine-tuned model with its tokenizer and task.

    Attributes:
        name: as the caller named it.
        network: the transformers model.
        tokenizer: its tokenizer.
        task: fitted.
        max_length: tokens per row; longer rows are cut.
        facts: what `tunesmith.json` holds, empty for a plain Hugging Face model.
        disabled: parts of fast prediction to leave out.
    """

    name: str
    network: nn.Module
    tokenizer: Any
    task: Task
    max_length: int
    facts: Mapping[str, Any]
    device: str = "auto"
    precision: str = "auto"
    disabled: frozenset[str] = frozenset()

    def predict(
        self,
        rows: object,
        *,
        calibrated: bool = False,
        threshold: float | None = None,
        batch_size: int | None = None,
        on_bad_row: OnBadRow | None = None,
        options: ReadingOptions = ReadingOptions(),  # noqa: B008
    ) -> Predicted:
        """Predict texts, pairs, or labeled rows.

        Args:
            rows: a text, a list of texts or of pairs, a dict or a list of dicts with the columns
                of the training data, a pandas frame, a `datasets.Dataset`, or the path of a file.
            calibrated: whether answers follow the calibration saved with the model: temperature
                and thresholds. Logits and loss stay raw.
            threshold: the least probability of an answer, in place of these thresholds; less sure
                ones have the label None. Of several labels, those that reach it.
            batch_size: the most rows per forward pass; None for as many as their tokens allow.
            on_bad_row: what becomes of rows without text and the like: "fail", "skip", or "keep"
                with an empty answer and one warning for all; None: "keep" for tables (a file, a
                frame, a data set), "fail" for texts and dicts.
            options: how to read a file.

        Raises:
            DataError: a bad row where that is an error, or a column is missing.
            ModelError: the model is not calibrated (M152).
        """
        calibration = self._calibration(calibrated, threshold)
        source = source_of(rows, self.task.roles, options)
        bad_rows = BadRows(source, on_bad_row or ("keep" if is_table(rows) else "fail"))
        names = {column.name for column in source.columns}
        labeled = bool(self.task.roles.label_columns) and names >= set(
            self.task.roles.label_columns
        )
        if labeled:
            split, valid = validate_split("test", source, self.task)
            labeled = split.is_labeled and not errors_among(valid.problems)
        parts = self._parts(
            source, batch_size, labeled=labeled, calibration=calibration, bad_rows=bad_rows
        )
        if problem := bad_rows.warning():
            warnings.warn(str(problem), stacklevel=2)
        return Predicted(
            [answer for part in parts for answer in part.answers],
            joined(parts),
            np.concatenate([part.truth for part in parts]) if labeled else None,
            mean_loss(parts) if labeled else None,
            [
                {name: row.values.get(name) for name in self.task.roles.text_columns}
                for part in parts
                for row in part.rows
            ],
        )

    def stream(
        self,
        source: Source,
        *,
        calibrated: bool = False,
        threshold: float | None = None,
        batch_size: int | None = None,
        bad_rows: BadRows | None = None,
        with_all_columns: bool = False,
    ) -> Iterator[tuple[Row, Mapping[str, object]]]:
        """Each row of a source with its answer, in order, a few thousand held at a time.

        Args:
            source: the rows.
            calibrated: as in `predict`.
            threshold: as in `predict`.
            batch_size: as in `predict`.
            bad_rows: of the source, to be asked for its warning afterwards; None refuses them.
            with_all_columns: whether rows have all columns of the source, not only their texts.
        """
        calibration = self._calibration(calibrated, threshold)
        for part in self._predict_all(
            source,
            batch_size,
            labeled=False,
            calibration=calibration,
            bad_rows=bad_rows,
            with_all_columns=with_all_columns,
        ):
            yield from zip(part.rows, part.answers, strict=True)

    def write_predictions(
        self,
        rows: object,
        path: str | Path,
        *,
        calibrated: bool = False,
        threshold: float | None = None,
        batch_size: int | None = None,
        on_bad_row: OnBadRow = "keep",
        with_scores: bool = False,
        force: bool = False,
        options: ReadingOptions = ReadingOptions(),  # noqa: B008
    ) -> int:
        """Write a table: the columns of the rows, the prediction and its probability.

        Rows are read, predicted and written a few thousand at a time. Returns how many these are.

        Args:
            rows: as in `predict`.
            path: of the table: .csv, .tsv, .jsonl (each also .gz) or .parquet.
            calibrated: as in `predict`.
            threshold: as in `predict`.
            batch_size: as in `predict`.
            on_bad_row: as in `predict`.
            with_scores: whether each class has a column with its probability.
            force: replace a file that is there.
            options: as in `predict`.

        Raises:
            RecipeError: the file exists (R115), or its format is unknown (R153).
            DataError: as in `predict`.
        """
        target = Path(path)
        refuse_format(target)
        atomic.refuse_existing([target], force=force)
        source = source_of(rows, self.task.roles, options)
        bad_rows = BadRows(source, on_bad_row)
        answered = self.stream(
            source,
            calibrated=calibrated,
            threshold=threshold,
            batch_size=batch_size,
            bad_rows=bad_rows,
            with_all_columns=True,
        )
        columns = OutputColumns.of(self.task, source.columns, with_scores=with_scores)
        count = write_predictions(target, answered, columns)
        if problem := bad_rows.warning():
            warnings.warn(str(problem), stacklevel=2)
        return count

    def evaluate(
        self,
        data: object,
        *,
        metrics: Sequence[str] | None = None,
        calibrated: bool = False,
        threshold: float | None = None,
        batch_size: int | None = None,
        normalize_labels: bool = False,
        training_rows: Sequence[Row] = (),
        options: ReadingOptions = ReadingOptions(),  # noqa: B008
    ) -> Scores:
        """Score labeled rows, with 95% intervals and the scores of the constant answer.

        Args:
            data: labeled rows, otherwise as in `predict`.
            metrics: names of scores; None for those of the training run.
            calibrated: as in `predict`; then the scores are of the answered rows, and "ece" is
                the calibration error.
            threshold: as in `predict`, with the same effect on the scores.
            batch_size: as in `predict`.
            normalize_labels: read labels that differ only by case and white space from the
                model's own as these.
            training_rows: rows of the training data, for the scores of a TF-IDF baseline that
                learned from them.
            options: as in `predict`.

        Raises:
            DataError: rows without text or label, or labels that training did not know.
            RecipeError: an unknown score (R110), or a task without class names (R190).
            ModelError: the model is not calibrated (M152).
        """
        calibration = self._calibration(calibrated, threshold)
        chosen = self.metrics(metrics)
        source = source_of(data, self.task.roles, options)
        need_columns(self.task.roles.labeled_columns, source)
        if normalize_labels:
            source = as_known(source, self.task)
        _split, valid = validate_split("validation", source, self.task)
        if errors := errors_among(valid.problems):
            raise DataError(errors)
        parts = self._parts(source, batch_size, labeled=True)
        predictions = joined(parts)
        truth = np.concatenate([part.truth for part in parts if part.truth is not None])
        if calibration is not None:
            return decided_scores(self.task, calibration, chosen, predictions, truth)
        scores = self.task.score(chosen, predictions, truth, mean_loss(parts))
        scored = with_intervals(scores, examples=len(truth))
        rows = [row for part in parts for row in part.rows]
        simple = score_baselines(
            self.task, chosen, training_rows, rows, truth, constant=self.facts.get("constant")
        )
        return replace(
            scored,
            baselines={name: each.values for name, each in simple.items()},
            baseline_answers={
                name: BaselineAnswers(None, each.answers)
                for name, each in simple.items()
                if each.answers is not None
            },
        )

    def metrics(self, names: Sequence[str] | None = None) -> tuple[Metric, ...]:
        """The named scores, else those of the training run, else the task's own."""
        names = names or self.facts.get("metrics") or self.task.default_metrics
        return choose_metrics(names, self.task.metrics, self.task.name)

    def _calibration(self, calibrated: bool, threshold: float | None) -> Calibration | None:
        return choose_calibration(
            self.task, self.facts, calibrated=calibrated, threshold=threshold, name=self.name
        )

    def _parts(
        self,
        source: Source,
        batch_size: int | None,
        *,
        labeled: bool,
        calibration: Calibration | None = None,
        bad_rows: BadRows | None = None,
    ) -> list[PredictedPart]:
        parts = list(
            self._predict_all(
                source, batch_size, labeled=labeled, calibration=calibration, bad_rows=bad_rows
            )
        )
        if not parts:
            if any(source.chunks(self.task.roles.text_columns)):
                raise DataError(no_token(source))
            raise DataError(no_rows(source))
        return parts

    def _predict_all(
        self,
        source: Source,
        batch_size: int | None,
        *,
        labeled: bool,
        calibration: Calibration | None,
        bad_rows: BadRows | None = None,
        with_all_columns: bool = False,
    ) -> Iterator[PredictedPart]:
        roles = self.task.roles
        need_columns(roles.text_columns, source)
        columns = roles.labeled_columns if labeled else roles.text_columns
        bad_rows = bad_rows or BadRows(source, "fail")

        def encode(rows: Sequence[Row]) -> Encoded:
            return self.task.encode(rows, self.tokenizer, self.max_length, labeled=labeled)

        for rows in in_thousands(bad_rows, None if with_all_columns else columns):
            codes, encoded = bad_rows.sort_out(rows, self.task.validate_row, encode)
            good = [row for row in rows if row.index not in codes]
            part = None
            if encoded is not None:
                part = self._forward(good, encoded, batch_size, calibration, labeled=labeled)
            if codes and bad_rows.are_kept:
                yield with_empty_answers(part, rows, codes)
            elif part is not None and part.answers:
                yield part

    def _forward(
        self,
        rows: Sequence[Row],
        encoded: Encoded,
        batch_size: int | None,
        calibration: Calibration | None,
        *,
        labeled: bool,
    ) -> PredictedPart | None:
        """Predict encoded rows; None for texts without a token, of which masked-lm makes none."""
        from tunesmith.training import predict

        examples = Examples(hold_in_memory(encoded))
        if not len(examples):
            return None
        padding = Padding.of(self.tokenizer)
        with self._predictor.patched(examples, padding) as forward:
            done = predict.predict(
                forward,
                self.task,
                examples,
                padding,
                batch_size=batch_size,
                accelerator=make_accelerator(device=self.device),
                several=self._predictor.takes_several(examples),
            )
        done = replace(done, predictions=self.task.join(done.predictions, examples))
        numbers = set(examples.row_numbers.tolist())
        rows = [row for row in rows if row.index in numbers]
        answers = (
            self.task.decode(done.predictions, rows)
            if calibration is None
            else decided_answers(self.task, calibration, done.predictions, rows)
        )
        truth = self.task.truth(examples, rows) if labeled else None
        return PredictedPart(rows, answers, done, truth)

    @cached_property
    def _predictor(self) -> Predictor:
        """It remembers the result of its probe of the model."""
        from tunesmith.training.fast.predictor import Predictor

        precision = resolve_precision(self._asked_precision, self.device)
        accelerator = make_accelerator(device=self.device)
        return Predictor(self.network, self.task, accelerator, precision, self.disabled)

    @property
    def _asked_precision(self) -> str:
        """As asked; else as the model's own scores, thresholds and temperature were computed."""
        if self.precision != "auto" or self.facts.get("precision") != "fp32":
            return self.precision
        return "fp32"
