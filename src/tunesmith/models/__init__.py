"""Pretrained models: from a name to safe local files, from files to a model."""

from __future__ import annotations

from tunesmith.models.config import overridden_dropout, stand_in_padding
from tunesmith.models.files import ModelFiles, locate
from tunesmith.models.load import LoadedModel, freeze, load_model
from tunesmith.models.suggest import EMBEDDED, suggest_model
from tunesmith.models.tokenizer import load_tokenizer, longest_input, read_backend
from tunesmith.models.trial import try_model

__all__ = [
    "EMBEDDED",
    "LoadedModel",
    "ModelFiles",
    "freeze",
    "load_model",
    "load_tokenizer",
    "locate",
    "longest_input",
    "overridden_dropout",
    "read_backend",
    "stand_in_padding",
    "suggest_model",
    "try_model",
]
