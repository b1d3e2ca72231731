"""Data in several files, sorted by label. Not a test."""

from __future__ import annotations

import json
from pathlib import Path


def write_shards(folder: Path, rows: int) -> Path:
    """Three files of JSON lines; the first half of all rows has one label."""
    folder.mkdir()
    for number in range(3):
        lines = []
        for i in range(number * rows // 3, (number + 1) * rows // 3):
            first = i < rows // 2
            text = f"the printer {i} is broken" if first else f"please send a new phone {i}"
            lines.append(json.dumps({"text": text, "label": "repair" if first else "order"}))
        (folder / f"train-{number}.jsonl").write_text("\n".join(lines) + "\n")
    return folder
