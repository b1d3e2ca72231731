"""Rare classes that are probably misspellings of frequent ones: `postive` for `positive`.

Candidates come from deletion neighborhoods (Garbe's symmetric delete, as in SymSpell): two names
one edit apart share a name that lacks one letter of each. So work grows with the number of classes,
not with its square. Candidates are then compared exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from heapq import nlargest, nsmallest

from tunesmith.data.labels import label_key, spelled
from tunesmith.errors import Place, Problem, Severity
from tunesmith.i18n import gettext as _

__all__ = ["likely_misspellings", "misspelling_problems"]

_RATIO, _RATIO_OF_TWO_EDITS = 5, 20
"""How many times more rows the likely class has than the misspelled one."""
_MOST_ROWS_OF_TWO_EDITS = 5
_SHORTEST, _SHORTEST_OF_TWO_EDITS = 5, 6
"""Letters of a word; in a shorter one a single letter makes another word."""
_SHORTEST_CHINESE = 4
_LONGEST = 64
_MOST_LIKELY, _MOST_RARE, _MOST_WITH_TWO_EDITS = 2_000, 20_000, 200
_MOST_IN_BUCKET = 20
_SHOWN = 5
_PREFIXES = ("a", "an", "un", "in", "im", "il", "ir", "de", "re", "co", "non", "dis", "mis", "pre")
"""What turns a word into another one, often its opposite."""
_WORDS = re.compile(r"[^\W_]+")


def misspelling_problems(counts: Mapping[str, int], column: str, place: Place) -> Iterator[Problem]:
    """Rare classes that are spelled almost like a frequent one.

    Args:
        counts: rows per class.
        column: the label's.
        place: of the source.
    """
    pairs = likely_misspellings(counts)
    if not pairs:
        return
    lines = [
        _('"{rare}" ({rare_count}) looks like "{likely}" ({likely_count})').format(
            rare=spelled(rare),
            rare_count=counts[rare],
            likely=spelled(likely),
            likely_count=counts[likely],
        )
        for rare, likely in list(pairs.items())[:_SHOWN]
    ]
    if len(pairs) > _SHOWN:
        lines.append(_("and {count} more").format(count=len(pairs) - _SHOWN))
    yield Problem(
        "D220",
        _('misspelled classes in "{column}"? {first}').format(column=column, first=lines[0]),
        place,
        evidence=tuple(lines[1:]),
        fix=_("If so, correct these rows; now each spelling is a separate class."),
        severity=Severity.WARNING,
        count=sum(counts[rare] for rare in pairs),
    )


def likely_misspellings(counts: Mapping[str, int]) -> dict[str, str]:
    """Return for each class that is probably misspelled the class that is probably meant."""
    short = {name: count for name, count in counts.items() if count and len(name) <= _LONGEST}
    likely = nlargest(_MOST_LIKELY, short, key=lambda name: (short[name], name))
    likely = [name for name in likely if short[name] >= _RATIO]
    depth = 2 if len(likely) <= _MOST_WITH_TWO_EDITS else 1
    index: dict[str, list[str]] = {}
    for name in likely:
        for variant in _shortened(label_key(name), depth):
            bucket = index.setdefault(variant, [])
            if len(bucket) < _MOST_IN_BUCKET:
                bucket.append(name)
    misspelled = {}
    for rare in nsmallest(_MOST_RARE, short, key=lambda name: (short[name], name)):
        near = {name for v in _shortened(label_key(rare), depth) for name in index.get(v, ())}
        meant = [name for name in near if _is_misspelling(rare, name, short)]
        if meant:
            misspelled[rare] = max(meant, key=lambda name: (short[name], name))
    return misspelled


def _shortened(name: str, depth: int) -> set[str]:
    """Return the name and all names that lack up to `depth` of its letters."""
    names = {name}
    for _edit in range(depth):
        names |= {one[:i] + one[i + 1 :] for one in names for i in range(len(one))}
    return names


def _is_misspelling(rare: str, likely: str, counts: Mapping[str, int]) -> bool:
    ratio = counts[likely] / counts[rare]
    one, other = label_key(rare), label_key(likely)
    if ratio < _RATIO or one == other or _digits(one) != _digits(other):
        return False
    words, other_words = _WORDS.findall(one), _WORDS.findall(other)
    if "".join(words) == "".join(other_words):  # credit-card, credit card
        return len(one) >= _SHORTEST and words != []
    if len(words) != len(other_words):
        return False
    differing = [pair for pair in zip(words, other_words, strict=True) if pair[0] != pair[1]]
    if len(differing) != 1:
        return False
    ((word, other_word),) = differing
    is_rare = ratio >= _RATIO_OF_TWO_EDITS and counts[rare] <= _MOST_ROWS_OF_TWO_EDITS
    return _is_typo(word, other_word, may_have_two_edits=is_rare)


def _digits(name: str) -> str:
    return "".join(letter for letter in name if letter.isdigit())


def _is_typo(word: str, meant: str, *, may_have_two_edits: bool) -> bool:
    """Whether a word is probably a typo of another one."""
    shorter, longer = sorted((word, meant), key=len)
    is_swapped = sorted(word) == sorted(meant) and _distance(word, meant) == 1
    if any(ord(sign) > 0x2E7F for sign in word + meant):  # one sign is a word
        is_doubled = len(longer) == len(shorter) + 1 and _without_doubles(longer) == shorter
        return len(shorter) >= _SHORTEST_CHINESE and (is_swapped or is_doubled)
    if len(shorter) < _SHORTEST or any(longer == prefix + shorter for prefix in _PREFIXES):
        return False
    if len(word) == len(meant) and not is_swapped and word[0] + word[-1] != meant[0] + meant[-1]:
        return False  # gambia, zambia; employee, employer
    distance = _distance(word, meant)
    two_may_be_typos = may_have_two_edits and len(shorter) >= _SHORTEST_OF_TWO_EDITS
    return distance == 1 or (distance == 2 and two_may_be_typos and word[0] == meant[0])


def _without_doubles(word: str) -> str:
    return re.sub(r"(.)\1", r"\1", word)


def _distance(one: str, other: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbors (optimal string alignment)."""
    rows = [list(range(len(other) + 1))]
    for i, sign in enumerate(one, start=1):
        row, last = [i], rows[-1]
        for j, other_sign in enumerate(other, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (sign != other_sign))
            if i > 1 and j > 1 and sign == other[j - 2] and one[i - 2] == other_sign:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
