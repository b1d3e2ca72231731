"""The protocol that every task implements, in four parts: rows, tensors, answers, storage.

A task knows columns, heads, labels, losses, decoding and scores. It knows nothing of files, steps
or devices. Adding a task adds a file to this package and a line to `TASKS`; `default_methods`
has what most tasks share.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded
from tunesmith.data.findings import Finding
from tunesmith.data.profile import Profile
from tunesmith.data.rows import Column, Row
from tunesmith.errors import Problem
from tunesmith.metrics.output_kinds import OutputKind, RowAnswers
from tunesmith.metrics.scores import Metric, Scores
from tunesmith.models import LoadedModel, ModelFiles
from tunesmith.recipe import DataSettings, Options
from tunesmith.tasks.calibrators import Calibrator
from tunesmith.tasks.matching import Match
from tunesmith.tasks.outputs import Answered, Outputs, Predictions
from tunesmith.tasks.script_parts import ScriptParts

if TYPE_CHECKING:
    from torch import nn

__all__ = ["EVALUATION_SEED", "Task"]

EVALUATION_SEED = 0
"""The seed of every evaluation, so that a score does not depend on when it was computed."""


class TaskRows(Protocol):
    """From columns to token ids. Frozen: `fit` returns a task that knows its labels."""

    name: ClassVar[str]
    needs_label: ClassVar[bool]
    """Whether rows carry the answer in a column; a language model learns from the text alone."""
    default_length: ClassVar[int | None]
    """Tokens of an input where the recipe names no number; None for as many as the model takes."""
    one_example_per_row: ClassVar[bool]
    """Whether every row gives exactly one example, and no row needs others, as its group."""
    options_type: ClassVar[type[Options]]
    """Task-specific options: the recipe's section `options`."""

    @property
    def roles(self) -> Roles:
        """Which column is what."""
        ...

    @property
    def cuts_long_texts(self) -> bool:
        """Whether a text of more tokens than the model takes loses some."""
        ...

    def advise_on_cuts(self, times_windows: float) -> str | None:
        """Return how the task can read more of long texts; None if it cannot.

        Args:
            times_windows: tokens of all windows, relative to those that are read now.
        """
        ...

    @classmethod
    def make(
        cls,
        roles: Roles,
        settings: DataSettings,
        columns: Sequence[Column],
        options: Mapping[str, object],
    ) -> Self:
        """Return the task over these columns, before it has seen a row.

        Raises:
            RecipeError: an option that does not exist or fit (R101, R104); its place is the key.
        """
        ...

    @classmethod
    def matches(cls, profile: Profile, requested: DataSettings) -> Match | None:
        """Return which columns of a data set are what, and why it is data of this task.

        Args:
            profile: every column with its kind and values.
            requested: the columns that the user named; they are taken as they are.

        Returns:
            None if a column is missing that the task needs.
        """
        ...

    def with_tokenizer(self, tokenizer: Any) -> Self:
        """Return the task with the tokenizer that its answers are made with.

        Raises:
            ModelError: the tokenizer lacks what the task needs (M121).
        """
        ...

    def validate_row(self, row: Row) -> Finding | None:
        """Return what is wrong with a row, None if nothing. A missing label is not an error."""
        ...

    def is_labeled(self, row: Row) -> bool:
        """Return whether a row has the answer."""
        ...

    def stratum(self, row: Row) -> Hashable:
        """Return what random splits keep in proportion; a float is binned.

        Of a tuple, which is a set, the member counts that the fewest rows have.
        """
        ...

    @property
    def group_column(self) -> str | None:
        """The column whose equal values stay in one split, such as that of a query; or None."""
        ...

    def fit(self, rows: Iterable[Row]) -> Self:
        """Return the task with the labels of the training rows; it need not read them.

        Raises:
            DataError: nothing can be learned from them.
            RecipeError: a setting that does not fit them; its place is the key.
        """
        ...

    @property
    def warnings(self) -> Sequence[Problem]:
        """What is odd about the rows that it was fitted to."""
        ...

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        """Tokenize rows; labels are left out for a source that has none."""
        ...

    @property
    def encoding(self) -> Mapping[str, object]:
        """What the result of `encode` depends on in addition to rows, tokenizer and length."""
        ...

    def texts_of(self, row: Row) -> tuple[str, ...]:
        """Return the text of a row, or both of a pair."""
        ...

    # labels with names; a task without has none of them

    @property
    def has_named_labels(self) -> bool:
        """Whether labels are names in the rows, neither numbers nor names of columns."""
        ...

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Training rows per label, once fitted."""
        ...

    def labels_of(self, row: Row) -> tuple[str, ...]:
        """Return the names of the labels of a row."""
        ...

    def label_values(self, names: Sequence[str]) -> Mapping[str, object]:
        """Return what the label columns hold in a row with these labels: `labels_of` inverted."""
        ...

    def parse_label(self, text: str) -> tuple[str, ...]:
        """Return the labels that `output.written` wrote, as `label_values` takes them."""
        ...

    def corrected(self, row: Row, text: str) -> Mapping[str, object]:
        """Return the label columns of a row with the labels that `output.written` wrote."""
        ...


class TaskTensors(Protocol):
    """The network and one pass through it."""

    model_class: ClassVar[str]
    """The class of transformers that loads the model with its head."""
    uses_full_vocabulary: ClassVar[bool]
    """Whether `corrupt` may show the model tokens that the data does not hold."""

    def build(
        self,
        files: ModelFiles,
        *,
        seed: int,
        dropout: float | None,
        allow_missing: Sequence[str] = (),
    ) -> LoadedModel:
        """Load the pretrained model with a head for this task."""
        ...

    def corrupt(self, batch: Batch, *, seed: int) -> Batch:
        """Return the batch with its random changes, such as masked words.

        A pure function of seed and content: however rows are cut into batches and spread over
        processes, each row comes out the same.
        """
        ...

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """Run one pass; return the summed loss and what evaluation collects."""
        ...

    generates: ClassVar[bool]
    """Whether evaluation also calls `generate`."""

    def generate(self, model: nn.Module, batch: Batch) -> Outputs:
        """Generate an answer to each example of a batch; return its tokens as `Outputs.ragged`.

        The model is the plain one, without patches of an engine.
        """
        ...


class TaskAnswers(Protocol):
    """From predictions to answers and scores."""

    metrics: ClassVar[Mapping[str, Metric]]
    """The scores that fit, by name."""

    @property
    def output(self) -> OutputKind:
        """What an answer is: all that depends on it is decided there."""
        ...

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """The field's own scores for this task; the first chooses the best model."""
        ...

    scores_groups: ClassVar[bool]
    """Whether scores are of groups of rows, such as the passages of a query, not of rows."""

    baseline_names: ClassVar[tuple[str, ...]]
    """The baselines that the model is compared with; "constant" is the one of `constant`."""

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        """Return the true answers of labeled rows: classes, zeros and ones, numbers, texts."""
        ...

    def truth(self, examples: Examples, rows: Iterable[Row]) -> NDArray[Any]:
        """Return the true answers of evaluated rows, as `targets`: one entry per row.

        Args:
            examples: all examples of these rows.
            rows: these rows; reading them takes time, so look at `examples` first.
        """
        ...

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        """Return predictions of examples as predictions of rows, in the order of the rows.

        It is called once for all that evaluation collects; everything after it is per row.
        """
        ...

    def score(
        self,
        metrics: Sequence[Metric],
        predictions: Predictions,
        truth: NDArray[Any],
        loss: float | None,
    ) -> Scores:
        """Score predictions of labeled rows, in the order of `truth`."""
        ...

    def settled(self, predictions: Predictions, truth: NDArray[Any]) -> Self:
        """Return the task with what is chosen on the validation rows of the final model.

        Such as a threshold; scores on these rows are a little optimistic then.

        Args:
            predictions: of the validation rows.
            truth: of these rows.
        """
        ...

    def decode(self, predictions: Predictions, rows: Sequence[Row]) -> list[dict[str, object]]:
        """Return one answer per row: at least "label", "score" and "scores"."""
        ...

    formats: ClassVar[tuple[str, ...]]
    """The formats of the field in which `written` gives answers, such as "conll"."""

    def written(self, answered: Answered, written_as: str) -> Iterator[str]:
        """Yield rows with their answers in one of `formats`, each line with its end.

        Args:
            answered: rows as they were predicted, with what `decode` gave for them.
            written_as: the format.
        """
        ...

    def encode_answers(self, answers: Sequence[Mapping[str, Any]]) -> Predictions | None:
        """Return predictions that `decode` turns into these answers; None if none are known."""
        ...

    def judge(self, rows: Sequence[Row], parts: Sequence[NDArray[Any]]) -> RowAnswers | None:
        """Answer training rows by simple models that have not learned them; None without such.

        Args:
            rows: all of them, labeled.
            parts: positions of rows that are answered by the same model; together each once.
        """
        ...

    @property
    def calibrator(self) -> Calibrator | None:
        """How answers are calibrated; None if they cannot be."""
        ...

    def constant(self, rows: Sequence[Row]) -> Sequence[float] | None:
        """Return the one answer that fits most labeled training rows, for `repeat`."""
        ...

    def repeat(self, constant: Sequence[float], count: int) -> Predictions:
        """Return predictions that answer so many rows with the result of `constant`."""
        ...

    def baselines(
        self, rows: Sequence[Row], *others: Sequence[Row]
    ) -> list[Mapping[str, Predictions]]:
        """Return what simple methods predict, by the other names of `baseline_names`.

        Args:
            rows: labeled training rows.
            *others: the rows to answer, such as those of each split; there is a result for each.
        """
        ...


class TaskStorage(Protocol):
    """What is saved with the model, and how the saved model is used."""

    pipeline: ClassVar[str | None]
    """The pipeline of transformers that runs the finished model; None if it has none."""
    hub_tag: ClassVar[str | None]
    """What the Hub calls the task, if there is no pipeline."""

    def as_json(self) -> dict[str, object]:
        """Return all that `from_json` needs."""
        ...

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Return the fitted task that `as_json` described."""
        ...

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """Return the task that a plain Hugging Face model was trained for, None if another."""
        ...

    @property
    def usage(self) -> str:
        """Code that prints an answer of the model in "path/to/this/folder", with transformers."""
        ...

    def served_otherwise(self, model: nn.Module, tokenizer: Any, rows: Sequence[Row]) -> int:
        """Return for how many rows `pipeline` gives other answers than the task itself.

        Args:
            model: saved and loaded again.
            tokenizer: of the model.
            rows: a few rows to try.
        """
        ...

    @property
    def example_texts(self) -> tuple[str, ...]:
        """What is shown in place of the texts of a row in a command that predicts."""
        ...

    @property
    def script_parts(self) -> ScriptParts | None:
        """The task as code for a script; None if a script cannot reproduce it."""
        ...

    def summary(self) -> list[str]:
        """Return what was learned from the rows, a line each: classes with counts."""
        ...


class Task(TaskRows, TaskTensors, TaskAnswers, TaskStorage, Protocol):
    """Something that can be learned."""
