"""Build the site and check it: `python -m docs.website`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from docs.website import check
from docs.website.languages import CHINESE, DOCS, ENGLISH, Language

__all__ = ["SITE", "build", "main"]

SITE = DOCS.parent / "site"


def _command(language: Language, site: Path, cache: str) -> list[str]:
    """Return the Sphinx command of a language; warnings are errors, and each is shown."""
    tags = ["-t", language.folder] if language.folder else []
    parsed = Path(cache, language.code)
    options = ["--quiet", "--fail-on-warning", "-b", "html", "-c", DOCS, "-d", parsed, *tags]
    return list(
        map(
            str, [sys.executable, "-m", "sphinx", *options, language.source, site / language.folder]
        )
    )


def build(site: Path) -> list[str]:
    """Build both languages from scratch, at the same time; return what is wrong, a line each."""
    shutil.rmtree(site, ignore_errors=True)
    with TemporaryDirectory() as cache:
        started = [
            (language, subprocess.Popen(_command(language, site, cache), cwd=DOCS.parent))
            for language in (ENGLISH, CHINESE)
        ]
        codes = [(language, process.wait()) for language, process in started]
    failed = [language for language, code in codes if code != 0]
    if failed:
        return [f"{language.name}: Sphinx has failed" for language in failed]
    return list(check.problems(site, check.read_pages(site)))


def main(arguments: Sequence[str]) -> int:
    """Build into `site/`; with `--external`, also list the links that leave the site."""
    wrong = build(SITE)
    for problem in wrong:
        print(problem, file=sys.stderr)
    if not wrong and "--external" in arguments:
        print("\n".join(check.external_links(check.read_pages(SITE))))
    if not wrong:
        print(f"{SITE.relative_to(DOCS.parent)}/index.html")
    return 1 if wrong else 0
