"""The pages under `docs/reference`, written from the code: `python -m docs.generate`.

`templates` finds the texts of the source, `codes` the problems that it reports; `errors`, `cli`,
`recipe` and `metrics` are the pages, `prose` holds their introductions, `text` what they share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generate import cli, errors, metrics, recipe
from docs.generate.codes import package_codes

from tunesmith.i18n import LANGUAGES, current_language, use_language

__all__ = ["DOCS", "outdated", "pages", "write"]

DOCS = Path(__file__).parents[1]
_FOLDERS = {"en": DOCS / "reference", "zh": DOCS / "zh" / "reference"}


def pages() -> Mapping[Path, str]:
    """Every generated page in every language, by its path."""
    codes = package_codes()
    makers: dict[str, Callable[[], str]] = {
        "cli": cli.page,
        "errors": lambda: errors.page(codes),
        "metrics": metrics.page,
        "recipe": recipe.page,
    }
    before = current_language()
    use_language("en")
    list(cli.commands())  # help is translated when it is shown, so it is imported in English
    written = {}
    try:
        for language in LANGUAGES:
            use_language(language)
            for name, make in makers.items():
                written[_FOLDERS[language] / f"{name}.md"] = make()
    finally:
        use_language(before)
    return written


def outdated() -> dict[Path, str]:
    """The pages that are not as the code says now, as they should be."""
    return {
        path: text
        for path, text in pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }


def write() -> dict[Path, str]:
    """Write the pages that are outdated, and return them."""
    changed = outdated()
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return changed
