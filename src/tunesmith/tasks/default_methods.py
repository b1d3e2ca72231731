"""What most tasks share, as a base class: loading and saving, and nothing random or named."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.errors import Problem
from tunesmith.metrics.output_kinds import OutputKind, RowAnswers
from tunesmith.models import LoadedModel, ModelFiles, load_model
from tunesmith.recipe import Options
from tunesmith.tasks.calibrators import Calibrator, LabelCalibrator
from tunesmith.tasks.outputs import Answered, Outputs, Predictions
from tunesmith.tasks.script_parts import ScriptParts

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TaskDefaults"]


class TaskDefaults:
    """The members of `Task` that a task may leave as they are."""

    name: ClassVar[str]
    roles: Roles
    model_class: ClassVar[str]
    """The class of transformers that loads the model with its head."""
    pipeline: ClassVar[str | None] = None
    hub_tag: ClassVar[str | None] = None
    pipeline_options: ClassVar[str] = ""
    """Further arguments of the pipeline, as code."""
    needs_label: ClassVar[bool] = True
    default_length: ClassVar[int | None] = None
    one_example_per_row: ClassVar[bool] = False
    uses_full_vocabulary: ClassVar[bool] = False
    generates: ClassVar[bool] = False
    options_type: ClassVar[type[Options]] = Options
    baseline_names: ClassVar[tuple[str, ...]] = ()
    formats: ClassVar[tuple[str, ...]] = ()
    scores_groups: ClassVar[bool] = False

    @property
    def cuts_long_texts(self) -> bool:
        """True: the rest of a long text is cut."""
        return True

    def advise_on_cuts(self, times_windows: float) -> str | None:
        """Return None: only the beginning of a text can be read."""
        return None

    def stratum(self, row: Row) -> Hashable:
        """Return the same for all rows: random splits keep nothing in proportion."""
        return 0

    @property
    def group_column(self) -> str | None:
        """The column that the user named: rows may be split in any way."""
        return self.roles.group

    def fit(self, rows: Iterable[Row]) -> Self:
        """Return the task itself: it needs nothing from the rows."""
        return self

    @property
    def warnings(self) -> Sequence[Problem]:
        """Nothing: no row is odd."""
        return ()

    def with_tokenizer(self, tokenizer: Any) -> Self:
        """Return the task itself: its answers need no tokenizer."""
        return self

    def texts_of(self, row: Row) -> tuple[str, ...]:
        """Return the text of a row, or both of a pair."""
        return tuple(str(row.values[name]) for name in self.roles.text_columns)

    @property
    def has_named_labels(self) -> bool:
        """False: labels have no names."""
        return False

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Nothing: labels have no names."""
        return {}

    def labels_of(self, row: Row) -> tuple[str, ...]:
        """Return nothing: labels have no names."""
        return ()

    def label_values(self, names: Sequence[str]) -> Mapping[str, object]:
        """Return the label column with the only label, nothing without such a column."""
        return dict(zip(self.roles.label_columns, names, strict=True))

    def parse_label(self, text: str) -> tuple[str, ...]:
        """Return the text as the only label."""
        return (text,)

    def corrected(self, row: Row, text: str) -> Mapping[str, object]:
        """Return the labels of a text, whatever the row."""
        return self.label_values(self.parse_label(text))

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        """Return zeros: the text itself is the answer."""
        return np.zeros(len(rows))

    def generate(self, model: nn.Module, batch: Batch) -> Outputs:
        """Generate nothing."""
        return Outputs(None, {})

    @property
    def head_settings(self) -> Mapping[str, object]:
        """What the model's configuration says of the head."""
        return {}

    def build(
        self,
        files: ModelFiles,
        *,
        seed: int,
        dropout: float | None,
        allow_missing: Sequence[str] = (),
    ) -> LoadedModel:
        """Load the model with `model_class`; its head is new unless the files hold one."""
        return load_model(
            files,
            self.model_class,
            seed=seed,
            dropout=dropout,
            allow_missing=allow_missing,
            **self.head_settings,
        )

    def corrupt(self, batch: Batch, *, seed: int) -> Batch:
        """Return the batch itself: nothing is random."""
        return batch

    def truth(self, examples: Examples, rows: Iterable[Row]) -> NDArray[Any]:
        """Return the targets of the rows, which are only read if they have labels."""
        return self.targets(list(rows)) if self.needs_label else np.zeros(examples.num_rows)

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        """Return the predictions themselves: each row has one example."""
        return predictions

    def settled(self, predictions: Predictions, truth: NDArray[Any]) -> Self:
        """Return the task itself: nothing is chosen on validation rows."""
        return self

    def written(self, answered: Answered, written_as: str) -> Iterator[str]:
        """Yield nothing: the task has no format."""
        return iter(())

    def encode_answers(self, answers: Sequence[Mapping[str, Any]]) -> Predictions | None:
        """Return None: answers do not determine what they were made from."""
        return None

    @property
    def output(self) -> OutputKind:
        """Each task has its own."""
        raise NotImplementedError

    def judge(self, rows: Sequence[Row], parts: Sequence[NDArray[Any]]) -> RowAnswers | None:
        """Return None: linear models of whole texts answer, where these can."""
        return None

    @property
    def calibrator(self) -> Calibrator | None:
        """That of probabilities of known labels, if answers have such."""
        kind = self.output.label_kind
        return None if kind is None else LabelCalibrator(kind)

    def constant(self, rows: Sequence[Row]) -> Sequence[float] | None:
        """Return None: no answer fits several rows."""
        return None

    def repeat(self, constant: Sequence[float], count: int) -> Predictions:
        """Return nothing: no answer fits several rows."""
        return {}

    def baselines(
        self, rows: Sequence[Row], *others: Sequence[Row]
    ) -> list[Mapping[str, Predictions]]:
        """Return nothing for any rows: no simple method applies."""
        return [{} for _each in others]

    def as_json(self) -> dict[str, object]:
        """Return the name and the fields, without those that comparison leaves out."""
        stored = [one.name for one in fields(self) if one.compare]  # type: ignore[arg-type]
        values = {name: getattr(self, name) for name in stored}
        return {"task": self.name, **values, "roles": self.roles.as_json()}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Return the task that `as_json` described."""
        values = {key: _as_tuple(value) for key, value in facts.items() if key != "task"}
        roles: dict[str, Any] = {key: _as_tuple(value) for key, value in facts["roles"].items()}
        return cls(**{**values, "roles": Roles(**roles)})

    @property
    def example(self) -> str:
        """What the usage shows in place of a row: one text, or the two of a pair."""
        return '"…"' if self.roles.text_pair is None else '{"text": "…", "text_pair": "…"}'

    @property
    def example_texts(self) -> tuple[str, ...]:
        """A text for each column."""
        return ("…",) * len(self.roles.text_columns)

    @property
    def usage(self) -> str:
        """Lines that call the pipeline, or the model itself where there is none."""
        path = '"path/to/this/folder"'
        if self.pipeline is not None:
            return (
                "from transformers import pipeline\n\n"
                f'use = pipeline("{self.pipeline}", model={path}{self.pipeline_options})\n'
                f"print(use({self.example}))"
            )
        example = '"…"' if self.roles.text_pair is None else '"…", "…"'
        return (
            f"from transformers import {self.model_class}, AutoTokenizer\n\n"
            f"tokenizer = AutoTokenizer.from_pretrained({path})\n"
            f"model = {self.model_class}.from_pretrained({path})\n"
            f'print(model(**tokenizer({example}, return_tensors="pt")))'
        )

    def served_otherwise(self, model: nn.Module, tokenizer: Any, rows: Sequence[Row]) -> int:
        """Return 0: the pipeline has nothing to decide."""
        return 0

    @property
    def encoding(self) -> Mapping[str, object]:
        """Everything that `as_json` returns."""
        return self.as_json()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """Return None: plain models are not recognized."""
        return None

    @property
    def script_parts(self) -> ScriptParts | None:
        """None: a script cannot reproduce the task."""
        return None

    def summary(self) -> list[str]:
        """Return nothing: rows have no classes."""
        return []


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
