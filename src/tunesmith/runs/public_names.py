"""What a model folder may say of data and models: their names, never where they are on a disk."""

from __future__ import annotations

from pathlib import Path

from tunesmith.data.open import looks_like_a_file
from tunesmith.recipe import Recipe

__all__ = ["public_name", "with_public_names"]


def public_name(name: str) -> str:
    """The last part of a path; a name on the Hub and an embedded one are public as they are."""
    if name.startswith("embedded:"):
        return name
    path = Path(name).expanduser()
    if looks_like_a_file(name) or path.exists():
        return path.name if path.name not in ("", "..") else path.resolve().name
    return name


def with_public_names(recipe: Recipe) -> Recipe:
    """The recipe as it may be published: files and folders by their names alone."""
    data = recipe.data
    public: dict[str, object] = {
        "train": _public(data.train),
        "validation": _public(data.validation),
        "test": _public(data.test),
        "corrections": _public(data.corrections),
    }
    return recipe.model_copy(
        update={"data": data.model_copy(update=public), "model": _public(recipe.model)}
    )


def _public(value: object) -> object:
    """The same for one name or several; a fraction of the rows stays unchanged."""
    if isinstance(value, str):
        return public_name(value)
    if isinstance(value, tuple):
        return tuple(map(_public, value))
    return value
