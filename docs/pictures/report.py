"""The beginning of `report.html`, photographed with Chromium."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["photograph"]

_WIDE, _HIGH, _SCALE, _COLORS = 980, 760, 2, 96
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SCHEMES = {"light": 1, "dark": 0}


def photograph(report: Path, target: Path) -> None:
    """Write the pictures of a report, light and dark.

    Raises:
        FileNotFoundError: there is no Chromium.
    """
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise FileNotFoundError(f"none of {', '.join(_BROWSERS)} is on PATH")
    for scheme, number in _SCHEMES.items():
        name = f"report-{scheme}.png"
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
            _shrink(picture, target / name)


def _shrink(source: Path, target: Path) -> None:
    """Save a picture with few colors, which a page of text does not need more of."""
    from PIL import Image

    with Image.open(source) as image:
        image.convert("RGB").quantize(_COLORS).save(target, optimize=True)
