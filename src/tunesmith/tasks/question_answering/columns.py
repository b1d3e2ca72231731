"""Which columns, and which plain models, are of question answering."""

from __future__ import annotations

from tunesmith.data.columns import Roles, Suggestion
from tunesmith.data.profile import Profile
from tunesmith.data.shapes.questions import named_columns
from tunesmith.i18n import gettext as _
from tunesmith.recipe import DataSettings
from tunesmith.tasks.matching import Confidence, Match

__all__ = ["match_questions"]


def match_questions(profile: Profile, requested: DataSettings) -> Match | None:
    """Match columns of a question, its context and the answers in it, by their types."""
    of_type = {c.column.type: c.name for c in reversed(profile.columns)}
    own_label = requested.label if isinstance(requested.label, str) else None
    context = requested.text_pair or of_type.get("context")
    question, label = requested.text or of_type.get("question"), own_label or of_type.get("answers")
    if not (question and context and label):  # the rows say what is wrong
        names = named_columns(column.column for column in profile.columns)
        parts = zip((question, context, label), names, strict=True)
        question, context, label = (own or name for own, name in parts)
    if not (question and label) or question == context:
        return None
    roles = Roles(question, context, label)
    column = profile.column(label)
    if column is None or column.column.type != "answers":
        return Match(roles, "", Confidence.ON_REQUEST)
    reason = _("by its values")
    named = (
        ("text", question, requested.text),
        ("text_pair", context, requested.text_pair),
        ("label", label, own_label),
    )
    suggested = {
        role: Suggestion(name, reason) for role, name, own in named if own is None and name
    }
    why = _("answers to questions in column {column}").format(column=label)
    return Match(roles, why, Confidence.BY_SHAPE, suggested)
