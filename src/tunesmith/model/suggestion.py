"""Which model suits a text, where nobody says."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith import hub
from tunesmith.data.profile import script_shares
from tunesmith.language import gettext as _

__all__ = ["EMBEDDED", "suggest_model"]

EMBEDDED = "embedded:mini"


def suggest_model(texts: Sequence[str]) -> tuple[str, str]:
    """A model for texts like these, and why.

    Offline, what is in the cache counts; with nothing there, the embedded one, which is said aloud.
    """
    from huggingface_hub import constants

    shares = script_shares(texts)
    chinese, other = shares["chinese"], shares["other"]
    if chinese > 0.5:
        name, why = (
            "bert-base-chinese",
            _("{share:.0%} of the letters are Chinese").format(share=chinese),
        )
    elif chinese + other > 0.05:
        name, why = (
            "bert-base-multilingual-cased",
            _("{share:.0%} of the letters are not plain Latin").format(share=chinese + other),
        )
    else:
        name, why = "bert-base-uncased", _("the letters are plain Latin")
    if constants.HF_HUB_OFFLINE and not hub.is_cached(name):
        return EMBEDDED, _(
            "{name} is not in the cache and HF_HUB_OFFLINE is set; this one only tries things out"
        ).format(name=name)
    return name, why
