"""The answer to a question as a part of a text, or that the text has none.

Each token of question and context gets a logit as the first one of the answer, and another as the
last one; the first token of all stands for no answer. Long contexts are read in windows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tunesmith.data.batches import Batch, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded, Ragged
from tunesmith.data.findings import Finding
from tunesmith.data.profile import Profile, script_fractions
from tunesmith.data.rows import Column, Row
from tunesmith.errors import DataError, ModelError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.metrics.scores import Metric, Scores, compute
from tunesmith.metrics.squad import ANSWER_METRICS, AnsweredQuestion, score_columns
from tunesmith.recipe import DataSettings, Options, read_options
from tunesmith.tasks.default_methods import TaskDefaults
from tunesmith.tasks.matching import Match
from tunesmith.tasks.outputs import Outputs, Predictions
from tunesmith.tasks.question_answering.answer_kind import AnswerKind, as_objects
from tunesmith.tasks.question_answering.answers import (
    answer_rows,
    chosen_threshold,
    encode_listed,
)
from tunesmith.tasks.question_answering.baselines import nearest_sentences
from tunesmith.tasks.question_answering.calibrator import AnswerCalibrator
from tunesmith.tasks.question_answering.columns import match_questions
from tunesmith.tasks.question_answering.corrections import answers_of_cell
from tunesmith.tasks.question_answering.n_best import best_of_rows, highest, padded_logits
from tunesmith.tasks.question_answering.rows import Asked, read_asked, validate_asked
from tunesmith.tasks.question_answering.scripts import question_parts, usage_lines
from tunesmith.tasks.question_answering.windows import encode_asked
from tunesmith.tasks.script_parts import ScriptParts

if TYPE_CHECKING:
    from torch import nn

__all__ = ["QuestionAnswering"]


_OF_BOTH = ("HasAns_f1", "HasAns_exact", "NoAns_f1", "NoAns_exact", "best_f1", "best_exact")
_MOSTLY, _SAMPLED = 0.5, 1_000
"""The fraction of letters from which contexts are Chinese, and of how many."""


class QuestionOptions(Options):
    """Task-specific options of question-answering."""

    stride: int = Field(
        128, ge=0, description=N_("Tokens by which the windows of a long context overlap.")
    )
    n_best: int = Field(
        20, ge=1, description=N_("First and last tokens to combine to answers, in each window.")
    )
    max_answer_length: int = Field(30, ge=1, description=N_("Tokens of an answer at most."))
    no_answer_threshold: float | None = Field(
        None,
        description=N_(
            "How much more no answer must score than the best one to be given; chosen on the "
            "validation rows if it is not set."
        ),
    )


@dataclass(frozen=True)
class QuestionAnswering(TaskDefaults):
    """A part of the context that answers the question.

    Attributes:
        roles: the question, its context as `text_pair`, the answers.
        has_unanswerable: whether some questions have no answer in their context.
        is_cjk: whether contexts are Chinese, so that scores count characters.
        threshold: how much more no answer must score than the best one to be given; None until it
            is chosen.
        is_settled: whether it was chosen on validation rows.
        stride: tokens by which windows overlap.
        n_best: first and last tokens to combine in each window.
        max_answer_length: tokens of an answer.
        counts: training rows with an answer, and without.
    """

    roles: Roles
    has_unanswerable: bool = False
    is_cjk: bool = False
    threshold: float | None = None
    is_settled: bool = False
    stride: int = 128
    n_best: int = 20
    max_answer_length: int = 30
    counts: tuple[int, ...] = ()

    name: ClassVar[str] = "question-answering"
    model_class: ClassVar[str] = "AutoModelForQuestionAnswering"
    options_type: ClassVar[type[Options]] = QuestionOptions
    metrics: ClassVar[Mapping[str, Metric]] = ANSWER_METRICS
    baseline_names: ClassVar[tuple[str, ...]] = ("sentence", "constant")
    cuts_long_texts: ClassVar[bool] = False
    default_length: ClassVar[int | None] = 384

    @classmethod
    def make(
        cls,
        roles: Roles,
        settings: DataSettings,
        columns: Sequence[Column],
        options: Mapping[str, object],
    ) -> Self:
        """Take the options."""
        chosen = read_options(QuestionOptions, options)
        return cls(
            roles,
            threshold=chosen.no_answer_threshold,
            stride=chosen.stride,
            n_best=chosen.n_best,
            max_answer_length=chosen.max_answer_length,
        )

    @classmethod
    def matches(cls, profile: Profile, requested: DataSettings) -> Match | None:
        """Match columns of a question, its context and the answers in it."""
        return match_questions(profile, requested)

    def with_tokenizer(self, tokenizer: Any) -> Self:
        """Return the task itself; `ModelError` without a first token that no text has (M163)."""
        pair = tokenizer.backend_tokenizer.encode("a", "b")
        if tokenizer.cls_token_id is None or pair.ids[:1] != [tokenizer.cls_token_id]:
            raise ModelError.of(
                "M163",
                _("the tokenizer puts no CLS token first, which stands for no answer"),
                fix=_("Choose an encoder such as BERT, RoBERTa, DeBERTa or ELECTRA."),
            )
        return self

    def validate_row(self, row: Row) -> Finding | None:
        """Return what is wrong with question or context, else with the answers."""
        return validate_asked(row, self.roles)

    def is_labeled(self, row: Row) -> bool:
        """Return whether the row has answers; an empty list says that there are none."""
        return self.roles.label is not None and row.values.get(str(self.roles.label)) is not None

    def stratum(self, row: Row) -> Hashable:
        """Return whether the question has an answer."""
        return bool(row.values.get(str(self.roles.label)))

    @property
    def group_column(self) -> str | None:
        """The context, unless the user names another column: it would be known in another split."""
        return self.roles.group or self.roles.text_pair

    def fit(self, rows: Iterable[Row]) -> Self:
        """Learn whether some questions have no answer; `DataError` if none has one."""
        counts, sample = [0, 0], []
        for row in rows:
            counts[bool(row.values.get(str(self.roles.label)))] += 1
            if sum(counts) <= _SAMPLED:
                sample.append(str(row.values[str(self.roles.text_pair)]))
        unanswerable, answerable = counts
        if not answerable:
            raise DataError.of(
                "D204",
                _("no question of {count} has an answer; nothing to learn").format(
                    count=unanswerable
                ),
                fix=_("Name the column of the answers with --label."),
            )
        return replace(
            self,
            has_unanswerable=unanswerable > 0,
            is_cjk=script_fractions(sample)["chinese"] > _MOSTLY,
            counts=(answerable, unanswerable),
        )

    def corrected(self, row: Row, text: str) -> Mapping[str, object]:
        """Return the answers that a cell of a table of corrections names."""
        return {str(self.roles.label): answers_of_cell(self._read(row).context, text)}

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        """Tokenize questions with windows of their contexts."""
        return encode_asked(
            [self._read(row) for row in rows],
            [row.index for row in rows],
            tokenizer,
            max_length,
            stride=self.stride,
            labeled=labeled,
        )

    @property
    def encoding(self) -> Mapping[str, object]:
        """Columns, and how windows overlap."""
        return {"task": self.name, "roles": self.roles.as_json(), "stride": self.stride}

    def _read(self, row: Row) -> Asked:
        return read_asked(row, self.roles)

    @property
    def head_settings(self) -> Mapping[str, object]:
        """Two outputs per token, whatever head the model had."""
        return {"num_labels": 2}

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """Cross entropy of the first and of the last token, summed; padding has no probability."""
        from torch.nn import functional

        logits, mask = padded_logits(model(**batch.inputs), batch)
        first = mask.int().argmax(dim=1)
        loss = None
        if batch.labels is not None:
            targets = (batch.labels + first[:, None]).T.reshape(-1)
            loss = functional.cross_entropy(logits.flatten(0, 1), targets, reduction="sum")
        logits = logits.detach()
        null = logits.gather(2, first[None, :, None].expand(2, -1, 1)).sum(0)[:, 0]
        windows, starts, start_logits = highest(logits[0], mask, self.n_best)
        others, ends, end_logits = highest(logits[1], mask, self.n_best)
        ragged = {
            "starts": (windows, starts), "start_logits": (windows, start_logits),
            "ends": (others, ends), "end_logits": (others, end_logits),
        }  # fmt: skip
        return Outputs(loss, {"null": null}, ragged)

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        """Return the best answers of each row, from all its windows."""
        return best_of_rows(
            predictions, examples, n_best=self.n_best, max_answer_length=self.max_answer_length
        )

    @property
    def output(self) -> AnswerKind:
        """A part of the context."""
        return AnswerKind()

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """F1 and exact match; also of questions with and without answers, if there are both."""
        names = ("f1_cjk", "exact_cjk") if self.is_cjk else ("f1", "exact")
        return (*names, *_OF_BOTH) if self.has_unanswerable else names

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        """Return the questions with their answers."""
        return as_objects(self._read(row) for row in rows)

    @property
    def _threshold(self) -> float | None:
        if not self.has_unanswerable:
            return None
        return 0.0 if self.threshold is None else self.threshold

    def _columns(self, predictions: Predictions, truth: NDArray[Any]) -> NDArray[np.float64]:
        contexts = [question.context for question in truth]
        rows = zip(
            truth, answer_rows(predictions, contexts, threshold=self._threshold), strict=True
        )
        return score_columns(
            AnsweredQuestion(
                [span.text for span in question.answers],
                one.chosen.text,
                one.best.text,
                one.null_score,
            )
            for question, one in rows
        )

    def score(
        self,
        metrics: Sequence[Metric],
        predictions: Predictions,
        truth: NDArray[Any],
        loss: float | None,
    ) -> Scores:
        """Compare the answers of all rows with the right ones."""
        columns = self._columns(predictions, truth)
        return compute(metrics, columns, columns[:, 4], loss=loss)

    def settled(self, predictions: Predictions, truth: NDArray[Any]) -> Self:
        """Return the task with the threshold that gives the best F1 on these rows."""
        if not self.has_unanswerable or self.threshold is not None:
            return self
        contexts = [question.context for question in truth]
        scores = [one.null_score for one in answer_rows(predictions, contexts, threshold=0.0)]
        threshold = chosen_threshold(self._columns(predictions, truth), scores)
        return replace(self, threshold=threshold, is_settled=True)

    @property
    def calibrator(self) -> AnswerCalibrator:
        """How probably answers are exactly right."""
        return AnswerCalibrator(self.output.name, self._threshold)

    def decode(self, predictions: Predictions, rows: Sequence[Row]) -> list[dict[str, object]]:
        """Return the answer to each row with its place, its probability, and further ones."""
        contexts = [str(row.values[str(self.roles.text_pair)]) for row in rows]
        answered = answer_rows(predictions, contexts, threshold=self._threshold)
        return [one.as_answer() for one in answered]

    def encode_answers(self, answers: Sequence[Mapping[str, Any]]) -> Predictions:
        """Return the scores of the listed answers."""
        return encode_listed(answers)

    def constant(self, rows: Sequence[Row]) -> Sequence[float] | None:
        """Return no value: no answer; None where each question has one."""
        return () if self.has_unanswerable else None

    def repeat(self, constant: Sequence[float], count: int) -> Predictions:
        """Return rows without an answer."""
        none = np.zeros(count, dtype=np.int64)
        spans, scores = np.zeros((0, 2), dtype=np.int32), np.zeros(0, dtype=np.float32)
        null = np.zeros(count, dtype=np.float32)
        return {"spans": Ragged(spans, none), "scores": Ragged(scores, none), "null": null}

    def baselines(
        self, rows: Sequence[Row], *others: Sequence[Row]
    ) -> list[Mapping[str, Predictions]]:
        """Return the sentence of each context that is nearest to its question."""
        seen = [self._read(row) for row in rows]
        return [self._nearest(seen, [self._read(row) for row in part]) for part in others]

    def _nearest(self, seen: Sequence[Asked], others: Sequence[Asked]) -> Mapping[str, Predictions]:
        spans = nearest_sentences(seen, others)
        one, null = np.ones(len(spans), dtype=np.int64), np.full(len(spans), -1e9)
        scores = np.zeros(len(spans), dtype=np.float32)
        return {
            "sentence": {"spans": Ragged(spans, one), "scores": Ragged(scores, one), "null": null}
        }

    @property
    def usage(self) -> str:
        """Lines that call the model on all windows: transformers has no pipeline for it."""
        return usage_lines(
            self.model_class,
            stride=self.stride,
            longest=self.max_answer_length,
            threshold=self._threshold,
        )

    @property
    def script_parts(self) -> ScriptParts:
        """Windows, answers and scores; the threshold is chosen as `settled` does it."""
        return question_parts(
            self,
            self._read,
            constants=[
                ("STRIDE", self.stride, _("tokens by which windows overlap")),
                ("N_BEST", self.n_best, _("first and last tokens to combine")),
                ("MAX_ANSWER_LENGTH", self.max_answer_length, _("tokens")),
            ],
            threshold=self._threshold,
            is_chosen=self.threshold is None,
            is_cjk=self.is_cjk,
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """Return the task of a plain model with a head for questions."""
        names = config.get("architectures")
        is_own = isinstance(names, list) and any("QuestionAnswering" in str(n) for n in names)
        if not is_own:
            return None
        if roles.text_pair is None:
            roles = Roles("question", "context", "answers")
        return cls(roles, has_unanswerable=True, threshold=0.0)

    def summary(self) -> list[str]:
        """Return how many questions have an answer, and when none is given."""
        if not self.counts:
            return []
        lines = [
            _("{answerable} questions with an answer, {unanswerable} without").format(
                answerable=self.counts[0], unanswerable=self.counts[1]
            )
        ]
        if self.is_settled:
            lines.append(
                _(
                    "no answer is given where it scores more than the best one by {threshold:.3f}; "
                    "chosen on the validation rows, whose scores are a little optimistic"
                ).format(threshold=self.threshold)
            )
        return lines
