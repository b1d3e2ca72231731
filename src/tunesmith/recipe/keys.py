"""The keys of the recipe, and which one a bare word means."""

from __future__ import annotations

from functools import cache

from pydantic import BaseModel

from tunesmith.recipe.nested import KeyPath
from tunesmith.recipe.renamed import RENAMED, RENAMED_KEYS
from tunesmith.recipe.settings import Recipe
from tunesmith.text import nearest

__all__ = ["key_close_to", "key_named", "known_keys", "section_at"]


@cache
def known_keys() -> frozenset[KeyPath]:
    """Return the path of every key, sections included."""
    return frozenset(_keys(Recipe, ()))


def _keys(section: type[BaseModel], prefix: KeyPath) -> set[KeyPath]:
    keys = set()
    for name, field in section.model_fields.items():
        keys.add((*prefix, name))
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys |= _keys(field.annotation, (*prefix, name))
    return keys


def section_at(path: KeyPath) -> type[BaseModel] | None:
    """Return the settings class at a path, or None if the path has a value."""
    section: type[BaseModel] = Recipe
    for part in path:
        field = section.model_fields.get(part)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return None
        section = inner
    return section


@cache
def _by_last_part() -> dict[str, str]:
    """Return every key by its last part; if two share one, that of `train`."""
    keys = sorted(known_keys(), key=lambda path: path[0] == "train")
    return {path[-1]: ".".join(path) for path in keys if section_at(path) is None}


@cache
def _by_old_name() -> dict[str, str]:
    """Return the new name of every renamed key by the old one and by its last part."""
    return {
        name: ".".join(new)
        for old, new in RENAMED_KEYS.items()
        for name in (old[-1], ".".join(old))
        if new in known_keys()
    }


def key_named(word: str) -> str | None:
    """Return the key that a word names, such as train.epochs for epochs or num_train_epochs.

    Args:
        word: the key itself, its last part, or an argument of transformers; hyphens count as
            underscores.
    """
    name = word.replace("-", "_")
    path = tuple(name.split("."))
    if path in known_keys() and section_at(path) is None:
        return name
    key = _by_last_part().get(name) or _by_old_name().get(name)
    if key is None and name in RENAMED:
        key = RENAMED[name].key
    return key


def key_close_to(word: str) -> str | None:
    """Return the key whose last part is spelled almost like a word, if there is one."""
    by_last_part = _by_last_part()
    close = nearest(word.replace("-", "_"), by_last_part)
    return by_last_part[close[0]] if close else None
