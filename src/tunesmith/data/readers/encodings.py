"""Names of encodings, and detection of the encoding of bytes.

Multi-byte encodings are recognized by their structure. Single-byte encodings decode any bytes, so
they are recognized by letters: German in cp1252 has only the letters of German.
"""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from itertools import pairwise

from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _

__all__ = [
    "detect_encoding",
    "detect_utf_16",
    "encoding_by_mark",
    "known_codec",
    "not_in_encoding",
]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FAMILIES = {
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "hz": "gb18030",
    "big5": "big5", "big5hkscs": "big5", "cp950": "big5",
    "shift_jis": "cp932", "shift_jis_2004": "cp932", "shift_jisx0213": "cp932", "cp932": "cp932",
    "euc_jp": "euc_jp", "euc_jis_2004": "euc_jp", "euc_jisx0213": "euc_jp",
    "euc_kr": "cp949", "cp949": "cp949", "johab": "johab",
}  # fmt: skip
"""The name to suggest for each guess: the superset of its family."""

_LETTERS = (
    ("cp1252", "äöüßéèà"),  # German
    ("cp1252", "àâæçéèêëîïôœùûüÿ"),  # French
    ("cp1252", "áéíóúñüª°ºç"),  # Spanish
    ("cp1252", "àèéìíîòóùú"),  # Italian
    ("cp1252", "ãáàâçéêíóôõúü"),  # Portuguese
    ("cp1252", "åäöøæéüð þíóúáý"),  # Nordic
    ("cp1252", "ëïéèöüáóç"),  # Dutch
    ("cp1254", "çğıöşüâîûi̇"),  # Turkish
    ("cp1250", "ąćęłńóśźż"),  # Polish
    ("cp1250", "áčďéěíňóřšťúůýžäľĺŕô"),  # Czech and Slovak
    ("cp1250", "áéíóöőúüű"),  # Hungarian
    ("cp1250", "čćđšž"),  # Croatian and Slovene
    ("cp1250", "ăâîşţ"),  # Romanian
)
_SCRIPTS = (
    ("cp1251", "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґў"),
    ("koi8_r", "абвгдежзийклмнопрстуфхцчшщъыьэюяё"),
    ("cp1253", "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ"),
)
"""Whole scripts. Only lowercase counts: cp1251 and koi8_r swap it with uppercase."""
_MIN_FRACTION, _MIN_LOWERCASE_FRACTION = 0.9, 0.75
_MIN_RUNS = 8


def encoding_by_mark(head: bytes) -> str | None:
    """Return the encoding of a byte-order mark, None without one."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def known_codec(name: str, place: Place) -> str:
    """Return the name of a Python codec that decodes bytes to text.

    Raises:
        DataError: there is no such codec, or it is not for text (D106).
    """
    try:
        codec = codecs.lookup(name)
        with suppress(UnicodeDecodeError):  # half of a character of UTF-16
            b"a".decode(name)  # refuses rot13 and base64, which are codecs but no encodings
        if codec.incrementaldecoder is None:
            raise LookupError(name)
    except (LookupError, ValueError):
        raise DataError.of(
            "D106",
            _('there is no encoding "{name}"').format(name=name),
            place,
            fix=_("Common ones: utf-8, gb18030, big5, shift_jis, cp1252, latin-1.")
            + "\n"
            + _("--encoding auto detects it from the bytes."),
        ) from None
    return name if name == "utf-8-sig" else codec.name


def detect_encoding(sample: bytes) -> str | None:
    """Detect the encoding of bytes that are not UTF-8; return None if it is unclear.

    Args:
        sample: some of them, not only ASCII.
    """
    if utf_16 := detect_utf_16(sample):
        return utf_16
    if sample.isascii():
        return None
    is_gb2312 = _is_gb2312(sample)
    if is_gb2312 and _has_pairs_only(sample):
        return "gb18030"
    if by_letters := _detect_by_letters(sample):
        return by_letters
    return "gb18030" if is_gb2312 else _detect_by_statistics(sample)


def not_in_encoding(codec: str, sample: bytes, place: Place, byte: int | None = None) -> Problem:
    """Return the problem of a file that is not in its encoding (D101).

    Args:
        codec: of the encoding.
        sample: bytes around the first one that does not fit.
        place: of that byte.
        byte: that byte, if known.
    """
    encoding = codec.removesuffix("-sig").upper()
    message = _("not {encoding}").format(encoding=encoding)
    if byte is not None:
        message = _("not {encoding} (byte {byte:#04x})").format(encoding=encoding, byte=byte)
    guess = detect_encoding(sample)
    if guess is None:
        message += "; " + _("its bytes do not show its encoding")
        fix = _("Name the encoding with --encoding, or save the file as UTF-8.")
        return Problem("D101", message, place, fix=fix)
    message += "; " + _("it looks like {encoding}").format(encoding=guess)
    fix = _("Use --encoding {encoding}, or save the file as UTF-8.").format(encoding=guess)
    return Problem("D101", message, place, fix=fix, flags=("--encoding", guess))


def detect_utf_16(sample: bytes) -> str | None:
    """Detect UTF-16 without a mark: every other byte of Latin text is zero."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) / 2
    if odd > 0.2 * half and even < 0.02 * half:
        return "utf-16-le"
    if even > 0.2 * half and odd < 0.02 * half:
        return "utf-16-be"
    return None


def _detect_by_letters(sample: bytes) -> str | None:
    """Return the code page in which all letters belong to one language."""
    fractions = [
        (_fraction_of_letters(sample, codec, letters), codec) for codec, letters in _LETTERS
    ]
    best, codec = max(fractions, key=lambda pair: pair[0])
    if best >= _MIN_FRACTION:
        return codec
    fractions = [
        (_fraction_of_letters(sample, codec, letters, lowercase_only=True), codec)
        for codec, letters in _SCRIPTS
    ]
    best, codec = max(fractions, key=lambda pair: pair[0])
    return codec if best >= _MIN_LOWERCASE_FRACTION else None


def _fraction_of_letters(
    sample: bytes, codec: str, letters: str, *, lowercase_only: bool = False
) -> float:
    """Return the fraction of the letters beyond ASCII that are among `letters`.

    A symbol within a word counts as a letter: it is one in another encoding. Without letters the
    result is 1.0, or 0.0 if two symbols are adjacent, which may be a character of two bytes.
    """
    text = sample.decode(codec, "replace")
    own = total = pairs = 0
    for before, (sign, after) in zip(" " + text, pairwise(text + " "), strict=False):
        if sign.isascii():
            continue
        pairs += not after.isascii()
        is_within = before.isalpha() and after.isalpha() and sign not in "’‘´"
        if sign.isalpha() or is_within or sign == "\ufffd":
            total += 1
            own += (sign if lowercase_only else sign.lower()) in letters
    if total:
        return own / total
    return 0.0 if pairs else 1.0


def _has_pairs_only(sample: bytes) -> bool:
    """Whether all runs of bytes beyond ASCII have even lengths, as in two-byte encodings.

    Words of single-byte encodings have odd lengths half of the time. The first and the last run
    may be cut.
    """
    lengths = [len(run) for run in re.findall(rb"[\x80-\xff]+", sample)][1:-1]
    return len(lengths) >= _MIN_RUNS and all(length % 2 == 0 for length in lengths)


def _is_gb2312(sample: bytes) -> bool:
    """Whether pairs of bytes are distributed as in simplified Chinese.

    Its frequent characters are in rows B0 to D7. Korean uses only B0 to C8 of them; Japanese
    has its kana in A4 and A5.
    """
    leads = [
        pair[0]
        for run in re.findall(rb"(?:[\x81-\xfe][\x40-\xfe])+", sample)
        for pair in re.findall(rb"..", run, flags=re.DOTALL)
    ]
    if not leads:
        return False
    frequent = sum(0xB0 <= lead <= 0xD7 for lead in leads) / len(leads)
    beyond_korean = sum(0xC9 <= lead <= 0xD7 for lead in leads) / len(leads)
    kana = sum(lead in (0xA4, 0xA5) for lead in leads) / len(leads)
    return frequent >= 0.7 and beyond_korean >= 0.15 and kana < 0.1


def _detect_by_statistics(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    return _FAMILIES.get(best.encoding) if best else None
