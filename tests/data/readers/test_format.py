"""What a format says of itself, and the options by which files are read."""

from __future__ import annotations

from dataclasses import fields

from tunesmith.data.readers.format import ReadingOptions
from tunesmith.recipe import DataSettings


def test_options_are_those_of_the_recipe_and_nothing_by_default() -> None:
    names = [field.name for field in fields(ReadingOptions)]
    assert all(getattr(ReadingOptions(), name) is None for name in names)
    assert set(names) <= set(DataSettings.model_fields)
