"""The recipe: one frozen settings tree, from YAML, flags, environment or Python."""

from __future__ import annotations

from tunesmith.recipe.document import read_document, read_scalar
from tunesmith.recipe.durations import Duration, Percentage
from tunesmith.recipe.keys import key_close_to, key_named
from tunesmith.recipe.layers import Layer, Layers, Origin, gather
from tunesmith.recipe.nested import KeyPath, flatten
from tunesmith.recipe.render import as_written, json_schema, to_yaml
from tunesmith.recipe.settings import DataSettings, Recipe, TrainSettings
from tunesmith.recipe.task_options import Options, read_options

__all__ = [
    "DataSettings",
    "Duration",
    "KeyPath",
    "Layer",
    "Layers",
    "Options",
    "Origin",
    "Percentage",
    "Recipe",
    "TrainSettings",
    "as_written",
    "flatten",
    "gather",
    "json_schema",
    "key_close_to",
    "key_named",
    "read_document",
    "read_options",
    "read_scalar",
    "to_yaml",
]
