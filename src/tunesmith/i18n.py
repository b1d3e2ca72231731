"""Messages in English or Chinese, by gettext.

Code holds the English text; `locale/zh/LC_MESSAGES/tunesmith.po` holds the Chinese one. Modules
import `gettext as _` and mark every user-visible string; texts that must exist before the language
is known are marked with `gettext_noop as N_` and translated where they are shown.
"""

from __future__ import annotations

import ctypes
import gettext as _gettext
import locale
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

# The language is process state: a process has one.
_state: dict[str, tuple[str, _gettext.NullTranslations]] = {}


def _from_environment() -> str:
    """Return the language of the first POSIX variable that is set; English unless Chinese.

    Windows sets none: there it is the language of its windows.
    """
    names = ("TUNESMITH_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    written = [os.environ[name] for name in names if os.environ.get(name)]
    if not written and (windows := getattr(ctypes, "windll", None)) is not None:
        number = windows.kernel32.GetUserDefaultUILanguage()
        written = [locale.windows_locale.get(number, "")]
    return "zh" if written and written[0].lower().startswith("zh") else "en"


def use_language(language: str | None) -> str:
    """Switch to `language` ("en" or "zh"; None: as the environment says) and return it."""
    chosen = language if language in LANGUAGES else _from_environment()
    _state["current"] = (
        chosen,
        _gettext.translation(DOMAIN, LOCALE_FOLDER, languages=[chosen], fallback=True),
    )
    return chosen


def _current() -> tuple[str, _gettext.NullTranslations]:
    if "current" not in _state:
        use_language(None)
    return _state["current"]


def current_language() -> str:
    """Return the language in use, "en" or "zh"."""
    return _current()[0]


def gettext(text: str) -> str:
    """Translate a text into the language in use."""
    return _current()[1].gettext(text) if text else ""


def ngettext(singular: str, plural: str, number: int) -> str:
    """Translate a text about `number` things into the language in use."""
    return _current()[1].ngettext(singular, plural, number)


def gettext_noop(text: str) -> str:
    """Mark a text for the catalog and return it unchanged; `gettext` translates it when shown."""
    return text


_SPLITS = {
    "train": gettext_noop("train"),
    "validation": gettext_noop("validation"),
    "test": gettext_noop("test"),
}


def split_name(split: str) -> str:
    """Translate the name of a usual split for a heading; return any other name unchanged."""
    return gettext(_SPLITS[split]) if split in _SPLITS else split
