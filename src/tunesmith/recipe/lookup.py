"""Which key of the recipe a bare word means: its last part, or a name from another tool."""

from __future__ import annotations

from functools import cache

from tunesmith.recipe.problems import known_keys, section_at
from tunesmith.recipe.renamed import RENAMED, RENAMED_KEYS
from tunesmith.text import nearest

__all__ = ["key_close_to", "key_named"]


@cache
def _by_last_part() -> dict[str, str]:
    """Every key by its last part; of two that share one, that of `train`."""
    keys = sorted(known_keys(), key=lambda path: path[0] == "train")
    return {path[-1]: ".".join(path) for path in keys if section_at(path) is None}


@cache
def _by_old_name() -> dict[str, str]:
    """The name now of every renamed key, by the old one and its last part."""
    return {
        name: ".".join(new)
        for old, new in RENAMED_KEYS.items()
        for name in (old[-1], ".".join(old))
        if new in known_keys()
    }


def key_named(word: str) -> str | None:
    """The key that a word names, such as train.epochs for epochs or num_train_epochs.

    Args:
        word: the key itself, its last part, or an argument of transformers; hyphens count as
            underscores.
    """
    name = word.replace("-", "_")
    if tuple(name.split(".")) in known_keys() and section_at(tuple(name.split("."))) is None:
        return name
    key = _by_last_part().get(name) or _by_old_name().get(name)
    if key is None and name in RENAMED:
        key = RENAMED[name].key
    return key


def key_close_to(word: str) -> str | None:
    """The key whose last part is spelled almost like a word; None if there is none."""
    by_last_part = _by_last_part()
    close = nearest(word.replace("-", "_"), by_last_part)
    return by_last_part[close[0]] if close else None
