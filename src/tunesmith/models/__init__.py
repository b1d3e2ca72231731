"""Pretrained models: from a name to safe local files, from files to a model and tokenizer."""

from __future__ import annotations

from tunesmith.models.config import default_padding, overridden_dropout
from tunesmith.models.files import ModelFiles, locate
from tunesmith.models.load import LoadedModel, freeze, load_model, try_model
from tunesmith.models.suggest import EMBEDDED, suggest_model
from tunesmith.models.tokenizer import load_tokenizer, longest_input, read_backend

__all__ = [
    "EMBEDDED",
    "LoadedModel",
    "ModelFiles",
    "default_padding",
    "freeze",
    "load_model",
    "load_tokenizer",
    "locate",
    "longest_input",
    "overridden_dropout",
    "read_backend",
    "suggest_model",
    "try_model",
]
