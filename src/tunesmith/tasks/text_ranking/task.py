"""How relevant a passage is to a query: one logit for each pair, as a cross-encoder has it.

The loss is binary cross entropy of the logit with the label, scaled to 0 to 1. The finished model
is one for sequences with one output, which `CrossEncoder` of sentence-transformers loads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tunesmith.data.batches import Batch
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded
from tunesmith.data.findings import Finding
from tunesmith.data.profile import Profile, as_number
from tunesmith.data.rows import Column, Row
from tunesmith.errors import Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.metrics.probabilities import sigmoid
from tunesmith.metrics.ranking import RANKING_METRICS
from tunesmith.metrics.scores import Metric, Scores, compute
from tunesmith.recipe import DataSettings, Options, read_options
from tunesmith.tasks.default_methods import TaskDefaults
from tunesmith.tasks.labeled_text import has_sequence_head, names_of_outputs
from tunesmith.tasks.matching import Match
from tunesmith.tasks.outputs import Answered, Outputs, Predictions
from tunesmith.tasks.script_parts import ScriptParts
from tunesmith.tasks.text_ranking.baselines import bm25
from tunesmith.tasks.text_ranking.columns import match_passages
from tunesmith.tasks.text_ranking.formats import FORMATS, ranked
from tunesmith.tasks.text_ranking.queries import QueryCounts, query_hash
from tunesmith.tasks.text_ranking.relevance import JUDGED, Relevance
from tunesmith.tasks.text_ranking.scripts import ranking_parts
from tunesmith.tasks.text_ranking.serving import count_differences
from tunesmith.tasks.tokenize_texts import encode_texts, validate_texts
from tunesmith.text import shortened

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TextRanking"]

_MOST = float(np.finfo(np.float32).max)
_ACTIVATIONS = {
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
    "identity": "torch.nn.modules.linear.Identity",
}
"""What turns a logit into a score, as `CrossEncoder` finds it in config.json."""


class RankingOptions(Options):
    """Task-specific options of text-ranking."""

    relevant_from: float | None = Field(
        None,
        gt=0,
        description=N_(
            "Lowest label of a relevant passage, for all scores but nDCG; null: of whole numbers "
            "1, else half of the highest label."
        ),
    )


@dataclass(frozen=True)
class TextRanking(TaskDefaults):
    """A score for each pair of a query and a passage.

    Attributes:
        roles: the query, the passage as `text_pair`, and the label.
        highest: the highest label of the training rows; 0 until fitted.
        relevant_from: the lowest label of a relevant passage; None until fitted unless the recipe
            says it.
        activation: "sigmoid", or "identity" for a model whose scores are its logits.
        warnings: about queries without an order.
        counted: what was learned from the rows, a line each.
    """

    roles: Roles
    highest: float = 0.0
    relevant_from: float | None = None
    activation: str = "sigmoid"
    warnings: tuple[Problem, ...] = field(default=(), compare=False)
    counted: tuple[str, ...] = field(default=(), compare=False)

    name: ClassVar[str] = "text-ranking"
    model_class: ClassVar[str] = "AutoModelForSequenceClassification"
    hub_tag: ClassVar[str | None] = "text-ranking"
    options_type: ClassVar[type[Options]] = RankingOptions
    metrics: ClassVar[Mapping[str, Metric]] = RANKING_METRICS
    default_metrics: ClassVar[tuple[str, ...]] = ("ndcg_at_10", "mrr_at_10", "map")
    baseline_names: ClassVar[tuple[str, ...]] = ("bm25", "random")
    scores_groups: ClassVar[bool] = True
    formats: ClassVar[tuple[str, ...]] = FORMATS

    @classmethod
    def make(
        cls,
        roles: Roles,
        settings: DataSettings,
        columns: Sequence[Column],
        options: Mapping[str, object],
    ) -> Self:
        """Take the columns, and the lowest label of a relevant passage."""
        chosen = read_options(RankingOptions, options)
        return cls(roles, relevant_from=chosen.relevant_from)

    @classmethod
    def matches(cls, profile: Profile, requested: DataSettings) -> Match | None:
        """Match a query with several passages and their labels."""
        return match_passages(profile, requested)

    @property
    def group_column(self) -> str:
        """The passages of a query are in one split, unless the user named another column."""
        return self.roles.group or self.roles.text

    def validate_row(self, row: Row) -> Finding | None:
        """Return what is wrong with query or passage, else with the label."""
        return validate_texts(row, self.roles) or self._validate_label(row)

    def _validate_label(self, row: Row) -> Finding | None:
        value = row.values.get(str(self.roles.label))
        if value is None or value == "":
            return None
        label = _as_label(value)
        if label is None or not 0 <= label <= _MOST:
            message = _('the label is "{value}", not a number from 0')
            return Finding(
                "D373",
                message.format(value=shortened(str(value))),
                _("Write 1 for a relevant passage and 0 for another, or grades from 0."),
            )
        if self.highest and label > self.highest:
            message = _("the label is {value}; the highest one in train is {highest:g}")
            return Finding(
                "D373",
                message.format(value=shortened(str(value)), highest=self.highest),
                _("Label all splits on one scale."),
            )
        return None

    def is_labeled(self, row: Row) -> bool:
        """Return whether the row has a label."""
        return _as_label(row.values.get(str(self.roles.label))) is not None

    def stratum(self, row: Row) -> int:
        """Return whether the label is above 0."""
        return int((_as_label(row.values.get(str(self.roles.label))) or 0.0) > 0)

    def fit(self, rows: Iterable[Row]) -> Self:
        """Learn the highest label; `DataError` if nothing can be ranked."""
        counts = QueryCounts()
        for row in rows:
            if (label := _as_label(row.values.get(str(self.roles.label)))) is not None:
                counts.add(row.values[self.roles.text], label)
        if self.relevant_from is not None and self.relevant_from > counts.highest > 0:
            message = _("options.relevant_from is {value:g}; the highest label is {highest:g}")
            raise RecipeError.of(
                "R230",
                message.format(value=self.relevant_from, highest=counts.highest),
                Place("options.relevant_from"),
                fix=_("Name the lowest label of a relevant passage."),
            )
        relevant_from = self.relevant_from or counts.relevant_from()
        counts.check(relevant_from)
        return replace(
            self,
            highest=counts.highest,
            relevant_from=relevant_from,
            warnings=tuple(counts.warnings(relevant_from)),
            counted=tuple(_described(counts, relevant_from)),
        )

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        """Return the label of each row and a number of its query."""
        truth = np.zeros(len(rows), JUDGED)
        column = str(self.roles.label)
        truth["label"] = [_as_label(row.values.get(column)) or 0.0 for row in rows]
        truth["query"] = [query_hash(row.values[self.roles.text]) for row in rows]
        return truth

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        """Tokenize the pairs; labels are scaled to 0 to 1."""
        ragged, full_lengths = encode_texts(rows, self.roles, tokenizer, max_length)
        indices = np.fromiter((row.index for row in rows), np.int64, len(rows))
        fixed = {}
        if labeled:
            labels = self.targets(rows)["label"] / self._scale
            fixed["labels"] = np.minimum(labels, 1.0).astype(np.float32)
        return Encoded(ragged, fixed, indices, full_lengths)

    @property
    def _scale(self) -> float:
        """What labels are divided by: 1 for those that are 0 to 1 already."""
        return max(1.0, self.highest)

    @property
    def head_settings(self) -> Mapping[str, object]:
        """One output, the loss that transformers takes by itself, and what `CrossEncoder` reads."""
        return {
            "id2label": {0: "LABEL_0"},
            "label2id": {"LABEL_0": 0},
            "problem_type": "multi_label_classification",
            "sentence_transformers": {"activation_fn": _ACTIVATIONS[self.activation]},
        }

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """Binary cross entropy summed over the pairs of the batch."""
        from torch.nn import functional

        logits = model(**batch.inputs).logits[:, 0].float()
        loss = None
        if batch.labels is not None:
            loss = functional.binary_cross_entropy_with_logits(
                logits, batch.labels.float(), reduction="sum"
            )
        return Outputs(loss, {"logits": logits.unsqueeze(-1)})

    @property
    def output(self) -> Relevance:
        """A score, by which passages are ranked."""
        return Relevance((str(self.roles.label),), self.relevant_from or 1.0)

    def score(
        self,
        metrics: Sequence[Metric],
        predictions: Predictions,
        truth: NDArray[Any],
        loss: float | None,
    ) -> Scores:
        """Score the ranking of each query with a relevant passage."""
        ranking = self.output.ranked(predictions["logits"][:, 0], truth)
        chosen = ranking.counted
        return compute(
            metrics,
            ranking.statistics[chosen],
            ranking.relevant[chosen].astype(np.float64),
            loss=loss,
            groups=ranking.queries[chosen],
            grouped_rows=len(truth),
        )

    def decode(self, predictions: Predictions, rows: Sequence[Row]) -> list[dict[str, object]]:
        """Return the score of each pair."""
        logits = predictions["logits"][:, 0].astype(np.float64)
        scores = sigmoid(logits) if self.activation == "sigmoid" else logits
        return [
            {"label": str(self.roles.label), "score": score, "scores": {}}
            for score in scores.tolist()
        ]

    def encode_answers(self, answers: Sequence[Mapping[str, Any]]) -> Predictions:
        """Return the logits of the scores."""
        scores = np.array([[answer["score"]] for answer in answers], dtype=np.float64)
        if self.activation == "sigmoid":
            with np.errstate(divide="ignore"):
                scores = np.log(scores) - np.log1p(-scores)
        return {"logits": scores.reshape(-1, 1)}

    def written(self, answered: Answered, written_as: str) -> Iterator[str]:
        """Yield the passages of each query in the order of their scores."""
        return ranked(answered, self.roles, written_as)

    def baselines(
        self, rows: Sequence[Row], *others: Sequence[Row]
    ) -> list[Mapping[str, Predictions]]:
        """Return the scores of BM25, and the same score for all passages: a random order."""
        passages = [self.texts_of(row)[1] for row in rows]
        answers: list[Mapping[str, Predictions]] = []
        for part in others:
            pairs = [(texts[0], texts[1]) for texts in map(self.texts_of, part)]
            scores = bm25(pairs, passages).reshape(-1, 1)
            answers.append(
                {"bm25": {"logits": scores}, "random": {"logits": np.zeros_like(scores)}}
            )
        return answers

    @property
    def usage(self) -> str:
        """Lines for transformers alone, and for `CrossEncoder` of sentence-transformers."""
        path = '"path/to/this/folder"'
        score = "torch.sigmoid(logits)" if self.activation == "sigmoid" else "logits"
        return (
            "import torch\n"
            f"from transformers import {self.model_class}, AutoTokenizer\n\n"
            f"tokenizer = AutoTokenizer.from_pretrained({path})\n"
            f"model = {self.model_class}.from_pretrained({path})\n"
            'query, passages = "…", ["…", "…"]\n'
            "inputs = tokenizer([query] * len(passages), passages,\n"
            '                   return_tensors="pt", padding=True, truncation=True)\n'
            "logits = model(**inputs).logits[:, 0]\n"
            f'print("scores", {score}.tolist())\n\n'
            "# the same with sentence-transformers, ranked\n"
            "from sentence_transformers import CrossEncoder\n\n"
            f"reranker = CrossEncoder({path})\n"
            "print(reranker.rank(query, passages))"
        )

    def served_otherwise(self, model: nn.Module, tokenizer: Any, rows: Sequence[Row]) -> int:
        """Return for how many rows the pipeline for text classification gives another score."""
        return count_differences(self, model, tokenizer, rows)

    @property
    def script_parts(self) -> ScriptParts:
        """Binary cross entropy, and the ranking of each query."""
        return ranking_parts(
            self,
            label_of=lambda row: _as_label(row.values.get(str(self.roles.label))),
            scale=self._scale,
            relevant_from=self.relevant_from or 1.0,
            activation=_ACTIVATIONS[self.activation],
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """Return the task of a plain model with one output that `CrossEncoder` wrote."""
        if not has_sequence_head(config) or len(names_of_outputs(config)) != 1:
            return None
        own = config.get("sentence_transformers")
        name = own.get("activation_fn") if isinstance(own, Mapping) else None
        name = name or config.get("sbert_ce_default_activation_function")
        is_own = isinstance(own, Mapping) or name is not None
        is_unnamed = names_of_outputs(config) == ("LABEL_0",) and not config.get("problem_type")
        if not is_own and not (is_unnamed and roles.text_pair):
            return None
        if roles.text_pair is None:
            roles = Roles("query", "passage", "label")
        is_plain = isinstance(name, str) and name.endswith("Identity")
        return cls(roles, activation="identity" if is_plain else "sigmoid")

    def summary(self) -> list[str]:
        """Return the queries and passages, and how labels are read."""
        return list(self.counted)


def _as_label(value: object) -> float | None:
    """Return the number that a label is; true and false are 1 and 0."""
    if isinstance(value, bool | np.bool_):
        return float(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return float(value.strip().lower() == "true")
    return as_number(value)


def _described(counts: QueryCounts, relevant_from: float) -> Iterator[str]:
    yield _("{queries} queries, {passages} passages, {relevant} of them relevant").format(
        queries=counts.queries,
        passages=counts.passages,
        relevant=counts.relevant(relevant_from),
    )
    if counts.highest > 1:
        yield _("labels up to {highest:g}, divided by {highest:g} for the loss").format(
            highest=counts.highest
        )
    if counts.highest > 1 or not counts.are_grades:
        yield _("relevant: labels from {lowest:g}").format(lowest=relevant_from)
