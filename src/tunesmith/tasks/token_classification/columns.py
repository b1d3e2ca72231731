"""Which columns, and which plain models, are of token classification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.data.columns import Roles, Suggestion, suggest_texts
from tunesmith.data.profile import Profile
from tunesmith.i18n import gettext as _
from tunesmith.metrics.entities import OUTSIDE
from tunesmith.recipe import DataSettings
from tunesmith.tasks.labeled_text import names_of_outputs
from tunesmith.tasks.matching import Confidence, Match

__all__ = ["are_iob2", "labels_of_config", "match_tokens"]


def match_tokens(profile: Profile, requested: DataSettings) -> Match | None:
    """Match columns of tokens and tags, or of a text and its entities, by their types."""
    types = {column.name: column.column.type for column in profile.columns}
    of_type = {kind: name for name, kind in reversed(types.items())}
    requested_label = requested.label
    label = requested_label or of_type.get("tags") or of_type.get("entities")
    kind = types.get(label, "") if isinstance(label, str) else ""
    text = requested.text
    if text is None and kind == "tags":
        text = of_type.get("tokens")
    elif text is None and (hint := suggest_texts(profile, (str(label),)).get("text")):
        text = hint.value
    if text is None or label is None or requested.text_pair is not None:
        return None
    roles = Roles(text, None, label)
    if kind not in ("tags", "entities"):
        return Match(roles, "", Confidence.ON_REQUEST)
    suggested = {}
    if requested.text is None:
        suggested["text"] = Suggestion(text, _("by its values"))
    if requested_label is None:
        suggested["label"] = Suggestion(str(label), _("by its values"))
    what = _("tags of words") if kind == "tags" else _("entities of texts")
    reason = _("{what} in column {column}").format(what=what, column=label)
    return Match(roles, reason, Confidence.BY_SHAPE, suggested)


def labels_of_config(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the outputs of a plain model with a head for tokens; none of others."""
    names = config.get("architectures")
    if not isinstance(names, list) or not any("TokenClassification" in str(n) for n in names):
        return ()
    return names_of_outputs(config)


def are_iob2(labels: Sequence[str]) -> bool:
    """Return whether labels are O, and B- and I- of each type."""
    types = dict.fromkeys(name[2:] for name in labels if name.startswith(("B-", "I-")))
    return {OUTSIDE, *(f"{mark}-{name}" for name in types for mark in "BI")} == set(labels)
