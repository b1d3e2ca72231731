"""Fine-tune pretrained transformers on your own labelled text.

`import tunesmith as ts` is light: torch is loaded by the first call that computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import DataCollatorWithPadding, EarlyStoppingCallback

    from tunesmith.api import Run, Runs, find_run, list_runs, load_data, start, train
    from tunesmith.artifact.inference import Model
    from tunesmith.artifact.loading import load
    from tunesmith.artifact.predicted import Predicted
    from tunesmith.errors import PlainError
    from tunesmith.events import Evaluated, Event, Finished, Saved, StepDone, Warned
    from tunesmith.handover import load_dataset, model_folder
    from tunesmith.loaded_metric import LoadedMetric, load_metric
    from tunesmith.recipe import Recipe
    from tunesmith.trainer.arguments import TrainingArguments
    from tunesmith.trainer.trainer import Trainer

__all__ = [
    "DataCollatorWithPadding",
    "EarlyStoppingCallback",
    "Evaluated",
    "Event",
    "Finished",
    "LoadedMetric",
    "Model",
    "PlainError",
    "Predicted",
    "Recipe",
    "Run",
    "Runs",
    "Saved",
    "StepDone",
    "Trainer",
    "TrainingArguments",
    "Warned",
    "__version__",
    "find_run",
    "list_runs",
    "load",
    "load_data",
    "load_dataset",
    "load_metric",
    "model_folder",
    "start",
    "train",
]

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(
        ("Run", "Runs", "find_run", "list_runs", "load_data", "start", "train"), "tunesmith.api"
    ),
    "Model": "tunesmith.artifact.inference",
    "Predicted": "tunesmith.artifact.predicted",
    "load": "tunesmith.artifact.loading",
    **dict.fromkeys(
        ("Evaluated", "Event", "Finished", "Saved", "StepDone", "Warned"), "tunesmith.events"
    ),
    **dict.fromkeys(("load_dataset", "model_folder"), "tunesmith.handover"),
    **dict.fromkeys(("LoadedMetric", "load_metric"), "tunesmith.loaded_metric"),
    "PlainError": "tunesmith.errors",
    "Recipe": "tunesmith.recipe",
    "Trainer": "tunesmith.trainer.trainer",
    "TrainingArguments": "tunesmith.trainer.arguments",
    **dict.fromkeys(("DataCollatorWithPadding", "EarlyStoppingCallback"), "transformers"),
}


def __getattr__(name: str) -> Any:
    """Load a public name from its home the first time it is used."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
