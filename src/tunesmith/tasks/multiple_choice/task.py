"""One of several texts for a question, however many these are.

Each choice is read with the question as a sequence of its own, which gets one logit; the softmax is
over the logits of a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples
from tunesmith.data.columns import Roles, Suggestion
from tunesmith.data.encoded import Encoded
from tunesmith.data.findings import Finding
from tunesmith.data.profile import Profile
from tunesmith.data.rows import Column, Row
from tunesmith.errors import DataError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.scores import METRICS, Metric, Scores, compute
from tunesmith.recipe import DataSettings, Options, read_options
from tunesmith.tasks.default_methods import TaskDefaults
from tunesmith.tasks.matching import Confidence, Match
from tunesmith.tasks.multiple_choice.baselines import by_choices_alone, longest
from tunesmith.tasks.multiple_choice.choice_kind import ChoiceKind, letter
from tunesmith.tasks.multiple_choice.rows import (
    Question,
    encode_questions,
    place_of,
    read_question,
    validate_question,
)
from tunesmith.tasks.multiple_choice.scripts import choice_parts
from tunesmith.tasks.outputs import Outputs, Predictions
from tunesmith.tasks.script_parts import ScriptParts

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MultipleChoice"]

_WIDTH = 10
"""Choices that a row may have though no training row has as many."""


@dataclass(frozen=True)
class MultipleChoice(TaskDefaults):
    """One of the choices of a row.

    Attributes:
        roles: the question, the choices as `text_pair`, the number of the right one, the context.
        most: choices that a training row has at most; 0 until fitted.
        fewest: choices that a training row has at least.
        by_article: whether contexts are articles, to which several questions belong.
    """

    roles: Roles
    most: int = 0
    fewest: int = 0
    by_article: bool = False

    name: ClassVar[str] = "multiple-choice"
    model_class: ClassVar[str] = "AutoModelForMultipleChoice"
    hub_tag: ClassVar[str | None] = "multiple-choice"
    metrics: ClassVar[Mapping[str, Metric]] = {"accuracy": METRICS["accuracy"]}
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    baseline_names: ClassVar[tuple[str, ...]] = ("choices", "longest")
    cuts_long_texts: ClassVar[bool] = False

    @classmethod
    def make(
        cls,
        roles: Roles,
        settings: DataSettings,
        columns: Sequence[Column],
        options: Mapping[str, object],
    ) -> Self:
        """Take the columns; there are no options."""
        read_options(Options, options)
        articles = [column.name for column in columns if column.type == "article"]
        return cls(roles, by_article=roles.context in articles)

    @classmethod
    def matches(cls, profile: Profile, requested: DataSettings) -> Match | None:
        """Match columns of a question, its choices and the right one, by their types."""
        of_type = {c.column.type: c.name for c in reversed(profile.columns)}
        own_label = requested.label if isinstance(requested.label, str) else None
        named = (requested.text, requested.text_pair, own_label)
        types = ("question", "choices", "choice")
        text, choices, label = (own or of_type.get(t) for own, t in zip(named, types, strict=True))
        if text is None or choices is None or label is None:
            return None
        context = of_type.get("context") or of_type.get("article")
        roles = Roles(text, choices, label, None if context in named else context)
        kinds = [c.column.type if (c := profile.column(n)) else "" for n in (choices, label)]
        if kinds != ["choices", "choice"]:
            return Match(roles, "", Confidence.ON_REQUEST)
        reason = _("by its values")
        suggested = {
            role: Suggestion(name, reason)
            for role, name, own in zip(
                ("text", "text_pair", "label"), (text, choices, label), named, strict=True
            )
            if own is None
        }
        why = _("choices in column {column}").format(column=choices)
        return Match(roles, why, Confidence.BY_SHAPE, suggested)

    @property
    def group_column(self) -> str | None:
        """The article, unless the user names another column: its questions are in one split."""
        return self.roles.group or (self.roles.context if self.by_article else None)

    @property
    def width(self) -> int:
        """Choices that a row may have."""
        return max(_WIDTH, self.most)

    def validate_row(self, row: Row) -> Finding | None:
        """Return what is wrong with question or choices, else with the label."""
        return validate_question(row, self.roles, self.width if self.most else 0)

    def is_labeled(self, row: Row) -> bool:
        """Return whether the right choice is known."""
        return place_of(row, self.roles) is not None

    def fit(self, rows: Iterable[Row]) -> Self:
        """Learn how many choices rows have; `DataError` without a row."""
        counts = set[int]()
        for row in rows:
            choices: Any = row.values[str(self.roles.text_pair)]
            counts.add(len(choices) if isinstance(choices, list | tuple) else 0)
        if max(counts, default=0) < 2:
            raise DataError.of(
                "D204", _("no row has choices; nothing to learn"),
                fix=_("Name the column of the choices with --text-pair."),
            )  # fmt: skip
        return replace(self, most=max(counts), fewest=min(counts))

    def texts_of(self, row: Row) -> tuple[str, ...]:
        """Return the context if there is one, the question, and the choices with their letters."""
        *others, choices = (row.values.get(name) for name in self.roles.text_columns)
        listed = choices if isinstance(choices, list | tuple) else ()
        lettered = [f"{letter(i)}. {choice}" for i, choice in enumerate(listed)]
        return (*("" if text is None else str(text) for text in others), "\n".join(lettered))

    def labels_of(self, row: Row) -> tuple[str, ...]:
        """Return the letter of the right choice."""
        place = place_of(row, self.roles)
        return () if place is None else (letter(place),)

    def label_values(self, names: Sequence[str]) -> Mapping[str, object]:
        """Return the number of the choice of a letter."""
        places = {name: place for place, name in enumerate(self.output.names)}
        return {str(self.roles.label): places.get(name, name) for name in names}

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        """Tokenize each choice with its question."""
        questions = [self._read(row) for row in rows]
        inputs, parts, full = encode_questions(questions, tokenizer, max_length)
        indices = np.fromiter((row.index for row in rows), np.int64, len(rows))
        fixed = {"labels": self.targets(rows)} if labeled else {}
        return Encoded(inputs, fixed, indices, full, parts)

    def _read(self, row: Row) -> Question:
        return read_question(row, self.roles)

    def targets(self, rows: Sequence[Row]) -> NDArray[np.int64]:
        """Return the number of each row's right choice."""
        places = (place_of(row, self.roles) for row in rows)
        return np.fromiter((-1 if p is None else p for p in places), np.int64, len(rows))

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """Cross entropy over the choices of each row, summed over the rows of the batch."""
        import torch
        from torch.nn import functional

        # a model for choices takes (rows, choices, tokens): here each choice is a row of its own;
        # DistilBERT takes positions as they are, the others either way
        inputs = {
            name: values if name == "position_ids" else values.unsqueeze(1)
            for name, values in batch.inputs.items()
        }
        scores = model(**inputs).logits.reshape(-1).float()
        assert batch.owner is not None  # noqa: S101 - `encode` gives parts
        loss = None
        if batch.labels is not None:
            count = len(batch.examples)
            sizes = torch.bincount(batch.owner, minlength=count)
            first = sizes.cumsum(0) - sizes
            places = torch.arange(len(scores), device=scores.device) - first[batch.owner]
            logits = scores.new_full((count, self.width), -torch.inf)
            logits = logits.index_put((batch.owner, places), scores)
            loss = functional.cross_entropy(logits, batch.labels, reduction="sum")
        return Outputs(loss, {}, {"scores": (batch.owner, scores.detach())})

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        """Return the logits of each row, (n, width); minus infinity where it has no choice."""
        scores = predictions["scores"]
        logits = np.full((len(scores), self.width), -np.inf, dtype=np.float32)
        logits[np.arange(self.width) < scores.lengths[:, None]] = scores.flat
        return {"logits": logits}

    @property
    def output(self) -> ChoiceKind:
        """One of the choices."""
        return ChoiceKind.of(self.width)

    def truth(self, examples: Examples, rows: Iterable[Row]) -> NDArray[Any]:
        """Return the labels as they were encoded."""
        return np.asarray(examples.labels)

    def score(
        self,
        metrics: Sequence[Metric],
        predictions: Predictions,
        truth: NDArray[Any],
        loss: float | None,
    ) -> Scores:
        """Compare the likeliest choices with the labels."""
        kind, raw = self.output, predictions["logits"]
        return compute(
            metrics, kind.decide(raw), truth, loss=loss, losses=kind.losses(raw, truth)
        )  # fmt: skip

    def decode(self, predictions: Predictions, rows: Sequence[Row]) -> list[dict[str, object]]:
        """Return the letter of the likeliest choice, its number and text, and all shares."""
        answers = self.output.decode(predictions["logits"])
        for answer, row in zip(answers, rows, strict=True):
            choices: Any = row.values[str(self.roles.text_pair)]
            scores: Any = answer["scores"]
            names = self.output.names[: len(choices)]
            place = self.output.names.index(str(answer["label"]))
            answer["scores"] = {name: scores[name] for name in names}
            answer["index"], answer["text"] = place, choices[place]
        return answers

    def encode_answers(self, answers: Sequence[Mapping[str, Any]]) -> Predictions:
        """Return the logits of the probabilities."""
        return {"logits": self.output.raw_values(answers)}

    def baselines(
        self, rows: Sequence[Row], *others: Sequence[Row]
    ) -> list[Mapping[str, Predictions]]:
        """Return a TF-IDF model of the choices alone, which learns once, and the longest choice."""
        seen, requested = (
            [self._read(row).choices for row in part] for part in (rows, chain(*others))
        )
        alone = by_choices_alone(seen, self.targets(rows), requested, self.width)
        ends = np.cumsum([len(part) for part in others])[:-1]
        parts = (np.split(logits, ends) for logits in (alone, longest(requested, self.width)))
        return [
            {"choices": {"logits": one}, "longest": {"logits": two}}
            for one, two in zip(*parts, strict=True)
        ]

    @property
    def example_texts(self) -> tuple[str, ...]:
        """The choices with a bar between them."""
        return (*super().example_texts[:-1], "… | …")

    @property
    def usage(self) -> str:
        """Lines that call the model: transformers has no pipeline for choices."""
        has_context = self.roles.context is not None
        first = "context, question = " if has_context else "question = "
        values = '"…", "…"' if has_context else '"…"'
        pairs = 'context] * len(choices), [f"{question} {c}" for c in choices]'
        if not has_context:
            pairs = "question] * len(choices), choices"
        path = '"path/to/this/folder"'
        return (
            "import torch\n"
            f"from transformers import {self.model_class}, AutoTokenizer\n\n"
            f"tokenizer = AutoTokenizer.from_pretrained({path})\n"
            f"model = {self.model_class}.from_pretrained({path})\n"
            f"{first}{values}\n"
            'choices = ["…", "…"]\n'
            f"inputs = tokenizer([{pairs},\n"
            '                   return_tensors="pt", padding=True, truncation="only_first")\n'
            "logits = model(**{name: values[None] for name, values in inputs.items()}).logits\n"
            "print(choices[logits[0].argmax()], torch.softmax(logits[0], 0))"
        )

    @property
    def script_parts(self) -> ScriptParts | None:
        """Rows as a model of transformers takes them, if all have as many choices; else None."""
        return choice_parts(self, self.most) if 1 < self.fewest == self.most else None

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """Return the task of a plain model with a head for choices."""
        names = config.get("architectures")
        is_own = isinstance(names, list) and any("MultipleChoice" in str(name) for name in names)
        return cls(roles) if is_own else None

    def summary(self) -> list[str]:
        """Return how many choices rows have."""
        return [_("up to {count} choices per row").format(count=self.most)]
