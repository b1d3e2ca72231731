"""What becomes of texts longer than the model reads, as a recipe says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe import Options

__all__ = ["HEAD", "LongTextOptions", "LongTexts", "SeveralLabelsOptions"]

MAX_WINDOWS = 16


@dataclass(frozen=True, slots=True)
class LongTexts:
    """What becomes of texts longer than the model reads.

    Attributes:
        long: "head", "tail" or "head_tail" for what is retained, "windows" for all of it.
        max_windows: most windows of a text.
        pooling: how the logits of windows become those of their text: "mean" or "max".
    """

    long: str = "head"
    max_windows: int = MAX_WINDOWS
    pooling: str = "mean"

    @property
    def in_windows(self) -> bool:
        """Whether a text may have several sequences."""
        return self.long == "windows"


HEAD = LongTexts()
"""The end is cut."""


class LongTextOptions(Options):
    """Options for texts longer than the model reads."""

    long: Literal["head", "tail", "head_tail", "windows"] = Field(
        "head",
        description=N_(
            "Texts longer than train.max_length: keep the head, the tail, or a quarter from the "
            "head and the rest from the tail (head_tail), or read the whole text in windows that "
            "overlap by a quarter, whose logits are pooled. k windows cost as much as k rows."
        ),
    )
    max_windows: int = Field(
        MAX_WINDOWS,
        ge=2,
        le=1024,
        description=N_("Most windows per text; longer texts are read in as many, spread evenly."),
    )

    @property
    def long_texts(self) -> LongTexts:
        """What they say."""
        return LongTexts(self.long, self.max_windows)


class SeveralLabelsOptions(LongTextOptions):
    """The same with a choice of pooling, for several labels per text."""

    pooling: Literal["mean", "max"] = Field(
        "mean",
        description=N_(
            "How logits of windows are pooled: by their mean, or by their maximum, which suits "
            "labels that one passage is enough for."
        ),
    )

    @property
    def long_texts(self) -> LongTexts:
        """What they say."""
        return LongTexts(self.long, self.max_windows, self.pooling)
