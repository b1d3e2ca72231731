"""The chart of the README, PNG and SVG, from the results of speed.py.

python benchmarks/chart.py
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

RESULTS = Path(__file__).parent / "results"
SHOWN = {
    "trainer": ("transformers' Trainer", "#9aa5b1"),
    "trainer-bf16": ("Trainer, bf16", "#7b8794"),
    "trainer-process": ("Trainer with our process settings", "#52606d"),
    "exact": ("tunesmith, exact", "#8bb8e8"),
    "fast": ("tunesmith, fast", "#1f6fc2"),
    "fast-bf16": ("tunesmith, fast, bf16", "#0b3d78"),
}


def main() -> None:
    mpl.rcParams["svg.hashsalt"] = "tunesmith"  # the same figures give the same file
    speed = json.loads((RESULTS / "speed.json").read_text())
    workloads = [
        (work, {r["name"]: r["ratio"] for r in facts["results"] if not r["problem"]})
        for work, facts in speed.items()
    ]
    workloads = [(work, rates) for work, rates in workloads if "trainer" in rates]
    names = [name for name in SHOWN if any(name in rates for _work, rates in workloads)]
    figure, axes = plt.subplots(figsize=(8.4, 1.5 + 0.24 * len(names) * len(workloads)), dpi=140)
    high = 0.8 / len(names)
    for i, name in enumerate(names):
        label, fill = SHOWN[name]
        at = [row + (i - (len(names) - 1) / 2) * high for row in range(len(workloads))]
        ratio = [rates.get(name, 0.0) for _work, rates in workloads]
        bars = axes.barh(at, ratio, height=high * 0.9, color=fill, label=label)
        axes.bar_label(bars, [f"{value:.1f}x" for value in ratio], padding=3, fontsize=8)
    axes.set_yticks(range(len(workloads)), [work for work, _rates in workloads])
    axes.invert_yaxis()
    axes.set_xlabel("rows per second, as a multiple of transformers' Trainer with its defaults")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    figure.legend(frameon=False, fontsize=8, ncols=3, loc="lower center")
    machine = next(iter(speed.values()))["machine"]
    axes.set_title(
        f"Training MiniLM-L6: {machine['cores']} cores, {machine['processor']}, "
        f"{machine['instructions']}",
        fontsize=9, loc="left",
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0.14, 1, 1))
    docs = RESULTS.parents[1] / "docs"
    figure.savefig(docs / "speed.png")
    figure.savefig(docs / "speed.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
