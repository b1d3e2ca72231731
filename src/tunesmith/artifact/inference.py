"""A finished model in the hand: predict texts, score labelled data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.artifact.decisions import choose_calibration, decided_answers, decided_scores
from tunesmith.artifact.given import as_known, in_thousands, need_columns, source_of
from tunesmith.batching import Examples, Padding
from tunesmith.calibration import Calibration
from tunesmith.data.findings import Findings
from tunesmith.data.prepared import hold_in_memory
from tunesmith.data.rows import Row, Source
from tunesmith.data.sources import Options
from tunesmith.device import make_accelerator, resolve_precision
from tunesmith.errors import DataError, Place, Problem
from tunesmith.inputs import check_other
from tunesmith.language import gettext as _
from tunesmith.metrics import Metric, Scores, choose_metrics
from tunesmith.statistics import with_intervals
from tunesmith.tasks import Predictions, Task

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.evaluate import Evaluation
    from tunesmith.fast.predictor import Predictor

__all__ = ["Model", "Predicted"]


@dataclass(frozen=True)
class Predicted:
    """Answers, and the numbers behind them.

    Attributes:
        answers: one per row: "label", "score", "scores"; the label of an unsure one is None.
        predictions: what the task keeps of each row, by name; the first dimension counts rows.
        labels: the rows' own labels as the model numbers them, shape (n,) or (n, C); None without.
        loss: the mean loss; None without labels.
    """

    answers: Sequence[Mapping[str, object]]
    predictions: Predictions
    labels: NDArray[Any] | None
    loss: float | None

    @property
    def logits(self) -> NDArray[np.float32]:
        """Raw outputs, shape (n, C); (408, 2) for the validation rows of MRPC.

        Raises:
            KeyError: the task has none, such as masked-lm.
        """
        logits: NDArray[np.float32] = self.predictions["logits"]
        return logits

    def __len__(self) -> int:
        return len(self.answers)

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        return iter(self.answers)

    def __getitem__(self, index: int) -> Mapping[str, object]:
        return self.answers[index]


@dataclass(frozen=True)
class Model:
    """A fine-tuned model with its tokenizer and task.

    Attributes:
        name: as it was asked for.
        network: the transformers model.
        tokenizer: its tokenizer.
        task: fitted.
        max_length: tokens per row; longer rows are cut.
        facts: what `tunesmith.json` holds, empty for a plain Hugging Face model.
    """

    name: str
    network: nn.Module
    tokenizer: Any
    task: Task
    max_length: int
    facts: Mapping[str, Any]
    device: str = "auto"
    precision: str = "auto"

    def predict(
        self,
        rows: object,
        *,
        calibrated: bool = False,
        threshold: float | None = None,
        batch_size: int | None = None,
        options: Options = Options(),  # noqa: B008
    ) -> Predicted:
        """Predict texts, pairs, or labelled rows.

        Args:
            rows: a text, a list of texts or of pairs, a dict or a list of dicts with the columns
                of the training data, a pandas frame, a `datasets.Dataset`, or the path of a file.
            calibrated: whether answers follow the calibration kept with the model: temperature
                and thresholds. Logits and loss stay raw.
            threshold: the least probability of an answer, in place of these thresholds; less sure
                ones have the label None. Of several labels, those that reach it.
            batch_size: the most rows per forward pass; None for as many as their tokens allow.
            options: how to read a file.

        Raises:
            DataError: a row without text, or a column is missing.
            ModelError: the model is not calibrated (M152).
        """
        calibration = self._calibration(calibrated, threshold)
        source = source_of(rows, self.task.roles, options)
        names = {column.name for column in source.columns}
        labelled = bool(self.task.roles.label_columns) and names >= set(
            self.task.roles.label_columns
        )
        if labelled:
            split, kept = check_other("test", source, self.task)
            labelled = split.is_labelled and not kept.problems
        parts = self._parts(source, batch_size, labelled=labelled, calibration=calibration)
        return Predicted(
            [answer for part in parts for answer in part.answers],
            _joined([part.evaluation.predictions for part in parts]),
            np.concatenate([part.labels for part in parts]) if labelled else None,
            _mean_loss(parts) if labelled else None,
        )

    def stream(
        self,
        source: Source,
        *,
        calibrated: bool = False,
        threshold: float | None = None,
        batch_size: int | None = None,
    ) -> Iterator[tuple[Row, Mapping[str, object]]]:
        """Each row of a source with its answer, in order, a few thousand held at a time.

        Arguments as in `predict`.
        """
        calibration = self._calibration(calibrated, threshold)
        for part in self._predict_all(source, batch_size, labelled=False, calibration=calibration):
            yield from zip(part.rows, part.answers, strict=True)

    def evaluate(
        self,
        data: object,
        *,
        metrics: Sequence[str] | None = None,
        calibrated: bool = False,
        threshold: float | None = None,
        batch_size: int | None = None,
        normalise_labels: bool = False,
        learnt: Sequence[Row] = (),
        options: Options = Options(),  # noqa: B008
    ) -> Scores:
        """Score labelled rows; `data`, `calibrated` and `threshold` as in `predict`.

        With these two the scores are of the answered rows, and "ece" is the calibration error.
        `normalise_labels` reads labels that differ only by case and white space from the model's
        own as these. `learnt` are rows of the training data: with them the scores also carry what
        counting words in these rows scores.

        The scores carry their 95% intervals, and what always the same answer scores.

        Raises:
            DataError: rows without text or label, or labels that training did not know.
            RecipeError: an unknown score (R110), or a task without class names (R190).
            ModelError: the model is not calibrated (M152).
        """
        calibration = self._calibration(calibrated, threshold)
        chosen = self.metrics(metrics)
        source = source_of(data, self.task.roles, options)
        need_columns(self.task.roles.columns, source)
        if normalise_labels:
            source = as_known(source, self.task)
        _split, kept = check_other("validation", source, self.task)
        if kept.problems:
            raise DataError(kept.problems)
        parts = self._parts(source, batch_size, labelled=True)
        predictions = _joined([part.evaluation.predictions for part in parts])
        labels = [part.labels for part in parts if part.labels is not None]
        count = sum(len(part.answers) for part in parts)
        truth = Examples.of_labels(np.concatenate(labels) if labels else np.zeros(count))
        if calibration is not None:
            return decided_scores(self.task, calibration, chosen, predictions, truth)
        scores = self.task.score(chosen, predictions, truth, _mean_loss(parts))
        found = with_intervals(scores, examples=count)
        simple = self._constant(chosen, truth)
        if learnt and self.task.needs_label:
            rows = [row for part in parts for row in part.rows]
            simple = {**self._baselines(chosen, learnt, rows, truth), **simple}
        return replace(found, baselines=simple)

    def _baselines(
        self,
        metrics: Sequence[Metric],
        learnt: Sequence[Row],
        rows: Sequence[Row],
        truth: Examples,
    ) -> dict[str, Mapping[str, float | None]]:
        """What simple means score that learn from some training rows."""
        with warnings.catch_warnings():  # whether it has converged to the last digit is no matter
            warnings.simplefilter("ignore")
            answers = self.task.baselines(learnt, rows)
        return {
            name: self.task.score(metrics, predictions, truth, None).values
            for name, predictions in answers.items()
        }

    def _constant(
        self, metrics: Sequence[Metric], truth: Examples
    ) -> dict[str, Mapping[str, float | None]]:
        """What always giving the answer of most training rows scores, if that is known."""
        answer = self.facts.get("constant")
        if answer is None:
            return {}
        same = np.tile(np.asarray(answer, dtype=np.float32), (len(truth), 1))
        return {"constant": self.task.score(metrics, {"logits": same}, truth, None).values}

    def metrics(self, names: Sequence[str] | None = None) -> tuple[Metric, ...]:
        """The named scores, else those of the training run, else the task's own."""
        wanted = names or self.facts.get("metrics") or self.task.default_metrics
        return choose_metrics(wanted, self.task.metrics, self.task.name)

    def _calibration(self, calibrated: bool, threshold: float | None) -> Calibration | None:
        return choose_calibration(
            self.task, self.facts, calibrated=calibrated, threshold=threshold, name=self.name
        )

    def _parts(
        self,
        source: Source,
        batch_size: int | None,
        *,
        labelled: bool,
        calibration: Calibration | None = None,
    ) -> list[_Part]:
        parts = list(
            self._predict_all(source, batch_size, labelled=labelled, calibration=calibration)
        )
        if not parts:
            if any(source.chunks(self.task.roles.text_columns)):
                raise DataError(Problem("D122", _("its texts hold no token"), Place(source.name)))
            raise DataError(Problem("D120", _("no rows"), Place(source.name)))
        return parts

    def _predict_all(
        self,
        source: Source,
        batch_size: int | None,
        *,
        labelled: bool,
        calibration: Calibration | None,
    ) -> Iterator[_Part]:
        from tunesmith import evaluate

        roles = self.task.roles
        need_columns(roles.text_columns, source)
        columns = roles.columns if labelled else roles.text_columns
        accelerator = make_accelerator(device=self.device)
        padding = Padding.of(self.tokenizer)
        for rows in in_thousands(source, columns):
            self._refuse_bad(rows, source)
            encoded = self.task.encode(rows, self.tokenizer, self.max_length, labelled=labelled)
            examples = Examples(hold_in_memory(encoded))
            if not len(examples):  # texts without a token, of which masked-lm makes none
                continue
            with self._predictor.dressed(examples, padding) as forward:
                done = evaluate.predict(
                    forward,
                    self.task,
                    examples,
                    padding,
                    batch_size=batch_size,
                    accelerator=accelerator,
                )
            answers = (
                self.task.decode(done.predictions)
                if calibration is None
                else decided_answers(self.task, calibration, done.predictions)
            )
            yield _Part(rows, answers, done, encoded.fixed.get("labels"))

    @cached_property
    def _predictor(self) -> Predictor:
        """It remembers what it found out about the model."""
        from tunesmith.fast.predictor import Predictor

        precision = resolve_precision(self._asked_precision, self.device)
        accelerator = make_accelerator(device=self.device)
        return Predictor(self.network, self.task, accelerator, precision)

    @property
    def _asked_precision(self) -> str:
        """As asked; else as the model's own scores, thresholds and temperature were computed."""
        if self.precision != "auto" or self.facts.get("precision") != "fp32":
            return self.precision
        return "fp32"

    def _refuse_bad(self, rows: Sequence[Row], source: Source) -> None:
        findings = Findings(source)
        for row in rows:
            if finding := self.task.examine(row):
                findings.add(row.index, finding)
        if findings:
            raise DataError(findings.problems())


@dataclass(frozen=True, slots=True)
class _Part:
    """Some thousand rows, predicted."""

    rows: Sequence[Row]
    answers: Sequence[Mapping[str, object]]
    evaluation: Evaluation
    labels: NDArray[Any] | None


def _joined(parts: Sequence[Predictions]) -> Predictions:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _mean_loss(parts: Sequence[_Part]) -> float:
    """The mean over the targets of all parts."""
    found = [part.evaluation for part in parts]
    targets = sum(evaluation.num_targets for evaluation in found)
    return sum((evaluation.loss or 0) * evaluation.num_targets for evaluation in found) / targets
