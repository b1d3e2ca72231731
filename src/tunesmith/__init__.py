"""Fine-tune pretrained transformers on your own labeled text.

`import tunesmith as ts` is light: torch is loaded by the first call that computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunesmith.training.cpus import set_environment

if TYPE_CHECKING:
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForMaskedLM,
        AutoModelForMultipleChoice,
        AutoModelForQuestionAnswering,
        AutoModelForSeq2SeqLM,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForLanguageModeling,
        DataCollatorForMultipleChoice,
        DataCollatorForSeq2Seq,
        DataCollatorForTokenClassification,
        DataCollatorWithFlattening,
        DataCollatorWithPadding,
        DefaultDataCollator,
        DefaultFlowCallback,
        EarlyStoppingCallback,
        EvalPrediction,
        GenerationConfig,
        HfArgumentParser,
        IntervalStrategy,
        PreTrainedModel,
        PreTrainedTokenizerBase,
        PrinterCallback,
        ProgressCallback,
        SchedulerType,
        TrainerCallback,
        TrainerControl,
        TrainerState,
        default_data_collator,
        enable_full_determinism,
        get_constant_schedule,
        get_constant_schedule_with_warmup,
        get_cosine_schedule_with_warmup,
        get_cosine_with_hard_restarts_schedule_with_warmup,
        get_inverse_sqrt_schedule,
        get_linear_schedule_with_warmup,
        get_polynomial_decay_schedule_with_warmup,
        get_scheduler,
        pipeline,
        set_seed,
    )

    from tunesmith.api.data import load_data
    from tunesmith.api.runs import Run, Runs, fetch_run, find_run, list_runs
    from tunesmith.api.train import start, train
    from tunesmith.errors import TunesmithError
    from tunesmith.inference.load import load
    from tunesmith.inference.model import Model
    from tunesmith.inference.predicted import Predicted
    from tunesmith.interop.datasets import load_dataset, model_folder
    from tunesmith.interop.load_metric import LoadedMetric, load_metric
    from tunesmith.interop.trainer.arguments import Seq2SeqTrainingArguments, TrainingArguments
    from tunesmith.interop.trainer.trainer import Seq2SeqTrainer, Trainer
    from tunesmith.recipe import Recipe
    from tunesmith.training.events import Evaluated, Event, Finished, Saved, StepDone, Warned

__all__ = [
    "AutoConfig",
    "AutoModel",
    "AutoModelForCausalLM",
    "AutoModelForMaskedLM",
    "AutoModelForMultipleChoice",
    "AutoModelForQuestionAnswering",
    "AutoModelForSeq2SeqLM",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoTokenizer",
    "DataCollatorForLanguageModeling",
    "DataCollatorForMultipleChoice",
    "DataCollatorForSeq2Seq",
    "DataCollatorForTokenClassification",
    "DataCollatorWithFlattening",
    "DataCollatorWithPadding",
    "DefaultDataCollator",
    "DefaultFlowCallback",
    "EarlyStoppingCallback",
    "EvalPrediction",
    "Evaluated",
    "Event",
    "Finished",
    "GenerationConfig",
    "HfArgumentParser",
    "IntervalStrategy",
    "LoadedMetric",
    "Model",
    "PreTrainedModel",
    "PreTrainedTokenizerBase",
    "Predicted",
    "PrinterCallback",
    "ProgressCallback",
    "Recipe",
    "Run",
    "Runs",
    "Saved",
    "SchedulerType",
    "Seq2SeqTrainer",
    "Seq2SeqTrainingArguments",
    "StepDone",
    "Trainer",
    "TrainerCallback",
    "TrainerControl",
    "TrainerState",
    "TrainingArguments",
    "TunesmithError",
    "Warned",
    "__version__",
    "default_data_collator",
    "enable_full_determinism",
    "fetch_run",
    "find_run",
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_cosine_with_hard_restarts_schedule_with_warmup",
    "get_inverse_sqrt_schedule",
    "get_linear_schedule_with_warmup",
    "get_polynomial_decay_schedule_with_warmup",
    "get_scheduler",
    "list_runs",
    "load",
    "load_data",
    "load_dataset",
    "load_metric",
    "model_folder",
    "pipeline",
    "set_seed",
    "start",
    "train",
]

__version__ = "0.1.0"

set_environment()  # before torch is loaded, and its threads with it

_HOMES = {
    **dict.fromkeys(("start", "train"), "tunesmith.api.train"),
    **dict.fromkeys(("Run", "Runs", "fetch_run", "find_run", "list_runs"), "tunesmith.api.runs"),
    "load_data": "tunesmith.api.data",
    "Model": "tunesmith.inference.model",
    "Predicted": "tunesmith.inference.predicted",
    "load": "tunesmith.inference.load",
    **dict.fromkeys(
        ("Evaluated", "Event", "Finished", "Saved", "StepDone", "Warned"),
        "tunesmith.training.events",
    ),
    **dict.fromkeys(("load_dataset", "model_folder"), "tunesmith.interop.datasets"),
    **dict.fromkeys(("LoadedMetric", "load_metric"), "tunesmith.interop.load_metric"),
    "TunesmithError": "tunesmith.errors",
    "Recipe": "tunesmith.recipe",
    "Trainer": "tunesmith.interop.trainer.trainer",
    "Seq2SeqTrainer": "tunesmith.interop.trainer.trainer",
    **dict.fromkeys(
        ("Seq2SeqTrainingArguments", "TrainingArguments"), "tunesmith.interop.trainer.arguments"
    ),
    # what scripts import together with a Trainer, so that they can change the whole line
    **dict.fromkeys(
        (
            "AutoConfig",
            "AutoModel",
            "AutoModelForCausalLM",
            "AutoModelForMaskedLM",
            "AutoModelForMultipleChoice",
            "AutoModelForQuestionAnswering",
            "AutoModelForSeq2SeqLM",
            "AutoModelForSequenceClassification",
            "AutoModelForTokenClassification",
            "AutoTokenizer",
            "DataCollatorForLanguageModeling",
            "DataCollatorForMultipleChoice",
            "DataCollatorForSeq2Seq",
            "DataCollatorForTokenClassification",
            "DataCollatorWithFlattening",
            "DataCollatorWithPadding",
            "DefaultDataCollator",
            "DefaultFlowCallback",
            "EarlyStoppingCallback",
            "EvalPrediction",
            "GenerationConfig",
            "HfArgumentParser",
            "IntervalStrategy",
            "PreTrainedModel",
            "PreTrainedTokenizerBase",
            "PrinterCallback",
            "ProgressCallback",
            "SchedulerType",
            "TrainerCallback",
            "TrainerControl",
            "TrainerState",
            "default_data_collator",
            "enable_full_determinism",
            "get_constant_schedule",
            "get_constant_schedule_with_warmup",
            "get_cosine_schedule_with_warmup",
            "get_cosine_with_hard_restarts_schedule_with_warmup",
            "get_inverse_sqrt_schedule",
            "get_linear_schedule_with_warmup",
            "get_polynomial_decay_schedule_with_warmup",
            "get_scheduler",
            "pipeline",
            "set_seed",
        ),
        "transformers",
    ),
}


def __getattr__(name: str) -> Any:
    """Load a public name from its home the first time it is used."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
