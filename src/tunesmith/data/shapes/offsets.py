"""How the positions of marked parts of a text are counted.

Canonical positions count characters (code points), and the end is after the last one. Tools also
count UTF-16 units, in which an emoji has two, or bytes of UTF-8, or give the last character as the
end. What is marked says how: its text, where the data has it, else words that are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import category

from tunesmith.errors import Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = [
    "CHARACTERS",
    "POSITIONS",
    "Counting",
    "Mark",
    "consistent",
    "cuts_a_word",
    "fitting",
    "located",
    "most_cut_words",
    "say",
    "ways_to_count",
]


_ALPHABETS = 0x0590
"""Latin, Greek, Cyrillic and Armenian: words that are written with one another have spaces."""
_NO_SPACES = ((0x0E00, 0x0FFF), (0x1000, 0x10A0), (0x1100, 0x1200), (0x1780, 0x1800))
"""Thai, Lao, Tibetan, Burmese, Korean letters, Khmer."""
_JOINED = "\u200d\ufe0f"
"""What continues an emoji."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A marked part of a text, as the data has it.

    Attributes:
        start: where it starts.
        end: where it ends.
        label: its type.
        text: what is marked; None where the data does not say.
    """

    start: int
    end: int
    label: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Counting:
    """A way to count positions.

    Attributes:
        name: in messages.
        encoding: whose units are counted; None for characters.
        unit: its bytes.
        is_inclusive: whether the end is that of the last character.
        first: the position of the first character.
    """

    name: str
    encoding: str | None = None
    unit: int = 1
    is_inclusive: bool = False
    first: int = 0

    @property
    def option(self) -> str:
        """The value of `data.offsets` for it."""
        return self.name.lower().replace(" ", "-")

    def place(self, text: str, position: int) -> int | None:
        """Return the character at a position, None if it is within one or outside of the text."""
        if self.encoding is None or text.isascii():
            return position if 0 <= position <= len(text) else None
        units = text.encode(self.encoding, "surrogatepass")
        if not 0 <= position * self.unit <= len(units):
            return None
        try:
            return len(units[: position * self.unit].decode(self.encoding))
        except UnicodeDecodeError:
            return None

    def span_of(self, text: str, mark: Mark) -> tuple[int, int] | None:
        """Return the characters of a mark without white space around; None if there are none."""
        first, last = mark.start - self.first, mark.end - self.first + self.is_inclusive
        start, end = self.place(text, first), self.place(text, last)
        if start is None or end is None or start >= end:
            return None
        part = text[start:end]
        if self.is_inclusive and part != part.strip():
            return None  # the end would be that of a space
        start += len(part) - len(part.lstrip())
        end -= len(part) - len(part.rstrip())
        return (start, end) if start < end else None

    def fits(self, text: str, mark: Mark) -> bool:
        """Return whether a mark is what the data says, or at least cuts no word."""
        span = self.span_of(text, mark)
        if span is None:
            return False
        start, end = span
        if mark.text is not None:
            return text[start:end] == mark.text.strip()
        return not (cuts_a_word(text, start) or cuts_a_word(text, end))

    def cuts(self, text: str, mark: Mark) -> bool:
        """Return whether a mark without its text is of spaces, or cuts a word of an alphabet."""
        if mark.text is not None or not 0 <= mark.start < mark.end <= len(text):
            return False
        span = self.span_of(text, mark)
        return span is None or any(
            cuts_a_word(text, place) and ord(text[place - 1]) < _ALPHABETS for place in span
        )


def cuts_a_word(text: str, place: int) -> bool:
    """Whether letters or digits of a script with spaces are on both sides, or a sign is divided."""
    if not 0 < place < len(text):
        return False
    if text[place] in _JOINED or category(text[place]) in ("Mn", "Me", "Mc"):
        return True
    return all(one.isalnum() and not _has_no_spaces(one) for one in text[place - 1 : place + 1])


def _has_no_spaces(character: str) -> bool:
    """Whether a character is of a script without spaces: Chinese, Japanese, Korean, Thai, …."""
    place = ord(character)
    return place >= 0x2E80 or any(first <= place < last for first, last in _NO_SPACES)


CHARACTERS = Counting("characters")
POSITIONS = (CHARACTERS, Counting("UTF-16", "utf-16-le", 2), Counting("bytes", "utf-8"))
"""The ways to count where something starts."""
_OTHERS = (
    *POSITIONS[1:],
    Counting("inclusive", is_inclusive=True),
    Counting("inclusive UTF-16", "utf-16-le", 2, is_inclusive=True),
    Counting("inclusive bytes", "utf-8", is_inclusive=True),
)
_FROM_1 = (
    Counting("from 1", first=1),
    Counting("inclusive from 1", is_inclusive=True, first=1),
)
"""Where all texts begin with an emoji, UTF-16 looks the same, which is more usual."""
_NEARLY_ALL = 0.99
_FEWEST_ROWS = 5


def consistent(rows: Iterable[tuple[str, Sequence[Mark]]]) -> tuple[Counting, ...]:
    """Return the ways to count that explain nearly all rows, the most likely first.

    Without evidence they are characters alone.
    """
    counted = dict.fromkeys((CHARACTERS, *_OTHERS, *_FROM_1), 0)
    total = 0
    for text, marks in rows:
        if not marks:
            continue
        total += 1
        for way in counted:
            counted[way] += all(way.fits(text, mark) for mark in marks)
    ways = [way for way, count in counted.items() if total and count >= _NEARLY_ALL * total]
    return tuple(way for way in ways if not way.first) or tuple(ways) or (CHARACTERS,)


def ways_to_count(
    rows: Iterable[tuple[str, Sequence[Mark]]], requested: str | None
) -> tuple[Counting, ...]:
    """Return the requested way to count, else those by which nearly all rows fit.

    Raises:
        RecipeError: there is no such way (R104).
    """
    if requested is None:
        return consistent(rows)
    ways = {way.option: way for way in (CHARACTERS, *_OTHERS, *_FROM_1)}
    if requested not in ways:
        raise RecipeError.of(
            "R104",
            _('there is no way to count called "{name}"').format(name=shortened(requested)),
            Place("data.offsets"),
            fix=_("Possible: {values}.").format(values=", ".join(ways)),
        )
    return (ways[requested],)


def most_cut_words(rows: Iterable[tuple[str, Sequence[Mark]]], way: Counting) -> bool:
    """Return whether most rows with marks have one that cuts a word: then positions are wrong."""
    cut = [any(way.cuts(text, mark) for mark in marks) for text, marks in rows if marks]
    return len(cut) >= _FEWEST_ROWS and 2 * sum(cut) > len(cut)


def located(
    text: str, marks: Sequence[Mark], ways: Sequence[Counting], *, refuses_cuts: bool = False
) -> list[tuple[int, int]] | Mark:
    """Return the characters of all marks of a row, or the first mark that does not fit.

    Of several ways to count the first one is taken by which all marks of the row fit, if the data
    says what is marked; else the most likely way, also where positions cut a word.

    Args:
        text: of the row.
        marks: in it.
        ways: to count, the most likely first.
        refuses_cuts: whether a mark without its text that cuts a word does not fit.
    """
    first = ways[0]
    for way in ways if all(mark.text is not None for mark in marks) else ():
        if all(way.fits(text, mark) for mark in marks):
            return [way.span_of(text, mark) or (mark.start, mark.end) for mark in marks]
    for mark in marks:
        if mark.text is not None and not first.fits(text, mark):
            return mark
        if refuses_cuts and first.cuts(text, mark):
            return mark
    return [first.span_of(text, mark) or (mark.start, mark.end) for mark in marks]


def fitting(text: str, marks: Sequence[Mark]) -> Counting | None:
    """Return a way to count by which all marks of a row are what the data says."""
    ways = (CHARACTERS, *_OTHERS, *_FROM_1)
    return next((way for way in ways if all(way.fits(text, mark) for mark in marks)), None)


def say(way: Counting) -> str:
    """Return how positions are counted, for a note or an advice."""
    ends = {
        "characters": _("positions count characters"),
        "UTF-16": _("positions count UTF-16 units"),
        "bytes": _("positions count bytes"),
        "inclusive": _("ends are those of the last character"),
        "inclusive UTF-16": _("positions count UTF-16 units, ends are those of the last character"),
        "inclusive bytes": _("positions count bytes, ends are those of the last character"),
        "from 1": _("positions count from 1"),
        "inclusive from 1": _("positions count from 1, ends are those of the last character"),
    }
    return ends[way.name]
