"""Options of token classification."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe import Options

__all__ = ["TokenOptions"]


class TokenOptions(Options):
    """Task-specific options of token-classification."""

    pieces: Literal["all", "first"] = Field(
        "all",
        description=N_(
            "Pieces of a word that are labeled: all, or only the first as in run_ner.py."
        ),
    )
    overlaps: Literal["refuse", "longest"] = Field(
        "refuse",
        description=N_("Entities that overlap: refuse the row, or keep the longest of them."),
    )
