"""The chart of the README: rows per second of Trainer and of Tunesmith, in float32 and bfloat16."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from docs.pictures.drawing import DARK, LIGHT, SANS, Palette

__all__ = ["BARS", "WORKLOAD", "draw", "figures"]

WORKLOAD = "MRPC, batch 32"
BARS = {
    "trainer": ("Trainer", "float32"),
    "fast": ("Tunesmith", "float32"),
    "trainer-bf16": ("Trainer", "bfloat16"),
    "fast-bf16": ("Tunesmith", "bfloat16"),
}
_RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "speed.json"
_WIDE, _TOP, _NAMES, _FIGURES, _STEP, _BAR = 820, 12, 190, 190, 36, 22
_CAPTION = {
    "en": "MiniLM-L6 on MRPC, batch size 32, two CPU cores: rows per second, more is better",
    "zh": "MiniLM-L6，MRPC，批大小 32，两个 CPU 核心：每秒训练的行数，越长越快",
}
_UNIT = {"en": "{rate:.0f} rows/s", "zh": "{rate:.0f} 行/秒"}
_COLORS = {
    "light": {"Trainer": "#afb8c1", "Tunesmith": "#1f6feb"},
    "dark": {"Trainer": "#656d76", "Tunesmith": "#4493f8"},
}


def figures() -> dict[str, tuple[float, float]]:
    """Return, of each bar, rows per second and the multiple of Trainer in float32."""
    results = json.loads(_RESULTS.read_text(encoding="utf-8"))[WORKLOAD]["results"]
    by_name = {result["name"]: result for result in results}
    return {name: (by_name[name]["samples_per_second"], by_name[name]["ratio"]) for name in BARS}


def draw(target: Path, language: str) -> None:
    """Write the charts of one language."""
    for palette in (LIGHT, DARK):
        name = f"speed-{palette.name}.svg"
        (target / name).write_text(_chart(palette, language), encoding="utf-8")


def _chart(palette: Palette, language: str) -> str:
    bars = figures()
    scale = (_WIDE - _NAMES - _FIGURES) / max(rate for rate, _ratio in bars.values())
    high = _TOP + len(bars) * _STEP + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {high}" width="{_WIDE}" '
        f'height="{high}" font-family="{SANS}" font-size="15" fill="{palette.ink}">',
        f'<rect x=".5" y=".5" width="{_WIDE - 1}" height="{high - 1}" rx="8" '
        f'fill="{palette.paper}" stroke="{palette.edge}"/>',
        f'<line x1="{_NAMES}" x2="{_NAMES}" y1="{_TOP}" y2="{_TOP + len(bars) * _STEP}" '
        f'stroke="{palette.edge}"/>',
    ]
    for row, (name, (rate, ratio)) in enumerate(bars.items()):
        tool, precision = BARS[name]
        top, long = _TOP + row * _STEP + (_STEP - _BAR) / 2, rate * scale
        middle, weight = top + _BAR / 2 + 5, "600" if tool == "Tunesmith" else "400"
        parts += [
            f'<text x="{_NAMES - 12}" y="{middle}" text-anchor="end">'
            f'<tspan font-weight="{weight}">{tool}</tspan> '
            f'<tspan fill="{palette.soft}">{precision}</tspan></text>',
            f'<rect x="{_NAMES}" y="{top}" width="{long:.1f}" height="{_BAR}" rx="2" '
            f'fill="{_COLORS[palette.name][tool]}"/>',
            f'<text x="{_NAMES + long + 10:.1f}" y="{middle}" font-weight="{weight}">'
            f"{_UNIT[language].format(rate=rate)}"
            f'<tspan fill="{palette.soft}" font-weight="400" dx="8">{ratio:.1f}×</tspan></text>',
        ]
    parts.append(
        f'<text x="{_WIDE / 2}" y="{high - 16}" text-anchor="middle" font-size="13" '
        f'fill="{palette.soft}">{escape(_CAPTION[language])}</text>'
    )
    return "\n".join([*parts, "</svg>", ""])
