"""`python -m docs.pictures [NAME ...]`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from docs.pictures import report, speed, terminal
from docs.pictures.data import write_tickets

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
        if {"terminal", "report"} & set(names):
            with tempfile.TemporaryDirectory() as folder:
                write_tickets(Path(folder))
                lines = terminal.train(Path(folder), language)
                if "terminal" in names:
                    terminal.draw(lines, target)
                if "report" in names:
                    page = Path(folder, terminal.RUN, "report.html")
                    report.photograph(page, target)


if __name__ == "__main__":
    _main()
