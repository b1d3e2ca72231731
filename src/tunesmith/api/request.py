"""What a call from Python asks to train: settings, data, and a name for the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tunesmith.api.data import load_data
from tunesmith.data.open import open_splits
from tunesmith.data.readers.registry import refuse_header
from tunesmith.data.rows import Splits
from tunesmith.inputs import reading_options
from tunesmith.recipe import KeyPath, Layers, Recipe, gather
from tunesmith.storage.disk import as_path

__all__ = ["flags_of", "is_held", "named_data", "understand"]


def flags_of(settings: Mapping[str, object]) -> dict[KeyPath, tuple[str, object]]:
    """Return settings by key as layers take them."""
    return {tuple(key.split(".")): (key, value) for key, value in settings.items()}


def named_data(layers: Layers) -> Splits:
    """Open the data that a recipe names."""
    settings = layers.recipe().data
    where = settings.train if isinstance(settings.train, str) else list(settings.train)
    return open_splits(where, reading_options(settings))


def is_held(validation: object) -> bool:
    """Return whether validation rows are Python objects, not a fraction, a name or files."""
    if isinstance(validation, list | tuple):
        return not all(isinstance(part, str) for part in validation)
    return validation is not None and not isinstance(validation, str)


def understand(
    what: object, flags: dict[KeyPath, tuple[str, object]]
) -> tuple[Layers, Splits | None, str]:
    """Return the layers, the data if it is a Python object, and a name for the run."""
    if isinstance(what, Recipe):
        train_files = what.data.train
        name = train_files if isinstance(train_files, str) else train_files[0]
        return gather(recipe=what, flags=flags), None, name
    if isinstance(what, str | Path):
        name = str(what)
        if name.endswith((".yaml", ".yml")):
            return gather(file=as_path(name), flags=flags), None, name
        flags = {("data", "train"): ("data", name), **flags}
        return gather(flags=flags), None, name
    layers = gather(flags={("data", "train"): ("data", "python"), **flags})
    refuse_header("data.header", reading_options(layers.recipe().data))
    return layers, load_data(what), "python"
