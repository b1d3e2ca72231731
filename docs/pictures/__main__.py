"""`python -m docs.pictures [NAME ...]`."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from docs.pictures import report, speed, terminal
from docs.pictures.data import write_tickets
from docs.pictures.screen import Run

_NAMES = ("terminal", "report", "speed")
_DOCS = Path(__file__).parents[1]
_TARGETS = {"en": _DOCS / "images", "zh": _DOCS / "zh" / "images"}


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.pictures", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(_NAMES), metavar="NAME")
    names = parser.parse_args().names
    if unknown := set(names) - set(_NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    for language, target in _TARGETS.items():
        if "speed" in names:
            speed.draw(target, language)
        if "terminal" in names:
            for name, columns in terminal.COLUMNS.items():
                with _trained(language, columns) as (lines, _folder):
                    terminal.draw(lines, target, name)
        if "report" in names:
            with _trained(language, terminal.COLUMNS["terminal"]) as (_lines, folder):
                report.photograph(folder / terminal.RUN / "report.html", target)


@contextmanager
def _trained(language: str, columns: int) -> Iterator[tuple[list[list[Run]], Path]]:
    """Train in a temporary folder; give the lines of the terminal, and the folder."""
    with tempfile.TemporaryDirectory() as folder:
        write_tickets(Path(folder))
        yield terminal.train(Path(folder), language, columns), Path(folder)


if __name__ == "__main__":
    _main()
