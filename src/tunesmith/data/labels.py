"""What a label may be: text, a number or a boolean; for several labels per row, a list of these.

There is one rule for all sources. `label_text` returns a label as text, `label_finding` why a value
is no label, `label_key` a label without its spelling.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import TypeGuard

from tunesmith.data.findings import Finding
from tunesmith.data.near_duplicates import normalized
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.text import escape_controls

__all__ = [
    "as_python",
    "is_list",
    "is_missing",
    "label_finding",
    "label_key",
    "label_kind",
    "label_text",
    "labels_finding",
    "spelled",
]

_LARGEST_BITS = 1024
"""An integer of more bits than the largest float is no class."""

_UNSEEN = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    r"\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff"
    r"\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Controls, direction marks, variation selectors, fillers and other characters without width."""

_WHOLE = re.compile(r"([+-]?)0*(?!0\d)(\d+)(?:\.0*)?")
"""There is one way to match zeros; with several, a long run would take quadratic time."""
_MISSING_TYPES = ("NAType", "NaTType")
"""Names of the types of missing values in pandas, which may not be installed."""

_KINDS = {
    dict: N_("an object"),
    bytes: N_("binary data"),
    bytearray: N_("binary data"),
    date: N_("a date"),  # a datetime is one
    time: N_("a time"),
    timedelta: N_("a duration"),
}
_UNNUMBERED = -1
"""The number of rows without a class in a `ClassLabel` column."""


def label_text(value: object, class_names: Sequence[str] | None = None) -> str | None:
    """Return a label as text, None if there is none or the value cannot be a label.

    Args:
        value: of a row. 1 and 1.0 are "1"; true is "true".
        class_names: the names behind the numbers of a `ClassLabel`; its -1 is no label.
    """
    if isinstance(value, str):
        has_signs = (value.isprintable() and value.strip()) or label_key(value)
        return (value if type(value) is str else str.__str__(value)) if has_signs else None
    value = as_python(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal) and math.isfinite(value):
        if value != int(value):
            return str(value)
        value = int(value)
    if not isinstance(value, int):
        return None
    if class_names is not None:
        return class_names[value] if 0 <= value < len(class_names) else None
    return str(value) if value.bit_length() <= _LARGEST_BITS else None


def label_finding(value: object, class_names: Sequence[str] | None = None) -> Finding | None:
    """Return why a value cannot be a label; None if it can be, or if the row has none."""
    if isinstance(value, str):
        return None if value.isascii() or _is_encodable(value) else _half_a_character()
    value = as_python(value)
    if label_text(value, class_names) is not None or is_missing(value, class_names):
        return None
    if is_list(value):
        return Finding(
            "D208",
            _("several labels in one row") if len(value) != 1 else _("the label is a list"),
            fix=_("Use --task multi-label-classification for all rows."),
        )
    if isinstance(value, int) and class_names is not None:
        return Finding(
            "D217",
            _("there is no class number {number}; the column has {count} classes").format(
                number=value if value.bit_length() <= _LARGEST_BITS else "…",
                count=len(class_names),
            ),
            fix=_("Correct or remove the row."),
        )
    if isinstance(value, int | float | Decimal):
        return Finding(
            "D217",
            _("the label is a number that is infinite or too large"),
            fix=_("Correct or remove the row."),
        )
    return Finding(
        "D217",
        _("the label is {kind}, neither text nor a number").format(kind=_kind_of(value)),
        fix=_("Write the label as text, or name another column with --label."),
    )


def labels_finding(
    values: Collection[object], names: Sequence[str] | None = None
) -> Finding | None:
    """Return why the values of a row cannot be its labels; None if they can be.

    Args:
        values: the list of the row.
        names: the names behind the numbers of a list of `ClassLabel`.
    """
    kinds = set()
    for value in values:
        if is_list(as_python(value)):
            return _no_label(_("a list within the list of labels"))
        if is_missing(as_python(value)) or value == "":
            return _no_label(_("an empty value within the list of labels"))
        if finding := label_finding(value, names):
            return finding
        kinds.add(label_kind(value))
    if len(kinds) > 1:
        return Finding(
            "D207",
            _("one row has labels of several kinds: {kinds}").format(
                kinds=", ".join(sorted(_(kind) for kind in kinds))
            ),
            fix=_("Write all labels as text, or all as numbers."),
        )
    return None


def label_kind(value: object) -> str:
    """Return the kind of value of a label: "text", "number" or "boolean", to be translated."""
    if isinstance(value, str):
        return N_("text")
    return N_("boolean") if isinstance(as_python(value), bool) else N_("number")


def label_key(name: str) -> str:
    """Return a label without what its spelling may differ in.

    That is case, width, white space, invisible characters, and the zeros of a whole number ("1",
    "1.0", "01").
    """
    key = normalized([_UNSEEN.sub("", name)])
    if (whole := _WHOLE.fullmatch(key)) is not None:
        return whole[1].removeprefix("+") + whole[2]
    return key


def is_list(value: object) -> TypeGuard[list[object] | tuple[object, ...] | set[object]]:
    """Whether a value is a list of labels, of any type."""
    return isinstance(value, list | tuple | set)


def spelled(name: str) -> str:
    r"""Return a label with every invisible character escaped, such as "\u00a0"."""
    return "".join(
        sign if sign == " " or sign.isprintable() else f"\\u{ord(sign):04x}"
        for sign in escape_controls(name)
    )


def as_python(value: object) -> object:
    """Convert numbers and arrays of other libraries to types of Python."""
    if type(value).__name__ in _MISSING_TYPES:
        return None
    convert = getattr(value, "tolist", None)
    return convert() if callable(convert) else value


def is_missing(value: object, class_names: Sequence[str] | None = None) -> bool:
    """Whether a value is missing: null, not a number, or -1 of a `ClassLabel`."""
    if isinstance(value, float | Decimal):
        return math.isnan(value)
    return value is None or (class_names is not None and value == _UNNUMBERED)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _half_a_character() -> Finding:
    return Finding(
        "D142",
        _("half of a character (lone surrogate) in the label"),
        fix=_("Complete or remove the row."),
    )


def _no_label(message: str) -> Finding:
    return Finding("D217", message, fix=_("Write a flat list of labels, without empty ones."))


def _kind_of(value: object) -> str:
    known = (words for kind, words in _KINDS.items() if isinstance(value, kind))
    return _(next(known, "")) or type(value).__name__
