"""The settings tree: frozen, every field with its meaning, unit and default.

`None` means "none", never "guess": what is left out is filled in by the preset, from the data, or
by the default, in this order, and `tunesmith config show` says which. The docstring of a field is
its description in the comments of recipes, the JSON schema and error messages.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe.durations import (
    Duration,
    EarlyStopping,
    EvaluationInterval,
    SaveInterval,
    SplitSource,
    Warmup,
)
from tunesmith.recipe.nested import KeyPath
from tunesmith.recipe.renamed import with_new_names

__all__ = [
    "DEFAULT_PRESET",
    "FORMAT",
    "PRESETS",
    "PRESET_DESCRIPTIONS",
    "DataSettings",
    "Recipe",
    "TrainSettings",
    "description_of",
]

FORMAT: Literal[1] = 1
"""The format of recipe files that this version reads and writes."""

DEFAULT_PRESET = "course"

PRESETS: dict[str, dict[str, object]] = {
    # The defaults of transformers.TrainingArguments, which chapter 3 of the course trains with.
    "course": {
        "train": {
            "epochs": 3,
            "batch_size": 8,
            "learning_rate": 5e-5,
            "schedule": "linear",
            "warmup": None,
            "weight_decay": 0.0,
            "adam_beta1": 0.9,
            "adam_beta2": 0.999,
            "adam_epsilon": 1e-8,
            "max_grad_norm": 1.0,
            "seed": 42,
            "precision": "fp32",
        }
    },
}

PRESET_DESCRIPTIONS = {
    "course": N_("transformers' own defaults, as chapter 3 of the Hugging Face course")
}


def _words(value: object) -> object:
    """Turn numbers and truth values into text: class names and columns are text."""
    if isinstance(value, list | tuple):
        return tuple(_words(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _named(file: str) -> str:
    """Refuse an empty name; pydantic's bound on lengths also refuses names that are not UTF-8."""
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
Offsets = Literal[
    "characters", "utf-16", "bytes", "inclusive", "inclusive-utf-16", "inclusive-bytes",
    "from-1", "inclusive-from-1",
]  # fmt: skip
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
    "packing", "last_layer", "layers", "dropout", "vocabulary", "copies", "clipping", "update",
    "process", "waiting",
    "varlen", "graphs", "device_data",
]  # fmt: skip
GpuPart = Literal["varlen", "graphs", "device_data"]


_MOST_STEPS = 1_000_000_000
"""Of steps, and of what is counted in steps."""
_MOST_ROWS = 1_000_000
"""Of rows in a batch: more than fit into any memory."""
_LARGEST_SEED = 2**63 - 1
"""Epochs are added to a seed, and torch takes 64 bits."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    _path: ClassVar[KeyPath] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_new_names(cls, values: object) -> object:
        """Accept keys under the names they had in earlier recipes."""
        return with_new_names(values, cls._path) if isinstance(values, Mapping) else values


class DataSettings(_Section):
    """Where the labeled text is and which column is what."""

    _path: ClassVar[KeyPath] = ("data",)

    train: Files
    """Rows to learn from: a file (CSV, TSV, JSON lines, JSON, plain text, each also .gz,
    Parquet, Arrow, Excel), a list of files, a pattern (data/*.parquet), a folder of files or of
    classes, a Hub data set (glue/mrpc, owner/name) or embedded:NAME."""
    validation: SplitSource = None
    """Rows by which the model is selected: a fraction of the training rows (10%), a file, or a
    split name; null for none."""
    test: SplitSource = None
    """Rows to report on once, at the end: a fraction, a file, or a split name. Without labels
    it is predicted, not scored."""
    config: str | None = None
    """Configuration of a Hub data set, such as mrpc of nyu-mll/glue."""
    split: str = "train"
    """Split of a Hub data set or a folder that holds the training rows."""
    revision: str | None = None
    """Branch, tag or commit of a Hub data set; null for its newest."""
    text: Column | None = None
    """Column that holds the text."""
    text_pair: Column | None = None
    """Column that holds the second text of a pair; both are read together."""
    label: Column | Words | None = None
    """Column that holds the label; a list of 0/1 columns for multi-label-classification."""
    label_separator: str | None = Field(None, min_length=1)
    """What separates several labels of one field, such as ; or a comma; json: the field holds a
    list."""
    group: Column | None = None
    """Column whose equal values stay in one split, such as an author or a document; null: as the
    task says, such as the query of a reranker."""
    labels: Words | None = None
    """Class names in order, index 0 first; null for the data set's own order, else sorted."""
    positive_label: Word | None = None
    """Class that a binary F1 counts; null for the last one."""
    encoding: str | None = None
    """Encoding of text files, such as gb18030; null for UTF-8 or what a BOM says; auto:
    detected from the bytes."""
    delimiter: Delimiter = Field(None, min_length=1, max_length=1)
    """Character between fields; null or auto: a comma (.csv) or a tab (.tsv), or what the first
    lines show."""
    sheet: str | None = None
    """Sheet of Excel files; null for the first one."""
    header: Words | None = None
    """Names of the columns of CSV and TSV files whose first line is a row; null: the first line
    names them."""
    offsets: Offsets | None = None
    """How positions of marked parts of a text are counted, such as utf-16; null: as nearly all rows
    agree."""
    normalize_labels: bool = False
    """Read labels that differ only by case and white space as one, in the spelling most rows
    have."""
    corrections: Listed = ()
    """Tables with corrected labels and rows to leave out, as `tunesmith errors --export` writes
    them, filled in; the later one counts."""
    seed: int = Field(42, ge=0, le=_LARGEST_SEED)
    """Seed for drawing fractions; apart from train.seed, so that all seeds use the same rows."""
    on_bad_row: Literal["fail", "skip", "quarantine"] = "fail"
    """What to do with unusable rows: fail reports all of them and stops, skip leaves them out,
    quarantine also writes them to rejected.jsonl of the run."""
    streaming: bool | None = None
    """Read the training rows shard by shard while training, for data larger than memory or disk;
    null: above 5 million rows, where the recipe allows it."""
    window: int = Field(1_000_000, ge=1, le=_MOST_STEPS)
    """Rows that are shuffled together when data is streamed; they are on disk at a time."""
    allow_leak: bool = False
    """Train although evaluated rows are also in train, which inflates the scores."""


class TrainSettings(_Section):
    """How the model is trained."""

    _path: ClassVar[KeyPath] = ("train",)

    seed: int = Field(42, ge=0, le=_LARGEST_SEED)
    """Seed of the new head, the row order and the dropout."""
    epochs: float = Field(3, ge=1e-6, le=1e6)
    """Passes over the training rows."""
    sampling: Literal["natural", "balanced"] = "natural"
    """Rows of an epoch: natural: each once; balanced: as many, but of each class the same
    number, so that rows of rare classes are repeated."""
    max_steps: int | None = Field(None, gt=0, le=_MOST_STEPS)
    """Optimizer steps; overrides epochs. null: as epochs say."""
    batch_size: int = Field(8, gt=0, le=_MOST_ROWS)
    """Rows per optimizer step, over all devices and micro-batches."""
    micro_batch_size: int | None = Field(None, gt=0, le=_MOST_ROWS)
    """Rows per forward pass; gradients add up to batch_size. null: batch_size over devices."""
    eval_batch_size: int | None = Field(None, gt=0, le=_MOST_ROWS)
    """Most rows per forward pass and device in evaluation; null: by their tokens."""
    learning_rate: float = Field(5e-5, ge=1e-12, le=1e3)
    """Highest learning rate."""
    schedule: Literal["linear", "cosine", "constant", "polynomial", "inverse_sqrt"] = "linear"
    """Course of the learning rate after the warm-up."""
    warmup: Warmup = None
    """Rise from zero to learning_rate: 100 steps, 1 epoch or 6%; null: none."""
    weight_decay: float = Field(0.0, ge=0, le=1e3)
    """AdamW's weight decay; not applied to biases and norms."""
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    """AdamW's decay of the mean."""
    adam_beta2: float = Field(0.999, ge=0, lt=1)
    """AdamW's decay of the variance."""
    adam_epsilon: float = Field(1e-8, ge=1e-30, le=1)
    """AdamW's guard against division by zero."""
    max_grad_norm: float | None = Field(1.0, ge=1e-12, le=1e12)
    """Gradients are clipped to this global L2 norm; null: no clipping."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic: fp32, or bf16 with fp32 weights; auto: bf16 where the device supports it."""
    engine: Literal["fast", "exact"] = "fast"
    """How a step is computed: fast leaves out padding and more, if a probe finds the same
    result; exact runs the model unchanged."""
    disable: Annotated[tuple[FastPart, ...], BeforeValidator(_listed)] = ()
    """Parts of the fast engine to leave out: packing, last_layer, layers, dropout, vocabulary,
    copies, clipping, update; process for what it sets for the whole process, waiting for how
    threads wait on a busy machine; on a GPU varlen, graphs, device_data."""
    enable: Annotated[tuple[GpuPart, ...], BeforeValidator(_listed)] = ()
    """Parts of the fast engine to use on a GPU although they have not been measured there: varlen;
    graphs, which brings varlen along; device_data, which brings both. Elsewhere no effect."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto: a GPU if there is one."""
    deterministic: bool = True
    """Use only deterministic kernels (on a GPU some are slower)."""
    max_length: int | None = Field(None, gt=0, le=_MOST_STEPS)
    """Most tokens per row; the rest is truncated. null: what the model takes."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Overrides every dropout rate of the model; null: its own."""
    freeze: Listed = ()
    """Weights to freeze: embeddings, base (all but the head), or name patterns such as
    *.layer.0.*"""
    allow_missing: Listed = ()
    """Weights other than the head that the model's files may lack, as name patterns; they are
    initialized at random. A model that lacks any other is refused."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    evaluate_every: EvaluationInterval = Duration(1, "epochs")
    """How often validation is scored: 1 epoch, 200 steps, never."""
    select_by: str | None = None
    """Score that selects the model to keep, such as f1 or loss; null: the last weights. Custom
    metrics: highest NAME or lowest NAME."""
    early_stopping: EarlyStopping = None
    """Stop after this many evaluations without a better score: 3 evaluations; null: no."""
    save_every: SaveInterval = Duration(10, "minutes")
    """How often a checkpoint is written: 10 minutes, 500 steps, 1 epoch, never."""
    keep_checkpoints: int = Field(2, ge=1, le=_MOST_ROWS)
    """Newest checkpoints to keep, in addition to the best one."""
    preflight: bool = True
    """Before the first step, try the longest batch, saving and loading, and every score."""
    log_every: int = Field(10, gt=0, le=_MOST_STEPS)
    """Steps between two reports of loss and learning rate."""


class Recipe(_Section):
    """All settings of a run, frozen.

    `recipe.layers` merges file, flags and environment, with the origin of every value.
    """

    format: Literal[1] = FORMAT
    """Format of this file."""
    task: str | None = None
    """Task, such as text-classification; null: as the label column suggests."""
    model: str | None = None
    """Pretrained model: Hub name (bert-base-uncased), local folder, or embedded:mini; null: as
    the language of the text suggests."""
    revision: str | None = None
    """Branch, tag or commit of a Hub model; null for its newest."""
    preset: str | None = DEFAULT_PRESET
    """Named set of values below the file's own; course: transformers' defaults."""
    metrics: Words | None = None
    """Scores to compute; null: the default of the task (for GLUE, of each set)."""
    data: DataSettings
    """Where the labeled text is."""
    options: Annotated[dict[OptionName, OptionValue], BeforeValidator(_with_new_options)] = Field(
        default_factory=dict
    )
    """Task-specific options."""
    train: TrainSettings = Field(default_factory=TrainSettings)
    """How the model is trained."""
    trackers: Listed = ()
    """Trackers that log every event: tensorboard, wandb, mlflow, trackio, swanlab."""


@cache
def _docstrings() -> Mapping[str, Mapping[str, str]]:
    """Return the docstring of each field by class; pydantic reads them too, but at import time."""
    classes = [
        node
        for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    ]
    return {
        node.name: {
            field.target.id: " ".join(str(text.value.value).split())
            for field, text in pairwise(node.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        }
        for node in classes
    }


def description_of(section: type[BaseModel], name: str) -> str:
    """Return the description of a field, untranslated and on one line."""
    return _docstrings()[section.__name__].get(name, "")
