"""What the page of metrics says of a score."""

from __future__ import annotations

from dataclasses import dataclass

from docs.generate.text import Text

__all__ = ["Described"]


@dataclass(frozen=True)
class Described:
    """What the page says of a score.

    Attributes:
        formula: in LaTeX.
        span: the values that it can have.
        text: what it measures.
        undefined: what is reported where the formula has no value.
        interval: which of `INTERVALS`.
        reference: the function that gives the same number, if there is one.
    """

    formula: str
    span: str
    text: Text
    undefined: Text
    interval: str
    reference: str = ""
