"""Words for people, in English or Chinese, by gettext.

Code holds the English text; `locale/zh/LC_MESSAGES/tunesmith.po` holds the Chinese one. Modules
import `gettext as _` and mark every user-visible string; texts that must exist before the language
is known are marked with `gettext_noop as N_` and translated where they are shown.
"""

from __future__ import annotations

import gettext as _gettext
import os
from pathlib import Path

__all__ = [
    "LANGUAGES",
    "current_language",
    "gettext",
    "gettext_noop",
    "ngettext",
    "split_name",
    "use_language",
]

DOMAIN = "tunesmith"
LOCALE_FOLDER = Path(__file__).parent / "locale"
LANGUAGES = ("en", "zh")

# What is said to every user of a process is one thing per process: the language is process state.
_state: dict[str, tuple[str, _gettext.NullTranslations]] = {}


def _from_environment() -> str:
    """The first of the POSIX variables that is set decides; anything but Chinese is English."""
    for variable in ("TUNESMITH_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable)
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def use_language(language: str | None) -> str:
    """Speak `language` ("en" or "zh") from now on; None asks the environment."""
    chosen = language if language in LANGUAGES else _from_environment()
    _state["now"] = (
        chosen,
        _gettext.translation(DOMAIN, LOCALE_FOLDER, languages=[chosen], fallback=True),
    )
    return chosen


def _now() -> tuple[str, _gettext.NullTranslations]:
    if "now" not in _state:
        use_language(None)
    return _state["now"]


def current_language() -> str:
    """The language in use, "en" or "zh"."""
    return _now()[0]


def gettext(text: str) -> str:
    """The text in the language in use."""
    return _now()[1].gettext(text) if text else ""


def ngettext(singular: str, plural: str, number: int) -> str:
    """The text for `number` things in the language in use."""
    return _now()[1].ngettext(singular, plural, number)


def gettext_noop(text: str) -> str:
    """Mark a text for the catalogue and leave it as it is; `gettext` translates it when shown."""
    return text


_SPLITS = {
    "train": gettext_noop("train"),
    "validation": gettext_noop("validation"),
    "test": gettext_noop("test"),
}


def split_name(split: str) -> str:
    """A split for a heading: the usual ones in the language in use, any other as it is."""
    return gettext(_SPLITS[split]) if split in _SPLITS else split
