"""The settings tree: what was asked, frozen, every field with its meaning, unit and default.

The names are the field's own. `None` means "none", never "guess": what is left out is filled in by
the preset, by a look at the data, or by the default, in this order, and `tunesmith config show`
says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tunesmith.i18n import gettext_noop as _
from tunesmith.recipe.durations import (
    Duration,
    EarlyStopping,
    EvaluationInterval,
    SaveInterval,
    SplitSource,
    Warmup,
)
from tunesmith.recipe.nested import KeyPath
from tunesmith.recipe.presets import DEFAULT_PRESET
from tunesmith.recipe.renamed import with_new_names

__all__ = ["FORMAT", "DataSettings", "Recipe", "TrainSettings"]

FORMAT: Literal[1] = 1
"""The format of recipe files that this version reads and writes."""


def _words(value: object) -> object:
    """Class names and columns are words, also where YAML reads a number or a truth value."""
    if isinstance(value, list | tuple):
        return tuple(_words(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _named(file: str) -> str:
    """A file's name; pydantic's own bound on lengths would refuse names that are not UTF-8."""
    if not file:
        raise ValueError(_("it names no file"))
    return file


def _several(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _listed(value: object) -> object:
    if isinstance(value, str):
        value = [value]
    return tuple(value) if isinstance(value, list) else value


def _with_new_options(value: object) -> object:
    return with_new_names(value, ("options",)) if isinstance(value, Mapping) else value


Word = Annotated[str, BeforeValidator(_words)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_words), Field(min_length=1)]
Column = Annotated[Word, Field(min_length=1)]
Delimiter = Annotated[str | None, BeforeValidator(lambda value: None if value == "auto" else value)]
File = Annotated[str, AfterValidator(_named)]
Files = Annotated[
    File | Annotated[tuple[File, ...], Field(min_length=1)], BeforeValidator(_several)
]
OptionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
OptionScalar = bool | int | Annotated[float, Field(allow_inf_nan=False)] | str | None
OptionValue = OptionScalar | list[OptionScalar] | dict[str, OptionScalar]
Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]
FastPart = Literal[
    "packing", "last_layer", "dropout", "vocabulary", "copies", "clipping", "process",
    "varlen", "graphs", "device_data",
]  # fmt: skip


_MOST_STEPS = 1_000_000_000
"""Steps, and what is counted in steps."""
_MOST_ROWS = 1_000_000
"""Rows that are computed together: more than any memory holds."""
_LARGEST_SEED = 2**63 - 1
"""Epochs are added to a seed, and torch takes 64 bits."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    _path: ClassVar[KeyPath] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_new_names(cls, values: object) -> object:
        """Take keys under the names they had in earlier recipes."""
        return with_new_names(values, cls._path) if isinstance(values, Mapping) else values


class DataSettings(_Section):
    """Where the labeled text is and which column is what."""

    _path: ClassVar[KeyPath] = ("data",)

    train: Files = Field(
        description=_(
            "Rows to learn from: a file (CSV, TSV, JSON lines, JSON, plain text, each also .gz, "
            "Parquet, Arrow, Excel), a list of files, a folder of files or of classes, a Hub data "
            "set (glue/mrpc, owner/name) or embedded:NAME."
        ),
    )
    validation: SplitSource = Field(
        None,
        description=_(
            "Rows by which the model is chosen: a share of the training rows (10%), a file, or a "
            "split name; null for none."
        ),
    )
    test: SplitSource = Field(
        None,
        description=_(
            "Rows to report on once, at the end: a share, a file, or a split name. Without labels "
            "it is predicted, not scored."
        ),
    )
    config: str | None = Field(
        None, description=_("Configuration of a Hub data set, such as mrpc of nyu-mll/glue.")
    )
    split: str = Field(
        "train", description=_("Split of a Hub data set or a folder that holds the training rows.")
    )
    revision: str | None = Field(
        None, description=_("Branch, tag or commit of a Hub data set; null for its newest.")
    )
    text: Column | None = Field(None, description=_("Column that holds the text."))
    text_pair: Column | None = Field(
        None,
        description=_("Column that holds the second text of a pair; both are read together."),
    )
    label: Column | Words | None = Field(
        None,
        description=_(
            "Column that holds the label; a list of 0/1 columns for multi-label-classification."
        ),
    )
    label_separator: str | None = Field(
        None,
        min_length=1,
        description=_(
            "What separates several labels of one field, such as ; or a comma; json: the field "
            "holds a list."
        ),
    )
    labels: Words | None = Field(
        None,
        description=_(
            "Class names in order, index 0 first; null for the data set's own order, else sorted."
        ),
    )
    positive_label: Word | None = Field(
        None, description=_("Class that a binary F1 counts; null for the last one.")
    )
    encoding: str | None = Field(
        None,
        description=_(
            "Encoding of text files, such as gb18030; null for UTF-8 or what a BOM says; auto: "
            "detected from the bytes."
        ),
    )
    delimiter: Delimiter = Field(
        None,
        min_length=1,
        max_length=1,
        description=_(
            "Character between fields; null or auto: a comma (.csv) or a tab (.tsv), or what the "
            "first lines show."
        ),
    )
    sheet: str | None = Field(None, description=_("Sheet of Excel files; null for the first one."))
    header: Words | None = Field(
        None,
        description=_(
            "Names of the columns of CSV and TSV files whose first line is a row; null: the first "
            "line names them."
        ),
    )
    normalize_labels: bool = Field(
        False,
        description=_(
            "Read labels that differ only by case and white space as one, in the spelling most "
            "rows have."
        ),
    )
    corrections: Listed = Field(
        (),
        description=_(
            "Tables with corrected labels and rows to leave out, as `tunesmith errors --export` "
            "writes them and a person fills them in; of two the later one counts."
        ),
    )
    seed: int = Field(
        42,
        ge=0,
        le=_LARGEST_SEED,
        description=_(
            "Seed of drawing shares; apart from train.seed, so that all seeds see the same rows."
        ),
    )
    on_bad_row: Literal["fail", "skip", "quarantine"] = Field(
        "fail",
        description=_(
            "What becomes of rows that cannot be used: fail tells all of them and stops, skip "
            "leaves them out, quarantine also writes them to rejected.jsonl of the run."
        ),
    )
    allow_leak: bool = Field(
        False,
        description=_(
            "Train although evaluated rows also stand in train, which flatters the scores."
        ),
    )


class TrainSettings(_Section):
    """How the model learns from the rows."""

    _path: ClassVar[KeyPath] = ("train",)

    seed: int = Field(
        42,
        ge=0,
        le=_LARGEST_SEED,
        description=_("Seed of the new head, the row order and the dropout."),
    )
    epochs: float = Field(3, ge=1e-6, le=1e6, description=_("Passes over the training rows."))
    sampling: Literal["natural", "balanced"] = Field(
        "natural",
        description=_(
            "Rows of an epoch: natural: each once; balanced: as many, but of each class the same "
            "number, rows of rare classes again and again."
        ),
    )
    max_steps: int | None = Field(
        None,
        gt=0,
        le=_MOST_STEPS,
        description=_("Optimizer steps; overrides epochs. null: as epochs say."),
    )
    batch_size: int = Field(
        8,
        gt=0,
        le=_MOST_ROWS,
        description=_("Rows per optimizer step, over all devices and micro-batches."),
    )
    micro_batch_size: int | None = Field(
        None,
        gt=0,
        le=_MOST_ROWS,
        description=_(
            "Rows per forward pass; gradients add up to batch_size. null: batch_size over devices."
        ),
    )
    eval_batch_size: int | None = Field(
        None,
        gt=0,
        le=_MOST_ROWS,
        description=_(
            "Most rows per forward pass of evaluation and device; null: by their tokens."
        ),
    )
    learning_rate: float = Field(5e-5, ge=1e-12, le=1e3, description=_("Highest learning rate."))
    schedule: Literal["linear", "cosine", "constant", "polynomial", "inverse_sqrt"] = Field(
        "linear", description=_("Course of the learning rate after the warm-up.")
    )
    warmup: Warmup = Field(
        None,
        description=_("Rise from zero to learning_rate: 100 steps, 1 epoch or 6%; null: none."),
    )
    weight_decay: float = Field(
        0.0, ge=0, le=1e3, description=_("AdamW's decay of weights; biases and norms are spared.")
    )
    adam_beta1: float = Field(0.9, ge=0, lt=1, description=_("AdamW's decay of the mean."))
    adam_beta2: float = Field(0.999, ge=0, lt=1, description=_("AdamW's decay of the variance."))
    adam_epsilon: float = Field(
        1e-8, ge=1e-30, le=1, description=_("AdamW's guard against division by zero.")
    )
    max_grad_norm: float | None = Field(
        1.0,
        ge=1e-12,
        le=1e12,
        description=_("Gradients longer than this (global L2 norm) are shortened; null: no."),
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description=_(
            "Arithmetic: fp32, or bf16 with fp32 weights; auto: bf16 where it is computed natively."
        ),
    )
    engine: Literal["fast", "exact"] = Field(
        "fast",
        description=_(
            "How a step is computed: fast leaves out padding and more, if a probe finds the same "
            "result; exact runs the model as it stands."
        ),
    )
    disable: Annotated[tuple[FastPart, ...], BeforeValidator(_listed)] = Field(
        (),
        description=_(
            "Parts of the fast engine to leave out: packing, last_layer, dropout, vocabulary, "
            "copies, clipping; process for what it sets for the whole process; on a GPU varlen, "
            "graphs, device_data."
        ),
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description=_("Where to compute; auto: a GPU if there is one.")
    )
    deterministic: bool = Field(
        True, description=_("Use only kernels that repeat exactly (on a GPU some are slower).")
    )
    max_length: int | None = Field(
        None,
        gt=0,
        le=_MOST_STEPS,
        description=_("Most tokens per row, the rest is cut; null: what the model takes."),
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, description=_("Overrides every dropout rate of the model; null: its own.")
    )
    freeze: Listed = Field(
        (),
        description=_(
            "Weights to leave as they are: embeddings, base (all but the head), or name patterns "
            "such as *.layer.0.*"
        ),
    )
    allow_missing: Listed = Field(
        (),
        description=_(
            "Weights besides the head that the model's files may lack, as name patterns; they are "
            "drawn at random. Without it a model that lacks any is refused."
        ),
    )
    gradient_checkpointing: bool = Field(
        False, description=_("Recompute activations in the backward pass: less memory, more time.")
    )
    evaluate_every: EvaluationInterval = Field(
        Duration(1, "epochs"),
        description=_("How often validation is scored: 1 epoch, 200 steps, never."),
    )
    select_by: str | None = Field(
        None,
        description=_(
            "Score that chooses the model to keep, such as f1 or loss; null: the last weights. "
            "Own scores: highest NAME or lowest NAME."
        ),
    )
    early_stopping: EarlyStopping = Field(
        None,
        description=_(
            "Stop after so many evaluations without a better score: 3 evaluations; null: no."
        ),
    )
    save_every: SaveInterval = Field(
        Duration(10, "minutes"),
        description=_("How often a checkpoint is written: 10 minutes, 500 steps, 1 epoch, never."),
    )
    keep_checkpoints: int = Field(
        2, ge=1, le=_MOST_ROWS, description=_("Newest checkpoints to keep, besides the best one.")
    )
    preflight: bool = Field(
        True,
        description=_(
            "Before the first step of a run, try its longest batch, saving and loading, and every "
            "score."
        ),
    )
    log_every: int = Field(
        10,
        gt=0,
        le=_MOST_STEPS,
        description=_("Steps between two reports of loss and learning rate."),
    )


class Recipe(_Section):
    """What was asked: the whole of it, and nothing that follows from it.

    Frozen: a changed recipe is another recipe. `recipe.layers` merges file, flags and environment
    with the origin of every value.
    """

    format: Literal[1] = Field(FORMAT, description=_("Format of this file."))
    task: str | None = Field(
        None, description=_("What is learned; null: as the label column suggests.")
    )
    model: str | None = Field(
        None,
        description=_(
            "Pretrained model: Hub name (bert-base-uncased), local folder, or embedded:mini; null: "
            "as the language of the text suggests."
        ),
    )
    revision: str | None = Field(
        None, description=_("Branch, tag or commit of a Hub model; null for its newest.")
    )
    preset: str | None = Field(
        DEFAULT_PRESET,
        description=_("Named set of values below the file's own; course: transformers' defaults."),
    )
    metrics: Words | None = Field(
        None, description=_("Scores to compute; null: the task's own (for GLUE, each set's own).")
    )
    data: DataSettings = Field(description=_("Where the labelled text is."))
    options: Annotated[dict[OptionName, OptionValue], BeforeValidator(_with_new_options)] = Field(
        default_factory=dict, description=_("What the task alone can be told.")
    )
    train: TrainSettings = Field(default_factory=TrainSettings, description=_("How it learns."))
    trackers: Listed = Field(
        (),
        description=_(
            "Trackers told of every event: tensorboard, wandb, mlflow, trackio, swanlab."
        ),
    )
