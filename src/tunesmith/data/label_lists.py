"""Several labels in one field of text: how they are separated, and how that is recognized.

A separator is recognized by statistics, since ordinary class names hold commas and slashes, too:
the same parts must come back in different combinations.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["JSON", "Separator", "parsed_list", "recognized_separator", "separator_name", "split"]

JSON = "json"
"""Instead of a separator: the field is a list as JSON or Python write it."""

_SEPARATORS = (";", "|", "\t", "\n", "；", "、", "，", ",", "/")
_FEWEST_ROWS = 5
_LONGEST_PART = 50
_LONGEST_LIST = 100_000
_REPEATED, _REPEATED_IF_ASKED = 0.8, 0.3
"""The minimum fraction of the parts that are in several combinations."""
_LISTS = 0.9
"""The minimum fraction of the rows that are lists."""
_AMBIGUOUS = frozenset(",/，")
"""Signs that occur in numbers: 1,5 and 3/4 are one number each."""


@dataclass(frozen=True, slots=True)
class Separator:
    """What separates several labels of one field.

    Attributes:
        sign: the separator, or `JSON`.
        rows: number of fields with several labels.
        labels: number of different labels.
        example: a field with several labels.
    """

    sign: str
    rows: int
    labels: int
    example: str


def split(text: str, separator: str) -> list[str]:
    """Split a field into labels, without surrounding white space and empty ones."""
    return [part.strip() for part in text.split(separator) if part.strip()]


@lru_cache(maxsize=4096)
def parsed_list(text: str) -> tuple[object, ...] | None:
    """Parse a list as JSON or Python write it; return None if the text is none."""
    text = text.strip()
    if len(text) > _LONGEST_LIST or text[:1] + text[-1:] not in ("[]", "()", "{}"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        return tuple(value) if isinstance(value, list | tuple | set) else None
    return None


def separator_name(separator: str) -> str:
    """Return the separator as typed after `--label-separator`."""
    return {"\t": "\\t", "\n": "\\n"}.get(separator, separator)


def recognized_separator(
    counts: Mapping[str, int], *, is_requested: bool = False
) -> Separator | None:
    """Return the separator of several labels in the values of a column, None if there is none.

    Args:
        counts: rows per value.
        is_requested: the user says that rows have several labels, so weaker evidence is enough.
    """
    if lists := _recognized_lists(counts):
        return lists
    least = _REPEATED_IF_ASKED if is_requested else _REPEATED
    candidates = [one for sign in _SEPARATORS if (one := _recognized(sign, counts, least))]
    return max(candidates, key=lambda one: one.rows, default=None)


def _recognized_lists(counts: Mapping[str, int]) -> Separator | None:
    lists = {text: items for text in counts if (items := parsed_list(text)) is not None}
    rows = sum(counts[text] for text in lists)
    if rows < _FEWEST_ROWS or rows < _LISTS * sum(counts.values()):
        return None
    example = max(lists, key=lambda text: len(lists[text]))
    several = sum(counts[text] for text, items in lists.items() if len(items) > 1)
    return Separator(JSON, several, len({str(i) for t in lists.values() for i in t}), example)


def _recognized(sign: str, counts: Mapping[str, int], least: float) -> Separator | None:
    """Return a separator if enough of its parts occur in different combinations."""
    parts = {text: tuple(split(text, sign)) for text in counts}
    several = {text: labels for text, labels in parts.items() if len(set(labels)) > 1}
    rows = sum(counts[text] for text in several)
    if rows < _FEWEST_ROWS:
        return None
    # in any order: a;b and b;a are one combination
    combinations = {frozenset(labels) for labels in parts.values()}
    used = Counter(part for combination in combinations for part in combination)
    in_several = {part for labels in several.values() for part in labels}
    repeated = sum(used[part] > 1 for part in in_several)
    is_reordered = len(set(several.values())) > len(
        {frozenset(labels) for labels in several.values()}
    )
    is_like_labels = (
        all(len(part) <= _LONGEST_PART for part in in_several)
        and (is_reordered or repeated >= least * len(in_several))
        and not _is_fixed_form(sign, list(parts.values()), list(several.values()))
        and (len(several) > 1 or sign not in _AMBIGUOUS)
        and len(in_several) < 2 * len(combinations)
    )
    if not is_like_labels:
        return None
    example = max(several, key=lambda text: (counts[text], text))
    return Separator(sign, rows, len({p for labels in parts.values() for p in labels}), example)


def _is_fixed_form(
    sign: str, values: list[tuple[str, ...]], several: list[tuple[str, ...]]
) -> bool:
    """Whether values have a fixed form, such as "Paris, France", 1,5 or quality/good."""
    lengths = {len(parts) for parts in several}
    if len(lengths) > 1:
        return False
    if sign in _AMBIGUOUS and all(re.fullmatch(r"[+-]?\d+", p) for parts in several for p in parts):
        return True
    # each part has its own position and is never alone: a name with a qualifier, no set
    positions = [{parts[i] for parts in several} for i in range(len(several[0]))]
    overlap = any(a & b for i, a in enumerate(positions) for b in positions[:i])
    alone = {parts[0] for parts in values if len(parts) == 1}
    return not overlap and not alone & set().union(*positions)
