"""The commands, one file each, and the list of them."""

from __future__ import annotations

from tunesmith.i18n import gettext_noop as N_

__all__ = ["COMMANDS"]

COMMANDS = {
    "quickstart": N_("Run the whole workflow on embedded data, offline."),
    "init": N_("Inspect data and write a commented recipe."),
    "check": N_("Validate data and recipe."),
    "train": N_("Train, or continue a stopped run."),
    "launch": N_("Train in several processes, as torchrun starts them."),
    "many": N_("Train many small jobs from a file."),
    "predict": N_("Predict texts with a finished model."),
    "eval": N_("Score a finished model on labeled data."),
    "calibrate": N_("Calibrate a model's probabilities."),
    "errors": N_("Show misclassified rows and suspect labels."),
    "metric": N_("Score predictions in a file."),
    "data": N_("Inspect data sets."),
    "inspect": N_("Show the tokens that a model reads."),
    "tokenizer": N_("Train tokenizers on your own text."),
    "runs": N_("List, show, compare and delete runs."),
    "report": N_("Rewrite the report of a run."),
    "eject": N_("Write a run as a plain script."),
    "config": N_("Show recipes and their schema."),
    "explain": N_("Explain an error code."),
    "bench": N_("Benchmark against transformers' Trainer."),
    "doctor": N_("Check versions, device, disk and mirrors."),
}
"""Each command, a module here, with its help line; `--help` loads none of them."""
