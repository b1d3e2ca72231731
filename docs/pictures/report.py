"""A section of `report.html`, photographed with Chromium."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["photograph"]

_SECTION = 2
"""The curves: what they say, what to try, and two charts."""

_WIDE, _HIGH, _SCALE, _COLORS = 900, 2400, 2, 96
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SCHEMES = {"light": 1, "dark": 0}


def photograph(report: Path, target: Path) -> None:
    """Write the pictures of a report, light and dark.

    Raises:
        FileNotFoundError: there is no Chromium.
    """
    from PIL import Image

    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise FileNotFoundError(f"none of {', '.join(_BROWSERS)} is on PATH")
    for scheme, number in _SCHEMES.items():
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            picture = Path(folder) / "report.png"
            subprocess.run(
                [
                    browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    "--disable-background-networking", f"--user-data-dir={folder}/profile",
                    f"--force-device-scale-factor={_SCALE}", f"--window-size={_WIDE},{_HIGH}",
                    f"--blink-settings=preferredColorScheme={number}",
                    f"--screenshot={picture}", report.resolve().as_uri(),
                ],
                check=True, capture_output=True,
            )  # fmt: skip
            with Image.open(picture) as whole:
                section = _section(whole.convert("RGB"))
            few = section.quantize(_COLORS)  # a page of text needs no more colors
            few.save(target / f"report-{scheme}.png", optimize=True)


def _section(page: Image) -> Image:
    """Cut a section out of a page: the sections are cards on a plain ground."""
    cards = [(top, end) for top, end in _cards(page) if end - top > 150 * _SCALE]
    (_, top), (_, end) = cards[_SECTION - 2], cards[_SECTION - 1]
    return page.crop((0, top, page.width, end + 18 * _SCALE))


def _cards(page: Image) -> Iterator[tuple[int, int]]:
    """Yield first and last row of whatever is between plain rows."""
    ground = page.getpixel((0, 0))
    rows = (
        page.crop((0, y, page.width, y + 1)).getcolors(1) == [(page.width, ground)]
        for y in range(page.height)
    )
    y = 0
    for is_plain, group in itertools.groupby(rows):
        high = len(list(group))
        if not is_plain:
            yield y, y + high
        y += high
